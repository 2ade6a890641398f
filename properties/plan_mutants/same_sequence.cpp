// Planted faults for same_sequence: in each, one rank or class departs in one way.
#include <array>
#include <span>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

constexpr GroupId kFirst{0};
constexpr GroupId kSecond{1};

PlanOp peer_op(PlanOpKind kind, std::int64_t peer, std::int32_t stream = 0) {
  PlanOp out = op(kind, kFirst);
  out.peer = peer;
  out.stream = stream;
  return out;
}

PlanOp on_stream(PlanOp of, std::int32_t stream) {
  of.stream = stream;
  return of;
}

Program repeated(Program program, std::int64_t repeat) {
  program.repeat = repeat;
  return program;
}

// Two families over the same two ranks, and one event on the given path.
Lifecycle two_ranks(std::vector<Program> programs) {
  Lifecycle plan{.world = 2};
  add_group(plan, "tp", {{0, 1}});
  add_group(plan, "world", {{0, 1}});
  plan.events = {warm_up("decode", 8, std::move(programs))};
  return finish(plan);
}

Lifecycle both(std::vector<PlanOp> first, std::vector<PlanOp> second) {
  return two_ranks(
      {eager_program({0, 0}, 8, std::move(first)), eager_program({1, 1}, 8, std::move(second))});
}

Lifecycle all_take_part() { return two_ranks({eager_program({0, 1}, 8, {all_reduce(kFirst, 8)})}); }
Lifecycle one_runs_nothing() {
  return two_ranks({eager_program({0, 0}, 8, {all_reduce(kFirst, 8)})});
}

Lifecycle reduce_and_barrier(bool turned) {
  const PlanOp reduce = all_reduce(kFirst, 8);
  const PlanOp barrier = op(PlanOpKind::barrier, kFirst);
  return both({reduce, barrier},
              turned ? std::vector{barrier, reduce} : std::vector{reduce, barrier});
}

// Draft passes: the idle rank runs fewer of them.
Lifecycle drafts(std::int64_t idle) {
  return two_ranks({repeated(eager_program({0, 0}, 8, {all_reduce(kFirst, 8)}), 3),
                    repeated(eager_program({1, 1}, 8, {all_reduce(kFirst, 8)}), idle)});
}

// Only the ranks that own an image run the encoder: over the whole group, or over their own.
Lifecycle encoder(GroupId group) {
  Lifecycle plan{.world = 4};
  add_group(plan, "tp", {{0, 1, 2, 3}});
  add_group(plan, "attn_tp", {{0, 1}, {2, 3}});
  plan.events = {eager("image", 8,
                       {eager_program({0, 1}, 8, {all_reduce(group, 8)}),
                        eager_program({2, 3}, 8, {op(PlanOpKind::kernel)})})};
  return finish(plan);
}

Lifecycle pipeline(std::int64_t sends, std::int64_t receives) {
  return two_ranks({repeated(eager_program({0, 0}, 8, {peer_op(PlanOpKind::send, 1)}), sends),
                    repeated(eager_program({1, 1}, 8, {peer_op(PlanOpKind::recv, 0)}), receives)});
}
Lifecycle send_alone() {
  return two_ranks({eager_program({0, 0}, 8, {peer_op(PlanOpKind::send, 1)})});
}

Lifecycle gather_and_barrier(bool turned) {
  const PlanOp gather = op(PlanOpKind::all_gather, kFirst);
  const PlanOp barrier = op(PlanOpKind::barrier, kSecond);
  return both({gather, barrier},
              turned ? std::vector{barrier, gather} : std::vector{gather, barrier});
}

// The first layer is in order on both ranks; in the second, rank 1 turns round.
Lifecycle second_layer(bool turned) {
  const PlanOp a = all_reduce(kFirst, 8);
  const PlanOp b = all_reduce(kSecond, 8);
  return two_ranks(
      {repeated(eager_program({0, 0}, 8, {a, b}), 2),
       eager_program({1, 1}, 8, turned ? std::vector{a, b, b, a} : std::vector{a, b, a, b})});
}

// Both send, then both receive; written on two streams the two are one grouped exchange.
Lifecycle exchange(std::int32_t receiving_stream) {
  return both({peer_op(PlanOpKind::send, 1), peer_op(PlanOpKind::recv, 1, receiving_stream)},
              {peer_op(PlanOpKind::send, 0), peer_op(PlanOpKind::recv, 0, receiving_stream)});
}

// Two communicators on two streams: raw ones need one order on the device.
Lifecycle two_streams(Transport transport) {
  PlanOp a = all_reduce(kFirst, 8);
  PlanOp b = on_stream(all_reduce(kSecond, 8), 1);
  a.transport = transport;
  b.transport = transport;
  return both({a, b}, {b, a});
}

// The second stream waits for the first on rank 0, and the first for the second on rank 1.
Lifecycle joined_streams(bool joined) {
  const PlanOp a = all_reduce(kFirst, 8);
  const PlanOp b = on_stream(all_reduce(kSecond, 8), 1);
  PlanOp b_after_a = b;
  PlanOp a_after_b = a;
  if (joined) {
    b_after_a.after = {0};
    a_after_b.after = {0};
  }
  return both({a, b_after_a}, {b, a_after_b});
}

// A host call that every rank of the group makes, or all but one.
Lifecycle host_calls(bool all) {
  const PlanOp call = op(PlanOpKind::register_group, kFirst);
  return both({call}, all ? std::vector{call} : std::vector{op(PlanOpKind::kernel)});
}

constexpr std::string_view kLaw = "same_sequence";

constexpr std::array<PlanMutant, 12> kMutants = {{
    {"rank_runs_nothing", kLaw, "absent ranks count as empty", one_runs_nothing, all_take_part},
    {"ranks_turn_two_operations", kLaw, "one order over a communicator",
     [] { return reduce_and_barrier(true); }, [] { return reduce_and_barrier(false); }},
    {"idle_rank_drafts_once", kLaw, "equally many operations", [] { return drafts(1); },
     [] { return drafts(3); }},
    {"subset_on_the_whole_group", kLaw, "a subset uses its own communicator",
     [] { return encoder(kFirst); }, [] { return encoder(kSecond); }},
    {"one_rank_skips_a_host_call", kLaw, "host calls of a group count too",
     [] { return host_calls(false); }, [] { return host_calls(true); }},
    {"nobody_receives", kLaw, "every send meets a receive", send_alone,
     [] { return pipeline(1, 1); }},
    {"one_receive_too_many", kLaw, "every receive meets a send", [] { return pipeline(2, 3); },
     [] { return pipeline(3, 3); }},
    {"two_communicators_in_a_ring", kLaw, "the wait-for graph has no cycle",
     [] { return gather_and_barrier(true); }, [] { return gather_and_barrier(false); }},
    {"ring_in_the_second_layer", kLaw, "no cycle in any repetition",
     [] { return second_layer(true); }, [] { return second_layer(false); }},
    {"both_send_first", kLaw, "sends block until they are received", [] { return exchange(0); },
     [] { return exchange(1); }},
    {"raw_streams_in_two_orders", kLaw, "one order over raw communicators of several streams",
     [] { return two_streams(Transport::raw); }, [] { return two_streams(Transport::checked); }},
    {"streams_wait_crosswise", kLaw, "operations wait for those they come after",
     [] { return joined_streams(true); }, [] { return joined_streams(false); }},
}};

}  // namespace

std::span<const PlanMutant> plan_mutants_same_sequence();
std::span<const PlanMutant> plan_mutants_same_sequence() { return kMutants; }

}  // namespace capsize
