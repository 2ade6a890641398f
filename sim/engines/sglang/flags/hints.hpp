// The way out of a line that the engine's parser refuses: the nearest known option, the release
// in which an option vanished or appeared, what stands in its place. Internal to this folder.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sim/engines/sglang/flags/lookup.hpp"

namespace capsize::sglang {

// For a word that no option takes. `before` is the option that was given in front of it, if any.
[[nodiscard]] std::string hint_for_unrecognized(std::string_view word, const GivenFlag* before,
                                                std::uint8_t release);
// For a prefix of several options.
[[nodiscard]] std::string hint_for_ambiguous(std::string_view word,
                                             std::span<const Option> candidates,
                                             std::uint8_t release);
// For a value that the option does not take.
[[nodiscard]] std::string hint_for_value(const FlagRow& row, std::string_view value,
                                         std::uint8_t release);
// For an option with too few values, or with one where it takes none.
[[nodiscard]] std::string hint_for_missing_value(const FlagRow& row);
[[nodiscard]] std::string hint_for_ignored_value(const FlagRow& row, std::string_view name);

// Edits (insert, delete, replace, swap of neighbours) between two texts, or `limit` + 1 when there
// are more than `limit`.
[[nodiscard]] int edit_distance(std::string_view a, std::string_view b, int limit);

}  // namespace capsize::sglang
