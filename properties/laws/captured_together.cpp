// captured_together: whether an operation is captured is the same on all ranks of its group; all
// of them take part in a capture, and replay the graph of one capture; nobody begins a capture
// while work on that group may be pending. So asks NCCL's user guide (CUDA graphs). Peer memory
// knows no capture: which capture a graph is from is not asked where only peers' memory is read.
#include <algorithm>
#include <iterator>

#include "properties/captured_groups.hpp"
#include "properties/law.hpp"

namespace capsize {
namespace {

// The first operation over a family, of those that both classes issue in the same order, that one
// of them captures and the other does not: as each of them has it.
struct Mismatch {
  const RunOp* a = nullptr;
  const RunOp* b = nullptr;
};
Mismatch captured_on_one(const Running& a, const Running& b, GroupId family) {
  if (a.mode != b.mode) return {};
  const OpSequence of_a(a, meeting_over(family));
  const OpSequence of_b(b, meeting_over(family));
  Effort effort(kWalkSteps);
  const Walk walk = walk_along(of_a, of_b, effort, [](const RunOp& x, const RunOp& y) {
    return x.op->kind == y.op->kind && x.captured == y.captured;
  });
  if (walk.end != WalkEnd::stopped || walk.a->op->kind != walk.b->op->kind) return {};
  return {walk.a, walk.b};
}

// Whether two classes are the same operation by operation, so that nothing need be unrolled.
bool same_shape(const Running& a, const Running& b) {
  const auto same_op = [](const RunOp& x, const RunOp& y) {
    return x.op->kind == y.op->kind && x.captured == y.captured && x.op->group == y.op->group;
  };
  if (a.mode != b.mode) return false;
  if (same_graph(a, b)) return true;
  return run_alike(a, b, same_op);
}

// One meeting over a family that captured operations use.
struct Judge {
  const Timeline& timeline;
  PlanReport& report;
  const EventRun& event;
  const CapturedGroups& captured;
  GroupId family;
  const Meeting& meeting;

  [[nodiscard]] ToldClass who(const MeetingClass& which) const {
    return told(timeline, event, family, meeting, which);
  }

  [[nodiscard]] const MeetingClass& user() const {
    return *std::ranges::find_if(meeting.classes, [this](const MeetingClass& each) {
      return captured.uses(each.running, family);
    });
  }

  void add(const MeetingClass& departs, const MeetingClass& norm, const RunOp* op,
           std::string blame) const {
    Breach breach = breach_between(event, family, meeting, departs, norm, op);
    breach.symptom = Symptom::hang;
    breach.blame = std::move(blame);
    report.add(std::move(breach));
  }

  void judge_absent() const {
    for (const MeetingClass& each : meeting.classes) {
      if (each.running >= 0) continue;
      const RunOp* op = first_captured(at(event, user().running), family);
      add(each, user(), op,
          who(each).does("capture") + " nothing; " + who(user()).does("capture") + " " +
              op_text(timeline.lifecycle(), *op->op));
    }
  }

  void judge_operations() const {
    const Meeting present = classes_where(event, meeting, [](const Running&) { return true; });
    const bool alike = std::ranges::all_of(present.classes, [&](const MeetingClass& each) {
      return same_shape(at(event, present.classes.front().running), at(event, each.running));
    });
    if (alike) return;
    for_each_departing(
        event, present,
        [this](std::int32_t a, std::int32_t b) {
          return captured_on_one(at(event, a), at(event, b), family).a == nullptr;
        },
        [this](const MeetingClass& departs, const MeetingClass& norm) {
          const Mismatch found =
              captured_on_one(at(event, norm.running), at(event, departs.running), family);
          const bool by_norm = found.a->captured;
          add(departs, norm, found.a,
              op_text(timeline.lifecycle(), *found.a->op) + " is captured on " +
                  ranks_text(who(by_norm ? norm : departs).ranks) + " and not on " +
                  ranks_text(who(by_norm ? departs : norm).ranks));
        });
  }

  // The first captured operation of a class over the family that NCCL carries.
  [[nodiscard]] const RunOp* carried(const Running& running) const {
    for (const RunOp& each : running.ops) {
      if (!each.captured || each.op->group != family || !communicates(*each.op)) continue;
      if (transport_of(timeline.lifecycle(), *each.op) != Transport::peer) return &each;
    }
    return nullptr;
  }

  // Ranks that replay one key must hold the graphs of one capture. Different keys are the matter of
  // same_bucket, which knows whether they may differ.
  void judge_captures() const {
    const Meeting found = classes_where(event, meeting, [this](const Running& running) {
      return running.capture_event >= 0 && carried(running) != nullptr;
    });
    for (std::size_t i = 0; i < found.classes.size(); ++i) {
      const auto& key = at(event, found.classes[i].running).program->key;
      const auto has_key = [&](const MeetingClass& each) {
        return at(event, each.running).program->key == key;
      };
      const auto here = found.classes.begin() + static_cast<std::ptrdiff_t>(i);
      if (std::any_of(found.classes.begin(), here, has_key)) continue;
      Meeting of_key{.group = found.group, .size = found.size};
      std::copy_if(here, found.classes.end(), std::back_inserter(of_key.classes), has_key);
      judge_captures_of_one_key(of_key);
    }
  }

  void judge_captures_of_one_key(const Meeting& found) const {
    const auto one_capture = [this](std::int32_t a, std::int32_t b) {
      return at(event, a).capture_event == at(event, b).capture_event;
    };
    const auto capture_text = [this](const MeetingClass& which) {
      return " the graph of event " + std::to_string(at(event, which.running).capture_event);
    };
    for_each_departing(event, found, one_capture,
                       [&](const MeetingClass& departs, const MeetingClass& norm) {
                         const RunOp* op = carried(at(event, norm.running));
                         add(departs, norm, op,
                             who(departs).does("replay") + capture_text(departs) + "; " +
                                 who(norm).does("replay") + capture_text(norm) + ", which holds " +
                                 op_text(timeline.lifecycle(), *op->op));
                       });
  }

  [[nodiscard]] bool one_capture_event() const {
    return std::ranges::all_of(meeting.classes, [this](const MeetingClass& each) {
      if (each.running < 0 || meeting.classes.front().running < 0) return false;
      return at(event, each.running).capture_event ==
             at(event, meeting.classes.front().running).capture_event;
    });
  }

  void judge() const {
    if (event.event->kind == PlanEventKind::capture) judge_absent();
    if (meeting.classes.size() < 2) return;
    judge_operations();
    if (event.event->kind == PlanEventKind::replay && !one_capture_event()) judge_captures();
  }
};

// What an earlier event really runs over a family: a captured operation of a capture is only
// recorded.
const RunOp* runs_over(const EventRun& event, const Running& running, GroupId family) {
  for (const RunOp& each : running.ops) {
    if (each.op->group != family || !communicates(*each.op)) continue;
    if (event.event->kind != PlanEventKind::capture || !each.captured) return &each;
  }
  return nullptr;
}

// A capture against one earlier event that may still be running.
void judge_pending(const Timeline& timeline, PlanReport& report, const EventRun& capture,
                   const CapturedGroups& captured, const EventRun& earlier) {
  const Lifecycle& lifecycle = timeline.lifecycle();
  for (const GroupId family : captured.families()) {
    const PlanGroups& groups = lifecycle.family(family);
    const std::vector<bool> used = captured.groups_in_use(family);
    for (const Running& running : earlier.runnings) {
      const RunOp* op = runs_over(earlier, running, family);
      if (op == nullptr) continue;
      std::optional<std::int64_t> met;
      running.ranks.for_each([&](std::int64_t rank) {
        const std::int32_t group = groups.group_of[static_cast<std::size_t>(rank)];
        if (met || group < 0 || !used[static_cast<std::size_t>(group)]) return;
        if (groups.groups[static_cast<std::size_t>(group)].size() > 1) met = rank;
      });
      if (!met) continue;
      Breach breach = breach_at(capture);
      breach.rank = met;
      breach.group = family;
      breach.group_size = lifecycle.size_at(family, *met);
      breach.op = name_of(op->op->kind);
      breach.layer = op->layer;
      breach.at = op->op;
      breach.symptom = Symptom::hang;
      breach.blame = "the capture begins while " + op_text(lifecycle, *op->op) + " of event " +
                     std::to_string(earlier.index) + " (" +
                     std::string(name_of(earlier.event->kind)) + ") may be pending on " +
                     ranks_text(running.ranks);
      report.add(std::move(breach));
      break;
    }
  }
}

void judge_all_pending(const Timeline& timeline, PlanReport& report, const EventRun& capture,
                       const CapturedGroups& captured) {
  // Whoever captures in one of these modes says that other threads' work does not disturb it.
  const auto mode = capture.event->capture_mode;
  if (mode == CaptureMode::thread_local_mode || mode == CaptureMode::relaxed) return;
  for (std::int32_t i = 0; i < capture.index && capture.event->stream; ++i) {
    const EventRun& earlier = timeline.events()[static_cast<std::size_t>(i)];
    if (!earlier.event->stream || earlier.runnings.empty()) continue;
    if (timeline.ordered(i, capture.index)) continue;
    judge_pending(timeline, report, capture, captured, earlier);
  }
}

void check_plan(const Timeline& timeline, PlanReport& report) {
  CapturedGroups captured(timeline);
  for (const EventRun& event : timeline.events()) {
    captured.read(event);
    captured.for_each_meeting([&](GroupId family, const Meeting& meeting) {
      report.looked_at(event.event->path);
      Judge{timeline, report, event, captured, family, meeting}.judge();
    });
    if (event.event->kind == PlanEventKind::capture && !captured.families().empty()) {
      judge_all_pending(timeline, report, event, captured);
    }
  }
}

}  // namespace

extern const Law law_captured_together;
const Law law_captured_together{
    .name = "captured_together",
    .defect_class = "C04",
    .subject = "lifecycle",
    .statement =
        "Captured or not is uniform over the ranks of a communicator; each rank replays "
        "the graph that comes from the same collective capture; nobody enters a capture "
        "while work on that communicator is pending.",
    .formula =
        "for all events e, G used in a captured region of e, r and s in G: captured_r(o) = "
        "captured_s(o), capture(e, r) = capture(e, s); e is a capture => all of G take part "
        "and all earlier work over G is ordered before e",
    .way_out = "capture and replay on all ranks of the communicator at the same point",
    .check_plan = check_plan};

}  // namespace capsize
