// Names that a person mistyped: the known name that a slip of the finger explains, as a hint.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace capsize {

// The known name that a slip of the finger explains best; empty where none does.
[[nodiscard]] std::string_view nearest_name(std::string_view word,
                                            std::span<const std::string_view> known);

// "did you mean tp? known here: tp, dp", with as many names as fit a line. `known` is not empty.
[[nodiscard]] std::string hint_of_known(std::string_view word,
                                        std::span<const std::string_view> known);

}  // namespace capsize
