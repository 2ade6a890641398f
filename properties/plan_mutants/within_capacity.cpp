// Planted faults for within_capacity: one rank runs one kernel that uses one workspace of 1024
// bytes, inside it or not.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

constexpr std::int64_t kBytes = 1024;

Lifecycle plan_of(BufferRange read, BufferRange write = {0, 0, kBytes}) {
  Lifecycle plan;
  const auto ws = add_buffer(plan, {.name = "ws", .bytes = kBytes, .kind = BufferKind::workspace});
  read.buffer = ws;
  write.buffer = ws;
  PlanOp kernel = op(PlanOpKind::kernel);
  kernel.reads = {read};
  kernel.writes = {write};
  plan.events = {allocate(ws, 1), warm_up("decode", 8, {eager_program({0, 0}, 8, {kernel})})};
  return std::move(finish(plan));
}

Lifecycle inside() { return plan_of({0, 64, kBytes - 64}); }

Lifecycle reads_past_the_end() { return plan_of({0, 64, kBytes - 63}); }

Lifecycle writes_past_the_end() { return plan_of({0, 0, 8}, {0, 0, kBytes + 1}); }

Lifecycle begins_before_the_buffer() { return plan_of({0, -8, 64}); }

Lifecycle begins_behind_the_buffer() { return plan_of({0, kBytes + 1, -1}); }

Lifecycle begins_at_the_end() { return plan_of({0, kBytes, -1}); }

Lifecycle counts_wrap() { return plan_of({0, 64, INT64_MAX}); }

// The workspace is allocated again, for one rank, before the same warm-up.
Lifecycle allocated_again(std::int64_t bytes) {
  Lifecycle plan = inside();
  plan.world = 2;
  plan.events[1].programs[0].ranks = {0, 1};
  PlanEvent again = allocate(0, 2);
  again.bytes = bytes;
  again.ranks = {1, 1};
  const PlanEvent warm = plan.events[1];
  plan.events.insert(plan.events.end(), {free_buffer(0), allocate(0, 2), again, warm});
  return std::move(finish(plan));
}

Lifecycle shrinks_on_one_rank() { return allocated_again(kBytes - 1); }

Lifecycle grows_on_one_rank() { return allocated_again(kBytes + 1); }

// The kernel is captured and replayed.
Lifecycle captured(BufferRange read) {
  Lifecycle plan = inside();
  PlanOp kernel = plan.events[1].programs[0].ops[0];
  kernel.reads = {read};
  plan.events.push_back(capture("decode", 8, {graph({0, 0}, 8, {kernel})}));
  plan.events.push_back(replay("decode", 8, {graph({0, 0}, 8)}));
  return std::move(finish(plan));
}

Lifecycle captured_past_the_end() { return captured({0, 1, kBytes}); }

Lifecycle captured_inside() { return captured({0, 0, kBytes}); }

// Before the graph, the host fills a part of the workspace.
Lifecycle host_fills(BufferRange write) {
  Lifecycle plan = captured_inside();
  PlanOp fill = op(PlanOpKind::copy);
  fill.captured = false;
  fill.writes = {write};
  Program& program = plan.events.back().programs[0];
  program.ops = {fill};
  program.blocks.clear();
  return std::move(finish(plan));
}

Lifecycle host_fills_too_much() { return host_fills({0, 0, kBytes + 8}); }

Lifecycle host_fills_all() { return host_fills({0, 0, -1}); }

constexpr std::string_view kLaw = "within_capacity";

constexpr std::array kMutants = {
    PlanMutant{"reads_past_the_end", kLaw, "a read ends inside its buffer", reads_past_the_end,
               inside},
    PlanMutant{"writes_past_the_end", kLaw, "a write ends inside its buffer", writes_past_the_end,
               inside},
    PlanMutant{"begins_before_the_buffer", kLaw, "an access begins at byte 0 or later",
               begins_before_the_buffer, inside},
    PlanMutant{"begins_behind_the_buffer", kLaw, "an access to the end begins inside",
               begins_behind_the_buffer, begins_at_the_end},
    PlanMutant{"counts_wrap", kLaw, "offset and bytes do not wrap", counts_wrap, inside},
    PlanMutant{"shrinks_on_one_rank", kLaw, "the size is that of the latest allocation of a rank",
               shrinks_on_one_rank, grows_on_one_rank},
    PlanMutant{"captured_past_the_end", kLaw, "captured operations too", captured_past_the_end,
               captured_inside},
    PlanMutant{"host_fills_too_much", kLaw, "operations of the host before a replay too",
               host_fills_too_much, host_fills_all},
};

}  // namespace

std::span<const PlanMutant> plan_mutants_within_capacity();
std::span<const PlanMutant> plan_mutants_within_capacity() { return kMutants; }

}  // namespace capsize
