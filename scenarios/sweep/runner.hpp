// Judges a range of a universe with several threads. Threads take chunks of the range from a
// counter; what a chunk counted is added when it is done, so that the state is consistent at any
// moment: the members that are done, and the tally of just those.
//
//   SweepState state;                                    // nothing done; or that of a checkpoint
//   auto outcome = run_sweep({.range = {0, universe.members}, .threads = 2}, make_judge, state);
//   outcome->finished                                    // every member of the range is done
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "scenarios/sweep/member_judge.hpp"
#include "scenarios/sweep/member_ranges.hpp"
#include "scenarios/sweep/tally.hpp"
#include "sim/error.hpp"

namespace capsize {

struct SweepState {
  MemberRanges done;
  Tally tally;
};

// Called once by each thread. A judge may report what it has met before (a layout's hash) only the
// first time: the tallies of all its chunks are added.
using JudgeFactory = std::function<Result<std::unique_ptr<MemberJudge>>()>;

struct RunnerOptions {
  MemberRange range;
  unsigned threads = 1;
  std::uint64_t chunk = 0;      // members a chunk; 0: as many as take about a fifth of a second
  std::uint64_t alignment = 1;  // chunks that adapt end at multiples of it where they are longer
  // Threads stop after their chunk once it is true; what is done stays consistent.
  const std::atomic<bool>* stop = nullptr;
  // No chunk begins once so many members were given out; 0: no such bound. For tests.
  std::uint64_t stop_after = 0;

  // Called by the thread that called run_sweep, about ten times a second, with the members of the
  // range that are done and those that were done by this run.
  std::function<void(std::uint64_t done, std::uint64_t by_this_run)> progress = {};
  // Takes a copy of the state every `keep_every`, and once when the run ends. An error ends the
  // run. Keeping never takes more than about a twentieth of the time.
  std::function<Result<void>(SweepState)> keep = {};
  std::chrono::milliseconds keep_every = std::chrono::seconds(2);
};

struct RunnerOutcome {
  bool finished = false;      // every member of the range is done
  std::uint64_t members = 0;  // done by this run
  std::uint64_t kept = 0;     // how often the state was kept
  unsigned threads = 0;       // that judged: fewer than asked for where the machine starts no more
  double seconds = 0;
};

// Judges what `state` lacks of the range and adds it to `state`.
[[nodiscard]] Result<RunnerOutcome> run_sweep(const RunnerOptions& options,
                                              const JudgeFactory& make_judge, SweepState& state);

}  // namespace capsize
