// Runs the bound bodies of the ranks of this process, each in its own order, until all are through
// or nobody can go on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/binding.hpp"
#include "runtime/executor.hpp"
#include "runtime/observation.hpp"
#include "runtime/plain/surroundings.hpp"
#include "runtime/stages.hpp"
#include "sim/timeline.hpp"

namespace capsize {

// One rank on its way through a body.
struct Lane {
  std::int64_t rank = 0;
  const Running* running = nullptr;
  const Body* body = nullptr;
  const RankMemory* memory = nullptr;
  std::vector<Bound> bound;
  LaunchMode mode = LaunchMode::eager;

  std::size_t next = 0;              // the instruction that it is at
  std::int64_t attended_layer = -1;  // whose attention it has run last
  enum class State : std::uint8_t { ready, waiting, finished, failed } state = State::ready;
};

struct LaneRules {
  RunStart start;
  bool looks = true;               // at every output, which holds a fill before
  bool exact = false;              // every element of every output is checked: no row holds poison
  const Stages* stages = nullptr;  // where given: looks for the operation that went wrong
  Surroundings* around = nullptr;  // of a plan without mathematics
};

// Where an instruction stands, as it is told.
[[nodiscard]] OpPlace place_of(const Lifecycle& lifecycle, std::int64_t rank,
                               const Instruction& what);

class LaneRun {
 public:
  LaneRun(const Lifecycle& lifecycle, Backend& backend, const Weights* weights, Watcher* watcher,
          std::vector<std::vector<std::int64_t>>& sequences)
      : lifecycle_(lifecycle),
        backend_(backend),
        weights_(weights),
        watcher_(watcher),
        sequences_(sequences) {}

  // Adds to `seen` what was done and what went wrong. The lanes stand where they ended. Fails where
  // the backend's device does.
  [[nodiscard]] Result<void> run(std::vector<Lane>& lanes, const LaneRules& rules,
                                 EventObservation& seen);

 private:
  [[nodiscard]] bool advance(Lane& lane);
  [[nodiscard]] bool begin(Lane& lane, Bound& bound);
  [[nodiscard]] bool fits(Lane& lane, Bound& bound);
  void leave(Lane& lane, const Bound& bound);
  [[nodiscard]] bool meet(Lane& lane, Bound& bound);
  [[nodiscard]] bool settle(Lane& lane, const Arrived& arrived);
  [[nodiscard]] OutputPlace place_of_output(const Lane& lane, const Bound& bound,
                                            std::size_t output) const;
  void prepare_outputs(const Lane& lane, const Bound& bound);
  [[nodiscard]] bool check_outputs(Lane& lane, const Bound& bound);
  void tell_output(Lane& lane, std::size_t instruction, std::size_t output,
                   const OutputFault& fault);
  [[nodiscard]] bool check_counts(Lane& lane, const Bound& bound, const Arrived& arrived);
  [[nodiscard]] bool check_stage(Lane& lane, const Bound& bound);
  void watch(const Lane& lane, const Bound& bound) const;
  void fail(Lane& lane, Symptom symptom, std::string text);
  void forget_failure();
  void add_mismatch(Lane& lane, Check check, const Matrix& out, ElementPlace first,
                    std::int64_t count, std::string found);
  void tell_hang(const std::vector<Lane>& lanes);
  [[nodiscard]] OpPlace place_of(const Lane& lane) const;
  [[nodiscard]] std::string why_it_waits(const std::vector<Lane>& lanes, const Lane& lane) const;

  const Lifecycle& lifecycle_;
  Backend& backend_;
  const Weights* weights_;
  Watcher* watcher_;
  std::vector<std::vector<std::int64_t>>& sequences_;  // by rank, by family
  LaneRules rules_;
  Result<void> device_;  // what a device said that could not be asked for rows
  EventObservation* seen_ = nullptr;
};

}  // namespace capsize
