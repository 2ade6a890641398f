#include "properties/wait_for.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

namespace capsize {
namespace {

// Whether an operation blocks until others have reached it.
bool meets(const PlanOp& op) {
  return (op.group.valid() && is_collective(op.kind)) ||
         (is_point_to_point(op.kind) && op.peer.has_value());
}

// ---- actors -----------------------------------------------------------------------------------

// Where a send or receive of a rank goes: as far, and to which colour. Colour -1: nowhere.
struct Reach {
  std::int64_t distance = 0;
  std::int32_t color = -1;
  friend auto operator<=>(const Reach&, const Reach&) = default;
};

// Colours ranks so that those of one colour have the same place in the wait-for graph: same class,
// same colours in their group of every family, same colours at their peers and as far away. Starts
// from the classes and splits until nothing changes.
class Colors {
 public:
  Colors(const Timeline& timeline, const EventRun& event, Effort& effort)
      : timeline_(timeline), event_(event), classes_(classes_by_rank(timeline, event)) {
    find_families();
    color_ = classes_;
    count_ = static_cast<std::size_t>(std::ranges::count_if(
        event.runnings, [](const Running& each) { return !each.ranks.empty(); }));
    for (int round = 0;; ++round) {
      if (!effort.spend(std::ssize(color_) * (2 + std::ssize(families_)))) return;
      // A long chain of ranks falls apart one by one.
      if (round == kRounds) {
        every_rank();
        return;
      }
      const std::size_t before = count_;
      split(effort);
      if (count_ == before || effort.spent()) return;
    }
  }

  [[nodiscard]] std::int32_t of(std::int64_t rank) const {
    return color_[static_cast<std::size_t>(rank)];
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] const std::vector<std::int32_t>& classes() const { return classes_; }

  // The colours that meet in the group of `rank`, rising.
  [[nodiscard]] std::vector<std::int32_t> in_group(GroupId id, std::int64_t rank) const {
    const PlanGroups& family = timeline_.lifecycle().family(id);
    const std::int32_t group = family.group_of[static_cast<std::size_t>(rank)];
    std::vector<std::int32_t> out;
    if (group < 0) return out;
    for (const std::int32_t member : family.groups[static_cast<std::size_t>(group)]) {
      if (of(member) >= 0) out.push_back(of(member));
    }
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    return out;
  }

  [[nodiscard]] Reach reach(const Running& running, const RunOp& run, std::int64_t rank) const {
    const Program& holder = run.from_graph ? *running.graph : *running.program;
    const auto peer = peer_of(timeline_.lifecycle(), holder, *run.op, rank);
    return peer ? Reach{*peer - rank, of(*peer)} : Reach{};
  }

 private:
  static constexpr int kRounds = 24;

  void find_families() {
    std::set<std::int8_t> found;
    for (const Running& running : event_.runnings) {
      for (const RunOp& run : running.ops) {
        if (run.op->group.valid() && is_collective(run.op->kind)) found.insert(run.op->group.index);
      }
    }
    for (const std::int8_t index : found) families_.push_back(GroupId{index});
  }

  // The number of each group's set of colours, by family.
  [[nodiscard]] std::vector<std::vector<std::int32_t>> meetings() const {
    std::vector<std::vector<std::int32_t>> out;
    for (const GroupId id : families_) {
      std::map<std::vector<std::int32_t>, std::int32_t> known;
      std::vector<std::int32_t>& numbers = out.emplace_back();
      for (const auto& group : timeline_.lifecycle().family(id).groups) {
        const auto colors = group.empty() ? std::vector<std::int32_t>() : in_group(id, group[0]);
        numbers.push_back(known.emplace(colors, std::ssize(known)).first->second);
      }
    }
    return out;
  }

  void split(Effort& effort) {
    const auto met = meetings();
    std::map<std::vector<std::int64_t>, std::int32_t> known;
    std::vector<std::int32_t> next(color_.size(), -1);
    for (std::size_t rank = 0; rank < color_.size(); ++rank) {
      if (color_[rank] < 0) continue;
      std::vector<std::int64_t> key = {color_[rank]};
      for (std::size_t f = 0; f < families_.size(); ++f) {
        const std::int32_t group = timeline_.lifecycle().family(families_[f]).group_of[rank];
        key.push_back(group < 0 ? -1 : met[f][static_cast<std::size_t>(group)]);
      }
      const Running& running = event_.runnings[static_cast<std::size_t>(classes_[rank])];
      if (!effort.spend(std::ssize(running.ops))) return;
      for (const RunOp& run : running.ops) {
        if (!is_point_to_point(run.op->kind)) continue;
        const Reach reached = reach(running, run, static_cast<std::int64_t>(rank));
        key.push_back(reached.distance);
        key.push_back(reached.color);
      }
      next[rank] = known.emplace(std::move(key), std::ssize(known)).first->second;
    }
    color_ = std::move(next);
    count_ = known.size();
  }

  void every_rank() {
    std::int32_t next = 0;
    for (std::int32_t& color : color_) {
      if (color >= 0) color = next++;
    }
    count_ = static_cast<std::size_t>(next);
  }

  const Timeline& timeline_;
  const EventRun& event_;
  std::vector<std::int32_t> classes_;
  std::vector<GroupId> families_;  // that collectives use
  std::vector<std::int32_t> color_;
  std::size_t count_ = 0;
};

// ---- what a class issues ------------------------------------------------------------------------

// The streams of a class, and queues: operations that are issued in the order of the program
// although they lie on several streams.
struct Issue {
  std::vector<OpSequence> lanes;
  std::vector<OpSequence> queues;
  std::vector<std::int32_t> lane_of;                 // of each operation
  std::vector<std::vector<std::int32_t>> queues_of;  // of each operation
  std::vector<std::vector<std::int32_t>> after;      // places in Running::ops
};

std::int32_t place_of(const Running& running, const RunOp& op) {
  return static_cast<std::int32_t>(&op - running.ops.data());
}

template <class Keep>
void add_queue(const Running& running, Issue& issue, const Keep& keep) {
  std::set<std::int32_t> lanes;
  for (std::size_t i = 0; i < running.ops.size(); ++i) {
    if (keep(running.ops[i])) lanes.insert(issue.lane_of[i]);
  }
  if (lanes.size() < 2) return;
  for (std::size_t i = 0; i < running.ops.size(); ++i) {
    if (!keep(running.ops[i])) continue;
    issue.queues_of[i].push_back(static_cast<std::int32_t>(issue.queues.size()));
  }
  issue.queues.emplace_back(running, keep);
}

void add_queues(const Lifecycle& lifecycle, const Running& running, Issue& issue) {
  std::set<std::int8_t> families;
  for (const RunOp& run : running.ops) {
    if (run.op->group.valid() && is_collective(run.op->kind)) families.insert(run.op->group.index);
  }
  for (const std::int8_t family : families) add_queue(running, issue, over(GroupId{family}));
  std::set<std::tuple<bool, std::int8_t, std::int64_t>> peers;
  const auto peer = [](const PlanOp& op) {
    return std::tuple(op.kind == PlanOpKind::send, op.group.index, op.peer.value_or(-1));
  };
  for (const RunOp& run : running.ops) {
    if (is_point_to_point(run.op->kind)) peers.insert(peer(*run.op));
  }
  for (const auto& each : peers) {
    add_queue(running, issue, [&](const RunOp& run) {
      return is_point_to_point(run.op->kind) && peer(*run.op) == each;
    });
  }
  // Sends and receives of one exchange are grouped: no order among them.
  add_queue(running, issue, [&lifecycle](const RunOp& run) {
    return run.op->group.valid() && is_collective(run.op->kind) &&
           transport_of(lifecycle, *run.op) == Transport::raw;
  });
}

void find_after(const Running& running, Issue& issue) {
  std::map<std::pair<bool, std::int32_t>, std::int32_t> places;
  for (std::size_t i = 0; i < running.ops.size(); ++i) {
    const RunOp& run = running.ops[i];
    for (const std::int32_t index : run.op->after) {
      const auto at = places.find({run.from_graph, index});
      if (at != places.end()) issue.after[i].push_back(at->second);
    }
    places[{run.from_graph, run.index}] = static_cast<std::int32_t>(i);
  }
}

Issue issue_of(const Lifecycle& lifecycle, const Running& running, Effort& effort) {
  Issue issue;
  std::map<std::int32_t, std::int32_t> streams;
  for (const RunOp& run : running.ops) {
    issue.lane_of.push_back(streams.emplace(run.op->stream, std::ssize(streams)).first->second);
  }
  const std::size_t count = running.ops.size();
  issue.queues_of.resize(count);
  issue.after.resize(count);
  if (!effort.spend(std::ssize(running.ops) * std::ssize(streams))) return issue;
  const bool several = streams.size() > 1;
  if (several) {
    find_after(running, issue);
    add_queues(lifecycle, running, issue);
  }
  for (std::int32_t lane = 0; lane < std::ssize(streams); ++lane) {
    issue.lanes.emplace_back(running, [&](const RunOp& run) {
      const PlanOp& op = *run.op;
      // The host waits for all streams, and all streams for the host.
      if (several && op.kind == PlanOpKind::host_wait) return true;
      const auto own = static_cast<std::size_t>(place_of(running, run));
      if (issue.lane_of[own] != lane) return false;
      return meets(op) || (several && (op.kind == PlanOpKind::wait || !op.after.empty()));
    });
  }
  return issue;
}

// ---- the run ------------------------------------------------------------------------------------

// A communicator, or one direction between two peers: complete when every slot is taken.
struct Rendezvous {
  struct Slot {
    std::int32_t actor = -1;
    std::int32_t lane = -1;  // which of its streams has reached it; -1: none
  };
  std::vector<Slot> slots;
  std::int64_t reached = 0;
  std::int64_t completed = 0;
};

struct Seat {
  std::int32_t rendezvous = -1;  // -1: the operation blocks nobody
  std::int32_t slot = -1;
};

struct Actor {
  std::int32_t running = -1;
  std::int64_t rank = 0;
  std::int64_t ranks = 0;
  std::vector<OpCursor> lanes;
  std::vector<OpCursor> queues;
  std::vector<Seat> seats;  // of each operation of the class
};

class Run {
 public:
  Run(const Timeline& timeline, const EventRun& event, Effort& effort)
      : lifecycle_(timeline.lifecycle()), event_(event), effort_(effort) {
    const Colors colors(timeline, event, effort);
    if (effort.spent()) return;
    for (const Running& running : event.runnings) {
      issues_.push_back(issue_of(lifecycle_, running, effort));
      if (effort.spent()) return;
    }
    add_actors(colors);
  }

  void go() {
    std::vector<std::int32_t> ready;
    for (std::int32_t actor = 0; actor < std::ssize(actors_); ++actor) ready.push_back(actor);
    while (!ready.empty() && !effort_.spent()) {
      const std::int32_t actor = ready.back();
      ready.pop_back();
      advance(actor, ready);
    }
  }

  [[nodiscard]] std::vector<Waiter> waiters() const {
    std::int32_t at = -1;
    for (std::int32_t i = 0; i < std::ssize(actors_); ++i) {
      const bool waits = front(i, -1) >= 0;
      if (waits && (at < 0 || actor(i).rank < actor(at).rank)) at = i;
    }
    std::vector<Waiter> chain;
    std::vector<std::int32_t> visited;
    for (std::int32_t wanted = -1; at >= 0;) {
      const auto known = std::ranges::find(visited, at);
      if (known != visited.end()) {
        chain.erase(chain.begin(), chain.begin() + (known - visited.begin()));
        break;
      }
      visited.push_back(at);
      chain.push_back(waiter(at, wanted));
      if (chain.back().op == nullptr) break;
      wanted = seat_of(actor(at), *chain.back().op).rendezvous;
      at = missing_at(wanted);
    }
    return chain;
  }

 private:
  [[nodiscard]] const Actor& actor(std::int32_t index) const {
    return actors_[static_cast<std::size_t>(index)];
  }
  [[nodiscard]] const Running& running_of(const Actor& actor) const {
    return event_.runnings[static_cast<std::size_t>(actor.running)];
  }
  [[nodiscard]] const Issue& issue_of_actor(const Actor& actor) const {
    return issues_[static_cast<std::size_t>(actor.running)];
  }
  [[nodiscard]] Seat seat_of(const Actor& actor, const RunOp& op) const {
    return actor.seats[static_cast<std::size_t>(place_of(running_of(actor), op))];
  }

  [[nodiscard]] const Rendezvous::Slot& slot_of(Seat seat) const {
    return rendezvous_[static_cast<std::size_t>(seat.rendezvous)]
        .slots[static_cast<std::size_t>(seat.slot)];
  }

  void add_actors(const Colors& colors) {
    actors_.resize(colors.count());
    for (std::int64_t rank = 0; rank < lifecycle_.world; ++rank) {
      const std::int32_t color = colors.of(rank);
      if (color < 0) continue;
      Actor& actor = actors_[static_cast<std::size_t>(color)];
      if (++actor.ranks > 1) continue;
      actor.rank = rank;
      actor.running = colors.classes()[static_cast<std::size_t>(rank)];
      const Issue& issue = issue_of_actor(actor);
      if (!effort_.spend(std::ssize(running_of(actor).ops))) return;
      for (const OpSequence& lane : issue.lanes) actor.lanes.emplace_back(lane);
      for (const OpSequence& queue : issue.queues) actor.queues.emplace_back(queue);
      for (const RunOp& run : running_of(actor).ops) {
        actor.seats.push_back(meets(*run.op) ? seat(colors, color, run) : Seat{});
      }
    }
  }

  Seat seat(const Colors& colors, std::int32_t color, const RunOp& run) {
    const Actor& actor = actors_[static_cast<std::size_t>(color)];
    std::vector<std::int64_t> key = {run.op->group.index};
    std::vector<std::int32_t> members;
    std::int32_t slot = 0;
    if (is_point_to_point(run.op->kind)) {
      const Reach reach = colors.reach(running_of(actor), run, actor.rank);
      if (reach.color < 0) return {};
      const bool sends = run.op->kind == PlanOpKind::send;
      members = sends ? std::vector{color, reach.color} : std::vector{reach.color, color};
      slot = sends ? 0 : 1;
      key.push_back(sends ? reach.distance : -reach.distance);
      key.push_back(-1);
    } else {
      members = colors.in_group(run.op->group, actor.rank);
      if (members.empty()) return {};
      slot = static_cast<std::int32_t>(std::ranges::find(members, color) - members.begin());
    }
    if (!effort_.spend(std::ssize(members))) return {};
    key.insert(key.end(), members.begin(), members.end());
    const auto [at, added] = known_.emplace(std::move(key), std::ssize(rendezvous_));
    if (added) {
      rendezvous_.emplace_back();
      for (const std::int32_t member : members) rendezvous_.back().slots.push_back({member, -1});
    }
    return {at->second, slot};
  }

  void advance(std::int32_t index, std::vector<std::int32_t>& ready) {
    Actor& actor = actors_[static_cast<std::size_t>(index)];
    for (bool moved = true; moved && !effort_.spent();) {
      moved = false;
      for (std::int32_t lane = 0; lane < std::ssize(actor.lanes); ++lane) {
        while (effort_.spend() && try_lane(actor, lane, ready)) moved = true;
      }
    }
  }

  // Whether the front of a stream has gone on.
  bool try_lane(Actor& actor, std::int32_t lane, std::vector<std::int32_t>& ready) {
    OpCursor& cursor = actor.lanes[static_cast<std::size_t>(lane)];
    if (cursor.at_end() || !may_begin(actor, cursor)) return false;
    const Seat seat = seat_of(actor, cursor.op());
    if (seat.rendezvous < 0) {
      step(actor, lane);
      return true;
    }
    Rendezvous& met = rendezvous_[static_cast<std::size_t>(seat.rendezvous)];
    Rendezvous::Slot& slot = met.slots[static_cast<std::size_t>(seat.slot)];
    if (slot.lane >= 0) return false;
    slot.lane = lane;
    if (++met.reached < std::ssize(met.slots)) return false;
    met.reached = 0;
    ++met.completed;
    for (Rendezvous::Slot& each : met.slots) {
      step(actors_[static_cast<std::size_t>(each.actor)], each.lane);
      each.lane = -1;
      ready.push_back(each.actor);
    }
    return true;
  }

  void step(Actor& actor, std::int32_t lane) {
    OpCursor& cursor = actor.lanes[static_cast<std::size_t>(lane)];
    const auto place = static_cast<std::size_t>(place_of(running_of(actor), cursor.op()));
    for (const std::int32_t queue : issue_of_actor(actor).queues_of[place]) {
      actor.queues[static_cast<std::size_t>(queue)].next();
    }
    cursor.next();
  }

  // Whether all that must have ended before the front of a stream has.
  [[nodiscard]] bool may_begin(const Actor& actor, const OpCursor& cursor) const {
    const Issue& issue = issue_of_actor(actor);
    if (issue.lanes.size() < 2) return true;
    const Running& running = running_of(actor);
    const OpInstance self = cursor.instance();
    const auto place = static_cast<std::size_t>(place_of(running, *self.op));
    if (self.op->op->kind == PlanOpKind::host_wait) {
      return std::ranges::all_of(actor.lanes,
                                 [&](const OpCursor& lane) { return lane.instance() >= self; });
    }
    for (const std::int32_t queue : issue.queues_of[place]) {
      if (actor.queues[static_cast<std::size_t>(queue)].instance() != self) return false;
    }
    if (self.op->op->kind == PlanOpKind::wait && self.op->op->after.empty()) {
      const std::int32_t lane = issue.lane_of[before(running, self)];
      if (actor.lanes[static_cast<std::size_t>(lane)].instance() < self) return false;
    }
    return std::ranges::all_of(issue.after[place], [&](std::int32_t earlier) {
      const auto lane = static_cast<std::size_t>(issue.lane_of[static_cast<std::size_t>(earlier)]);
      return lane == static_cast<std::size_t>(issue.lane_of[place]) ||
             actor.lanes[lane].instance() > last_of(running, earlier, self);
    });
  }

  // The operation that is issued just before this one.
  [[nodiscard]] static std::size_t before(const Running& running, const OpInstance& self) {
    const auto place = static_cast<std::size_t>(place_of(running, *self.op));
    const RunBlock& block = running.blocks[static_cast<std::size_t>(self.block)];
    const auto first = static_cast<std::size_t>(block.first);
    if (place > first) return place - 1;
    if (self.turn > 0) return first + static_cast<std::size_t>(block.count) - 1;
    const RunPart& part = running.parts[static_cast<std::size_t>(self.part)];
    if (self.part_turn > 0 && self.block == part.first_block) {
      const auto last = static_cast<std::size_t>(part.first_block + part.blocks - 1);
      return static_cast<std::size_t>(running.blocks[last].first + running.blocks[last].count) - 1;
    }
    return place > 0 ? place - 1 : place;
  }

  // The last time that an earlier operation runs before `self`.
  [[nodiscard]] static OpInstance last_of(const Running& running, std::int32_t earlier,
                                          OpInstance self) {
    self.op = &running.ops[static_cast<std::size_t>(earlier)];
    while (self.block > 0 && running.blocks[static_cast<std::size_t>(self.block)].first > earlier) {
      --self.block;
      self.turn = running.blocks[static_cast<std::size_t>(self.block)].repeat - 1;
    }
    return self;
  }

  // The stream where an actor stands in the way of `wanted`; else that of its first operation that
  // waits; -1: it has ended.
  [[nodiscard]] std::int32_t front(std::int32_t index, std::int32_t wanted) const {
    const Actor& each = actor(index);
    std::int32_t first = -1;
    for (std::int32_t lane = 0; lane < std::ssize(each.lanes); ++lane) {
      const OpCursor& cursor = each.lanes[static_cast<std::size_t>(lane)];
      if (cursor.at_end()) continue;
      const Seat seat = seat_of(each, cursor.op());
      const auto& ops = issue_of_actor(each).lanes[static_cast<std::size_t>(lane)].ops;
      const bool waits = wanted >= 0 && seat.rendezvous >= 0 && seat.rendezvous != wanted &&
                         slot_of(seat).lane == lane;
      const bool leads = waits && std::ranges::any_of(ops, [&](const RunOp* op) {
                           return seat_of(each, *op).rendezvous == wanted;
                         });
      if (leads) return lane;
      if (first < 0 || cursor.instance() < each.lanes[static_cast<std::size_t>(first)].instance()) {
        first = lane;
      }
    }
    return first;
  }

  [[nodiscard]] Waiter waiter(std::int32_t index, std::int32_t wanted) const {
    const Actor& each = actor(index);
    Waiter out{.running = each.running, .rank = each.rank, .ranks = each.ranks};
    const std::int32_t lane = front(index, wanted);
    if (lane < 0) return out;
    const RunOp& op = each.lanes[static_cast<std::size_t>(lane)].op();
    const Seat seat = seat_of(each, op);
    if (seat.rendezvous < 0) return out;
    out.op = &op;
    out.number = rendezvous_[static_cast<std::size_t>(seat.rendezvous)].completed + 1;
    return out;
  }

  // Who has not reached it yet.
  [[nodiscard]] std::int32_t missing_at(std::int32_t index) const {
    for (const auto& slot : rendezvous_[static_cast<std::size_t>(index)].slots) {
      if (slot.lane < 0) return slot.actor;
    }
    return -1;
  }

  const Lifecycle& lifecycle_;
  const EventRun& event_;
  Effort& effort_;
  std::vector<Issue> issues_;
  std::vector<Actor> actors_;
  std::vector<Rendezvous> rendezvous_;
  std::map<std::vector<std::int64_t>, std::int32_t> known_;
};

}  // namespace

std::vector<Waiter> standstill_of(const Timeline& timeline, const EventRun& event, Effort& effort) {
  Run run(timeline, event, effort);
  if (effort.spent()) return {};
  run.go();
  if (effort.spent()) return {};
  return run.waiters();
}

}  // namespace capsize
