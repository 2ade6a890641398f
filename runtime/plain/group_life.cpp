#include "runtime/plain/group_life.hpp"

#include <algorithm>
#include <concepts>

namespace capsize {
namespace {

std::size_t size_of(std::integral auto number) { return static_cast<std::size_t>(number); }

bool meets(const PlanOp& op) {
  return meets_on_device(op.kind) || op.kind == PlanOpKind::host_collective;
}

// Windows of a communicator library stay registered; the addresses of a graph are new with it.
bool is_window(const Lifecycle& plan, const PlanOp& op) {
  const auto transport = op.transport ? op.transport : plan.family(op.group).transport;
  return transport && *transport != Transport::peer;
}

// An event that was recorded in one graph means nothing in another.
std::optional<Trouble> foreign_event(const Standpoint& at, const PlanOp& op) {
  if (op.kind != PlanOpKind::wait) return std::nullopt;
  for (const std::int32_t each : op.after) {
    const PlanOp& awaited = at.running->program->ops[size_of(each)];
    if (!awaited.captured.value_or(true) || awaited.segment == op.segment) continue;
    return Trouble{Symptom::clean_error, std::nullopt,
                   "it waits for " + std::string(name_of(awaited.kind)) +
                       ", which was captured in another graph"};
  }
  return std::nullopt;
}

}  // namespace

bool is_registered(const Lifecycle& plan, const PlanOp& op) {
  if (!op.group.valid()) return false;
  if (op.registered) return *op.registered;
  return meets_on_device(op.kind) && transport_of(plan, op) == Transport::peer;
}

GroupLife::GroupLife(const Timeline& timeline, std::span<const std::int64_t> ranks)
    : timeline_(timeline),
      plan_(timeline.lifecycle()),
      ours_(size_of(plan_.world), false),
      creation_told_(plan_.families.size(), false) {
  const std::vector<bool> none(plan_.families.size(), false);
  ranks_.assign(size_of(plan_.world), {.created = none, .launched = none, .windows = none});
  for (const std::int64_t rank : ranks) ours_[size_of(rank)] = true;
  for (const EventRun& event : timeline.events()) {
    if (event.event->kind == PlanEventKind::create_group) {
      for (const GroupId each : event.event->groups) creation_told_[size_of(each.index)] = true;
    }
    for (const Running& running : event.runnings) {
      for (const RunOp& run : running.ops) {
        if (run.op->kind != PlanOpKind::create_group || !run.op->group.valid()) continue;
        creation_told_[size_of(run.op->group.index)] = true;
      }
    }
  }
}

void GroupLife::begin(const EventRun& event) {
  const PlanEvent& what = *event.event;
  for (std::int64_t rank = 0; rank < plan_.world; ++rank) {
    if (!what.ranks.empty() && !what.ranks.contains(rank)) continue;
    Rank& each = ranks_[size_of(rank)];
    for (const GroupId id : what.groups) {
      if (what.kind == PlanEventKind::create_group) each.created[size_of(id.index)] = true;
      if (what.kind == PlanEventKind::register_groups) exchange(each, id);
    }
  }
}

void GroupLife::exchange(Rank& rank, GroupId family) {
  rank.windows[size_of(family.index)] = true;
  for (const std::int32_t each : rank.captures) rank.exchanged.emplace(each, family.index);
}

std::optional<Trouble> GroupLife::trouble_at(const Standpoint& at, const Instruction& what,
                                             const EventRun& event, bool recorded) const {
  const PlanOp& op = *what.op;
  if (recorded) {
    if (auto out = foreign_event(at, op)) return out;
  }
  if (auto out = too_early(at, op, recorded)) return out;
  if (what.from_graph && what.captured) return unregistered(at, op, event);
  return std::nullopt;
}

// Groups of several ranks are made before they are used, and used before they are captured.
std::optional<Trouble> GroupLife::too_early(const Standpoint& at, const PlanOp& op,
                                            bool recorded) const {
  if (!op.group.valid() || !(meets(op) || op.kind == PlanOpKind::register_group)) {
    return std::nullopt;
  }
  const auto family = size_of(op.group.index);
  if (!creation_told_[family] || plan_.size_at(op.group, at.rank) < 2) return std::nullopt;
  const Rank& rank = ranks_[size_of(at.rank)];
  if (!rank.created[family]) {
    return Trouble{Symptom::clean_error, std::nullopt,
                   "the group " + plan_.families[family].name + " has not been created"};
  }
  if (recorded && meets_on_device(op.kind) && !rank.launched[family]) {
    return Trouble{Symptom::clean_error, std::nullopt,
                   "the first use of " + plan_.families[family].name +
                       " sets its communicator up, which a capture does not allow"};
  }
  return std::nullopt;
}

// Peers reach the operands of a graph only where they were told its addresses.
std::optional<Trouble> GroupLife::unregistered(const Standpoint& at, const PlanOp& op,
                                               const EventRun& event) const {
  if (!is_registered(plan_, op)) return std::nullopt;
  const PlanGroups& family = plan_.family(op.group);
  const std::int32_t group = family.group_of[size_of(at.rank)];
  if (group < 0 || family.groups[size_of(group)].size() < 2) return std::nullopt;
  for (const std::int32_t member : family.groups[size_of(group)]) {
    const Running* running = timeline_.running_of(event, member);
    if (!ours_[size_of(member)] || running == nullptr || running->graph == nullptr) continue;
    const Rank& peer = ranks_[size_of(member)];
    const bool known = is_window(plan_, op)
                           ? peer.windows[size_of(op.group.index)]
                           : peer.exchanged.contains({running->capture_event, op.group.index});
    if (known) continue;
    return Trouble{Symptom::silent_corruption, Check::address,
                   "rank " + std::to_string(member) +
                       " has not told its peers where the operands of this graph lie"};
  }
  return std::nullopt;
}

void GroupLife::after(const Standpoint& at, const Instruction& what, const EventRun& event,
                      bool recorded) {
  Rank& rank = ranks_[size_of(at.rank)];
  const PlanOp& op = *what.op;
  if (recorded) rank.captures.insert(event.index);
  if (!op.group.valid()) return;
  const auto family = size_of(op.group.index);
  if (op.kind == PlanOpKind::create_group) rank.created[family] = true;
  if (op.kind == PlanOpKind::register_group) exchange(rank, op.group);
  if (meets_on_device(op.kind) && !what.captured) rank.launched[family] = true;
}

}  // namespace capsize
