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

PlanOp passed(PlanOpKind kind, Slot tensor, GroupId group, std::int64_t rows, std::int64_t peer) {
  PlanOp out{.kind = kind, .group = group, .peer = peer};
  if (kind == PlanOpKind::send) out.rows_in = {rows};
  if (kind == PlanOpKind::recv) out.rows_out = rows;
  out.tensor = tensor;
  return out;
}

// The same layers on two pipeline stages of two ranks: each stage runs half of them, and hidden and
// residual go from one to the other.
Lifecycle pipeline_plan(std::int64_t rows, bool sends_residual) {
  const auto step = property::step_of_layout({.attn_tp = 2, .model = property::kDenseModel});
  ExecutedPlan made(step->plan);
  PlanEvent event = made.add(PlanEventKind::eager, rows);
  Lifecycle plan{.world = 4, .layers = made.plan.layers};
  plan.families = made.plan.families;
  for (PlanGroups& family : plan.families) family.groups = {{0, 1}, {2, 3}};
  plan.families.push_back({.name = "pp", .groups = {{0, 2}, {1, 3}}});
  index_groups(plan);
  const GroupId stages = *plan.find_group("pp");
  Program first = event.programs.front();
  EXPECT_EQ(first.blocks.size(), 1U);
  const std::int64_t layers = first.blocks[0].repeat;
  first.blocks[0].repeat = layers / 2;
  Program second = first;
  second.ranks = RankSet(2, 3);
  second.blocks[0].repeat = layers - layers / 2;
  second.blocks[0].layer = layers / 2;
  const auto shift = [](std::optional<std::vector<std::int32_t>>& from, std::int32_t by) {
    if (from) std::ranges::for_each(*from, [by](std::int32_t& each) { each += by; });
  };
  std::vector<Slot> tensors = {Slot::hidden};
  if (sends_residual) tensors.push_back(Slot::residual);
  const auto many = static_cast<std::int32_t>(tensors.size());
  for (PlanOp& op : second.ops) shift(op.from, many);
  second.blocks[0].first_op = many;
  second.blocks.insert(second.blocks.begin(), OpBlock{.first_op = 0, .count = many});
  first.blocks.push_back({.first_op = static_cast<std::int32_t>(first.ops.size()), .count = many});
  for (std::int32_t i = many; i-- > 0;) {
    const Slot tensor = tensors[static_cast<std::size_t>(i)];
    second.ops.insert(second.ops.begin(), passed(PlanOpKind::recv, tensor, stages, rows, 0));
  }
  for (const Slot tensor : tensors) {
    first.ops.push_back(passed(PlanOpKind::send, tensor, stages, rows, 2));
  }
  event.programs = {std::move(first), std::move(second)};
  plan.events.push_back(std::move(event));
  return plan;
}

// A stage that begins with other rows than the one before has left, or forgets the residual.
TEST(Execution, PipelineStagesPassHiddenAndResidualOn) {
  const Observation whole = run(pipeline_plan(8, true), ElementType::bf16);
  EXPECT_EQ(whole.first_failure(), nullptr) << property::told(whole);
  EXPECT_GT(whole.elements, 0);
  const Observation torn = run(pipeline_plan(8, false), ElementType::bf16);
  ASSERT_NE(torn.first_failure(), nullptr);
}

}  // namespace
}  // namespace capsize::execution_test
