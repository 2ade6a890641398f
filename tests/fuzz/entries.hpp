// What is fuzzed: bytes from anywhere, through the code that reads and judges them. The fuzzers
// (launch_line_fuzz.cpp, plan_fuzz.cpp) and the test that replays their findings (replay_test.cpp)
// call the same functions.
//
// A function returns what went wrong, in a sentence; nothing where all promises held. A crash, a
// leak and a run past the limit are the fuzzer's own findings.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace capsize::fuzz {

// The first byte selects the rules label (its value modulo the number of labels: '0' to '3'), the
// rest is launch text as pasted. It is read, judged with repairs, told as JSON and as text, and
// lowered to a plan.
[[nodiscard]] std::optional<std::string> try_launch_line(std::string_view bytes);

// The bytes are a plan file. What can be read is judged, told, explained and written; what was
// written must be read again and be written the same way.
[[nodiscard]] std::optional<std::string> try_plan(std::string_view bytes);

}  // namespace capsize::fuzz
