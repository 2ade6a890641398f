// What is predicted of the members of a universe, captured size by captured size, and what each of
// them is to execute so that the prediction can be held against it.
//
//   const AgreePlan plan = plan_agreement(universe, array.rows, options);
//   for (const std::size_t place : plan.jobs)
//     ... execute(job_of_member(universe, plan.members[place].number, options.run)->plan ...)
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "properties/law.hpp"
#include "scenarios/formats/run_job.hpp"
#include "sim/covering.hpp"
#include "sim/engines/engine.hpp"
#include "sim/universe.hpp"

namespace capsize {

// A captured size of a path, and how its first event that fails is predicted to fail.
struct PredictedSize {
  std::string path;
  std::int64_t size = 0;            // in the path's unit
  std::int64_t rows = 0;            // of a rank: what events name as their bucket
  Symptom symptom = Symptom::none;  // none: it fits
  bool judged = true;               // false: the law says nothing of it
};

// What becomes of a member: the engine refuses it, nothing can be said of it, it captures nothing
// (within the cap on rows), it is no launch that can be read, or it is executed.
enum class MemberFate : std::uint8_t { executed, refused, undecided, without_graphs, broken };

struct AgreeMember {
  std::uint64_t number = 0;
  MemberFate fate = MemberFate::executed;
  std::string why;                   // of a fate that is not to be executed
  std::vector<PredictedSize> sizes;  // that are executed
  std::optional<Error> error;        // of one that is broken
  std::uint64_t left_out = 0;        // sizes above the cap on rows
  std::uint64_t unjudged = 0;        // sizes of which the law says nothing
  std::uint64_t content = 0;         // of what it executes: equal for equal lifecycles
  std::int64_t ranks = 0;            // of what it executes
  std::uint64_t weight = 0;          // rows that it captures, of all ranks: what executing it costs
  std::size_t job = 0;               // place in AgreePlan::jobs
};

struct AgreePlan {
  std::vector<AgreeMember> members;
  std::vector<std::size_t> jobs;  // places of members that differ in what they execute
};

// What judges a captured size: the law `divisible`, unless a test puts another in its place.
using SizeJudge = std::function<Finding(const Subject&, const CapturePath&)>;

struct AgreeOptions {
  RunOptions run;
  unsigned threads = 1;
  SizeJudge judge;
  std::function<void(std::size_t done)> progress;  // called by any thread, one at a time
};

// Every captured size of every path that is enabled and known. Each is judged as if its path
// captured it alone, at the events that the start-up has for it.
[[nodiscard]] std::vector<PredictedSize> predictions_of(const EnginePlan& plan,
                                                        const SizeJudge& judge);

// What a launch executes: its start-up with replays added, without sizes above the cap.
[[nodiscard]] RunJob job_of(const EnginePlan& plan, const RunOptions& options);
// The same of a member that is to be executed.
[[nodiscard]] RunJob job_of_member(const Universe& universe, std::uint64_t number,
                                   const RunOptions& options);

[[nodiscard]] AgreePlan plan_agreement(const Universe& universe,
                                       std::span<const MemberChoices> rows,
                                       const AgreeOptions& options);

}  // namespace capsize
