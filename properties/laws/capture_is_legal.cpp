// capture_is_legal: a captured region holds device work only, over communicators that exist and
// were used before, waits for its own collectives, and nothing that runs beside it launches over
// the same communicator or has work pending that the capture trips over.
#include <algorithm>
#include <array>
#include <charconv>

#include "properties/plan_report.hpp"

namespace capsize {
namespace {

// Sets groups up or enters them: nothing that may run beside a capture.
bool is_set_up(PlanOpKind kind) {
  return kind == PlanOpKind::create_group || kind == PlanOpKind::register_group;
}
bool is_set_up(PlanEventKind kind) {
  return kind == PlanEventKind::create_group || kind == PlanEventKind::register_groups;
}

// "2.28.3" in numbers; none where the text is no version of three.
std::optional<std::array<std::int32_t, 3>> version_in(std::string_view text) {
  std::array<std::int32_t, 3> out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i > 0) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.at(i));
    if (error != std::errc() || out.at(i) < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  // "2.9.6-1" and "2.9.6+cuda11" name a package of that version, "2.9.6.x" and "2.9.6x" nothing.
  const bool ends = text.empty() || text.starts_with('-') || text.starts_with('+');
  return ends ? std::optional(out) : std::nullopt;
}

constexpr std::array<std::int32_t, 3> kFirstCapturable = {2, 9, 6};

std::string event_text(const EventRun& event) {
  return std::string(name_of(event.event->kind)) + " (event " + std::to_string(event.index) + ")";
}

std::string capture_text(const EventRun& event) {
  return "the capture of " + std::to_string(event.tokens);
}

class Check {
 public:
  Check(const Timeline& timeline, PlanReport& report)
      : timeline_(timeline), lifecycle_(timeline.lifecycle()), report_(report) {}

  void run();

 private:
  // A call that creates the groups of a family, as an event or as an operation of a program.
  struct Creation {
    std::int32_t event = -1;
    const RankSet* ranks = nullptr;  // none: all
    std::int32_t index = -1;         // its place in Running::ops; -1: an event of its own

    [[nodiscard]] bool covers(std::int64_t rank) const {
      return ranks == nullptr || ranks->contains(rank);
    }
  };
  // An operation that ran outside a capture.
  struct Use {
    std::int32_t event = -1;
    const RankSet* ranks = nullptr;
  };
  // The work of one class in the event that is judged.
  struct Place {
    const EventRun& event;
    std::int32_t index = -1;
    const Running& running;
  };

  void read_plan();
  void read_program(const EventRun& event, const Running& running);
  void judge_region(const Place& place);
  void judge_waits(const Place& place);
  void judge_wait(const Place& place, const PlanOp& wait, const PlanOp& awaited, bool wait_captured,
                  bool awaited_captured);
  void judge_first_use(const Place& place);
  void judge_creation(const Place& place);
  void judge_creation_of(const EventRun& registration);
  void judge_streams(const Place& place);
  void judge_version(const Place& place);
  void judge_beside(const EventRun& a, const EventRun& b);
  void judge_set_up(const EventRun& capture, const EventRun& other);
  void judge_launches(const EventRun& a, const EventRun& b);
  void judge_pending(const EventRun& capture, const EventRun& other);
  void judge_watched(const Place& place);
  void remember(const EventRun& event);
  void watch(const Running& running);
  void add(const Place& place, const RunOp& op, std::int64_t rank, Symptom symptom,
           std::string blame);

  [[nodiscard]] bool launches(const RunOp& op) const {
    return op.op->group.valid() && meets_on_device(op.op->kind) && has_peers(op.op->group);
  }
  [[nodiscard]] bool has_peers(GroupId family) const {
    return sizes_[static_cast<std::size_t>(family.index)] > 1;
  }
  [[nodiscard]] std::string family_name(GroupId family) const {
    return lifecycle_.family(family).name;
  }
  // The first rank with peers in the family that `wanted` holds for.
  template <class Wanted>
  [[nodiscard]] std::optional<std::int64_t> first_rank(const RankSet& ranks, GroupId family,
                                                       const Wanted& wanted) const {
    for (const RankRange& range : ranks.ranges()) {
      for (std::int64_t rank = range.first; rank <= range.last; ++rank) {
        if (lifecycle_.size_at(family, rank) > 1 && wanted(rank)) return rank;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::int64_t> uncreated(GroupId family, const RankSet& ranks,
                                                      std::int32_t event, std::int32_t index) const;
  [[nodiscard]] std::optional<std::int64_t> first_launching(const EventRun& event,
                                                            const RankSet& ranks,
                                                            GroupId family) const;
  [[nodiscard]] std::int32_t creation_after(GroupId family, std::int64_t rank,
                                            std::int32_t event) const;

  const Timeline& timeline_;
  const Lifecycle& lifecycle_;
  PlanReport& report_;
  std::vector<std::int64_t> sizes_;               // of the largest group of each family
  std::vector<std::vector<Creation>> creations_;  // of each family, in order of time
  std::vector<std::vector<Use>> uses_;            // of each family, so far
  std::vector<bool> seen_;                        // of each family, while one class is judged
  bool streams_ = false;                          // an event carries a stream
  bool old_library_ = false;                      // nccl cannot be captured
  std::string_view version_;
  bool watching_ = false;               // a capture says that its mode is global
  std::vector<std::int32_t> unwaited_;  // of each rank: the family of checked work; -1: none
};

std::optional<std::int64_t> first_common(const RankSet& a, const RankSet& b) {
  std::optional<std::int64_t> first;
  for (const RankRange& x : a.ranges()) {
    for (const RankRange& y : b.ranges()) {
      const std::int64_t from = std::max(x.first, y.first);
      if (from <= std::min(x.last, y.last) && (!first || from < *first)) first = from;
    }
  }
  return first;
}

void Check::run() {
  read_plan();
  for (const EventRun& event : timeline_.events()) {
    const bool captures = event.event->kind == PlanEventKind::capture;
    if (event.event->kind == PlanEventKind::register_groups) judge_creation_of(event);
    for (std::int32_t r = 0; r < std::ssize(event.runnings); ++r) {
      const Place place{event, r, event.runnings[static_cast<std::size_t>(r)]};
      judge_creation(place);
      if (captures || event.event->kind == PlanEventKind::replay) judge_waits(place);
      if (!captures || place.running.mode == GraphMode::eager) continue;
      report_.looked_at(event.event->path);
      judge_region(place);
      judge_first_use(place);
      judge_streams(place);
      if (old_library_) judge_version(place);
      if (event.event->capture_mode == CaptureMode::global) judge_watched(place);
    }
    // One event beside very many is told often enough.
    const std::size_t enough = report_.breaches().size() + PlanReport::kPerEvent;
    for (std::int32_t a = 0; streams_ && a < event.index; ++a) {
      if (report_.breaches().size() >= enough) break;
      judge_beside(timeline_.events()[static_cast<std::size_t>(a)], event);
    }
    remember(event);
  }
}

void Check::read_plan() {
  for (std::size_t i = 0; i < lifecycle_.families.size(); ++i) {
    sizes_.push_back(lifecycle_.size_of(GroupId{static_cast<std::int8_t>(i)}));
  }
  creations_.resize(sizes_.size());
  uses_.resize(sizes_.size());
  seen_.resize(sizes_.size());
  for (const EventRun& event : timeline_.events()) {
    streams_ = streams_ || event.event->stream.has_value();
    watching_ = watching_ || event.event->capture_mode == CaptureMode::global;
    if (event.event->kind == PlanEventKind::create_group) {
      const RankSet& ranks = event.event->ranks;
      for (const GroupId family : event.event->groups) {
        creations_[static_cast<std::size_t>(family.index)].push_back(
            {.event = event.index, .ranks = ranks.empty() ? nullptr : &ranks});
      }
    }
    for (const Running& running : event.runnings) read_program(event, running);
  }
  if (watching_) unwaited_.assign(static_cast<std::size_t>(lifecycle_.world), -1);
  for (const auto& [name, text] : lifecycle_.libraries) {
    const auto version = name == "nccl" ? version_in(text) : std::nullopt;
    if (!version || *version >= kFirstCapturable) continue;
    old_library_ = true;
    version_ = text;
  }
}

void Check::read_program(const EventRun& event, const Running& running) {
  for (std::int32_t i = 0; i < std::ssize(running.ops); ++i) {
    const RunOp& op = running.ops[static_cast<std::size_t>(i)];
    if (op.op->kind != PlanOpKind::create_group || !op.op->group.valid() || op.from_graph) continue;
    creations_[static_cast<std::size_t>(op.op->group.index)].push_back(
        {.event = event.index, .ranks = &running.ranks, .index = i});
  }
}

void Check::add(const Place& place, const RunOp& op, std::int64_t rank, Symptom symptom,
                std::string blame) {
  Breach breach = breach_at(timeline_, place.event, place.index, op);
  breach.rank = rank;
  if (breach.group.valid()) breach.group_size = lifecycle_.size_at(breach.group, rank);
  breach.symptom = symptom;
  breach.blame = std::move(blame);
  report_.add(std::move(breach));
}

// ---- device work only ------------------------------------------------------------------------

void Check::judge_region(const Place& place) {
  const RankSet& ranks = place.running.ranks;
  for (const RunOp& op : place.running.ops) {
    if (!op.captured) continue;
    if (is_host_call(op.op->kind)) {
      add(place, op, ranks.first(), Symptom::clean_error,
          ranks_text(ranks) + (ranks.count() == 1 ? " calls " : " call ") +
              op_text(lifecycle_, *op.op) + " inside " + capture_text(place.event) +
              ", where only work of the device may stand");
    }
    const auto& sizes = op.op->sizes;
    const bool unequal =
        std::ranges::any_of(sizes, [&](std::int64_t size) { return size != sizes.front(); });
    if (op.op->kind == PlanOpKind::all_to_all && unequal) {
      add(place, op, ranks.first(), Symptom::clean_error,
          "the parts of " + op_text(lifecycle_, *op.op) + " that " + ranks_text(ranks) +
              (ranks.count() == 1 ? " captures" : " capture") +
              " differ: sizes that follow the data are read by the host, which a capture of " +
              std::to_string(place.event.tokens) + " cannot do");
    }
  }
}

// ---- issue and wait in one segment -----------------------------------------------------------

// Read from the program as written, where a replay restates what its own operations wait for.
void Check::judge_waits(const Place& place) {
  const Program& program = *place.running.program;
  const bool region =
      place.event.event->kind == PlanEventKind::capture && place.running.mode != GraphMode::eager;
  const auto captured = [&](const PlanOp& op) { return op.captured.value_or(region); };
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const PlanOp& wait = program.ops[i];
    if (wait.kind != PlanOpKind::wait) continue;
    std::vector<std::int32_t> awaited = wait.after;
    if (awaited.empty() && wait.from) awaited = *wait.from;
    if (awaited.empty() && !wait.from && i > 0) awaited = {static_cast<std::int32_t>(i) - 1};
    for (const std::int32_t each : awaited) {
      const PlanOp& op = program.ops[static_cast<std::size_t>(each)];
      if (meets_on_device(op.kind)) judge_wait(place, wait, op, captured(wait), captured(op));
    }
  }
}

void Check::judge_wait(const Place& place, const PlanOp& wait, const PlanOp& awaited,
                       bool wait_captured, bool awaited_captured) {
  if (!wait_captured && !awaited_captured) return;
  std::string apart;
  if (wait_captured != awaited_captured) {
    apart = wait_captured ? "is captured, the " + op_text(lifecycle_, awaited) +
                                " that it waits for runs outside of the graph"
                          : "runs outside of the graph that holds the " +
                                op_text(lifecycle_, awaited) + " that it waits for";
  } else if (wait.segment && awaited.segment && *wait.segment != *awaited.segment &&
             place.event.event->kind == PlanEventKind::capture) {
    apart = "stands in segment " + std::to_string(*wait.segment) + ", the " +
            op_text(lifecycle_, awaited) + " that it waits for in segment " +
            std::to_string(*awaited.segment);
  }
  if (apart.empty()) return;
  // Ranks of one program that replay different captures tell the same wait once.
  const auto& runnings = place.event.runnings;
  for (std::int32_t r = 0; r < place.index; ++r) {
    if (runnings[static_cast<std::size_t>(r)].program == place.running.program) return;
  }
  RunOp at{.op = &wait};
  for (const RunOp& op : place.running.ops) {
    if (op.op == &wait) at = op;
  }
  Breach breach = breach_at(timeline_, place.event, place.index, at);
  breach.group = awaited.group;
  if (awaited.group.valid()) {
    breach.group_size = lifecycle_.size_at(awaited.group, *breach.rank);
  }
  breach.symptom = Symptom::clean_error;
  breach.blame = "a wait of " + ranks_text(place.running.ranks) + " " + apart;
  report_.add(std::move(breach));
}

// ---- created and used before -----------------------------------------------------------------

// The first of `ranks` whose group is created only later; none where the plan does not say that it
// is created at all.
std::optional<std::int64_t> Check::uncreated(GroupId family, const RankSet& ranks,
                                             std::int32_t event, std::int32_t index) const {
  const auto& creations = creations_[static_cast<std::size_t>(family.index)];
  const auto is_before = [&](const Creation& each) {
    return each.event < event || (each.event == event && each.index >= 0 && each.index < index);
  };
  const bool by_all = std::ranges::any_of(
      creations, [&](const Creation& each) { return each.ranks == nullptr && is_before(each); });
  if (creations.empty() || by_all) return std::nullopt;
  return first_rank(ranks, family, [&](std::int64_t rank) {
    bool later = false;
    for (const Creation& each : creations) {
      if (!each.covers(rank)) continue;
      if (is_before(each)) return false;
      later = true;
    }
    return later;
  });
}

std::int32_t Check::creation_after(GroupId family, std::int64_t rank, std::int32_t event) const {
  for (const Creation& each : creations_[static_cast<std::size_t>(family.index)]) {
    if (each.event >= event && each.covers(rank)) return each.event;
  }
  return event;
}

void Check::judge_creation(const Place& place) {
  seen_.assign(seen_.size(), false);
  for (std::int32_t i = 0; i < std::ssize(place.running.ops); ++i) {
    const RunOp& op = place.running.ops[static_cast<std::size_t>(i)];
    const bool uses = meets_on_device(op.op->kind) || op.op->kind == PlanOpKind::host_collective ||
                      op.op->kind == PlanOpKind::register_group;
    if (!uses || !op.op->group.valid() || !has_peers(op.op->group)) continue;
    const auto family = static_cast<std::size_t>(op.op->group.index);
    if (seen_[family] || creations_[family].empty()) continue;
    // What comes behind the first use is created if that is.
    seen_[family] = true;
    report_.looked_at(place.event.event->path);
    const auto rank = uncreated(op.op->group, place.running.ranks, place.event.index, i);
    if (!rank) continue;
    const std::int32_t later = creation_after(op.op->group, *rank, place.event.index);
    add(place, op, *rank, Symptom::clean_error,
        "rank " + std::to_string(*rank) + " runs " + op_text(lifecycle_, *op.op) + " in " +
            event_text(place.event) + ", and the group is created only " +
            (later == place.event.index ? "after it" : "in event " + std::to_string(later)));
  }
}

void Check::judge_creation_of(const EventRun& registration) {
  const RankSet all(0, lifecycle_.world - 1);
  const RankSet& ranks = registration.event->ranks.empty() ? all : registration.event->ranks;
  for (const GroupId family : registration.event->groups) {
    if (!has_peers(family)) continue;
    const auto rank = uncreated(family, ranks, registration.index, -1);
    if (!rank) continue;
    Breach breach = breach_at(registration);
    breach.rank = *rank;
    breach.op = name_of(PlanOpKind::register_group);
    breach.group = family;
    breach.group_size = lifecycle_.size_at(family, *rank);
    breach.symptom = Symptom::clean_error;
    breach.blame = "rank " + std::to_string(*rank) + " registers " + family_name(family) +
                   ", which is created only in event " +
                   std::to_string(creation_after(family, *rank, registration.index));
    report_.add(std::move(breach));
  }
}

void Check::judge_first_use(const Place& place) {
  // Families that are settled: told, or used by these ranks earlier in this program.
  seen_.assign(seen_.size(), false);
  for (const RunOp& op : place.running.ops) {
    if (!launches(op)) continue;
    const GroupId family = op.op->group;
    const auto at = static_cast<std::size_t>(family.index);
    if (seen_[at] || creations_[at].empty()) continue;
    seen_[at] = true;
    if (!op.captured) continue;
    const auto rank = first_rank(place.running.ranks, family, [&](std::int64_t each) {
      return std::ranges::none_of(uses_[at], [&](const Use& use) {
        return use.ranks->contains(each) && timeline_.ordered(use.event, place.event.index);
      });
    });
    if (!rank) continue;
    add(place, op, *rank, Symptom::clean_error,
        "rank " + std::to_string(*rank) + " runs " + op_text(lifecycle_, *op.op) + " inside " +
            capture_text(place.event) + " before it ran anything over " + family_name(family) +
            ": the first use sets the communicator up, which a capture does not allow");
  }
}

// Of equal ranks the first use stands for all, as long as every later event comes after it.
void Check::remember(const EventRun& event) {
  const bool watched = watching_ && (event.event->kind == PlanEventKind::eager ||
                                     event.event->kind == PlanEventKind::warm_up);
  for (const Running& running : event.runnings) {
    for (const RunOp& op : running.ops) {
      if (op.captured || !launches(op)) continue;
      auto& uses = uses_[static_cast<std::size_t>(op.op->group.index)];
      const bool known = std::ranges::any_of(uses, [&](const Use& use) {
        const bool stays = use.event == event.index ||
                           !lifecycle_.events[static_cast<std::size_t>(use.event)].stream;
        return stays && *use.ranks == running.ranks;
      });
      if (!known) uses.push_back({event.index, &running.ranks});
    }
    if (watching_) watch(running);
  }
  if (!watched) return;
  for (const Running& running : event.runnings) {
    const RunOp* last = nullptr;
    for (const RunOp& op : running.ops) {
      if (op.op->kind == PlanOpKind::host_wait) last = nullptr;
      const bool checked =
          launches(op) && !op.captured && transport_of(lifecycle_, *op.op) == Transport::checked;
      if (checked) last = &op;
    }
    if (last == nullptr) continue;
    running.ranks.for_each([&](std::int64_t rank) {
      if (lifecycle_.size_at(last->op->group, rank) < 2) return;
      unwaited_[static_cast<std::size_t>(rank)] = last->op->group.index;
    });
  }
}

// A host wait of any event settles what its ranks had under way.
void Check::watch(const Running& running) {
  const bool waits = std::ranges::any_of(running.ops, [](const RunOp& op) {
    return op.op->kind == PlanOpKind::host_wait && !op.captured;
  });
  if (!waits) return;
  running.ranks.for_each(
      [this](std::int64_t rank) { unwaited_[static_cast<std::size_t>(rank)] = -1; });
}

// ---- nothing beside a capture ----------------------------------------------------------------

// Within one program: captured collectives of one group on several streams.
void Check::judge_streams(const Place& place) {
  const auto& ops = place.running.ops;
  const auto counts = [this](const RunOp& op) { return op.captured && launches(op); };
  const auto first = std::ranges::find_if(ops, counts);
  const bool several = std::ranges::any_of(
      ops, [&](const RunOp& op) { return counts(op) && op.op->stream != first->op->stream; });
  if (!several) return;
  const OpOrder order(place.running);
  seen_.assign(seen_.size(), false);
  for (std::int32_t b = 0; b < std::ssize(ops); ++b) {
    const RunOp& later = ops[static_cast<std::size_t>(b)];
    if (!counts(later) || seen_[static_cast<std::size_t>(later.op->group.index)]) continue;
    for (std::int32_t a = 0; a < b; ++a) {
      const RunOp& earlier = ops[static_cast<std::size_t>(a)];
      if (!counts(earlier) || earlier.op->group != later.op->group || order.ordered(a, b)) continue;
      const auto rank =
          first_rank(place.running.ranks, later.op->group, [](std::int64_t) { return true; });
      if (!rank) continue;
      seen_[static_cast<std::size_t>(later.op->group.index)] = true;
      add(place, later, *rank, Symptom::hang,
          "rank " + std::to_string(*rank) + " captures " + op_text(lifecycle_, *later.op) +
              " on stream " + std::to_string(later.op->stream) + " beside " +
              op_text(lifecycle_, *earlier.op) + " on stream " +
              std::to_string(earlier.op->stream) + ", and nothing orders the two");
      break;
    }
  }
}

// Events of two streams that no chain of `after` joins.
void Check::judge_beside(const EventRun& a, const EventRun& b) {
  if (!a.event->stream || !b.event->stream || a.event->stream == b.event->stream) return;
  if (timeline_.ordered(a.index, b.index)) return;
  if (a.event->kind == PlanEventKind::capture) judge_set_up(a, b);
  if (b.event->kind == PlanEventKind::capture) judge_set_up(b, a);
  judge_launches(a, b);
  if (b.event->kind == PlanEventKind::capture && b.event->capture_mode == CaptureMode::global) {
    judge_pending(b, a);
  }
}

void Check::judge_set_up(const EventRun& capture, const EventRun& other) {
  const auto tell = [&](const RankSet& ranks, std::string_view call, GroupId family) {
    std::optional<std::int64_t> first;
    std::int32_t running = -1;
    for (std::int32_t r = 0; r < std::ssize(capture.runnings); ++r) {
      const Running& capturing = capture.runnings[static_cast<std::size_t>(r)];
      if (capturing.mode == GraphMode::eager) continue;
      const auto rank = ranks.empty() ? std::optional(capturing.ranks.first())
                                      : first_common(ranks, capturing.ranks);
      if (!rank || (first && *rank >= *first)) continue;
      first = rank;
      running = r;
    }
    if (!first) return;
    Breach breach = breach_at(capture);
    breach.rank = *first;
    breach.op = call;
    breach.running = running;
    breach.group = family;
    if (family.valid()) breach.group_size = lifecycle_.size_at(family, *first);
    breach.symptom = Symptom::clean_error;
    breach.blame = "rank " + std::to_string(*first) + " runs " + std::string(call) +
                   (family.valid() ? " of " + family_name(family) : "") + " in " +
                   event_text(other) + " beside " + capture_text(capture) +
                   ": nothing orders the two";
    report_.add(std::move(breach));
  };
  if (is_set_up(other.event->kind)) {
    const GroupId family = other.event->groups.empty() ? GroupId{} : other.event->groups.front();
    tell(other.event->ranks, name_of(other.event->kind), family);
  }
  for (const Running& running : other.runnings) {
    for (const RunOp& op : running.ops) {
      if (op.captured || !is_set_up(op.op->kind)) continue;
      tell(running.ranks, name_of(op.op->kind), op.op->group);
    }
  }
}

void Check::judge_launches(const EventRun& a, const EventRun& b) {
  const auto from_graph = [](const EventRun& event) {
    return event.event->kind == PlanEventKind::replay ||
           event.event->kind == PlanEventKind::capture;
  };
  if (!from_graph(a) && !from_graph(b)) return;
  struct Race {
    std::int64_t rank = 0;
    std::int32_t running = -1;  // -1: none
    const RunOp* op = nullptr;
  };
  std::vector<Race> races(sizes_.size());  // of each family the one of the lowest rank
  for (std::int32_t r = 0; r < std::ssize(b.runnings); ++r) {
    const Running& later = b.runnings[static_cast<std::size_t>(r)];
    seen_.assign(seen_.size(), false);
    for (const RunOp& op : later.ops) {
      if (!launches(op) || seen_[static_cast<std::size_t>(op.op->group.index)]) continue;
      seen_[static_cast<std::size_t>(op.op->group.index)] = true;
      const auto rank = first_launching(a, later.ranks, op.op->group);
      Race& race = races[static_cast<std::size_t>(op.op->group.index)];
      if (rank && (race.running < 0 || *rank < race.rank)) race = {*rank, r, &op};
    }
  }
  for (const Race& race : races) {
    if (race.running < 0) continue;
    add({b, race.running, b.runnings[static_cast<std::size_t>(race.running)]}, *race.op, race.rank,
        Symptom::hang,
        "rank " + std::to_string(race.rank) + " launches over " + family_name(race.op->op->group) +
            " in " + event_text(b) + " on stream " + std::to_string(*b.event->stream) + " beside " +
            event_text(a) + " on stream " + std::to_string(*a.event->stream) +
            ": nothing orders the launches of one communicator");
  }
}

// The first of `ranks` that an event lets launch over a family.
std::optional<std::int64_t> Check::first_launching(const EventRun& event, const RankSet& ranks,
                                                   GroupId family) const {
  std::optional<std::int64_t> first;
  for (const Running& running : event.runnings) {
    const bool launching = std::ranges::any_of(
        running.ops, [&](const RunOp& op) { return op.op->group == family && launches(op); });
    if (!launching) continue;
    const auto rank =
        first_rank(ranks, family, [&](std::int64_t each) { return running.ranks.contains(each); });
    if (rank && (!first || *rank < *first)) first = rank;
  }
  return first;
}

// A capture in global mode fails on what any thread of its process does meanwhile.
void Check::judge_pending(const EventRun& capture, const EventRun& other) {
  std::optional<std::int64_t> first;
  std::int32_t running = -1;
  const RunOp* pending = nullptr;
  for (std::int32_t r = 0; r < std::ssize(capture.runnings); ++r) {
    const Running& capturing = capture.runnings[static_cast<std::size_t>(r)];
    if (capturing.mode == GraphMode::eager) continue;
    for (const Running& runs : other.runnings) {
      for (const RunOp& op : runs.ops) {
        if (!launches(op)) continue;
        const auto rank = first_rank(capturing.ranks, op.op->group,
                                     [&](std::int64_t each) { return runs.ranks.contains(each); });
        if (!rank || (first && *rank >= *first)) continue;
        first = rank;
        running = r;
        pending = &op;
      }
    }
  }
  if (!first) return;
  const Place place{capture, running, capture.runnings[static_cast<std::size_t>(running)]};
  add(place, *pending, *first, Symptom::clean_error,
      op_text(lifecycle_, *pending->op) + " of " + event_text(other) + " is pending on rank " +
          std::to_string(*first) + " while " + capture_text(capture) + " runs in global mode");
}

// The library's watchdog asks after collectives that nobody waited for, also during the capture.
void Check::judge_watched(const Place& place) {
  for (const RunOp& op : place.running.ops) {
    if (op.captured) break;
    if (op.op->kind == PlanOpKind::host_wait) return;
  }
  for (const RankRange& range : place.running.ranks.ranges()) {
    for (std::int64_t rank = range.first; rank <= range.last; ++rank) {
      const std::int32_t family = unwaited_[static_cast<std::size_t>(rank)];
      if (family < 0) continue;
      Breach breach = breach_at(place.event);
      breach.rank = rank;
      breach.running = place.index;
      breach.group = GroupId{static_cast<std::int8_t>(family)};
      breach.group_size = lifecycle_.size_at(breach.group, rank);
      breach.symptom = Symptom::clean_error;
      breach.blame = capture_text(place.event) + " runs in global mode while rank " +
                     std::to_string(rank) + " has not waited for its work over " +
                     family_name(breach.group) + ", which the library's watchdog still asks after";
      report_.add(std::move(breach));
      return;
    }
  }
}

// ---- the library -----------------------------------------------------------------------------

void Check::judge_version(const Place& place) {
  for (const RunOp& op : place.running.ops) {
    if (!op.captured || !launches(op)) continue;
    if (transport_of(lifecycle_, *op.op) == Transport::peer) continue;
    const auto rank =
        first_rank(place.running.ranks, op.op->group, [](std::int64_t) { return true; });
    if (!rank) continue;
    add(place, op, *rank, Symptom::hang,
        "rank " + std::to_string(*rank) + " captures " + op_text(lifecycle_, *op.op) +
            " with nccl " + std::string(version_) +
            ", and 2.9.6 is the first that can be captured");
    return;
  }
}

void check(const Timeline& timeline, PlanReport& report) { Check(timeline, report).run(); }

}  // namespace

extern const Law law_capture_is_legal;
const Law law_capture_is_legal{
    .name = "capture_is_legal",
    .defect_class = "C12",
    .subject = "lifecycle",
    .statement =
        "A captured region holds device work only, over communicators that were created and used "
        "before; a collective is waited for in its own segment; launches of one communicator are "
        "ordered, and no work that a capture in global mode trips over is under way.",
    .formula =
        "for all captures c, op in c: op is device work, created(op) < c, used(op) < c, "
        "segment(wait(op)) = segment(op); for all a, b over one communicator: a < b or b < a",
    .way_out =
        "make communicators, exchange addresses and wait on the host before the capture; run one "
        "collective on each communicator first",
    .check_plan = check};

}  // namespace capsize
