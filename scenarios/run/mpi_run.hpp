// Executes jobs on the mpi backend, from the process that wants their observations: starts the
// ranks
// (`capsize rank`), watches them, and puts together what they tell. All jobs share one start as far
// as they can; behind a hang or a death the ranks are started again, without the event that did not
// end.
//
//   MpiRunOptions options{.program = program_path()};
//   auto run = run_on_mpi(jobs, options);
//   if (run && run->interrupted == 0) ... run->seen[0]
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/observation.hpp"
#include "scenarios/formats/run_job.hpp"
#include "sim/error.hpp"

namespace capsize {

struct MpiRunOptions {
  std::string program;  // this program, whose command `rank` is started
  std::chrono::milliseconds deadline = std::chrono::seconds(5);  // supervisor.hpp
  std::chrono::milliseconds start_deadline = std::chrono::seconds(30);
  // A job whose ranks hang in more events than this is not started again.
  int hangs_max = 16;
  // Where the operations of all ranks are written, a JSON line each (run_trace.hpp); empty:
  // nowhere. Ranks that are started again trace again.
  std::string trace = {};
  // Called when jobs [0, done) have been through a start of the ranks.
  std::function<void(std::size_t done)> progress = {};
};

struct MpiRun {
  // One each job, in their order; an error where it could not be executed at all. Events that were
  // not run, because the ranks hung in one that they need, are `skipped`.
  std::vector<Result<Observation>> seen;
  int interrupted = 0;  // the signal that ended it early; jobs behind that have no observation
  int starts = 0;       // of the ranks
};

// Fails where ranks cannot be started.
[[nodiscard]] Result<MpiRun> run_on_mpi(std::span<const RunJob> jobs, const MpiRunOptions& options);

}  // namespace capsize
