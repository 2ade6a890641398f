// What the executor adds to the MPI calls that it makes: an event of collectives on ranks that are
// processes, beside a bare loop of the same calls on equal buffers. Both run in turn on the same
// ranks, so that the ratio is of one machine in one state.
//
// A run is what the executor counts as one: from its first operation to the agreement of all ranks
// that ends it. Two are measured: the capture, which fills every output before and looks at it
// afterwards, operation by operation, as eager runs do ("looking"); and a replay, whose memory is
// filled once and which is looked at as a whole. The bare loop ends in the same agreement: without
// one nobody knows when all are through. Of the ranks the one that came last is taken, which has
// waited for nobody's preparations.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/executor.hpp"
#include "runtime/processes/launcher.hpp"
#include "runtime/processes/mpi/module.hpp"
#include "runtime/processes/rank_process.hpp"
#include "runtime/processes/run_folder.hpp"
#include "runtime/processes/supervisor.hpp"

namespace capsize {
namespace {

constexpr std::int64_t kCalls = 24;  // that are measured in one event
constexpr std::size_t kPairsLeast = 5;
constexpr std::array kKinds = {PlanOpKind::all_reduce, PlanOpKind::reduce_scatter,
                               PlanOpKind::all_gather};
constexpr std::size_t kColumns = 2;  // of a plan without mathematics
constexpr auto kRowBytes = static_cast<std::int64_t>(kColumns * sizeof(std::uint32_t));

// ---- the event ----------------------------------------------------------------------------------

// One call and the rows that it reads and writes.
struct Call {
  PlanOpKind kind = PlanOpKind::all_reduce;
  std::int64_t rows_in = 0;
  std::int64_t rows_out = 0;
};

// The calls of one event: the first brings the operand that all others read. The larger side of
// each holds `bytes`.
std::vector<Call> calls_of(PlanOpKind kind, std::int64_t ranks, std::int64_t bytes) {
  const std::int64_t whole = bytes / kRowBytes;
  const std::int64_t part = whole / ranks;
  const Call reduce{PlanOpKind::all_reduce, whole, whole};
  const Call scatter{PlanOpKind::reduce_scatter, whole, part};
  const Call gather{PlanOpKind::all_gather, part, whole};
  const bool scatters = kind == PlanOpKind::reduce_scatter;
  const bool gathers = kind == PlanOpKind::all_gather;
  std::vector<Call> out(1 + kCalls, scatters ? scatter : gathers ? gather : reduce);
  out.front() = scatters ? gather : gathers ? scatter : reduce;
  return out;
}

// A capture and a replay of it, without mathematics.
Lifecycle plan_of(const std::vector<Call>& calls, std::int64_t ranks) {
  Lifecycle plan{.world = ranks};
  std::vector<std::int32_t> all(static_cast<std::size_t>(ranks));
  std::iota(all.begin(), all.end(), 0);
  plan.families = {{.name = "all", .groups = {std::move(all)}}};
  Program program{.ranks = RankSet(0, ranks - 1), .mode = GraphMode::graph};
  program.key = GraphKey{{"tokens", "1"}};
  for (const Call& call : calls) {
    PlanOp op{.kind = call.kind, .group = {0}, .rows_in = {call.rows_in}};
    op.rows_out = call.rows_out;
    if (!program.ops.empty()) op.from = {0};
    program.ops.push_back(std::move(op));
  }
  program.blocks = {{.first_op = 0, .count = static_cast<std::int32_t>(calls.size())}};
  PlanEvent replay{.kind = PlanEventKind::replay, .path = "step"};
  replay.programs = {{.ranks = program.ranks, .mode = program.mode, .key = program.key}};
  PlanEvent capture{.kind = PlanEventKind::capture, .path = "step"};
  capture.programs.push_back(std::move(program));
  plan.events = {std::move(capture), std::move(replay)};
  index_groups(plan);
  return plan;
}

// ---- one rank -----------------------------------------------------------------------------------

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The same calls and nothing else, on buffers like those of the event: outputs take turns.
class BareLoop {
 public:
  BareLoop(const CapsizeMpi& mpi, CapsizeCommunicator over, std::vector<Call> calls)
      : mpi_(mpi), over_(over), calls_(std::move(calls)), input_(rows(calls_.front().rows_in)) {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      outputs_[i] = rows(calls_[std::min<std::size_t>(i, 1)].rows_out);
    }
  }

  // Seconds; none where a call failed.
  double run() {
    const auto begin = std::chrono::steady_clock::now();
    int error = call(calls_.front(), input_, outputs_[0]);
    for (std::size_t i = 1; i < calls_.size() && error == 0; ++i) {
      error = call(calls_[i], outputs_[0], outputs_[1 + i % (outputs_.size() - 1)]);
    }
    std::array<std::int64_t, 2> told{};
    if (error == 0) error = mpi_.largest(over_, told.data(), told.size());
    return error == 0 ? seconds_since(begin) : -1;
  }

 private:
  using Rows = std::vector<std::uint32_t>;
  static Rows rows(std::int64_t count) {
    return Rows(static_cast<std::size_t>(count) * kColumns, 1U);
  }
  int call(const Call& call, const Rows& in, Rows& out) {
    const auto columns = static_cast<std::int64_t>(kColumns);
    switch (call.kind) {
      case PlanOpKind::reduce_scatter:
        return mpi_.reduce_scatter(over_, kCapsizeUint32, in.data(), out.data(),
                                   call.rows_out * columns);
      case PlanOpKind::all_gather:
        return mpi_.all_gather(over_, kCapsizeUint32, in.data(), out.data(),
                               call.rows_in * columns);
      default:
        return mpi_.all_reduce(over_, kCapsizeUint32, in.data(), out.data(),
                               call.rows_in * columns);
    }
  }

  const CapsizeMpi& mpi_;
  CapsizeCommunicator over_;
  std::vector<Call> calls_;
  Rows input_;
  std::array<Rows, 4> outputs_;  // the operand of the others, and theirs
};

// Pairs of one kind and size, on all ranks.
class Pairs {
 public:
  Pairs(RankProcess& process, const CapsizeMpi& mpi, CapsizeCommunicator over,
        const std::vector<Call>& calls)
      : process_(process),
        mpi_(mpi),
        over_(over),
        plan_(plan_of(calls, process.backend().size())),
        bare_(mpi, over, calls),
        watcher_(process.board()) {}

  // Prints what rank 0 saw; false: something failed.
  bool run(double seconds) {
    if (!pair(false) || !pair(true)) return false;
    captures_.clear();
    replays_.clear();
    loops_.clear();
    const auto begin = std::chrono::steady_clock::now();
    std::int64_t goes_on = 1;
    for (bool turn = false; goes_on == 1; turn = !turn) {
      if (!pair(turn)) return false;
      // Rank 0 says when it is enough: the others have told 0.
      const bool enough = loops_.size() >= kPairsLeast && seconds_since(begin) >= seconds;
      goes_on = process_.backend().rank() == 0 && !enough ? 1 : 0;
      if (mpi_.largest(over_, &goes_on, 1) != 0) return false;
    }
    return true;
  }

  [[nodiscard]] const std::vector<double>& captures() const { return captures_; }
  [[nodiscard]] const std::vector<double>& replays() const { return replays_; }
  [[nodiscard]] const std::vector<double>& loops() const { return loops_; }

 private:
  bool pair(bool bare_first) {
    if (bare_first && !loop()) return false;
    return event() && (bare_first || loop());
  }

  bool event() {
    const RunOptions options;
    const auto seen = execute(plan_, options, process_.backend(), &watcher_, &context_);
    // Each event runs its calls a second time, eagerly, which is not measured.
    const bool good = seen && seen->first_failure() == nullptr &&
                      seen->events.back().collectives == 2 * (1 + kCalls);
    const auto seconds = [&](const EventObservation& event) {
      return static_cast<double>(event.nanoseconds) * 1e-9;
    };
    return last_of(captures_, good ? seconds(seen->events.front()) : -1) &&
           last_of(replays_, good ? seconds(seen->events.back()) : -1);
  }

  bool loop() { return mpi_.barrier(over_) == 0 && last_of(loops_, bare_.run()); }

  // The time of the rank that came last: the shortest of all.
  bool last_of(std::vector<double>& to, double seconds) {
    std::array<std::int64_t, 2> told = {-static_cast<std::int64_t>(seconds * 1e9), seconds < 0};
    if (mpi_.largest(over_, told.data(), told.size()) != 0 || told[1] != 0) return false;
    to.push_back(static_cast<double>(-told[0]) * 1e-9);
    return true;
  }

  RankProcess& process_;
  const CapsizeMpi& mpi_;
  CapsizeCommunicator over_;
  Lifecycle plan_;
  RunContext context_;
  BareLoop bare_;
  BoardWatcher watcher_;
  std::vector<double> captures_;
  std::vector<double> replays_;
  std::vector<double> loops_;
};

double quantile(std::vector<double> values, double part) {
  const auto at = static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1) + 0.5);
  std::ranges::nth_element(values, values.begin() + at);
  return values[static_cast<std::size_t>(at)];
}

// Lines "all_reduce ratio 1.03", which become counters.
void print(std::string_view kind, const Pairs& pairs) {
  const auto line = [kind](const std::string& what, double value) {
    std::printf("%s %s %.6g\n", std::string(kind).c_str(), what.c_str(), value);
  };
  const double loop = quantile(pairs.loops(), 0.5);
  const auto told = [&](const std::string& prefix, const std::vector<double>& runs) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < runs.size(); ++i) ratios.push_back(runs[i] / pairs.loops()[i]);
    const double run = quantile(runs, 0.5);
    line(prefix + "ratio", run / loop);
    line(prefix + "ratio_of_pairs", quantile(ratios, 0.5));
    line(prefix + "ratio_q1", quantile(ratios, 0.25));
    line(prefix + "ratio_q3", quantile(ratios, 0.75));
    line(prefix + "us", run * 1e6);
  };
  told("", pairs.replays());
  told("looking_", pairs.captures());
  line("bare_us", loop * 1e6);
  line("pairs", static_cast<double>(pairs.loops().size()));
}

int run_rank(const std::string& board, std::int64_t bytes, double seconds) {
  auto process = RankProcess::start(board);
  auto module = MpiModule::open();
  if (!process || !module) {
    std::fprintf(stderr, "%s\n", (process ? module.error() : process.error()).text.c_str());
    return 2;
  }
  (*process)->board().post({.phase = RankPhase::runs, .job = 0});
  const CapsizeMpi& mpi = module->calls();
  std::vector<std::int32_t> all(static_cast<std::size_t>((*process)->backend().size()));
  std::iota(all.begin(), all.end(), 0);
  CapsizeCommunicator over = 0;
  if (mpi.create(all.data(), static_cast<std::int32_t>(all.size()), &over) != 0) _exit(3);
  for (const PlanOpKind kind : kKinds) {
    Pairs pairs(**process, mpi, over, calls_of(kind, std::ssize(all), bytes));
    // Leaving MPI in order would wait for the others.
    if (!pairs.run(seconds)) _exit(4);
    if ((*process)->backend().rank() == 0) print(name_of(kind), pairs);
  }
  std::fflush(stdout);
  (*process)->finish();
  return 0;
}

// ---- the benchmark ------------------------------------------------------------------------------

void skip(auto& state, const std::string& why) {
  if constexpr (requires { state.SkipWithMessage(why); }) {
    state.SkipWithMessage(why);
  } else {
    state.SkipWithError(("skipped: " + why).c_str());
  }
}

bool mpi_is_here() {
  return !find_launcher().empty() && std::filesystem::exists(MpiModule::path());
}

// Starts the ranks once; they print their counters.
void event_and_bare_loop(benchmark::State& state, double seconds) {
  if (!mpi_is_here()) return skip(state, "no mpirun or no MPI module here");
  const std::int64_t ranks = state.range(0);
  for (auto _ : state) {
    auto folder = RunFolder::create();
    auto board = Board::create(static_cast<int>(ranks));
    if (!folder || !board) return state.SkipWithError("no folder or no board");
    const auto begin = std::chrono::steady_clock::now();
    const LaunchEnd end =
        supervise({.ranks = static_cast<int>(ranks),
                   .arguments = {program_path(), "rank", board->path(),
                                 std::to_string(state.range(1)), std::to_string(seconds)},
                   .folder = (*folder)->path()},
                  *board);
    state.SetIterationTime(seconds_since(begin));
    if (end.how != LaunchEnd::How::finished) {
      return state.SkipWithError((end.text + "\n" + end.output).c_str());
    }
    std::istringstream lines(end.output);
    std::string kind;
    std::string what;
    for (double value = 0; lines >> kind >> what >> value;) {
      state.counters[kind + "." + what] = value;
    }
  }
  state.SetLabel(std::to_string(kCalls) + " calls an event");
}

// The seconds that Google Benchmark is told to measure.
double seconds_told(const std::vector<std::string>& words) {
  constexpr std::string_view kOption = "--benchmark_min_time=";
  double out = 0.5;
  for (const std::string& word : words) {
    if (word.starts_with(kOption)) out = std::atof(word.c_str() + kOption.size());
  }
  return out;
}

// A short run measures one size.
void add_benchmarks(double seconds) {
  auto* made = benchmark::RegisterBenchmark(
      "event_and_bare_loop",
      [seconds](benchmark::State& state) { event_and_bare_loop(state, seconds); });
  made->ArgNames({"ranks", "bytes"})->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);
  made->Args({4, std::int64_t{64} << 10});
  if (seconds < 0.1) return;
  for (const std::int64_t kib : {256, 1024, 4096}) made->Args({4, kib << 10});
  // One rank a processor on the machine of the results.
  for (const std::int64_t kib : {64, 256, 1024, 4096}) made->Args({2, kib << 10});
}

}  // namespace
}  // namespace capsize

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  if (words.size() == 5 && words[1] == "rank") {
    return capsize::run_rank(words[2], std::atoll(words[3].c_str()), std::atof(words[4].c_str()));
  }
  capsize::add_benchmarks(capsize::seconds_told(words));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
