// divisible in plans, against rows that are dealt out one by one: all small groups and counts, and
// random plans with groups of several sizes.
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <set>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/plan_laws.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::property::divisible_plan_test {
namespace {

// Deals `rows` to `ranks` in turn; whether all hold the same number in the end.
bool deals_equally(std::int64_t rows, std::int64_t ranks) {
  std::vector<std::int64_t> hands(static_cast<std::size_t>(ranks), 0);
  for (std::int64_t row = 0; row < rows; ++row) ++hands[static_cast<std::size_t>(row % ranks)];
  return std::ranges::all_of(hands, [&](std::int64_t hand) { return hand == hands.front(); });
}

struct OpCase {
  PlanOpKind kind = PlanOpKind::reduce_scatter;
  std::int64_t rows = 0;
  bool says_sizes = false;
};

PlanOp op_of(const OpCase& in, GroupId group) {
  PlanOp op = parts::op(in.kind, group);
  if (in.kind == PlanOpKind::all_gather) {
    op.rows_out = in.rows;
  } else {
    op.rows_in = {in.rows};
  }
  if (in.says_sizes) op.sizes = {in.rows};
  return op;
}

bool is_judged(const OpCase& in) {
  return !in.says_sizes &&
         (in.kind == PlanOpKind::reduce_scatter || in.kind == PlanOpKind::all_gather);
}

constexpr std::array kKinds = {PlanOpKind::reduce_scatter, PlanOpKind::all_gather,
                               PlanOpKind::all_reduce, PlanOpKind::all_to_all};

// A count that does not divide and passes, one that does and is flagged, a symptom that does not
// follow from the transport: every kind, group of up to six ranks, count of up to 24 rows.
TEST(DivisiblePlanProperty, EverySmallGroupAndCount) {
  const std::array symptoms = {std::pair(Transport::checked, Symptom::clean_error),
                               std::pair(Transport::raw, Symptom::hang),
                               std::pair(Transport::peer, Symptom::silent_corruption)};
  std::int64_t cases = 0;
  std::int64_t broken = 0;
  for (std::int32_t ranks = 1; ranks <= 6; ++ranks) {
    Lifecycle plan{.world = ranks};
    std::vector<std::int32_t> members(static_cast<std::size_t>(ranks));
    for (std::int32_t i = 0; i < ranks; ++i) members[static_cast<std::size_t>(i)] = i;
    const GroupId group = parts::add_group(plan, "g", {members});
    for (const PlanOpKind kind : kKinds) {
      for (std::int64_t rows = 0; rows <= 24; ++rows) {
        for (const bool says_sizes : {false, true}) {
          for (const auto& [transport, symptom] : symptoms) {
            const OpCase in{kind, rows, says_sizes};
            plan.families[0].transport = transport;
            plan.events = {parts::eager(
                "p", rows, {parts::eager_program({0, ranks - 1}, rows, {op_of(in, group)})})};
            const auto breaches = property::breaches_of("divisible", parts::finish(plan));
            const bool expected = is_judged(in) && !deals_equally(rows, ranks);
            ++cases;
            broken += expected ? 1 : 0;
            ASSERT_EQ(breaches.size(), expected ? 1U : 0U)
                << name_of(kind) << " of " << rows << " rows over " << ranks;
            if (!expected) continue;
            EXPECT_EQ(breaches[0].symptom, symptom);
            EXPECT_EQ(breaches[0].group_size, ranks);
          }
        }
      }
    }
  }
  EXPECT_EQ(cases, 6 * 4 * 25 * 2 * 3);
  visited(cases);
  EXPECT_GT(broken, 400);
}

// Groups of one, two and three ranks in one class: an operation that one of them cannot do is
// flagged for that one, and no other.
TEST(DivisiblePlanProperty, RandomPlansWithGroupsOfSeveralSizes) {
  EXPECT_TRUE(holds("every group that cannot share is found", [] {
    Lifecycle plan{.world = 12};
    const GroupId group =
        parts::add_group(plan, "g", {{0}, {1, 2}, {3, 4, 5}, {6, 7, 8, 9, 10, 11}});
    const auto first = *generators::evenly(0, 12);
    const auto last = *generators::evenly(first, 12);
    std::vector<OpCase> cases;
    std::vector<PlanOp> ops;
    const auto count = *generators::evenly(1, 7);
    for (std::int64_t i = 0; i < count; ++i) {
      cases.push_back({*generators::one_of<PlanOpKind>({kKinds.begin(), kKinds.end()}),
                       *generators::evenly(0, 19), *generators::evenly(0, 8) == 7});
      ops.push_back(op_of(cases.back(), group));
    }
    plan.events = {parts::eager("p", 1, {parts::eager_program({first, last}, 1, ops)})};
    std::multiset<std::pair<std::int64_t, std::int64_t>> expected;  // place, group size
    const Lifecycle& done = parts::finish(plan);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      for (const auto& members : done.families[0].groups) {
        const bool met = std::ranges::any_of(
            members, [&](std::int32_t rank) { return rank >= first && rank <= last; });
        if (met && is_judged(cases[i]) && !deals_equally(cases[i].rows, std::ssize(members))) {
          expected.emplace(i, std::ssize(members));
        }
      }
    }
    std::multiset<std::pair<std::int64_t, std::int64_t>> found;
    for (const Breach& breach : property::breaches_of("divisible", done)) {
      const auto& written = done.events[0].programs[0].ops;
      found.emplace(breach.at - written.data(), breach.group_size);
      RC_ASSERT(done.size_at(group, *breach.rank) == breach.group_size);
    }
    RC_ASSERT(found == expected);
  }));
}

// Weights whose parts are not equal, or not whole blocks: every dimension of up to 48.
TEST(DivisiblePlanProperty, EverySmallWeight) {
  for (const std::int32_t ranks : {1, 2, 3, 4}) {
    Lifecycle plan{.world = 4};
    std::vector<std::int32_t> members;
    for (std::int32_t i = 0; i < ranks; ++i) members.push_back(i);
    const GroupId group = parts::add_group(plan, "g", {members});
    for (std::int64_t dim = 1; dim <= 48; ++dim) {
      for (const std::int64_t block : {1, 2, 3, 4, 8}) {
        plan.weights = {{.name = "w", .dim = dim, .group = group, .block = block}};
        // Blocks are dealt to the ranks; a dimension that is no whole number of them is not.
        const bool whole = deals_equally(dim, block) && deals_equally(dim / block, ranks);
        ASSERT_EQ(property::breaches_of("divisible", parts::finish(plan)).empty(), whole)
            << dim << " in blocks of " << block << " over " << ranks;
      }
    }
  }
}

}  // namespace
}  // namespace capsize::property::divisible_plan_test
