// What a check costs inside the process, as a whole and by parts. A whole check goes from words to
// verdict; nothing is rendered. The parts are those of the seed's line, in the order in which they
// run; the repairs' share is check/broken against check/broken_no_repairs of the same run.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "properties/law.hpp"
#include "scenarios/check/check.hpp"
#include "scenarios/formats/batch.hpp"
#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/model_protocol.hpp"
#include "sim/engines/sglang/flags/flags.hpp"
#include "sim/engines/sglang/layers.hpp"
#include "sim/engines/sglang/predicates.hpp"

namespace capsize {
namespace {

using Words = std::vector<std::string>;

constexpr std::string_view kSeedText =
    "python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct "
    "--trust-remote-code --tp 8 --moe-dense-tp-size 1";
constexpr std::string_view kFlagsOnly =
    "--model-path deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct --tp 8";
constexpr std::string_view kManyFlags =
    "python -m sglang.launch_server --model-path deepseek-ai/DeepSeek-V3 --trust-remote-code "
    "--tp 16 --dp-size 4 --enable-dp-attention --enable-dp-lm-head --ep-size 16 --nnodes 2 "
    "--node-rank 0 --dist-init-addr 10.0.0.1:5000 --host 0.0.0.0 --port 30000 "
    "--mem-fraction-static 0.85 --chunked-prefill-size 16384 --max-running-requests 512 "
    "--context-length 65536 --cuda-graph-max-bs 128 --moe-dense-tp-size 1 "
    "--attention-backend flashinfer --kv-cache-dtype fp8_e5m2 --schedule-policy lpm "
    "--watchdog-timeout 3600 --log-requests --enable-metrics --disable-radix-cache "
    "--stream-interval 4 --random-seed 1";

Words words_of(std::string_view text) {
  Words words;
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return words;
}

const Engine& the_engine() { return *find_engine("sglang"); }

CheckRequest request_of(const Words& words, std::string_view rules) {
  CheckRequest request;
  request.rules = rules;
  request.launch = read_launch_words(words, the_engine().entry_points).value();
  return request;
}

LaunchRequest launch_of(const CheckRequest& request) {
  return {.words = request.launch.args,
          .environment = request.launch.environment,
          .rules = request.rules,
          .gpu = {"H100", 81559, 90},
          .find_model = [](std::string_view name) {
            return ModelChoice{find_model(name), false};
          }};
}

// A benchmark that measures another line than its name says is worse than none.
void expect(bool holds, const char* what) {
  if (holds) return;
  std::fputs(what, stderr);
  std::abort();
}

// ---- whole checks -----------------------------------------------------------------------------

void whole_check(benchmark::State& state, std::string_view text, std::string_view rules,
                 bool try_repairs, Verdict verdict) {
  const Words words = words_of(text);
  while (state.KeepRunning()) {
    CheckRequest request = request_of(words, rules);
    request.try_repairs = try_repairs;
    const CheckResult result = check(request);
    expect(result.verdict == verdict, "the line has another verdict than the benchmark says\n");
    benchmark::DoNotOptimize(&result);
  }
}
BENCHMARK_CAPTURE(whole_check, passes, kSeedText, "23972", true, Verdict::pass);
BENCHMARK_CAPTURE(whole_check, broken, kSeedText, "pre-23972", true, Verdict::violation);
BENCHMARK_CAPTURE(whole_check, broken_no_repairs, kSeedText, "pre-23972", false,
                  Verdict::violation);
BENCHMARK_CAPTURE(whole_check, dp_attention_26_flags, kManyFlags, "23972", true, Verdict::pass);
BENCHMARK_CAPTURE(whole_check, flags_only, kFlagsOnly, "23972", true, Verdict::pass);

// ---- parts of the seed's check ----------------------------------------------------------------

void part_read_words(benchmark::State& state) {
  const Words words = words_of(kSeedText);
  while (state.KeepRunning()) {
    auto command = read_launch_words(words, the_engine().entry_points);
    benchmark::DoNotOptimize(command);
  }
}
BENCHMARK(part_read_words);

void part_read_text(benchmark::State& state) {
  while (state.KeepRunning()) {
    auto command = read_launch(kSeedText, the_engine().entry_points);
    benchmark::DoNotOptimize(command);
  }
}
BENCHMARK(part_read_text);

void part_parse(benchmark::State& state) {
  const CheckRequest request = request_of(words_of(kSeedText), "23972");
  while (state.KeepRunning()) {
    auto flags = sglang::parse(request.launch.args, "0.5.11", EntryKind::server, nullptr);
    expect(flags.has_value(), "the seed's line does not parse\n");
    benchmark::DoNotOptimize(flags);
  }
}
BENCHMARK(part_parse);

sglang::StepInput seed_step(const ModelShape& model) {
  sglang::StepInput in{.communicator = {.sizes = {.tp = 8}, .dense_fully_dp = true},
                       .model = &model,
                       .facts = sglang::facts_of(model)};
  in.topology = std::make_shared<const Topology>(sglang::topology_of(in.communicator.sizes));
  return in;
}

void part_topology(benchmark::State& state) {
  while (state.KeepRunning()) {
    auto topology = sglang::topology_of({.tp = 8});
    benchmark::DoNotOptimize(topology);
  }
}
BENCHMARK(part_topology);

void part_step(benchmark::State& state) {
  const ModelShape* model = find_model("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct");
  const sglang::StepInput in = seed_step(*model);
  while (state.KeepRunning()) {
    auto step = sglang::step_of("prefill", in);
    benchmark::DoNotOptimize(step);
  }
}
BENCHMARK(part_step);

// Its own cost is the difference to part_step: deriving changes the step.
void part_step_and_derive(benchmark::State& state) {
  const ModelShape* model = find_model("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct");
  const sglang::StepInput in = seed_step(*model);
  while (state.KeepRunning()) {
    auto step = sglang::step_of("prefill", in);
    auto requirement = derive(step, 4096);
    expect(requirement.usable.modulus() == 8, "the seed's step needs multiples of 8\n");
    benchmark::DoNotOptimize(requirement);
  }
}
BENCHMARK(part_step_and_derive);

void part_plan(benchmark::State& state) {
  const CheckRequest request = request_of(words_of(kSeedText), "23972");
  const LaunchRequest launch = launch_of(request);
  while (state.KeepRunning()) {
    auto plan = the_engine().plan(launch);
    expect(plan.has_value() && !plan->refusal, "the seed's line has no plan\n");
    benchmark::DoNotOptimize(plan);
  }
}
BENCHMARK(part_plan);

void part_judge(benchmark::State& state) {
  const CheckRequest request = request_of(words_of(kSeedText), "23972");
  const EnginePlan plan = the_engine().plan(launch_of(request)).value();
  while (state.KeepRunning()) {
    auto findings = judge({.captures = plan.captures, .start_up = plan.start_up});
    benchmark::DoNotOptimize(findings);
  }
}
BENCHMARK(part_judge);

void part_one_law(benchmark::State& state, const Law* law) {
  const CheckRequest request = request_of(words_of(kSeedText), "23972");
  const EnginePlan plan = the_engine().plan(launch_of(request)).value();
  while (state.KeepRunning()) {
    auto findings = judge(*law, {.captures = plan.captures, .start_up = plan.start_up});
    benchmark::DoNotOptimize(findings);
  }
}
[[maybe_unused]] const bool kEachLaw = [] {
  for (const Law* law : laws()) {
    benchmark::RegisterBenchmark(("part_judge/" + std::string(law->name)).c_str(), part_one_law,
                                 law);
  }
  return true;
}();

// ---- documents --------------------------------------------------------------------------------

void write_json(benchmark::State& state, std::string_view rules) {
  const CheckResult result = check(request_of(words_of(kSeedText), rules));
  std::size_t bytes = 0;
  while (state.KeepRunning()) {
    const std::string json = to_json(result);
    bytes += json.size();
    benchmark::DoNotOptimize(json.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK_CAPTURE(write_json, passes, "23972");
BENCHMARK_CAPTURE(write_json, broken, "pre-23972");

void batch_line(benchmark::State& state, std::string_view rules, Verdict verdict) {
  std::string line = R"({"id":"a1","engine":"sglang","rules":")" + std::string(rules) +
                     R"(","gpu":"H100","launch":[)";
  for (const std::string& word : words_of(kSeedText)) {
    line.append(line.back() == '[' ? "\"" : ",\"").append(word).append("\"");
  }
  line += "]}";
  while (state.KeepRunning()) {
    const BatchAnswer answer = answer_batch_line(line, {});
    expect(answer.verdict == verdict, "the batch line has another verdict\n");
    benchmark::DoNotOptimize(answer.json.data());
  }
}
BENCHMARK_CAPTURE(batch_line, passes, "23972", Verdict::pass);
BENCHMARK_CAPTURE(batch_line, broken, "pre-23972", Verdict::violation);

void model_line(benchmark::State& state) {
  const ModelProtocol protocol = ModelProtocol::of("sglang", "23972").value();
  constexpr std::string_view kRequest =
      R"({"id":1,"fn":"prefill_filter","sizes":[4,8],"attn_tp":8,"attn_cp":1,"gathered":true})";
  while (state.KeepRunning()) {
    const ModelAnswer answer = protocol.answer(kRequest);
    expect(!answer.bad_request, "the model protocol does not take the request\n");
    benchmark::DoNotOptimize(answer.json.data());
  }
}
BENCHMARK(model_line);

}  // namespace
}  // namespace capsize
