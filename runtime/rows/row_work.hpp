// Loops over the elements of a row, for the rooms' own files: the element type and, for the usual
// row of 16, the width are known to the compiler, which turns them into vector code.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "runtime/rows/element_codec.hpp"

namespace capsize::row_work {

inline constexpr std::int64_t kUsualColumns = 16;

// A width that the compiler knows, or not (0).
template <std::int64_t kKnown>
struct Width {
  std::int64_t given = kKnown;
  [[nodiscard]] constexpr std::int64_t columns() const { return kKnown == 0 ? given : kKnown; }

  // Room for one row, without a visit to the heap where the width is known.
  template <class Number>
  using Row = std::conditional_t<kKnown == 0, std::vector<Number>,
                                 std::array<Number, static_cast<std::size_t>(kKnown)>>;
  template <class Number>
  [[nodiscard]] Row<Number> row() const {
    if constexpr (kKnown == 0) return Row<Number>(static_cast<std::size_t>(given));
    return {};
  }
};

// Calls `body` with the codec of the type and the width.
template <class Body>
void with_rows(ElementType type, std::int64_t columns, Body&& body) {
  codec::with_codec(type, [&]<class Element>(Element element) {
    if (columns == kUsualColumns) return body(element, Width<kUsualColumns>{});
    body(element, Width<0>{columns});
  });
}

template <class Element>
[[nodiscard]] inline typename Element::Bits bits_at(const std::byte* row, std::int64_t at) {
  typename Element::Bits bits;
  std::memcpy(&bits, row + static_cast<std::size_t>(at) * sizeof bits, sizeof bits);
  return bits;
}

template <class Element>
inline void put_bits(std::byte* row, std::int64_t at, typename Element::Bits bits) {
  std::memcpy(row + static_cast<std::size_t>(at) * sizeof bits, &bits, sizeof bits);
}

}  // namespace capsize::row_work
