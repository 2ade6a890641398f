// Conditions over axes: the grammar, the arithmetic, words, and where an error is shown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "sim/condition.hpp"
#include "sim/universe.hpp"

namespace capsize::sim_condition_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

AxisValue number(std::int64_t value) { return {std::to_string(value), value, {}}; }
AxisValue named(std::string name) { return {std::move(name), std::nullopt, {}}; }

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

// tp 6, cp 4, dense none (or 1), a2a deepep (or none), rules pre-23972 (or 23972), far 2^63 - 1.
std::vector<Axis> some_axes() {
  return {{"tp", {number(6), number(0)}},
          {"cp", {number(4), number(-4)}},
          {"dense", {named("none"), number(1)}},
          {"a2a", {named("deepep"), named("none")}},
          {"rules", {named("pre-23972"), number(23972), named("pre-2"), named("4 12")}},
          {"far", {number(kMost)}}};
}
std::vector<std::int32_t> first_member() { return {0, 0, 0, 0, 0, 0}; }

struct Example {
  std::string_view text;
  std::optional<std::int64_t> value;
};

// Would catch: a wrong precedence or associativity, truncating division, a wrapped overflow, a
// right side that is asked although the left one has settled it, a word taken for a number.
TEST(Condition, HasTheValueThatTheGrammarGives) {
  const std::vector<Axis> axes = some_axes();
  const std::optional<std::int64_t> no_value;
  const Example examples[] = {
      {"7", 7},
      {"2 + 3 * 4", 14},
      {"(2 + 3) * 4", 20},
      {"20 - 3 - 4", 13},
      {"20 / 3 / 2", 3},
      {"2 * 7 % 4", 2},
      {"--5", 5},
      {"2 - -3", 5},
      {"tp * cp", 24},
      {"tp%cp==2&&tp/cp==1", 1},
      {"7 / 2", 3},
      {"-7 / 2", -4},
      {"7 / -2", -4},
      {"-7 / -2", 3},
      {"-8 / 2", -4},
      {"7 % 3", 1},
      {"-7 % 3", 2},
      {"7 % -3", -2},
      {"-7 % -3", -1},
      {"-6 % 3", 0},
      {"7 / 0", no_value},
      {"7 % 0", no_value},
      {"9223372036854775807 + 1", no_value},
      {"-9223372036854775807 - 2", no_value},
      {"9223372036854775807 * 2", no_value},
      {"(-9223372036854775807 - 1) / -1", no_value},
      {"(-9223372036854775807 - 1) % -1", 0},
      {"-(-9223372036854775807 - 1)", no_value},
      {"far + 0", kMost},
      {"far + tp", no_value},
      {"1 < 2", 1},
      {"2 <= 2", 1},
      {"2 > 2", 0},
      {"2 >= 3", 0},
      {"2 != 3", 1},
      {"1 + 1 == 2", 1},
      {"!0", 1},
      {"!3", 0},
      {"!1 == 2", 1},
      {"!(1 == 2) && 1", 1},
      {"1 || 0 && 0", 1},
      {"(1 || 0) && 0", 0},
      {"5 || 0", 1},
      {"5 && 7", 1},
      {"0 || 0", 0},
      {"(0 || 2) + (3 && 4)", 2},
      {"1 || 1 / 0", 1},
      {"0 && 1 / 0", 0},
      {"1 / 0 || 1", no_value},
      {"0 || 1 / 0", no_value},
      {"!(1 / 0)", no_value},
      {"0 || 0 || 4", 1},
      {"1 && 1 && 0", 0},
      {"a2a == deepep", 1},
      {"a2a == none", 0},
      {"a2a != none", 1},
      {"deepep == a2a", 1},
      {"\"none\" != a2a", 1},
      {"(a2a) == 'deepep'", 1},
      {"dense == none", 1},
      {"dense == 1", 0},
      {"dense != 1", 1},
      {"1 != dense", 1},
      {"dense == tp", 0},
      {"tp != dense", 1},
      {"dense == a2a", 0},
      {"dense + 1", no_value},
      {"dense < 2", no_value},
      {"a2a", no_value},
      {"rules == pre-23972", 1},
      {"rules==pre-23972&&tp==6", 1},
      {"(rules != pre-2) * 3", 3},
      {"rules == \"4 12\"", 0},
      {"rules == 4 12", 0},
      {"rules == 23971 + 1", 0},
  };
  for (const Example& each : examples) {
    const auto condition = Condition::parse(each.text, axes, {});
    ASSERT_TRUE(condition) << each.text << ": " << condition.error().where << ": "
                           << condition.error().text;
    const auto value = condition->value(first_member());
    EXPECT_EQ(value, each.value) << each.text;
    EXPECT_EQ(condition->holds(first_member()), each.value.value_or(0) != 0) << each.text;
    EXPECT_EQ(condition->text(), each.text);
  }
}

// Would catch: words compared by their place on an axis instead of by their name.
TEST(Condition, ComparesTwoAxesByTheNamesOfTheirValues) {
  const std::vector<Axis> axes = some_axes();
  const auto condition = Condition::parse("dense == a2a", axes, {});
  ASSERT_TRUE(condition);
  EXPECT_TRUE(condition->holds(std::vector<std::int32_t>{0, 0, 0, 1, 0, 0}));   // none, none
  EXPECT_FALSE(condition->holds(std::vector<std::int32_t>{0, 0, 1, 1, 0, 0}));  // 1, none
  EXPECT_FALSE(condition->holds(std::vector<std::int32_t>{0, 0, 0, 0, 0, 0}));  // none, deepep
  const auto numbers = Condition::parse("rules == 23972", axes, {});
  ASSERT_TRUE(numbers);
  EXPECT_TRUE(numbers->holds(std::vector<std::int32_t>{0, 0, 0, 0, 1, 0}));
}

// Would catch: derived quantities that read the wrong axis, or whose axes are not told.
TEST(Condition, PutsDerivedQuantitiesIn) {
  const std::vector<Axis> axes = some_axes();
  std::vector<DerivedValue> derived;
  derived.push_back({"share", *Condition::parse("tp / cp", axes, derived)});
  derived.push_back({"twice", *Condition::parse("share + share", axes, derived)});
  derived.push_back({"wide", *Condition::parse("a2a == deepep || tp > 2", axes, derived)});
  const auto condition = Condition::parse("10 * twice - wide", axes, derived);
  ASSERT_TRUE(condition);
  EXPECT_EQ(condition->value(first_member()), 19);
  EXPECT_THAT(std::vector<std::size_t>(condition->axes().begin(), condition->axes().end()),
              ElementsAre(0, 1, 3));
}

// Would catch: quantities that double at each step filling the memory.
TEST(Condition, RefusesDerivedQuantitiesThatGrowWithoutEnd) {
  const std::vector<Axis> axes = some_axes();
  std::vector<DerivedValue> derived;
  derived.push_back({"d0", *Condition::parse("tp", axes, derived)});
  for (int i = 1; i < 64; ++i) {
    const std::string before = "d" + std::to_string(i - 1);
    auto next = Condition::parse(before + " + " + before, axes, derived);
    if (!next) {
      EXPECT_THAT(next.error().text, HasSubstr("too deep or too long"));
      return;
    }
    derived.push_back({"d" + std::to_string(i), *std::move(next)});
  }
  FAIL() << "2^63 additions were taken";
}

struct Wrong {
  std::string_view text;
  std::string_view where;
  std::string_view says;
  std::string_view hint;
};

// Would catch: an error at the wrong column, a name that is let through, a hint that names nothing.
TEST(Condition, SaysWhereATextIsNoCondition) {
  const std::vector<Axis> axes = some_axes();
  const std::string deep = std::string(60, '(') + "1" + std::string(60, ')');
  const std::string minus = std::string(3000, '-') + "1";
  const std::string many = std::string(5000, '1');
  const Wrong examples[] = {
      {"", "column 1", "ends where", "number"},
      {"tp +", "column 5", "ends where", ""},
      {"tp + * 2", "column 6", "\"*\" is not expected", ""},
      {"(tp", "column 4", "ends where", ""},
      {"tp)", "column 3", "\")\" is not expected", ""},
      {"tp = 6", "column 4", "\"=\" is not expected", "write \"==\""},
      {"tp & cp", "column 4", "\"&\" is not expected", "write \"&&\""},
      {"1 < 2 < 3", "column 7", "\"<\" is not expected", "one comparison"},
      {"tp cp", "column 4", "not expected", ""},
      {"!!tp", "column 2", "\"!\" is not expected", ""},
      {"tpp % 2", "column 1", "no axis \"tpp\"", "did you mean tp?"},
      {"2 * (cp + nothing)", "column 11", "no axis \"nothing\"", "known here: tp, cp"},
      {"tp == none", "column 7", "no axis \"none\"", ""},
      {"none == tp", "column 1", "no axis \"none\"", ""},
      {"a2a == deepp", "column 8", "a2a has no value \"deepp\"", "did you mean deepep?"},
      {"wrong == a2a", "column 1", "a2a has no value \"wrong\"", "known here: deepep, none"},
      {"rules == pre-23973", "column 10", "no value \"pre-23973\"", "did you mean pre-23972?"},
      {"a2a < deepep", "column 7", "no axis \"deepep\"", ""},
      {"a2a == 'deepep", "column 8", "not closed", "close"},
      {"a2a == deepep + 1", "column 15", "\"+\" is not expected", ""},
      {"9223372036854775808", "column 1", "past 64 bits", "smaller"},
      {"4x", "column 1", "\"4x\" is neither", "quote"},
      {"\xC3\xA9", "column 1", "a byte that is no text", ""},
      {deep, "column 49", "nested deeper than 48", "derived"},
      {minus, "column 49", "nested deeper than 48", "derived"},
      {many, "column 1", "longer than 4096", "split"},
  };
  for (const Wrong& each : examples) {
    const auto condition = Condition::parse(each.text, axes, {});
    ASSERT_FALSE(condition) << each.text;
    EXPECT_EQ(condition.error().where, each.where) << each.text;
    EXPECT_THAT(condition.error().text, HasSubstr(std::string(each.says))) << each.text;
    EXPECT_THAT(condition.error().hint, HasSubstr(std::string(each.hint))) << each.text;
  }
}

}  // namespace
}  // namespace capsize::sim_condition_test
