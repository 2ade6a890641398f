// memory_fits: what a rank holds at any time fits its budget: weights, activations, KV cache, the
// buffers that live and the graphs that are captured. Judged in plans that state a budget. Sums are
// wider than 64 bits, so that no count of a file can wrap them.
#include <algorithm>

#include "properties/plan_report.hpp"

namespace capsize {
namespace {

__extension__ using Wide = __int128;

std::string text_of_bytes(Wide bytes) {
  return bytes > INT64_MAX ? "more than " + std::to_string(INT64_MAX)
                           : std::to_string(static_cast<std::int64_t>(bytes));
}

// A buffer begins or ends to live on some ranks.
struct Change {
  std::int32_t event = 0;
  std::int32_t buffer = 0;
  bool allocates = false;
  bool in_graph = false;              // its memory is part of the graph's
  const RankSet* ranks = nullptr;     // empty: all
  std::optional<std::int64_t> bytes;  // none: as before
};

// From this event on the graphs of a rank take so many bytes.
struct GraphBytes {
  std::int32_t event = -1;  // -1: from the start
  Wide bytes = 0;
};

struct Changes {
  std::vector<Change> buffers;
  std::vector<GraphBytes> graphs;  // by event; at least one
};

void add_op_changes(const EventRun& event, std::vector<Change>& out) {
  for (const Running& running : event.runnings) {
    for (const RunOp& each : running.ops) {
      const PlanOp& op = *each.op;
      const bool allocates = op.kind == PlanOpKind::allocate;
      if (op.buffer < 0 || !(allocates || op.kind == PlanOpKind::free)) continue;
      out.push_back({event.index, op.buffer, allocates, each.captured, &running.ranks, {}});
    }
  }
}

std::vector<Change> buffer_changes(const Timeline& timeline) {
  std::vector<Change> out;
  for (const EventRun& event : timeline.events()) {
    const PlanEvent& each = *event.event;
    const bool allocates = each.kind == PlanEventKind::allocate;
    if (each.buffer >= 0 && (allocates || each.kind == PlanEventKind::free)) {
      out.push_back({event.index, each.buffer, allocates, false, &each.ranks, each.bytes});
    }
    add_op_changes(event, out);
  }
  return out;
}

// The first event that captures graphs of an entry; -1 where the plan shows no capture of its path
// (they are there from the start); none where it shows only those of another mode.
std::optional<std::int32_t> first_capture(const Timeline& timeline, const PlanCapture& entry) {
  bool shown = false;
  for (const EventRun& event : timeline.events()) {
    if (event.event->kind != PlanEventKind::capture || event.event->path != entry.path) continue;
    shown = true;
    const bool same_mode = std::ranges::any_of(event.runnings, [&](const Running& running) {
      return running.mode == entry.mode.value_or(running.mode) && running.mode != GraphMode::eager;
    });
    if (same_mode) return event.index;
  }
  return shown ? std::nullopt : std::optional(-1);
}

// Graphs that share a pool take as much as the largest of them.
std::vector<GraphBytes> graph_bytes(const Timeline& timeline) {
  struct Gain {
    std::int32_t event = -1;
    std::string_view pool;
    std::int64_t bytes = 0;
  };
  std::vector<Gain> gains;
  for (const PlanCapture& entry : timeline.lifecycle().captures) {
    if (entry.mode == GraphMode::eager || entry.bytes.value_or(0) <= 0) continue;
    const auto event = first_capture(timeline, entry);
    if (event) gains.push_back({*event, entry.pool, *entry.bytes});
  }
  std::ranges::stable_sort(gains, {}, &Gain::event);
  std::vector<std::pair<std::string_view, std::int64_t>> pools;
  std::vector<GraphBytes> out = {{}};
  for (const Gain& gain : gains) {
    std::int64_t before = 0;
    if (!gain.pool.empty()) {
      const auto pool = std::ranges::find(pools, gain.pool, [](const auto& p) { return p.first; });
      if (pool == pools.end()) {
        pools.emplace_back(gain.pool, gain.bytes);
      } else {
        before = std::exchange(pool->second, std::max(pool->second, gain.bytes));
      }
    }
    const Wide more = std::max<std::int64_t>(gain.bytes - before, 0);
    out.push_back({gain.event, out.back().bytes + more});
  }
  return out;
}

// The first rank of each part of the world whose ranks own and are given the same buffers.
std::vector<std::int64_t> rank_classes(const Lifecycle& lifecycle,
                                       const std::vector<Change>& changes) {
  std::vector<std::int64_t> out = {0};
  const auto cut_at = [&out](const RankSet& ranks) {
    for (const RankRange& range : ranks.ranges()) {
      out.push_back(range.first);
      out.push_back(range.last + 1);
    }
  };
  for (const PlanBuffer& buffer : lifecycle.buffers) cut_at(buffer.owner);
  for (const Change& change : changes) cut_at(*change.ranks);
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  std::erase_if(out, [&](std::int64_t rank) { return rank < 0 || rank >= lifecycle.world; });
  return out;
}

// What one rank holds, change by change.
class RankMemory {
 public:
  RankMemory(const Lifecycle& lifecycle, const Changes& changes, std::int64_t rank)
      : lifecycle_(&lifecycle), changes_(&changes), rank_(rank), held_(lifecycle.buffers.size()) {
    for (std::size_t i = 0; i < held_.size(); ++i) {
      const PlanBuffer& buffer = lifecycle.buffers[i];
      held_[i].counts = concerns(buffer.owner) && !is_counted_elsewhere(buffer);
      held_[i].bytes = std::max<std::int64_t>(buffer.bytes.value_or(0), 0);
      held_[i].lives = true;
    }
    // What is allocated later does not live from the start, unless it is freed before.
    for (auto change = changes.buffers.rbegin(); change != changes.buffers.rend(); ++change) {
      if (concerns(*change->ranks)) held_of(*change).lives = !change->allocates;
    }
    for (const Held& held : held_) buffers_ += held.lives && held.counts ? held.bytes : 0;
  }

  // The first change that passes the budget; none where all fit.
  struct Passed {
    std::int32_t event = -1;
    std::int32_t buffer = -1;  // -1: no buffer passes it, graphs do, or what is there at the start
    std::string blame;
  };
  [[nodiscard]] std::optional<Passed> first_passed() {
    auto graphs = changes_->graphs.begin();
    const auto step = [&](std::int32_t event) -> std::optional<Passed> {
      for (; graphs != changes_->graphs.end() && graphs->event <= event; ++graphs) {
        graphs_ = graphs->bytes;
        if (passes()) return Passed{graphs->event, -1, blame()};
      }
      return std::nullopt;
    };
    if (auto passed = step(-1)) return passed;
    for (const Change& change : changes_->buffers) {
      if (auto passed = step(change.event)) return passed;
      if (!concerns(*change.ranks)) continue;
      apply(change);
      if (passes()) return Passed{change.event, change.buffer, blame()};
    }
    return step(INT32_MAX);
  }

 private:
  struct Held {
    std::int64_t bytes = 0;
    bool lives = false;
    bool counts = false;
  };

  [[nodiscard]] bool concerns(const RankSet& ranks) const {
    return ranks.empty() || ranks.contains(rank_);
  }
  [[nodiscard]] bool is_counted_elsewhere(const PlanBuffer& buffer) const {
    const PlanMemory& memory = *lifecycle_->memory;
    return (buffer.kind == BufferKind::weight && memory.weights_bytes > 0) ||
           (buffer.kind == BufferKind::kv && memory.kv_bytes > 0);
  }
  [[nodiscard]] Held& held_of(const Change& change) {
    return held_[static_cast<std::size_t>(change.buffer)];
  }

  void apply(const Change& change) {
    Held& held = held_of(change);
    if (held.lives && held.counts) buffers_ -= held.bytes;
    held.lives = change.allocates && !change.in_graph;
    if (change.bytes) held.bytes = std::max<std::int64_t>(*change.bytes, 0);
    if (held.lives && held.counts) buffers_ += held.bytes;
  }

  [[nodiscard]] Wide total() const {
    const PlanMemory& memory = *lifecycle_->memory;
    Wide sum = buffers_ + graphs_;
    for (const std::int64_t part :
         {memory.weights_bytes, memory.activations_bytes, memory.kv_bytes}) {
      sum += std::max<std::int64_t>(part, 0);
    }
    return sum;
  }
  [[nodiscard]] bool passes() const { return total() > lifecycle_->memory->budget_bytes; }

  [[nodiscard]] std::string blame() const {
    const PlanMemory& memory = *lifecycle_->memory;
    return "rank " + std::to_string(rank_) + " holds " + text_of_bytes(total()) + " bytes of " +
           std::to_string(memory.budget_bytes) + ": weights " +
           std::to_string(memory.weights_bytes) + ", activations " +
           std::to_string(memory.activations_bytes) + ", KV cache " +
           std::to_string(memory.kv_bytes) + ", buffers " + text_of_bytes(buffers_) + ", graphs " +
           text_of_bytes(graphs_);
  }

  const Lifecycle* lifecycle_;
  const Changes* changes_;
  std::int64_t rank_;
  std::vector<Held> held_;  // by buffer
  Wide buffers_ = 0;
  Wide graphs_ = 0;
};

void check(const Timeline& timeline, PlanReport& report) {
  const Lifecycle& lifecycle = timeline.lifecycle();
  if (!lifecycle.memory || lifecycle.memory->budget_bytes <= 0) return;
  const Changes changes{buffer_changes(timeline), graph_bytes(timeline)};
  std::vector<std::int32_t> told;  // events, each by the first rank that fails there
  for (const std::int64_t rank : rank_classes(lifecycle, changes.buffers)) {
    auto passed = RankMemory(lifecycle, changes, rank).first_passed();
    if (!passed) continue;
    // What does not fit at the start fails when the first event begins.
    const std::int32_t at = timeline.events().empty() ? -1 : std::max(passed->event, 0);
    if (std::ranges::find(told, at) != told.end()) continue;
    told.push_back(at);
    Breach breach;
    if (at >= 0) breach = breach_at(timeline.events()[static_cast<std::size_t>(at)]);
    breach.rank = rank;
    if (passed->buffer >= 0) {
      breach.buffer = lifecycle.buffers[static_cast<std::size_t>(passed->buffer)].name;
    }
    breach.symptom = Symptom::clean_error;
    breach.blame = std::move(passed->blame);
    report.add(std::move(breach));
  }
  // A law that fails at one event does not hold of the whole.
  if (told.empty()) report.looked_at("");
}

}  // namespace

extern const Law law_memory_fits;
const Law law_memory_fits{
    .name = "memory_fits",
    .defect_class = "C15",
    .subject = "lifecycle",
    .statement =
        "Weights, activations, KV cache, live buffers and captured graphs fit the budget at every "
        "event; graphs of one pool count once.",
    .formula = "weights + activations + kv + buffers + sum over pools of max(graphs) <= budget",
    .way_out = "capture fewer or smaller sizes, or lower the share of the KV cache",
    .check_plan = check};

}  // namespace capsize
