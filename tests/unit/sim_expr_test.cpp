// Row expressions: the lemma (f(n + P) = f(n) + s_(n mod P) from T on) against brute force, and
// every helper against a naive account of what it says.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "sim/expr.hpp"
#include "sim/rows.hpp"
#include "sim/units.hpp"
#include "tests/support/random_exprs.hpp"

namespace capsize::sim_expr_test {
namespace {

using test::build;
using test::evaluate;
using test::Generator;
using test::odd_or_zero;
using test::RowTree;

constexpr std::uint64_t kSeed = 20260430;
constexpr int kTrees = 6000;
constexpr std::int64_t kPeriodLimit = 4096;
constexpr std::int64_t kWindows = 3;  // beyond the first one

// The first n at which the claimed period does not hold, or 0.
std::int64_t first_failure(const RowTree& tree, const Period& period) {
  const auto size = static_cast<std::size_t>(period.period);
  if (period.threshold < 1 || period.period < 1 || period.steps.size() != size) return -1;
  std::vector<std::int64_t> window;
  window.reserve(size);
  const std::int64_t first = period.threshold;
  for (std::int64_t n = first; n < first + period.period; ++n) window.push_back(evaluate(tree, n));
  for (std::int64_t n = first; n < first + kWindows * period.period; ++n) {
    const auto slot = static_cast<std::size_t>((n - first) % period.period);
    const std::int64_t next = evaluate(tree, n + period.period);
    if (next != window[slot] + period.steps[static_cast<std::size_t>(n % period.period)]) return n;
    window[slot] = next;
  }
  return 0;
}

// Catches a period, a threshold or a step that is derived wrongly by any rule of the lemma's table.
TEST(SimExpr, EveryRandomExpressionIsEventuallyPeriodic) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  Generator random(kSeed);
  int compared = 0;
  int late = 0;
  int mixed = 0;
  for (int i = 0; i < kTrees; ++i) {
    const RowTree tree = random.tree(static_cast<int>(random.between(1, 4)));
    Exprs exprs;
    const Expr f = build(exprs, tree);
    const auto period = exprs.period_of(f, kPeriodLimit);
    if (!period) continue;
    ++compared;
    late += period->threshold > 1;
    mixed += std::ranges::adjacent_find(period->steps, std::ranges::not_equal_to{}) !=
             period->steps.end();
    ASSERT_EQ(first_failure(tree, *period), 0) << "expression " << i << " of seed " << kSeed;
  }
  // The comparison would be empty of meaning without late thresholds and unequal steps.
  EXPECT_GT(compared, kTrees * 9 / 10);
  EXPECT_GT(late, kTrees / 20);
  EXPECT_GT(mixed, kTrees / 20);
}

// Catches an evaluation that differs from the plain reading of the tree, hash-consing that takes
// two expressions for one, and a simplification that changes a value.
TEST(SimExpr, ValuesAgreeWithARecursiveReading) {
  Generator random(kSeed + 1);
  Exprs shared;  // grows far past its first table
  for (int i = 0; i < 1500; ++i) {
    const RowTree tree = random.tree(4);
    const Expr f = build(shared, tree);
    ASSERT_EQ(f, build(shared, tree)) << "built twice, expression " << i;
    for (const std::int64_t n : {1, 2, 3, 7, 28, 100}) {
      ASSERT_EQ(shared.value_at(f, n), evaluate(tree, n)) << "expression " << i << " at " << n;
    }
  }
  EXPECT_GT(shared.size(), 256u);
}

// Catches one step for all residues: n on odd n and 0 on even n moves by 2 and by 0.
TEST(SimExpr, StepsMayDifferBetweenResidues) {
  Exprs exprs;
  const Expr f = build(exprs, odd_or_zero());
  const auto period = exprs.period_of(f, kPeriodLimit);
  ASSERT_TRUE(period);
  EXPECT_EQ(period->period, 2);
  EXPECT_EQ(period->steps, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(first_failure(odd_or_zero(), *period), 0);

  // A quotient on top of unequal steps needs the multiplier of the worst residue.
  const RowTree third = test::tree_quotient(odd_or_zero(), 3);
  Exprs other;
  const auto of_third = other.period_of(build(other, third), kPeriodLimit);
  ASSERT_TRUE(of_third);
  EXPECT_EQ(of_third->period, 6);
  EXPECT_EQ(first_failure(third, *of_third), 0);
}

// Catches a threshold that ends before a slow guard settles, on either side.
TEST(SimExpr, GuardsSettleOnTheSideThatTheStepLeadsTo) {
  Exprs exprs;
  const Expr n = exprs.n();
  const Expr growing = exprs.if_at_least(exprs.floor_div(n, 10), 7, n, exprs.constant(0));
  const auto grown = exprs.period_of(growing, kPeriodLimit);
  ASSERT_TRUE(grown);
  EXPECT_GE(grown->threshold, 61);  // residue 0 reaches 7 at 70, the others one period earlier
  EXPECT_EQ(exprs.value_at(growing, 69), 0);
  EXPECT_EQ(exprs.value_at(growing, 70), 70);

  const Expr falling = exprs.if_at_least(exprs.scale(-1, n), -20, exprs.constant(5), n);
  const auto fallen = exprs.period_of(falling, kPeriodLimit);
  ASSERT_TRUE(fallen);
  EXPECT_EQ(fallen->threshold, 21);
  EXPECT_EQ(fallen->steps, std::vector<std::int64_t>{1});
}

// Catches a period that is cut at the limit instead of being given up.
TEST(SimExpr, GivesUpWhereThePeriodPassesTheLimit) {
  Exprs exprs;
  const Expr f = exprs.add(exprs.floor_div(exprs.n(), 64), exprs.floor_div(exprs.n(), 63));
  EXPECT_FALSE(exprs.period_of(f, 64 * 63 - 1));
  ASSERT_TRUE(exprs.period_of(f, 64 * 63));
  EXPECT_EQ(exprs.period_of(f, 64 * 63)->period, 64 * 63);
  EXPECT_EQ(lcm_within(64, 63, 64 * 63), 64 * 63);
  EXPECT_FALSE(lcm_within(64, 63, 64 * 63 - 1));
}

// Catches division that truncates toward zero: -1 // 2 is -1.
TEST(SimExpr, DivisionFloorsNegativeNumbers) {
  EXPECT_EQ(div_floor(-1, 2), -1);
  EXPECT_EQ(div_floor(-4, 2), -2);
  EXPECT_EQ(div_ceil(-1, 2), 0);
  EXPECT_EQ(align_up(0, 8), 0);
  EXPECT_EQ(align_up(-3, 8), 0);
  EXPECT_EQ(align_up(9, 8), 16);
  for (std::int64_t dividend = -40; dividend <= 40; ++dividend) {
    for (std::int64_t divisor = 1; divisor <= 9; ++divisor) {
      ASSERT_EQ(div_floor(dividend, divisor), test::floor_of(dividend, divisor));
      const std::int64_t up = div_ceil(dividend, divisor);
      ASSERT_TRUE(up * divisor >= dividend && (up - 1) * divisor < dividend);
    }
  }
  Exprs exprs;
  EXPECT_EQ(exprs.floor_div(exprs.constant(-1), 2), exprs.constant(-1));
  const Expr below = exprs.floor_div(exprs.subtract(exprs.constant(0), exprs.n()), 4);
  EXPECT_EQ(exprs.value_at(below, 1), -1);
  EXPECT_EQ(exprs.value_at(below, 4), -1);
  EXPECT_EQ(exprs.value_at(below, 5), -2);
}

// Rows of `parts` parts, dealt one row at a time.
std::vector<std::int64_t> dealt(std::int64_t rows, std::int64_t parts) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(parts), 0);
  for (std::int64_t row = 0; row < rows; ++row) ++out[static_cast<std::size_t>(row % parts)];
  return out;
}

// Catches a split that loses rows or puts the long parts elsewhere.
TEST(SimExpr, SplitPartsAreThoseOfTensorSplit) {
  for (std::int64_t parts = 1; parts <= 16; ++parts) {
    Exprs exprs;
    std::vector<Expr> part;
    for (std::int64_t j = 0; j < parts; ++j) part.push_back(exprs.split_part(exprs.n(), parts, j));
    std::vector<std::int64_t> values;
    for (std::int64_t n = 0; n < 200; ++n) {
      exprs.values_at(n, values);
      const std::vector<std::int64_t> expected = dealt(n, parts);
      std::int64_t sum = 0;
      for (std::size_t j = 0; j < part.size(); ++j) {
        const std::int64_t rows = values[static_cast<std::size_t>(part[j].index)];
        sum += rows;
        ASSERT_EQ(rows, expected[j]) << n << " rows, part " << j << " of " << parts;
      }
      ASSERT_EQ(sum, n);
    }
  }
}

// Catches a wrong rounding of the padding.
TEST(SimExpr, AlignUpIsTheLeastMultipleNotBelow) {
  Exprs exprs;
  for (std::int64_t multiple = 1; multiple <= 12; ++multiple) {
    const Expr up = exprs.align_up(exprs.n(), multiple);
    for (std::int64_t n = 0; n < 60; ++n) {
      std::int64_t expected = n;
      while (expected % multiple != 0) ++expected;
      ASSERT_EQ(exprs.value_at(up, n), expected) << n << " to " << multiple;
    }
  }
}

// Catches a zigzag whose shards differ from dealing 2C blocks by hand: rank i takes block i and
// the block as far from the end.
TEST(SimExpr, ZigzagDealsBlocksFromBothEnds) {
  for (std::int64_t ranks = 1; ranks <= 16; ++ranks) {
    Exprs exprs;
    std::vector<Expr> shard;
    for (std::int64_t i = 0; i < ranks; ++i) {
      shard.push_back(exprs.zigzag_part(exprs.n(), ranks, i));
    }
    std::vector<std::int64_t> values;
    for (std::int64_t n = 0; n < 300; ++n) {
      exprs.values_at(n, values);
      const std::vector<std::int64_t> blocks = dealt(n, 2 * ranks);
      std::vector<std::int64_t> expected(static_cast<std::size_t>(ranks), 0);
      for (std::size_t block = 0; block < blocks.size(); ++block) {
        const std::size_t rank = std::min(block, blocks.size() - 1 - block);
        expected[rank] += blocks[block];
      }
      for (std::size_t i = 0; i < shard.size(); ++i) {
        ASSERT_EQ(values[static_cast<std::size_t>(shard[i].index)], expected[i])
            << n << " rows, rank " << i << " of " << ranks;
      }
    }
  }
}

// Catches a walk that looks at too few ranks. The walk compares only the first and the last
// position of an axis; that is enough because every part has as many rows as one of the two.
TEST(SimExpr, EveryPartEqualsTheFirstOrTheLast) {
  for (std::int64_t ways = 1; ways <= 16; ++ways) {
    for (const SplitKind kind : {SplitKind::parts, SplitKind::zigzag}) {
      Topology topology;
      topology.world = ways;
      topology.families = {{"axis", ways, {{0, 1, ways}}, {}, Transport::checked, true}};
      Exprs exprs;
      RankRows rows{.base = exprs.n()};
      rows.push({kind, GroupId{0}, ways});
      std::vector<Expr> parts;
      for (std::int64_t i = 0; i < ways; ++i) parts.push_back(rows_of(exprs, topology, rows, i));
      std::vector<std::int64_t> values;
      for (std::int64_t n = 0; n < 600; ++n) {
        exprs.values_at(n, values);
        const auto value = [&](Expr e) { return values[static_cast<std::size_t>(e.index)]; };
        for (std::size_t i = 0; i < parts.size(); ++i) {
          ASSERT_TRUE(value(parts[i]) == value(parts.front()) ||
                      value(parts[i]) == value(parts.back()))
              << n << " rows over " << ways << ", position " << i;
        }
        const bool inactive = kind == SplitKind::zigzag && n < 2 * ways;
        if (inactive) {
          ASSERT_EQ(value(parts.back()), n) << "the split is inactive below 2C";
        }
      }
    }
  }
}

}  // namespace
}  // namespace capsize::sim_expr_test
