// The wavefront of ranks that do not go on: from their board, what each of them waits in, and what
// those did that it waits for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/observation.hpp"
#include "runtime/processes/board.hpp"
#include "sim/lifecycle.hpp"
#include "sim/timeline.hpp"

namespace capsize {

// Where ranks stand: the first job that one of them is not through with, and its first such event
// (-1: before the first). None where all are through.
struct Standstill {
  std::int64_t job = -1;
  std::int64_t event = -1;
};
[[nodiscard]] std::optional<Standstill> standstill_of(std::span<const BoardView> ranks);

// The event that did not end, as a hang: its wavefront, its first rank that waits, and why. `plan`
// is the plan of the job. `dead` is a rank that has died; -1: none has. With one the others do not
// hang, they have lost it: that is told as an error.
[[nodiscard]] EventObservation hang_of(const Lifecycle& plan, const Standstill& at,
                                       std::span<const BoardView> ranks, int dead = -1);

// An event of which nothing is known yet.
[[nodiscard]] EventObservation blank_event(const EventRun& event);

// "rank 2 waits in reduce_scatter over attn_tp (layer 3, operation 7, 4 rows, 12 before it): ...",
// a line a rank.
[[nodiscard]] std::vector<std::string> lines_of(std::span<const RankState> wavefront);

}  // namespace capsize
