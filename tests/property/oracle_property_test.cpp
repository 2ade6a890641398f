// What only the oracle can see. Prediction and execution read the same plan: where it is wrong in a
// way that no law judges, both agree, eager equals replay on every rank, and the rows are not the
// model's. And what exact numbers promise: the same bits on any number of ranks.
#include <gtest/gtest.h>

#include "properties/plan_report.hpp"
#include "tests/property/executed_plans.hpp"
#include "tests/property/property_run.hpp"
#include "tests/support/sglang_launch.hpp"

namespace capsize::oracle_property_test {
namespace {

using property::ExecutedPlan;

Observation run(const Lifecycle& plan, ElementType type) {
  static RunContext context;
  ReferenceBackend backend;
  const RunOptions options{.type = type};
  auto seen = execute(plan, options, backend, nullptr, &context);
  EXPECT_TRUE(seen) << seen.error().text;
  return seen ? *std::move(seen) : Observation{};
}

// Calls `change` on every operation of every program.
template <class Change>
std::int64_t change_ops(Lifecycle& plan, const Change& change) {
  std::int64_t changed = 0;
  for (PlanEvent& event : plan.events) {
    for (Program& program : event.programs) {
      for (PlanOp& op : program.ops) changed += change(op) ? 1 : 0;
    }
  }
  return changed;
}

// The seed's layout, captured and replayed.
Lifecycle captured_plan(const property::LayoutCase& layout) {
  ExecutedPlan made(property::step_of_layout(layout)->plan);
  made.add(PlanEventKind::capture, 16, GraphMode::graph);
  made.replay(16, 16);
  return std::move(made.plan);
}

void expect_only_the_oracle_sees(const Lifecycle& plan, std::string_view fault) {
  const auto breaches = standing_breaches(Timeline(plan));
  EXPECT_TRUE(breaches.empty()) << fault << ": the laws see it too, " << breaches[0].law->name
                                << ": " << breaches[0].breach.blame;
  const Observation seen = run(plan, ElementType::bf16);
  ASSERT_EQ(seen.events.size(), 2U);
  // The capture itself is already wrong; what ran and what was predicted agree but for the rows.
  const EventObservation& capture = seen.events[0];
  EXPECT_EQ(capture.symptom, Symptom::silent_corruption) << fault << "\n" << property::told(seen);
  ASSERT_FALSE(capture.mismatches.empty()) << fault;
  for (const Mismatch& each : capture.mismatches) EXPECT_EQ(each.check, Check::oracle) << fault;
  EXPECT_TRUE(capture.place && capture.place->layer >= 0 && capture.place->op >= 0) << fault;
}

// A reduce that is dropped: a kernel takes its place and says that the sum is made.
TEST(Oracle, SeesADroppedReduce) {
  Lifecycle plan = captured_plan({.attn_tp = 4, .model = property::kMixedModel});
  ASSERT_EQ(run(plan, ElementType::bf16).first_failure(), nullptr);
  EXPECT_GT(change_ops(plan,
                       [](PlanOp& op) {
                         if (op.kind != PlanOpKind::all_reduce) return false;
                         op.kind = PlanOpKind::kernel;
                         op.group = {};
                         return true;
                       }),
            0);
  expect_only_the_oracle_sees(plan, "a dropped reduce");
}

// A sum over half of the ranks that hold a part, in a plan that leaves the layouts of its sums out,
// as an engine's dump may: no law can compare what is not said.
TEST(Oracle, SeesASumOverTheWrongGroup) {
  Lifecycle plan = captured_plan({.attn_tp = 4, .model = property::kMixedModel});
  ASSERT_EQ(run(plan, ElementType::bf16).first_failure(), nullptr);
  plan.families.push_back({.name = "half", .groups = {{0, 1}, {2, 3}}});
  index_groups(plan);
  const GroupId half = *plan.find_group("half");
  EXPECT_GT(change_ops(plan,
                       [half](PlanOp& op) {
                         if (op.kind != PlanOpKind::all_reduce) return false;
                         op.group = half;
                         op.in.clear();
                         op.out.reset();
                         return true;
                       }),
            0);
  expect_only_the_oracle_sees(plan, "a sum over the wrong group");
}

// A gather that is skipped: each rank puts its own rows into the buffer, and nobody else's.
TEST(Oracle, SeesASkippedGather) {
  Lifecycle plan = captured_plan(
      {.attn_tp = 4, .dense_fully_dp = true, .a2a = true, .model = property::kMixedModel});
  ASSERT_EQ(run(plan, ElementType::bf16).first_failure(), nullptr);
  EXPECT_GT(change_ops(plan,
                       [](PlanOp& op) {
                         if (op.kind != PlanOpKind::all_gather) return false;
                         op.kind = PlanOpKind::kernel;
                         op.group = {};
                         return true;
                       }),
            0);
  expect_only_the_oracle_sees(plan, "a skipped gather");
}

// The model of the seed's case in layers and kinds; rows are narrower.
const ModelShape& lite() {
  static const ModelShape shape = [] {
    ModelShape out = test::shape_of("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct");
    out.architecture = "LayerCommunicatorForCausalLM";
    out.num_attention_heads = 64;  // so that 64 ranks divide them
    out.num_key_value_heads = 64;
    return out;
  }();
  return shape;
}

// An order of additions or a number of ranks that changes a bit: all equal the oracle, whose bits
// know no ranks.
TEST(Oracle, TwentySevenLayersGiveTheSameBitsOnAnyNumberOfRanks) {
  std::int64_t cases = 0;
  for (const std::int64_t ranks : {2, 4, 8, 16, 64}) {
    for (const bool dense : {false, true}) {
      const std::string line = "--model-path m --tp-size " + std::to_string(ranks) +
                               (dense ? " --moe-dense-tp-size 1" : "");
      const EnginePlan made = test::plan_of(line, {.model = &lite()});
      ASSERT_FALSE(made.refusal) << test::refusal_text(made);
      const auto& step = test::path_of(made, "prefill").step->plan;
      ExecutedPlan plan(step);
      std::int64_t layers = 0;
      for (const ModelLayers& each : plan.plan.layers) layers += each.count;
      ASSERT_EQ(layers, 27);
      plan.add(PlanEventKind::eager, dense ? 64 : 7);
      for (const ElementType type : {ElementType::bf16, ElementType::fp16}) {
        if (type == ElementType::fp16 && ranks > 8) continue;
        const Observation seen = run(plan.plan, type);
        EXPECT_EQ(seen.first_failure(), nullptr) << line << "\n" << property::told(seen);
        EXPECT_GE(2 * seen.nonzero, seen.elements);
        ++cases;
      }
    }
  }
  property::visited(cases);
}

}  // namespace
}  // namespace capsize::oracle_property_test
