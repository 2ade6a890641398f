// What folding and a norm make of one element, for whoever walks over rows.
#pragma once

#include <cstdint>

#include "runtime/rows/element_codec.hpp"

namespace capsize {

// Sums of a sound run have magnitudes up to 2^8. What lies far beyond holds poison, and folding
// could bring it back among the sound ones: it stays strange, from layer to layer.
[[nodiscard]] constexpr std::int32_t wrapped(std::int32_t value) {
  constexpr std::int32_t kFarthest = 512;
  const std::int32_t beyond = ((kFarthest - value) | (kFarthest + value)) >> 31;
  const std::int32_t folded = ((value + 128) & 255) - 128;
  return (folded & ~beyond) | (codec::kStrange & beyond);
}

// What folding leaves: magnitudes up to 2^7, or strange.
using Narrow = std::int16_t;

// The smallest magnitudes that a norm makes 1, 2 and 3: 4 |r| >= q, 3q, 5q.
struct Thresholds {
  Narrow one = 0;
  Narrow two = 0;
  Narrow three = 0;
};
// `root`: floor(sqrt(mean of the squares)).
[[nodiscard]] constexpr Thresholds thresholds_of(std::int64_t root) {
  const std::int64_t q = root > 1 ? root : 1;
  const auto at_least = [q](std::int64_t odd) { return static_cast<Narrow>((odd * q + 3) / 4); };
  return {at_least(1), at_least(3), at_least(5)};
}

[[nodiscard]] constexpr Narrow normalized(Narrow value, const Thresholds& at) {
  const auto sign = static_cast<Narrow>(value < 0 ? -1 : 0);
  const auto magnitude = static_cast<Narrow>((value ^ sign) - sign);
  const auto steps =
      static_cast<Narrow>((magnitude >= at.one ? 1 : 0) + (magnitude >= at.two ? 1 : 0) +
                          (magnitude >= at.three ? 1 : 0));
  return static_cast<Narrow>((steps ^ sign) - sign);
}

}  // namespace capsize
