// What becomes of groups while a plan runs: they are made, first used, captured over, and their
// ranks exchange the addresses of registered memory. An operation that comes too early shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/body.hpp"
#include "runtime/observation.hpp"
#include "sim/timeline.hpp"

namespace capsize {

// Where a rank is: an instruction of its body.
struct Standpoint {
  std::int64_t rank = 0;
  const Running* running = nullptr;
  std::size_t instruction = 0;
};

// What is wrong at an operation.
struct Trouble {
  Symptom symptom = Symptom::silent_corruption;
  std::optional<Check> check;  // none: the library or the driver says so itself
  std::string text;
};

// Whether an operation works on memory that peers were given, by what it says or by its transport.
[[nodiscard]] bool is_registered(const Lifecycle& plan, const PlanOp& op);

class GroupLife {
 public:
  GroupLife(const Timeline& timeline, std::span<const std::int64_t> ranks);

  // An event that makes groups, or registers them, or none of both.
  void begin(const EventRun& event);
  // What is wrong where an operation is reached. `recorded`: a capture takes it up.
  [[nodiscard]] std::optional<Trouble> trouble_at(const Standpoint& at, const Instruction& what,
                                                  const EventRun& event, bool recorded) const;
  void after(const Standpoint& at, const Instruction& what, const EventRun& event, bool recorded);

 private:
  struct Rank {
    std::vector<bool> created;   // by family
    std::vector<bool> launched;  // by family: something ran outside of captures
    std::vector<bool> windows;   // by family: registered at least once
    std::set<std::pair<std::int32_t, std::int32_t>> exchanged;  // captures, families
    std::set<std::int32_t> captures;                            // that it took part in
  };
  [[nodiscard]] std::optional<Trouble> too_early(const Standpoint& at, const PlanOp& op,
                                                 bool recorded) const;
  [[nodiscard]] std::optional<Trouble> unregistered(const Standpoint& at, const PlanOp& op,
                                                    const EventRun& event) const;
  static void exchange(Rank& rank, GroupId family);

  const Timeline& timeline_;
  const Lifecycle& plan_;
  std::vector<Rank> ranks_;          // by rank; of this process only those are kept up
  std::vector<bool> ours_;           // by rank
  std::vector<bool> creation_told_;  // by family: the plan says when it is made
};

}  // namespace capsize
