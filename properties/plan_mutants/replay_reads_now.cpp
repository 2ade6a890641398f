// Planted faults of replay_reads_now: two ranks, one buffer, a capture and its replays.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

RankSet both() { return {0, 1}; }
constexpr GroupId kTp{0};
constexpr std::int32_t kBuffer = 0;

Lifecycle with_buffer(BufferKind kind) {
  Lifecycle plan{.world = 2};
  add_group(plan, "tp", {{0, 1}});
  add_buffer(plan, {.name = "buffer", .bytes = 64, .kind = kind});
  return plan;
}

PlanOp reads(PlanOpKind kind, std::int64_t bytes = 64) {
  PlanOp out = op(kind);
  out.reads = {{kBuffer, 0, bytes}};
  return out;
}
PlanOp writes(PlanOpKind kind, std::int64_t bytes = 64) {
  PlanOp out = op(kind);
  out.writes = {{kBuffer, 0, bytes}};
  return out;
}
PlanEvent captured(std::vector<PlanOp> ops) {
  return capture("decode", 8, {graph(both(), 8, std::move(ops))});
}
PlanEvent replayed(std::vector<PlanOp> before = {}) {
  return replay("decode", 8, {graph(both(), 8, std::move(before))});
}
PlanEvent eagerly(std::vector<PlanOp> ops, std::string path = "decode") {
  return eager(std::move(path), 8, {eager_program(both(), 8, std::move(ops))});
}

Lifecycle ending(Lifecycle plan, std::vector<PlanEvent> events) {
  plan.events = std::move(events);
  return finish(plan);
}

// The workspace grows for a smaller batch, between a capture and its replay or before both.
Lifecycle grows(bool after_capture) {
  const PlanEvent first = allocate(kBuffer, 1);
  const PlanEvent again = allocate(kBuffer, 2);
  const PlanEvent graph_of = captured({reads(PlanOpKind::attention)});
  Lifecycle plan = with_buffer(BufferKind::workspace);
  return after_capture ? ending(plan, {first, graph_of, again, replayed()})
                       : ending(plan, {first, again, graph_of, replayed()});
}
Lifecycle moves() { return grows(true); }
Lifecycle grows_first() { return grows(false); }

Lifecycle frees(bool before_replay) {
  const PlanEvent graph_of = captured({reads(PlanOpKind::attention)});
  Lifecycle plan = with_buffer(BufferKind::workspace);
  return before_replay
             ? ending(plan, {allocate(kBuffer, 1), graph_of, free_buffer(kBuffer), replayed()})
             : ending(plan, {allocate(kBuffer, 1), graph_of, replayed(), free_buffer(kBuffer)});
}
Lifecycle frees_early() { return frees(true); }
Lifecycle frees_at_the_end() { return frees(false); }

Lifecycle uses(bool allocated) {
  Lifecycle plan = with_buffer(BufferKind::workspace);
  const PlanEvent step = eagerly({reads(PlanOpKind::kernel)});
  return allocated ? ending(plan, {allocate(kBuffer, 1), step})
                   : ending(plan, {step, allocate(kBuffer, 1)});
}
Lifecycle uses_unallocated() { return uses(false); }
Lifecycle uses_allocated() { return uses(true); }

// Peers are handed the address of a temporary that is gone.
Lifecycle hands_over(bool freed) {
  Lifecycle plan = with_buffer(BufferKind::workspace);
  plan.families[0].transport = Transport::peer;
  PlanOp sum = all_reduce(kTp, 8);
  sum.reads = {{kBuffer, 0, 64}};
  std::vector<PlanEvent> events = {allocate(kBuffer, 1), captured({sum})};
  if (freed) events.push_back(free_buffer(kBuffer));
  events.push_back(register_groups({kTp}));
  return ending(plan, std::move(events));
}
Lifecycle hands_over_freed() { return hands_over(true); }
Lifecycle hands_over_live() { return hands_over(false); }

// Two replays; the second step's input is written in full, in part or not at all.
Lifecycle second_step_writes(std::int64_t bytes) {
  std::vector<PlanOp> second;
  if (bytes > 0) second.push_back(writes(PlanOpKind::copy, bytes));
  return ending(with_buffer(BufferKind::metadata),
                {captured({reads(PlanOpKind::attention)}), replayed({writes(PlanOpKind::copy)}),
                 replayed(std::move(second))});
}
Lifecycle skips_an_input() { return second_step_writes(0); }
Lifecycle writes_a_part() { return second_step_writes(48); }
Lifecycle writes_in_full() { return second_step_writes(64); }

// The metadata is written before the capture, and not again for the first replay.
Lifecycle first_replay(bool written) {
  std::vector<PlanOp> before;
  if (written) before.push_back(writes(PlanOpKind::copy));
  return ending(with_buffer(BufferKind::input),
                {eagerly({writes(PlanOpKind::copy)}), captured({reads(PlanOpKind::attention)}),
                 replayed(std::move(before))});
}
Lifecycle replays_the_capture() { return first_replay(false); }
Lifecycle replays_its_step() { return first_replay(true); }

// The draft model's graph writes the buffer that the target's reader has not read yet.
Lifecycle drafts(bool before_the_reader) {
  Lifecycle plan = with_buffer(BufferKind::output);
  const auto graph_on = [](std::string path) {
    PlanEvent event = captured({writes(PlanOpKind::matmul)});
    event.path = std::move(path);
    return event;
  };
  const auto replay_on = [](std::string path) {
    PlanEvent event = replayed();
    event.path = std::move(path);
    return event;
  };
  std::vector<PlanEvent> events = {graph_on("target"), graph_on("draft"), replay_on("target")};
  const PlanEvent reader = eagerly({reads(PlanOpKind::kernel)}, "target");
  if (before_the_reader) {
    events.insert(events.end(), {replay_on("draft"), reader});
  } else {
    events.insert(events.end(), {reader, replay_on("draft")});
  }
  return ending(plan, std::move(events));
}
Lifecycle draft_overwrites() { return drafts(true); }
Lifecycle draft_waits() { return drafts(false); }

// One operation writes where another has left what a third one means to read.
Lifecycle scratch(bool shared) {
  Lifecycle plan = with_buffer(BufferKind::workspace);
  PlanOp between = writes(PlanOpKind::kernel, 32);
  if (!shared) between.writes[0].offset = 64 - 32;
  PlanOp reader = reads(PlanOpKind::add, 32);
  reader.from = std::vector<std::int32_t>{0};
  return ending(plan, {eagerly({writes(PlanOpKind::matmul, 32), between, reader})});
}
Lifecycle scratch_is_shared() { return scratch(true); }
Lifecycle scratch_is_apart() { return scratch(false); }

// A sum on a side stream; its reader waits for it or not.
Lifecycle sums_aside(bool named, bool joined) {
  Lifecycle plan = with_buffer(BufferKind::workspace);
  PlanOp sum = all_reduce(kTp, 8);
  sum.stream = 1;
  sum.after = {0};
  if (!named) sum.writes = {{kBuffer, 0, 64}};
  PlanOp reader = named ? op(PlanOpKind::add) : reads(PlanOpKind::add);
  reader.from = std::vector<std::int32_t>{named ? 1 : 0};
  if (joined) reader.after = {1};
  return ending(plan, {eagerly({op(PlanOpKind::matmul), sum, reader})});
}
Lifecycle reads_bytes_early() { return sums_aside(false, false); }
Lifecycle reads_bytes_joined() { return sums_aside(false, true); }
Lifecycle reads_operand_early() { return sums_aside(true, false); }
Lifecycle reads_operand_joined() { return sums_aside(true, true); }

// What follows an asynchronous sum reads its output, and nothing in the step ever waits for it.
Lifecycle asynchronous(bool joined) {
  Lifecycle plan = with_buffer(BufferKind::workspace);
  PlanOp sum = all_reduce(kTp, 8);
  sum.stream = 1;
  sum.after = {0};
  std::vector<PlanOp> ops = {op(PlanOpKind::matmul), sum, op(PlanOpKind::add)};
  if (joined) ops[2].after = {1};
  return ending(plan, {eagerly(std::move(ops))});
}
Lifecycle never_joined() { return asynchronous(false); }
Lifecycle joined() { return asynchronous(true); }

// A sum over a window that peers read, which tells them or does not.
std::vector<PlanOp> window_sum(bool barrier) {
  PlanOp sum = all_reduce(kTp, 8);
  sum.registered = true;
  sum.reads = {{kBuffer, 0, 64}};
  std::vector<PlanOp> ops = {writes(PlanOpKind::copy), sum};
  if (barrier) ops.push_back(op(PlanOpKind::barrier, kTp));
  return ops;
}

// One symmetric buffer for every layer's sum, or two in turn.
Lifecycle symmetric(bool barrier) {
  std::vector<PlanOp> ops = window_sum(barrier);
  ops.push_back(writes(PlanOpKind::copy));
  return ending(with_buffer(BufferKind::workspace), {eagerly(std::move(ops))});
}
Lifecycle refills_too_soon() { return symmetric(false); }
Lifecycle refills_behind_a_barrier() { return symmetric(true); }

// Layers that copy into one window, or tell each other first.
Lifecycle peers_in_each_layer(bool barrier) {
  std::vector<PlanOp> ops = window_sum(barrier);
  const auto count = static_cast<std::int32_t>(ops.size());
  PlanEvent step = eagerly(std::move(ops));
  step.programs[0].blocks = {{0, count, 2, {}}};
  return ending(with_buffer(BufferKind::workspace), {std::move(step)});
}
Lifecycle next_layer_refills() { return peers_in_each_layer(false); }
Lifecycle next_layer_waits() { return peers_in_each_layer(true); }

// So many ranks that each have a buffer of their own; that of the last one moves.
Lifecycle many_ranks(bool moved) {
  constexpr std::int32_t kRanks = 100;
  Lifecycle plan{.world = kRanks};
  for (std::int32_t rank = 0; rank < kRanks; ++rank) {
    add_buffer(plan, {.name = "buffer" + std::to_string(rank),
                      .bytes = 64,
                      .owner = {rank, rank},
                      .kind = BufferKind::workspace});
    plan.events.push_back(allocate(rank, 1));
  }
  PlanOp kernel = op(PlanOpKind::kernel);
  for (std::int32_t rank = 0; rank < kRanks; ++rank) kernel.reads.push_back({rank, 0, 64});
  plan.events.push_back(capture("decode", 8, {graph({0, kRanks - 1}, 8, {kernel})}));
  if (moved) plan.events.push_back(allocate(kRanks - 1, 2));
  plan.events.push_back(replay("decode", 8, {graph({0, kRanks - 1}, 8)}));
  return finish(plan);
}
Lifecycle last_of_many_moves() { return many_ranks(true); }
Lifecycle none_of_many_moves() { return many_ranks(false); }

constexpr std::string_view kLaw = "replay_reads_now";

}  // namespace

std::span<const PlanMutant> plan_mutants_replay_reads_now() {
  static constexpr std::array kMutants = {
      PlanMutant{"moves", kLaw, "a captured address stays unmoved", moves, grows_first},
      PlanMutant{"frees_early", kLaw, "a captured address stays allocated", frees_early,
                 frees_at_the_end},
      PlanMutant{"uses_unallocated", kLaw, "what is used is allocated", uses_unallocated,
                 uses_allocated},
      PlanMutant{"hands_over_freed", kLaw, "an address lives until peers are given it",
                 hands_over_freed, hands_over_live},
      PlanMutant{"skips_an_input", kLaw, "inputs are written between two replays", skips_an_input,
                 writes_in_full},
      PlanMutant{"writes_a_part", kLaw, "inputs are written in full", writes_a_part,
                 writes_in_full},
      PlanMutant{"replays_the_capture", kLaw, "the first replay has its own step's input",
                 replays_the_capture, replays_its_step},
      PlanMutant{"draft_overwrites", kLaw, "an output is read before it is written over",
                 draft_overwrites, draft_waits},
      PlanMutant{"scratch_is_shared", kLaw, "an operand is read before it is written over",
                 scratch_is_shared, scratch_is_apart},
      PlanMutant{"reads_bytes_early", kLaw, "bytes of another stream are joined", reads_bytes_early,
                 reads_bytes_joined},
      PlanMutant{"reads_operand_early", kLaw, "an operand of another stream is joined",
                 reads_operand_early, reads_operand_joined},
      PlanMutant{"never_joined", kLaw, "an asynchronous collective is joined", never_joined,
                 joined},
      PlanMutant{"refills_too_soon", kLaw, "peers have read what is filled anew", refills_too_soon,
                 refills_behind_a_barrier},
      PlanMutant{"next_layer_refills", kLaw, "peers have read what the next layer fills",
                 next_layer_refills, next_layer_waits},
      PlanMutant{"last_of_many_moves", kLaw, "of every rank", last_of_many_moves,
                 none_of_many_moves},
  };
  return kMutants;
}

}  // namespace capsize
