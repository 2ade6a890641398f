// Execution says the same as derivation: a step at n runs on all its ranks and computes the model
// exactly where the derived set holds n. The two have nothing in common but the step: one evaluates
// obligations in n, the other moves and sums rows and compares them with the model's mathematics.
#include <gtest/gtest.h>

#include "tests/property/executed_plans.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::execution_test {
namespace {

using property::ExecutedPlan;
using property::LayoutCase;

RunContext& shared_context() {
  static RunContext context;
  return context;
}

// One process-wide context: tokens and the oracle's answers are the same for many layouts.
Observation run(const Lifecycle& plan, ElementType type) {
  ReferenceBackend backend;
  RunOptions options{.type = type};
  auto seen = execute(plan, options, backend, nullptr, &shared_context());
  EXPECT_TRUE(seen) << seen.error().text;
  return seen ? *std::move(seen) : Observation{};
}

// Counts that do not fit and counts that do, eager, each judged by what came of it.
void expect_the_same(const LayoutCase& layout, std::int64_t counts, std::int64_t& cases) {
  const auto step = property::step_of_layout(layout);
  ExecutedPlan made(step->plan);
  ASSERT_FALSE(made.plan.layers.empty()) << layout.text();
  for (std::int64_t n = 1; n <= counts; ++n) made.add(PlanEventKind::eager, n);
  const Observation seen = run(made.plan, ElementType::uint32);
  ASSERT_EQ(seen.events.size(), static_cast<std::size_t>(counts));
  for (std::int64_t n = 1; n <= counts; ++n, ++cases) {
    const EventObservation& event = seen.events[static_cast<std::size_t>(n - 1)];
    ASSERT_EQ(event.symptom == Symptom::none, step->requirement.usable.contains(n))
        << layout.text() << " at " << n << "\n"
        << property::told(seen);
  }
}

// A row that goes to the wrong place, a sum over the wrong ranks, a residual that is added twice or
// never, a layout that the derivation takes for whole and that is not.
TEST(Execution, FitsWhereTheDerivationSaysSo) {
  std::int64_t cases = 0;
  for (const std::int64_t attn_tp : {1, 2, 3, 4, 8}) {
    for (const std::int64_t attn_cp : {1, 2, 4}) {
      for (const std::int64_t attn_dp : {1, 2, 4}) {
        if (attn_tp * attn_cp * attn_dp > 16) continue;
        for (const bool dense : {false, true}) {
          for (const bool a2a : {false, true}) {
            for (const std::size_t model :
                 {property::kDenseModel, property::kMixedModel, property::kSparseModel}) {
              expect_the_same({.attn_tp = attn_tp,
                               .attn_cp = attn_cp,
                               .attn_dp = attn_dp,
                               .dense_fully_dp = dense,
                               .a2a = a2a,
                               .splits_context = attn_cp > 1,
                               .model = model},
                              2 * attn_tp * attn_cp + 2, cases);
              if (HasFatalFailure()) return;
            }
          }
        }
      }
    }
  }
  property::visited(cases);
}

}  // namespace
}  // namespace capsize::execution_test
