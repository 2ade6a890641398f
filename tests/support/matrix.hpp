// Rows that own their memory, and their elements as integers and as bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "runtime/rows/element.hpp"

namespace capsize::test {

class OwnedMatrix {
 public:
  OwnedMatrix(ElementType type, std::int64_t rows, std::int64_t columns)
      : view_{nullptr, rows, columns, type}, bytes_(view_.bytes()) {}
  // One row of integers.
  OwnedMatrix(ElementType type, const std::vector<std::int32_t>& row)
      : OwnedMatrix(type, 1, static_cast<std::int64_t>(row.size())) {
    set_row(0, row);
  }

  [[nodiscard]] Matrix all() {
    Matrix out = view_;
    out.data = bytes_.data();
    return out;
  }
  [[nodiscard]] std::int64_t rows() const { return view_.rows; }
  [[nodiscard]] std::int64_t columns() const { return view_.columns; }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

  void set_row(std::int64_t row, std::span<const std::int32_t> values) {
    for (std::size_t j = 0; j < values.size(); ++j) {
      store(view_.type, element(row, static_cast<std::int64_t>(j)), values[j]);
    }
  }
  [[nodiscard]] std::vector<std::int32_t> row(std::int64_t row) {
    std::vector<std::int32_t> out;
    for (std::int64_t j = 0; j < view_.columns; ++j) {
      out.push_back(load(view_.type, element(row, j)));
    }
    return out;
  }

  [[nodiscard]] std::uint32_t bits(std::int64_t row, std::int64_t column) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, element(row, column), bytes_of(view_.type));
    return bits;
  }
  void set_bits(std::int64_t row, std::int64_t column, std::uint32_t bits) {
    std::memcpy(element(row, column), &bits, bytes_of(view_.type));
  }

 private:
  [[nodiscard]] std::byte* element(std::int64_t row, std::int64_t column) {
    return all().row(row) + static_cast<std::size_t>(column) * bytes_of(view_.type);
  }

  Matrix view_;
  std::vector<std::byte> bytes_;
};

}  // namespace capsize::test
