// Finding option strings in the table of one release. Internal to this folder.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/engines/sglang/flags/flag_table.hpp"

namespace capsize::sglang {

// An option string as one release registers it.
struct Option {
  const flag_table::Name* name = nullptr;  // none: no such option
  const FlagRow* row = nullptr;
  explicit operator bool() const { return name != nullptr; }
};

// The entry of a full option string in any of the releases; none where no release has it.
[[nodiscard]] const flag_table::Name* find_name(std::string_view text);

// The option as `release` has it.
[[nodiscard]] Option option_of(const flag_table::Name& name, std::uint8_t release);
[[nodiscard]] Option find_option(std::string_view text, std::uint8_t release);

// What argparse takes `prefix` for: the number of option strings that start with it, and the
// option where it is one.
struct PrefixMatch {
  int count = 0;
  Option only;
};
[[nodiscard]] PrefixMatch match_prefix(std::string_view prefix, std::uint8_t release);

// All option strings that start with `prefix`, in the order in which they are registered (which
// is the order of argparse's message).
[[nodiscard]] std::vector<Option> options_with_prefix(std::string_view prefix,
                                                      std::uint8_t release);

}  // namespace capsize::sglang
