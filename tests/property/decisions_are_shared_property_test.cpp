// decisions_are_shared against asking, for every rank and everyone it meets in a captured
// operation, whether the two have heard the same.
#include <gtest/gtest.h>

#include "tests/property/histogram.hpp"
#include "tests/property/rank_stories.hpp"

namespace capsize::decisions_test {
namespace {

using namespace property::stories;
using property::Histogram;
using property::report_of;

constexpr std::string_view kLaw = "decisions_are_shared";
constexpr std::array<DecisionSource, 4> kSources = {
    DecisionSource::configuration, DecisionSource::broadcast, DecisionSource::voted,
    DecisionSource::rank_local};

struct Input {
  DecisionSource from = DecisionSource::configuration;
  std::int8_t group = -1;  // a family; -1: not said
};

// Some ranks decide, by some inputs; some ranks hold operations over some families.
struct Decided {
  std::vector<Input> inputs;
  std::vector<std::int8_t> families;  // of the operations
  unsigned deciding = 0;              // a bit each rank
  unsigned issuing = 0;
  bool captured = true;
  bool merged = true;
};

bool has(unsigned ranks, std::int64_t rank) {
  return ((ranks >> static_cast<unsigned>(rank)) & 1U) != 0;
}

Lifecycle build(const Decided& in) {
  Lifecycle plan{.world = kRanks};
  for (const Groups& groups : family_groups()) {
    parts::add_group(plan, "f" + std::to_string(plan.families.size()), groups);
  }
  PlanEvent event =
      parts::run(in.captured ? PlanEventKind::capture : PlanEventKind::eager, "decode", 8, {});
  const auto add = [&](const RankSet& ranks, bool decides, bool issues) {
    Program program = parts::graph(ranks, 8);
    if (!in.captured) program.mode = GraphMode::eager;
    for (std::size_t i = 0; issues && i < in.families.size(); ++i) {
      program.ops.push_back(parts::all_reduce(GroupId{in.families[i]}, 8));
    }
    for (std::size_t i = 0; decides && i < in.inputs.size(); ++i) {
      // Two inputs a decision, so that both lists are longer than one.
      if (i % 2 == 0) program.decides.push_back({"decision" + std::to_string(i / 2), {}});
      program.decides.back().inputs.push_back(
          {"input" + std::to_string(i), in.inputs[i].from, GroupId{in.inputs[i].group}});
    }
    if (!ranks.empty()) event.programs.push_back(std::move(program));
  };
  for (unsigned kind = 0; kind < 4; ++kind) {
    RankSet ranks;
    for (std::int64_t rank = 0; rank < kRanks; ++rank) {
      if (has(in.deciding, rank) != has(kind, 0) || has(in.issuing, rank) != has(kind, 1)) continue;
      if (in.merged) ranks.append({rank, rank});
      if (!in.merged) add({rank, rank}, has(kind, 0), has(kind, 1));
    }
    if (in.merged) add(ranks, has(kind, 0), has(kind, 1));
  }
  plan.events = {std::move(event)};
  return std::move(parts::finish(plan));
}

const std::vector<std::int32_t>* group_with(std::int8_t family, std::int32_t rank) {
  for (const auto& group : family_groups().at(static_cast<std::size_t>(family))) {
    if (std::ranges::find(group, rank) != group.end()) return &group;
  }
  return nullptr;
}

// Whether two ranks are sure to hold the same value of an input.
bool heard_the_same(const Input& input, std::int32_t a, std::int32_t b) {
  if (input.from == DecisionSource::configuration) return true;
  if (input.from == DecisionSource::rank_local) return a == b;
  if (input.group < 0) return true;
  const auto* group = group_with(input.group, a);
  return group != nullptr && std::ranges::find(*group, b) != group->end();
}

// The inputs (by place) and families that break the law.
using Broken = std::set<std::pair<std::string, std::int32_t>>;

Broken wanted(const Decided& in) {
  Broken out;
  for (std::size_t i = 0; i < in.inputs.size() && in.captured; ++i) {
    for (const std::int8_t family : in.families) {
      for (std::int32_t a = 0; a < kRanks; ++a) {
        const auto* group = group_with(family, a);
        if (!has(in.deciding, a) || group == nullptr || group->size() < 2) continue;
        if (std::ranges::none_of(*group, [&](auto rank) { return has(in.issuing, rank); }))
          continue;
        const bool shared = std::ranges::all_of(
            *group, [&](std::int32_t b) { return heard_the_same(in.inputs[i], a, b); });
        if (!shared) out.emplace("input" + std::to_string(i), family);
      }
    }
  }
  return out;
}

Broken found(const PlanReport& report) {
  Broken out;
  for (const Breach& breach : report.breaches()) {
    EXPECT_EQ(breach.known, Known::proved);
    EXPECT_EQ(breach.symptom, Symptom::hang);
    out.emplace(breach.key.substr(breach.key.find("input")), breach.group.index);
  }
  return out;
}

// A source that is trusted, a vote that is taken for enough because one rank of the collective is
// in it, a rank that decides nothing and is flagged: every source and group of an input, every
// family of an operation, every set of ranks that decide and every set that issue it.
TEST(DecisionsAreSharedProperty, EverySourceGroupAndSetOfRanks) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (const DecisionSource from : kSources) {
    for (std::int8_t group = -1; group < 5; ++group) {
      for (std::int8_t family = 0; family < 5; ++family) {
        for (unsigned ranks = 0; ranks < 256; ++ranks) {
          const Decided in{.inputs = {{from, group}},
                           .families = {family},
                           .deciding = ranks % 16,
                           .issuing = ranks / 16,
                           .captured = true,
                           .merged = count % 2 == 0};
          const Broken places = wanted(in);
          const PlanReport report = report_of(kLaw, build(in));
          ASSERT_EQ(found(report), places) << name_of(from) << " in " << int{group} << " over "
                                           << int{family} << ", ranks " << ranks;
          ASSERT_EQ(report.paths().empty(), in.deciding == 0);
          ++count;
          broken += places.empty() ? 0 : 1;
        }
      }
    }
  }
  EXPECT_EQ(count, 4 * 6 * 5 * 256);
  property::visited(count);
  EXPECT_GT(broken, 1000);
  EXPECT_GT(count - broken, 1000);
}

// The same for several inputs, decisions and families, and for steps in which nothing is captured.
TEST(DecisionsAreSharedProperty, RandomDecisions) {
  Histogram seen;
  seen.declare("broken", {"yes", "no"});
  seen.declare("captured", {"yes", "no"});
  const auto family = rc::gen::map(generators::evenly(0, 5),
                                   [](std::int64_t i) { return static_cast<std::int8_t>(i); });
  const auto input = rc::gen::build<Input>(
      rc::gen::set(&Input::from, generators::one_of<DecisionSource>(
                                     {kSources[0], kSources[1], kSources[2], kSources[3]})),
      rc::gen::set(&Input::group, rc::gen::map(family, [](std::int8_t f) {
        return static_cast<std::int8_t>(f - 1);
      })));
  EXPECT_TRUE(property::holds("every input that is not shared is told, and no other", [&] {
    Decided in;
    in.inputs = *rc::gen::resize(5, rc::gen::container<std::vector<Input>>(input));
    in.families = *rc::gen::unique<std::vector<std::int8_t>>(3, family);
    in.deciding = static_cast<unsigned>(*generators::evenly(0, 16));
    in.issuing = static_cast<unsigned>(*generators::evenly(0, 16));
    in.captured = *generators::one_of<bool>({true, true, true, false});
    in.merged = *generators::coin();
    const Broken places = wanted(in);
    seen.count("broken", !places.empty());
    seen.count("captured", in.captured);
    RC_ASSERT(found(report_of(kLaw, build(in))) == places);
  }));
  seen.print("decisions_are_shared");
}

}  // namespace
}  // namespace capsize::decisions_test
