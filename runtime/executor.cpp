#include "runtime/executor.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "runtime/binding.hpp"
#include "runtime/comparison.hpp"
#include "runtime/input_rows.hpp"
#include "runtime/lanes.hpp"
#include "runtime/placement.hpp"
#include "runtime/run_context.hpp"
#include "sim/timeline.hpp"

namespace capsize {
namespace {

// Columns of a plan without mathematics; its rows only have to differ.
constexpr std::int64_t kPlainColumns = 2;

// The first event's batch, and two more that replays take in turn.
constexpr std::uint64_t kReplayBatches = 2;

using BodyKey = std::pair<std::int32_t, std::size_t>;  // event, place in its runnings

class Executor {
 public:
  Executor(const Lifecycle& lifecycle, const RunOptions& options, Backend& backend,
           Watcher* watcher, RunContext& context)
      : lifecycle_(lifecycle),
        options_(options),
        backend_(backend),
        watcher_(watcher),
        context_(context),
        timeline_(lifecycle),
        ranks_(backend.ranks(lifecycle.world)) {}

  Result<Observation> run() {
    if (auto ready = prepare(); !ready) return tl::unexpected(std::move(ready.error()));
    Observation out{.backend = std::string(backend_.name()),
                    .world = lifecycle_.world,
                    .ranks = ranks_,
                    .mathematics = data_ != nullptr};
    observation_ = &out;
    for (const EventRun& event : timeline_.events()) {
      if (around_) around_->begin(event);
      if (watcher_ != nullptr) watcher_->begin_event(event.index, *event.event);
      auto seen = run_event(event);
      if (!seen) return tl::unexpected(std::move(seen.error()));
      if (watcher_ != nullptr) watcher_->end_event(*seen);
      out.events.push_back(*std::move(seen));
    }
    return out;
  }

 private:
  // What stands in a capture: the instructions of one rank with their addresses.
  using Graph = std::vector<Bound>;

  // One rank in one event.
  struct Task {
    std::size_t rank = 0;  // place in ranks_
    const Running* running = nullptr;
    const Body* body = nullptr;
    Placement placement;
  };

  Result<void> prepare() {
    if (!lifecycle_.layers.empty()) {
      ExactModel model{.layers = lifecycle_.layers, .hidden = options_.hidden};
      model.experts = lifecycle_.world <= 8 ? 8 : 64;
      model.seed = options_.seed;
      data_ = &context_.model(model, options_.type);
    }
    if (data_ == nullptr) around_.emplace(timeline_, ranks_);
    if (auto made = make_bodies(); !made) return made;
    const std::int64_t columns = data_ == nullptr ? kPlainColumns : options_.hidden;
    const ElementType type = data_ == nullptr ? ElementType::uint32 : options_.type;
    const std::int64_t row = columns * static_cast<std::int64_t>(bytes_of(type));
    const std::int64_t rank_bytes = align_up(sizes_.rows() * row, 64);
    if (auto taken = take_memory(rank_bytes, columns, type); !taken) return taken;
    sequences_.assign(static_cast<std::size_t>(lifecycle_.world),
                      std::vector<std::int64_t>(lifecycle_.families.size(), 0));
    graphs_.resize(ranks_.size());
    return backend_.begin(lifecycle_);
  }

  Result<void> take_memory(std::int64_t rank_bytes, std::int64_t columns, ElementType type) {
    RowSpace& space = backend_.rows();
    if (rank_bytes > space.memory_max() / lifecycle_.world) {
      return tl::unexpected(
          Error{"plan",
                "each of its " + std::to_string(lifecycle_.world) + " ranks needs " +
                    std::to_string(rank_bytes >> 20) + " MiB for its tensors, and a run takes " +
                    std::to_string(space.memory_max() >> 20) + " MiB for all of them",
                "leave large sizes out (--rows-max 1024) or take fewer elements "
                "a row (--hidden)"});
    }
    const auto each = static_cast<std::size_t>(rank_bytes);
    const auto all = space.memory(each * ranks_.size(), data_ == nullptr);
    if (!all) return tl::unexpected(all.error());
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      memory_.emplace_back(all->subspan(i * each, each), sizes_, columns, type);
      memory_.back().set_guards(space);
    }
    return {};
  }

  Result<void> make_bodies() {
    BodyRules rules{.mathematics = data_ != nullptr, .unguarded = options_.unguarded};
    for (const ModelLayers& each : lifecycle_.layers) rules.layers += each.count;
    for (const EventRun& event : timeline_.events()) {
      for (std::size_t i = 0; i < event.runnings.size(); ++i) {
        if (std::ranges::none_of(ranks_, [&](std::int64_t rank) {
              return event.runnings[i].ranks.contains(rank);
            })) {
          continue;
        }
        auto body = body_of(event.runnings[i], rules);
        if (!body) {
          return tl::unexpected(
              std::move(body.error()).within("events[" + std::to_string(event.index) + "]"));
        }
        sizes_.cover(*body);
        bodies_.emplace(BodyKey{event.index, i}, *std::move(body));
      }
    }
    return {};
  }

  // ---- one event ------------------------------------------------------------------------------

  Result<EventObservation> run_event(const EventRun& event) {
    EventObservation seen{.event = event.index,
                          .kind = event.event->kind,
                          .path = event.event->path,
                          .tokens = event.tokens};
    std::vector<Task> tasks = tasks_of(event, seen);
    // What one rank cannot replay no rank does: all of them know which captures have failed.
    seen.skipped = std::ranges::any_of(event.runnings, [&](const Running& running) {
      return running.graph != nullptr && failed_captures_.contains(running.capture_event);
    });
    if (seen.skipped || event.runnings.empty()) return seen;
    std::vector<Lane> lanes;
    std::vector<Lane> eager;
    auto captured = run_tasks(event, tasks, lanes, eager, seen);
    if (!captured) return tl::unexpected(std::move(captured.error()));
    if (event.event->kind == PlanEventKind::capture) {
      *captured ? keep_graphs(event, tasks, lanes) : (void)failed_captures_.insert(event.index);
    }
    // Their memory serves the next event.
    for (std::vector<Lane>* each : {&lanes, &eager}) {
      for (Lane& lane : *each) spare_.push_back(std::move(lane.bound));
    }
    return seen;
  }

  std::vector<Task> tasks_of(const EventRun& event, EventObservation& seen) {
    std::vector<Task> out;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      for (std::size_t i = 0; i < event.runnings.size(); ++i) {
        const Running& running = event.runnings[i];
        if (!running.ranks.contains(ranks_[r])) continue;
        const Body& body = bodies_.at({event.index, i});
        const Program& sized = running.graph == nullptr ? *running.program : *running.graph;
        seen.bucket = std::max(seen.bucket, bucket_of(sized).value_or(0));
        out.push_back({r, &running, &body, placement_of(timeline_, event, running, ranks_[r])});
      }
    }
    return out;
  }

  // Whether no rank has a padding row, which all ranks must see alike.
  static bool is_whole(const EventRun& event) {
    return std::ranges::all_of(event.runnings, [](const Running& running) {
      const auto size = bucket_of(running.graph == nullptr ? *running.program : *running.graph);
      return !running.program->tokens || !size || *running.program->tokens >= *size;
    });
  }

  // All ranks of the plan come through here in step, whatever each of them saw: a rank that leaves
  // out a run would keep its peers waiting.
  // The answer is whether everybody came through.
  Result<bool> run_tasks(const EventRun& event, const std::vector<Task>& tasks,
                         std::vector<Lane>& lanes, std::vector<Lane>& eager,
                         EventObservation& seen) {
    const bool whole = is_whole(event);
    LaneRules rules = rules_of(event, tasks);
    batch_ = next_batch(event);
    if (auto filled = fill_inputs(event, tasks, seen); !filled) {
      return tl::unexpected(std::move(filled.error()));
    }
    lanes = lanes_of(event, tasks, false, seen);
    if (around_) around_->begin_run(false);
    const auto begin = std::chrono::steady_clock::now();
    if (!rules.looks) fill_pools(tasks);
    auto failed = run_lanes(lanes, rules, seen);
    const auto spent = std::chrono::steady_clock::now() - begin;
    seen.nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count();
    if (!failed) return tl::unexpected(std::move(failed.error()));
    if (*failed) return false;
    check_claims(lanes, seen);
    if (launches_graphs(event)) {
      eager = lanes_of(event, tasks, true, seen);
      if (around_) around_->begin_run(true);
      rules.looks = true;
      rules.start = {.event = event.index, .stepwise = data_ == nullptr};
      failed = run_lanes(eager, rules, seen);
      if (!failed) return tl::unexpected(std::move(failed.error()));
      if (*failed) return false;
    }
    check_reads(lanes, seen);
    auto compared = compare_outputs(tasks, lanes, eager, seen);
    if (compared) compared = check_static_guards(tasks, seen);
    if (!compared) return tl::unexpected(std::move(compared.error()));
    auto wrong = backend_.end_event(seen.symptom != Symptom::none);
    if (!wrong) return tl::unexpected(std::move(wrong.error()));
    if (*wrong && whole && data_ != nullptr) {
      if (auto found = find_first_wrong(event, tasks, seen); !found) {
        return tl::unexpected(std::move(found.error()));
      }
    }
    return true;
  }

  // A replay repeats what its capture ran and what the eager run of the same rows, in the same
  // event, is looked at for: its memory holds the fill before, and what it leaves is compared. A
  // look between its operations is more than a graph of a device allows.
  [[nodiscard]] LaneRules rules_of(const EventRun& event, const std::vector<Task>& tasks) {
    LaneRules rules{.start = {.event = event.index, .stepwise = data_ == nullptr},
                    .exact = is_whole(event) && data_ != nullptr,
                    .around = around_ ? &*around_ : nullptr};
    if (event.event->kind == PlanEventKind::capture) rules.start.mode = LaunchMode::capture;
    if (event.event->kind != PlanEventKind::replay) return rules;
    rules.start.mode = LaunchMode::replay;
    rules.start.graph = graph_of_all(tasks);
    rules.looks =
        std::ranges::any_of(tasks, [](const Task& each) { return each.running->graph == nullptr; });
    return rules;
  }

  // The one capture that all operations of all ranks come from.
  static std::optional<std::int32_t> graph_of_all(const std::vector<Task>& tasks) {
    std::optional<std::int32_t> out;
    for (const Task& task : tasks) {
      const bool whole = task.running->graph != nullptr &&
                         std::ranges::all_of(task.body->instructions, &Instruction::from_graph);
      if (!whole || out.value_or(task.running->capture_event) != task.running->capture_event) {
        return std::nullopt;
      }
      out = task.running->capture_event;
    }
    return out;
  }

  void fill_pools(const std::vector<Task>& tasks) {
    for (const Task& task : tasks) {
      const RankMemory& memory = memory_[task.rank];
      const Matrix pool = memory.pool(*task.body, RankMemory::Pool::graph);
      const Operand output{Operand::Where::output, 0, task.body->output_rows};
      backend_.rows().fill(pool, unwritten_bits(pool.type));
      backend_.rows().fill(memory.at(output, *task.body, RankMemory::Pool::graph),
                           unwritten_bits(pool.type));
    }
  }

  // Runs the same once more and looks for the operation behind which rows are wrong.
  Result<void> find_first_wrong(const EventRun& event, const std::vector<Task>& tasks,
                                EventObservation& seen) {
    Stages stages(*data_);
    std::set<std::int64_t> coordinates;
    std::int64_t rows = 0;
    for (const Running& running : event.runnings) {
      running.ranks.for_each([&](std::int64_t rank) {
        const Placement at = placement_of(timeline_, event, running, rank);
        coordinates.insert(at.coordinate);
        rows = std::max(rows, at.first + at.real);
      });
    }
    for (const std::int64_t each : coordinates) stages.add(each, batch_, rows);
    EventObservation again{.event = event.index};
    std::vector<Lane> lanes = lanes_of(event, tasks, false, again);
    auto failed = run_lanes(
        lanes, {.start = {.event = event.index, .stepwise = true}, .stages = &stages}, again);
    if (!failed) return tl::unexpected(std::move(failed.error()));
    if (seen.symptom == Symptom::silent_corruption && again.place && again.place->op >= 0) {
      seen.place = again.place;
      seen.text += "; behind " + again.place->kind + ", " + again.text;
    }
    return {};
  }

  std::vector<Lane> lanes_of(const EventRun& event, const std::vector<Task>& tasks, bool eager,
                             EventObservation& seen) {
    std::vector<Lane> out;
    for (const Task& task : tasks) {
      if (task.running->graph_missing && !eager) {
        tell_missing_graph(task, seen);
        return {};
      }
      out.push_back(lane_of(event, task, eager));
    }
    return out;
  }

  static bool launches_graphs(const EventRun& event) {
    return event.event->kind == PlanEventKind::capture ||
           event.event->kind == PlanEventKind::replay;
  }

  // Whether a run failed on any rank, in this process or another.
  Result<bool> run_lanes(std::vector<Lane>& lanes, const LaneRules& rules, EventObservation& seen) {
    if (!lanes.empty()) {
      LaneRun run(lifecycle_, backend_, data_ == nullptr ? nullptr : &data_->weights(), watcher_,
                  sequences_);
      if (auto ran = run.run(lanes, rules, seen); !ran) {
        return tl::unexpected(std::move(ran.error()));
      }
    }
    if (watcher_ != nullptr) watcher_->before_agreement(seen);
    return backend_.end_event(seen.symptom != Symptom::none);
  }

  // ---- lanes and graphs -----------------------------------------------------------------------

  // `eager`: every instruction is bound anew in the eager pool. Else a capture binds in the graphs'
  // pool, and a replay takes what its capture has kept.
  Lane lane_of(const EventRun& event, const Task& task, bool eager) {
    const RankMemory& memory = memory_[task.rank];
    Lane lane{
        .rank = ranks_[task.rank], .running = task.running, .body = task.body, .memory = &memory};
    const bool capture = event.event->kind == PlanEventKind::capture && !eager;
    const bool replay = task.running->graph != nullptr && !eager;
    lane.mode = capture ? LaunchMode::capture : replay ? LaunchMode::replay : LaunchMode::eager;
    const Graph* kept = replay ? &graphs_[task.rank].at(task.running->capture_event) : nullptr;
    const BindingRequest request{lifecycle_,
                                 *task.running,
                                 *task.body,
                                 data_ == nullptr ? nullptr : &data_->weights().model(),
                                 lane.rank,
                                 options_.unguarded,
                                 options_.unguarded && options_.fault == RunFault::floor_counts};
    if (!spare_.empty()) {
      lane.bound = std::move(spare_.back());
      spare_.pop_back();
      lane.bound.clear();
    }
    lane.bound.reserve(task.body->instructions.size());
    std::size_t next = 0;
    for (const Instruction& each : task.body->instructions) {
      if (kept != nullptr && each.from_graph && next < kept->size()) {
        lane.bound.push_back((*kept)[next++]);
        lane.bound.back().what = &each;
        if (each.captured) lane.bound.back().arrival.checked = false;
        continue;
      }
      lane.bound.push_back(
          bind(request, each, memory, capture ? RankMemory::Pool::graph : RankMemory::Pool::eager));
    }
    return lane;
  }

  void keep_graphs(const EventRun& event, const std::vector<Task>& tasks,
                   std::vector<Lane>& lanes) {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (tasks[i].running->mode == GraphMode::eager) continue;
      Graph& graph = graphs_[tasks[i].rank][event.index];
      graph = std::move(lanes[i].bound);
      // What runs between the pieces of a piecewise graph lives on its memory.
      if (tasks[i].running->mode == GraphMode::piecewise) continue;
      std::erase_if(graph, [](const Bound& each) { return !each.what->captured; });
    }
  }

  void tell_missing_graph(const Task& task, EventObservation& seen) const {
    // Whoever looks a graph up and finds none runs without it.
    seen.symptom = Symptom::silent_eager;
    seen.place = OpPlace{.rank = ranks_[task.rank], .kind = "replay"};
    seen.text = "no graph was captured under the key " +
                (task.running->program->key ? text_of(*task.running->program->key) : "{}");
  }

  // ---- inputs ---------------------------------------------------------------------------------

  // Start-up events share one batch; replays take two others in turn, so that what a graph has
  // kept of an earlier one is seen.
  [[nodiscard]] std::uint64_t next_batch(const EventRun& event) {
    if (event.event->kind != PlanEventKind::replay || event.runnings.empty()) return 0;
    return 1 + replays_[event.runnings.front().capture_event]++ % kReplayBatches;
  }

  Result<void> fill_inputs(const EventRun& event, const std::vector<Task>& tasks,
                           EventObservation& seen) {
    InputRows inputs(backend_, data_, batch_, event.index);
    for (const Task& task : tasks) {
      for (std::size_t i = 0; i < task.body->input_rows.size(); ++i) {
        const Operand operand{Operand::Where::input, static_cast<std::int64_t>(i),
                              task.body->input_rows[i]};
        const Matrix input = memory_[task.rank].at(operand, *task.body, RankMemory::Pool::eager);
        if (data_ == nullptr) {
          fill_plain(task, i, input);
        } else if (auto entered = inputs.enter(ranks_[task.rank], task.placement, input);
                   !entered) {
          return entered;
        }
      }
    }
    return inputs.check(seen);
  }

  void fill_plain(const Task& task, std::size_t input, const Matrix& rows) const {
    const std::uint64_t salt = (options_.seed << 40U) ^ (batch_ << 32U) ^
                               around_->coordinate(ranks_[task.rank], task.body->readers[input]) ^
                               input;
    const LocalCall call{.salt = salt * 0x9e3779b97f4a7c15ULL, .out = std::span(&rows, 1)};
    backend_.compute(nullptr, call);
  }

  // ---- comparisons ----------------------------------------------------------------------------

  Result<void> compare_outputs(const std::vector<Task>& tasks, const std::vector<Lane>& lanes,
                               const std::vector<Lane>& eager, EventObservation& seen) {
    Comparisons comparisons(backend_.rows());
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (!tasks[i].body->ends_model) continue;
      const Placement& at = tasks[i].placement;
      if (data_ != nullptr) {
        auto asked = comparisons.with_oracle(*data_, batch_, lanes[i], at, *observation_, seen);
        if (!asked) return asked;
      }
      if (eager.empty()) continue;
      const std::int64_t rows = data_ == nullptr ? output_of(lanes[i]).rows : at.real;
      comparisons.with_eager(lanes[i], eager[i], rows);
    }
    return comparisons.tell(seen);
  }

  // In a plan without mathematics: ranks that must hold the same rows, and buffers that a graph
  // reads.
  void check_claims(const std::vector<Lane>& lanes, EventObservation& seen) {
    if (!around_) return;
    if (const auto broken = around_->claims().first_broken(ranks_)) {
      tell_at(lanes, Check::replicas, broken->rank, broken->instruction, broken->text, seen);
    }
  }

  void check_reads(const std::vector<Lane>& lanes, EventObservation& seen) {
    if (!around_) return;
    if (const auto stale = around_->first_stale()) {
      tell_at(lanes, Check::eager, stale->rank, stale->instruction, stale->text, seen);
    }
  }

  void tell_at(const std::vector<Lane>& lanes, Check check, std::int64_t rank,
               std::size_t instruction, const std::string& text, EventObservation& seen) {
    const auto lane = std::ranges::find(lanes, rank, &Lane::rank);
    const OpPlace place = place_of(lifecycle_, rank, lane->body->instructions[instruction]);
    Mismatch mismatch;
    mismatch.check = check;
    mismatch.place = place;
    mismatch.mode = name_of(lane->mode);
    mismatch.found = text;
    tell_wrong(seen, std::move(mismatch), text);
  }

  Result<void> check_static_guards(const std::vector<Task>& tasks, EventObservation& seen) {
    RowSpace& space = backend_.rows();
    for (const Task& task : tasks) {
      for (const Matrix& each : memory_[task.rank].guards()) space.ask_touched(each);
    }
    const auto answers = space.answers();
    if (!answers) return tl::unexpected(answers.error());
    const std::size_t each = RankMemory::kGuards;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const auto of_rank = std::span(*answers).subspan(i * each, each);
      if (std::ranges::all_of(of_rank, [](const auto& answer) { return answer.count == 0; })) {
        continue;
      }
      Mismatch mismatch;
      mismatch.check = Check::guards;
      mismatch.place = {.rank = ranks_[tasks[i].rank], .kind = "output"};
      tell_wrong(seen, std::move(mismatch), "something wrote outside of the inputs and outputs");
      memory_[tasks[i].rank].set_guards(space);
    }
    return {};
  }

  const Lifecycle& lifecycle_;
  const RunOptions& options_;
  Backend& backend_;
  Watcher* watcher_;
  RunContext& context_;
  Timeline timeline_;
  std::vector<std::int64_t> ranks_;     // of this process
  ModelData* data_ = nullptr;           // none: the plan has no mathematics
  std::optional<Surroundings> around_;  // of a plan without mathematics
  std::map<BodyKey, Body> bodies_;
  RankMemory::Sizes sizes_;
  std::vector<RankMemory> memory_;                     // by place in ranks_
  std::vector<std::map<std::int32_t, Graph>> graphs_;  // likewise; by capture event
  std::vector<std::vector<std::int64_t>> sequences_;
  std::set<std::int32_t> failed_captures_;  // events
  std::vector<std::vector<Bound>> spare_;
  std::map<std::int32_t, std::uint64_t> replays_;  // of each capture event, so far
  std::uint64_t batch_ = 0;                        // of the event that runs
  Observation* observation_ = nullptr;
};

}  // namespace

Result<Observation> execute(const Lifecycle& lifecycle, const RunOptions& options, Backend& backend,
                            Watcher* watcher, RunContext* context) {
  RunContext own;
  return Executor(lifecycle, options, backend, watcher, context == nullptr ? own : *context).run();
}

}  // namespace capsize
