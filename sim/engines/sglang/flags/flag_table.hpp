// The option tables behind parse(), made at build time from flags.json by generate/main.cpp.
// Everything is constant data: nothing runs at start-up. Internal to this folder.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>

#include "sim/engines/sglang/flags/flags.hpp"

namespace capsize::sglang::flag_table {

inline constexpr std::uint16_t no_row = 0xffff;

// One option string over all releases. Both lists have one entry a release.
struct Name {
  std::string_view text;
  std::span<const std::uint16_t> rows;       // index into `rows`, no_row where it is not there
  std::span<const std::uint16_t> positions;  // place among the option strings, as registered
};

// What stands in place of an option that went away or only forwards.
struct Successor {
  std::string_view old;
  std::string_view gone;  // the first release without it, empty while it is there
  std::string_view use;   // option and value to write instead, empty where nothing replaces it
  std::string_view note;
};

extern const std::span<const std::string_view> release_names;
extern const std::span<const FlagRow> rows;          // -h/--help is the last one
extern const std::span<const Name> names;            // sorted by text
extern const std::span<const std::uint16_t> slots;   // open addressing by hash_of, no_row is empty
extern const std::span<const Successor> successors;  // sorted by old
extern const std::span<const std::uint16_t> required_rows;  // of all releases
extern const std::uint16_t help_row;

// Where a name's search begins in `slots`: the first and last eight bytes and the length, mixed.
// Option strings differ there nearly always; the rest is settled by comparing.
[[nodiscard]] constexpr std::uint32_t hash_of(std::string_view name) {
  std::uint64_t mixed = name.size();
  const std::size_t ends = name.size() < 16 ? name.size() : 16;
  for (std::size_t i = 0; i < ends; ++i) {
    const std::size_t at = i < 8 ? i : name.size() - (ends - i);
    mixed = (std::rotl(mixed, 5) ^ static_cast<unsigned char>(name[at])) * 0x9e3779b97f4a7c15U;
  }
  return static_cast<std::uint32_t>(mixed >> 32U);
}

}  // namespace capsize::sglang::flag_table
