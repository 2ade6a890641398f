#include "runtime/rows/element.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/rows/element_codec.hpp"

namespace capsize {
namespace {

constexpr std::array kTypes = {ElementType::bf16, ElementType::fp16, ElementType::fp32,
                               ElementType::uint32};

// A float that rounds to 16 bits like all 31 bits of `value`: what a float has no room for is kept
// as one bit at its end, so that rounding twice is rounding once.
float marked(std::int32_t value) {
  const std::uint32_t sign = value < 0 ? ~0U : 0U;
  const std::uint32_t magnitude = (static_cast<std::uint32_t>(value) ^ sign) - sign;
  const std::uint32_t mark = (magnitude & 0xffU) != 0 ? 0x100U : 0U;
  const auto kept = static_cast<float>((magnitude & ~0xffU) | mark);
  return sign != 0 ? -kept : kept;
}

}  // namespace

std::string_view name_of(ElementType type) {
  switch (type) {
    case ElementType::bf16: return "bf16";
    case ElementType::fp16: return "fp16";
    case ElementType::fp32: return "fp32";
    case ElementType::uint32: break;
  }
  return "uint32";
}

std::optional<ElementType> element_type_of(std::string_view name) {
  const auto found =
      std::ranges::find_if(kTypes, [name](ElementType type) { return name_of(type) == name; });
  return found == kTypes.end() ? std::nullopt : std::optional(*found);
}

std::int32_t load(ElementType type, const std::byte* element) {
  return codec::with_codec(type, [element]<class Element>(Element) {
    typename Element::Bits bits;
    std::memcpy(&bits, element, sizeof bits);
    return Element::integer(bits);
  });
}

void store(ElementType type, std::byte* element, std::int32_t value) {
  constexpr std::int32_t kLargestHalf = 65504;
  if (type == ElementType::fp16) value = std::clamp(value, -kLargestHalf, kLargestHalf);
  codec::with_codec(type, [element, value]<class Element>(Element) {
    typename Element::Bits bits = Element::of_integer(value);
    const bool exact = value <= codec::kLargestExact && value >= -codec::kLargestExact;
    if (sizeof bits == 2 && !exact) bits = Element::of_float(marked(value));
    std::memcpy(element, &bits, sizeof bits);
  });
}

}  // namespace capsize
