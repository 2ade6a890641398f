// Units as types, and division spelled out. A count of requests never becomes a count of tokens
// without its width; a floor is never taken for an exact quotient.
#pragma once

#include <cassert>
#include <compare>
#include <cstdint>

namespace capsize {

// Floor division as the engines' languages do it: -1 // 2 is -1. `divisor` is positive.
[[nodiscard]] constexpr std::int64_t div_floor(std::int64_t dividend, std::int64_t divisor) {
  assert(divisor > 0);
  const std::int64_t quotient = dividend / divisor;
  return dividend % divisor < 0 ? quotient - 1 : quotient;
}

[[nodiscard]] constexpr std::int64_t div_ceil(std::int64_t dividend, std::int64_t divisor) {
  return -div_floor(-dividend, divisor);
}

// An exact quotient; the caller has made sure that there is one.
[[nodiscard]] constexpr std::int64_t div_exact(std::int64_t dividend, std::int64_t divisor) {
  assert(divisor > 0 && dividend % divisor == 0);
  return dividend / divisor;
}

// The least multiple of `multiple` that is not below `value`.
[[nodiscard]] constexpr std::int64_t align_up(std::int64_t value, std::int64_t multiple) {
  return div_ceil(value, multiple) * multiple;
}

// An integer that belongs to one unit. Sums and comparisons stay inside the unit.
template <class Tag>
struct Quantity {
  std::int64_t value = 0;

  constexpr Quantity() = default;
  constexpr explicit Quantity(std::int64_t v) : value(v) {}

  friend constexpr auto operator<=>(Quantity, Quantity) = default;
  friend constexpr Quantity operator+(Quantity a, Quantity b) {
    return Quantity(a.value + b.value);
  }
  friend constexpr Quantity operator-(Quantity a, Quantity b) {
    return Quantity(a.value - b.value);
  }
};

using Tokens = Quantity<struct TokensTag>;      // rows that one rank's forward presents
using Requests = Quantity<struct RequestsTag>;  // sequences in a batch
using Width = Quantity<struct WidthTag>;        // tokens that one request brings to a step

[[nodiscard]] constexpr Tokens operator*(Requests requests, Width width) {
  return Tokens(requests.value * width.value);
}

// The unit that a path counts its capture sizes in.
enum class Unit : std::uint8_t { tokens, requests };

}  // namespace capsize
