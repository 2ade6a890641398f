// The requirement of a step, derived, in six examples that can be worked by hand; three of them
// on steps that are written out here, so that the walk is tested without any engine.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "sim/engines/sglang/capture.hpp"
#include "sim/engines/sglang/history.hpp"
#include "sim/engines/sglang/layers.hpp"
#include "tests/support/sglang_launch.hpp"

namespace capsize::sglang::derivation_examples_test {
namespace {

using test::path_of;
using test::plan_of;
using test::shape_of;
using Counts = std::vector<std::int64_t>;

constexpr std::int64_t kFar = 600;  // counts that every example is compared over

std::string shape_text(const UsableSet& set) {
  std::string text = set.empty_tail() ? "none"
                     : !set.modulus() ? "residues"
                                      : "multiples of " + std::to_string(*set.modulus());
  for (const std::int64_t n : set.usable_exceptions()) text += " +" + std::to_string(n);
  for (const std::int64_t n : set.unusable_exceptions()) text += " -" + std::to_string(n);
  return text;
}

template <class Predicate>
void expect_usable(const UsableSet& set, Predicate usable) {
  EXPECT_EQ(set.known(), Known::proved);
  for (std::int64_t n = 1; n <= kFar; ++n) ASSERT_EQ(set.contains(n), usable(n)) << n;
}

Counts kept_by_filter(std::int64_t attn_tp, std::int64_t attn_cp, const Counts& sizes) {
  const PrefillFilterInput in{.attn_tp = attn_tp, .attn_cp = attn_cp, .gathered = true};
  return prefill_filter_at(Version::pr_23972).apply(in, sizes).kept;
}

Counts up_to(std::int64_t last) {
  Counts out(static_cast<std::size_t>(last));
  std::iota(out.begin(), out.end(), 1);
  return out;
}

// {kept and not usable, dropped and usable}
struct Difference {
  Counts unsafe;
  Counts waste;
};

Difference compare(const Counts& sizes, const Counts& kept, const UsableSet& usable) {
  Difference out;
  for (const std::int64_t size : sizes) {
    const bool is_kept = std::ranges::find(kept, size) != kept.end();
    if (is_kept && !usable.contains(size)) out.unsafe.push_back(size);
    if (!is_kept && usable.contains(size)) out.waste.push_back(size);
  }
  return out;
}

Counts default_list() {
  return default_sizes({.gpu_memory_mib = 81559, .piecewise_max_tokens = 2048}).piecewise_tokens;
}

// A communicator of nobody: rows cut in a zigzag over context parallelism, and every buffer as
// large as the shard it receives.
SymbolicStep shard_sized_step(std::int64_t attn_tp, std::int64_t attn_cp) {
  const Sizes sizes{.tp = attn_tp * attn_cp, .attn_cp = attn_cp};
  SymbolicStep step;
  step.path = "synthetic";
  step.topology = std::make_shared<const Topology>(topology_of(sizes));
  step.entry_layout.push({LayoutKind::scattered, kAttnCp});
  step.entry_rows.base = step.exprs.n();
  step.entry_rows.push({SplitKind::zigzag, kAttnCp, attn_cp});
  step.blocks.push_back(
      {.kind = "dense",
       .ops = {{.kind = OpKind::add_norm},
               {.kind = OpKind::attention, .group = kAttnTp},
               {.kind = OpKind::slice, .slot = Slot::residual, .group = kAttnTp},
               {.kind = OpKind::reduce_scatter, .group = kAttnTp},
               {.kind = OpKind::add_norm},
               {.kind = OpKind::local},
               {.kind = OpKind::all_gather, .group = kAttnTp, .buffer = step.entry_rows}}});
  return step;
}

UsableSet usable_of(SymbolicStep step) { return derive(step, 1 << 20).usable; }

// The engine's own step of a model.
SymbolicStep engine_step(const Sizes& sizes, const ModelShape& model, const StepInput& more) {
  StepInput in = more;
  in.communicator.sizes = sizes;
  in.topology = std::make_shared<const Topology>(topology_of(sizes));
  in.model = &model;
  in.facts = facts_of(model);
  return step_of("prefill", in);
}

// 1. Catches a reduce-scatter that asks nothing, or asks where it does not run.
TEST(DerivationExamples, One_ReduceScatterOverAttentionTpAsksItsSize) {
  const Sizes sizes{.tp = 8};
  const StepInput dense_fully_dp{.communicator = {.dense_fully_dp = true}};
  const UsableSet lite =
      usable_of(engine_step(sizes, shape_of("deepseek-ai/DeepSeek-V2-Lite"), dense_fully_dp));
  EXPECT_EQ(shape_text(lite), "multiples of 8");
  expect_usable(lite, [](std::int64_t n) { return n % 8 == 0; });

  const UsableSet sparse =
      usable_of(engine_step(sizes, shape_of("Qwen/Qwen3-30B-A3B"), dense_fully_dp));
  EXPECT_EQ(shape_text(sparse), "multiples of 1");
  expect_usable(sparse, [](std::int64_t) { return true; });
}

// 1, further: 28 rows over 8 ranks are 4,4,4,4,3,3,3,3. No rank's own arithmetic shows that fault;
// catches a walk that looks at one rank only. The blame falls on the reduce-scatter.
TEST(DerivationExamples, One_ThePartsOf28RowsDifferBetweenRanks) {
  SymbolicStep step = engine_step({.tp = 8}, shape_of("deepseek-ai/DeepSeek-V2-Lite"),
                                  StepInput{.communicator = {.dense_fully_dp = true}});
  const Requirement requirement = derive(step, 1 << 20);
  const Obligation* broken = first_broken(step.exprs, requirement.walked.obligations, 28);
  ASSERT_NE(broken, nullptr);
  EXPECT_EQ(step.exprs.value_at(broken->left, 28), 4);
  EXPECT_EQ(step.exprs.value_at(broken->right, 28), 3);
  const auto& block = step.blocks[static_cast<std::size_t>(broken->block)];
  EXPECT_EQ(block.kind, "first_dense");
  EXPECT_EQ(block.ops[static_cast<std::size_t>(broken->op)].kind, OpKind::reduce_scatter);
  EXPECT_EQ(first_broken(step.exprs, requirement.walked.obligations, 32), nullptr);
}

// 2. Catches a filter base of A where the shards of A * C rows are split by A.
TEST(DerivationExamples, Two_ShardsOfContextTwoSplitByFour) {
  const UsableSet usable = usable_of(shard_sized_step(4, 2));
  EXPECT_EQ(shape_text(usable), "multiples of 8");
  expect_usable(usable, [](std::int64_t n) { return n % 8 == 0; });

  const Counts sizes = up_to(64);
  const Difference all = compare(sizes, kept_by_filter(4, 2, sizes), usable);
  EXPECT_EQ(all.unsafe, (Counts{4, 12, 20, 28, 36, 44, 52, 60}));
  EXPECT_EQ(all.waste, Counts{});
}

// 3. Catches a guard that is not seen: below 2 * C rows context parallelism is off.
TEST(DerivationExamples, Three_ShardsOfContextFourSplitByTwo) {
  const UsableSet usable = usable_of(shard_sized_step(2, 4));
  EXPECT_EQ(shape_text(usable), "multiples of 8 +2 +4 +6");
  expect_usable(usable, [](std::int64_t n) { return n < 8 ? n % 2 == 0 : n % 8 == 0; });

  const Counts sizes = up_to(64);
  const Difference all = compare(sizes, kept_by_filter(2, 4, sizes), usable);
  EXPECT_EQ(all.unsafe, Counts{});
  EXPECT_EQ(all.waste, (Counts{2, 4, 6}));
  const Counts by_default = default_list();
  EXPECT_EQ(compare(by_default, kept_by_filter(2, 4, by_default), usable).waste, Counts{4});
}

// Rows of the ranks of one context-parallel group, block by block.
Counts dealt_in_zigzag(std::int64_t rows, std::int64_t ranks) {
  Counts out(static_cast<std::size_t>(ranks), rows);
  if (rows < 2 * ranks) return out;
  std::ranges::fill(out, 0);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t block = row % (2 * ranks);
    ++out[static_cast<std::size_t>(std::min(block, 2 * ranks - 1 - block))];
  }
  return out;
}

// 2 and 3, for every pair of sizes, against the rows of every rank. Catches a walk that looks at
// the first shard only: at attention TP 3 and CP 2, 5 rows are 3 and 2.
TEST(DerivationExamples, ShardsOfEverySizeAgreeWithEveryRank) {
  for (std::int64_t attn_tp = 2; attn_tp <= 8; ++attn_tp) {
    for (std::int64_t attn_cp = 2; attn_cp <= 6; ++attn_cp) {
      const UsableSet usable = usable_of(shard_sized_step(attn_tp, attn_cp));
      for (std::int64_t n = 1; n <= 300; ++n) {
        const bool divides = std::ranges::all_of(
            dealt_in_zigzag(n, attn_cp), [&](std::int64_t rows) { return rows % attn_tp == 0; });
        ASSERT_EQ(usable.contains(n), divides)
            << n << " rows, attention TP " << attn_tp << ", CP " << attn_cp;
      }
    }
  }
}

// 4. Catches a walk that reads the operands and not the buffers: the engine's gathers deliver n/C
// rows into a buffer of n.
TEST(DerivationExamples, Four_TheEnginesBuffersHoldTheUnsplitCount) {
  const ModelShape& model = shape_of("Qwen/Qwen3-30B-A3B");
  const StepInput split{.communicator = {.a2a = true}, .splits_context = true};
  const UsableSet four_two = usable_of(engine_step({.tp = 8, .attn_cp = 2, .ep = 8}, model, split));
  EXPECT_EQ(shape_text(four_two), "none");
  expect_usable(four_two, [](std::int64_t) { return false; });

  const UsableSet two_four = usable_of(engine_step({.tp = 8, .attn_cp = 4, .ep = 8}, model, split));
  EXPECT_EQ(shape_text(two_four), "none +2 +4 +6");
  expect_usable(two_four, [](std::int64_t n) { return n < 8 && n % 2 == 0; });

  const Counts sizes = up_to(256);
  for (const std::int64_t attn_cp : {2, 4}) {
    const std::int64_t attn_tp = 8 / attn_cp;
    const Counts kept = kept_by_filter(attn_tp, attn_cp, sizes);
    const UsableSet& usable = attn_cp == 2 ? four_two : two_four;
    EXPECT_FALSE(kept.empty());
    EXPECT_EQ(compare(sizes, kept, usable).unsafe, kept) << "every kept size is unsafe";
  }
}

// 5. Catches halves that are not padded, and a reduce-scatter before the split that is forgotten.
TEST(DerivationExamples, Five_TwoBatchOverlapPadsItsHalves) {
  const Sizes sizes{.tp = 2, .ep = 2};
  StepInput in{.communicator = {.a2a = true, .two_batch_overlap = true}, .splits_batch = true};
  const UsableSet sparse = usable_of(engine_step(sizes, shape_of("Qwen/Qwen3-30B-A3B"), in));
  EXPECT_EQ(shape_text(sparse), "multiples of 1");
  expect_usable(sparse, [](std::int64_t) { return true; });

  const ModelShape& lite = shape_of("deepseek-ai/DeepSeek-V2-Lite");
  expect_usable(usable_of(engine_step(sizes, lite, in)), [](std::int64_t) { return true; });
  in.communicator.dense_fully_dp = true;
  const UsableSet before = usable_of(engine_step(sizes, lite, in));
  EXPECT_EQ(shape_text(before), "multiples of 2");
  expect_usable(before, [](std::int64_t n) { return n % 2 == 0; });

  // The decode filter keeps multiples of 4 here: what it drops is usable, so it is waste.
  const DecodeFilterInput filter{
      .pool = 2048, .attn_tp = 2, .gathered = true, .two_batch_overlap = true};
  Counts batch_sizes = up_to(16);
  const Counts kept = decode_filter(filter, batch_sizes).kept;
  EXPECT_EQ(kept, (Counts{4, 8, 12, 16}));
  EXPECT_EQ(compare(up_to(16), kept, sparse).unsafe, Counts{});
  EXPECT_EQ(compare(up_to(8), kept, sparse).waste, (Counts{1, 2, 3, 5, 6, 7}));
  EXPECT_EQ(compare(up_to(8), kept, before).waste, (Counts{2, 6}));
}

// The two halves are walked one by one: the odd request goes to the second.
TEST(DerivationExamples, Five_TheHalvesOfAnOddBatch) {
  SymbolicStep step = engine_step(
      {.tp = 4, .ep = 4}, shape_of("Qwen/Qwen3-30B-A3B"),
      StepInput{.communicator = {.a2a = true, .two_batch_overlap = true}, .splits_batch = true});
  Counts rows;
  for (const LayerBlock& block : step.blocks) {
    if (block.enters_with) rows.push_back(step.exprs.value_at(block.enters_with->base, 9));
  }
  EXPECT_EQ(rows, (Counts{4, 8}));  // 4 and 5 requests, each padded to a multiple of 4
}

// A model whose weights six ranks can cut.
ModelShape made_for_six() {
  ModelShape shape = shape_of("deepseek-ai/DeepSeek-V2-Lite");
  shape.name = "made for six ranks";
  shape.num_attention_heads = 408;
  shape.num_key_value_heads = 408;
  shape.vocab_size = 104448;
  shape.moe_intermediate_size = 1632;
  return shape;
}

// 6. Catches waste that is claimed where coverage is lost: no dropped size was usable, and still
// everything from 1537 to 2048 tokens runs without a graph.
TEST(DerivationExamples, Six_SixRanksLoseCoverageWithoutWaste) {
  const ModelShape shape = made_for_six();
  const EnginePlan plan =
      plan_of("--model-path made --tp-size 6 --moe-dense-tp-size 1", {.model = &shape});
  ASSERT_FALSE(plan.refusal) << test::refusal_text(plan);
  const CapturePath& prefill = path_of(plan, "prefill");
  ASSERT_TRUE(prefill.enabled) << prefill.disabled_by;
  const UsableSet& usable = prefill.step->requirement.usable;
  EXPECT_EQ(shape_text(usable), "multiples of 6");
  EXPECT_EQ(prefill.candidates.size(), 42U);
  EXPECT_EQ(prefill.candidates, default_list());
  EXPECT_EQ(prefill.kept,
            (Counts{12, 24, 48, 96, 144, 192, 240, 288, 384, 480, 576, 768, 960, 1536}));
  EXPECT_EQ(prefill.dropped.size(), 28U);
  const Difference difference = compare(prefill.candidates, prefill.kept, usable);
  EXPECT_EQ(difference.unsafe, Counts{});
  EXPECT_EQ(difference.waste, Counts{});
  EXPECT_EQ(prefill.lookup(prefill.kept, 1536), 1536);
  EXPECT_EQ(prefill.lookup(prefill.kept, 1537), std::nullopt);
}

}  // namespace
}  // namespace capsize::sglang::derivation_examples_test
