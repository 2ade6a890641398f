// The bits of one element, type by type, as code that compilers turn into vector code: no branches,
// no calls. For the rows' loops; everybody else takes load and store of element.hpp.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "runtime/element.hpp"

namespace capsize::codec {

inline constexpr std::int32_t kLargestExact = 1 << 24;
inline constexpr std::uint32_t kSign = 0x80000000U;
inline constexpr std::uint32_t kInfinity = 0x7f800000U;
inline constexpr std::uint32_t kLargestExactBits = 0x4b800000U;  // 2^24 as a float

// What an element that holds no integer becomes: the number's other side of zero, so that a norm
// sees it; two away from it modulo 4 and far away modulo 256, so that units and wrapped sums do,
// also where the true integer is a neighbour.
[[nodiscard]] constexpr std::int32_t estranged(std::int32_t near) {
  constexpr std::int32_t kAway = 256 + 86;
  return near < 0 ? near + kAway : near - kAway;
}

[[nodiscard]] constexpr bool is_exact(float value, std::int32_t bound) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool small = (bits & ~kSign) <= kLargestExactBits;
  const float kept = std::bit_cast<float>(small ? bits : 0U);
  const auto whole = static_cast<std::int32_t>(kept);
  return small & (static_cast<float>(whole) == kept) & (whole <= bound) & (whole >= -bound);
}

[[nodiscard]] constexpr std::int32_t integer_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool small = (bits & ~kSign) <= kLargestExactBits;
  const float kept = std::bit_cast<float>(small ? bits : 0U);
  const auto whole = static_cast<std::int32_t>(kept);
  const bool exact = small & (static_cast<float>(whole) == kept);
  return exact ? whole : estranged(whole);
}

// All of these round to the nearest, ties to even.
[[nodiscard]] constexpr float bf16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

[[nodiscard]] constexpr std::uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40U;  // rounding could carry a NaN into a number
  return static_cast<std::uint16_t>((bits & ~kSign) > kInfinity ? quiet : rounded);
}

[[nodiscard]] constexpr float fp16_to_float(std::uint16_t bits) {
  // The exponent's bias differs by 112; the product also gives subnormal numbers their place.
  const std::uint32_t magnitude = (bits & 0x7fffU) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112F;
  const std::uint32_t infinite = magnitude >= (0x7c00U << 13) ? kInfinity : 0U;
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | infinite | sign);
}

[[nodiscard]] constexpr std::uint16_t float_to_fp16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & ~kSign;
  // From 65520 on the nearest is infinity. Below 2^-14 numbers are multiples of 2^-24, which is the
  // last place of a float near one half: the addition rounds.
  const std::uint32_t bounded = magnitude < 0x477ff000U ? magnitude : 0x477ff000U;
  const std::uint32_t normal = (bounded - (112U << 23) + 0xfffU + ((bounded >> 13) & 1U)) >> 13;
  const std::uint32_t tiny =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(bounded) + 0.5F) - 0x3f000000U;
  const std::uint32_t number = bounded < 0x38800000U ? tiny : normal;
  const std::uint32_t kept = magnitude > kInfinity ? 0x7e00U : number;
  return static_cast<std::uint16_t>(((bits & kSign) >> 16) | kept);
}

// One element type: its bits, the integer in them, the bits of an integer of magnitude up to 2^24
// (that are exact where the type holds it), its own addition.
template <ElementType kType>
struct Codec {
  static constexpr bool kIsInteger = kType == ElementType::uint32;
  using Bits = std::conditional_t<bytes_of(kType) == 2, std::uint16_t, std::uint32_t>;

  [[nodiscard]] static constexpr float to_float(Bits bits) {
    if constexpr (kType == ElementType::bf16) return bf16_to_float(bits);
    if constexpr (kType == ElementType::fp16) return fp16_to_float(bits);
    if constexpr (kType == ElementType::fp32) return std::bit_cast<float>(bits);
    return 0;
  }
  [[nodiscard]] static constexpr Bits of_float(float value) {
    if constexpr (kType == ElementType::bf16) return float_to_bf16(value);
    if constexpr (kType == ElementType::fp16) return float_to_fp16(value);
    return static_cast<Bits>(std::bit_cast<std::uint32_t>(value));
  }
  [[nodiscard]] static constexpr std::int32_t integer(Bits bits) {
    if constexpr (kIsInteger) {
      const bool exact = bits + kLargestExact <= 2U * kLargestExact;
      const std::int32_t low = static_cast<std::int16_t>(bits & 0xffffU);
      return exact ? static_cast<std::int32_t>(bits) : estranged(low);
    } else {
      return integer_of(to_float(bits));
    }
  }
  [[nodiscard]] static constexpr Bits of_integer(std::int32_t value) {
    if constexpr (kIsInteger) return static_cast<std::uint32_t>(value);
    return of_float(static_cast<float>(value));
  }
  [[nodiscard]] static constexpr Bits sum(Bits a, Bits b) {
    if constexpr (kIsInteger) return a + b;
    return of_float(to_float(a) + to_float(b));
  }
  [[nodiscard]] static constexpr bool holds_up_to(Bits bits, std::int32_t bound) {
    if constexpr (kIsInteger) {
      return bits + static_cast<std::uint32_t>(bound) <= 2U * static_cast<std::uint32_t>(bound);
    } else {
      return is_exact(to_float(bits), bound);
    }
  }
};

// Calls `body` with the codec of the type: `with_codec(type, [&]<class Element>(Element) { ... })`.
template <class Body>
decltype(auto) with_codec(ElementType type, Body&& body) {
  switch (type) {
    case ElementType::bf16: return body(Codec<ElementType::bf16>{});
    case ElementType::fp16: return body(Codec<ElementType::fp16>{});
    case ElementType::fp32: return body(Codec<ElementType::fp32>{});
    case ElementType::uint32: break;
  }
  return body(Codec<ElementType::uint32>{});
}

}  // namespace capsize::codec
