// The contract "divisible by attn_tp * attn_cp" as shard arithmetic: a communicator of nobody,
// whose rows are cut in a zigzag over context parallelism and whose buffers are as large as the
// shard. In layout (4, 2) the filter of #23972 keeps what such a step cannot split; in (2, 4) all
// that it keeps is sound, and it wastes a size.
#include <gtest/gtest.h>

#include "sim/engines/sglang/groups.hpp"
#include "tests/property/property_run.hpp"
#include "tests/property/row_simulation.hpp"
#include "tests/property/sglang_generators.hpp"

namespace capsize::property::synthetic_test {
namespace {

std::shared_ptr<const DerivedStep> shard_sized_step(std::int64_t attn_tp, std::int64_t attn_cp) {
  using sglang::kAttnCp;
  using sglang::kAttnTp;
  auto step = std::make_shared<DerivedStep>();
  SymbolicStep& plan = step->plan;
  plan.path = "synthetic";
  plan.topology = std::make_shared<const Topology>(
      sglang::topology_of({.tp = attn_tp * attn_cp, .attn_cp = attn_cp}));
  plan.entry_layout.push({LayoutKind::scattered, kAttnCp});
  plan.entry_rows.base = plan.exprs.n();
  plan.entry_rows.push({SplitKind::zigzag, kAttnCp, attn_cp});
  plan.blocks = {{.kind = "dense",
                  .ops = {{.kind = OpKind::add_norm},
                          {.kind = OpKind::attention, .group = kAttnTp},
                          {.kind = OpKind::slice, .slot = Slot::residual, .group = kAttnTp},
                          {.kind = OpKind::reduce_scatter, .group = kAttnTp},
                          {.kind = OpKind::add_norm},
                          {.kind = OpKind::local},
                          {.kind = OpKind::all_gather,
                           .group = kAttnTp,
                           .buffer = plan.entry_rows,
                           .buffer_name = "shard"}}}};
  step->requirement = derive(step->plan, 1 << 20);
  return step;
}

PlantedPlan default_plan(std::int64_t attn_tp, std::int64_t attn_cp) {
  const SizeList list =
      sglang::default_sizes({.gpu_memory_mib = 81559, .piecewise_max_tokens = 2048})
          .piecewise_tokens;
  PlantedPlan plan = plan_of(PrefillCase{.filter = {attn_tp, attn_cp, true}, .candidates = list},
                             shard_sized_step(attn_tp, attn_cp));
  plan.fail_on_waste = true;
  return plan;
}

// 4 rows on (4, 2) are shards of 2 that 4 ranks cannot split: both laws see it at 4, and as the
// captures go backwards the first that fails is the largest odd multiple of 4.
TEST(SyntheticCommunicator, FourByTwoBreaksFromFourOn) {
  const PlantedPlan plan = default_plan(4, 2);
  for (const std::string_view law : {"divisible", "filter_keeps_contract"}) {
    const Finding finding = finding_of(law, plan);
    ASSERT_EQ(finding.verdict, LawVerdict::violation) << law;
    EXPECT_EQ(finding.witness.value().tokens, 4) << law;
    EXPECT_EQ(finding.first_in_time.value().tokens, 28) << law;
  }
  EXPECT_EQ(finding_of("divisible", plan).witness->op, "reduce_scatter");
  EXPECT_EQ(finding_of("divisible", plan).witness->group, "attn_tp");
  EXPECT_EQ(finding_of("no_needless_drop", plan).verdict, LawVerdict::pass);
}

TEST(SyntheticCommunicator, TwoByFourIsSoundAndWastesFour) {
  const PlantedPlan plan = default_plan(2, 4);
  EXPECT_EQ(finding_of("divisible", plan).verdict, LawVerdict::pass);
  EXPECT_EQ(finding_of("divisible", plan).known, Known::proved);
  EXPECT_EQ(finding_of("filter_keeps_contract", plan).verdict, LawVerdict::pass);
  const Finding waste = finding_of("no_needless_drop", plan);
  ASSERT_EQ(waste.verdict, LawVerdict::violation);
  EXPECT_EQ(waste.witness.value().tokens, 4);
  EXPECT_TRUE(waste.reason.starts_with("1 dropped size ")) << waste.reason;
}

// Over a range of layouts the set that follows from the shards is what moving rows shows, and the
// contract of the source is enough wherever context parallelism is on.
TEST(SyntheticCommunicator, TheContractIsEnoughInEveryLayout) {
  std::int64_t count = 0;
  for (std::int64_t attn_tp = 1; attn_tp <= 6; ++attn_tp) {
    for (std::int64_t attn_cp = 1; attn_cp <= 5; ++attn_cp) {
      const auto step = shard_sized_step(attn_tp, attn_cp);
      for (std::int64_t n = 1; n <= 90; ++n) {
        const bool runs = stops_at(step->plan, n).empty();
        ASSERT_EQ(step->requirement.usable.contains(n), runs)
            << attn_tp << " " << attn_cp << " at " << n;
        if (n % (attn_tp * attn_cp) == 0) {
          ASSERT_TRUE(runs) << attn_tp << " " << attn_cp << " " << n;
        }
        ++count;
      }
    }
  }
  EXPECT_EQ(count, 6 * 5 * 90);
  visited(count);
}

}  // namespace
}  // namespace capsize::property::synthetic_test
