// The bits of one element, type by type, as code that compilers turn into vector code: no branches,
// no calls. For the rows' loops; everybody else takes load and store of element.hpp.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "runtime/rows/element.hpp"

namespace capsize::codec {

inline constexpr std::int32_t kLargestExact = 1 << 24;
inline constexpr std::uint32_t kSign = 0x80000000U;
inline constexpr std::uint32_t kInfinity = 0x7f800000U;
inline constexpr std::uint32_t kLargestExactBits = 0x4b800000U;  // 2^24 as a float

// All ones where left < right, else zero; both below 2^31. Masks instead of conditions, because
// compilers put the floating-point work of one side behind a branch, and then there are no vectors.
[[nodiscard]] constexpr std::uint32_t mask_if_below(std::uint32_t left, std::uint32_t right) {
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(left - right) >> 31);
}
[[nodiscard]] constexpr std::uint32_t chosen(std::uint32_t mask, std::uint32_t where_set,
                                             std::uint32_t elsewhere) {
  return (mask & where_set) | (~mask & elsewhere);
}

// Far from every number of a sound run, alone and summed over ranks; 2 modulo 4 and far from 0
// modulo 256, so that units (which count modulo 4) and folded sums show it, also where the true
// integer is a neighbour of what was found.
inline constexpr std::int32_t kStrange = 4096 + 86;

// What an element that holds no integer becomes: on the other side of zero, so that a norm sees it.
// `mask` zero: what it was.
[[nodiscard]] constexpr std::int32_t estranged(std::int32_t near, std::uint32_t mask) {
  const std::int32_t sign = near >> 31;
  const std::int32_t away = (-kStrange ^ sign) - sign;
  return near + (away & static_cast<std::int32_t>(mask));
}

// The integer part of a float of magnitude up to `most` (else 0), and all ones where the float is
// not that integer.
struct Whole {
  std::int32_t integer = 0;
  std::uint32_t inexact = 0;
};
[[nodiscard]] constexpr Whole whole_of(float value, std::uint32_t most_bits) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t small = mask_if_below(bits & ~kSign, most_bits + 1U);
  const auto integer = static_cast<std::int32_t>(std::bit_cast<float>(bits & small));
  const auto again = std::bit_cast<std::uint32_t>(static_cast<float>(integer));
  const std::uint32_t differs = (again ^ bits) & ~kSign;  // -0 is 0
  return {integer, ~small | mask_if_below(0U, differs)};
}

[[nodiscard]] constexpr std::int32_t integer_of(float value) {
  const Whole whole = whole_of(value, kLargestExactBits);
  return estranged(whole.integer, whole.inexact);
}

// All of these round to the nearest, ties to even. What is no number becomes the one pattern that
// GPUs leave, whatever it was made of: processors differ there, and sums must not.
inline constexpr std::uint32_t kNoNumber16 = 0x7fffU;
inline constexpr std::uint32_t kNoNumber32 = 0x7fffffffU;

[[nodiscard]] constexpr float bf16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

[[nodiscard]] constexpr std::uint16_t float_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const std::uint32_t is_nan = mask_if_below(kInfinity, bits & ~kSign);
  return static_cast<std::uint16_t>(chosen(is_nan, kNoNumber16, rounded));
}

[[nodiscard]] constexpr float fp16_to_float(std::uint16_t bits) {
  // The exponent's bias differs by 112; the product also gives subnormal numbers their place.
  const std::uint32_t magnitude = (bits & 0x7fffU) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112F;
  const std::uint32_t infinite = ~mask_if_below(magnitude, 0x7c00U << 13) & kInfinity;
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | infinite | sign);
}

[[nodiscard]] constexpr std::uint16_t float_to_fp16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & ~kSign;
  // From 65520 on the nearest is infinity. Below 2^-14 numbers are multiples of 2^-24, which is the
  // last place of a float near one half: the addition rounds.
  constexpr std::uint32_t kTooLarge = 0x477ff000U;
  const std::uint32_t bounded = chosen(mask_if_below(magnitude, kTooLarge), magnitude, kTooLarge);
  const std::uint32_t normal = (bounded - (112U << 23) + 0xfffU + ((bounded >> 13) & 1U)) >> 13;
  const std::uint32_t tiny =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(bounded) + 0.5F) - 0x3f000000U;
  const std::uint32_t number = chosen(mask_if_below(bounded, 0x38800000U), tiny, normal);
  const std::uint32_t is_nan = mask_if_below(kInfinity, magnitude);
  return static_cast<std::uint16_t>(chosen(is_nan, kNoNumber16, ((bits & kSign) >> 16) | number));
}

[[nodiscard]] constexpr std::uint32_t float_to_fp32(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return chosen(mask_if_below(kInfinity, bits & ~kSign), kNoNumber32, bits);
}

// The same of integers, which are neither NaN nor small: less is to be done.
[[nodiscard]] constexpr std::uint16_t integer_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

[[nodiscard]] constexpr std::uint16_t integer_to_fp16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value * 0x1p-112F);
  const std::uint32_t magnitude = bits & ~kSign;
  const std::uint32_t rounded = (magnitude + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
  const std::uint32_t kept = chosen(mask_if_below(rounded, 0x7c00U), rounded, 0x7c00U);
  return static_cast<std::uint16_t>(((bits & kSign) >> 16) | kept);
}

// One element type: its bits, the integer in them, the bits of an integer of magnitude up to 2^24
// (that are exact where the type holds it), its own addition.
template <ElementType kElementType>
struct Codec {
  static constexpr ElementType kType = kElementType;
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
    return static_cast<Bits>(float_to_fp32(value));
  }
  [[nodiscard]] static constexpr std::int32_t integer(Bits bits) {
    if constexpr (kIsInteger) {
      const bool exact = bits + kLargestExact <= 2U * kLargestExact;
      const auto low =
          static_cast<std::int32_t>(bits & 0x7fU) - static_cast<std::int32_t>(bits & 0x80U);
      return exact ? static_cast<std::int32_t>(bits) : estranged(low, ~0U);
    } else {
      return integer_of(to_float(bits));
    }
  }
  [[nodiscard]] static constexpr Bits of_integer(std::int32_t value) {
    if constexpr (kIsInteger) return static_cast<std::uint32_t>(value);
    const auto number = static_cast<float>(value);
    if constexpr (kType == ElementType::bf16) return integer_to_bf16(number);
    if constexpr (kType == ElementType::fp16) return integer_to_fp16(number);
    return static_cast<Bits>(std::bit_cast<std::uint32_t>(number));
  }
  [[nodiscard]] static constexpr Bits sum(Bits a, Bits b) {
    if constexpr (kIsInteger) return a + b;
    return of_float(to_float(a) + to_float(b));
  }
  // All ones where the bits are no integer of magnitude up to `bound`, else zero.
  [[nodiscard]] static constexpr std::uint32_t beyond(Bits bits, std::int32_t bound) {
    if constexpr (kIsInteger) {
      const auto most = static_cast<std::uint32_t>(bound);
      return bits + most <= 2U * most ? 0U : ~0U;
    } else {
      const auto most = std::bit_cast<std::uint32_t>(static_cast<float>(bound));
      return whole_of(to_float(bits), most).inexact;
    }
  }
};

// Calls `body` with the codec of the type: `with_codec(type, [&]<class Element>(Element) { ... })`.
template <class Body>
constexpr decltype(auto) with_codec(ElementType type, Body&& body) {
  switch (type) {
    case ElementType::bf16: return body(Codec<ElementType::bf16>{});
    case ElementType::fp16: return body(Codec<ElementType::fp16>{});
    case ElementType::fp32: return body(Codec<ElementType::fp32>{});
    case ElementType::uint32: break;
  }
  return body(Codec<ElementType::uint32>{});
}

}  // namespace capsize::codec
