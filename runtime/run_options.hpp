// What a run is told beside its plan.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "runtime/rows/element.hpp"

namespace capsize {

// Faults that --unguarded plants, as an implementation without checks would have them.
enum class RunFault : std::uint8_t {
  none,
  floor_counts,  // counts that do not divide are rounded down, and the rest is lost
  wrong_bucket,  // one rank chooses the next captured size
  idle_rank,     // one rank does not enter the step
  short_count,   // one rank brings one row less to a collective
};

inline constexpr std::array kRunFaults = {RunFault::none, RunFault::floor_counts,
                                          RunFault::wrong_bucket, RunFault::idle_rank,
                                          RunFault::short_count};
[[nodiscard]] constexpr std::string_view name_of(RunFault fault) {
  switch (fault) {
    case RunFault::none: return "none";
    case RunFault::floor_counts: return "floor_counts";
    case RunFault::wrong_bucket: return "wrong_bucket";
    case RunFault::idle_rank: return "idle_rank";
    case RunFault::short_count: return "short_count";
  }
  return "none";
}

struct RunOptions {
  ElementType type = ElementType::bf16;
  std::int64_t hidden = 16;
  std::uint64_t seed = 1;
  bool unguarded = false;  // counts are not checked, whatever the transport
  RunFault fault = RunFault::none;
  std::int64_t fault_rank = -1;          // -1: the last rank
  std::optional<std::int64_t> rows_max;  // larger sizes are left out
  bool every_count = false;              // replays at every n, not at the edges of intervals only
  friend bool operator==(const RunOptions&, const RunOptions&) = default;
};

}  // namespace capsize
