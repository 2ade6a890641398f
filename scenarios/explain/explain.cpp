#include "scenarios/explain/explain.hpp"

#include <algorithm>
#include <optional>

namespace capsize {
namespace {

std::string digits_of(std::int64_t value) { return std::to_string(value); }

std::string class_name(std::size_t index) {
  if (index < 26) return std::string(1, static_cast<char>('A' + index));
  return digits_of(static_cast<std::int64_t>(index) + 1);
}

std::string runs_text(const Running& running) {
  const Program& program = *running.program;
  std::string text(name_of(running.mode));
  if (running.mode != GraphMode::eager && program.key) text += " " + text_of(*program.key);
  if (running.graph_missing) text += ", which is not captured";
  const auto bucket = bucket_of(program);
  if (program.tokens && bucket) {
    text += ", " + digits_of(*program.tokens) + " of " + counted(*bucket, "row");
  } else if (program.tokens) {
    text += ", " + counted(*program.tokens, "token");
  } else if (bucket) {
    text += ", " + counted(*bucket, "row");
  }
  return text;
}

std::string event_headline(const EventRun& event, std::int64_t world, std::size_t classes) {
  std::string text(name_of(event.event->kind));
  if (!event.event->path.empty()) text += " of " + event.event->path;
  text += " at " + counted(event.tokens, "token") + ": ";
  text += counted(world, "rank");
  return text + (classes == 1
                     ? " in step"
                     : " in " + digits_of(static_cast<std::int64_t>(classes)) + " classes");
}

// Builds an explanation class by class, then track by track.
class Explainer {
 public:
  Explainer(const Timeline& timeline, const EventRun& event,
            const std::vector<StandingBreach>& breaches)
      : plan_(timeline.lifecycle()), event_(event) {
    for (const StandingBreach& each : breaches) {
      if (each.breach.event == event.index) breaches_.push_back(&each);
    }
  }

  Explanation run() {
    out_.world = plan_.world;
    add_classes();
    out_.headline = event_headline(event_, plan_.world, out_.classes.size());
    for (std::size_t i = 0; i < event_.runnings.size(); ++i) place(static_cast<std::int32_t>(i));
    if (const auto idle = std::ssize(event_.runnings); idle < std::ssize(out_.classes)) {
      out_.tracks.push_back({{static_cast<std::int32_t>(idle)}, {}});  // ranks that run nothing
    }
    for (const StandingBreach* each : breaches_) {
      if (std::ranges::find(told_, each) == told_.end()) (void)tell(each);
    }
    return std::move(out_);
  }

 private:
  void add_classes() {
    RankSet idle;
    for (std::int64_t rank = 0; rank < plan_.world; ++rank) {
      const bool runs = std::ranges::any_of(
          event_.runnings, [rank](const Running& each) { return each.ranks.contains(rank); });
      if (!runs) idle.append({rank, rank});
    }
    for (const Running& running : event_.runnings) {
      out_.classes.push_back({running.ranks, class_name(out_.classes.size()), runs_text(running)});
    }
  }

  // Adds a class to the track whose operations it shares, or begins one.
  void place(std::int32_t running) {
    const Running& runs = event_.runnings[static_cast<std::size_t>(running)];
    for (ExplainedTrack& track : out_.tracks) {
      const std::int32_t first = track.classes.front();
      if (first >= std::ssize(event_.runnings)) continue;
      if (!same_shape(event_.runnings[static_cast<std::size_t>(first)], runs)) continue;
      track.classes.push_back(running);
      add_rows(track, runs, running);
      return;
    }
    ExplainedTrack& track = out_.tracks.emplace_back();
    track.classes = {running};
    for (const RunPart& part : runs.parts) add_part(track, runs, part);
    add_rows(track, runs, running);
  }

  static bool same_shape(const Running& a, const Running& b) {
    const auto same_op = [](const RunOp& x, const RunOp& y) {
      return x.op->kind == y.op->kind && x.op->group == y.op->group && x.layer == y.layer &&
             x.captured == y.captured;
    };
    return run_alike(a, b, same_op);
  }

  void add_part(ExplainedTrack& track, const Running& runs, const RunPart& part) {
    for (std::int32_t b = part.first_block; b < part.first_block + part.blocks; ++b) {
      const RunBlock& block = runs.blocks[static_cast<std::size_t>(b)];
      ExplainedBlock& shown = track.blocks.emplace_back();
      const RunOp& first = runs.ops[static_cast<std::size_t>(block.first)];
      shown.title = title_of(runs, first, block.repeat * part.repeat);
      for (std::int32_t i = block.first; i < block.first + block.count; ++i) {
        shown.ops.push_back(shown_op(runs, runs.ops[static_cast<std::size_t>(i)]));
      }
    }
  }

  static std::string title_of(const Running& runs, const RunOp& first, std::int64_t repeat) {
    if (first.layer >= 0) {
      return repeat == 1
                 ? "layer " + digits_of(first.layer)
                 : "layers " + digits_of(first.layer) + "-" + digits_of(first.layer + repeat - 1);
    }
    if (runs.replays() && !first.from_graph) return "before the graph";
    return repeat == 1 ? "" : digits_of(repeat) + " times";
  }

  ExplainedOp shown_op(const Running& runs, const RunOp& run) const {
    const PlanOp& op = *run.op;
    ExplainedOp shown{.name = std::string(name_of(op.kind)),
                      .collective = is_collective(op.kind) || is_point_to_point(op.kind),
                      .captured = run.captured};
    const std::int64_t rank = runs.ranks.first();
    if (op.group.valid()) {
      shown.group = plan_.family(op.group).name;
      shown.group_size = plan_.size_at(op.group, rank);
    }
    if (is_point_to_point(op.kind)) {
      if (const auto peer = peer_of(plan_, *runs.program, op, rank)) {
        shown.peer = (op.kind == PlanOpKind::send ? "to " : "from ") + digits_of(*peer);
      }
    }
    shown.layout = layout_text(op);
    return shown;
  }

  std::string layout_text(const PlanOp& op) const {
    std::string in;
    for (const Layout& each : op.in) {
      const std::string one = text_of(plan_, each);
      if (in == one) continue;  // operands of one layout are told once
      in.append(in.empty() ? "" : " + ").append(one);
    }
    if (!op.out) return in;
    const std::string out = text_of(plan_, *op.out);
    return in.empty() || in == out ? out : in + " -> " + out;
  }

  void add_rows(ExplainedTrack& track, const Running& runs, std::int32_t running) {
    std::size_t at = 0;
    for (ExplainedBlock& block : track.blocks) {
      for (ExplainedOp& shown : block.ops) {
        const PlanOp& op = *runs.ops[at].op;
        shown.rows.push_back({op.rows_in, op.rows_out.value_or(-1)});
        mark(shown, op, running, op.group.valid() && first_over(runs, op.group) == &op);
        ++at;
      }
    }
  }

  static const PlanOp* first_over(const Running& runs, GroupId group) {
    const auto at = std::ranges::find_if(
        runs.ops, [group](const RunOp& each) { return each.op->group == group; });
    return at == runs.ops.end() ? nullptr : at->op;
  }

  // A breach that names an operation is marked there; one between classes where each of them
  // first meets the group.
  static bool concerns(const Breach& breach, const PlanOp& op, std::int32_t running, bool first) {
    const bool between = breach.other >= -1;  // two classes differ, or one and absent ranks
    if (breach.at == &op && (breach.running < 0 || breach.running == running || between)) {
      return true;
    }
    return between && first && op.group == breach.group && breach.running == running;
  }

  void mark(ExplainedOp& shown, const PlanOp& op, std::int32_t running, bool first) {
    for (const StandingBreach* each : breaches_) {
      if (!concerns(each->breach, op, running, first)) continue;
      const int told = tell(each);
      if (std::ranges::find(shown.breaches, told) == shown.breaches.end()) {
        shown.breaches.push_back(told);
      }
    }
  }

  // The number of a breach. One fault that several classes show is told once.
  int tell(const StandingBreach* standing) {
    told_.push_back(standing);
    for (const ExplainedBreach& known : out_.breaches) {
      if (known.law == standing->law->name && known.text == standing->breach.blame) {
        return known.number;
      }
    }
    out_.breaches.push_back({static_cast<int>(out_.breaches.size()) + 1, standing->law->name,
                             standing->breach.blame, standing->breach.symptom});
    return out_.breaches.back().number;
  }

  const Lifecycle& plan_;
  const EventRun& event_;
  std::vector<const StandingBreach*> breaches_;
  std::vector<const StandingBreach*> told_;
  Explanation out_;
};

// The families that the event's operations run over.
std::vector<PlanGroups> groups_of(const Lifecycle& plan, const EventRun& event) {
  std::vector<bool> used(plan.families.size(), false);
  for (const Running& running : event.runnings) {
    for (const RunOp& run : running.ops) {
      if (run.op->group.valid()) used[static_cast<std::size_t>(run.op->group.index)] = true;
    }
  }
  std::vector<PlanGroups> out;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i]) out.push_back(plan.families[i]);
  }
  return out;
}

}  // namespace

Explanation explain(const Timeline& timeline, const EventRun& event,
                    const std::vector<StandingBreach>& breaches) {
  Explanation out = Explainer(timeline, event, breaches).run();
  out.groups = groups_of(timeline.lifecycle(), event);
  return out;
}

}  // namespace capsize
