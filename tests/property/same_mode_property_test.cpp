// same_mode against comparing every two ranks of every group.
#include <gtest/gtest.h>

#include "tests/property/histogram.hpp"
#include "tests/property/rank_stories.hpp"

namespace capsize::same_mode_test {
namespace {

using namespace property::stories;
using property::Histogram;
using property::report_of;

constexpr std::string_view kLaw = "same_mode";

// What two ranks may not differ in. Adapters are compared where both keys are given; a key that
// gives a size and no adapter is another one than a key with an adapter.
bool differ(const Story& a, const Story& b) {
  if (a.mode != b.mode) return true;
  const bool keyed = (a.size > 0 || a.lora >= 0) && (b.size > 0 || b.lora >= 0);
  return keyed && a.lora != b.lora;
}

Places wanted(const Plan& plan) {
  return expected(
      plan, [](const auto& group, const auto& ranks) { return any_pair(group, ranks, differ); });
}

// A rank that is compared with its neighbour only, a group of a family that is passed over, an
// absent or one-rank group that is flagged, a class that hides a rank: every way in which four
// ranks are absent, eager or in one of four graphs, over every family.
TEST(SameModeProperty, EveryStepOfFourRanks) {
  const std::vector<Story> choices = {
      {.runs = false}, {.mode = GraphMode::eager, .size = 0}, {}, {.bucket = 16, .size = 16},
      {.lora = 1},     {.mode = GraphMode::piecewise}};
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::int8_t family = 0; family < 5; ++family) {
    for_all_steps(choices, [&](const std::vector<Story>& ranks) {
      const Plan plan{.how = family % 2 == 0 ? How::captured : How::restated,
                      .families = {family},
                      .steps = {ranks},
                      .merged = count % 2 == 0};
      const Places places = wanted(plan);
      ASSERT_EQ(places_of(report_of(kLaw, build(plan))), places) << plan;
      ++count;
      broken += places.empty() ? 0 : 1;
    });
  }
  EXPECT_EQ(count, 5 * 6 * 6 * 6 * 6);
  property::visited(count);
  EXPECT_GT(broken, 1000);
  EXPECT_GT(count - broken, 1000);
}

// The same for longer plans, keys that say less than others, and graphs that were captured before.
TEST(SameModeProperty, RandomPlans) {
  Histogram seen;
  seen.declare("broken", {"yes", "no"});
  seen.declare("how", {"0", "1", "2"});
  EXPECT_TRUE(property::holds("every broken step is told, and no other", [&seen] {
    const Plan plan = *property::stories::plan();
    const Places places = wanted(plan);
    seen.count("broken", !places.empty());
    seen.count("how", static_cast<std::int64_t>(plan.how));
    RC_LOG() << plan;
    RC_ASSERT(places_of(report_of(kLaw, build(plan))) == places);
  }));
  seen.print("same_mode");
}

// An eager rank beside a graph hangs the group, unless it issues what the graph holds, layer by
// layer: then the step is slow and nothing else. In a capture nothing is run that it could meet.
// Every repeat of graph and eager step, and rows.
TEST(SameModeProperty, SymptomIsSlownessWhereTheSameIsIssued) {
  for (std::int64_t code = 0; code < 3 * 4 * 2 * 2; ++code) {
    const std::int64_t graph_repeat = 1 + code % 3;
    const std::int64_t repeat = code / 3 % 4;
    const std::int64_t rows = code / 12 % 2 == 0 ? 8 : 5;
    const bool replays = code / 24 == 0;
    Lifecycle plan{.world = 2};
    const GroupId tp = parts::add_group(plan, "tp", {{0, 1}});
    Program odd = parts::eager_program({1, 1}, 5, {parts::all_reduce(tp, rows)});
    if (repeat == 0) odd.ops.clear();
    odd.repeat = std::max<std::int64_t>(repeat, 1);
    Program even = parts::graph({0, 0}, 8, {parts::all_reduce(tp, 8)});
    even.ops[0].captured = true;
    even.repeat = graph_repeat;
    plan.events = {parts::run(replays ? PlanEventKind::replay : PlanEventKind::capture, "decode", 8,
                              {even, odd})};
    const PlanReport report = report_of(kLaw, parts::finish(plan));
    ASSERT_EQ(report.breaches().size(), 1);
    const bool alike = replays && repeat == graph_repeat && rows == 8;
    EXPECT_EQ(report.breaches()[0].symptom, alike ? Symptom::silent_eager : Symptom::hang) << code;
    EXPECT_EQ(report.breaches()[0].rank, 1);
    EXPECT_EQ(report.breaches()[0].op, "all_reduce");
  }
}

// Eager everywhere with other counts on each rank, or operations outside the graphs: nobody
// captured anything, so nothing is judged.
TEST(SameModeProperty, NothingCapturedIsNothingToJudge) {
  Lifecycle plan{.world = 2};
  const GroupId tp = parts::add_group(plan, "tp", {{0, 1}});
  Program outside = parts::graph({0, 0}, 8, {parts::all_reduce(tp, 8)});
  outside.ops[0].captured = false;
  plan.events = {parts::eager("prefill", 40,
                              {parts::eager_program({0, 0}, 40, {parts::all_reduce(tp, 40)}),
                               parts::eager_program({1, 1}, 7, {parts::all_reduce(tp, 7)})}),
                 parts::capture("decode", 8, {outside, parts::eager_program({1, 1}, 8, {})})};
  const PlanReport report = report_of(kLaw, parts::finish(plan));
  EXPECT_TRUE(report.breaches().empty());
  EXPECT_TRUE(report.paths().empty());
}

}  // namespace
}  // namespace capsize::same_mode_test
