#include "properties/plan_report.hpp"

#include <algorithm>
#include <array>

namespace capsize {
namespace {

constexpr std::array<std::string_view, 5> kEventOrder = {
    "same_mode", "same_bucket", "captured_together", "same_sequence", "counts_match"};
constexpr std::array<std::string_view, 4> kOperationOrder = {"layouts_agree", "divisible",
                                                             "counts_match", "one_padded_pair"};
// Looks at no value: it stands beside the laws that do, and points to them.
constexpr std::string_view kDecisions = "decisions_are_shared";
constexpr std::string_view kKeys = "key_is_complete";
// Judge one class by itself, but for what two classes that differ bring about: rows sent and not
// expected, a graph of another size.
constexpr std::string_view kLayouts = "layouts_agree";
constexpr std::string_view kPairs = "one_padded_pair";

struct Judged {
  const Law* law = nullptr;
  PlanReport report;
};

template <std::size_t N>
std::ptrdiff_t place_in(const std::array<std::string_view, N>& order, std::string_view law) {
  const auto at = std::ranges::find(order, law);
  return at == order.end() ? -1 : at - order.begin();
}

bool same_classes(const Breach& a, const Breach& b) {
  if (a.running == -2 || b.running == -2) return false;
  return (a.running == b.running && a.other == b.other) ||
         (a.running == b.other && a.other == b.running);
}

bool same_event_place(const Breach& a, const Breach& b) {
  if (a.event != b.event) return false;
  return (a.group.valid() && a.group == b.group) || same_classes(a, b);
}

// Whether `first`, a breach of the law `owner`, makes `later` of `law` its consequence.
bool owns(std::string_view owner, const Breach& first, std::string_view law, const Breach& later) {
  const auto in_events = place_in(kEventOrder, owner);
  if (in_events >= 0) {
    if (law == kKeys) {
      const bool kept_out = later.capture_event >= 0 && first.event == later.capture_event;
      return kept_out || (later.event >= 0 && first.event == later.event &&
                          (first.running == later.running || first.other == later.running));
    }
    if (in_events < place_in(kEventOrder, law) && same_event_place(first, later)) return true;
    const bool parts_first = in_events < place_in(kEventOrder, "counts_match");
    if (law == kLayouts && later.other >= 0) return parts_first && same_event_place(first, later);
    if (law == kPairs && later.at == nullptr) {
      return parts_first && first.event == later.event &&
             (first.running == later.running || first.other == later.running);
    }
  }
  const auto in_operations = place_in(kOperationOrder, owner);
  return in_operations >= 0 && in_operations < place_in(kOperationOrder, law) &&
         first.at != nullptr && first.at == later.at && first.event == later.event;
}

// The laws that own a breach; empty where it stands for itself.
std::vector<std::string_view> owners_of(const std::vector<Judged>& judged, std::string_view law,
                                        const Breach& breach) {
  std::vector<std::string_view> out;
  for (const Judged& other : judged) {
    if (other.law->name == law) continue;
    const bool owned = std::ranges::any_of(other.report.breaches(), [&](const Breach& first) {
      return owns(other.law->name, first, law, breach);
    });
    if (owned) out.push_back(other.law->name);
  }
  return out;
}

// Laws that show by values what a rank-local decision brings about in the same event.
std::vector<std::string_view> shown_by(const std::vector<Judged>& judged, const Breach& breach) {
  std::vector<std::string_view> out;
  for (const Judged& other : judged) {
    if (place_in(kEventOrder, other.law->name) < 0) continue;
    const bool shown = std::ranges::any_of(
        other.report.breaches(), [&](const Breach& first) { return first.event == breach.event; });
    if (shown) out.push_back(other.law->name);
  }
  return out;
}

void merge(std::vector<std::string_view>& into, const std::vector<std::string_view>& names) {
  for (const std::string_view name : names) {
    if (std::ranges::find(into, name) == into.end()) into.push_back(name);
  }
}

Witness witness_of(const Lifecycle& lifecycle, const Breach& breach) {
  Witness witness{.tokens = breach.tokens, .requests = breach.requests, .rank = breach.rank};
  if (breach.layer >= 0) witness.layer = breach.layer;
  witness.op = breach.op;
  if (breach.group.valid()) {
    witness.group = lifecycle.family(breach.group).name;
    witness.group_size = breach.group_size;
  }
  if (breach.event >= 0) {
    witness.event = name_of(lifecycle.events[static_cast<std::size_t>(breach.event)].kind);
    witness.event_index = breach.event;
  }
  witness.buffer = breach.buffer;
  witness.key = breach.key;
  return witness;
}

// What is left of a law's breaches on one path after others took theirs.
struct Left {
  const Breach* smallest = nullptr;  // the least count; among equals the first in time
  const Breach* first = nullptr;
  std::vector<std::string_view> see;
  bool any = false;  // including those that others own

  void take(const Breach& breach) {
    if (smallest == nullptr || breach.tokens < smallest->tokens) smallest = &breach;
    if (first == nullptr || breach.event < first->event) first = &breach;
  }
};

Left left_on(const std::vector<Judged>& judged, const Judged& own, std::string_view path) {
  Left left;
  for (const Breach& breach : own.report.breaches()) {
    if (breach.path != path) continue;
    left.any = true;
    const auto owners = owners_of(judged, own.law->name, breach);
    merge(left.see, owners);
    if (own.law->name == kDecisions) merge(left.see, shown_by(judged, breach));
    if (owners.empty()) left.take(breach);
  }
  return left;
}

Finding finding_of(const Lifecycle& lifecycle, const Left& left) {
  Finding finding;
  finding.see = left.see;
  if (left.smallest == nullptr) {
    finding.verdict = LawVerdict::not_applicable;
    finding.reason = "the same fault breaks a law that comes first: " + std::string(left.see[0]);
    return finding;
  }
  const Breach& breach = *left.smallest;
  finding.verdict = LawVerdict::violation;
  finding.known = breach.known;
  finding.symptom = left.first->symptom;
  finding.witness = witness_of(lifecycle, breach);
  finding.blame = breach.blame;
  if (breach.at != nullptr) finding.rule = breach.at->rule;
  if (left.first->event >= 0) {
    const auto at = static_cast<std::size_t>(left.first->event);
    finding.first_in_time = FirstInTime{name_of(lifecycle.events[at].kind), left.first->tokens};
  }
  return finding;
}

std::vector<Judged> reports_of(const Timeline& timeline,
                               std::span<const std::string_view> without) {
  std::vector<Judged> judged;
  judged.reserve(laws().size());
  for (const Law* law : laws()) {
    if (law->check_plan == nullptr || std::ranges::find(without, law->name) != without.end()) {
      continue;
    }
    law->check_plan(timeline, judged.emplace_back(Judged{law, {}}).report);
  }
  return judged;
}

// The paths of a plan in the order in which they appear, and "" where a report names it.
std::vector<std::string_view> paths_of(const Lifecycle& lifecycle) {
  std::vector<std::string_view> out;
  for (const PlanCapture& capture : lifecycle.captures) merge(out, {capture.path});
  for (const PlanEvent& event : lifecycle.events) {
    if (!event.path.empty()) merge(out, {event.path});
  }
  return out;
}

void add_findings(const Lifecycle& lifecycle, const std::vector<Judged>& judged, const Judged& own,
                  std::vector<std::string_view> paths, std::vector<Finding>& out) {
  merge(paths, own.report.paths());
  merge(paths, own.report.undecided());
  for (const Breach& breach : own.report.breaches()) merge(paths, {breach.path});
  if (paths.empty()) paths.emplace_back();
  for (const std::string_view path : paths) {
    const Left left = left_on(judged, own, path);
    Finding finding;
    if (left.any) {
      finding = finding_of(lifecycle, left);
    } else if (std::ranges::find(own.report.undecided(), path) != own.report.undecided().end()) {
      finding.verdict = LawVerdict::undecided;
      finding.reason = "too many classes of ranks differ to compare them all";
    } else if (std::ranges::find(own.report.paths(), path) == own.report.paths().end()) {
      finding.verdict = LawVerdict::not_applicable;
      finding.reason = "the plan states nothing that this law reads";
    }
    finding.law = own.law->name;
    if (finding.verdict == LawVerdict::violation && !own.law->way_out.empty()) {
      finding.repair.emplace_back(own.law->way_out);
    }
    finding.path = path;
    out.push_back(std::move(finding));
  }
}

}  // namespace

void PlanReport::looked_at(std::string_view path) {
  if (!paths_.empty() && paths_.back() == path) return;
  if (std::ranges::find(paths_, path) == paths_.end()) paths_.push_back(path);
}

void PlanReport::gave_up(std::string_view path) {
  if (std::ranges::find(undecided_, path) == undecided_.end()) undecided_.push_back(path);
}

void PlanReport::add(Breach breach) {
  const bool same_event = !breaches_.empty() && breaches_.back().event == breach.event &&
                          breaches_.back().path == breach.path;
  in_event_ = same_event ? in_event_ + 1 : 1;
  if (in_event_ <= kPerEvent) breaches_.push_back(std::move(breach));
}

Breach breach_at(const EventRun& event) {
  return {.event = event.index, .path = event.event->path, .tokens = event.tokens};
}

Breach breach_at(const Timeline& timeline, const EventRun& event, std::int32_t running,
                 const RunOp& op) {
  const Lifecycle& lifecycle = timeline.lifecycle();
  Breach breach = breach_at(event);
  const Running& runs = event.runnings[static_cast<std::size_t>(running)];
  breach.rank = runs.ranks.first();
  breach.layer = op.layer;
  breach.op = name_of(op.op->kind);
  breach.group = op.op->group;
  if (breach.group.valid()) breach.group_size = lifecycle.size_at(breach.group, *breach.rank);
  breach.at = op.op;
  breach.running = running;
  return breach;
}

std::string counted(std::int64_t count, std::string_view noun) {
  return std::to_string(count).append(" ").append(noun).append(count == 1 ? "" : "s");
}

std::string ranks_text(const RankSet& ranks) {
  return (ranks.count() == 1 ? "rank " : "ranks ") + ranks.text();
}

std::string op_text(const Lifecycle& lifecycle, const PlanOp& op) {
  std::string text(name_of(op.kind));
  if (op.group.valid()) text.append(" over ").append(lifecycle.family(op.group).name);
  return text;
}

std::vector<Finding> judge_plan(const Timeline& timeline,
                                std::span<const std::string_view> without) {
  const std::vector<Judged> judged = reports_of(timeline, without);
  const auto paths = paths_of(timeline.lifecycle());
  std::vector<Finding> findings;
  findings.reserve(judged.size() * (paths.size() + 1));
  for (const Judged& own : judged) {
    add_findings(timeline.lifecycle(), judged, own, paths, findings);
  }
  return findings;
}

std::vector<StandingBreach> standing_breaches(const Timeline& timeline,
                                              std::span<const std::string_view> without) {
  const std::vector<Judged> judged = reports_of(timeline, without);
  std::vector<StandingBreach> out;
  for (const Judged& own : judged) {
    for (const Breach& breach : own.report.breaches()) {
      if (owners_of(judged, own.law->name, breach).empty()) out.push_back({own.law, breach});
    }
  }
  return out;
}

}  // namespace capsize
