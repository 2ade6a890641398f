// groups_are_registered: what a captured graph reaches in the memory of other ranks was exchanged
// between the capture and the replay, by every rank of the group. Judged beside it: that all ranks
// take the registered path or none does, that registered operands can be exported, and that
// operands of symmetric memory lie at one place on all ranks.
#include <algorithm>
#include <map>
#include <span>

#include "properties/plan_report.hpp"

namespace capsize {
namespace {

// A call that enters a family's groups, as an event or as an operation of a program.
struct Registration {
  std::int32_t event = -1;
  const RankSet* ranks = nullptr;  // none: all
  bool beside_graph = false;       // in a program: behind its captured region, before its replay

  [[nodiscard]] bool covers(std::int64_t rank) const {
    return ranks == nullptr || ranks->contains(rank);
  }
};

// Work of the device, as a collective or a kernel of its own that reaches other ranks.
bool runs_on_device(PlanOpKind kind) { return !is_host_call(kind) && kind != PlanOpKind::wait; }

// Whether an operation takes the registered path: as it says; of those that say nothing, the ones
// that communicate through peer memory do.
bool is_registered(const Lifecycle& lifecycle, const PlanOp& op) {
  if (op.registered) return *op.registered && runs_on_device(op.kind);
  return meets_on_device(op.kind) && transport_of(lifecycle, op) == Transport::peer;
}

// Windows of a communicator library, whose offsets are the same on all ranks.
bool is_symmetric(const Lifecycle& lifecycle, const PlanOp& op) {
  return op.registered.value_or(false) && runs_on_device(op.kind) &&
         transport_of(lifecycle, op) != Transport::peer;
}

// Windows may also be registered before a capture; the addresses of a graph exist only after it.
bool is_window(const Lifecycle& lifecycle, const PlanOp& op) {
  const auto transport = op.transport ? op.transport : lifecycle.family(op.group).transport;
  return transport && *transport != Transport::peer;
}

bool within(const BufferRange& inner, const std::vector<BufferRange>& outer) {
  return std::ranges::any_of(outer, [&](const BufferRange& each) {
    if (each.buffer != inner.buffer || inner.offset < each.offset) return false;
    return each.bytes < 0 ||
           (inner.bytes >= 0 && inner.offset + inner.bytes <= each.offset + each.bytes);
  });
}

using Place = std::pair<std::int32_t, std::int64_t>;  // buffer and offset

// Where the operands lie, but for the own slice of a gather or scatter in place: that one differs
// by design.
std::vector<Place> places(const std::vector<BufferRange>& ranges,
                          const std::vector<BufferRange>* in_place) {
  std::vector<Place> out;
  for (const BufferRange& range : ranges) {
    if (in_place != nullptr && within(range, *in_place)) continue;
    out.emplace_back(range.buffer, range.offset);
  }
  std::ranges::sort(out);
  return out;
}

std::vector<Place> reads_of(const PlanOp& op) {
  return places(op.reads, op.kind == PlanOpKind::all_gather ? &op.writes : nullptr);
}
std::vector<Place> writes_of(const PlanOp& op) {
  return places(op.writes, op.kind == PlanOpKind::reduce_scatter ? &op.reads : nullptr);
}

// The first of `own` that lies elsewhere than its peer; none where one side does not say.
const Place* moved(const std::vector<Place>& norm, const std::vector<Place>& own) {
  if (norm.size() != own.size()) return nullptr;
  const auto at = std::ranges::mismatch(norm, own).in2;
  return at == own.end() ? nullptr : &*at;
}

// The operations of a class over one family in order, repeats written out. What repeats more often
// than any model has layers has shown itself before the end.
std::vector<const RunOp*> sequence_of(const Running& running, GroupId family) {
  constexpr std::size_t kLongest = 1U << 15U;
  std::vector<const RunOp*> out;
  std::vector<const RunOp*> part_ops;
  for (const RunPart& part : running.parts) {
    part_ops.clear();
    for (std::int32_t b = part.first_block; b < part.first_block + part.blocks; ++b) {
      const RunBlock& block = running.blocks[static_cast<std::size_t>(b)];
      const std::size_t begin = part_ops.size();
      for (std::int32_t i = block.first; i < block.first + block.count; ++i) {
        const RunOp& op = running.ops[static_cast<std::size_t>(i)];
        if (op.op->group == family && runs_on_device(op.op->kind)) part_ops.push_back(&op);
      }
      const std::size_t count = part_ops.size() - begin;
      if (count == 0) continue;
      for (std::int64_t i = 1; i < block.repeat && part_ops.size() < kLongest; ++i) {
        for (std::size_t k = 0; k < count; ++k) part_ops.push_back(part_ops[begin + k]);
      }
    }
    if (part_ops.empty()) continue;
    for (std::int64_t i = 0; i < part.repeat && out.size() < kLongest; ++i) {
      out.insert(out.end(), part_ops.begin(), part_ops.end());
    }
  }
  return out;
}

const std::optional<GraphKey>& key_of(const Running& running) {
  return running.program->key || running.graph == nullptr ? running.program->key
                                                          : running.graph->key;
}

class Check {
 public:
  Check(const Timeline& timeline, PlanReport& report)
      : timeline_(timeline), lifecycle_(timeline.lifecycle()), report_(report) {}

  void run() {
    if (!read_plan()) return;
    find_registrations();
    for (const EventRun& event : timeline_.events()) {
      look(event);
      if (event.event->kind == PlanEventKind::replay) judge_replay(event);
      if (event.runnings.size() > 1) judge_agreement(event);
      if (event.event->kind == PlanEventKind::capture && virtual_) judge_operands(event);
    }
  }

 private:
  struct Class {
    std::int32_t running = -1;
    const std::vector<const RunOp*>* sequence = nullptr;
  };

  bool read_plan();
  void find_registrations();
  void look(const EventRun& event);
  void judge_replay(const EventRun& event);
  void judge_family(const EventRun& event, std::int32_t running, const RunOp& op);
  void judge_agreement(const EventRun& event);
  void judge_meeting(const EventRun& event, GroupId family, const Meeting& meeting,
                     const std::vector<std::vector<const RunOp*>>& sequences,
                     const std::vector<std::int32_t>& alike);
  void compare(const EventRun& event, GroupId family, const Class& norm, const Class& own,
               std::int64_t rank);
  void judge_operands(const EventRun& event);
  void add_operand(const EventRun& event, std::int32_t running, const RunOp& op,
                   std::int32_t buffer);

  [[nodiscard]] bool is_peer_op(const RunOp& op) const {
    return op.captured && op.op->group.valid() &&
           sizes_[static_cast<std::size_t>(op.op->group.index)] > 1 &&
           is_registered(lifecycle_, *op.op);
  }
  [[nodiscard]] const std::vector<Registration>& registrations(GroupId family) const {
    return registrations_[static_cast<std::size_t>(family.index)];
  }
  // Those of the family that can lie between a capture and a replay, for windows also before.
  [[nodiscard]] std::span<const Registration> between(GroupId family, std::int32_t capture,
                                                      std::int32_t replay, bool window) const {
    const auto& all = registrations(family);
    const auto begin =
        window ? all.begin() : std::ranges::lower_bound(all, capture, {}, &Registration::event);
    return {begin, std::ranges::upper_bound(all, replay, {}, &Registration::event)};
  }
  [[nodiscard]] bool holds(const Registration& each, std::int32_t capture, std::int32_t replay,
                           bool window) const;
  [[nodiscard]] bool everyone_is_registered(GroupId family, const EventRun& event,
                                            bool window) const;
  [[nodiscard]] std::int32_t capture_of(const EventRun& event, std::int64_t rank,
                                        const Running& asking) const;
  [[nodiscard]] std::optional<std::int64_t> first_unregistered(const EventRun& event,
                                                               const Running& running,
                                                               const RunOp& op) const;
  [[nodiscard]] std::string why_unregistered(GroupId family, std::int64_t rank,
                                             std::int32_t capture, std::int32_t replay) const;
  [[nodiscard]] std::string others_registered(GroupId family, std::int64_t rank,
                                              std::int32_t capture, std::int32_t replay) const;
  [[nodiscard]] std::optional<std::int64_t> first_with_peers(const RankSet& ranks,
                                                             GroupId family) const;
  [[nodiscard]] std::vector<std::int32_t> number_alike(
      const std::vector<std::vector<const RunOp*>>& sequences) const;

  const Timeline& timeline_;
  const Lifecycle& lifecycle_;
  PlanReport& report_;
  std::vector<std::int64_t> sizes_;                       // of the largest group of each family
  std::vector<std::vector<Registration>> registrations_;  // of each family, in order of time
  // Of each family: whether an operation says by itself which path or transport it takes.
  std::vector<bool> options_stated_;
  bool virtual_ = false;                                // a buffer lies in virtual memory
  std::vector<std::pair<GroupId, std::int64_t>> told_;  // in the replay that is judged
};

// Whether anything in the plan can be registered.
bool Check::read_plan() {
  options_stated_.assign(lifecycle_.families.size(), false);
  bool concerned = std::ranges::any_of(lifecycle_.families, [](const PlanGroups& family) {
    return family.transport == Transport::peer;
  });
  for (const PlanEvent& event : lifecycle_.events) {
    for (const Program& program : event.programs) {
      for (const PlanOp& op : program.ops) {
        if (!op.group.valid() || (!op.registered && !op.transport)) continue;
        options_stated_[static_cast<std::size_t>(op.group.index)] = true;
        concerned = true;
      }
    }
  }
  if (!concerned) return false;
  for (std::size_t i = 0; i < lifecycle_.families.size(); ++i) {
    sizes_.push_back(lifecycle_.size_of(GroupId{static_cast<std::int8_t>(i)}));
  }
  virtual_ = std::ranges::any_of(lifecycle_.buffers, [](const PlanBuffer& buffer) {
    return buffer.memory == MemoryKind::virtual_memory;
  });
  return true;
}

// A registration inside a captured region is none; in the program of a capture it counts for that
// capture where it comes after the region.
void Check::find_registrations() {
  registrations_.resize(lifecycle_.families.size());
  const auto all_or = [this](const RankSet& ranks) {
    return ranks.empty() || ranks.count() == lifecycle_.world ? nullptr : &ranks;
  };
  for (const EventRun& event : timeline_.events()) {
    if (event.event->kind == PlanEventKind::register_groups) {
      for (const GroupId family : event.event->groups) {
        registrations_[static_cast<std::size_t>(family.index)].push_back(
            {.event = event.index, .ranks = all_or(event.event->ranks)});
      }
    }
    for (const Running& running : event.runnings) {
      const auto region_end =
          std::ranges::find_if(running.ops.rbegin(), running.ops.rend(), [](const RunOp& op) {
            return op.captured && !op.from_graph;
          }).base();
      for (auto at = running.ops.begin(); at != running.ops.end(); ++at) {
        if (at->op->kind != PlanOpKind::register_group || !at->op->group.valid()) continue;
        if (at->captured || at->from_graph) continue;
        registrations_[static_cast<std::size_t>(at->op->group.index)].push_back(
            {.event = event.index,
             .ranks = all_or(running.ranks),
             .beside_graph = at >= region_end});
      }
    }
  }
}

void Check::look(const EventRun& event) {
  const bool captures = event.event->kind == PlanEventKind::capture;
  const auto has_peer_op = [&](const Running& running) {
    return std::ranges::any_of(running.ops, [&](const RunOp& op) {
      return (captures || op.from_graph) && is_peer_op(op);
    });
  };
  if (std::ranges::any_of(event.runnings, has_peer_op)) report_.looked_at(event.event->path);
}

// ---- registered between capture and replay ---------------------------------------------------

bool Check::holds(const Registration& each, std::int32_t capture, std::int32_t replay,
                  bool window) const {
  const bool before = each.event < replay ? timeline_.ordered(each.event, replay)
                                          : each.event == replay && each.beside_graph;
  if (!before) return false;
  if (each.event == capture) return each.beside_graph;
  if (each.event > capture) return timeline_.ordered(capture, each.event);
  return window && timeline_.ordered(each.event, capture);
}

// The quick answer, without looking at ranks: one registration of all behind every capture.
bool Check::everyone_is_registered(GroupId family, const EventRun& event, bool window) const {
  std::int32_t last = -1;
  for (const Running& running : event.runnings) last = std::max(last, running.capture_event);
  const auto near = between(family, last, event.index, window);
  return std::ranges::any_of(near, [&](const Registration& each) {
    return each.ranks == nullptr &&
           std::ranges::all_of(event.runnings, [&](const Running& running) {
             return running.graph == nullptr ||
                    holds(each, running.capture_event, event.index, window);
           });
  });
}

// The capture of a rank's graph; a rank that replays none is asked for what its peers need.
std::int32_t Check::capture_of(const EventRun& event, std::int64_t rank,
                               const Running& asking) const {
  if (asking.ranks.contains(rank)) return asking.capture_event;
  const Running* own = timeline_.running_of(event, rank);
  return own != nullptr && own->graph != nullptr ? own->capture_event : asking.capture_event;
}

std::optional<std::int64_t> Check::first_unregistered(const EventRun& event, const Running& running,
                                                      const RunOp& op) const {
  const GroupId family = op.op->group;
  const PlanGroups& groups = lifecycle_.family(family);
  const bool window = is_window(lifecycle_, *op.op);
  std::vector<bool> met(groups.groups.size(), false);
  std::optional<std::int64_t> first;
  running.ranks.for_each([&](std::int64_t rank) {
    const std::int32_t group = groups.group_of[static_cast<std::size_t>(rank)];
    if (group < 0 || met[static_cast<std::size_t>(group)]) return;
    met[static_cast<std::size_t>(group)] = true;
    const auto& members = groups.groups[static_cast<std::size_t>(group)];
    if (members.size() < 2) return;
    for (const std::int32_t member : members) {
      const std::int32_t capture = capture_of(event, member, running);
      const bool registered = std::ranges::any_of(
          between(family, capture, event.index, window), [&](const Registration& each) {
            return each.covers(member) && holds(each, capture, event.index, window);
          });
      if (!registered && (!first || member < *first)) first = member;
    }
  });
  return first;
}

void Check::judge_family(const EventRun& event, std::int32_t running, const RunOp& op) {
  const GroupId family = op.op->group;
  if (everyone_is_registered(family, event, is_window(lifecycle_, *op.op))) return;
  const Running& runs = event.runnings[static_cast<std::size_t>(running)];
  const auto rank = first_unregistered(event, runs, op);
  if (!rank) return;
  // Classes that meet in one group find the same rank.
  if (std::ranges::find(told_, std::pair(family, *rank)) != told_.end()) return;
  told_.emplace_back(family, *rank);
  Breach breach = breach_at(timeline_, event, running, op);
  breach.rank = *rank;
  breach.group_size = lifecycle_.size_at(family, *rank);
  breach.symptom = Symptom::silent_corruption;
  if (const auto& key = key_of(runs)) breach.key = text_of(*key);
  breach.blame = ranks_text(runs.ranks) + " replay" + (runs.ranks.count() == 1 ? "s" : "") +
                 " a graph with " + op_text(lifecycle_, *op.op) +
                 " on registered memory, which rank " + std::to_string(*rank) +
                 " has not exchanged since the capture: " +
                 why_unregistered(family, *rank, capture_of(event, *rank, runs), event.index);
  report_.add(std::move(breach));
}

std::string Check::why_unregistered(GroupId family, std::int64_t rank, std::int32_t capture,
                                    std::int32_t replay) const {
  const std::string& name = lifecycle_.family(family).name;
  const auto& all = registrations(family);
  if (all.empty()) return others_registered(family, rank, capture, replay);
  for (auto each = all.rbegin(); each != all.rend(); ++each) {
    if (!each->covers(rank) && holds(*each, capture, replay, false)) {
      return name + " is registered for " + ranks_text(*each->ranks) + " only";
    }
  }
  const auto covering = [&](bool past) {
    return std::ranges::find_if(all.rbegin(), all.rend(), [&](const Registration& each) {
      return each.covers(rank) && (each.event >= replay) != past;
    });
  };
  const auto past = covering(true);
  if (past == all.rend()) {
    return covering(false) == all.rend()
               ? name + " is never registered on rank " + std::to_string(rank)
               : name + " is registered only after this replay";
  }
  if (past->event > capture) {
    return "nothing orders the registration of " + name + " (event " + std::to_string(past->event) +
           ") between them";
  }
  return name + " is registered before the capture of " +
         std::to_string(timeline_.events()[static_cast<std::size_t>(capture)].tokens) +
         " and not after it";
}

std::string Check::others_registered(GroupId family, std::int64_t rank, std::int32_t capture,
                                     std::int32_t replay) const {
  const std::string& name = lifecycle_.family(family).name;
  std::string names;
  std::int32_t count = 0;
  for (std::size_t i = 0; i < registrations_.size(); ++i) {
    const bool registered = std::ranges::any_of(registrations_[i], [&](const Registration& each) {
      return each.covers(rank) && holds(each, capture, replay, false);
    });
    if (!registered) continue;
    names.append(names.empty() ? "" : ", ").append(lifecycle_.families[i].name);
    ++count;
  }
  if (count == 0) return "no group is registered between them";
  return names + (count == 1 ? " is" : " are") + " among the registered groups, " + name +
         " is not";
}

void Check::judge_replay(const EventRun& event) {
  told_.clear();
  // Of each family the operation that asks most: one on peer memory before one on a window.
  std::vector<const RunOp*> asks(lifecycle_.families.size());
  for (std::int32_t r = 0; r < std::ssize(event.runnings); ++r) {
    const Running& running = event.runnings[static_cast<std::size_t>(r)];
    if (running.graph == nullptr) continue;
    std::ranges::fill(asks, nullptr);
    for (const RunOp& op : running.ops) {
      if (!op.from_graph || !is_peer_op(op)) continue;
      const RunOp*& asked = asks[static_cast<std::size_t>(op.op->group.index)];
      if (asked == nullptr ||
          (is_window(lifecycle_, *asked->op) && !is_window(lifecycle_, *op.op))) {
        asked = &op;
      }
    }
    for (const RunOp* op : asks) {
      if (op != nullptr) judge_family(event, r, *op);
    }
  }
}

// ---- one path and one place on all ranks -----------------------------------------------------

// Numbers the classes so that those with one sequence of paths and places have one number.
std::vector<std::int32_t> Check::number_alike(
    const std::vector<std::vector<const RunOp*>>& sequences) const {
  std::map<std::vector<std::int64_t>, std::int32_t> known;
  std::vector<std::int32_t> out;
  for (const auto& sequence : sequences) {
    std::vector<std::int64_t> text;
    text.reserve(2 * sequence.size());
    for (const RunOp* op : sequence) {
      text.push_back(static_cast<std::int64_t>(op->op->kind));
      text.push_back(is_registered(lifecycle_, *op->op) ? 1 : 0);
      if (!is_symmetric(lifecycle_, *op->op)) continue;
      for (const auto& list : {reads_of(*op->op), writes_of(*op->op)}) {
        text.push_back(std::ssize(list));
        for (const auto& [buffer, offset] : list) {
          text.push_back(buffer);
          text.push_back(offset);
        }
      }
    }
    out.push_back(known.emplace(std::move(text), std::ssize(known)).first->second);
  }
  return out;
}

void Check::judge_agreement(const EventRun& event) {
  std::vector<std::vector<const RunOp*>> sequences(event.runnings.size());
  for (std::size_t i = 0; i < lifecycle_.families.size(); ++i) {
    if (sizes_[i] < 2 || !options_stated_[i]) continue;
    const GroupId family{static_cast<std::int8_t>(i)};
    for (std::size_t r = 0; r < event.runnings.size(); ++r) {
      sequences[r] = sequence_of(event.runnings[r], family);
    }
    const auto alike = number_alike(sequences);
    const bool agreed =
        std::ranges::all_of(alike, [&](std::int32_t number) { return number == alike.front(); });
    if (agreed) continue;
    for (const Meeting& meeting : timeline_.meetings(event, family)) {
      if (meeting.size > 1) judge_meeting(event, family, meeting, sequences, alike);
    }
  }
}

void Check::judge_meeting(const EventRun& event, GroupId family, const Meeting& meeting,
                          const std::vector<std::vector<const RunOp*>>& sequences,
                          const std::vector<std::int32_t>& alike) {
  // Ranks that run nothing here took no path.
  Meeting present = meeting;
  std::erase_if(present.classes, [&](const MeetingClass& each) {
    return each.running < 0 || sequences[static_cast<std::size_t>(each.running)].empty();
  });
  if (present.classes.size() < 2) return;
  MeetingClass norm;
  const auto others = departing(event, present, norm, [&](std::int32_t a, std::int32_t b) {
    return alike[static_cast<std::size_t>(a)] == alike[static_cast<std::size_t>(b)];
  });
  const auto class_at = [&](std::int32_t running) {
    return Class{running, &sequences[static_cast<std::size_t>(running)]};
  };
  for (const MeetingClass& other : others) {
    compare(event, family, class_at(norm.running), class_at(other.running), other.first_rank);
  }
}

// The first operation that takes another path, and the first that lies elsewhere. Where the kinds
// part, the rest is no pair any more.
void Check::compare(const EventRun& event, GroupId family, const Class& norm, const Class& own,
                    std::int64_t rank) {
  const Running& peers = event.runnings[static_cast<std::size_t>(norm.running)];
  const Running& runs = event.runnings[static_cast<std::size_t>(own.running)];
  const bool one_capture = peers.capture_event == runs.capture_event;
  const auto told_at = [&](const RunOp& op) {
    Breach breach = breach_at(timeline_, event, own.running, op);
    breach.rank = rank;
    breach.group_size = lifecycle_.size_at(family, rank);
    breach.other = norm.running;
    if (const auto& key = key_of(runs)) breach.key = text_of(*key);
    return breach;
  };
  bool path_told = false;
  bool place_told = false;
  for (std::size_t i = 0; i < std::min(norm.sequence->size(), own.sequence->size()); ++i) {
    const RunOp& a = *(*norm.sequence)[i];
    const RunOp& b = *(*own.sequence)[i];
    if (a.op->kind != b.op->kind || (path_told && place_told)) return;
    // What one capture holds was judged there.
    if (a.from_graph && b.from_graph && one_capture) continue;
    const bool registered = is_registered(lifecycle_, *b.op);
    if (is_registered(lifecycle_, *a.op) != registered) {
      if (path_told) continue;
      Breach breach = told_at(b);
      breach.symptom = Symptom::hang;
      breach.blame = "rank " + std::to_string(rank) + " takes the " +
                     (registered ? "registered" : "plain") + " path of " +
                     op_text(lifecycle_, *b.op) + ", " + ranks_text(peers.ranks) + " the " +
                     (registered ? "plain" : "registered") + " one";
      report_.add(std::move(breach));
      path_told = true;
      continue;
    }
    if (place_told || !is_symmetric(lifecycle_, *a.op) || !is_symmetric(lifecycle_, *b.op)) {
      continue;
    }
    const auto reads = reads_of(*b.op);
    const auto writes = writes_of(*b.op);
    const Place* place = moved(reads_of(*a.op), reads);
    if (place == nullptr) place = moved(writes_of(*a.op), writes);
    if (place == nullptr) continue;
    Breach breach = told_at(b);
    breach.symptom = Symptom::silent_corruption;
    breach.buffer = lifecycle_.buffers[static_cast<std::size_t>(place->first)].name;
    breach.blame = "rank " + std::to_string(rank) + " holds an operand of " +
                   op_text(lifecycle_, *b.op) + " at byte " + std::to_string(place->second) +
                   " of " + std::string(breach.buffer) + ", " + ranks_text(peers.ranks) +
                   " elsewhere: symmetric memory has one place on all ranks";
    report_.add(std::move(breach));
    place_told = true;
  }
}

// ---- operands that can be exported -----------------------------------------------------------

std::optional<std::int64_t> Check::first_with_peers(const RankSet& ranks, GroupId family) const {
  for (const RankRange& range : ranks.ranges()) {
    for (std::int64_t rank = range.first; rank <= range.last; ++rank) {
      if (lifecycle_.size_at(family, rank) > 1) return rank;
    }
  }
  return std::nullopt;
}

void Check::judge_operands(const EventRun& event) {
  for (std::int32_t r = 0; r < std::ssize(event.runnings); ++r) {
    std::vector<std::pair<GroupId, std::int32_t>> told;
    for (const RunOp& op : event.runnings[static_cast<std::size_t>(r)].ops) {
      if (!is_peer_op(op)) continue;
      for (const auto* ranges : {&op.op->reads, &op.op->writes}) {
        for (const BufferRange& range : *ranges) {
          if (range.buffer < 0 ||
              lifecycle_.buffers[static_cast<std::size_t>(range.buffer)].memory !=
                  MemoryKind::virtual_memory) {
            continue;
          }
          const std::pair pair(op.op->group, range.buffer);
          if (std::ranges::find(told, pair) != told.end()) continue;
          told.push_back(pair);
          add_operand(event, r, op, range.buffer);
        }
      }
    }
  }
}

// Told at the first replay: the addresses are exchanged between the capture and that.
void Check::add_operand(const EventRun& event, std::int32_t running, const RunOp& op,
                        std::int32_t buffer) {
  const Running& captured = event.runnings[static_cast<std::size_t>(running)];
  const auto rank = first_with_peers(captured.ranks, op.op->group);
  if (!rank) return;
  const EventRun* at = &event;
  std::int32_t at_running = running;
  for (std::size_t e = static_cast<std::size_t>(event.index) + 1;
       e < timeline_.events().size() && at == &event; ++e) {
    const EventRun& later = timeline_.events()[e];
    for (std::int32_t r = 0; r < std::ssize(later.runnings) && at == &event; ++r) {
      if (later.runnings[static_cast<std::size_t>(r)].graph != captured.program) continue;
      at = &later;
      at_running = r;
    }
  }
  Breach breach = breach_at(timeline_, *at, at_running, op);
  const Running& runs = at->runnings[static_cast<std::size_t>(at_running)];
  breach.rank = first_with_peers(runs.ranks, op.op->group).value_or(*rank);
  breach.group_size = lifecycle_.size_at(op.op->group, *breach.rank);
  breach.buffer = lifecycle_.buffers[static_cast<std::size_t>(buffer)].name;
  breach.symptom = Symptom::clean_error;
  if (const auto& key = key_of(runs)) breach.key = text_of(*key);
  breach.blame = op_text(lifecycle_, *op.op) + ", captured on " + ranks_text(captured.ranks) +
                 ", has a registered operand in " + std::string(breach.buffer) +
                 ": virtual memory cannot be handed to peers";
  report_.add(std::move(breach));
}

void check(const Timeline& timeline, PlanReport& report) { Check(timeline, report).run(); }

}  // namespace

extern const Law law_groups_are_registered;
const Law law_groups_are_registered{
    .name = "groups_are_registered",
    .defect_class = "C11",
    .subject = "lifecycle",
    .statement =
        "Every group that a captured operation reaches through peer memory is registered by all "
        "its ranks between the capture and the replay; all ranks take the registered path or none "
        "does; registered operands lie in memory that can be exported, symmetric ones at one place "
        "on all ranks.",
    .formula =
        "for all replays r, op in graph(r) on peer memory, rank m in group(op): exists register g: "
        "capture(m) < g < r, m in ranks(g)",
    .way_out =
        "enter every group that captured operations use, and exchange addresses on all its ranks "
        "after the last capture and before the first replay",
    .check_plan = check};

}  // namespace capsize
