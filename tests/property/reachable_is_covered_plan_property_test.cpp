// reachable_is_covered in plans, against asking for every single size.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <ostream>
#include <set>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/histogram.hpp"

namespace capsize::property::reachable_plan_test {
namespace {

using Sizes = std::vector<std::int64_t>;

bool holds(const Sizes& sizes, std::int64_t size) {
  return std::set<std::int64_t>(sizes.begin(), sizes.end()).contains(size);
}

// Whether a batch of n requests or tokens, padded step by step, comes to a captured size.
bool is_padded_to(const Sizes& kept, std::int64_t n, std::int64_t top) {
  for (std::int64_t size = n; size <= top; ++size) {
    if (holds(kept, size)) return true;
  }
  return false;
}

// Whether some number of requests, each of `width` tokens, fills `size`.
bool is_filled(std::int64_t size, std::int64_t width) {
  for (std::int64_t tokens = width; tokens <= size; tokens += width) {
    if (tokens == size) return true;
  }
  return false;
}

// Every size up to `top` that is at fault: named and not served (the largest of them), captured and
// not looked up or the reverse (the least), captured and never filled (the least).
std::set<std::int64_t> faults_of(const PlanCapture& entry, std::int64_t top) {
  std::set<std::int64_t> faults;
  std::int64_t unserved = 0;
  for (const std::int64_t n : entry.named) {
    if (!is_padded_to(entry.kept, n, top)) unserved = std::max(unserved, n);
  }
  if (unserved > 0) faults.insert(unserved);
  for (std::int64_t size = 0; size <= top && entry.admits; ++size) {
    if (holds(entry.kept, size) == holds(*entry.admits, size)) continue;
    faults.insert(size);
    break;
  }
  const std::int64_t width = entry.unit == Unit::tokens ? entry.width.value_or(1) : 1;
  for (std::int64_t size = 0; size <= top; ++size) {
    if (!holds(entry.kept, size) || is_filled(size, width)) continue;
    faults.insert(size);
    break;
  }
  return faults;
}

// Whether exactly the faulty sizes are told.
bool is_told(const Lifecycle& plan, std::int64_t top) {
  const Timeline timeline(plan);
  PlanReport report;
  find_law("reachable_is_covered")->check_plan(timeline, report);
  std::set<std::int64_t> told;
  for (const Breach& breach : report.breaches()) {
    if (breach.event != -1 || breach.symptom != Symptom::silent_eager) return false;
    told.insert(breach.requests.value_or(breach.tokens));
  }
  std::set<std::int64_t> wanted;
  for (const PlanCapture& entry : plan.captures) {
    if (entry.mode != GraphMode::eager) wanted.merge(faults_of(entry, top));
  }
  return told == wanted;
}

Sizes subset(std::int64_t bits, std::int64_t first) {
  Sizes sizes;
  for (std::int64_t i = 0; bits >> i != 0; ++i) {
    if ((bits >> i & 1) != 0) sizes.push_back(first + i);
  }
  return sizes;
}

// Every subset of the sizes 0 to 4 that is kept, of 1 to 5 that is named, of 0 to 4 that is looked
// up (or nothing is said of it), widths up to 3, both units.
TEST(ReachableIsCoveredPlanProperty, EverySmallEntry) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::int64_t kept = 0; kept < 32; ++kept) {
    for (std::int64_t named = 0; named < 32; ++named) {
      for (std::int64_t admits = -1; admits < 32; ++admits) {
        for (std::int64_t width = 1; width <= 3; ++width) {
          for (const Unit unit : {Unit::tokens, Unit::requests}) {
            PlanCapture entry{.path = "p", .unit = unit, .kept = subset(kept, 0), .width = width};
            entry.named = subset(named, 1);
            if (admits >= 0) entry.admits = subset(admits, 0);
            Lifecycle plan;
            plan.captures = {std::move(entry)};
            const auto faults = faults_of(plan.captures[0], 6);
            ASSERT_TRUE(is_told(plan, 6)) << kept << " " << named << " " << admits;
            ++count;
            broken += faults.empty() ? 0 : 1;
          }
        }
      }
    }
  }
  EXPECT_EQ(count, 32 * 32 * 33 * 3 * 2);
  visited(count);
  EXPECT_GT(broken, 0);
  EXPECT_LT(broken, count);
}

struct Drawn {
  PlanCapture entry;
};

void showValue(const Drawn& drawn, std::ostream& out) {
  const auto list = [&out](const char* name, const Sizes& sizes) {
    out << name << " {";
    for (const std::int64_t size : sizes) out << " " << size;
    out << " } ";
  };
  out << (drawn.entry.unit == Unit::tokens ? "tokens " : "requests ");
  if (drawn.entry.mode) out << name_of(*drawn.entry.mode) << " ";
  if (drawn.entry.width) out << "width " << *drawn.entry.width << " ";
  list("kept", drawn.entry.kept);
  list("named", drawn.entry.named);
  if (drawn.entry.admits) list("admits", *drawn.entry.admits);
}

// Mostly healthy: kept sizes are multiples of the width, what is looked up is what is kept.
rc::Gen<Drawn> an_entry() {
  using namespace generators;
  const auto list = rc::gen::resize(6, rc::gen::container<Sizes>(evenly(1, 40)));
  const auto modes =
      one_of<std::optional<GraphMode>>({std::nullopt, GraphMode::piecewise, GraphMode::eager});
  return rc::gen::map(rc::gen::tuple(list, list, list, one_of<std::int64_t>({1, 2, 3}),
                                     evenly(0, 8), modes, coin()),
                      [](const auto& drawn) {
                        const auto& [kept, named, other, width, kind, mode, requests] = drawn;
                        PlanCapture entry{.path = "p",
                                          .unit = requests ? Unit::requests : Unit::tokens,
                                          .mode = mode,
                                          .kept = kept};
                        entry.width = width;
                        if (kind > 0) {
                          for (std::int64_t& size : entry.kept) size *= width;
                        }
                        if (kind > 1) entry.admits = entry.kept;
                        if (kind == 2) entry.admits = other;
                        if (kind < 4) entry.named = named;
                        return Drawn{std::move(entry)};
                      });
}

TEST(ReachableIsCoveredPlanProperty, RandomEntries) {
  Histogram seen;
  seen.declare("broken", {"no", "yes"});
  EXPECT_TRUE(property::holds("named sizes are served, looked-up ones are captured", [&seen] {
    const auto drawn = *rc::gen::resize(4, rc::gen::container<std::vector<Drawn>>(an_entry()));
    Lifecycle plan;
    std::set<std::int64_t> faults;
    for (const Drawn& each : drawn) {
      plan.captures.push_back(each.entry);
      if (each.entry.mode != GraphMode::eager) faults.merge(faults_of(each.entry, 130));
    }
    RC_ASSERT(is_told(plan, 130));
    seen.count("broken", !faults.empty());
    seen.count("entries", std::ssize(drawn));
  }));
  seen.print("reachable_is_covered, plans");
}

// A violation is told by the least size in tokens, with the requests that it was; a product that
// leaves 64 bits stays at their end.
TEST(ReachableIsCoveredPlanProperty, RequestsAreToldInTokens) {
  Lifecycle plan;
  plan.captures = {{.path = "p", .unit = Unit::requests, .kept = {1}, .named = {3}, .width = 4}};
  const auto told = [&plan] {
    for (const Finding& finding : judge_plan(Timeline(plan))) {
      if (finding.law == "reachable_is_covered") return finding.witness.value();
    }
    return Witness{};
  };
  EXPECT_EQ(told().tokens, 12);
  EXPECT_EQ(told().requests, 3);
  plan.captures[0].named = {INT64_MAX};
  EXPECT_EQ(told().tokens, INT64_MAX);
}

// Many broken entries of one path must not hide one of another path.
TEST(ReachableIsCoveredPlanProperty, EveryPathIsTold) {
  Lifecycle plan;
  for (std::int64_t i = 0; i < 200; ++i) {
    plan.captures.push_back({.path = "p", .kept = {1}, .named = {2}});
  }
  plan.captures.push_back({.path = "q", .kept = {1}, .named = {2}});
  std::set<std::string_view> paths;
  for (const Finding& finding : judge_plan(Timeline(plan))) {
    if (finding.verdict == LawVerdict::violation) paths.insert(finding.path);
  }
  EXPECT_EQ(paths, (std::set<std::string_view>{"p", "q"}));
}

}  // namespace
}  // namespace capsize::property::reachable_plan_test
