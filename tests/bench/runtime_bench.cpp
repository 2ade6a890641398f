// What the runtime adds to the arithmetic that it checks: a step on the reference backend beside a
// plain loop that does the same arithmetic and nothing else (no poison, no checks of any output, no
// guards, no oracle, no plan). Both run in turn, so that the ratio is of one machine in one state.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/executor.hpp"
#include "runtime/reference.hpp"
#include "sim/engines/sglang/layers.hpp"
#include "sim/lowering.hpp"

namespace capsize {
namespace {

constexpr std::int64_t kRanks = 8;

// The seed's model on 8 ranks, everything cut over tp: 27 layers, the first of them dense.
const SymbolicStep& seed_step() {
  static const SymbolicStep step = [] {
    const ModelShape* model = find_model("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct");
    sglang::StepInput in;
    in.communicator.sizes = {.tp = kRanks};
    in.topology = std::make_shared<const Topology>(sglang::topology_of(in.communicator.sizes));
    in.model = model;
    in.facts = sglang::facts_of(*model);
    return sglang::step_of("prefill", in);
  }();
  return step;
}

Lifecycle one_step(std::int64_t rows) {
  Lifecycle plan{.world = kRanks, .layers = seed_step().layers};
  StepLowering lowering(seed_step(), plan);
  PlanEvent event{.kind = PlanEventKind::eager, .path = "prefill", .tokens = rows};
  event.programs = lowering.programs_at(rows);
  for (Program& program : event.programs) {
    program.mode = GraphMode::eager;
    program.bucket = rows;
  }
  plan.events.push_back(std::move(event));
  return plan;
}

// The arithmetic alone, on all ranks one after the other.
class PlainLoop {
 public:
  PlainLoop(const ExactModel& model, ElementType type, std::int64_t rows)
      : weights_(model), type_(type), rows_(rows) {
    for (auto* tensors : {&hidden_, &residual_, &normed_, &parts_}) {
      for (std::int64_t rank = 0; rank < kRanks; ++rank) tensors->push_back(bytes());
    }
    std::vector<std::int32_t> row(static_cast<std::size_t>(model.hidden));
    for (std::int64_t at = 0; at < rows; ++at) {
      entry_row(model, static_cast<std::uint64_t>(at), 0, row);
      for (auto& each : hidden_) {
        for (std::size_t j = 0; j < row.size(); ++j) {
          store(type, matrix(each).row(at) + j * bytes_of(type), row[j]);
        }
      }
    }
    entry_ = hidden_.front();
  }

  void run() {
    for (std::size_t rank = 0; rank < kRanks; ++rank) {
      std::memcpy(hidden_[rank].data(), entry_.data(), entry_.size());
      std::memset(residual_[rank].data(), 0, residual_[rank].size());
    }
    const std::int64_t layers = weights_.model().layer_count();
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      const bool dense = weights_.model().kind_of(layer) == LayerMathematics::dense;
      block(Role::attention, layer);
      block(dense ? Role::mlp : Role::experts, layer);
    }
    for (std::size_t rank = 0; rank < kRanks; ++rank) {
      add(matrix(hidden_[rank]), matrix(residual_[rank]), matrix(parts_[rank]), true);
    }
    benchmark::ClobberMemory();
  }

 private:
  using Bytes = std::vector<std::byte>;
  [[nodiscard]] Bytes bytes() const {
    return Bytes(static_cast<std::size_t>(rows_ * weights_.model().hidden) * bytes_of(type_));
  }
  [[nodiscard]] Matrix matrix(Bytes& of) const {
    return {of.data(), rows_, weights_.model().hidden, type_};
  }

  // Addition, norm, one product on every rank, and the sum of the ranks' parts.
  void block(Role role, std::int64_t layer) {
    const ExactModel& model = weights_.model();
    for (std::int64_t rank = 0; rank < kRanks; ++rank) {
      const auto at = static_cast<std::size_t>(rank);
      add_norm(matrix(hidden_[at]), matrix(residual_[at]), matrix(normed_[at]),
               matrix(residual_[at]));
      const WeightShare share =
          role == Role::experts
              ? WeightShare{{0, model.expert_units}, share_of(model.experts, kRanks, rank)}
              : WeightShare{share_of(model.units, kRanks, rank), {0, model.experts}};
      weights_.apply(role, layer, share, matrix(normed_[at]), matrix(parts_[at]));
    }
    for (std::size_t rank = 1; rank < kRanks; ++rank) {
      sum_into(matrix(parts_[rank]), matrix(parts_[0]));
    }
    for (std::size_t rank = 0; rank < kRanks; ++rank) {
      std::memcpy(hidden_[rank].data(), parts_[0].data(), parts_[0].size());
    }
  }

  Weights weights_;
  ElementType type_;
  std::int64_t rows_;
  std::vector<Bytes> hidden_, residual_, normed_, parts_;
  Bytes entry_;
};

double seconds_of(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// What the runtime itself counts as the run of an event, and the whole of execute() around it.
void reference_and_plain_loop(benchmark::State& state) {
  const auto type = static_cast<ElementType>(state.range(0));
  const std::int64_t rows = state.range(1);
  const Lifecycle plan = one_step(rows);
  const RunOptions options{.type = type};
  RunContext context;
  ExactModel model{.layers = plan.layers, .hidden = options.hidden};
  model.seed = options.seed;
  PlainLoop plain(model, type, rows);
  double executed = 0;
  double whole = 0;
  double bare = 0;
  for (auto _ : state) {
    whole += seconds_of([&] {
      ReferenceBackend backend;
      const auto seen = execute(plan, options, backend, nullptr, &context);
      if (!seen || seen->first_failure() != nullptr) state.SkipWithError("the step failed");
      if (seen) executed += static_cast<double>(seen->events.front().nanoseconds) * 1e-9;
    });
    bare += seconds_of([&] { plain.run(); });
  }
  const auto turns = static_cast<double>(state.iterations());
  state.counters["ratio"] = executed / bare;
  state.counters["ratio_whole"] = whole / bare;
  state.counters["plain_ms"] = bare / turns * 1e3;
  state.counters["executed_ms"] = executed / turns * 1e3;
  state.SetLabel(std::string(name_of(type)) + ", " + std::to_string(rows) +
                 " rows, 8 ranks, 27 layers");
}
BENCHMARK(reference_and_plain_loop)
    ->Args({static_cast<std::int64_t>(ElementType::bf16), 256})
    ->Args({static_cast<std::int64_t>(ElementType::bf16), 2048})
    ->Args({static_cast<std::int64_t>(ElementType::fp32), 256})
    ->Args({static_cast<std::int64_t>(ElementType::uint32), 256})
    ->Args({static_cast<std::int64_t>(ElementType::uint32), 2048})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace capsize
