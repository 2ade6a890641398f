// Splits shell text into simple commands and their words: quotes, escapes, line continuations,
// comments, redirections, separators, variables. Where people's pasted text departs from what a
// shell would accept and the meaning is still plain, it reads on and leaves a note. Internal to
// sim/launch.
//
//   ShellReader reader(session, text, Locator(text));
//   Command command;
//   while (reader.next(command) == Status::command) { ... command.words ... }
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "sim/launch/expand.hpp"
#include "sim/launch/session.hpp"

namespace capsize::launch {

inline constexpr auto npos = std::string_view::npos;

// What a command ended at.
enum class Ending { text, newline, separator, bracket, span };

struct Command {
  std::vector<ShellWord> words;
  std::size_t begin = 0;
  Ending ending = Ending::text;
  bool after_or = false;   // stands behind `||`
  bool after_and = false;  // stands behind `&&`
};

enum class Status { command, end, open_quote, exhausted };

class ShellReader {
 public:
  ShellReader(Session& session, std::string_view text, Locator locator)
      : session_(session), text_(text), locator_(locator) {}

  // Reads the next command that has words.
  Status next(Command& command);

  void seek(std::size_t offset);
  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] Place place(std::size_t offset) { return locator_.at(offset); }
  // Below zero once more brackets were closed than opened.
  [[nodiscard]] int open_brackets() const { return open_brackets_; }
  // After Status::open_quote: where the quote stands.
  [[nodiscard]] std::size_t quote_offset() const { return quote_offset_; }

 private:
  enum class Step { word, done, open_quote };

  Step special(char c);
  Step backslash();
  Step single_quote();
  Step double_quote();
  Step ansi_quote();
  Step dollar();
  Step backtick();
  Step newline();
  Step bracket(char c);
  Step redirection();
  Step separator(char c);
  void brace();
  void comment();
  bool array_assignment();
  void expand_here(bool quoted);
  void append_split(std::string_view value);
  void append_items(const Variable& array, bool quoted);
  void begin_word(std::size_t offset);
  void finish_word();
  void note_hidden_words(std::string_view text);
  [[nodiscard]] bool reads_on(std::size_t next_line, bool& joins);
  [[nodiscard]] std::size_t next_flag_line() const;
  [[nodiscard]] std::string at_line() { return std::to_string(locator_.at(at_).line); }
  [[nodiscard]] char peek(std::size_t ahead = 1) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  Session& session_;
  std::string_view text_;
  Locator locator_;
  std::size_t at_ = 0;
  std::size_t quote_offset_ = 0;
  Command* command_ = nullptr;
  ShellWord current_;
  std::size_t word_offset_ = 0;
  bool in_word_ = false;
  bool may_be_placeholder_ = false;
  bool glued_ = false;          // the line before ended in a backslash or a comment
  std::size_t span_ticks_ = 0;  // length of the backtick run that opened a Markdown span
  int open_brackets_ = 0;
  bool next_after_or_ = false;
  bool next_after_and_ = false;
};

// True for shell keywords, bullets and prompts, which say nothing in front of a command.
[[nodiscard]] bool is_prompt_or_keyword(std::string_view word);

}  // namespace capsize::launch
