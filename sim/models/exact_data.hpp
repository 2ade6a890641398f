// The numbers that exact data are made of, as pure functions of a seed and a place: entry rows and
// weights of the exact model (exact_model.hpp). Integer arithmetic without branches, so that any
// device can make them anew instead of reading them.
#pragma once

#include <cstdint>

#include "sim/content_hash.hpp"

namespace capsize {

inline constexpr std::uint64_t kDataOdd = 0x9e3779b97f4a7c15ULL;

// Entry rows: one hash a batch, one a token, one for four elements that lie side by side.
[[nodiscard]] constexpr std::uint64_t entry_batch(std::uint64_t seed, std::uint64_t step) {
  return spread(spread(seed + kDataOdd) ^ step);
}
[[nodiscard]] constexpr std::uint64_t entry_place(std::uint64_t batch, std::uint64_t token) {
  return spread((batch + kDataOdd) ^ token);
}
inline constexpr int kEntriesOfHash = 4;
[[nodiscard]] constexpr std::uint64_t entry_hash(std::uint64_t place, std::uint64_t four) {
  return spread(place + (four + 1) * kDataOdd);
}
// Of 16 bits, an integer in [0, 254]; the element is 127 less.
inline constexpr std::int32_t kEntryMiddle = 127;
[[nodiscard]] constexpr std::uint32_t entry_above_least(std::uint64_t hash, int which) {
  return ((static_cast<std::uint32_t>(hash >> (16 * which)) & 0xffffU) * 255U) >> 16;
}
[[nodiscard]] constexpr std::int32_t entry_element(std::uint64_t hash, int which) {
  return static_cast<std::int32_t>(entry_above_least(hash, which)) - kEntryMiddle;
}

// What a rank holds of the weights is a part of them. `expert` is 0 but in experts; in the router
// `unit` is the expert.
enum class WeightKind : std::uint8_t { up, down, router };
enum class LayerPart : std::uint8_t { attention, feed_forward };
struct WeightPlace {
  std::int64_t layer = 0;
  LayerPart part = LayerPart::attention;
  WeightKind kind = WeightKind::up;
  std::int64_t expert = 0;
  std::int64_t unit = 0;
  std::int64_t column = 0;
};
[[nodiscard]] constexpr std::int8_t exact_weight(std::uint64_t seed, const WeightPlace& at) {
  const auto bits = [](auto number, int by) { return static_cast<std::uint64_t>(number) << by; };
  const std::uint64_t place = bits(at.layer, 48) ^ bits(at.part, 47) ^ bits(at.kind, 45) ^
                              bits(at.expert, 32) ^ bits(at.unit, 16) ^ bits(at.column, 0);
  const std::uint64_t high = spread(spread(seed + 2 * kDataOdd) ^ place) >> 32;
  if (at.kind == WeightKind::up) {
    return static_cast<std::int8_t>(static_cast<int>(high * 3 >> 32) - 1);
  }
  return (high & 1U) != 0 ? std::int8_t{1} : std::int8_t{-1};
}

}  // namespace capsize
