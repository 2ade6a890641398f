// same_bucket against listing, rank by rank, the rows that each rank's graph moves.
#include <gtest/gtest.h>

#include "tests/property/histogram.hpp"
#include "tests/property/rank_stories.hpp"

namespace capsize::same_bucket_test {
namespace {

using namespace property::stories;
using property::Histogram;
using property::report_of;

constexpr std::string_view kLaw = "same_bucket";
constexpr std::int64_t kUnsaid = -1;

// The rows that a rank moves over a family; none where its graph is not known.
std::vector<std::int64_t> moved(const Plan& plan, const Story& story) {
  if (!is_known(plan, story)) return {};
  const std::int64_t size = graph_size(story);
  std::vector<std::int64_t> once;
  switch (plan.pattern) {
    case Pattern::sum: once = {size}; break;
    case Pattern::barrier: break;
    case Pattern::fixed: once = {1}; break;
    case Pattern::unsaid: once = {kUnsaid}; break;
    case Pattern::exchange: once = {1, size}; break;
    case Pattern::longer: once.assign(size < 16 ? 1 : 2, 4); break;
    case Pattern::coarse: once = {size < 16 ? 16 : size}; break;
  }
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < plan.repeat; ++i) all.insert(all.end(), once.begin(), once.end());
  return all;
}

bool chose_differently(const Story& a, const Story& b) {
  const auto bucket = [](const Story& story) {
    return story.bucket > 0 ? story.bucket : story.size;
  };
  const bool buckets = bucket(a) > 0 && bucket(b) > 0 && bucket(a) != bucket(b);
  return buckets || (a.size > 0 && b.size > 0 && a.size != b.size);
}

Places wanted(const Plan& plan) {
  return expected(plan, [&plan](const auto& group, const auto& ranks) {
    return any_pair(group, ranks, [&plan](const Story& a, const Story& b) {
      if (a.mode == GraphMode::eager || b.mode == GraphMode::eager) return false;
      if (!chose_differently(a, b)) return false;
      const auto rows = moved(plan, a);
      const bool unsaid = std::ranges::find(rows, kUnsaid) != rows.end();
      return unsaid || rows != moved(plan, b);
    });
  });
}

// A pair of ranks that is not compared, a vote of fixed size that is flagged, one that hides what
// follows it, a missing graph that is taken for agreement: every way in which four ranks are
// absent, eager or choose one of five graphs, for every pattern of operations and every source.
TEST(SameBucketProperty, EveryStepOfFourRanks) {
  const std::vector<Story> choices = {{.runs = false},
                                      {.mode = GraphMode::eager},
                                      {},
                                      {.bucket = 16, .size = 16},
                                      {.bucket = 16, .size = 8},
                                      {.bucket = 64, .size = 64},
                                      {.bucket = 16, .size = 0}};
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::int64_t pattern = 0; pattern < kPatterns; ++pattern) {
    for (const How how : {How::captured, How::found, How::restated}) {
      for_all_steps(choices, [&](const std::vector<Story>& ranks) {
        const Plan plan{.how = how,
                        .pattern = static_cast<Pattern>(pattern),
                        .families = {static_cast<std::int8_t>(count % 5)},
                        .steps = {ranks},
                        .merged = count % 2 == 0};
        const Places places = wanted(plan);
        ASSERT_EQ(places_of(report_of(kLaw, build(plan))), places) << plan;
        ++count;
        broken += places.empty() ? 0 : 1;
      });
    }
  }
  EXPECT_EQ(count, kPatterns * 3 * 7 * 7 * 7 * 7);
  property::visited(count);
  EXPECT_GT(broken, 1000);
  EXPECT_GT(count - broken, 1000);
}

TEST(SameBucketProperty, RandomPlans) {
  Histogram seen;
  seen.declare("broken", {"yes", "no"});
  seen.declare("how", {"0", "1", "2"});
  seen.declare("pattern", {"0", "1", "2", "3", "4", "5", "6"});
  EXPECT_TRUE(property::holds("every broken step is told, and no other", [&seen] {
    const Plan plan = *property::stories::plan();
    const Places places = wanted(plan);
    seen.count("broken", !places.empty());
    seen.count("how", static_cast<std::int64_t>(plan.how));
    seen.count("pattern", static_cast<std::int64_t>(plan.pattern));
    RC_LOG() << plan;
    RC_ASSERT(places_of(report_of(kLaw, build(plan))) == places);
  }));
  seen.print("same_bucket");
}

// Who corrupts and who hangs: peers' memory and exchanges go on, everything else waits. Every
// transport of the group, overridden or not by the operation, and both kinds.
TEST(SameBucketProperty, SymptomFollowsTransportAndOperation) {
  for (const Transport group : {Transport::checked, Transport::raw, Transport::peer}) {
    for (const Transport own : {Transport::checked, Transport::raw, Transport::peer}) {
      for (const bool says_own : {false, true}) {
        for (const PlanOpKind kind : {PlanOpKind::all_reduce, PlanOpKind::all_to_all}) {
          Lifecycle plan{.world = 2};
          const GroupId ep = parts::add_group(plan, "ep", {{0, 1}});
          plan.families[0].transport = group;
          PlanOp small = parts::op(kind, ep, 8, 8);
          PlanOp large = parts::op(kind, ep, 16, 16);
          if (says_own) small.transport = large.transport = own;
          plan.events = {parts::capture(
              "decode", 16, {parts::graph({0, 0}, 8, {small}), parts::graph({1, 1}, 16, {large})})};
          const PlanReport report = report_of(kLaw, parts::finish(plan));
          ASSERT_EQ(report.breaches().size(), 1);
          const bool peer = (says_own ? own : group) == Transport::peer;
          EXPECT_EQ(report.breaches()[0].symptom, peer || kind == PlanOpKind::all_to_all
                                                      ? Symptom::silent_corruption
                                                      : Symptom::hang);
        }
      }
    }
  }
}

// Legal, though it looks odd: attention groups of different data-parallel ranks replay different
// buckets, since nothing that is captured crosses them; unequal real counts share one bucket.
TEST(SameBucketProperty, BucketsMayDifferBetweenGroups) {
  Lifecycle plan{.world = 4};
  const GroupId tp = parts::add_group(plan, "attn_tp", {{0, 1}, {2, 3}});
  for (const std::int64_t bucket : {16, 8}) {
    plan.events.push_back(parts::capture(
        "decode", bucket, {parts::graph({0, 3}, bucket, {parts::all_reduce(tp, bucket)})}));
  }
  Program small = parts::graph({0, 1}, 8);
  small.tokens = 5;
  Program large = parts::graph({2, 3}, 16);
  large.tokens = 13;
  plan.events.push_back(parts::replay("decode", 13, {small, large}));
  EXPECT_TRUE(report_of(kLaw, parts::finish(plan)).breaches().empty());
}

}  // namespace
}  // namespace capsize::same_bucket_test
