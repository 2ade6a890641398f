#include "runtime/processes/wavefront.hpp"

#include <algorithm>
#include <utility>

#include "sim/rank_set.hpp"

namespace capsize {
namespace {

using Doing = RankState::Doing;

std::string rank_text(std::int64_t rank) { return "rank " + std::to_string(rank); }

// Operations at which the members of a group meet.
bool is_under_way(RankPhase phase) {
  return phase == RankPhase::waits || phase == RankPhase::runs || phase == RankPhase::meets ||
         phase == RankPhase::ends || phase == RankPhase::failed;
}

class Wavefront {
 public:
  Wavefront(const Lifecycle& plan, const Standstill& at, std::span<const BoardView> ranks, int dead)
      : plan_(plan), at_(at), ranks_(ranks), dead_(dead) {}

  [[nodiscard]] std::vector<RankState> states() const {
    std::vector<RankState> out;
    const auto world = std::min<std::int64_t>(plan_.world, std::ssize(ranks_));
    for (std::int64_t rank = 0; rank < world; ++rank) out.push_back(state_of(rank));
    return out;
  }

 private:
  [[nodiscard]] const Posting& posting(std::int64_t rank) const {
    return ranks_[static_cast<std::size_t>(rank)].posting;
  }
  [[nodiscard]] bool is_here(std::int64_t rank) const {
    return posting(rank).job == at_.job && posting(rank).event == at_.event;
  }

  [[nodiscard]] Doing doing_of(std::int64_t rank) const {
    if (rank == dead_) return Doing::dead;
    const Posting& last = posting(rank);
    if (last.job < at_.job || (last.job == at_.job && last.event < at_.event)) return Doing::runs;
    if (!is_here(rank)) return Doing::finished;  // it is further on already
    switch (last.phase) {
      case RankPhase::waits:
      case RankPhase::meets: return Doing::waits;
      case RankPhase::failed: return Doing::failed;
      case RankPhase::ends:
      case RankPhase::finished: return last.op < 0 ? Doing::idle : Doing::finished;
      default: return Doing::runs;
    }
  }

  [[nodiscard]] RankState state_of(std::int64_t rank) const {
    RankState out{.rank = rank, .doing = doing_of(rank), .place = {.rank = rank, .kind = "output"}};
    if (is_here(rank) && posting(rank).op >= 0) {
      const Posting& last = posting(rank);
      out.place.layer = last.layer;
      out.place.op = static_cast<std::int32_t>(last.op);
      out.place.kind = name_of(last.kind);
      out.place.group = family_of(last);
      out.sequence = last.sequence;
      out.rows = last.rows;
    }
    out.text = out.doing == Doing::waits ? why_it_waits(rank) : what_it_did(rank);
    return out;
  }

  [[nodiscard]] std::string family_of(const Posting& posting) const {
    if (posting.family < 0 || posting.family >= std::ssize(plan_.families)) return {};
    return plan_.families[static_cast<std::size_t>(posting.family)].name;
  }

  // "reduce_scatter over attn_tp (layer 3, operation 7)"
  [[nodiscard]] std::string operation_of(const Posting& posting) const {
    std::string out(name_of(posting.kind));
    if (const std::string family = family_of(posting); !family.empty()) out += " over " + family;
    out += posting.layer >= 0 ? " (layer " + std::to_string(posting.layer) + ", operation "
                              : std::string(" (operation ");
    return out + std::to_string(posting.op) + ")";
  }

  [[nodiscard]] std::string what_it_did(std::int64_t rank) const {
    const Posting& last = posting(rank);
    const bool named = is_here(rank) && last.op >= 0;
    const std::string operation = named ? operation_of(last) : std::string();
    switch (doing_of(rank)) {
      case Doing::dead:
        return named ? (last.phase == RankPhase::waits ? "died in " : "died in or behind ") +
                           operation
                     : "died";
      case Doing::failed: return named ? "failed in " + operation : "failed";
      case Doing::waits: return named ? "waits in " + operation : "waits for the groups to be made";
      case Doing::runs: return named ? "works in or behind " + operation : "has not begun";
      case Doing::finished:
        return named ? "has ended its step, and its last operation was " + operation : "is through";
      case Doing::idle: return "runs nothing in this event";
    }
    return {};
  }

  // Whether a rank has entered the call that another is in, or a later one, as far as it can be
  // told: a posting names one communicator.
  [[nodiscard]] bool has_entered(std::int64_t rank, const Posting& call) const {
    const Posting& last = posting(rank);
    return is_here(rank) && last.family == call.family && last.group == call.group &&
           last.kind == call.kind && last.sequence >= call.sequence && same_path(last, call);
  }

  // What is captured does not meet what is launched.
  static bool same_path(const Posting& a, const Posting& b) {
    return (a.mode == PlanEventKind::capture) == (b.mode == PlanEventKind::capture);
  }

  // Why a member of the group does not let a call end; empty where it is none of its doing.
  [[nodiscard]] std::string why_not_here(const Posting& call, std::int64_t member) const {
    const bool entered = has_entered(member, call);
    const Doing doing = doing_of(member);
    if (entered && doing != Doing::failed && doing != Doing::dead) return {};
    std::string out;
    // A broadcast may be behind its sender while others still wait for it.
    const bool away = doing != Doing::waits && doing != Doing::runs;
    if (!entered && away && call.kind != PlanOpKind::broadcast) out += "never entered: it ";
    out += what_it_did(member);
    if (doing == Doing::waits && !same_path(call, posting(member))) {
      out += call.mode == PlanEventKind::capture ? " outside of the capture" : " in a capture";
    }
    return out;
  }

  [[nodiscard]] std::string why_it_waits(std::int64_t rank) const {
    const Posting& mine = posting(rank);
    if (mine.phase == RankPhase::meets || mine.family < 0) return what_it_did(rank);
    const PlanGroups& family = plan_.families[static_cast<std::size_t>(mine.family)];
    if (mine.group < 0 || mine.group >= std::ssize(family.groups)) return what_it_did(rank);
    if (is_point_to_point(mine.kind)) return "waits for its peer";
    const auto& members = family.groups[static_cast<std::size_t>(mine.group)];
    // What members do, each with those who do it.
    std::vector<std::pair<std::string, RankSet>> reasons;
    for (std::int64_t member = 0; member < std::ssize(ranks_); ++member) {
      if (std::ranges::find(members, member) == members.end()) continue;
      const std::string reason = why_not_here(mine, member);
      if (reason.empty()) continue;
      const auto same = std::ranges::find(reasons, reason, &std::pair<std::string, RankSet>::first);
      RankSet& who =
          same != reasons.end() ? same->second : reasons.emplace_back(reason, RankSet{}).second;
      who.append({member, member});
    }
    std::string out;
    for (const auto& [reason, who] : reasons) {
      out += out.empty() ? "waits for " : ", and for ";
      out += (who.count() == 1 ? "rank " : "ranks ") + who.text() + ", which " + reason;
    }
    return out.empty() ? counts_of(mine, members) : out;
  }

  // All have entered: then what they brought does not fit together.
  [[nodiscard]] std::string counts_of(const Posting& mine,
                                      std::span<const std::int32_t> members) const {
    for (const std::int32_t member : members) {
      const Posting& other = posting(member);
      if (other.rows == mine.rows && other.rows_out == mine.rows_out) continue;
      return "waits although all have entered: " + rank_text(member) + " brings " +
             std::to_string(other.rows) + " rows for " + std::to_string(other.rows_out) + ", it " +
             std::to_string(mine.rows) + " for " + std::to_string(mine.rows_out);
    }
    return "waits although all have entered with the same counts";
  }

  const Lifecycle& plan_;
  const Standstill& at_;
  std::span<const BoardView> ranks_;
  int dead_;
};

}  // namespace

std::optional<Standstill> standstill_of(std::span<const BoardView> ranks) {
  std::optional<Standstill> out;
  for (const BoardView& rank : ranks) {
    const Posting& last = rank.posting;
    if (!is_under_way(last.phase) || last.job < 0) continue;
    const std::pair here{last.job, last.event};
    if (!out || here < std::pair{out->job, out->event}) out = {last.job, last.event};
  }
  return out;
}

EventObservation blank_event(const EventRun& event) {
  EventObservation out{.event = event.index,
                       .kind = event.event->kind,
                       .path = event.event->path,
                       .tokens = event.tokens};
  for (const Running& running : event.runnings) {
    const Program& sized = running.graph == nullptr ? *running.program : *running.graph;
    out.bucket = std::max(out.bucket, bucket_of(sized).value_or(0));
  }
  return out;
}

EventObservation hang_of(const Lifecycle& plan, const Standstill& at,
                         std::span<const BoardView> ranks, int dead) {
  const auto event = static_cast<std::size_t>(std::max<std::int64_t>(at.event, 0));
  const Timeline timeline(plan);
  EventObservation out{.event = static_cast<std::int32_t>(event)};
  if (event < timeline.events().size()) out = blank_event(timeline.events()[event]);
  out.symptom = dead >= 0 ? Symptom::clean_error : Symptom::hang;
  out.wavefront = Wavefront(plan, at, ranks, dead).states();
  const auto first = std::ranges::find_if(out.wavefront, [&](const RankState& state) {
    return dead >= 0 ? state.rank == dead : state.doing == RankState::Doing::waits;
  });
  if (first != out.wavefront.end()) {
    out.place = first->place;
    out.text = rank_text(first->rank) + " " + first->text;
  }
  return out;
}

std::vector<std::string> lines_of(std::span<const RankState> wavefront) {
  std::vector<std::string> out;
  for (const RankState& state : wavefront) {
    std::string line = rank_text(state.rank) + " ";
    if (state.doing == RankState::Doing::waits && state.place.op >= 0) {
      line += "waits in " + state.place.kind;
      if (!state.place.group.empty()) line += " over " + state.place.group;
      line += state.place.layer >= 0 ? " (layer " + std::to_string(state.place.layer) + ", " : " (";
      line += "operation " + std::to_string(state.place.op);
      if (state.rows >= 0) line += ", " + std::to_string(state.rows) + " rows";
      line += ", " + std::to_string(state.sequence) + " before it): it ";
    }
    out.push_back(line + state.text);
  }
  return out;
}

}  // namespace capsize
