// Universes: numbering, the words and the text of a member, the digest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "sim/universe.hpp"

namespace capsize::sim_universe_test {
namespace {

using ::testing::ElementsAre;

Axis axis_of(std::string name, std::size_t count) {
  Axis axis{std::move(name), {}};
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = static_cast<std::int64_t>(i);
    axis.values.push_back({std::to_string(i), number, {"--" + axis.name, std::to_string(i)}});
  }
  return axis;
}

Universe universe_of(const std::vector<std::size_t>& sizes) {
  Universe out;
  out.engine = "sglang";
  out.launch = {"--always"};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    out.axes.push_back(axis_of("axis" + std::to_string(i), sizes[i]));
    out.members *= sizes[i];
  }
  return out;
}

// Would catch: two members of one number, a member without one, or another order than that of the
// digits with the first axis in front.
TEST(Universe, NumbersItsMembersInTheOrderOfTheirDigits) {
  const Universe universe = universe_of({3, 1, 4, 2});
  std::vector<std::int32_t> before;
  for (std::uint64_t number = 0; number < universe.members; ++number) {
    std::vector<std::int32_t> choices(4, -1);
    universe.unrank(number, choices);
    EXPECT_EQ(universe.rank(choices), number);
    if (number > 0) {
      EXPECT_LT(before, choices) << number;
    }
    before = choices;
  }
  EXPECT_THAT(before, ElementsAre(2, 0, 3, 1));
}

// Would catch: arithmetic of 32 or of signed bits.
TEST(Universe, NumbersMoreMembersThanFit32Bits) {
  const Universe universe = universe_of({65536, 65536, 65536, 16384});
  ASSERT_EQ(universe.members, std::uint64_t{1} << 62);
  for (const std::uint64_t from : {std::uint64_t{0}, universe.members / 2, universe.members - 5}) {
    for (std::uint64_t number = from; number < from + 5; ++number) {
      std::vector<std::int32_t> choices(4);
      universe.unrank(number, choices);
      EXPECT_EQ(universe.rank(choices), number);
    }
  }
  std::vector<std::int32_t> last(4);
  universe.unrank(universe.members - 1, last);
  EXPECT_THAT(last, ElementsAre(65535, 65535, 65535, 16383));
}

// Would catch: words of another value, or in another order than that of the axes.
TEST(Universe, TellsAMemberByTextAndByWords) {
  const Universe universe = universe_of({3, 2});
  const std::vector<std::int32_t> choices = {2, 1};
  EXPECT_EQ(universe.text_of(choices), "axis0 2, axis1 1");
  EXPECT_THAT(universe.words_of(choices), ElementsAre("--always", "--axis0", "2", "--axis1", "1"));
  EXPECT_EQ(universe.axis("axis1"), 1U);
  EXPECT_EQ(universe.axis("axis2"), std::nullopt);
}

// Would catch: a digest that forgets a part of what a universe means, or that hangs on what means
// nothing.
TEST(Universe, HasADigestOfAllThatItMeans) {
  const auto condition = [](const Universe& universe, std::string_view text) {
    return *Condition::parse(text, universe.axes, universe.derived);
  };
  Universe plain = universe_of({3, 2});
  plain.models.push_back({"m", "{}", {}});
  plain.derived.push_back({"d", condition(plain, "axis0 + 1")});
  plain.constraints.push_back({"why", condition(plain, "axis0 < d")});
  std::set<std::uint64_t> digests = {digest_of(plain)};
  std::size_t changes = 0;
  const auto differs = [&](const auto& change) {
    Universe other = plain;
    change(other);
    ++changes;
    EXPECT_TRUE(digests.insert(digest_of(other)).second) << "change " << changes;
  };
  differs([](Universe& u) { u.engine = "other"; });
  differs([](Universe& u) { u.launch.emplace_back("more"); });
  differs([](Universe& u) { u.launch = {"--al", "ways"}; });
  differs([](Universe& u) { u.axes[0].name = "axis9"; });
  differs([](Universe& u) { u.axes[1].values[0].name = "9"; });
  differs([](Universe& u) { u.axes[1].values[0].words = {}; });
  differs([](Universe& u) { u.axes[1].values.pop_back(); });
  differs([](Universe& u) { std::swap(u.axes[0].values[0], u.axes[0].values[1]); });
  differs([](Universe& u) { std::swap(u.axes[0], u.axes[1]); });
  differs([](Universe& u) { u.models[0].name = "n"; });
  differs([](Universe& u) { u.models[0].config = "{\"a\":1}"; });
  differs([](Universe& u) { u.derived[0].name = "e"; });
  differs([&](Universe& u) { u.derived[0].value = condition(u, "axis0 + 2"); });
  differs([](Universe& u) { u.constraints[0].why = "because"; });
  differs([&](Universe& u) { u.constraints[0].condition = condition(plain, "axis0 <= d"); });
  differs([](Universe& u) { u.constraints.clear(); });

  Universe same = plain;
  same.name = "another name";
  same.title = "another title";
  same.derived[0].value = condition(plain, " axis0+( 1)");
  same.constraints[0].condition = condition(plain, "axis0<d ");
  EXPECT_EQ(digest_of(same), digest_of(plain));
}

// Would catch: a digest of the text without its blanks. These two ask for different members: those
// whose m is the word a-b, and those whose m is a difference.
TEST(Universe, HasADigestThatTellsAWordFromADifference) {
  Universe word = universe_of({3, 2});
  word.axes[0].name = "a";
  word.axes[1].name = "b";
  word.axes.push_back({"m", {{"1", 1, {}}, {"a-b", std::nullopt, {}}}});
  Universe difference = word;
  const auto constrained = [](Universe& universe, std::string_view text) {
    universe.constraints.push_back({"why", *Condition::parse(text, universe.axes, {})});
  };
  constrained(word, "m == a-b");
  constrained(difference, "m == a - b");
  const std::vector<std::int32_t> choices = {2, 1, 0};
  EXPECT_FALSE(word.constraints[0].condition.holds(choices));
  EXPECT_TRUE(difference.constraints[0].condition.holds(choices));
  EXPECT_NE(digest_of(word), digest_of(difference));
}

}  // namespace
}  // namespace capsize::sim_universe_test
