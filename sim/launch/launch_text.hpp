// From pasted text to the words of one command: what a shell, a YAML list or a chat message wraps
// around a launch line is taken off. Knows no engine: the caller says which entry points count.
//
//   auto command = read_launch("TP=8 python -m sglang.launch_server --tp $TP  # start", entries);
//   command->args       -> {"--tp", "8"}
//   command->environment-> {{"TP", "8"}}
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/error.hpp"

namespace capsize {

// One word of a command after quotes, escapes and known variables are resolved.
struct Word {
  std::string text;
  bool known = true;  // false: holds something that only the shell could know, `text` as written
  int line = 0;       // place in the pasted text, from 1; 0 when the word came ready-made
  int column = 0;
};

struct EnvironmentVariable {
  std::string name;
  std::string value;
  bool known = true;
};

// How a program takes its arguments.
enum class EntryKind {
  server,   // the engine's own server parser
  serve,    // a sub-command form of the same parser (`sglang serve`)
  wrapper,  // another program that takes the engine's flags among its own
  foreign,  // a look-alike of another engine; recognised so that it can be told
};

// One entry point: the words that name it, in order, after the interpreter is taken off
// (`python -m X` is named by "X"; a console script by its words, "sglang serve").
// A trailing '*' in the last word matches any ending.
struct EntryPoint {
  std::string_view words;
  EntryKind kind = EntryKind::server;
  std::string_view hint;  // what to tell about a wrapper or a foreign program
};

struct LaunchCommand {
  const EntryPoint* entry = nullptr;  // none when the text is only flags ("--tp 8 ...")
  std::vector<Word> args;             // what follows the entry point
  std::vector<EnvironmentVariable> environment;
  std::optional<std::string> image;  // a container image named in the text, "lmsysorg/sglang:v0.5.18"
  std::vector<std::string> notes;    // what was assumed while reading, in plain sentences
};

// Reads the first launch command in `text`. Errors: no launch line in it, an open quote, text
// over 1 MiB, a NUL byte or invalid UTF-8; each with line and column and a way out.
[[nodiscard]] Result<LaunchCommand> read_launch(std::string_view text,
                                                std::span<const EntryPoint> entries);

// The same for words that a shell has already split (`capsize check -- python -m ...`). Every
// word is taken as it stands; only the entry point, prefixes and wrappers are taken off. A word
// that still holds `$NAME`, `${...}` or `$(...)` is unknown.
[[nodiscard]] Result<LaunchCommand> read_launch_words(std::span<const std::string> words,
                                                      std::span<const EntryPoint> entries);

}  // namespace capsize
