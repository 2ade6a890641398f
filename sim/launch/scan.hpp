// Walks through a text line by line and finds the first command with an entry point, past prose,
// comments and other commands, collecting the variables that the script sets on the way. Internal
// to sim/launch.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/launch/entry.hpp"
#include "sim/launch/session.hpp"

namespace capsize::launch {

struct ScanResult {
  std::optional<Found> found;
  std::size_t end = 0;                    // behind the command
  std::optional<std::size_t> open_quote;  // the first quote that nothing closes
  bool quote_is_fatal = false;            // it stands in the launch command itself
  std::optional<ShellWord> spoken;        // a whole command in quotes that is only mentioned
};

// `comments`: '#' begins a comment, as to a shell; else it is taken for a prompt where an entry
// point follows it. No `lines`: the text is one line of ASCII.
[[nodiscard]] ScanResult scan(Session& session, std::string_view text,
                              std::span<const LineStart> lines, std::size_t from, bool comments);

// Takes off the last argument what prose glued to it.
void tidy_tail(Session& session, Found& found);

}  // namespace capsize::launch
