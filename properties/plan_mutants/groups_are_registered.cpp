// Planted faults of groups_are_registered: eight ranks, attention over tp, experts over moe_tp.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

struct Groups {
  GroupId tp;
  GroupId moe_tp;
};

constexpr RankRange kWorld{0, 7};

RankSet everyone() { return {kWorld.first, kWorld.last}; }

// moe_tp as expert parallelism cuts it: groups of four, or one rank each.
Groups add_groups(Lifecycle& plan, bool experts_alone) {
  plan.world = 8;
  Groups groups;
  groups.tp = add_group(plan, "tp", {{0, 1, 2, 3, 4, 5, 6, 7}});
  groups.moe_tp = experts_alone
                      ? add_group(plan, "moe_tp", {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}})
                      : add_group(plan, "moe_tp", {{0, 1, 2, 3}, {4, 5, 6, 7}});
  for (PlanGroups& family : plan.families) family.transport = Transport::peer;
  return groups;
}

std::vector<PlanOp> layer(const Groups& groups, std::int64_t rows) {
  return {all_reduce(groups.tp, rows), all_reduce(groups.moe_tp, rows)};
}

PlanEvent captured(const Groups& groups, std::int64_t rows, std::string path = "decode") {
  return capture(std::move(path), rows, {graph(everyone(), rows, layer(groups, rows))});
}
PlanEvent replayed(std::int64_t rows, std::string path = "decode") {
  return replay(std::move(path), rows, {graph(everyone(), rows)});
}

// A group that was moved out of another one and not entered for capture.
Lifecycle entered(bool both) {
  Lifecycle plan;
  const Groups groups = add_groups(plan, false);
  const std::vector<GroupId> names =
      both ? std::vector{groups.tp, groups.moe_tp} : std::vector{groups.tp};
  plan.events = {captured(groups, 16), register_groups(names, everyone()), replayed(16)};
  return finish(plan);
}

// Experts that are whole on every rank need no registration.
Lifecycle alone() {
  Lifecycle plan;
  const Groups groups = add_groups(plan, true);
  plan.events = {captured(groups, 16), register_groups({groups.tp}), replayed(16)};
  return finish(plan);
}

// The second runner captures and does not register.
Lifecycle second_runner(bool registers) {
  Lifecycle plan;
  const Groups groups = add_groups(plan, false);
  const PlanEvent exchange = register_groups({groups.tp, groups.moe_tp});
  plan.events = {captured(groups, 16), exchange, replayed(16), captured(groups, 32, "prefill")};
  if (registers) plan.events.push_back(exchange);
  plan.events.push_back(replayed(32, "prefill"));
  plan.events.push_back(replayed(16));
  return finish(plan);
}

// A graph is replayed before the capture context ends.
Lifecycle early_replay(bool early) {
  Lifecycle plan;
  const Groups groups = add_groups(plan, false);
  const PlanEvent exchange = register_groups({groups.tp, groups.moe_tp});
  plan.events = {captured(groups, 16), exchange, replayed(16)};
  if (early) std::swap(plan.events[1], plan.events[2]);
  plan.events.push_back(replayed(16));
  return finish(plan);
}

// The exchange runs on a stream of its own; the replay waits for it or does not.
Lifecycle beside(bool joined) {
  Lifecycle plan;
  const Groups groups = add_groups(plan, false);
  plan.events = {captured(groups, 16), register_groups({groups.tp, groups.moe_tp}), replayed(16)};
  plan.events[1].stream = 1;
  plan.events[2].stream = 0;
  if (joined) plan.events[2].after = {1};
  return finish(plan);
}

// Ranks 4 to 7 do not take part in the exchange.
Lifecycle some_ranks(bool all) {
  Lifecycle plan;
  const Groups groups = add_groups(plan, false);
  plan.events = {captured(groups, 16), register_groups({groups.tp}),
                 register_groups({groups.moe_tp}, {0, 3}), replayed(16)};
  if (all) plan.events.insert(plan.events.end() - 1, register_groups({groups.moe_tp}, {4, 7}));
  return finish(plan);
}

// One rank falls back to the plain path, in a capture or eagerly.
Lifecycle paths(bool equal, bool eagerly) {
  Lifecycle plan;
  const Groups groups = add_groups(plan, false);
  const auto programs = [&](bool departs) {
    std::vector<Program> out = {graph({0, 6}, 16, layer(groups, 16)),
                                graph({7, 7}, 16, layer(groups, 16))};
    if (departs) out[1].ops[1].registered = false;
    return out;
  };
  plan.events = {capture("decode", 16, programs(!equal && !eagerly)),
                 register_groups({groups.tp, groups.moe_tp}), replayed(16)};
  std::vector<Program> run = programs(!equal && eagerly);
  for (Program& program : run) program = eager_program(program.ranks, 16, program.ops);
  plan.events.push_back(eager("decode", 16, std::move(run)));
  return finish(plan);
}

// The allocator hands out virtual memory; the plain path can read that, the registered cannot.
Lifecycle virtual_operand(bool registered, bool replays) {
  Lifecycle plan;
  const Groups groups = add_groups(plan, false);
  const std::int32_t staging = add_buffer(plan, {.name = "staging",
                                                 .bytes = 4096,
                                                 .kind = BufferKind::workspace,
                                                 .memory = MemoryKind::virtual_memory});
  std::vector<PlanOp> ops = layer(groups, 16);
  ops[0].reads = {{staging, 0, 1024}};
  if (!registered) ops[0].registered = false;
  plan.events = {capture("decode", 16, {graph(everyone(), 16, ops)}),
                 register_groups({groups.tp, groups.moe_tp})};
  if (replays) plan.events.push_back(replayed(16));
  return finish(plan);
}

// Allocations made on one rank only move its window.
Lifecycle window(bool equal) {
  Lifecycle plan;
  const Groups groups = add_groups(plan, false);
  plan.families[0].transport = Transport::raw;
  const std::int32_t pool =
      add_buffer(plan, {.name = "pool", .bytes = 4096, .kind = BufferKind::workspace});
  const auto ops = [&](std::int64_t offset) {
    std::vector<PlanOp> out = layer(groups, 16);
    out[0].registered = true;
    out[0].reads = {{pool, offset, 1024}};
    out[0].writes = {{pool, offset, 1024}};
    return out;
  };
  plan.events = {
      capture("decode", 16, {graph({0, 0}, 16, ops(0)), graph({1, 7}, 16, ops(equal ? 0 : 512))}),
      register_groups({groups.tp, groups.moe_tp}), replayed(16)};
  return finish(plan);
}

constexpr std::string_view kLaw = "groups_are_registered";

const std::array<PlanMutant, 11> kMutants = {{
    {"group_not_entered", kLaw, "the group is among those entered", [] { return entered(false); },
     [] { return entered(true); }},
    {"experts_not_alone", kLaw, "a group of more than one rank needs it",
     [] { return entered(false); }, [] { return alone(); }},
    {"second_runner_forgets", kLaw, "registered after the capture, for every runner",
     [] { return second_runner(false); }, [] { return second_runner(true); }},
    {"replayed_too_early", kLaw, "registered before the replay", [] { return early_replay(true); },
     [] { return early_replay(false); }},
    {"exchange_not_awaited", kLaw, "ordered before the replay", [] { return beside(false); },
     [] { return beside(true); }},
    {"half_registers", kLaw, "on every rank of the group", [] { return some_ranks(false); },
     [] { return some_ranks(true); }},
    {"one_rank_captures_plain", kLaw, "one path on all ranks, in a capture",
     [] { return paths(false, false); }, [] { return paths(true, false); }},
    {"one_rank_runs_plain", kLaw, "one path on all ranks, eagerly",
     [] { return paths(false, true); }, [] { return paths(true, true); }},
    {"operand_is_virtual", kLaw, "a registered operand can be exported",
     [] { return virtual_operand(true, true); }, [] { return virtual_operand(false, true); }},
    {"operand_is_virtual_unreplayed", kLaw, "a registered operand can be exported, replayed or not",
     [] { return virtual_operand(true, false); }, [] { return virtual_operand(false, false); }},
    {"window_is_moved", kLaw, "symmetric operands lie at one place", [] { return window(false); },
     [] { return window(true); }},
}};

}  // namespace

std::span<const PlanMutant> plan_mutants_groups_are_registered();
std::span<const PlanMutant> plan_mutants_groups_are_registered() { return kMutants; }

}  // namespace capsize
