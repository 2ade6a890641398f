// replay_reads_now: a replay reads what its own step wrote, at addresses that still hold. Time is
// followed for one rank of each class of ranks that always do the same.
#include <algorithm>
#include <map>
#include <set>

#include "properties/intervals.hpp"
#include "properties/plan_report.hpp"

namespace capsize {
namespace {

// Classes beyond this are not followed: a plan of so many would be seen at fault before.
constexpr std::size_t kClassesMost = 64;
// Pairs of operations are compared; longer programs are compared in their first part.
constexpr std::size_t kOpsMost = 2048;

Intervals::Range span_of(const Lifecycle& plan, const BufferRange& range) {
  const auto& bytes = plan.buffers[static_cast<std::size_t>(range.buffer)].bytes;
  const std::int64_t end = range.bytes >= 0 ? range.offset + range.bytes
                                            : std::max(bytes.value_or(INT64_MAX), range.offset);
  return {range.offset, end};
}

bool meet(const std::vector<BufferRange>& a, const std::vector<BufferRange>& b,
          const BufferRange** which = nullptr) {
  for (const BufferRange& x : a) {
    for (const BufferRange& y : b) {
      if (!overlap(x, y)) continue;
      if (which != nullptr) *which = &y;
      return true;
    }
  }
  return false;
}

// ---- one running by itself ----------------------------------------------------------------------

// The places of the producers that an operation names with `from`.
std::vector<std::int32_t> named_producers(const Running& running, std::int32_t reader) {
  const RunOp& op = running.ops[static_cast<std::size_t>(reader)];
  std::vector<std::int32_t> out;
  if (!op.op->from) return out;
  for (std::int32_t i = 0; i < reader; ++i) {
    const RunOp& each = running.ops[static_cast<std::size_t>(i)];
    const bool named = std::ranges::find(*op.op->from, each.index) != op.op->from->end();
    if (each.from_graph == op.from_graph && named) out.push_back(i);
  }
  return out;
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
    bool streams = false;
    for (const RunOp& each : running_.ops) {
      streams = streams || each.op->stream != running_.ops.front().op->stream;
    }
    if (streams) report_.looked_at(event_.event->path);
    for (std::int32_t reader = 1; reader < count_; ++reader) {
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
    if (!meet(op(producer).writes, op(reader).reads)) return;
    for (std::int32_t between = producer + 1; between < reader; ++between) {
      const BufferRange* at = nullptr;
      if (!meet(op(producer).writes, op(between).writes, &at)) continue;
      if (!meet(op(between).writes, op(reader).reads)) continue;
      return add(reader, at->buffer,
                 op_text(plan_, op(reader)) + " reads what " + op_text(plan_, op(producer)) +
                     " wrote to " + name_of_buffer(at->buffer) + ", and " +
                     op_text(plan_, op(between)) + " has written over it");
    }
  }

  // What is read was written on another stream that nothing has joined.
  void judge_joins(std::int32_t reader) {
    const auto named = named_producers(running_, reader);
    for (std::int32_t writer = 0; writer < reader; ++writer) {
      if (order_.ordered(writer, reader)) continue;
      const BufferRange* at = nullptr;
      const bool shares = meet(op(writer).writes, op(reader).reads, &at);
      if (!shares && std::ranges::find(named, writer) == named.end()) continue;
      return add(reader, at == nullptr ? -1 : at->buffer, unjoined_text(writer, reader));
    }
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
      const bool reads_it = is_collective(op(at).kind) && !is_host_call(op(at).kind) &&
                            op(at).kind != PlanOpKind::barrier && next.stream != op(at).stream &&
                            !next.from && !is_collective(next.kind) &&
                            next.kind != PlanOpKind::copy;
      if (!reads_it) continue;
      bool joined = false;
      for (std::int32_t later = at + 1; later < count_ && !joined; ++later) {
        joined = op(later).stream != op(at).stream && order_.ordered(at, later);
      }
      if (!joined) add(at + 1, -1, unjoined_text(at, at + 1));
    }
  }

  // A buffer that peers read is filled anew before they are known to have read it: only a later
  // operation of the whole group tells. What is repeated follows on itself.
  void judge_refill() {
    for (std::int32_t at = 0; at < count_; ++at) {
      const PlanOp& exchange = op(at);
      const bool symmetric = exchange.registered.value_or(false) && is_collective(exchange.kind);
      if (!symmetric || exchange.reads.empty()) continue;
      for (const std::int32_t later : following(at)) {
        const BufferRange* range = nullptr;
        if (later != at && is_collective(op(later).kind) && op(later).group == exchange.group)
          break;
        if (!meet(exchange.reads, op(later).writes, &range) || later == at) continue;
        add(later, range->buffer,
            op_text(plan_, op(later)) + " fills " + name_of_buffer(range->buffer) +
                " again while peers may still read it for " + op_text(plan_, exchange));
        break;
      }
    }
  }

  // The operations behind `at`, and where its block repeats those before it in the block.
  [[nodiscard]] std::vector<std::int32_t> following(std::int32_t at) const {
    std::vector<std::int32_t> out;
    for (const RunBlock& block : running_.blocks) {
      const bool inside = block.first <= at && at < block.first + block.count;
      if (inside && (block.repeat > 1 || repeated_part(block))) {
        for (std::int32_t i = at + 1; i < block.first + block.count; ++i) out.push_back(i);
        for (std::int32_t i = block.first; i <= at; ++i) out.push_back(i);
        return out;
      }
    }
    for (std::int32_t i = at + 1; i < count_; ++i) out.push_back(i);
    return out;
  }

  [[nodiscard]] bool repeated_part(const RunBlock& block) const {
    for (const RunPart& part : running_.parts) {
      const auto first = running_.blocks.begin() + part.first_block;
      const bool holds = &*first == &block && part.blocks == 1;
      if (holds && part.repeat > 1) return true;
    }
    return false;
  }

  const Timeline& timeline_;
  const Lifecycle& plan_;
  const EventRun& event_;
  std::int32_t place_;
  const Running& running_;
  PlanReport& report_;
  OpOrder order_;
  std::int32_t count_;
};

// ---- over time ----------------------------------------------------------------------------------

struct BufferState {
  bool allocated = true;
  std::int64_t generation = 0;
  Intervals fresh;  // written since a replay read it last; inputs and metadata only
  // The last two launches that wrote it with no read in between; outputs only.
  std::int32_t writer = -1;
  std::int32_t overwriter = -1;
  bool read = false;
};

// What a plan says of a buffer as a whole.
struct BufferFacts {
  bool allocated_in_plan = false;
  bool written_outside = false;  // by an operation that no graph holds
  bool refreshed = false;        // input or metadata
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
      if (event.kind == PlanEventKind::allocate) at(event.buffer).allocated_in_plan = true;
    }
    for (const EventRun& event : timeline.events()) {
      for (const Running& running : event.runnings) look(running);
    }
  }

  std::vector<BufferFacts> of;

  [[nodiscard]] BufferFacts& at(std::int32_t buffer) {
    return of[static_cast<std::size_t>(buffer)];
  }

 private:
  void look(const Running& running) {
    for (const RunOp& run : running.ops) {
      if (run.op->kind == PlanOpKind::allocate && run.op->buffer >= 0) {
        at(run.op->buffer).allocated_in_plan = true;
      }
      if (run.captured) continue;
      for (const BufferRange& range : run.op->writes) at(range.buffer).written_outside = true;
    }
  }
};

// The life of one rank.
class OneRank {
 public:
  OneRank(const Timeline& timeline, const Facts& facts, std::int64_t rank, PlanReport& report,
          std::set<std::tuple<std::int32_t, const PlanOp*, std::int32_t>>& told)
      : timeline_(timeline),
        plan_(timeline.lifecycle()),
        facts_(facts),
        rank_(rank),
        report_(report),
        told_(told),
        states_(plan_.buffers.size()) {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      states_[i].allocated = !facts.of[i].allocated_in_plan;
      // Without a record of writes the first replay cannot be judged.
      if (!facts.of[i].written_outside) states_[i].fresh.add({0, INT64_MAX});
    }
  }

  void run() {
    for (const EventRun& event : timeline_.events()) {
      const PlanEvent& what = *event.event;
      if (what.kind == PlanEventKind::allocate && takes_part(what.ranks, rank_)) {
        allocate(what.buffer, what.generation);
      } else if (what.kind == PlanEventKind::free && takes_part(what.ranks, rank_)) {
        state(what.buffer).allocated = false;
      } else if (what.kind == PlanEventKind::register_groups && takes_part(what.ranks, rank_)) {
        judge_registration(event);
      }
      for (std::size_t i = 0; i < event.runnings.size(); ++i) {
        if (!event.runnings[i].ranks.contains(rank_)) continue;
        follow(event, static_cast<std::int32_t>(i));
        break;
      }
    }
  }

 private:
  // An address that a graph has taken.
  struct Taken {
    const RunOp* op = nullptr;
    std::int64_t generation = 0;
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

  void allocate(std::int32_t buffer, std::optional<std::int64_t> generation) {
    BufferState& now = state(buffer);
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
  void judge_registration(const EventRun& event) {
    for (const auto& [at, each] : taken_) {
      const std::int32_t buffer = std::get<2>(at);
      const PlanOp& op = *each.op->op;
      const bool peer = op.registered.value_or(transport_of(plan_, op) == Transport::peer);
      const auto& groups = event.event->groups;
      if (!peer || std::ranges::find(groups, op.group) == groups.end()) continue;
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
    std::vector<std::pair<std::int32_t, Intervals::Range>> consumed;
    for (const RunOp& run : running.ops) {
      const bool graph = run.from_graph && run.captured;
      if (run.op->kind == PlanOpKind::allocate || run.op->kind == PlanOpKind::free) {
        if (!graph && run.op->buffer >= 0) in_program(event, run);
        continue;
      }
      for (const BufferRange& range : run.op->reads) {
        if (!owns(range.buffer)) continue;
        judge_address(event, place, run, range.buffer);
        read(event, place, run, range, consumed);
      }
      for (const BufferRange& range : run.op->writes) {
        if (!owns(range.buffer)) continue;
        judge_address(event, place, run, range.buffer);
        write(event, range);
      }
    }
    for (const auto& [buffer, range] : consumed) state(buffer).fresh.remove(range);
  }

  void in_program(const EventRun& event, const RunOp& run) {
    if (run.op->kind == PlanOpKind::free) {
      state(run.op->buffer).allocated = false;
      return;
    }
    allocate(run.op->buffer, std::nullopt);
    if (run.captured) owned_.emplace(event.index, run.op->buffer);
  }

  void judge_address(const EventRun& event, std::int32_t place, const RunOp& run,
                     std::int32_t buffer) {
    report_.looked_at(event.event->path);
    const Running& running = event.runnings[static_cast<std::size_t>(place)];
    const BufferState& now = state(buffer);
    if (!run.from_graph || !run.captured) {
      const bool capture = event.event->kind == PlanEventKind::capture && run.captured;
      if (capture)
        taken_.insert_or_assign({event.index, run.op, buffer}, Taken{&run, now.generation});
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

  void read(const EventRun& event, std::int32_t place, const RunOp& run, const BufferRange& range,
            std::vector<std::pair<std::int32_t, Intervals::Range>>& consumed) {
    if (facts(range.buffer).output) judge_output(event, place, run, range.buffer);
    if (!facts(range.buffer).refreshed || !run.captured) return;
    BufferState& now = state(range.buffer);
    const Intervals::Range span = span_of(plan_, range);
    if (event.event->kind == PlanEventKind::capture) {
      // What is there at the capture is not what a later step presents.
      if (facts(range.buffer).written_outside) consumed.emplace_back(range.buffer, span);
      return;
    }
    if (!run.from_graph) return;
    consumed.emplace_back(range.buffer, span);
    // Rows that are masked may hold what they like.
    const bool refreshed = run.op->padding == Padding::masked || run.op->padding == Padding::zero
                               ? now.fresh.meets(span)
                               : now.fresh.covers(span);
    if (refreshed) return;
    const bool some = now.fresh.meets(span);
    add(event, place, run, range.buffer,
        op_text(plan_, *run.op) + " reads " + (some ? "a part of " : "") +
            name_of_buffer(range.buffer) +
            " that nothing has written since the replay (or capture) before: it holds an earlier "
            "step's values",
        key_of(event.runnings[static_cast<std::size_t>(place)]));
  }

  void write(const EventRun& event, const BufferRange& range) {
    BufferState& now = state(range.buffer);
    if (facts(range.buffer).refreshed) now.fresh.add(span_of(plan_, range));
    if (!facts(range.buffer).output || now.writer == event.index) return;
    const bool lost = now.writer >= 0 && !now.read;
    now.overwriter = lost ? now.writer : -1;
    now.writer = event.index;
    now.read = false;
  }

  // The reader's own path wrote, and another path has written over it before it was read.
  void judge_output(const EventRun& event, std::int32_t place, const RunOp& run,
                    std::int32_t buffer) {
    BufferState& now = state(buffer);
    now.read = true;
    if (now.overwriter < 0 || now.writer == event.index) return;
    const auto path = [this](std::int32_t at) -> const std::string& {
      return plan_.events[static_cast<std::size_t>(at)].path;
    };
    const std::string& first = path(now.overwriter);
    const std::string& second = path(now.writer);
    if (first != event.event->path || second == first) return;
    add(event, place, run, buffer,
        op_text(plan_, *run.op) + " reads " + name_of_buffer(buffer) + ", the output of " + first +
            ", which " + second + " has written over before it was read");
  }

  const Timeline& timeline_;
  const Lifecycle& plan_;
  const Facts& facts_;
  std::int64_t rank_;
  PlanReport& report_;
  std::set<std::tuple<std::int32_t, const PlanOp*, std::int32_t>>& told_;
  std::vector<BufferState> states_;
  std::map<Place, Taken> taken_;
  std::set<std::pair<std::int32_t, std::int32_t>> owned_;
};

// ---- classes of ranks ---------------------------------------------------------------------------

// One rank of each class that is in the same programs, events and buffers throughout.
std::vector<std::int64_t> representatives(const Lifecycle& plan) {
  std::vector<RankSet> classes = {RankSet(0, plan.world - 1)};
  const auto split_by = [&classes](const RankSet& ranks) {
    if (ranks.empty()) return;
    const std::size_t count = classes.size();
    for (std::size_t i = 0; i < count && classes.size() < kClassesMost; ++i) {
      RankSet inside = common(classes[i], ranks);
      if (inside.empty() || inside == classes[i]) continue;
      classes.push_back(without(classes[i], ranks));
      classes[i] = std::move(inside);
    }
  };
  for (const PlanBuffer& buffer : plan.buffers) split_by(buffer.owner);
  for (const PlanEvent& event : plan.events) {
    split_by(event.ranks);
    for (const Program& program : event.programs) split_by(program.ranks);
  }
  std::vector<std::int64_t> out;
  for (const RankSet& each : classes) out.push_back(each.first());
  std::ranges::sort(out);
  return out;
}

void check_plan(const Timeline& timeline, PlanReport& report) {
  const Lifecycle& plan = timeline.lifecycle();
  for (const EventRun& event : timeline.events()) {
    for (std::size_t i = 0; i < event.runnings.size(); ++i) {
      WithinRunning(timeline, event, static_cast<std::int32_t>(i), report).run();
    }
  }
  if (plan.buffers.empty()) return;
  const Facts facts(timeline);
  std::set<std::tuple<std::int32_t, const PlanOp*, std::int32_t>> told;
  for (const std::int64_t rank : representatives(plan)) {
    OneRank(timeline, facts, rank, report, told).run();
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
