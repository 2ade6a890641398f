// From pasted text to the words of one command: what a shell, a YAML list or a chat message wraps
// around a launch line is taken off. Knows no engine: the caller says which entry points count.
//
//   auto command = read_launch("TP=8 python -m sglang.launch_server --tp $TP  # start", entries);
//   command->args       -> {"--tp", "8"}
//   command->environment-> {{"TP", "8"}}
//
// Whatever had to be assumed (a missing backslash, a glued comma, a second command) is told in
// `notes`; a value that only the running shell could know is never invented.
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
  int column = 0;     // in characters, from 1; invisible characters do not count
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

// One entry point: the words that name it, in order, after the interpreter is taken off. "a.b" is
// named by `-m a.b` and by a path that ends in a/b.py; "name sub" by these console words, the first
// also as a path (/usr/bin/name). A trailing '*' in the last word matches any ending. Where two
// entries match the same words, the earlier one in the table counts.
struct EntryPoint {
  std::string_view words;
  EntryKind kind = EntryKind::server;
  std::string_view hint;  // what to tell about a wrapper or a foreign program
};

struct LaunchCommand {
  const EntryPoint* entry = nullptr;  // none when the text is only flags ("--tp 8 ...")
  std::vector<Word> args;             // what follows the entry point
  std::vector<EnvironmentVariable> environment;
  std::optional<std::string>
      image;                       // a container image named in the text, "lmsysorg/sglang:v0.5.18"
  std::vector<std::string> notes;  // what was assumed while reading, in plain sentences
};

// Reads the first launch command in `text`. `entries` must outlive the result. Errors: no launch
// line in it, an open quote, text over 1 MiB, a NUL byte or invalid UTF-8, no text at all; each
// with line and column and a way out.
[[nodiscard]] Result<LaunchCommand> read_launch(std::string_view text,
                                                std::span<const EntryPoint> entries);

// The same for words that a shell has already split (`capsize check -- python -m ...`). Every
// word is taken as it stands; only the entry point, prefixes and wrappers are taken off. A word
// that still holds `$NAME`, `${...}` or `$(...)`, or is a placeholder, is unknown. One single word
// that contains blanks is a whole line in quotes and is read as text.
[[nodiscard]] Result<LaunchCommand> read_launch_words(std::span<const std::string> words,
                                                      std::span<const EntryPoint> entries);

}  // namespace capsize
