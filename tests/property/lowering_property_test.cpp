// A step that is lowered to concrete counts says the same as the step itself: the laws that judge
// lifecycles find nothing exactly where the derived set holds the count. The two have no line in
// common: one evaluates obligations as expressions in n, the other compares numbers in a plan.
#include <gtest/gtest.h>

#include <string>

#include "properties/plan_report.hpp"
#include "sim/lowering.hpp"
#include "tests/property/sglang_paths.hpp"

namespace capsize::lowering_test {
namespace {

using property::LayoutCase;

Lifecycle eager_plan(const SymbolicStep& step, std::int64_t n) {
  Lifecycle plan{.world = step.topology->world};
  StepLowering lowering(step, plan);
  PlanEvent event{.kind = PlanEventKind::eager, .path = "prefill", .tokens = n};
  event.programs = lowering.programs_at(n);
  for (Program& program : event.programs) program.mode = GraphMode::eager;
  plan.events.push_back(std::move(event));
  return plan;
}

std::string told(const std::vector<StandingBreach>& breaches) {
  std::string out;
  for (const StandingBreach& each : breaches) {
    out.append(each.law->name).append(": ").append(each.breach.blame).append("\n");
  }
  return out;
}

void expect_the_same(const LayoutCase& layout, std::int64_t counts) {
  const auto step = property::step_of_layout(layout);
  for (std::int64_t n = 1; n <= counts; ++n) {
    const Lifecycle plan = eager_plan(step->plan, n);
    const auto breaches = standing_breaches(Timeline(plan));
    ASSERT_EQ(breaches.empty(), step->requirement.usable.contains(n))
        << layout.text() << " at " << n << "\n"
        << told(breaches);
  }
}

// A row count, a layout or a class of ranks that gets lost on the way from a step to a plan.
TEST(Lowering, SaysOfEveryCountWhatTheStepSays) {
  std::size_t layouts = 0;
  for (const std::int64_t attn_tp : {1, 2, 3, 4, 8}) {
    for (const std::int64_t attn_cp : {1, 2, 4}) {
      for (const std::int64_t attn_dp : {1, 2, 4}) {
        if (attn_tp * attn_cp * attn_dp > 16) continue;
        for (const bool dense : {false, true}) {
          for (const bool a2a : {false, true}) {
            for (const std::size_t model :
                 {property::kDenseModel, property::kMixedModel, property::kSparseModel}) {
              LayoutCase layout{.attn_tp = attn_tp,
                                .attn_cp = attn_cp,
                                .attn_dp = attn_dp,
                                .dense_fully_dp = dense,
                                .a2a = a2a,
                                .splits_context = attn_cp > 1,
                                .model = model};
              expect_the_same(layout, 3 * attn_tp * attn_cp + 2);
              if (HasFatalFailure()) return;
              ++layouts;
            }
          }
        }
      }
    }
  }
  EXPECT_GT(layouts, 300U);
}

// Decode under two-batch overlap enters its layers with other rows than the step began with.
TEST(Lowering, FollowsTheHalvesOfATwoBatchOverlap) {
  for (const std::int64_t attn_tp : {1, 2, 4}) {
    for (const std::int64_t width : {1, 3}) {
      expect_the_same({.attn_tp = attn_tp,
                       .a2a = true,
                       .two_batch_overlap = true,
                       .prefill = false,
                       .width = width,
                       .model = property::kSparseModel},
                      24);
      if (HasFatalFailure()) return;
    }
  }
}

// Ranks that hold the same rows share one program, and every rank is in exactly one.
TEST(Lowering, SharesProgramsBetweenRanksThatDoTheSame) {
  const auto step = property::step_of_layout(
      {.attn_tp = 8, .dense_fully_dp = true, .model = property::kMixedModel});
  EXPECT_EQ(eager_plan(step->plan, 32).events[0].programs.size(), 1U);
  const Lifecycle uneven = eager_plan(step->plan, 28);
  ASSERT_EQ(uneven.events[0].programs.size(), 2U);
  EXPECT_EQ(uneven.events[0].programs[0].ranks.text(), "0-3");
  EXPECT_EQ(uneven.events[0].programs[1].ranks.text(), "4-7");
}

}  // namespace
}  // namespace capsize::lowering_test
