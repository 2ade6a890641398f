// Values as Python reads them: int(), float(), the engine's numbers with a suffix, json.loads;
// and texts as repr() prints them in argparse's messages. Internal to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/engines/sglang/flags/flags.hpp"

namespace capsize::sglang {

// int(text): blanks around it, a sign, digits (of any script) with single underscores between them.
[[nodiscard]] bool is_python_int(std::string_view text);
// The same number as str(int(text)) prints it. Only for a text that is_python_int() takes.
[[nodiscard]] std::string canonical_int(std::string_view text);
// float(text).
[[nodiscard]] bool is_python_float(std::string_view text);
// json.loads(text), or the stricter reader (orjson) of the engine's list type.
[[nodiscard]] bool is_json(std::string_view text, JsonReader reader);
// repr(text).
[[nodiscard]] std::string python_repr(std::string_view text);

// What the engine's parser says about one value; none when it takes the value. The text is
// argparse's message after "argument NAME: ".
[[nodiscard]] std::optional<std::string> refuse_value(const FlagRow& row, std::string_view value);

}  // namespace capsize::sglang
