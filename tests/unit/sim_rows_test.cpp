// The walk over a step: which layouts an operation takes, and which ranks it compares.
#include <gtest/gtest.h>

#include "sim/usable.hpp"

namespace capsize {
namespace {

constexpr GroupId kWorld{0};
constexpr GroupId kRow{1};
constexpr GroupId kColumn{2};

// 3 x 2 ranks: rows of 3 neighbours, columns of 2 with stride 3.
SymbolicStep six_ranks() {
  Topology topology;
  topology.world = 6;
  topology.families = {{.name = "world", .size = 6, .groups = {{0, 1, 6}}},
                       {.name = "row", .size = 3, .groups = {{0, 1, 3}, {3, 1, 3}}},
                       {.name = "column", .size = 2, .groups = {{0, 3, 2}, {1, 3, 2}, {2, 3, 2}}}};
  SymbolicStep step;
  step.topology = std::make_shared<const Topology>(std::move(topology));
  step.entry_rows.base = step.exprs.n();
  return step;
}

UsableSet usable_with(SymbolicStep step, std::vector<Op> ops) {
  step.blocks = {{.kind = "dense", .ops = std::move(ops)}};
  return derive(step, 1000).usable;
}

// Would catch a walk that compares only the first and the last rank of two tensors whose uneven
// splits change over at different ranks: 7 rows split as 3, 2, 2 and 8 as 3, 3, 2.
TEST(WalkedRows, OperandsOfDifferentCountsAreComparedOnEveryRank) {
  SymbolicStep step = six_ranks();
  RankRows one_more{.base = step.exprs.add(step.exprs.n(), step.exprs.constant(1))};
  const UsableSet usable = usable_with(
      step,
      {{.kind = OpKind::slice, .slot = Slot::hidden, .group = kRow},
       {.kind = OpKind::take_own, .slot = Slot::residual, .group = kColumn, .buffer = one_more},
       {.kind = OpKind::slice, .slot = Slot::residual, .group = kRow},
       {.kind = OpKind::add_norm}});
  EXPECT_TRUE(usable.empty_tail());
  EXPECT_FALSE(usable.contains(7));
}

// Would catch a reduce-scatter that takes rows which are no unreduced sum.
TEST(WalkedRows, AReduceScatterNeedsAnUnreducedSum) {
  EXPECT_TRUE(
      usable_with(six_ranks(), {{.kind = OpKind::reduce_scatter, .group = kRow}}).empty_tail());
  const UsableSet usable =
      usable_with(six_ranks(), {{.kind = OpKind::attention, .group = kRow},
                                {.kind = OpKind::reduce_scatter, .group = kRow}});
  EXPECT_EQ(usable.modulus(), 3);
}

// Would catch a gather of rows that every rank holds already.
TEST(WalkedRows, AnAllGatherNeedsSplitRows) {
  SymbolicStep step = six_ranks();
  const RankRows whole = step.entry_rows;
  EXPECT_TRUE(usable_with(step, {{.kind = OpKind::all_gather, .group = kRow, .buffer = whole}})
                  .empty_tail());
  const UsableSet usable =
      usable_with(step, {{.kind = OpKind::slice, .group = kRow},
                         {.kind = OpKind::all_gather, .group = kRow, .buffer = whole}});
  EXPECT_EQ(usable.modulus(), 3);
}

// Would catch an MLP that is cut over ranks which hold different rows: its sums would mix them.
TEST(WalkedRows, WeightsAreNotCutOverRanksWithDifferentRows) {
  SymbolicStep step = six_ranks();
  step.entry_rows.push({SplitKind::parts, kColumn, 2});
  step.entry_layout.push({LayoutKind::scattered, kColumn});
  EXPECT_TRUE(usable_with(step, {{.kind = OpKind::mlp, .group = kWorld}}).empty_tail());
  EXPECT_EQ(usable_with(step, {{.kind = OpKind::mlp, .group = kRow}}).modulus(), 1);
}

// Would catch operands of one addition that are split along different axes.
TEST(WalkedRows, OperandsOfAnAdditionHaveOneLayout) {
  EXPECT_TRUE(
      usable_with(six_ranks(), {{.kind = OpKind::slice, .group = kRow},
                                {.kind = OpKind::slice, .slot = Slot::residual, .group = kColumn},
                                {.kind = OpKind::add_norm}})
          .empty_tail());
}

// Would catch a buffer that is summed over ranks which hold copies of the same rows.
TEST(WalkedRows, ASummedBufferHoldsEachRowOnce) {
  SymbolicStep step = six_ranks();
  step.entry_layout.push({LayoutKind::scattered, kColumn});
  const RankRows both{.base = step.exprs.scale(2, step.exprs.n())};
  const Op sum{.kind = OpKind::sum_into_buffer, .group = kWorld, .buffer = both};
  EXPECT_TRUE(usable_with(step, {sum}).empty_tail());
  EXPECT_EQ(usable_with(step, {{.kind = OpKind::attention, .group = kRow}, sum}).modulus(), 1);
}

}  // namespace
}  // namespace capsize
