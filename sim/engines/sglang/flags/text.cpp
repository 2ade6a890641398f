// Text as Python sees it: blanks at the ends, repr() with its choice of quotes and escapes.
#include "sim/engines/sglang/flags/text.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "sim/engines/sglang/flags/values.hpp"

namespace capsize::sglang {

namespace {

using Range = std::pair<std::uint32_t, std::uint32_t>;

// str.isspace() over the characters that occur in pasted text.
constexpr std::array kBlanks = {Range{0x09, 0x0d},     Range{0x1c, 0x20},     Range{0x85, 0x85},
                                Range{0xa0, 0xa0},     Range{0x1680, 0x1680}, Range{0x2000, 0x200a},
                                Range{0x2028, 0x2029}, Range{0x202f, 0x202f}, Range{0x205f, 0x205f},
                                Range{0x3000, 0x3000}};

// Not str.isprintable(): controls, formats, blanks other than the space, private use.
constexpr std::array kEscaped = {
    Range{0x00, 0x1f},     Range{0x7f, 0xa0},     Range{0xad, 0xad},       Range{0x600, 0x605},
    Range{0x61c, 0x61c},   Range{0x1680, 0x1680}, Range{0x180e, 0x180e},   Range{0x2000, 0x200f},
    Range{0x2028, 0x202f}, Range{0x205f, 0x206f}, Range{0x3000, 0x3000},   Range{0xd800, 0xf8ff},
    Range{0xfeff, 0xfeff}, Range{0xfff0, 0xfffb}, Range{0xe0000, 0x10ffff}};

// The zeros of Unicode's decimal digits (category Nd); nine more follow each.
constexpr std::array<std::uint32_t, 65> kZeros = {
    0x660,   0x6f0,   0x7c0,   0x966,   0x9e6,   0xa66,   0xae6,   0xb66,   0xbe6,   0xc66,
    0xce6,   0xd66,   0xde6,   0xe50,   0xed0,   0xf20,   0x1040,  0x1090,  0x17e0,  0x1810,
    0x1946,  0x19d0,  0x1a80,  0x1a90,  0x1b50,  0x1bb0,  0x1c40,  0x1c50,  0xa620,  0xa8d0,
    0xa900,  0xa9d0,  0xa9f0,  0xaa50,  0xabf0,  0xff10,  0x104a0, 0x10d30, 0x11066, 0x110f0,
    0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec,
    0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0};

template <std::size_t N>
bool is_in(const std::array<Range, N>& ranges, std::uint32_t value) {
  return std::ranges::any_of(
      ranges, [&](const Range& range) { return range.first <= value && value <= range.second; });
}

void append_escape(std::string& out, std::uint32_t value) {
  if (value == '\n' || value == '\r' || value == '\t') {
    out += value == '\n' ? "\\n" : value == '\r' ? "\\r" : "\\t";
    return;
  }
  const int digits = value <= 0xff ? 2 : value <= 0xffff ? 4 : 8;
  out += value <= 0xff ? "\\x" : value <= 0xffff ? "\\u" : "\\U";
  for (int i = digits - 1; i >= 0; --i) {
    out += "0123456789abcdef"[(value >> (4 * static_cast<unsigned>(i))) & 0xfU];
  }
}

}  // namespace

CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t lead = byte(0);
  const std::size_t bytes = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (bytes == 1 || lead < 0xc2 || text.size() < bytes) return {lead, 1};
  std::uint32_t value = lead & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {lead, 1};
    value = (value << 6U) | (byte(i) & 0x3fU);
  }
  return {value, bytes};
}

std::string_view strip_blanks(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (!is_in(kBlanks, point.value)) break;
    text.remove_prefix(point.bytes);
  }
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xc0U) == 0x80U) --start;
    const CodePoint point = first_code_point(text.substr(start));
    if (start + point.bytes != text.size() || !is_in(kBlanks, point.value)) break;
    text.remove_suffix(point.bytes);
  }
  return text;
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string with_ascii_digits(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    const auto* above = std::ranges::upper_bound(kZeros, point.value);
    const std::uint32_t past = above == kZeros.begin() ? 10 : point.value - *(above - 1);
    if (past < 10) {
      out += static_cast<char>('0' + past);
    } else {
      out += text.substr(0, point.bytes);
    }
    text.remove_prefix(point.bytes);
  }
  return out;
}

std::string python_repr(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.value == static_cast<unsigned char>(quote) || point.value == '\\') {
      out += {'\\', text[0]};
    } else if (is_in(kEscaped, point.value)) {
      append_escape(out, point.value);
    } else {
      out += text.substr(0, point.bytes);
    }
    text.remove_prefix(point.bytes);
  }
  return out + quote;
}

}  // namespace capsize::sglang
