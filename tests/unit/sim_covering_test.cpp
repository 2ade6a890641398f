// Covering arrays of small universes, and what the checker says of rows that do not cover.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/covering.hpp"
#include "sim/member_search.hpp"

namespace capsize::sim_covering_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Universe universe_of(const std::vector<std::size_t>& sizes,
                     const std::vector<std::string>& constraints = {}) {
  Universe out;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Axis axis{std::string(1, static_cast<char>('a' + i)), {}};
    for (std::int64_t value = 0; value < static_cast<std::int64_t>(sizes[i]); ++value) {
      axis.values.push_back({std::to_string(value), value, {}});
    }
    out.axes.push_back(std::move(axis));
    out.members *= sizes[i];
  }
  for (const std::string& each : constraints) {
    out.constraints.push_back({each, *Condition::parse(each, out.axes, out.derived)});
  }
  return out;
}

// Would catch: rows that are missing, or one row for each combination. The best possible are 9 for
// four axes of three values (an orthogonal array) and 4 for three axes of two.
TEST(Covering, CoversPairsWithFewRows) {
  for (const auto& [sizes, rows_most] :
       std::vector<std::pair<std::vector<std::size_t>, std::size_t>>{
           {{2, 2, 2}, 5}, {{3, 3, 3, 3}, 13}, {{5, 4, 3, 2, 2}, 25}}) {
    const Universe universe = universe_of(sizes);
    const auto array = covering_array(universe, {.strength = 2});
    ASSERT_TRUE(array);
    EXPECT_LE(array->rows.size(), rows_most);
    const auto coverage = coverage_of(universe, {.strength = 2}, array->rows);
    ASSERT_TRUE(coverage);
    EXPECT_TRUE(coverage->complete());
    EXPECT_EQ(coverage->covered, array->covered);
    EXPECT_EQ(array->infeasible, 0U);
  }
}

// Would catch: a checker that takes rows at their word.
TEST(Covering, TellsWhatRowsDoNotCover) {
  const Universe universe = universe_of({2, 2, 2}, {"a + b + c < 3"});
  const CoveringRequest pairs{.strength = 2};
  auto array = covering_array(universe, pairs);
  ASSERT_TRUE(array);
  for (std::size_t left_out = 0; left_out < array->rows.size(); ++left_out) {
    auto rows = array->rows;
    rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(left_out));
    const auto coverage = coverage_of(universe, pairs, rows);
    ASSERT_TRUE(coverage);
    EXPECT_FALSE(coverage->complete()) << "without row " << left_out;
    EXPECT_FALSE(coverage->missing.empty());
  }
  const auto none = coverage_of(universe, pairs, {});
  ASSERT_TRUE(none);
  EXPECT_EQ(none->combinations, 12U);
  EXPECT_EQ(none->missing.front(), (Combination{{0, 1}, {0, 0}}));
  const auto wrong = coverage_of(universe, pairs, std::vector<MemberChoices>{{1, 1, 1}});
  ASSERT_TRUE(wrong);
  EXPECT_THAT(wrong->no_members, ElementsAre(0));
  EXPECT_EQ(wrong->covered, 0U);
}

// Would catch: a combination that no member holds although no single constraint forbids it, taken
// for one that is missing. Here a < b and b < c leave nothing with a = 1 and c = 2.
TEST(Covering, LeavesOutWhatFollowsFromSeveralConstraints) {
  const Universe universe = universe_of({3, 3, 4}, {"a < b", "b < c"});
  const auto array = covering_array(universe, {.strength = 2});
  ASSERT_TRUE(array);
  for (const MemberChoices& row : array->rows) EXPECT_FALSE(row[0] == 1 && row[2] == 2);
  const auto coverage = coverage_of(universe, {.strength = 2}, array->rows);
  ASSERT_TRUE(coverage);
  EXPECT_TRUE(coverage->complete());
  EXPECT_EQ(coverage->infeasible, array->infeasible);
  EXPECT_EQ(coverage->combinations + coverage->infeasible, 9U + 12U + 12U);
}

// Would catch: a strength that is none, a part without members, tables past memory.
TEST(Covering, RefusesWhatItCannotMake) {
  const Universe universe = universe_of({2, 2});
  for (const std::size_t strength : {std::size_t{0}, std::size_t{3}}) {
    const auto array = covering_array(universe, {.strength = strength});
    ASSERT_FALSE(array);
    EXPECT_EQ(array.error().where, "--strength");
  }
  CoveringRequest nowhere{.strength = 2};
  nowhere.where = *Condition::parse("a > 1", universe.axes, {});
  const auto array = covering_array(universe, nowhere);
  ASSERT_FALSE(array);
  EXPECT_EQ(array.error().where, "--where");
  const auto huge = covering_array(universe_of({60000, 60000}), {.strength = 2});
  ASSERT_FALSE(huge);
  EXPECT_THAT(huge.error().text, HasSubstr("more than 2^26"));
}

// Would catch: a search that gives up and calls it proved, or that changes the choices it was
// given.
TEST(MemberSearch, SaysWhenItGivesUp) {
  const Universe universe = universe_of({100, 100, 100}, {"a + b + c == 297", "a != b"});
  std::vector<const Condition*> conditions;
  for (const Constraint& each : universe.constraints) conditions.push_back(&each.condition);
  const MemberSearch search(universe.axes, conditions);
  MemberChoices choices = {-1, 5, -1};
  EXPECT_EQ(search.complete(choices, 50), Completion::undecided);
  EXPECT_THAT(choices, ElementsAre(-1, 5, -1));
  EXPECT_EQ(search.complete(choices, 1'000'000), Completion::none);
  EXPECT_THAT(choices, ElementsAre(-1, 5, -1));
  choices[1] = 99;
  EXPECT_EQ(search.complete(choices, 1'000'000), Completion::none);
  choices[1] = -1;
  const Universe open = universe_of({100, 100, 100}, {"a + b + c == 297"});
  const Condition* only = &open.constraints.front().condition;
  EXPECT_EQ(MemberSearch(open.axes, {&only, 1}).complete(choices, 4'000'000), Completion::found);
  EXPECT_THAT(choices, ElementsAre(99, 99, 99));
}

}  // namespace
}  // namespace capsize::sim_covering_test
