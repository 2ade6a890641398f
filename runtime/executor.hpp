// Executes a Lifecycle: every event in order, with the ranks that the backend runs in this process.
// It knows no engine. What the plan says is done as it stands there; what came of it is compared
// with the plan's counts, with the eager run of the same body and, where the plan has mathematics,
// with the oracle.
//
//   Lifecycle plan = ...;
//   add_replays(plan, options);                       // replays.hpp
//   ReferenceBackend backend;
//   Result<Observation> seen = execute(plan, options, backend);
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/backend.hpp"
#include "runtime/observation.hpp"
#include "runtime/run_context.hpp"
#include "runtime/run_options.hpp"
#include "sim/error.hpp"
#include "sim/lifecycle.hpp"

namespace capsize {

// An operation that is about to be issued or begun.
struct Step {
  std::int32_t event = 0;
  std::string_view mode;  // "eager", "capture", "replay"
  std::int64_t rank = 0;
  std::int64_t layer = -1;
  std::int32_t op = 0;
  PlanOpKind kind = PlanOpKind::kernel;
  GroupId family = {};
  std::int32_t group = -1;
  std::int64_t rows_in = -1;
  std::int64_t rows_out = -1;
  std::int64_t sequence = 0;  // on its communicator
};

// Whoever wants to know what ranks do: the board of a supervisor, a trace, a progress line.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void begin_event(std::int32_t event, const PlanEvent& what) = 0;
  virtual void step(const Step& step) = 0;
  // A body has ended on the ranks of this process, and they will ask the others how it went: who
  // never answers cannot be told of a failure any more.
  virtual void before_agreement(const EventObservation& seen) { (void)seen; }
  virtual void end_event(const EventObservation& seen) = 0;
};

// Fails only where the plan cannot be executed at all (an operation that has no meaning here, or
// more memory than a run may take); whatever happens while it runs is observed. `context` keeps
// what several runs share.
[[nodiscard]] Result<Observation> execute(const Lifecycle& lifecycle, const RunOptions& options,
                                          Backend& backend, Watcher* watcher = nullptr,
                                          RunContext* context = nullptr);

}  // namespace capsize
