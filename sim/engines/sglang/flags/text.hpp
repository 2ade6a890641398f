// Small helpers for text as Python sees it: blanks, code points, repr(). Internal to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace capsize::sglang {

// One code point at the front of UTF-8 text and the bytes it takes; a broken byte counts as one
// code point of its own value.
struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 1;
};
[[nodiscard]] CodePoint first_code_point(std::string_view text);

// text.strip(): the blanks of Unicode too, since a pasted line may hold a no-break space.
[[nodiscard]] std::string_view strip_blanks(std::string_view text);

// The same text with the decimal digits of other scripts (full-width ones come out of input
// methods) as ASCII digits, as Python's number readers see it.
[[nodiscard]] std::string with_ascii_digits(std::string_view text);
[[nodiscard]] bool is_ascii(std::string_view text);

}  // namespace capsize::sglang
