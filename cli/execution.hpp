// Jobs on a backend: what `capsize run` and `capsize agree` share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "cli/devices.hpp"
#include "runtime/observation.hpp"
#include "scenarios/formats/run_job.hpp"
#include "sim/error.hpp"

namespace capsize::cli {

struct ExecutionOptions {
  std::string backend = "reference";
  std::string device = {};  // emulated: "gpu" or "host"; empty: a GPU
  unsigned threads = 0;     // reference, emulated: jobs at once; 0: what suits the machine
  // mpi: seconds without a step of any rank that make a hang; none: its default.
  std::optional<double> deadline = {};
  std::string trace = {};  // of one job alone; empty: none
};

// Where a rank died.
inline constexpr const char* kDeathWayOut =
    "no law speaks of it: the machine lacked memory (the kernel's log says so; smaller "
    "--rows-max), "
    "or capsize is at fault: report it with the line below";

// --backend, --device and --deadline.
void add_execution_options(CLI::App& app, ExecutionOptions& options);
// Fails where an option says nothing to its backend, or its file cannot be written.
[[nodiscard]] Result<void> check_execution(const ExecutionOptions& options);

struct Jobs {
  std::size_t count = 0;
  std::function<RunJob(std::size_t)> make;  // called by any thread
  // What came of each, in any order, one at a time.
  std::function<void(std::size_t, const Result<Observation>&)> done;
  std::function<void(std::size_t)> progress = {};   // how many are through
  std::function<void(const DeviceUse&)> used = {};  // what devices did, where there are any
  std::string smaller = {};  // how to ask for jobs of fewer ranks; empty: there is no way
};

// Fails where the backend itself cannot be used; what a job shows is told to `done`.
[[nodiscard]] Result<void> execute_jobs(const ExecutionOptions& options, const Jobs& jobs);

// Tells that nothing could be executed here, as undecided; the exit status.
int tell_not_executed(const ExecutionOptions& options, const Error& error, bool as_json);

}  // namespace capsize::cli
