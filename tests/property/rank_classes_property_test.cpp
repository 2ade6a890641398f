// Classes of ranks that always do the same, against writing down for every rank all that it does.
// And what replay_reads_now makes of them: no rank of a large plan goes unjudged.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <utility>
#include <vector>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "properties/rank_classes.hpp"
#include "tests/property/histogram.hpp"

namespace capsize::rank_classes_test {
namespace {

using namespace parts;
using generators::evenly;
using property::Histogram;
using Mask = std::uint32_t;  // bit r: rank r

constexpr std::int64_t kWorld = 6;

RankSet set_of(Mask ranks) {
  RankSet out;
  for (std::int64_t rank = 0; rank < kWorld; ++rank) {
    if ((ranks >> rank & 1U) != 0) out.append({rank, rank});
  }
  return out;
}

// An event: two programs whose ranks are apart, or an allocation by some ranks (none: all).
struct Deed {
  bool allocates = false;
  Mask first = 0;
  Mask second = 0;
};

void showValue(const Deed& deed, std::ostream& out) {
  out << (deed.allocates ? "allocate " : "run ") << set_of(deed.first).text();
  if (!deed.allocates) out << " | " << set_of(deed.second & ~deed.first).text();
}

Lifecycle plan_of(const std::vector<Deed>& deeds, Mask owner) {
  Lifecycle plan{.world = kWorld};
  add_buffer(plan, {.name = "own", .owner = set_of(owner)});
  for (const Deed& deed : deeds) {
    if (deed.allocates) {
      plan.events.push_back(allocate(0, 1));
      plan.events.back().ranks = set_of(deed.first);
      continue;
    }
    std::vector<Program> programs;
    for (const Mask ranks : {deed.first, deed.second & ~deed.first}) {
      if (ranks != 0) programs.push_back(eager_program(set_of(ranks), 1, {op(PlanOpKind::kernel)}));
    }
    plan.events.push_back(eager("p", 1, std::move(programs)));
  }
  return std::move(finish(plan));
}

// What one rank does, one number for each event and buffer.
std::vector<std::int64_t> life_of(const std::vector<Deed>& deeds, Mask owner, std::int64_t rank) {
  const auto in = [rank](Mask ranks) { return (ranks >> rank & 1U) != 0; };
  std::vector<std::int64_t> out = {owner == 0 || in(owner) ? 1 : 0};
  for (const Deed& deed : deeds) {
    if (deed.allocates) {
      out.push_back(deed.first == 0 || in(deed.first) ? 1 : 0);
    } else {
      out.push_back(in(deed.first) ? 1 : in(deed.second) ? 2 : 0);
    }
  }
  return out;
}

// The first rank of each class; empty where a class is told to run what it does not, or not to run
// what it does.
std::vector<std::int64_t> classes_of(const Lifecycle& plan) {
  const Timeline timeline(plan);
  std::vector<std::int64_t> found;
  const RankClasses classes(timeline);
  for (const RankClass& each : classes.all()) {
    found.push_back(each.rank);
    std::vector<std::pair<std::int32_t, std::int32_t>> told;
    for (const RunAt& run : each.runs) told.emplace_back(run.event, run.running);
    std::vector<std::pair<std::int32_t, std::int32_t>> runs;
    for (const EventRun& event : timeline.events()) {
      for (std::size_t r = 0; r < event.runnings.size(); ++r) {
        if (event.runnings[r].ranks.contains(each.rank)) {
          runs.emplace_back(event.index, static_cast<std::int32_t>(r));
        }
      }
    }
    if (told != runs) return {};
  }
  return found;
}

std::vector<std::int64_t> wanted(const std::vector<Deed>& deeds, Mask owner) {
  std::map<std::vector<std::int64_t>, std::int64_t> first_of;  // the first rank with such a life
  for (std::int64_t rank = 0; rank < kWorld; ++rank) {
    first_of.try_emplace(life_of(deeds, owner, rank), rank);
  }
  std::vector<std::int64_t> out;
  for (const auto& [life, rank] : first_of) out.push_back(rank);
  std::ranges::sort(out);
  return out;
}

// Ranks of two classes that are taken for one, so that a fault of the second is not seen; classes
// that are split in vain; an event that a class runs and is not told.
TEST(RankClassesProperty, EveryPairOfSteps) {
  for (Mask first = 0; first < 16; ++first) {
    for (Mask second = 0; second < 16; ++second) {
      for (Mask third = 0; third < 16; ++third) {
        for (const bool allocates : {false, true}) {
          const std::vector<Deed> deeds = {{false, first, second}, {allocates, third, first}};
          ASSERT_EQ(classes_of(plan_of(deeds, second)), wanted(deeds, second))
              << first << " " << second << " " << third << " " << allocates;
        }
      }
    }
  }
}

TEST(RankClassesProperty, RandomLives) {
  Histogram seen;
  seen.declare("classes", {"1", "2", "3", "4", "5", "6"});
  EXPECT_TRUE(property::holds("every rank is in the class of those that live like it", [&seen] {
    const auto mask = rc::gen::map(evenly(0, 1 << kWorld),
                                   [](std::int64_t bits) { return static_cast<Mask>(bits); });
    const auto deed =
        rc::gen::map(rc::gen::tuple(generators::coin(), mask, mask), [](const auto& drawn) {
          const auto& [allocates, first, second] = drawn;
          return Deed{allocates, first, second};
        });
    const auto deeds = *rc::gen::resize(5, rc::gen::container<std::vector<Deed>>(deed));
    const Mask owner = *mask;
    const auto classes = wanted(deeds, owner);
    RC_ASSERT(classes_of(plan_of(deeds, owner)) == classes);
    seen.count("classes", std::ssize(classes));
  }));
  seen.print("rank classes");
}

// A limit on the classes that are followed: each of many ranks in turn is the one that replays a
// graph whose buffer has moved, and it alone is blamed.
TEST(RankClassesProperty, NoRankGoesUnjudged) {
  constexpr std::int64_t kMany = 150;
  for (std::int64_t moved = 0; moved < kMany; ++moved) {
    Lifecycle plan{.world = kMany};
    add_buffer(plan, {.name = "workspace", .bytes = 8, .kind = BufferKind::workspace});
    PlanOp kernel = op(PlanOpKind::kernel);
    kernel.reads = {{0, 0, 8}};
    PlanEvent captured = capture("p", 8, {});
    PlanEvent replayed = replay("p", 8, {});
    for (std::int64_t rank = 0; rank < kMany; ++rank) {
      captured.programs.push_back(graph({rank, rank}, 8, {kernel}));
      replayed.programs.push_back(graph({rank, rank}, 8));
    }
    PlanEvent again = allocate(0, 2);
    again.ranks = {moved, moved};
    plan.events = {allocate(0, 1), captured, again, replayed};
    finish(plan);
    PlanReport report;
    find_law("replay_reads_now")->check_plan(Timeline(plan), report);
    ASSERT_EQ(report.breaches().size(), 1U) << moved;
    EXPECT_EQ(report.breaches()[0].rank, moved);
    EXPECT_EQ(report.breaches()[0].event, 3);
  }
}

// Legal: the host copies its input on a stream of its own before the graph; a graph's streams are
// those of its capture.
TEST(RankClassesProperty, HostStreamsAreNotThoseOfTheGraph) {
  Lifecycle plan;
  add_buffer(plan, {.name = "tokens", .bytes = 8, .kind = BufferKind::input});
  PlanOp kernel = op(PlanOpKind::kernel);
  kernel.reads = {{0, 0, 8}};
  PlanOp copy = op(PlanOpKind::copy);
  copy.writes = {{0, 0, 8}};
  copy.stream = 1;
  copy.captured = false;
  plan.events = {capture("p", 8, {graph({0, 0}, 8, {kernel})}),
                 replay("p", 8, {graph({0, 0}, 8, {copy})})};
  PlanReport report;
  find_law("replay_reads_now")->check_plan(Timeline(finish(plan)), report);
  EXPECT_TRUE(report.breaches().empty()) << report.breaches().front().blame;
}

}  // namespace
}  // namespace capsize::rank_classes_test
