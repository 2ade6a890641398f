// Finding option strings: exact names through the hash that the generator laid out, prefixes by
// binary search among the sorted names. Nothing here allocates but options_with_prefix.
#include "sim/engines/sglang/flags/lookup.hpp"

#include <algorithm>

namespace capsize::sglang {

namespace {

// The sorted names from `prefix` on; those that start with it come first.
std::span<const flag_table::Name> names_from(std::string_view prefix) {
  const auto at = std::ranges::lower_bound(flag_table::names, prefix, {}, &flag_table::Name::text);
  return flag_table::names.subspan(static_cast<std::size_t>(at - flag_table::names.begin()));
}

}  // namespace

std::span<const std::string_view> releases() { return flag_table::release_names; }

std::optional<std::uint8_t> release_index(std::string_view release) {
  const auto names = flag_table::release_names;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == release) return static_cast<std::uint8_t>(i);
  }
  return std::nullopt;
}

const FlagRow* find_flag(std::string_view option, std::string_view release) {
  const auto index = release_index(release);
  return index ? find_option(option, *index).row : nullptr;
}

const flag_table::Name* find_name(std::string_view text) {
  const std::size_t mask = flag_table::slots.size() - 1;
  for (std::size_t slot = flag_table::hash_of(text) & mask;; slot = (slot + 1) & mask) {
    const std::uint16_t index = flag_table::slots[slot];
    if (index == flag_table::no_row) return nullptr;
    if (flag_table::names[index].text == text) return &flag_table::names[index];
  }
}

Option option_of(const flag_table::Name& name, std::uint8_t release) {
  const std::uint16_t row = name.rows[release];
  if (row == flag_table::no_row) return {};
  return {&name, &flag_table::rows[row]};
}

Option find_option(std::string_view text, std::uint8_t release) {
  const flag_table::Name* name = find_name(text);
  return name == nullptr ? Option{} : option_of(*name, release);
}

PrefixMatch match_prefix(std::string_view prefix, std::uint8_t release) {
  PrefixMatch match;
  for (const flag_table::Name& name : names_from(prefix)) {
    if (!name.text.starts_with(prefix)) break;
    const Option option = option_of(name, release);
    if (!option) continue;
    ++match.count;
    match.only = option;
  }
  if (match.count != 1) match.only = {};
  return match;
}

std::vector<Option> options_with_prefix(std::string_view prefix, std::uint8_t release) {
  std::vector<Option> found;
  for (const flag_table::Name& name : names_from(prefix)) {
    if (!name.text.starts_with(prefix)) break;
    if (const Option option = option_of(name, release)) found.push_back(option);
  }
  std::ranges::sort(found, {},
                    [&](const Option& option) { return option.name->positions[release]; });
  return found;
}

}  // namespace capsize::sglang
