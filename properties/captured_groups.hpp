// Which groups the captured operations of an event use, and how to tell what classes do there. The
// laws about graphs that ranks must share are judged over these groups: what nobody captured may
// differ from rank to rank.
//
//   CapturedGroups captured(timeline);
//   for (const EventRun& event : timeline.events()) {
//     captured.read(event);
//     captured.for_each_meeting([&](GroupId family, const Meeting& meeting) { ... });
//   }
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "properties/op_sequence.hpp"
#include "properties/plan_report.hpp"
#include "sim/timeline.hpp"

namespace capsize {

// Whether the ranks of a group meet in this operation: a collective, a send or a receive.
[[nodiscard]] bool communicates(const PlanOp& op);

[[nodiscard]] inline const Running& at(const EventRun& event, std::int32_t running) {
  return event.runnings[static_cast<std::size_t>(running)];
}

// Whether two classes replay one graph and nothing beside it: then they run the same, which need
// not be found out operation by operation.
[[nodiscard]] inline bool same_graph(const Running& a, const Running& b) {
  return a.graph != nullptr && a.graph == b.graph && a.program->ops.empty() &&
         b.program->ops.empty();
}

class CapturedGroups {
 public:
  explicit CapturedGroups(const Timeline& timeline) : timeline_(&timeline) {}

  // Reads what the classes of an event run; the answers below are about this event.
  void read(const EventRun& event);

  [[nodiscard]] const std::vector<GroupId>& families() const { return families_; }
  // Whether a class (a place in EventRun::runnings) captures or replays an operation over a family.
  [[nodiscard]] bool uses(std::int32_t running, GroupId family) const {
    return running >= 0 &&
           classes_[static_cast<std::size_t>(running)].test(static_cast<std::size_t>(family.index));
  }
  // Calls `visit(family, meeting)` for every meeting of more than one rank with a class that uses
  // the family in a captured operation.
  template <class Visit>
  void for_each_meeting(const Visit& visit) const {
    for (const GroupId family : families_) {
      for (const Meeting& meeting : timeline_->meetings(*event_, family)) {
        if (meeting.size > 1 && in_use(family, meeting)) visit(family, meeting);
      }
    }
  }
  // For every group of a family: whether a rank of it captures or replays an operation over it.
  [[nodiscard]] std::vector<bool> groups_in_use(GroupId family) const;

 private:
  [[nodiscard]] bool in_use(GroupId family, const Meeting& meeting) const;

  const Timeline* timeline_;
  const EventRun* event_ = nullptr;
  std::vector<GroupId> families_;
  std::vector<std::bitset<128>> classes_;  // the families of each class; a GroupId has 7 bits
};

// Lets through the operations over one family in which ranks meet.
[[nodiscard]] inline auto meeting_over(GroupId family) {
  return [family](const RunOp& run) { return run.op->group == family && communicates(*run.op); };
}

// The steps that a walk along two sequences may take: more than any model has layers.
inline constexpr std::int64_t kWalkSteps = 65536;

// The first captured operation of a class over a family; null where it has none.
[[nodiscard]] const RunOp* first_captured(const Running& running, GroupId family);
// The first operation of a class over a family, captured or not.
[[nodiscard]] const RunOp* first_over(const Running& running, GroupId family);

// Calls `visit(departing, norm)` for every class of a meeting that is not as the norm. `same` may
// have gaps (what is not said is like everything): where nobody departs from the norm, the first
// two classes that differ are told.
template <class Same, class Visit>
void for_each_departing(const EventRun& event, const Meeting& meeting, const Same& same,
                        const Visit& visit) {
  if (meeting.classes.size() < 2) return;
  MeetingClass norm;
  const auto departed = departing(event, meeting, norm, same);
  for (const MeetingClass& each : departed) visit(each, norm);
  if (!departed.empty()) return;
  for (std::size_t b = 1; b < meeting.classes.size(); ++b) {
    for (std::size_t a = 0; a < b; ++a) {
      if (same(meeting.classes[a].running, meeting.classes[b].running)) continue;
      visit(meeting.classes[b], meeting.classes[a]);
      return;
    }
  }
}

// The classes of a meeting that run something and that `keep` lets through.
template <class Keep>
[[nodiscard]] Meeting classes_where(const EventRun& event, const Meeting& meeting,
                                    const Keep& keep) {
  Meeting out{.group = meeting.group, .size = meeting.size};
  for (const MeetingClass& each : meeting.classes) {
    if (each.running < 0) continue;
    if (keep(event.runnings[static_cast<std::size_t>(each.running)])) out.classes.push_back(each);
  }
  return out;
}

// One class of a meeting, in words.
struct ToldClass {
  RankSet ranks;                                                // those in the meeting's group
  [[nodiscard]] std::string does(std::string_view verb) const;  // "rank 1 runs", "ranks 0-3 run"
};
[[nodiscard]] ToldClass told(const Timeline& timeline, const EventRun& event, GroupId family,
                             const Meeting& meeting, const MeetingClass& which);
// "rank 1 runs eagerly", "ranks 0-3 replay a graph".
[[nodiscard]] std::string mode_text(const EventRun& event, const ToldClass& who, GraphMode mode);

// A breach between two classes that meet: the rank that departs and the group, and the operation
// that the two meet in (none: not known).
[[nodiscard]] Breach breach_between(const EventRun& event, GroupId family, const Meeting& meeting,
                                    const MeetingClass& departs, const MeetingClass& norm,
                                    const RunOp* op);

}  // namespace capsize
