#include "properties/captured_groups.hpp"

#include <algorithm>

namespace capsize {
namespace {

const RunOp* first_of(const Running& running, GroupId family, bool captured_only) {
  for (const RunOp& each : running.ops) {
    if (captured_only && !each.captured) continue;
    if (each.op->group == family && communicates(*each.op)) return &each;
  }
  return nullptr;
}

}  // namespace

bool communicates(const PlanOp& op) {
  return op.group.valid() && (is_collective(op.kind) || is_point_to_point(op.kind));
}

void CapturedGroups::read(const EventRun& event) {
  event_ = &event;
  families_.clear();
  classes_.assign(event.runnings.size(), {});
  std::bitset<128> all;
  for (std::size_t r = 0; r < event.runnings.size(); ++r) {
    if (r > 0 && same_graph(event.runnings[r - 1], event.runnings[r])) {
      classes_[r] = classes_[r - 1];
      continue;
    }
    for (const RunOp& each : event.runnings[r].ops) {
      if (!each.captured || !communicates(*each.op)) continue;
      const GroupId family = each.op->group;
      classes_[r].set(static_cast<std::size_t>(family.index));
      if (all.test(static_cast<std::size_t>(family.index))) continue;
      all.set(static_cast<std::size_t>(family.index));
      families_.push_back(family);
    }
  }
}

bool CapturedGroups::in_use(GroupId family, const Meeting& meeting) const {
  return std::ranges::any_of(meeting.classes,
                             [&](const MeetingClass& each) { return uses(each.running, family); });
}

std::vector<bool> CapturedGroups::groups_in_use(GroupId family) const {
  const PlanGroups& groups = timeline_->lifecycle().family(family);
  std::vector<bool> out(groups.groups.size(), false);
  for (std::size_t r = 0; r < event_->runnings.size(); ++r) {
    if (!uses(static_cast<std::int32_t>(r), family)) continue;
    event_->runnings[r].ranks.for_each([&](std::int64_t rank) {
      const std::int32_t group = groups.group_of[static_cast<std::size_t>(rank)];
      if (group >= 0) out[static_cast<std::size_t>(group)] = true;
    });
  }
  return out;
}

const RunOp* first_captured(const Running& running, GroupId family) {
  return first_of(running, family, true);
}

const RunOp* first_over(const Running& running, GroupId family) {
  return first_of(running, family, false);
}

std::string ToldClass::does(std::string_view verb) const {
  std::string text = ranks_text(ranks);
  text.append(" ").append(verb);
  return ranks.count() == 1 ? text + "s" : text;
}

ToldClass told(const Timeline& timeline, const EventRun& event, GroupId family,
               const Meeting& meeting, const MeetingClass& which) {
  const PlanGroups& groups = timeline.lifecycle().family(family);
  std::vector<std::int32_t> members = groups.groups[static_cast<std::size_t>(meeting.group)];
  std::ranges::sort(members);
  const Running* wanted =
      which.running < 0 ? nullptr : &event.runnings[static_cast<std::size_t>(which.running)];
  ToldClass out;
  for (const std::int32_t rank : members) {
    if (timeline.running_of(event, rank) == wanted) out.ranks.append({rank, rank});
  }
  return out;
}

std::string mode_text(const EventRun& event, const ToldClass& who, GraphMode mode) {
  if (mode == GraphMode::eager) return who.does("run") + " eagerly";
  const PlanEventKind kind = event.event->kind;
  std::string_view verb = "run";
  if (kind == PlanEventKind::capture) verb = "capture";
  if (kind == PlanEventKind::replay) verb = "replay";
  return who.does(verb) + (mode == GraphMode::piecewise ? " a piecewise graph" : " a graph");
}

Breach breach_between(const EventRun& event, GroupId family, const Meeting& meeting,
                      const MeetingClass& departs, const MeetingClass& norm, const RunOp* op) {
  Breach breach = breach_at(event);
  breach.rank = departs.first_rank;
  breach.group = family;
  breach.group_size = meeting.size;
  breach.running = departs.running;
  breach.other = norm.running;
  if (op != nullptr) {
    breach.op = name_of(op->op->kind);
    breach.layer = op->layer;
    breach.at = op->op;
  }
  return breach;
}

}  // namespace capsize
