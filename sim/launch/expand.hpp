// What a shell does with '$': variables, defaults, arithmetic, command substitution. Internal to
// sim/launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sim/launch/session.hpp"

namespace capsize::launch {

// The outcome of one '$...'. `text` is the value, or the dollar text as written when unknown.
struct Expansion {
  std::string text;
  bool known = true;
  const Variable* array = nullptr;  // "${NAME[@]}" of a known array: becomes one word an item
  bool hides_words = false;         // "$@" or an array that is not known: may hold any number
  std::size_t length = 1;           // bytes of the source that it took
};

// Expands what `rest` begins with (a '$').
[[nodiscard]] Expansion expand_dollar(Session& session, std::string_view rest, int depth = 0);

// Expands all of `text` as between double quotes. With `platform`, `$(NAME)` is a variable too, as
// Kubernetes has it.
[[nodiscard]] Expansion expand_text(Session& session, std::string_view text, bool platform,
                                    int depth = 0);

// `$((text))`: + - * / % and parentheses over 64-bit integers; none where a name is not known, the
// text is not arithmetic, or a result does not fit.
[[nodiscard]] std::optional<std::int64_t> evaluate_arithmetic(Session& session,
                                                              std::string_view text);

// True where `text` holds a placeholder that a person is meant to fill in: {name}, {{ name }},
// or, being all of the text, <name>; also %NAME% and "...".
[[nodiscard]] bool has_placeholder(std::string_view text);

// The length of a <placeholder> at the start of `text`, 0 when it is none (a redirection, say).
[[nodiscard]] std::size_t angle_placeholder_length(std::string_view text);

}  // namespace capsize::launch
