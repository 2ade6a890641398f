// What counts that differ between the ranks of a collective show as. No library compares them: it
// sees one rank's call at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/symptom.hpp"

namespace capsize {

// NCCL 2.28 returned wrong sums, and no error, for 513 rows against 512.
inline constexpr std::int64_t kNearCount = 512;
inline constexpr std::int64_t kNearShare = 128;

// Whether a library that moves rows in chunks takes both for the same number of chunks.
[[nodiscard]] inline bool are_near(std::int64_t a, std::int64_t b) {
  const auto [low, high] = std::minmax(a, b);
  return low >= kNearCount && high - low <= high / kNearShare;
}

// Ranks that move nearly as many rows end with wrong ones; else one waits for rows that never come.
[[nodiscard]] inline Symptom symptom_of_unequal(std::int64_t a, std::int64_t b) {
  return are_near(a, b) ? Symptom::silent_corruption : Symptom::hang;
}

}  // namespace capsize
