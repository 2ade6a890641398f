// Finds an entry point among the words of a command and takes off what stands in front of it:
// interpreters, wrappers, containers, remote shells, environment. Internal to sim/launch.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/launch/session.hpp"

namespace capsize::launch {

struct Found {
  const EntryPoint* entry = nullptr;
  std::vector<Word> args;
  std::vector<EnvironmentVariable> environment;  // in front of the command or given to a container
  std::optional<std::string> image;
  int line = 0;              // where the entry point stands
  bool tail_quoted = false;  // the last argument stood in quotes
};

// Looks for the first entry point in `words`, also inside a quoted word that holds a whole command
// (`bash -c "..."`, `ssh host '...'`). On success the words are moved into `found`.
[[nodiscard]] bool find_entry(Session& session, std::vector<ShellWord>& words, Found& found,
                              int depth = 0);

// True where the command only talks about commands (echo, grep, pkill ...).
[[nodiscard]] bool only_mentions(std::span<const ShellWord> words);

// The offset of the first text in `text` that names one of the entry points, or npos.
[[nodiscard]] std::size_t find_mention(std::span<const EntryPoint> entries, std::string_view text,
                                       std::size_t from = 0);

// The first word that is neither a prompt nor a shell keyword; words.size() when there is none.
[[nodiscard]] std::size_t first_significant(std::span<const ShellWord> words);

// Takes the variables that a command without an entry point sets (`A=1`, `export A=1`) into the
// session, and follows if/fi and the like. True when the command was of that kind.
bool absorb(Session& session, std::span<const ShellWord> words, bool certain);

}  // namespace capsize::launch
