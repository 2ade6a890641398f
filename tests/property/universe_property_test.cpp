// Universes: conditions against an evaluation that reads a tree off in wide integers and texts,
// numbering there and back, the search for members and covering arrays against trying every member;
// and that the constraints of shipped universes remove nothing that the engine would take.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <set>

#include "scenarios/formats/universe.hpp"
#include "scenarios/sweep/member_judge.hpp"
#include "sim/covering.hpp"
#include "sim/member_search.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/property_run.hpp"
#include "tests/support/random_exprs.hpp"

namespace capsize::universe_property_test {
namespace {

using property::Histogram;
using test::Generator;
__extension__ typedef __int128 Wide;

// ---- random universes ------------------------------------------------------------------------

constexpr const char* kWords[] = {"none", "pre-2", "pre-23972", "on", "4 12"};

Axis random_axis(Generator& random, std::string name) {
  Axis axis{std::move(name), {}};
  const auto count = random.between(1, 4);
  const bool large = random.between(0, 9) == 0;
  for (std::int64_t i = 0; i < count; ++i) {
    AxisValue value;
    if (random.between(0, 2) == 0) {
      value.name = kWords[static_cast<std::size_t>(random.between(0, 4))];
    } else {
      const std::int64_t number = random.between(-3, 6);
      value.number = large ? std::int64_t{1} << (56 + random.between(0, 6)) : number;
      value.name = std::to_string(*value.number);
    }
    if (std::ranges::find(axis.values, value.name, &AxisValue::name) == axis.values.end()) {
      axis.values.push_back(std::move(value));
    }
  }
  return axis;
}

Universe random_universe(Generator& random) {
  Universe out;
  const auto count = random.between(1, 5);
  for (std::int64_t i = 0; i < count; ++i) {
    out.axes.push_back(random_axis(random, std::string(1, static_cast<char>('a' + i))));
    out.members *= out.axes.back().values.size();
  }
  return out;
}

bool has_words(const Axis& axis) {
  return std::ranges::any_of(axis.values, [](const auto& each) { return !each.number; });
}

// ---- random conditions -----------------------------------------------------------------------

// A tree beside its text. An axis may stand alone on a side of == and is then compared by name.
struct Tree {
  std::string op;           // "number", "axis", "word", "negate", "!" or the operator itself
  std::int64_t number = 0;  // of a number; of an axis, its place
  std::string word = {};
  std::vector<Tree> parts = {};
};

int rank_of(const std::string& op) {
  if (op == "||") return 1;
  if (op == "&&") return 2;
  if (op == "!") return 3;
  if (op == "+" || op == "-") return 5;
  if (op == "*" || op == "/" || op == "%") return 6;
  const bool atom = op == "number" || op == "axis" || op == "word" || op == "negate";
  return atom ? 7 : 4;
}

// With as few parentheses as the grammar allows, so that ranks and sides are what is tested.
std::string text_of(const Tree& tree, const Universe& universe, int rank_least) {
  const int rank = rank_of(tree.op);
  const auto part = [&](std::size_t i, int least) {
    return text_of(tree.parts[i], universe, least);
  };
  std::string out;
  if (tree.op == "number") {
    out = std::to_string(tree.number);
  } else if (tree.op == "axis") {
    out = universe.axes[static_cast<std::size_t>(tree.number)].name;
  } else if (tree.op == "word") {
    out = "\"" + tree.word + "\"";
  } else if (tree.op == "negate") {
    out = "-" + part(0, 7);
  } else if (tree.op == "!") {
    out = "!" + part(0, 4);
  } else {
    const bool comparison = rank == 4;
    out = part(0, comparison ? 5 : rank) + " " + tree.op + " " + part(1, comparison ? 5 : rank + 1);
  }
  return rank < rank_least ? "(" + out + ")" : out;
}

Tree random_tree(Generator& random, const Universe& universe, int depth) {
  const auto below = [&] { return random_tree(random, universe, depth - 1); };
  const auto axis = [&] { return Tree{"axis", random.between(0, std::ssize(universe.axes) - 1)}; };
  const auto kind = depth == 0 ? random.between(0, 3) : random.between(0, 13);
  if (kind <= 1) return axis();
  if (kind == 2) return {"number", random.between(0, 7)};
  if (kind == 3) return {"number", std::int64_t{1} << random.between(30, 62)};
  if (kind == 4) return {"negate", 0, "", {below()}};
  if (kind == 5) return {"!", 0, "", {below()}};
  if (kind == 6) {
    Tree side = axis();
    const Axis& of = universe.axes[static_cast<std::size_t>(side.number)];
    if (has_words(of)) {
      const auto at = static_cast<std::size_t>(random.between(0, std::ssize(of.values) - 1));
      Tree word{"word", 0, of.values[at].name};
      if (random.between(0, 1) == 0) std::swap(side, word);
      return {random.between(0, 1) == 0 ? "==" : "!=", 0, "", {side, word}};
    }
  }
  static const std::vector<std::string> kOperators = {"||", "&&", "==", "!=", "<", "<=", ">",
                                                      ">=", "+",  "-",  "*",  "/", "%"};
  const auto op = static_cast<std::size_t>(random.between(0, std::ssize(kOperators) - 1));
  return {kOperators[op], 0, "", {below(), below()}};
}

// The value by the words of the grammar: in 128 bits, with every result looked at.
class Reader {
 public:
  Reader(const Universe& universe, const MemberChoices& choices)
      : universe_(universe), choices_(choices) {}

  [[nodiscard]] std::optional<Wide> value(const Tree& tree) const {
    const auto found = unchecked(tree);
    const Wide most = (Wide{1} << 63) - 1;
    if (!found || *found > most || *found < -most - 1) return std::nullopt;
    return found;
  }

 private:
  [[nodiscard]] const AxisValue& chosen(const Tree& axis) const {
    const auto at = static_cast<std::size_t>(axis.number);
    return universe_.axes[at].values[static_cast<std::size_t>(choices_[at])];
  }

  [[nodiscard]] bool speaks_in_words(const Tree& tree) const {
    return tree.op == "axis" && has_words(universe_.axes[static_cast<std::size_t>(tree.number)]);
  }

  // What a side is called: a word, the name of an axis' value, or the digits of a number.
  [[nodiscard]] std::optional<std::string> called(const Tree& tree) const {
    if (tree.op == "word") return tree.word;
    if (tree.op == "axis") return chosen(tree).name;
    const auto number = value(tree);
    if (!number) return std::nullopt;
    return std::to_string(static_cast<std::int64_t>(*number));
  }

  [[nodiscard]] std::optional<Wide> equality(const Tree& tree) const {
    const bool wanted = tree.op == "==";
    if (speaks_in_words(tree.parts[0]) || speaks_in_words(tree.parts[1])) {
      const auto left = called(tree.parts[0]);
      const auto right = called(tree.parts[1]);
      if (!left || !right) return std::nullopt;
      return (*left == *right) == wanted ? 1 : 0;
    }
    const auto left = value(tree.parts[0]);
    const auto right = value(tree.parts[1]);
    if (!left || !right) return std::nullopt;
    return (*left == *right) == wanted ? 1 : 0;
  }

  [[nodiscard]] std::optional<Wide> unchecked(const Tree& tree) const {
    if (tree.op == "number") return tree.number;
    if (tree.op == "axis") {
      const auto& number = chosen(tree).number;
      return number ? std::optional<Wide>(*number) : std::nullopt;
    }
    if (tree.op == "==" || tree.op == "!=") return equality(tree);
    const auto left = value(tree.parts[0]);
    if (!left) return std::nullopt;
    if (tree.op == "negate") return -*left;
    if (tree.op == "!") return *left == 0 ? 1 : 0;
    if (tree.op == "||" && *left != 0) return 1;
    if (tree.op == "&&" && *left == 0) return 0;
    const auto right = value(tree.parts[1]);
    if (!right) return std::nullopt;
    return combined(tree.op, *left, *right);
  }

  [[nodiscard]] static std::optional<Wide> combined(const std::string& op, Wide left, Wide right) {
    if (op == "||" || op == "&&") return right != 0 ? 1 : 0;
    if (op == "<") return left < right ? 1 : 0;
    if (op == "<=") return left <= right ? 1 : 0;
    if (op == ">") return left > right ? 1 : 0;
    if (op == ">=") return left >= right ? 1 : 0;
    if (op == "+") return left + right;
    if (op == "-") return left - right;
    if (op == "*") return left * right;
    if (right == 0) return std::nullopt;
    // The quotient is the greatest q with q * right on the side of left that `right` points from.
    Wide quotient = left / right;
    while (right > 0 ? quotient * right > left : quotient * right < left) --quotient;
    const bool has_quotient = quotient <= (Wide{1} << 63) - 1;
    if (op == "/") return has_quotient ? std::optional<Wide>(quotient) : std::nullopt;
    return left - quotient * right;
  }

  const Universe& universe_;
  const MemberChoices& choices_;
};

// Would catch: a wrong rank of an operator, a jump to the wrong place, truncation, a wrap, words
// compared across axes by their place.
TEST(UniverseProperty, ConditionsHaveTheValueOfTheirTree) {
  Histogram seen;
  seen.declare("value", {"none", "0", "1", "other"});
  seen.declare("axes read", {"0", "1", "2", "3", "4"});
  EXPECT_TRUE(property::holds("compiled conditions are worth what their trees are", [&seen] {
    Generator random(*rc::gen::arbitrary<std::uint64_t>());
    const Universe universe = random_universe(random);
    const Tree tree = random_tree(random, universe, static_cast<int>(random.between(1, 4)));
    const std::string text = text_of(tree, universe, 1);
    const auto condition = Condition::parse(text, universe.axes, {});
    if (!condition) RC_FAIL(text + ": " + condition.error().where + ": " + condition.error().text);
    MemberChoices choices(universe.axes.size());
    for (int i = 0; i < 4; ++i) {
      const auto last = static_cast<std::int64_t>(universe.members) - 1;
      universe.unrank(static_cast<std::uint64_t>(random.between(0, last)), choices);
      const auto expected = Reader(universe, choices).value(tree);
      const auto value = condition->value(choices);
      if (value.has_value() != expected.has_value() || (value && *value != *expected)) {
        RC_FAIL(text + " at " + universe.text_of(choices) + " is " +
                (value ? std::to_string(*value) : "no value"));
      }
      seen.count("value", std::string(!value        ? "none"
                                      : *value == 0 ? "0"
                                      : *value == 1 ? "1"
                                                    : "other"));
    }
    seen.count("axes read", std::ssize(condition->axes()));
  }));
  seen.print("conditions");
}

// ---- members ---------------------------------------------------------------------------------

// Would catch: two members of one number, or an order that is not that of the digits.
TEST(UniverseProperty, MembersAreNumberedThereAndBack) {
  EXPECT_TRUE(property::holds("rank(unrank(n)) is n, and members are in order", [] {
    Generator random(*rc::gen::arbitrary<std::uint64_t>());
    const Universe universe = random_universe(random);
    MemberChoices before;
    MemberChoices choices(universe.axes.size());
    for (std::uint64_t number = 0; number < universe.members; ++number) {
      universe.unrank(number, choices);
      RC_ASSERT(universe.rank(choices) == number);
      RC_ASSERT(number == 0 || before < choices);
      before = choices;
    }
  }));
}

// A universe with constraints that leave some of its members, and these by trying every one.
struct Constrained {
  Universe universe;
  CoveringRequest request;
  std::vector<const Condition*> conditions;
  std::vector<MemberChoices> members;
};

std::unique_ptr<Constrained> random_constrained(Generator& random) {
  auto out = std::make_unique<Constrained>();
  Universe& universe = out->universe = random_universe(random);
  const auto condition = [&] {
    const Tree tree = random_tree(random, universe, static_cast<int>(random.between(1, 2)));
    return *Condition::parse(text_of(tree, universe, 1), universe.axes, {});
  };
  const auto count = random.between(0, 2);
  for (std::int64_t i = 0; i < count; ++i) universe.constraints.push_back({"why", condition()});
  if (random.between(0, 2) == 0) out->request.where = condition();
  out->request.strength = static_cast<std::size_t>(
      random.between(1, std::min<std::int64_t>(3, std::ssize(universe.axes))));
  for (const Constraint& each : universe.constraints) out->conditions.push_back(&each.condition);
  if (out->request.where) out->conditions.push_back(&*out->request.where);
  MemberChoices choices(universe.axes.size());
  for (std::uint64_t number = 0; number < universe.members; ++number) {
    universe.unrank(number, choices);
    const auto holds = [&](const Condition* each) { return each->holds(choices); };
    if (std::ranges::all_of(out->conditions, holds)) out->members.push_back(choices);
  }
  return out;
}

bool fits(const MemberChoices& member, const MemberChoices& asked) {
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (asked[i] >= 0 && asked[i] != member[i]) return false;
  }
  return true;
}

// Would catch: a member that the search passes over, or one that it makes up.
TEST(UniverseProperty, TheSearchFindsAMemberWhereThereIsOne) {
  Histogram seen;
  seen.declare("found", {"yes", "no"});
  EXPECT_TRUE(property::holds("a search ends as trying every member does", [&seen] {
    Generator random(*rc::gen::arbitrary<std::uint64_t>());
    const auto the = random_constrained(random);
    const MemberSearch search(the->universe.axes, the->conditions);
    MemberChoices asked;
    for (const Axis& axis : the->universe.axes) {
      const bool free = random.between(0, 1) == 0;
      const std::int64_t last = std::ssize(axis.values) - 1;
      asked.push_back(free ? -1 : static_cast<std::int32_t>(random.between(0, last)));
    }
    const bool is_there =
        std::ranges::any_of(the->members, [&](const auto& each) { return fits(each, asked); });
    MemberChoices found = asked;
    const Completion completion = search.complete(found, 1'000'000);
    RC_ASSERT(completion == (is_there ? Completion::found : Completion::none));
    if (is_there) {
      RC_ASSERT(fits(found, asked));
      RC_ASSERT(std::ranges::find(the->members, found) != the->members.end());
    } else {
      RC_ASSERT(found == asked);
    }
    seen.count("found", is_there);
  }));
  seen.print("searches for members");
}

// All combinations of `strength` axes that some of these rows hold, each with its axes.
std::set<std::vector<std::int32_t>> held_by(const std::vector<MemberChoices>& rows,
                                            std::size_t axes, std::size_t strength) {
  std::set<std::vector<std::int32_t>> out;
  for (std::uint32_t mask = 0; mask < 1U << axes; ++mask) {
    if (static_cast<std::size_t>(std::popcount(mask)) != strength) continue;
    for (const MemberChoices& row : rows) {
      std::vector<std::int32_t> held(axes, -1);
      for (std::size_t i = 0; i < axes; ++i) {
        if ((mask >> i & 1U) != 0) held[i] = row[i];
      }
      out.insert(std::move(held));
    }
  }
  return out;
}

// Would catch: a combination that no row holds, a row that is no member, a combination called
// impossible that a member holds, and a checker that counts otherwise.
TEST(UniverseProperty, CoveringArraysHoldWhatMembersHold) {
  Histogram seen;
  seen.declare("strength", {"1", "2", "3"});
  seen.declare("members", {"none", "some", "all"});
  EXPECT_TRUE(property::holds("rows hold every combination that a member holds", [&seen] {
    Generator random(*rc::gen::arbitrary<std::uint64_t>());
    const auto the = random_constrained(random);
    const std::size_t axes = the->universe.axes.size();
    const std::size_t strength = the->request.strength;
    seen.count("strength", static_cast<std::int64_t>(strength));
    const auto array = covering_array(the->universe, the->request);
    RC_ASSERT(array.has_value() == !the->members.empty());
    seen.count("members", std::string(the->members.empty()                          ? "none"
                                      : the->members.size() < the->universe.members ? "some"
                                                                                    : "all"));
    if (!array) return;
    for (const MemberChoices& row : array->rows) {
      RC_ASSERT(std::ranges::find(the->members, row) != the->members.end());
    }
    const auto wanted = held_by(the->members, axes, strength);
    RC_ASSERT(held_by(array->rows, axes, strength) == wanted);
    RC_ASSERT(array->covered == wanted.size());
    RC_ASSERT(array->rows.size() <= wanted.size());
    auto rows = array->rows;
    if (random.between(0, 1) == 0) rows.pop_back();
    const auto coverage = coverage_of(the->universe, the->request, rows);
    RC_ASSERT(coverage.has_value());
    RC_ASSERT(coverage->combinations == wanted.size());
    RC_ASSERT(coverage->infeasible == array->infeasible);
    RC_ASSERT(coverage->covered == held_by(rows, axes, strength).size());
    RC_ASSERT(coverage->missing.empty() == (coverage->covered == wanted.size()));
  }));
  seen.print("covering arrays");
}

// ---- shipped universes -----------------------------------------------------------------------

// Would catch: a constraint that is stronger than what the engine refuses, and so hides members
// from every sweep.
TEST(UniverseProperty, ConstraintsOfShippedUniversesRemoveOnlyWhatTheEngineRefuses) {
  for (const ShippedUniverse& shipped : shipped_universes()) {
    const auto universe = find_universe(std::string(shipped.name));
    ASSERT_TRUE(universe);
    const auto last = static_cast<std::int64_t>(universe->members) - 1;
    MemberChoices choices(universe->axes.size());
    Generator random(0x23972);
    for (int removed = 0; removed < 300;) {
      const auto number = static_cast<std::uint64_t>(random.between(0, last));
      universe->unrank(number, choices);
      const auto holds = [&](const Constraint& each) { return each.condition.holds(choices); };
      if (std::ranges::all_of(universe->constraints, holds)) continue;
      ++removed;
      CheckRequest request = request_of(*universe, number);
      request.try_repairs = false;
      EXPECT_EQ(name_of(check(request).verdict), "refused") << universe->text_of(choices);
    }
  }
}

}  // namespace
}  // namespace capsize::universe_property_test
