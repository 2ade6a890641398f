// Usable sets: one finite window decides every count. Random obligations against brute force far
// beyond the window; the descriptions of a set (modulus, residues, exceptions) against its members.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <vector>

#include "sim/units.hpp"
#include "sim/usable.hpp"
#include "tests/support/random_exprs.hpp"

namespace capsize::sim_usable_test {
namespace {

using test::build;
using test::evaluate;
using test::Generator;
using test::odd_or_zero;
using test::RowTree;
using Counts = std::vector<std::int64_t>;

constexpr std::uint64_t kSeed = 20260609;
constexpr int kSets = 3000;
constexpr std::int64_t kLargestWindow = 4000;  // of those sets that are compared
constexpr std::int64_t kWindows = 4;           // beyond the first one

Obligation equal(Expr left, Expr right) {
  return {.kind = ObligationKind::equal, .left = left, .right = right, .reason = {}};
}
Obligation at_most(Expr left, std::int64_t bound) {
  return {.kind = ObligationKind::at_most, .left = left, .bound = bound, .reason = {}};
}
Obligation never() { return {.kind = ObligationKind::never, .reason = {}}; }

Expr multiple_of(Exprs& exprs, std::int64_t divisor) {
  return exprs.scale(divisor, exprs.floor_div(exprs.n(), divisor));
}

// One obligation as data, so that it can be met without the code under test.
struct Demand {
  ObligationKind kind = ObligationKind::equal;
  RowTree left;
  RowTree right;
  std::int64_t bound = 0;

  bool met_at(std::int64_t n) const {
    switch (kind) {
      case ObligationKind::equal: return evaluate(left, n) == evaluate(right, n);
      case ObligationKind::at_most: return evaluate(left, n) <= bound;
      case ObligationKind::never: return false;
    }
    return false;
  }
};

// Demands that are met by some counts and broken by others: `equal` compares a tree with a tree
// that differs from it by a remainder or by a guard more often than with an unrelated one.
Demand random_demand(Generator& random) {
  Demand demand;
  demand.left = random.tree(static_cast<int>(random.between(1, 3)));
  const std::int64_t kind = random.between(0, 19);
  if (kind == 0) {
    demand.kind = ObligationKind::never;
  } else if (kind < 5) {
    demand.kind = ObligationKind::at_most;
    demand.bound = random.between(-10, 120);
  } else if (kind < 13) {
    const std::int64_t divisor = random.between(1, 6);
    demand.right = tree_product(divisor, tree_quotient(demand.left, divisor));
  } else if (kind < 17) {
    demand.right = tree_guard(random.tree(1), random.between(1, 50), demand.left, random.tree(1));
  } else {
    demand.right = random.tree(2);
  }
  return demand;
}

struct Demands {
  std::vector<Demand> all;
  Exprs exprs;
  std::vector<Obligation> obligations;

  void add(Demand demand) {
    obligations.push_back({.kind = demand.kind,
                           .left = build(exprs, demand.left),
                           .right = build(exprs, demand.right),
                           .bound = demand.bound,
                           .reason = {}});
    all.push_back(std::move(demand));
  }
  bool met_at(std::int64_t n) const {
    return std::ranges::all_of(all, [n](const Demand& each) { return each.met_at(n); });
  }
};

// What the set says of its tail and its exceptions, put together again into a membership test.
bool described(const UsableSet& set, const Counts& residues, const Counts& usable,
               const Counts& unusable, std::int64_t n) {
  const auto has = [](const Counts& counts, std::int64_t value) {
    return std::ranges::find(counts, value) != counts.end();
  };
  if (has(usable, n)) return true;
  if (has(unusable, n)) return false;
  if (set.empty_tail()) return false;
  if (set.modulus()) return n % *set.modulus() == 0;
  return has(residues, n % set.period());
}

void expect_describes_itself(const UsableSet& set, int i) {
  const Counts residues = set.residues();
  const Counts usable = set.usable_exceptions();
  const Counts unusable = set.unusable_exceptions();
  EXPECT_EQ(set.empty_tail(), residues.empty()) << i;
  const auto tail_says = [&](std::int64_t n) { return described(set, residues, {}, {}, n); };
  for (const std::int64_t n : usable) ASSERT_TRUE(n < set.threshold() && !tail_says(n)) << i;
  for (const std::int64_t n : unusable) ASSERT_TRUE(n < set.threshold() && tail_says(n)) << i;
  const std::int64_t last = set.threshold() + 2 * set.period();
  for (std::int64_t n = 1; n < last; ++n) {
    ASSERT_EQ(described(set, residues, usable, unusable, n), set.contains(n))
        << "set " << i << " of seed " << kSeed << " at " << n;
  }
}

// Catches a window that is too short, a wrong period of a conjunction, and a description that
// speaks of another set than the members.
TEST(SimUsable, RandomObligationsAgreeWithBruteForce) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  Generator random(kSeed);
  int compared = 0;
  std::array<int, 4> seen{};  // all usable, a modulus above 1, other residues, an empty tail
  int with_exceptions = 0;
  for (int i = 0; i < kSets; ++i) {
    Demands demands;
    for (std::int64_t k = random.between(1, 3); k > 0; --k) demands.add(random_demand(random));
    const UsableSet set = usable_counts(demands.exprs, demands.obligations, 64);
    const std::int64_t window = set.threshold() + set.period();
    if (set.known() != Known::proved || window > kLargestWindow) continue;
    ++compared;
    for (std::int64_t n = 1; n < set.threshold() + (kWindows + 1) * set.period(); ++n) {
      ASSERT_EQ(set.contains(n), demands.met_at(n))
          << "set " << i << " of seed " << kSeed << " at " << n << ", T " << set.threshold()
          << ", P " << set.period();
    }
    expect_describes_itself(set, i);
    ++seen[set.empty_tail() ? 3U : !set.modulus() ? 2U : *set.modulus() > 1 ? 1U : 0U];
    with_exceptions += !set.usable_exceptions().empty() || !set.unusable_exceptions().empty();
  }
  EXPECT_GT(compared, kSets * 8 / 10);
  for (const int count : seen) EXPECT_GT(count, 20) << "a kind of tail was hardly met";
  EXPECT_GT(with_exceptions, 100);
}

// Catches one step for all residues where it decides an equality: f = n if n is odd, else 0, is
// equal to n on odd counts for ever, and to the constant 21 once.
TEST(SimUsable, MixedStepsDecideEqualities) {
  Exprs exprs;
  const Expr f = build(exprs, odd_or_zero());
  const std::array always{equal(f, exprs.n())};
  const UsableSet odd = usable_counts(exprs, always, 64);
  EXPECT_EQ(odd.known(), Known::proved);
  EXPECT_FALSE(odd.modulus());
  EXPECT_EQ(odd.period(), 2);
  EXPECT_EQ(odd.residues(), Counts{1});

  const std::array once{equal(f, exprs.constant(21))};
  const UsableSet single = usable_counts(exprs, once, 64);
  EXPECT_TRUE(single.empty_tail());
  EXPECT_EQ(single.usable_exceptions(), Counts{21});
  EXPECT_TRUE(single.contains(21));
  EXPECT_FALSE(single.contains(21 + 2 * single.period()));
}

// Catches a description of the tail that loses the modulus or an exception on either side.
TEST(SimUsable, TailAndExceptionsAreNamed) {
  Exprs exprs;
  const Expr n = exprs.n();
  // From 8 on multiples of 8, below 8 all even counts.
  const Expr left = exprs.if_at_least(n, 8, multiple_of(exprs, 8), multiple_of(exprs, 2));
  const std::array small{equal(left, n)};
  const UsableSet set = usable_counts(exprs, small, 64);
  EXPECT_EQ(set.modulus(), 8);
  EXPECT_EQ(set.usable_exceptions(), (Counts{2, 4, 6}));
  EXPECT_EQ(set.unusable_exceptions(), Counts{});

  // Multiples of 4, but none below 10.
  const Expr late = exprs.if_at_least(n, 10, multiple_of(exprs, 4), exprs.constant(-1));
  const std::array large{equal(late, n)};
  const UsableSet from_ten = usable_counts(exprs, large, 64);
  EXPECT_EQ(from_ten.modulus(), 4);
  EXPECT_EQ(from_ten.unusable_exceptions(), (Counts{4, 8}));
  EXPECT_EQ(from_ten.usable_exceptions(), Counts{});

  // Even counts below 20, multiples of 8 from there on: 8 and 16 are no exceptions.
  const Expr twenty = exprs.if_at_least(n, 20, multiple_of(exprs, 8), multiple_of(exprs, 2));
  const std::array even_then_eight{equal(twenty, n)};
  const UsableSet later = usable_counts(exprs, even_then_eight, 64);
  EXPECT_EQ(later.modulus(), 8);
  EXPECT_EQ(later.usable_exceptions(), (Counts{2, 4, 6, 10, 12, 14, 18}));
  EXPECT_EQ(later.unusable_exceptions(), Counts{});

  // A bound empties the tail; what lies below it is left as exceptions.
  const std::array bounded{equal(multiple_of(exprs, 3), n), at_most(n, 7)};
  const UsableSet few = usable_counts(exprs, bounded, 64);
  EXPECT_TRUE(few.empty_tail());
  EXPECT_FALSE(few.modulus());
  EXPECT_EQ(few.usable_exceptions(), (Counts{3, 6}));

  const std::array none{never()};
  EXPECT_TRUE(usable_counts(exprs, none, 64).empty_tail());
  EXPECT_FALSE(usable_counts(exprs, none, 64).contains(1));
}

// Catches residues that generate no ideal being called a modulus: 1 mod 4, and {0, 3} mod 4.
TEST(SimUsable, OtherResiduesHaveNoModulus) {
  const auto set_of = [](std::initializer_list<std::uint8_t> members) {
    return UsableSet(1, static_cast<std::int64_t>(members.size()), members, Known::proved);
  };
  EXPECT_FALSE(set_of({1, 0, 0, 0}).modulus());
  EXPECT_FALSE(set_of({0, 0, 1, 1}).modulus());
  EXPECT_EQ(set_of({0, 0, 1, 1}).residues(), (Counts{0, 3}));
  EXPECT_EQ(set_of({0, 1, 0, 1}).modulus(), 2);
  EXPECT_EQ(set_of({1, 1, 1}).modulus(), 1);
  EXPECT_FALSE(set_of({0, 0, 0}).modulus());
  EXPECT_TRUE(set_of({0, 0, 0}).empty_tail());
  EXPECT_EQ(UsableSet::all().modulus(), 1);
}

// Catches counts below 1 being called usable.
TEST(SimUsable, NothingBelowOneIsUsable) {
  Exprs exprs;
  const std::array even{equal(multiple_of(exprs, 2), exprs.n())};
  const UsableSet set = usable_counts(exprs, even, 64);
  EXPECT_FALSE(set.contains(0));
  EXPECT_FALSE(set.contains(-2));
  EXPECT_FALSE(UsableSet::all().contains(0));
  EXPECT_EQ(first_broken(exprs, even, 0), even.data());
  EXPECT_EQ(first_broken(exprs, even, 2), nullptr);
  EXPECT_EQ(first_broken(exprs, even, 3), even.data());
}

// Catches a blame that falls on a later operation than the first one in the step.
TEST(SimUsable, TheFirstBrokenObligationIsToBlame) {
  Exprs exprs;
  const std::array demands{equal(multiple_of(exprs, 2), exprs.n()),
                           equal(multiple_of(exprs, 3), exprs.n()), at_most(exprs.n(), 20)};
  EXPECT_EQ(first_broken(exprs, demands, 12), nullptr);
  EXPECT_EQ(first_broken(exprs, demands, 7), &demands[0]);
  EXPECT_EQ(first_broken(exprs, demands, 8), &demands[1]);
  EXPECT_EQ(first_broken(exprs, demands, 24), &demands[2]);
}

// Catches a proof that was claimed without a window: where the window passes the limit, counts
// are tried up to the largest presented one, nothing is claimed beyond it, and the word changes.
TEST(SimUsable, ALongWindowIsExhaustedNotProved) {
  Exprs exprs;
  std::vector<Obligation> demands;
  for (const std::int64_t prime : {2039, 2053, 2063}) {  // their product passes 2^22
    demands.push_back(
        equal(exprs.split_part(exprs.n(), prime, 0), exprs.floor_div(exprs.n(), prime)));
  }
  const std::int64_t largest = 3 * 2039;
  const UsableSet set = usable_counts(exprs, demands, largest);
  EXPECT_EQ(set.known(), Known::exhausted);
  for (std::int64_t n = 1; n <= largest; ++n) ASSERT_FALSE(set.contains(n)) << n;

  const std::array two{demands[0], demands[1]};
  const UsableSet within = usable_counts(exprs, two, largest);
  EXPECT_EQ(within.known(), Known::proved) << "2039 * 2053 is still below the limit";
  EXPECT_EQ(within.modulus(), 2039 * 2053);
  EXPECT_TRUE(within.contains(2 * 2039 * 2053));

  // A threshold beyond the limit is no window either.
  const Expr late =
      exprs.if_at_least(exprs.n(), 2 * kWindowLimit, exprs.constant(1), exprs.constant(0));
  const std::array only_small{equal(late, exprs.constant(0))};
  const UsableSet small = usable_counts(exprs, only_small, 100);
  EXPECT_EQ(small.known(), Known::exhausted);
  EXPECT_TRUE(small.contains(100));
  EXPECT_FALSE(small.contains(101)) << "nothing is claimed beyond what was tried";
}

}  // namespace
}  // namespace capsize::sim_usable_test
