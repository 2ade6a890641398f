// The seed of a property run, from CAPSIZE_SEED: a number (decimal, or hexadecimal after 0x) or a
// git hash (7 to 40 hexadecimal digits), which is hashed to 64 bits. A hash of decimal digits only
// is read as a number, unless it is too long to be one.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace capsize::property {

// What CI runs where CAPSIZE_SEED is not set, so that a red run is red again.
inline constexpr std::uint64_t kCiSeed = 0xca7512e;

[[nodiscard]] constexpr std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

[[nodiscard]] inline std::optional<std::uint64_t> parse_seed(std::string_view text) {
  const auto number = [](std::string_view digits, int base) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const char* last = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), last, value, base);
    return error == std::errc{} && end == last ? std::optional(value) : std::nullopt;
  };
  if (text.starts_with("0x")) return number(text.substr(2), 16);
  if (const auto decimal = number(text, 10)) return decimal;
  const bool hexadecimal = text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!hexadecimal || text.size() < 7 || text.size() > 40) return std::nullopt;
  return hash_of(text);
}

}  // namespace capsize::property
