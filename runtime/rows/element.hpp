// The element types that rows are made of. All data of a run are integers that every type holds
// exactly; uint32 holds them modulo 2^32 and its sums wrap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace capsize {

enum class ElementType : std::uint8_t { bf16, fp16, fp32, uint32 };

[[nodiscard]] std::string_view name_of(ElementType type);
[[nodiscard]] std::optional<ElementType> element_type_of(std::string_view name);
[[nodiscard]] constexpr std::size_t bytes_of(ElementType type) {
  return type == ElementType::bf16 || type == ElementType::fp16 ? 2 : 4;
}

// Rows of one rank, row by row. A view; whoever made the memory keeps it.
template <class Byte>
struct RowsView {
  Byte* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  ElementType type = ElementType::uint32;

  [[nodiscard]] std::size_t row_bytes() const {
    return static_cast<std::size_t>(columns) * bytes_of(type);
  }
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(rows) * row_bytes(); }
  [[nodiscard]] Byte* row(std::int64_t at) const {
    return data + static_cast<std::size_t>(at) * row_bytes();
  }
  // NOLINTNEXTLINE(google-explicit-constructor): rows that may be changed may always be read.
  operator RowsView<const Byte>() const requires(!std::is_const_v<Byte>) {
    return {data, rows, columns, type};
  }
};
using Matrix = RowsView<std::byte>;
using ConstMatrix = RowsView<const std::byte>;

// One element as the integer that it holds. An element that holds none (a fraction, NaN, infinity,
// or more than 2^24) is turned into one that no sound run has there, so that it is seen later on.
[[nodiscard]] std::int32_t load(ElementType type, const std::byte* element);
// `value` must be one that the type holds; of what is too large only the nearest is kept.
void store(ElementType type, std::byte* element, std::int32_t value);

}  // namespace capsize
