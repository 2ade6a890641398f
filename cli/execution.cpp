#include "cli/execution.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <limits>
#include <memory>
#include <mutex>
#include <system_error>
#include <vector>

#include "cli/command.hpp"
#include "cli/ranks.hpp"
#include "runtime/device/emulated_backend.hpp"
#include "runtime/executor.hpp"
#include "runtime/processes/stop_signals.hpp"
#include "runtime/reference.hpp"
#include "scenarios/agree/parallel.hpp"
#include "scenarios/formats/json_writer.hpp"
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
  std::unique_ptr<Device> device;
  std::unique_ptr<Backend> backend;
};

Result<Observation> execute_here(const RunJob& job, const std::string& trace_path, Worker& worker) {
  const auto run = [&](Watcher* watcher) {
    return execute(job.plan, job.options, *worker.backend, watcher, &worker.context);
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

bool is_emulated(const ExecutionOptions& options) { return options.backend == "emulated"; }

std::string device_of(const ExecutionOptions& options) {
  return options.device.empty() ? kGpu : options.device;
}

// A device is no thread's but one's: each has a stream and memory of its own.
Result<void> equip(const ExecutionOptions& options, std::deque<Worker>& workers) {
  const std::string kind = device_of(options);
  const auto many = static_cast<unsigned>(workers.size());
  for (Worker& each : workers) {
    if (!is_emulated(options)) {
      each.backend = std::make_unique<ReferenceBackend>();
      continue;
    }
    auto device = make_device(kind);
    if (!device) return tl::unexpected(std::move(device.error()));
    each.device = *std::move(device);
    each.backend = std::make_unique<EmulatedBackend>(*each.device, rows_memory(kind, many));
  }
  return {};
}

void tell_use(const std::deque<Worker>& workers, double seconds, const Jobs& jobs) {
  if (!jobs.used || workers.front().device == nullptr) return;
  DeviceUse use{.name = workers.front().device->name(),
                .workers = static_cast<unsigned>(workers.size()),
                .wall_seconds = seconds,
                .work = {}};
  for (const Worker& each : workers) use.add(each.device->work());
  jobs.used(use);
}

unsigned workers_of(const ExecutionOptions& options, const Jobs& jobs) {
  unsigned out = options.threads;
  if (out == 0) {
    out = is_emulated(options) ? default_workers(device_of(options)) : default_threads(nullptr);
  }
  return std::max(1U, std::min(out, static_cast<unsigned>(std::min<std::size_t>(
                                        jobs.count, std::numeric_limits<unsigned>::max()))));
}

Result<void> execute_all_here(const ExecutionOptions& options, const Jobs& jobs) {
  const unsigned threads = workers_of(options, jobs);
  std::deque<Worker> workers(threads);  // they do not move
  if (auto equipped = equip(options, workers); !equipped) return equipped;
  const auto begin = std::chrono::steady_clock::now();
  std::mutex mutex;
  std::size_t done = 0;
  in_parallel(jobs.count, threads, [&](std::size_t index, unsigned thread) {
    const auto seen = execute_here(jobs.make(index), options.trace, workers[thread]);
    const std::lock_guard lock(mutex);
    jobs.done(index, seen);
    if (jobs.progress) jobs.progress(++done);
  });
  const auto spent = std::chrono::steady_clock::now() - begin;
  tell_use(workers, std::chrono::duration<double>(spent).count(), jobs);
  return {};
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
                 "reference (all ranks in this process), mpi (one process a rank) or emulated "
                 "(all ranks on one GPU)")
      ->check(CLI::IsMember({"reference", "mpi", "emulated"}));
  app.add_option("--device", options.device,
                 "emulated: gpu (default), or host, which runs the same launches without a GPU")
      ->check(CLI::IsMember({kGpu, kHost}));
  app.add_option("--deadline", options.deadline,
                 "mpi: so many seconds without a step of any rank are a hang (default 5)")
      ->check(CLI::Range(0.1, 3600.0));
}

Result<void> check_execution(const ExecutionOptions& options) {
  if (!options.device.empty() && options.backend != "emulated") {
    return tl::unexpected(Error{"--device", "only the emulated backend runs on a device",
                                "leave it out, or add --backend emulated"});
  }
  if (options.deadline && options.backend != "mpi") {
    return tl::unexpected(Error{
        "--deadline",
        "the " + options.backend + " backend waits for nobody: it sees when no rank can go on",
        "leave it out, or add --backend mpi"});
  }
  if (options.trace.empty()) return {};
  auto can = can_write_file(options.trace);
  if (!can) return tl::unexpected(std::move(can.error()).within("--trace"));
  return {};
}

Result<void> execute_jobs(const ExecutionOptions& options, const Jobs& jobs) {
  if (options.backend == "mpi") return execute_on_mpi(options, jobs);
  return execute_all_here(options, jobs);
}

int tell_not_executed(const ExecutionOptions& options, const Error& error, bool as_json) {
  const int status = exit_status(Verdict::undecided);
  if (as_json) {
    JsonWriter out;
    out.begin_object().field("schema", std::int64_t{1}).field("verdict", "undecided");
    out.field("backend", std::string_view(options.backend)).key("error").begin_object();
    out.field("where", std::string_view(error.where)).field("text", std::string_view(error.text));
    out.field("hint", std::string_view(error.hint)).end_object();
    return print(std::move(out.end_object()).text() + "\n") ? status : kBadInput;
  }
  const std::string text = "UNDECIDED  nothing was executed: " + error.where + ": " + error.text +
                           "\nway out     " + error.hint + "\n";
  return print(text) ? status : kBadInput;
}

}  // namespace capsize::cli
