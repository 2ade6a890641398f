// replay_reads_now: a replay reads what its own step wrote, at addresses that still hold. Time is
// followed for one rank of each class of ranks that always do the same.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "properties/intervals.hpp"
#include "properties/plan_report.hpp"
#include "properties/rank_classes.hpp"

namespace capsize {
namespace {

// Pairs of operations are compared; longer programs are compared in their first part.
constexpr std::size_t kOpsMost = 2048;

// A range of a buffer of `size` bytes, where that is known. A range that passes every count has no
// end.
Intervals::Range span_of(const BufferRange& range, std::optional<std::int64_t> size = {}) {
  if (range.bytes < 0) {
    return {range.offset, std::max(size.value_or(INT64_MAX), range.offset)};
  }
  std::int64_t end = 0;
  if (__builtin_add_overflow(range.offset, range.bytes, &end)) end = INT64_MAX;
  return {range.offset, end};
}

// ---- one running by itself ----------------------------------------------------------------------

// The places of the producers that an operation names with `from`. Those of a program come in its
// order, and what a graph holds behind what the host runs.
std::vector<std::int32_t> named_producers(const Running& running, std::int32_t reader) {
  const RunOp& op = running.ops[static_cast<std::size_t>(reader)];
  std::vector<std::int32_t> out;
  if (!op.op->from) return out;
  const auto middle =
      std::ranges::partition_point(running.ops, [](const RunOp& each) { return !each.from_graph; });
  const auto first = op.from_graph ? middle : running.ops.begin();
  const auto last = running.ops.begin() + reader;
  for (const std::int32_t index : *op.op->from) {
    const auto at = std::ranges::lower_bound(first, last, index, {}, &RunOp::index);
    if (at == last || at->index != index) continue;
    out.push_back(static_cast<std::int32_t>(at - running.ops.begin()));
  }
  std::ranges::sort(out);
  return out;
}

// Whether peers read the operands of an operation where they lie, and may go on when it has ended
// here: registered windows of a communicator library. The kernels of peer-memory collectives end
// with a barrier of their own.
bool is_read_by_peers(const Lifecycle& plan, const PlanOp& op) {
  if (!is_collective(op.kind) || op.reads.empty()) return false;
  return op.registered.value_or(false) && transport_of(plan, op) != Transport::peer;
}

// Whether a class runs anything that can be out of step by itself.
bool may_conflict(const Lifecycle& plan, const Running& running) {
  return std::ranges::any_of(running.ops, [&](const RunOp& each) {
    return each.op->stream != running.ops.front().op->stream || each.op->from ||
           is_read_by_peers(plan, *each.op);
  });
}

// Operations that use rows of the one before them.
bool uses_rows(PlanOpKind kind) {
  switch (kind) {
    case PlanOpKind::slice:
    case PlanOpKind::add:
    case PlanOpKind::norm:
    case PlanOpKind::attention:
    case PlanOpKind::matmul:
    case PlanOpKind::router:
    case PlanOpKind::kernel:
    case PlanOpKind::send: return true;
    default: return false;
  }
}

// Races and overwritten operands inside what one class runs in one event.
class WithinRunning {
 public:
  WithinRunning(const Timeline& timeline, const EventRun& event, std::int32_t place,
                PlanReport& report)
      : timeline_(timeline),
        plan_(timeline.lifecycle()),
        event_(event),
        place_(place),
        running_(event.runnings[static_cast<std::size_t>(place)]),
        report_(report),
        order_(running_),
        count_(static_cast<std::int32_t>(std::min(running_.ops.size(), kOpsMost))) {}

  void run() {
    std::set<std::int32_t> numbers;
    for (const RunOp& each : running_.ops) numbers.insert(each.op->stream);
    streams_ = numbers.size();
    const bool streams = streams_ > 1;
    if (streams) report_.looked_at(event_.event->path);
    for (std::int32_t reader = 1; reader < count_; ++reader) {
      if (!streams && op(reader).reads.empty()) continue;
      for (const std::int32_t producer : named_producers(running_, reader)) {
        judge_overwritten(producer, reader);
      }
      if (streams) judge_joins(reader);
    }
    if (streams) judge_unjoined();
    judge_refill();
  }

 private:
  [[nodiscard]] const PlanOp& op(std::int32_t at) const {
    return *running_.ops[static_cast<std::size_t>(at)].op;
  }

  // What the host runs before a graph has no stream in common with it: the graph's are those of its
  // capture, and it is launched behind the rest.
  [[nodiscard]] bool of_one_launch(std::int32_t a, std::int32_t b) const {
    return running_.ops[static_cast<std::size_t>(a)].from_graph ==
           running_.ops[static_cast<std::size_t>(b)].from_graph;
  }

  // The first range of `b` that shares a byte with one of `a`, in a buffer that these ranks have.
  [[nodiscard]] const BufferRange* shared(const std::vector<BufferRange>& a,
                                          const std::vector<BufferRange>& b) const {
    for (const BufferRange& x : a) {
      for (const BufferRange& y : b) {
        if (overlap(x, y) && held(y.buffer)) return &y;
      }
    }
    return nullptr;
  }

  [[nodiscard]] bool held(std::int32_t buffer) const {
    const RankSet& owner = plan_.buffers[static_cast<std::size_t>(buffer)].owner;
    return owner.empty() || !common(owner, running_.ranks).empty();
  }

  void add(std::int32_t at, std::int32_t buffer, std::string blame) {
    Breach breach =
        breach_at(timeline_, event_, place_, running_.ops[static_cast<std::size_t>(at)]);
    if (buffer >= 0) breach.buffer = plan_.buffers[static_cast<std::size_t>(buffer)].name;
    breach.symptom = Symptom::silent_corruption;
    breach.blame = std::move(blame);
    report_.looked_at(event_.event->path);
    report_.add(std::move(breach));
  }

  [[nodiscard]] std::string name_of_buffer(std::int32_t buffer) const {
    return plan_.buffers[static_cast<std::size_t>(buffer)].name;
  }

  // The reader means what `producer` wrote, and another operation has written there since.
  void judge_overwritten(std::int32_t producer, std::int32_t reader) {
    std::vector<BufferRange> meant;  // bytes that one writes and the other reads
    for (const BufferRange& x : op(producer).writes) {
      for (const BufferRange& y : op(reader).reads) {
        if (!overlap(x, y)) continue;
        const Intervals::Range a = span_of(x);
        const Intervals::Range b = span_of(y);
        const std::int64_t first = std::max(a.first, b.first);
        meant.push_back({x.buffer, first, std::min(a.second, b.second) - first});
      }
    }
    for (std::int32_t between = producer + 1; between < reader && !meant.empty(); ++between) {
      const BufferRange* at = shared(meant, op(between).writes);
      if (at == nullptr) continue;
      return add(reader, at->buffer,
                 op_text(plan_, op(reader)) + " reads what " + op_text(plan_, op(producer)) +
                     " wrote to " + name_of_buffer(at->buffer) + ", and " +
                     op_text(plan_, op(between)) + " has written over it");
    }
  }

  // What is read was written on another stream that nothing has joined. Where one operation of a
  // stream has ended, those before it have: going back, each stream is soon done with.
  void judge_joins(std::int32_t reader) {
    const auto named = named_producers(running_, reader);
    std::vector<std::int32_t> joined = {op(reader).stream};
    std::int32_t first = -1;  // of the writers that are not waited for
    for (std::int32_t writer = reader - 1; writer >= 0 && joined.size() < streams_; --writer) {
      const std::int32_t stream = op(writer).stream;
      if (std::ranges::find(joined, stream) != joined.end()) continue;
      if (order_.ordered(writer, reader)) {
        joined.push_back(stream);
      } else if (of_one_launch(writer, reader) && is_read(named, writer, reader)) {
        first = writer;
      }
    }
    if (first < 0) return;
    const BufferRange* at = shared(op(first).writes, op(reader).reads);
    add(reader, at == nullptr ? -1 : at->buffer, unjoined_text(first, reader));
  }

  [[nodiscard]] bool is_read(const std::vector<std::int32_t>& named, std::int32_t writer,
                             std::int32_t reader) const {
    return std::ranges::binary_search(named, writer) ||
           shared(op(writer).writes, op(reader).reads) != nullptr;
  }

  [[nodiscard]] std::string unjoined_text(std::int32_t writer, std::int32_t reader) const {
    return op_text(plan_, op(reader)) + " on stream " + std::to_string(op(reader).stream) +
           " does not wait for " + op_text(plan_, op(writer)) + " on stream " +
           std::to_string(op(writer).stream) + ", whose output it reads";
  }

  // A collective on a side stream that nothing ever waits for, though more is computed behind it.
  void judge_unjoined() {
    for (std::int32_t at = 0; at + 1 < count_; ++at) {
      const PlanOp& next = op(at + 1);
      const bool reads_it = moves_rows(op(at).kind) && next.stream != op(at).stream && !next.from &&
                            uses_rows(next.kind) && of_one_launch(at, at + 1);
      if (!reads_it) continue;
      bool joined = false;
      for (std::int32_t later = at + 1; later < count_ && !joined; ++later) {
        joined = op(later).stream != op(at).stream && order_.ordered(at, later);
      }
      if (!joined) add(at + 1, -1, unjoined_text(at, at + 1));
    }
  }

  // A buffer that peers read is filled anew before they are known to have read it: only a later
  // operation of all of them tells. What is repeated follows on itself.
  void judge_refill() {
    for (std::int32_t at = 0; at < count_; ++at) {
      const PlanOp& exchange = op(at);
      if (!is_read_by_peers(plan_, exchange)) continue;
      std::set<std::int32_t> refills = {first_refill(at, at + 1, count_)};
      for (const auto& [first, end] : repeated_around(at)) {
        const std::int32_t inside = first_refill(at, at + 1, end);
        const bool open = inside < 0 && !told_by_all(at, at + 1, end);
        refills.insert(open ? first_refill(at, first, at) : inside);
      }
      for (const std::int32_t later : refills) {
        if (later >= 0) add_refill(at, later);
      }
    }
  }

  // The first operation of [first, end) that writes what the exchange reads, before all have told
  // that they have read it; -1: none.
  [[nodiscard]] std::int32_t first_refill(std::int32_t at, std::int32_t first,
                                          std::int32_t end) const {
    for (std::int32_t later = first; later < end; ++later) {
      if (is_collective(op(later).kind) && op(later).group == op(at).group) return -1;
      if (shared(op(at).reads, op(later).writes) == nullptr) continue;
      return told_by_all(at, first, later + 1) ? -1 : later;
    }
    return -1;
  }

  void add_refill(std::int32_t at, std::int32_t later) {
    const std::int32_t buffer = shared(op(at).reads, op(later).writes)->buffer;
    add(later, buffer,
        op_text(plan_, op(later)) + " fills " + name_of_buffer(buffer) +
            " again while peers may still read it for " + op_text(plan_, op(at)));
  }

  // Whether an operation of [first, end) reaches all peers of an exchange: over the same family, or
  // over one whose groups hold theirs.
  [[nodiscard]] bool told_by_all(std::int32_t at, std::int32_t first, std::int32_t end) const {
    for (std::int32_t i = first; i < end; ++i) {
      if (!is_collective(op(i).kind) || !op(i).group.valid()) continue;
      if (op(i).group == op(at).group || holds_groups(op(i).group, op(at).group)) return true;
    }
    return false;
  }

  [[nodiscard]] bool holds_groups(GroupId outer, GroupId inner) const {
    if (!inner.valid()) return false;
    const auto& group_of = plan_.family(outer).group_of;
    const auto group = [&](std::int32_t rank) { return group_of[static_cast<std::size_t>(rank)]; };
    return std::ranges::all_of(plan_.family(inner).groups, [&](const auto& members) {
      const auto runs = [&](std::int32_t rank) { return running_.ranks.contains(rank); };
      if (std::ranges::none_of(members, runs)) return true;
      return std::ranges::all_of(members, [&](std::int32_t rank) {
        return group(rank) >= 0 && group(rank) == group(members.front());
      });
    });
  }

  // The operations that follow on themselves and hold this one: its block, and the whole program.
  [[nodiscard]] std::vector<std::pair<std::int32_t, std::int32_t>> repeated_around(
      std::int32_t at) const {
    std::vector<std::pair<std::int32_t, std::int32_t>> out;
    const auto take = [&](std::int32_t first, std::int32_t end, std::int64_t repeat) {
      end = std::min(end, count_);
      if (repeat > 1 && first <= at && at < end) out.emplace_back(first, end);
    };
    for (const RunPart& part : running_.parts) {
      const std::int32_t last = part.first_block + part.blocks - 1;
      for (std::int32_t i = part.first_block; i <= last; ++i) {
        const RunBlock& block = running_.blocks[static_cast<std::size_t>(i)];
        take(block.first, block.first + block.count, block.repeat);
      }
      const RunBlock& back = running_.blocks[static_cast<std::size_t>(last)];
      take(running_.blocks[static_cast<std::size_t>(part.first_block)].first,
           back.first + back.count, part.repeat);
    }
    return out;
  }

  const Timeline& timeline_;
  const Lifecycle& plan_;
  const EventRun& event_;
  std::int32_t place_;
  const Running& running_;
  PlanReport& report_;
  OpOrder order_;
  std::int32_t count_;
  std::size_t streams_ = 1;
};

// ---- over time ----------------------------------------------------------------------------------

// What a path has written to an output.
struct Output {
  Intervals unread;              // not read since
  Intervals lost;                // not read before another path wrote over it
  std::int32_t overwriter = -1;  // the event
};

struct BufferState {
  bool allocated = true;
  std::int64_t generation = 0;
  std::optional<std::int64_t> bytes;  // of this allocation
  // Of each path. Inputs and metadata: written since a replay of the path read it last; another
  // path's replays may be a part of the same step.
  std::vector<Intervals> fresh;
  std::vector<Output> outputs;
};

// What a plan says of a buffer as a whole.
struct BufferFacts {
  bool lifetime_known = false;     // the plan allocates or frees it
  bool allocated_in_plan = false;  // and allocates it first
  bool written_outside = false;    // by an operation that no graph holds
  bool refreshed = false;          // input or metadata
  bool output = false;
};

bool takes_part(const RankSet& ranks, std::int64_t rank) {
  return ranks.empty() || ranks.contains(rank);
}

class Facts {
 public:
  explicit Facts(const Timeline& timeline) : of(timeline.lifecycle().buffers.size()) {
    const Lifecycle& plan = timeline.lifecycle();
    for (std::size_t i = 0; i < of.size(); ++i) {
      const auto kind = plan.buffers[i].kind;
      of[i].refreshed = kind == BufferKind::input || kind == BufferKind::metadata;
      of[i].output = kind == BufferKind::output;
    }
    for (const PlanEvent& event : plan.events) {
      const auto same = [&](std::string_view path) { return path == event.path; };
      if (std::ranges::none_of(paths, same)) paths.push_back(event.path);
    }
    for (const EventRun& event : timeline.events()) {
      const PlanEventKind kind = event.event->kind;
      if (kind == PlanEventKind::allocate) first_is(event.event->buffer, true);
      if (kind == PlanEventKind::free) first_is(event.event->buffer, false);
      for (const Running& running : event.runnings) look(running);
    }
  }

  std::vector<BufferFacts> of;
  std::vector<std::string_view> paths;

  [[nodiscard]] std::size_t path_of(const EventRun& event) const {
    const auto at = std::ranges::find(paths, std::string_view(event.event->path));
    return static_cast<std::size_t>(at - paths.begin());
  }

  [[nodiscard]] BufferFacts& at(std::int32_t buffer) {
    return of[static_cast<std::size_t>(buffer)];
  }

 private:
  void look(const Running& running) {
    for (const RunOp& run : running.ops) {
      if (run.op->kind == PlanOpKind::allocate) first_is(run.op->buffer, true);
      if (run.op->kind == PlanOpKind::free) first_is(run.op->buffer, false);
      if (run.captured) continue;
      for (const BufferRange& range : run.op->writes) at(range.buffer).written_outside = true;
    }
  }

  // What is freed first was there before the plan begins.
  void first_is(std::int32_t buffer, bool allocate) {
    if (buffer < 0 || at(buffer).lifetime_known) return;
    at(buffer).lifetime_known = true;
    at(buffer).allocated_in_plan = allocate;
  }
};

// The life of one rank.
class OneRank {
 public:
  OneRank(const Timeline& timeline, const Facts& facts, const RankClass& whose, PlanReport& report,
          std::set<std::tuple<std::int32_t, const PlanOp*, std::int32_t>>& told)
      : timeline_(timeline),
        plan_(timeline.lifecycle()),
        facts_(facts),
        rank_(whose.rank),
        runs_(whose.runs),
        report_(report),
        told_(told),
        states_(plan_.buffers.size()) {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      states_[i].allocated = !facts.of[i].allocated_in_plan;
      states_[i].bytes = plan_.buffers[i].bytes;
      if (facts.of[i].output) states_[i].outputs.resize(facts.paths.size());
      if (!facts.of[i].refreshed) continue;
      states_[i].fresh.resize(facts.paths.size());
      // Stale is what a capture or a replay has read since.
      for (Intervals& fresh : states_[i].fresh) fresh.add({0, INT64_MAX});
    }
  }

  void run() {
    auto next = runs_.begin();
    for (const EventRun& event : timeline_.events()) {
      const PlanEvent& what = *event.event;
      if (what.kind == PlanEventKind::allocate && takes_part(what.ranks, rank_)) {
        allocate(what.buffer, what.generation, what.bytes);
      } else if (what.kind == PlanEventKind::free && takes_part(what.ranks, rank_)) {
        state(what.buffer).allocated = false;
      } else if (what.kind == PlanEventKind::register_groups && takes_part(what.ranks, rank_)) {
        judge_registration(event, what.groups);
      }
      if (next == runs_.end() || next->event != event.index) continue;
      follow(event, next->running);
      ++next;
    }
  }

 private:
  // An address that a graph has taken.
  struct Taken {
    const RunOp* op = nullptr;
    std::int64_t generation = 0;
    bool handed = false;  // to peers: later registrations are of later captures
  };
  // What the captured operations of one replay (or capture) have read of a buffer.
  struct Consumed {
    Intervals read;
    Intervals rewritten;  // after it was read: the next replay's, if it is kept in the graph
  };
  using Place = std::tuple<std::int32_t, const PlanOp*, std::int32_t>;  // capture, op, buffer

  [[nodiscard]] BufferState& state(std::int32_t buffer) {
    return states_[static_cast<std::size_t>(buffer)];
  }
  [[nodiscard]] const BufferFacts& facts(std::int32_t buffer) const {
    return facts_.of[static_cast<std::size_t>(buffer)];
  }
  [[nodiscard]] const std::string& name_of_buffer(std::int32_t buffer) const {
    return plan_.buffers[static_cast<std::size_t>(buffer)].name;
  }
  [[nodiscard]] bool owns(std::int32_t buffer) const {
    return takes_part(plan_.buffers[static_cast<std::size_t>(buffer)].owner, rank_);
  }

  void allocate(std::int32_t buffer, std::optional<std::int64_t> generation,
                std::optional<std::int64_t> bytes) {
    BufferState& now = state(buffer);
    if (bytes) now.bytes = bytes;
    now.allocated = true;
    now.generation = generation.value_or(now.generation + 1);
  }

  void add(const EventRun& event, std::int32_t running, const RunOp& op, std::int32_t buffer,
           std::string blame, std::string key = {}) {
    if (!told_.emplace(event.index, op.op, buffer).second) return;
    Breach breach = running >= 0 ? breach_at(timeline_, event, running, op) : breach_at(event);
    breach.rank = rank_;
    breach.op = name_of(op.op->kind);
    breach.at = op.op;
    breach.buffer = name_of_buffer(buffer);
    breach.key = std::move(key);
    breach.symptom = Symptom::silent_corruption;
    breach.blame = std::move(blame);
    report_.add(std::move(breach));
  }

  // Peers are handed the addresses that graphs have taken: they must still hold.
  void judge_registration(const EventRun& event, const std::vector<GroupId>& groups) {
    for (auto& [at, each] : taken_) {
      const std::int32_t buffer = std::get<2>(at);
      const PlanOp& op = *each.op->op;
      const bool peer = op.registered.value_or(transport_of(plan_, op) == Transport::peer);
      if (!peer || std::ranges::find(groups, op.group) == groups.end()) continue;
      // A graph keeps what it has allocated itself.
      if (std::exchange(each.handed, true) || owned_.contains({std::get<0>(at), buffer})) continue;
      const BufferState& now = state(buffer);
      if (now.allocated && now.generation == each.generation) continue;
      add(event, -1, *each.op, buffer,
          name_of_buffer(buffer) + ", whose address " + op_text(plan_, op) +
              " took in a capture, is " + gone_text(now, each.generation) +
              " when peers are given it");
    }
  }

  static std::string gone_text(const BufferState& now, std::int64_t then) {
    if (!now.allocated) return "freed";
    return "at another address (generation " + std::to_string(then) + " then, " +
           std::to_string(now.generation) + " now)";
  }

  void follow(const EventRun& event, std::int32_t place) {
    const Running& running = event.runnings[static_cast<std::size_t>(place)];
    consumed_.clear();
    for (const RunOp& run : running.ops) {
      const bool graph = run.from_graph && run.captured;
      if (run.op->kind == PlanOpKind::register_group) judge_registration(event, {run.op->group});
      if (run.op->kind == PlanOpKind::allocate || run.op->kind == PlanOpKind::free) {
        if (!graph && run.op->buffer >= 0) in_program(event, run);
        continue;
      }
      for (const BufferRange& range : run.op->reads) {
        if (!owns(range.buffer)) continue;
        judge_address(event, place, run, range.buffer);
        read(event, place, run, range);
      }
      for (const BufferRange& range : run.op->writes) {
        if (!owns(range.buffer)) continue;
        judge_address(event, place, run, range.buffer);
        write(event, run, range);
      }
    }
    const std::size_t path = facts_.path_of(event);
    for (const auto& [buffer, each] : consumed_) {
      Intervals& fresh = state(buffer).fresh[path];
      for (const Intervals::Range& range : each.read.ranges()) fresh.remove(range);
      for (const Intervals::Range& range : each.rewritten.ranges()) fresh.add(range);
    }
  }

  // Kernels are recorded in a capture and do not run.
  static bool is_recorded(const EventRun& event, const RunOp& run) {
    return event.event->kind == PlanEventKind::capture && run.captured;
  }

  void in_program(const EventRun& event, const RunOp& run) {
    if (run.op->kind == PlanOpKind::free) {
      state(run.op->buffer).allocated = false;
      return;
    }
    allocate(run.op->buffer, std::nullopt, std::nullopt);
    if (run.captured) owned_.emplace(event.index, run.op->buffer);
  }

  void judge_address(const EventRun& event, std::int32_t place, const RunOp& run,
                     std::int32_t buffer) {
    report_.looked_at(event.event->path);
    const Running& running = event.runnings[static_cast<std::size_t>(place)];
    const BufferState& now = state(buffer);
    if (!run.from_graph || !run.captured) {
      if (is_recorded(event, run)) {
        taken_.insert_or_assign({event.index, run.op, buffer}, Taken{&run, now.generation});
      }
      if (now.allocated) return;
      return add(event, place, run, buffer,
                 op_text(plan_, *run.op) + " works on " + name_of_buffer(buffer) +
                     ", which is not allocated");
    }
    if (owned_.contains({running.capture_event, buffer})) return;
    const std::int64_t then = generation_of(running.capture_event, run, buffer);
    if (now.allocated && now.generation == then) return;
    add(event, place, run, buffer,
        op_text(plan_, *run.op) + " was captured on " + name_of_buffer(buffer) + ", which is " +
            gone_text(now, then) + " when the graph is replayed",
        key_of(running));
  }

  [[nodiscard]] std::int64_t generation_of(std::int32_t capture, const RunOp& run,
                                           std::int32_t buffer) const {
    const auto at = taken_.find({capture, run.op, buffer});
    return at == taken_.end() ? 0 : at->second.generation;
  }

  static std::string key_of(const Running& running) {
    const auto& key = running.program->key;
    return key ? text_of(*key) : std::string();
  }

  void read(const EventRun& event, std::int32_t place, const RunOp& run, const BufferRange& range) {
    BufferState& now = state(range.buffer);
    const Intervals::Range span = span_of(range, now.bytes);
    const BufferFacts& facts = this->facts(range.buffer);
    if (facts.output && !is_recorded(event, run))
      judge_output(event, place, run, range.buffer, span);
    if (!facts.refreshed || !run.captured || span.first >= span.second) return;
    if (is_recorded(event, run)) {
      // What is there at the capture is not what a later step presents. Without a record of writes
      // the first replay cannot be judged.
      if (facts.written_outside) consumed_[range.buffer].read.add(span);
      return;
    }
    if (!run.from_graph) return;
    if (!is_refreshed(event, place, run, span, now)) {
      const bool some = now.fresh[facts_.path_of(event)].meets(span);
      add(event, place, run, range.buffer,
          op_text(plan_, *run.op) + " reads " + (some ? "a part of " : "") +
              name_of_buffer(range.buffer) +
              " that nothing has written since the replay (or capture) before: it holds an "
              "earlier step's values",
          key_of(event.runnings[static_cast<std::size_t>(place)]));
    }
    consumed_[range.buffer].read.add(span);
  }

  // Rows that are masked may hold what they like; a range without an end needs a part.
  [[nodiscard]] bool is_refreshed(const EventRun& event, std::int32_t place, const RunOp& run,
                                  Intervals::Range span, const BufferState& now) const {
    const Intervals& fresh = now.fresh[facts_.path_of(event)];
    const bool masked = run.op->padding == Padding::masked || run.op->padding == Padding::zero;
    const Program& program = *event.runnings[static_cast<std::size_t>(place)].program;
    if (masked && program.tokens == 0) return true;  // all rows are
    return masked || span.second == INT64_MAX ? fresh.meets(span) : fresh.covers(span);
  }

  void write(const EventRun& event, const RunOp& run, const BufferRange& range) {
    if (is_recorded(event, run)) return;
    BufferState& now = state(range.buffer);
    const Intervals::Range span = span_of(range, now.bytes);
    for (Intervals& fresh : now.fresh) fresh.add(span);
    if (const auto consumed = consumed_.find(range.buffer); consumed != consumed_.end()) {
      for (const Intervals::Range& each : consumed->second.read.within(span)) {
        consumed->second.rewritten.add(each);
      }
    }
    const std::size_t path = facts_.path_of(event);
    for (std::size_t i = 0; i < now.outputs.size(); ++i) {
      Output& output = now.outputs[i];
      if (i == path) {
        output.lost.remove(span);
        output.unread.add(span);
        continue;
      }
      for (const Intervals::Range& each : output.unread.within(span)) {
        output.lost.add(each);
        output.overwriter = event.index;
      }
    }
  }

  // The reader's own path wrote, and another path has written over it before it was read.
  void judge_output(const EventRun& event, std::int32_t place, const RunOp& run,
                    std::int32_t buffer, Intervals::Range span) {
    BufferState& now = state(buffer);
    for (Output& each : now.outputs) each.unread.remove(span);
    const Output& own = now.outputs[facts_.path_of(event)];
    if (!own.lost.meets(span)) return;
    const std::string& over = plan_.events[static_cast<std::size_t>(own.overwriter)].path;
    add(event, place, run, buffer,
        op_text(plan_, *run.op) + " reads " + name_of_buffer(buffer) + ", the output of " +
            event.event->path + ", which " + over + " has written over before it was read");
  }

  const Timeline& timeline_;
  const Lifecycle& plan_;
  const Facts& facts_;
  std::int64_t rank_;
  const std::vector<RunAt>& runs_;
  PlanReport& report_;
  std::set<std::tuple<std::int32_t, const PlanOp*, std::int32_t>>& told_;
  std::vector<BufferState> states_;
  std::map<Place, Taken> taken_;
  std::set<std::pair<std::int32_t, std::int32_t>> owned_;  // capture, buffer
  std::map<std::int32_t, Consumed> consumed_;              // in the event that is followed
};

void check_plan(const Timeline& timeline, PlanReport& report) {
  const Lifecycle& plan = timeline.lifecycle();
  for (const EventRun& event : timeline.events()) {
    for (std::size_t i = 0; i < event.runnings.size(); ++i) {
      if (!may_conflict(plan, event.runnings[i])) continue;
      WithinRunning(timeline, event, static_cast<std::int32_t>(i), report).run();
    }
  }
  if (plan.buffers.empty()) return;
  const Facts facts(timeline);
  std::set<std::tuple<std::int32_t, const PlanOp*, std::int32_t>> told;
  const RankClasses classes(timeline);
  for (const RankClass& each : classes.all()) {
    OneRank(timeline, facts, each, report, told).run();
  }
}

}  // namespace

extern const Law law_replay_reads_now;
const Law law_replay_reads_now{
    .name = "replay_reads_now",
    .defect_class = "C10",
    .subject = "lifecycle",
    .statement =
        "A replay reads what its own step wrote: captured addresses stay allocated and "
        "unmoved, inputs are written in full between two replays, outputs are read before "
        "they are written over, and what runs beside it is joined.",
    .formula = "generation(replay) = generation(capture); reads <= writes since the last replay",
    .way_out =
        "allocate every buffer that a graph holds once, before the first capture, at its "
        "largest size; write inputs and metadata into it before every replay",
    .check_plan = check_plan};

}  // namespace capsize
