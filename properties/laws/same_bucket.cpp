// same_bucket: if a captured graph holds an operation over a group whose geometry depends on the
// bucket, all ranks of the group choose that bucket. Owns the size in the key, and only for groups
// that captured operations use. A vote of fixed size, or a barrier, does not depend on the bucket.
#include <algorithm>

#include "properties/captured_groups.hpp"
#include "properties/law.hpp"

namespace capsize {
namespace {

// What a class chose. Either may be unsaid.
struct Choice {
  std::optional<std::int64_t> bucket;
  std::optional<std::int64_t> size;
  friend bool operator==(const Choice&, const Choice&) = default;
};

Choice choice_of(const Running& running) {
  const Program& program = *running.program;
  return {bucket_of(program), program.key ? size_in(*program.key) : std::nullopt};
}

bool agree(const Choice& a, const Choice& b) {
  const auto equal = [](std::optional<std::int64_t> x, std::optional<std::int64_t> y) {
    return !x || !y || *x == *y;
  };
  return equal(a.bucket, b.bucket) && equal(a.size, b.size);
}

bool carries_rows(const RunOp& op) {
  return op.captured && (moves_rows(op.op->kind) || is_point_to_point(op.op->kind));
}

// The rows that a send or a receive moves.
std::optional<std::int64_t> rows_sent(const PlanOp& op) {
  return op.rows_in.empty() ? op.rows_out : std::optional(op.rows_in.front());
}

// Whether both operations state their rows, and the same: then they do not depend on the bucket.
bool fixed_rows(const PlanOp& a, const PlanOp& b) {
  if (is_point_to_point(a.kind) && is_point_to_point(b.kind)) {
    return rows_sent(a) && rows_sent(a) == rows_sent(b) && a.sizes == b.sizes;
  }
  const bool stated = !a.rows_in.empty() || a.rows_out || !a.sizes.empty();
  return stated && a.kind == b.kind && a.rows_in == b.rows_in && a.rows_out == b.rows_out &&
         a.sizes == b.sizes;
}

// The first captured operation over a family that is not the same for the graphs of two classes;
// null where there is none. A graph that the plan does not hold issues nothing that is known: the
// other class's operations decide.
const RunOp* first_dependent(const Running& a, const Running& b, GroupId family) {
  const auto of_family = [family](const RunOp& op) {
    return op.op->group == family && carries_rows(op);
  };
  const OpSequence of_a(a, of_family);
  const OpSequence of_b(b, of_family);
  Effort effort(kWalkSteps);
  const Walk walk = walk_along(
      of_a, of_b, effort, [](const RunOp& x, const RunOp& y) { return fixed_rows(*x.op, *y.op); });
  if (walk.end == WalkEnd::too_long) return nullptr;
  return walk.a != nullptr ? walk.a : walk.b;
}

// Peers that read each other's memory, and exchanges of fixed geometry, go on with wrong places.
Symptom symptom_of_op(const Lifecycle& lifecycle, const PlanOp& op) {
  const bool silent =
      op.kind == PlanOpKind::all_to_all || transport_of(lifecycle, op) == Transport::peer;
  return silent ? Symptom::silent_corruption : Symptom::hang;
}

std::string choice_text(const Choice& choice, const Choice& other) {
  if (choice.bucket && other.bucket && *choice.bucket != *other.bucket) {
    return " bucket " + std::to_string(*choice.bucket);
  }
  return " the graph of size " + std::to_string(choice.size.value_or(0));
}

std::string rows_text(const PlanOp& op) {
  const auto rows = rows_sent(op);
  return rows ? " of " + std::to_string(*rows) + " rows" : "";
}

struct Judge {
  const Timeline& timeline;
  PlanReport& report;
  const EventRun& event;
  GroupId family;
  const Meeting& meeting;

  [[nodiscard]] bool same(std::int32_t a, std::int32_t b) const {
    const Running& one = at(event, a);
    const Running& other = at(event, b);
    return agree(choice_of(one), choice_of(other)) ||
           first_dependent(one, other, family) == nullptr;
  }

  void add(const MeetingClass& departs, const MeetingClass& norm) const {
    const Running& one = at(event, departs.running);
    const Running& other = at(event, norm.running);
    const RunOp* op = first_dependent(other, one, family);
    Breach breach = breach_between(event, family, meeting, departs, norm, op);
    breach.symptom = symptom_of_op(timeline.lifecycle(), *op->op);
    if (one.program->key) breach.key = text_of(*one.program->key);
    const std::string_view verb =
        event.event->kind == PlanEventKind::capture ? "capture" : "replay";
    const auto does = [&](const MeetingClass& which, const Running& running,
                          const Running& beside) {
      return told(timeline, event, family, meeting, which).does(verb) +
             choice_text(choice_of(running), choice_of(beside));
    };
    breach.blame = does(departs, one, other) + "; " + does(norm, other, one) + "; they meet in " +
                   op_text(timeline.lifecycle(), *op->op) + rows_text(*op->op);
    report.add(std::move(breach));
  }

  // The common cases, found without a copy: one choice, or nothing that depends on it.
  [[nodiscard]] bool all_alike() const {
    const Running* first = nullptr;
    const auto all_like_first = [&](const auto& like) {
      return std::ranges::all_of(meeting.classes, [&](const MeetingClass& each) {
        if (each.running < 0 || at(event, each.running).mode == GraphMode::eager) return true;
        const Running& running = at(event, each.running);
        if (first == nullptr) first = &running;
        return first == &running || like(running);
      });
    };
    return all_like_first(
               [&](const Running& running) { return choice_of(running) == choice_of(*first); }) ||
           all_like_first([&](const Running& running) {
             return first_dependent(*first, running, family) == nullptr;
           });
  }

  void judge() const {
    const Meeting graphs = classes_where(
        event, meeting, [](const Running& running) { return running.mode != GraphMode::eager; });
    for_each_departing(
        event, graphs, [this](std::int32_t a, std::int32_t b) { return same(a, b); },
        [this](const MeetingClass& departs, const MeetingClass& norm) { add(departs, norm); });
  }
};

// Whether some class of the meeting says which bucket it chose.
bool says_its_choice(const EventRun& event, const Meeting& meeting) {
  return std::ranges::any_of(meeting.classes, [&](const MeetingClass& each) {
    return each.running >= 0 && at(event, each.running).mode != GraphMode::eager &&
           choice_of(at(event, each.running)) != Choice{};
  });
}

void check_plan(const Timeline& timeline, PlanReport& report) {
  CapturedGroups captured(timeline);
  for (const EventRun& event : timeline.events()) {
    captured.read(event);
    captured.for_each_meeting([&](GroupId family, const Meeting& meeting) {
      if (!says_its_choice(event, meeting)) return;
      report.looked_at(event.event->path);
      const Judge judge{timeline, report, event, family, meeting};
      if (!judge.all_alike()) judge.judge();
    });
  }
}

}  // namespace

extern const Law law_same_bucket;
const Law law_same_bucket{
    .name = "same_bucket",
    .defect_class = "C03",
    .subject = "step",
    .statement =
        "If a captured graph holds an operation over a group whose geometry depends on "
        "the bucket, all ranks of the group choose that bucket in every step; target and "
        "draft models each.",
    .formula =
        "for all events e, groups G, captured o over G with rows(o) a function of the "
        "bucket, r and s in G that run graphs: bucket_r = bucket_s",
    .way_out =
        "agree on the bucket before dispatch: the largest local count over the group, rounded once",
    .check_plan = check_plan};

}  // namespace capsize
