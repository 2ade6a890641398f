// What runs in each event of a lifecycle: which capture a replay finds, who meets over a group, and
// what is ordered before what.
#include "sim/timeline.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "properties/plan_parts.hpp"

namespace capsize::timeline_test {
namespace {

using namespace parts;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> kinds_of(const Running& running) {
  std::vector<std::string> out;
  for (const RunOp& each : running.ops) out.emplace_back(name_of(each.op->kind));
  return out;
}

Lifecycle four_ranks() {
  Lifecycle plan{.world = 4};
  add_group(plan, "tp", {{0, 1, 2, 3}});
  add_group(plan, "pair", {{0, 1}, {2, 3}});
  return plan;
}

constexpr GroupId kTp{0};
constexpr GroupId kPair{1};

// A range that is not joined, or a rank that is lost at its edge.
TEST(RankSetTest, JoinsNeighboursAndFindsRanks) {
  RankSet ranks(0, 3);
  ranks.append({4, 4});
  ranks.append({8, 9});
  EXPECT_EQ(ranks.text(), "0-4,8-9");
  EXPECT_EQ(ranks.count(), 7);
  for (const std::int64_t rank : {0, 4, 8, 9}) EXPECT_TRUE(ranks.contains(rank)) << rank;
  for (const std::int64_t rank : {-1, 5, 7, 10}) EXPECT_FALSE(ranks.contains(rank)) << rank;
}

// A replay that runs an older capture, or one of another key or path.
TEST(TimelineTest, ReplaysTheLatestCaptureOfPathAndKey) {
  Lifecycle plan = four_ranks();
  plan.events = {capture("decode", 8, {graph({0, 3}, 8, {all_reduce(kTp, 8)})}),
                 capture("decode", 8, {graph({0, 3}, 8, {all_gather(kTp, 8, 32)})}),
                 capture("decode", 4, {graph({0, 3}, 4, {op(PlanOpKind::norm)})}),
                 capture("prefill", 8, {graph({0, 3}, 8, {op(PlanOpKind::copy)})}),
                 replay("decode", 7, {graph({0, 3}, 8)})};
  const Timeline timeline(finish(plan));
  const EventRun& last = timeline.events().back();
  ASSERT_THAT(last.runnings, SizeIs(1));
  EXPECT_EQ(last.runnings[0].capture_event, 1);
  EXPECT_THAT(kinds_of(last.runnings[0]), ElementsAre("all_gather"));
  EXPECT_TRUE(last.runnings[0].ops[0].captured);
  EXPECT_EQ(last.tokens, 7);
}

// Ranks of one program that were captured apart must not be told as one class.
TEST(TimelineTest, SplitsAReplayByWhereItsRanksWereCaptured) {
  Lifecycle plan = four_ranks();
  plan.events = {capture("decode", 8, {graph({0, 2}, 8, {all_reduce(kTp, 8)})}),
                 capture("decode", 8, {graph({1, 1}, 8, {all_reduce(kTp, 8)})}),
                 replay("decode", 8, {graph({0, 3}, 8)})};
  const Timeline timeline(finish(plan));
  const EventRun& last = timeline.events().back();
  ASSERT_THAT(last.runnings, SizeIs(3));
  EXPECT_EQ(timeline.running_of(last, 0)->capture_event, 0);
  EXPECT_EQ(timeline.running_of(last, 1)->capture_event, 1);
  EXPECT_EQ(timeline.running_of(last, 2)->ranks.text(), "0,2");
  EXPECT_TRUE(timeline.running_of(last, 3)->graph_missing);
}

// Host operations of a replay come first; what it restates is not run twice.
TEST(TimelineTest, RunsHostOperationsBeforeTheGraph) {
  Lifecycle plan = four_ranks();
  PlanOp restated = all_reduce(kTp, 8);
  restated.captured = true;
  PlanOp outside = op(PlanOpKind::attention);
  outside.captured = false;
  plan.events = {capture("decode", 8, {graph({0, 3}, 8, {all_reduce(kTp, 8), outside})}),
                 replay("decode", 8, {graph({0, 3}, 8, {op(PlanOpKind::copy), restated})})};
  EXPECT_THAT(kinds_of(Timeline(finish(plan)).events()[1].runnings[0]),
              ElementsAre("copy", "all_reduce"));
  // A piecewise graph is left between its pieces, and what stands there runs again.
  for (PlanEvent& event : plan.events) event.programs[0].mode = GraphMode::piecewise;
  EXPECT_THAT(kinds_of(Timeline(plan).events()[1].runnings[0]),
              ElementsAre("copy", "all_reduce", "attention"));
}

// A capture that the plan does not hold: what is restated stands for it.
TEST(TimelineTest, TakesRestatedOperationsWhereNoCaptureIsFound) {
  Lifecycle plan = four_ranks();
  PlanOp restated = all_reduce(kTp, 8);
  restated.captured = true;
  plan.events = {replay("decode", 8, {graph({0, 3}, 8, {restated})})};
  const Timeline timeline(finish(plan));
  const Running& running = timeline.events()[0].runnings[0];
  EXPECT_TRUE(running.graph_missing);
  ASSERT_THAT(running.ops, SizeIs(1));
  EXPECT_TRUE(running.ops[0].captured);
}

// Groups where the same classes meet are told once; ranks that run nothing are a class of their
// own.
TEST(TimelineTest, TellsWhoMeets) {
  Lifecycle plan = four_ranks();
  plan.events = {eager("decode", 8, {eager_program({0, 0}, 8, {}), eager_program({1, 2}, 4, {})}),
                 eager("decode", 8, {eager_program({0, 3}, 8, {})})};
  const Timeline timeline(finish(plan));
  const auto whole = timeline.meetings(timeline.events()[0], kTp);
  ASSERT_THAT(whole, SizeIs(1));
  ASSERT_THAT(whole[0].classes, SizeIs(3));
  EXPECT_EQ(whole[0].classes[1].count, 2);
  EXPECT_EQ(whole[0].classes[2].running, -1);
  EXPECT_EQ(whole[0].classes[2].first_rank, 3);
  EXPECT_THAT(timeline.meetings(timeline.events()[0], kPair), SizeIs(2));
  EXPECT_THAT(timeline.meetings(timeline.events()[1], kPair), SizeIs(1));
}

// Events follow one another unless both carry streams and nothing joins them.
TEST(TimelineTest, OrdersEvents) {
  Lifecycle plan = four_ranks();
  const auto on = [](std::optional<std::int64_t> stream, std::vector<std::int32_t> after) {
    PlanEvent event = eager("decode", 8, {eager_program({0, 3}, 8, {})});
    event.stream = stream;
    event.after = std::move(after);
    return event;
  };
  plan.events = {on(0, {}), on(1, {}), on(1, {}), on(2, {1}), on({}, {}), on(3, {})};
  const Timeline timeline(finish(plan));
  EXPECT_FALSE(timeline.ordered(0, 1));
  EXPECT_TRUE(timeline.ordered(1, 2));
  EXPECT_FALSE(timeline.ordered(0, 3));
  EXPECT_TRUE(timeline.ordered(1, 3));
  EXPECT_FALSE(timeline.ordered(2, 3));
  for (std::int32_t before = 0; before < 5; ++before) EXPECT_TRUE(timeline.ordered(before, 5));
}

Running of_ops(const Program& program) {
  Running running;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    running.ops.push_back({.op = &program.ops[i], .index = static_cast<std::int32_t>(i)});
  }
  return running;
}

PlanOp on_stream(PlanOpKind kind, std::int32_t stream, std::vector<std::int32_t> after = {}) {
  PlanOp out = op(kind);
  out.stream = stream;
  out.after = std::move(after);
  return out;
}

// A join that orders too little, or one that orders what runs beside it.
TEST(OpOrderTest, JoinsStreamsThroughAfterAndWait) {
  const Program program{
      .ops = {on_stream(PlanOpKind::kernel, 0), on_stream(PlanOpKind::all_reduce, 1, {0}),
              on_stream(PlanOpKind::kernel, 0), on_stream(PlanOpKind::wait, 0, {1}),
              on_stream(PlanOpKind::add, 0)}};
  const Running running = of_ops(program);
  const OpOrder order(running);
  EXPECT_TRUE(order.ordered(0, 1));
  EXPECT_FALSE(order.ordered(1, 2));
  EXPECT_TRUE(order.ordered(1, 3));
  EXPECT_TRUE(order.ordered(1, 4));
  EXPECT_TRUE(order.ordered(2, 4));
}

// The host waits for all streams, and what it issues afterwards comes afterwards.
TEST(OpOrderTest, AHostWaitOrdersEverything) {
  const Program program{.ops = {on_stream(PlanOpKind::kernel, 3), on_stream(PlanOpKind::kernel, 1),
                                on_stream(PlanOpKind::host_wait, 0),
                                on_stream(PlanOpKind::kernel, 2)}};
  const Running running = of_ops(program);
  const OpOrder order(running);
  EXPECT_FALSE(order.ordered(0, 1));
  for (const std::int32_t before : {0, 1, 2}) EXPECT_TRUE(order.ordered(before, 3)) << before;
}

// A peer is a rank for the first of its class and as far for the others, or a place in the group.
TEST(PeerTest, ReachesAsFarForEveryRankOfAClass) {
  Lifecycle plan{.world = 4};
  const GroupId pp = add_group(plan, "pp", {{0, 2}, {1, 3}});
  (void)finish(plan);
  const Program senders{.ranks = {0, 1}};
  PlanOp send = op(PlanOpKind::send, pp);
  send.peer = 2;
  EXPECT_EQ(peer_of(plan, senders, send, 0), 2);
  EXPECT_EQ(peer_of(plan, senders, send, 1), 3);
  send.peer = 1;  // no rank of the group of 0: its position
  EXPECT_EQ(peer_of(plan, senders, send, 0), 2);
  EXPECT_EQ(peer_of(plan, senders, send, 1), 3);
  send.peer = 7;
  EXPECT_EQ(peer_of(plan, senders, send, 0), std::nullopt);
}

TEST(KeyTest, TellsTheSizeFromTheRest) {
  const GraphKey key = {{"lora", "true"}, {"requests", "16"}};
  EXPECT_EQ(size_in(key), 16);
  EXPECT_THAT(without_size(key), ElementsAre(NamedValue{"lora", "true"}));
  EXPECT_EQ(bucket_of({.width = 3, .key = key}), 48);
  EXPECT_EQ(bucket_of({.key = GraphKey{{"mode", "\"full\""}}}), std::nullopt);
  EXPECT_THAT(without_size({{"tokens", "8"}}), IsEmpty());
}

}  // namespace
}  // namespace capsize::timeline_test
