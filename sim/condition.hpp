// Conditions over the axes of a universe, as text: "tp % (dp * attn_cp) == 0 && a2a == none".
//
//   expression := or; or := and {"||" and}; and := not {"&&" not}; not := ["!"] comparison
//   comparison := sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum]
//   sum := product {("+" | "-") product}; product := atom {("*" | "/" | "%") atom}
//   atom := number | name | quoted | "-" atom | "(" or ")"
//
// A name is an axis, a derived quantity, or else a word that stands for itself: beside == and != an
// axis some of whose values are words is compared by them, and a word must be one of its values. A
// word that is no plain name is quoted ("4 12"), or stands behind: rules == pre-23972. A number
// never equals a word. Division floors, as the engines' does; by zero, on a word, or past 64 bits
// an expression has no value, and a condition without a value does not hold. && and || ask their
// right side only where the left one has not settled it. Truth is 0 or 1.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/error.hpp"

namespace capsize {

struct Axis;
struct DerivedValue;

class Condition {
 public:
  // Reads `text` against the axes and the derived quantities that were declared before it. The
  // error's place is a column of the text; an unknown name gets the nearest known one as a hint.
  [[nodiscard]] static Result<Condition> parse(std::string_view text, std::span<const Axis> axes,
                                               std::span<const DerivedValue> derived);

  [[nodiscard]] bool holds(std::span<const std::int32_t> choices) const;
  [[nodiscard]] std::optional<std::int64_t> value(std::span<const std::int32_t> choices) const;
  [[nodiscard]] const std::string& text() const;
  // Indices of the axes that the value depends on, ascending.
  [[nodiscard]] std::span<const std::size_t> axes() const;
  // How many instructions it is compiled to: what one question may cost.
  [[nodiscard]] std::size_t length() const;
  // Equal for conditions that are compiled to the same, however their text is spaced.
  [[nodiscard]] std::uint64_t digest() const;

  struct Program;  // the compiled expression; shared, never changed

 private:
  std::shared_ptr<const Program> program_;
};

}  // namespace capsize
