// What the program costs as a process: start to exit of one check, and a batch of 10 000 different
// lines. Time is wall clock; the peak of memory is the child's own, as the kernel counted it.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace {

struct Cost {
  double seconds = 0;
  double peak_mib = 0;
  int status = -1;  // the exit status; -1 where the child did not exit by itself
};

// Starts the program on an open input, its output thrown away, and waits for its end.
Cost run(std::vector<std::string> arguments, int input) {
  arguments.insert(arguments.begin(), CAPSIZE_PROGRAM);
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (input >= 0) posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);

  const auto start = std::chrono::steady_clock::now();
  pid_t child = 0;
  int status = 0;
  rusage usage{};
  const int error =
      posix_spawn(&child, CAPSIZE_PROGRAM, &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0 || wait4(child, &status, 0, &usage) != child) return {};
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  return {.seconds = passed.count(),
          .peak_mib = static_cast<double>(usage.ru_maxrss) / 1024,
          .status = WIFEXITED(status) ? WEXITSTATUS(status) : -1};
}

// Measures runs that must all end with `status`.
void measure(benchmark::State& state, const std::vector<std::string>& arguments, int input,
             int status) {
  double peak = 0;
  while (state.KeepRunning()) {
    if (input >= 0) lseek(input, 0, SEEK_SET);
    const Cost cost = run(arguments, input);
    if (cost.status != status) return state.SkipWithError("another exit status than expected");
    state.SetIterationTime(cost.seconds);
    peak = std::max(peak, cost.peak_mib);
  }
  state.counters["peak_MiB"] = peak;
}

void start_to_exit(benchmark::State& state, const std::vector<std::string>& arguments, int status) {
  measure(state, arguments, -1, status);
}
BENCHMARK_CAPTURE(start_to_exit, version, {"--version"}, 0)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(start_to_exit, check,
                  {"check", "--rules", "23972", "--", "python", "-m", "sglang.launch_server",
                   "--model-path", "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct",
                   "--trust-remote-code", "--tp", "8", "--moe-dense-tp-size", "1"},
                  0)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(start_to_exit, check_with_repairs,
                  {"check", "--rules", "pre-23972", "--json", "--", "python", "-m",
                   "sglang.launch_server", "--model-path",
                   "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", "--trust-remote-code", "--tp",
                   "8", "--moe-dense-tp-size", "1"},
                  1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// Requests of 8 layouts, 2 models, all rules: passes, violations and refusals.
std::string requests(std::size_t count) {
  constexpr const char* kRules[] = {"pre-23972", "23972", "23906", "33200"};
  constexpr const char* kModels[] = {"deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct",
                                     "Qwen/Qwen3-30B-A3B"};
  constexpr const char* kLayouts[] = {
      R"("--tp","8","--moe-dense-tp-size","1")",
      R"("--tp","4")",
      R"("--tp","8","--ep-size","8")",
      R"("--tp","8","--enable-dp-attention","--dp-size","2")",
      R"("--tp","8","--attn-cp-size","2","--moe-a2a-backend","deepep")",
      R"("--tp","6","--moe-dense-tp-size","1")",
      R"("--tp","8","--moe-dense-tp-size","1","--piecewise-cuda-graph-tokens","4","12")",
      R"("--tp","2","--pp-size","2","--cuda-graph-max-bs","64")"};
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text.append(R"({"id":)").append(std::to_string(i)).append(R"(,"engine":"sglang","rules":")");
    text.append(kRules[i % 4]).append(R"(","gpu":"H100","launch":["--model-path",")");
    text.append(kModels[i / 4 % 2]).append("\",").append(kLayouts[i / 8 % 8]).append("]}\n");
  }
  return text;
}

// The status is the worst verdict of a batch; here a refusal (3).
void batch(benchmark::State& state) {
  const std::string text = requests(static_cast<std::size_t>(state.range(0)));
  const int input = memfd_create("requests", MFD_CLOEXEC);
  if (input < 0 || write(input, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return state.SkipWithError("no input file");
  }
  measure(state, {"check", "--batch", "-"}, input, 3);
  state.SetItemsProcessed(state.iterations() * state.range(0));
  close(input);
}
BENCHMARK(batch)->Arg(100)->Arg(10000)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
