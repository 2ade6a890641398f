// same_mode: in each event the pair (mode, key without its size) is the same on all ranks of every
// group that captured operations use. Ranks that run nothing are not its matter, and what only one
// side says is not compared. A class that departs hangs the group; where it issues what the others
// issue, the step merely is as slow as the slowest of them. Not so in a capture: what one side only
// records never meets what the other runs.
#include <algorithm>
#include <array>

#include "properties/captured_groups.hpp"
#include "properties/law.hpp"

namespace capsize {
namespace {

bool same_key(const GraphKey& a, const GraphKey& b) {
  return a == b || without_size(a) == without_size(b);
}

// What is not said is like everything.
bool may_be_equal(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  return a.empty() || b.empty() || a == b;
}

bool issue_alike(const PlanOp& a, const PlanOp& b) {
  return a.kind == b.kind && may_be_equal(a.rows_in, b.rows_in) && may_be_equal(a.sizes, b.sizes) &&
         (!a.rows_out || !b.rows_out || a.rows_out == b.rows_out);
}

// Whether two classes issue the same over a family, so that all of them come through.
bool come_through(const EventRun& event, const Running& a, const Running& b, GroupId family) {
  const bool records = event.event->kind == PlanEventKind::capture;
  const OpSequence of_a(a, meeting_over(family));
  const OpSequence of_b(b, meeting_over(family));
  Effort effort(kWalkSteps);
  const Walk walk = walk_along(of_a, of_b, effort, [records](const RunOp& x, const RunOp& y) {
    return issue_alike(*x.op, *y.op) && (!records || x.captured == y.captured);
  });
  return walk.end == WalkEnd::both_end && walk.position > 0;
}

struct Judge {
  const Timeline& timeline;
  PlanReport& report;
  const EventRun& event;
  const CapturedGroups& captured;
  GroupId family;
  const Meeting& meeting;

  [[nodiscard]] std::string what_it_issues(const Running& running) const {
    const RunOp* op = first_over(running, family);
    if (op != nullptr) return ", " + op_text(timeline.lifecycle(), *op->op) + " first";
    // The operations of a graph that the plan does not hold are not known.
    if (running.graph_missing) return "";
    return " with nothing over " + timeline.lifecycle().family(family).name;
  }

  // The captured operation of the norm; where only others captured one, theirs.
  [[nodiscard]] const RunOp* met_in(const MeetingClass& norm) const {
    if (const RunOp* op = first_captured(at(event, norm.running), family)) return op;
    for (const MeetingClass& each : meeting.classes) {
      if (captured.uses(each.running, family))
        return first_captured(at(event, each.running), family);
    }
    return nullptr;
  }

  void add(const MeetingClass& departs, const MeetingClass& norm, bool by_key) const {
    const Running& one = at(event, departs.running);
    const Running& other = at(event, norm.running);
    Breach breach = breach_between(event, family, meeting, departs, norm, met_in(norm));
    const bool alike = come_through(event, one, other, family);
    const bool eager = one.mode == GraphMode::eager || other.mode == GraphMode::eager;
    breach.symptom = !alike  ? Symptom::hang
                     : eager ? Symptom::silent_eager
                             : Symptom::silent_corruption;
    const auto told_of = [&](const MeetingClass& which, const Running& running) {
      std::string text =
          mode_text(event, told(timeline, event, family, meeting, which), running.mode);
      if (by_key) text.append(" of key ").append(text_of(*running.program->key));
      return text + what_it_issues(running);
    };
    if (by_key) breach.key = text_of(*one.program->key);
    breach.blame = told_of(departs, one) + "; " + told_of(norm, other);
    if (alike) breach.blame += "; all wait for the slowest of them";
    report.add(std::move(breach));
  }

  void judge() const {
    const auto same_mode = [this](std::int32_t a, std::int32_t b) {
      return at(event, a).mode == at(event, b).mode;
    };
    const auto same_keys = [this](std::int32_t a, std::int32_t b) {
      return same_key(*at(event, a).program->key, *at(event, b).program->key);
    };
    for_each_departing(event, classes_where(event, meeting, [](const Running&) { return true; }),
                       same_mode, [this](const MeetingClass& departs, const MeetingClass& norm) {
                         add(departs, norm, false);
                       });
    for (const GraphMode mode : {GraphMode::graph, GraphMode::piecewise, GraphMode::eager}) {
      const Meeting keyed = classes_where(event, meeting, [mode](const Running& running) {
        return running.mode == mode && running.program->key.has_value();
      });
      for_each_departing(event, keyed, same_keys,
                         [this](const MeetingClass& departs, const MeetingClass& norm) {
                           add(departs, norm, true);
                         });
    }
  }

  // The common case, found without a copy: everyone is as the first.
  [[nodiscard]] bool all_alike() const {
    const Running* first = nullptr;
    return std::ranges::all_of(meeting.classes, [&](const MeetingClass& each) {
      if (each.running < 0) return true;
      const Running& running = at(event, each.running);
      if (first == nullptr) first = &running;
      if (running.mode != first->mode) return false;
      const auto& key = running.program->key;
      const auto& wanted = first->program->key;
      return key.has_value() == wanted.has_value() && (!key || same_key(*key, *wanted));
    });
  }
};

void check_plan(const Timeline& timeline, PlanReport& report) {
  CapturedGroups captured(timeline);
  for (const EventRun& event : timeline.events()) {
    captured.read(event);
    captured.for_each_meeting([&](GroupId family, const Meeting& meeting) {
      report.looked_at(event.event->path);
      const Judge judge{timeline, report, event, captured, family, meeting};
      if (!judge.all_alike()) judge.judge();
    });
  }
}

}  // namespace

extern const Law law_same_mode;
const Law law_same_mode{
    .name = "same_mode",
    .defect_class = "C04",
    .subject = "step",
    .statement =
        "In each step the pair (mode, key) is equal on all ranks of every group used "
        "inside a captured region; idle ranks included; capture itself included.",
    .formula =
        "for all events e, groups G used in a captured region of e, r and s in G that run: "
        "(mode_r, key_r without size) = (mode_s, key_s without size)",
    .way_out =
        "exchange the mode together with the counts and take the least; give idle ranks a dummy "
        "batch in the same graph",
    .check_plan = check_plan};

}  // namespace capsize
