// What lifecycles cost: built from a step, judged by all laws, written and read. The large one is
// a start-up at 1024 ranks and 61 layers; the small one the plan of eight ranks that
// scenarios/README.md begins with. Counters give events, operations and the size of the file.
#include <benchmark/benchmark.h>

#include <fstream>
#include <sstream>
#include <string>

#include "properties/law.hpp"
#include "scenarios/formats/plan.hpp"
#include "sim/engines/sglang/layers.hpp"
#include "sim/lowering.hpp"

namespace capsize {
namespace {

// DeepSeek-V3 decoding on 1024 ranks: attention data parallel over 128 groups of 8 ranks.
constexpr std::int64_t kRanks = 1024;

std::shared_ptr<const DerivedStep> large_step() {
  static const ModelShape* model = find_model("deepseek-ai/DeepSeek-V3");
  sglang::StepInput in;
  in.communicator.sizes = {.tp = kRanks, .attn_dp = 128, .ep = kRanks};
  in.communicator.a2a = true;
  in.communicator.dense_fully_dp = true;
  in.topology = std::make_shared<const Topology>(sglang::topology_of(in.communicator.sizes));
  in.model = model;
  in.facts = sglang::facts_of(*model);
  auto step = std::make_shared<DerivedStep>();
  step->plan = sglang::step_of("decode", in);
  step->requirement = derive(step->plan, 1024);
  return step;
}

struct Server {
  Deployment deployment;
  CapturePlan captures;
  StartUp start_up;
};

// 52 sizes from 8 to 416, captured from the largest down after one warm-up.
Server large_server() {
  Server server;
  const auto step = large_step();
  server.deployment = {.engine = "sglang", .topology = step->plan.topology};
  CapturePath path{.name = "decode", .unit = Unit::requests, .enabled = true};
  path.step = step;
  for (std::int64_t size = 8; size <= 416; size += 8) path.kept.push_back(size);
  server.start_up.events.push_back({StartUpKind::warm_up, 0, false, path.kept.front()});
  for (auto size = path.kept.rbegin(); size != path.kept.rend(); ++size) {
    server.start_up.events.push_back({StartUpKind::capture, 0, true, *size});
  }
  server.captures.paths.push_back(std::move(path));
  return server;
}

std::int64_t ops_of(const Lifecycle& plan) {
  std::int64_t count = 0;
  for (const PlanEvent& event : plan.events) {
    for (const Program& program : event.programs) count += std::ssize(program.ops);
  }
  return count;
}

bool holds(const Lifecycle& plan) {
  for (const Finding& finding : judge_plan(Timeline(plan))) {
    if (finding.verdict == LawVerdict::violation) return false;
  }
  return true;
}

void built_and_judged(benchmark::State& state) {
  const Server server = large_server();
  for (auto _ : state) {
    const Lifecycle plan = lower(server.deployment, server.captures, server.start_up);
    if (!holds(plan)) state.SkipWithError("the plan is sound");
  }
  const Lifecycle plan = lower(server.deployment, server.captures, server.start_up);
  state.counters["events"] = static_cast<double>(plan.events.size());
  state.counters["ops"] = static_cast<double>(ops_of(plan));
  state.counters["file_bytes"] = static_cast<double>(write_plan(plan).size());
}
BENCHMARK(built_and_judged)
    ->Name("plan/1024_ranks/built_and_judged")
    ->Unit(benchmark::kMillisecond);

void judged(benchmark::State& state) {
  const Server server = large_server();
  const Lifecycle plan = lower(server.deployment, server.captures, server.start_up);
  for (auto _ : state) {
    if (!holds(plan)) state.SkipWithError("the plan is sound");
  }
}
BENCHMARK(judged)->Name("plan/1024_ranks/judged")->Unit(benchmark::kMillisecond);

void written_and_read(benchmark::State& state) {
  const Server server = large_server();
  const Lifecycle plan = lower(server.deployment, server.captures, server.start_up);
  for (auto _ : state) {
    if (!read_plan(write_plan(plan))) state.SkipWithError("what was written reads");
  }
}
BENCHMARK(written_and_read)
    ->Name("plan/1024_ranks/written_and_read")
    ->Unit(benchmark::kMillisecond);

std::string example_text() {
  std::ifstream in(std::string(CAPSIZE_SOURCE_DIR) + "/scenarios/plans/eight-ranks.json");
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

void small_judged(benchmark::State& state) {
  const auto plan = read_plan(example_text());
  if (!plan) return state.SkipWithError("the example reads");
  for (auto _ : state) {
    if (!holds(*plan)) state.SkipWithError("the example is sound");
  }
}
BENCHMARK(small_judged)->Name("plan/8_ranks/judged")->Unit(benchmark::kMicrosecond);

void small_read(benchmark::State& state) {
  const std::string text = example_text();
  for (auto _ : state) benchmark::DoNotOptimize(read_plan(text));
}
BENCHMARK(small_read)->Name("plan/8_ranks/read")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace capsize
