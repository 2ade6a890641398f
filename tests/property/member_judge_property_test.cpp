// Members of the shipped universes by both ways: what the sweep remembers of layouts, lists and
// paths never changes a verdict, a witness or a cost. A key that forgets a field shows here.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "properties/generators.hpp"
#include "scenarios/formats/universe.hpp"
#include "scenarios/sweep/comparison.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::property::member_judge_test {
namespace {

Universe universe_named(const std::string& name) {
  auto universe = find_universe(name);
  EXPECT_TRUE(universe.has_value()) << universe.error().where << ": " << universe.error().text;
  return *std::move(universe);
}

std::string place_of(const Universe& universe, std::uint64_t number) {
  std::vector<std::int32_t> choices(universe.axes.size());
  universe.unrank(number, choices);
  return "member " + std::to_string(number) + ": " + universe.text_of(choices);
}

Tally swept(const Universe& universe, MemberJudge::Way way, std::uint64_t first,
            std::uint64_t last) {
  auto judge = MemberJudge::make(universe, std::nullopt, way);
  EXPECT_TRUE(judge.has_value());
  Tally tally;
  (*judge)->run(first, last, tally);
  return tally;
}

// Exhausts the first layouts of the seed's universe (1 to 6 ranks); `capsize sweep pr23972
// --compare all` does the same for the whole of it.
TEST(MemberJudge, BothWaysAgreeOnTheFirstLayouts) {
  const Universe universe = universe_named("pr23972");
  const std::uint64_t last = universe.members / universe.axes[0].values.size() * 6;
  Tally fast = swept(universe, MemberJudge::Way::fast, 0, last);
  const Tally plain = swept(universe, MemberJudge::Way::plain, 0, last);
  EXPECT_EQ(fast.members(), last);
  EXPECT_GT(fast.states.size(), 10U);
  EXPECT_FALSE(fast.layouts.empty());
  EXPECT_FALSE(fast.triples.empty());
  fast.layouts.clear();
  fast.triples.clear();
  EXPECT_TRUE(same(fast, plain));
  visited(static_cast<std::int64_t>(last));
}

void expect_agreement_on_random_members(const std::string& name) {
  const Universe universe = universe_named(name);
  auto judge = MemberJudge::make(universe, std::nullopt);
  ASSERT_TRUE(judge.has_value());
  const auto last = static_cast<std::int64_t>(universe.members);
  std::int64_t judged = 0;
  EXPECT_TRUE(holds("both ways judge members of " + name + " alike", [&] {
    // Axis by axis: a number drawn evenly would hardly ever meet the engine's preconditions.
    std::vector<std::int32_t> choices(universe.axes.size());
    for (std::size_t axis = 0; axis < choices.size(); ++axis) {
      const auto values = static_cast<std::int64_t>(universe.axes[axis].values.size());
      choices[axis] = static_cast<std::int32_t>(*generators::evenly(0, values));
    }
    const std::uint64_t number = universe.rank(choices);
    RC_ASSERT(static_cast<std::int64_t>(number) < last);
    const MemberOutcome fast = judge_member(**judge, number);
    const MemberOutcome plain = judge_member_plainly(universe, std::nullopt, number);
    if (plain.precondition.empty()) ++judged;
    if (!(fast == plain)) RC_FAIL(place_of(universe, number));
  }));
  EXPECT_GT(judged, 0);
}

TEST(MemberJudge, BothWaysAgreeOnRandomMembersOfTheSeedsUniverse) {
  expect_agreement_on_random_members("pr23972");
}

TEST(MemberJudge, BothWaysAgreeOnRandomMembersOfTheFullUniverse) {
  expect_agreement_on_random_members("sglang-full");
}

// A memory that takes one member for its neighbour is seen, and the least such member is named;
// without the fault both ways agree on the same members, and the same seed draws the same ones.
class ForgetfulJudge final : public MemberJudge {
 public:
  ForgetfulJudge(const Universe& universe, std::uint64_t from)
      : judge_(*MemberJudge::make(universe, std::nullopt)), from_(from) {}
  void run(std::uint64_t first, std::uint64_t last, Tally& tally) override {
    const std::uint64_t shift = first >= from_ ? 1 : 0;
    judge_->run(first - shift, last - shift, tally);
  }

 private:
  std::unique_ptr<MemberJudge> judge_;
  std::uint64_t from_;
};

TEST(MemberJudge, AForgetfulMemoryIsSeenAtItsFirstMember) {
  Universe universe = universe_named("pr23972");
  universe.members = 3000;
  constexpr std::uint64_t kFrom = 2048;  // ranges are cut there
  ComparisonOptions options{.threads = 2};
  options.make_judge = [&]() -> Result<std::unique_ptr<MemberJudge>> {
    return std::make_unique<ForgetfulJudge>(universe, kFrom);
  };
  const auto faulty = compare_ways(universe, std::nullopt, options);
  ASSERT_TRUE(faulty.has_value());
  EXPECT_EQ(faulty->members, 3000U);
  EXPECT_EQ(faulty->differ, 3000U - kFrom);
  EXPECT_EQ(faulty->first, kFrom);
  options.make_judge = nullptr;
  options.members = 500;
  const auto one = compare_ways(universe, std::nullopt, options);
  options.threads = 1;
  const auto again = compare_ways(universe, std::nullopt, options);
  ASSERT_TRUE(one.has_value() && again.has_value());
  EXPECT_EQ(one->differ, 0U);
  EXPECT_EQ(one->judged, again->judged);
  EXPECT_GT(one->judged, 0U);
}

// However a range is cut, the tallies add up to the same: blocks that are cut in their middle, and
// the order in which a judge meets them.
void expect_pieces_add_up(const std::string& name, std::uint64_t block, int draws) {
  const Universe universe = universe_named(name);
  const auto judge = MemberJudge::make(universe, std::nullopt);
  ASSERT_TRUE(judge.has_value());
  std::mt19937_64 random(seed_of_runs());
  for (int draw = 0; draw < draws; ++draw) {
    // Two whole blocks, and pieces that cut one of them.
    const std::uint64_t first = random() % (universe.members / block - 2) * block;
    const std::uint64_t last = first + 2 * block;
    const std::uint64_t middle = first + 1 + random() % (2 * block - 1);
    Tally whole;
    (*judge)->run(first, last, whole);
    Tally later;
    (*judge)->run(middle, last, later);
    Tally pieces;
    (*judge)->run(first, middle, pieces);
    later.add(pieces);
    ASSERT_TRUE(same(later, whole)) << place_of(universe, first) << ", cut at " << middle;
  }
  visited(draws);
}

TEST(MemberJudge, PiecesOfTheSeedsUniverseAddUp) { expect_pieces_add_up("pr23972", 13, 5000); }
TEST(MemberJudge, PiecesOfTheFullUniverseAddUp) { expect_pieces_add_up("sglang-full", 800, 500); }

// Costs that are added up as `capsize check` tells them, member by member: catches a sum that
// forgets one of them, which both ways would forget alike.
TEST(MemberJudge, CostsAreThoseOfTheChecks) {
  const Universe universe = universe_named("pr23972");
  const std::uint64_t of_tp = universe.members / universe.axes[0].values.size();
  const std::uint64_t first = 7 * of_tp;
  const std::uint64_t last = first + of_tp / 4;
  const Tally tally = swept(universe, MemberJudge::Way::fast, first, last);
  std::uint64_t lost = 0;
  std::uint64_t waste = 0;
  std::uint64_t padded = 0;
  for (std::uint64_t number = first; number < last; ++number) {
    std::vector<std::int32_t> choices(universe.axes.size());
    universe.unrank(number, choices);
    const auto holds_for = [&](const Constraint& each) { return each.condition.holds(choices); };
    if (!std::ranges::all_of(universe.constraints, holds_for)) continue;
    for (const PathLoss& loss : check(request_of(universe, number)).losses) {
      for (const LostSize& size : loss.lost) {
        ++lost;
        waste += size.usable ? 1 : 0;
        padded += static_cast<std::uint64_t>(size.padded_tokens);
      }
    }
  }
  EXPECT_EQ(tally.sums.lost, lost);
  EXPECT_EQ(tally.sums.waste, waste);
  EXPECT_EQ(tally.sums.padded, padded);
  EXPECT_GT(waste, 0U);
  EXPECT_GT(padded, 0U);
}

// What the parser refuses, in the list words of a member, in its other words, or in both: the first
// in the line is named, both ways. Numbers that capsize cannot hold are asked after conditions.
TEST(MemberJudge, RefusedWordsAreNamedAlikeBothWays) {
  Universe universe;
  universe.name = "refused";
  universe.engine = "sglang";
  universe.launch = {"--model-path", "meta-llama/Llama-3.1-8B"};
  universe.axes = {
      {"tp", {{"1", 1, {}}, {"x", {}, {"--tp-size", "x"}}, {"huge", {}, {"--tp-size", "9999999"}}}},
      {"pool", {{"any", {}, {}}, {"y", {}, {"--max-running-requests", "y"}}}},
      {"sizes", {{"1", 1, {}}, {"2", 2, {"--cuda-graph-bs", "z"}}}}};
  universe.members = 12;
  for (const char* text : {"sizes >= 1", "sizes == 1"}) {
    const auto where = Condition::parse(text, universe.axes, universe.derived);
    ASSERT_TRUE(where.has_value());
    const auto judge = MemberJudge::make(universe, *where);
    ASSERT_TRUE(judge.has_value()) << judge.error().text;
    for (std::uint64_t number = 0; number < universe.members; ++number) {
      EXPECT_EQ(judge_member(**judge, number), judge_member_plainly(universe, *where, number))
          << text << ", " << place_of(universe, number);
    }
  }
}

// A model that nobody knows has no layers to judge: a file that names one is told so.
TEST(MemberJudge, UnknownModelsAreRefused) {
  Universe universe = universe_named("pr23972");
  universe.launch = {"--model-path=nobody/knows"};
  const auto judge = MemberJudge::make(universe, std::nullopt);
  ASSERT_FALSE(judge.has_value());
  EXPECT_EQ(judge.error().where, "launch");
  EXPECT_NE(judge.error().text.find("nobody/knows"), std::string::npos);
}

// A shortened option would be taken for one that shapes more than lists; an unknown one would
// remove every member.
TEST(MemberJudge, OptionsAreWrittenInFull) {
  for (const char* option : {"--cuda-graph-b", "--no-such-option"}) {
    Universe universe = universe_named("pr23972");
    universe.axes.back().values.back().words = {option, "4"};
    const auto judge = MemberJudge::make(universe, std::nullopt);
    ASSERT_FALSE(judge.has_value()) << option;
    EXPECT_NE(judge.error().text.find(option), std::string::npos) << judge.error().text;
    EXPECT_NE(judge.error().where.find("axis prefill_sizes"), std::string::npos);
  }
}

// A condition that reads lists is asked for each member, one that reads layouts once a block; both
// leave out what they do not hold for.
TEST(MemberJudge, ConditionsOnListsAndOnLayoutsLeaveOutTheSameMembersBothWays) {
  const Universe universe = universe_named("pr23972");
  for (const char* text : {"prefill_sizes == odd && tp == 8", "tp == 8 || prefill_sizes == powers",
                           "attn_tp == 4 && attn_cp == 2"}) {
    const auto where = Condition::parse(text, universe.axes, universe.derived);
    ASSERT_TRUE(where.has_value()) << text;
    Tally tallies[2];
    const std::uint64_t of_tp = universe.members / universe.axes[0].values.size();
    for (const auto way : {MemberJudge::Way::fast, MemberJudge::Way::plain}) {
      auto judge = MemberJudge::make(universe, *where, way);
      Tally& tally = tallies[way == MemberJudge::Way::plain ? 1 : 0];
      (*judge)->run(6 * of_tp, 8 * of_tp, tally);
    }
    EXPECT_EQ(tallies[0].sums, tallies[1].sums) << text;
    EXPECT_EQ(tallies[0].left_out, tallies[1].left_out) << text;
    EXPECT_EQ(tallies[0].members(), tallies[1].members()) << text;
    EXPECT_GT(tallies[0].members(), 0U) << text;
    EXPECT_GT(tallies[0].left_out, 0U) << text;
  }
}

}  // namespace
}  // namespace capsize::property::member_judge_test
