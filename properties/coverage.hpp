// What a capture plan loses: requested sizes that are not captured, where they go now and what
// that costs; and the intervals of counts that run eager.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/capture.hpp"

namespace capsize {

struct LostSize {
  std::int64_t size = 0;                // in the unit of the path
  bool usable = false;                  // every collective could split it: it is waste
  std::optional<std::int64_t> goes_to;  // the captured size that it runs at; none: eager
  std::int64_t padded_tokens = 0;       // rows of padding at goes_to
  std::string why;
};

// Every candidate that is not captured, once; a rounding filter captures it where it rounds to.
[[nodiscard]] std::vector<LostSize> lost_sizes(const CapturePath& path);

struct EagerInterval {
  std::int64_t from = 0;
  std::int64_t to = 0;
};

// Counts of the path, up to the largest that can be presented, that no captured size serves.
[[nodiscard]] std::vector<EagerInterval> eager_intervals(const CapturePath& path);

}  // namespace capsize
