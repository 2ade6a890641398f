#include "cli/execution.hpp"

#include <unistd.h>

#include <array>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <vector>

#include "cli/ranks.hpp"
#include "runtime/executor.hpp"
#include "runtime/processes/stop_signals.hpp"
#include "runtime/reference.hpp"
#include "scenarios/agree/parallel.hpp"
#include "scenarios/formats/run_trace.hpp"
#include "scenarios/formats/write_file.hpp"
#include "scenarios/run/mpi_run.hpp"

namespace capsize::cli {
namespace {

// A trace that is being written: a process that is stopped leaves no half of it. One at a time.
class UnfinishedTrace {
 public:
  explicit UnfinishedTrace(const std::string& path) : signals_(keep(path)) {}

 private:
  // The name stands there before a signal can ask for it.
  static auto keep(const std::string& path) -> void (*)(int) {
    place_.fill(0);  // a name that is too long is none of a file
    if (path.size() < place_.size()) std::memcpy(place_.data(), path.data(), path.size());
    return end;
  }
  // The process ends as the signal would have ended it.
  static void end(int signal) {
    (void)unlink(place_.data());
    (void)std::signal(signal, SIG_DFL);
    (void)std::raise(signal);
  }

  static inline std::array<char, PATH_MAX> place_{};
  StopSignals signals_;
};

// What one thread keeps between jobs.
struct Worker {
  RunContext context;
  ReferenceBackend backend;
};

Result<Observation> execute_here(const RunJob& job, const std::string& trace_path, Worker& worker) {
  const auto run = [&](Watcher* watcher) {
    return execute(job.plan, job.options, worker.backend, watcher, &worker.context);
  };
  if (trace_path.empty()) return run(nullptr);
  const UnfinishedTrace stopped(unfinished_trace(trace_path));
  auto trace = RunTrace::create(trace_path, job.plan);
  if (!trace) return tl::unexpected(std::move(trace.error()).within("--trace"));
  auto seen = run(trace->get());
  if (auto kept = (*trace)->finish(); seen && !kept) {
    return tl::unexpected(std::move(kept.error()).within("--trace"));
  }
  return seen;
}

void execute_all_here(const ExecutionOptions& options, const Jobs& jobs) {
  const unsigned threads = options.threads != 0 ? options.threads : default_threads(nullptr);
  std::deque<Worker> workers(threads);  // they do not move
  std::mutex mutex;
  std::size_t done = 0;
  in_parallel(jobs.count, threads, [&](std::size_t index, unsigned thread) {
    const auto seen = execute_here(jobs.make(index), options.trace, workers[thread]);
    const std::lock_guard lock(mutex);
    jobs.done(index, seen);
    if (jobs.progress) jobs.progress(++done);
  });
}

constexpr std::int64_t kRanksMost = 64;

// This program, whose ranks are the same program.
std::string program_path() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string() : path.string();
}

// The ranks have ended and left nothing; this process ends as the signal would have ended it.
void end_by(int signal) {
  std::fputs("\ncapsize: interrupted; all ranks have ended\n", stderr);
  (void)std::signal(signal, SIG_DFL);
  (void)std::raise(signal);
}

Result<void> execute_on_mpi(const ExecutionOptions& options, const Jobs& jobs) {
  std::vector<RunJob> all;
  for (std::size_t i = 0; i < jobs.count; ++i) {
    all.push_back(jobs.make(i));
    if (const std::int64_t world = all.back().plan.world; world > kRanksMost) {
      return tl::unexpected(
          Error{"--backend mpi",
                std::to_string(world) + " ranks would be as many processes of this machine, " +
                    std::to_string(kRanksMost) + " are the most",
                jobs.smaller.empty() ? "--backend reference holds them all in one process"
                                     : jobs.smaller + ", or --backend reference"});
    }
  }
  MpiRunOptions mpi{.program = program_path()};
  if (options.deadline) {
    mpi.deadline = std::chrono::milliseconds(static_cast<std::int64_t>(*options.deadline * 1000));
  }
  mpi.trace = options.trace;
  mpi.progress = [&](std::size_t done) {
    if (jobs.progress) jobs.progress(done);
  };
  auto ran = run_on_mpi(all, mpi);
  if (!ran) return tl::unexpected(std::move(ran.error()));
  if (ran->interrupted != 0) end_by(ran->interrupted);
  for (std::size_t i = 0; i < ran->seen.size(); ++i) jobs.done(i, ran->seen[i]);
  return {};
}

}  // namespace

void add_execution_options(CLI::App& app, ExecutionOptions& options) {
  app.add_option("--backend", options.backend,
                 "reference (all ranks in this process) or mpi (one process a rank)")
      ->check(CLI::IsMember({"reference", "mpi"}));
  app.add_option("--deadline", options.deadline,
                 "mpi: so many seconds without a step of any rank are a hang (default 5)")
      ->check(CLI::Range(0.1, 3600.0));
}

Result<void> check_execution(const ExecutionOptions& options) {
  if (options.deadline && options.backend != "mpi") {
    return tl::unexpected(Error{
        "--deadline", "the reference backend waits for nobody: it sees when no rank can go on",
        "leave it out, or add --backend mpi"});
  }
  if (options.trace.empty()) return {};
  auto can = can_write_file(options.trace);
  if (!can) return tl::unexpected(std::move(can.error()).within("--trace"));
  return {};
}

Result<void> execute_jobs(const ExecutionOptions& options, const Jobs& jobs) {
  if (options.backend == "mpi") return execute_on_mpi(options, jobs);
  execute_all_here(options, jobs);
  return {};
}

}  // namespace capsize::cli
