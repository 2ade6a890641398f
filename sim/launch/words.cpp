// The word splitter; words.hpp says what it is for. The common character costs one table look-up;
// everything else goes through special().
#include "sim/launch/words.hpp"

#include <algorithm>
#include <array>

namespace capsize::launch {
namespace {

constexpr std::array<bool, 256> special_characters() {
  std::array<bool, 256> table{};
  for (const char c : std::string_view(" \t\n'\"\\`$#;&|<>(){^")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}
constexpr std::array<bool, 256> kSpecial = special_characters();

constexpr bool is_special(char c) { return kSpecial[static_cast<unsigned char>(c)]; }

// "--x", or the dashes that a word processor makes of it: a flag is meant.
bool begins_like_flag(std::string_view text) {
  constexpr std::string_view kEnDash = "\u2013";
  constexpr std::string_view kEmDash = "\u2014";
  for (const std::string_view dash : {std::string_view("--"), kEnDash, kEmDash}) {
    if (text.starts_with(dash) && text.size() > dash.size() && is_letter(text[dash.size()])) {
      return true;
    }
  }
  return false;
}

std::string_view line_at(std::string_view text, std::size_t offset) {
  const std::size_t end = text.find('\n', offset);
  return text.substr(offset, end == std::string_view::npos ? end : end - offset);
}

// Whether only blanks stand between `offset` and the end of its line, which goes to `end`. Looks no
// further than the first character that is no blank.
bool is_line_end(std::string_view text, std::size_t offset, std::size_t& end) {
  while (offset < text.size() && is_blank(text[offset])) ++offset;
  end = offset;
  return offset >= text.size() || text[offset] == '\n';
}

// A placeholder or a brace list longer than this is none.
constexpr std::size_t kLongestBraces = 200;

bool is_number(std::string_view word) {
  return !word.empty() && word.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

void ShellReader::seek(std::size_t offset) {
  at_ = offset;
  in_word_ = false;
  glued_ = false;
  span_ticks_ = 0;
  open_brackets_ = 0;
  next_after_or_ = false;
  next_after_and_ = false;
}

Status ShellReader::next(Command& command) {
  command.words.clear();
  command.ending = Ending::text;
  command.begin = at_;
  command.after_or = std::exchange(next_after_or_, false);
  command.after_and = std::exchange(next_after_and_, false);
  command_ = &command;
  constexpr std::size_t kUsualWords = 40;
  command.words.reserve(kUsualWords);
  const std::size_t first = at_;
  Step step = Step::word;
  while (at_ < text_.size() && step == Step::word) {
    const std::size_t start = at_;
    while (at_ < text_.size() && !is_special(text_[at_])) ++at_;
    if (at_ > start) {
      begin_word(start);
      current_.word.text.append(text_, start, at_ - start);
    }
    if (at_ < text_.size()) step = special(text_[at_]);
    if (session_.exhausted()) return Status::exhausted;
  }
  if (!session_.charge(at_ - first)) return Status::exhausted;
  if (step == Step::open_quote) return Status::open_quote;
  finish_word();
  return command.words.empty() ? Status::end : Status::command;
}

ShellReader::Step ShellReader::special(char c) {
  switch (c) {
    case ' ':
    case '\t':
      finish_word();
      ++at_;
      return Step::word;
    case '\n': return newline();
    case '\'': return single_quote();
    case '"': return double_quote();
    case '\\': return backslash();
    case '`': return backtick();
    case '$': return dollar();
    case '{': brace(); return Step::word;
    case '#': comment(); return Step::word;
    case '(':
    case ')': return bracket(c);
    case '<':
    case '>': return redirection();
    case ';':
    case '&':
    case '|': return separator(c);
    default: break;
  }
  // '^' ends a line of cmd.exe; anywhere else it is a character like others.
  std::size_t end = 0;
  if (!in_word_ && is_line_end(text_, at_ + 1, end) && end < text_.size()) {
    session_.notes.once(Remark::other_continuation,
                        "line " + at_line() + " ends in '^', read as a continued line");
    at_ = end + 1;
    glued_ = true;
    return Step::word;
  }
  begin_word(at_);
  current_.word.text += c;
  ++at_;
  return Step::word;
}

void ShellReader::begin_word(std::size_t offset) {
  if (in_word_) return;
  in_word_ = true;
  may_be_placeholder_ = false;
  glued_ = false;
  word_offset_ = offset;
  if (command_->words.empty()) command_->begin = offset;
  // A '=' that quotes or variables come before does not make an assignment, so only the part that
  // stands here plainly is looked at.
  const char c = text_[offset];
  if (c != '_' && !is_letter(c)) return;
  const std::string_view rest = text_.substr(offset);
  const std::size_t length = identifier_length(rest);
  const std::string_view behind = rest.substr(length);
  if (behind.starts_with("=") || behind.starts_with("+=")) {
    current_.assigned = static_cast<std::uint32_t>(length);
  }
}

void ShellReader::finish_word() {
  if (!in_word_) return;
  in_word_ = false;
  Word& word = current_.word;
  constexpr std::string_view kMayBegin = ".%<\u2026";
  if (may_be_placeholder_ ||
      (!word.text.empty() && kMayBegin.find(word.text[0]) != std::string_view::npos)) {
    word.known = word.known && !has_placeholder(word.text);
  }
  const Place place = locator_.at(word_offset_);
  word.line = place.line;
  word.column = place.column;
  if (current_.assigned != 0) {
    const std::string_view text = word.text;
    const std::size_t equals = text.find('=');
    session_.assign_in_front(text.substr(0, current_.assigned), text.substr(equals + 1),
                             word.known);
  }
  command_->words.push_back(std::move(current_));
  current_ = ShellWord{};
}

ShellReader::Step ShellReader::backslash() {
  const char next = peek();
  if (next == '\n') {
    at_ += 2;
    glued_ = true;
    return Step::word;
  }
  std::size_t end = 0;
  if (is_line_end(text_, at_ + 1, end)) {
    if (end < text_.size()) {
      session_.notes.once(Remark::blanks_after_backslash,
                          "line " + at_line() +
                              " has blanks behind its backslash: a shell would end the command "
                              "there; it was read as a continued line");
    }
    finish_word();
    at_ = std::min(text_.size(), end + 1);
    glued_ = true;
    return Step::word;
  }
  begin_word(at_);
  current_.quoted = true;
  current_.word.text += next;
  at_ += 2;
  return Step::word;
}

ShellReader::Step ShellReader::single_quote() {
  const std::size_t end = text_.find('\'', at_ + 1);
  quote_offset_ = at_;
  if (end == std::string_view::npos) return Step::open_quote;
  begin_word(at_);
  current_.quoted = true;
  const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
  may_be_placeholder_ = may_be_placeholder_ || inside.find('{') != std::string_view::npos;
  current_.word.text += inside;
  at_ = end + 1;
  return Step::word;
}

ShellReader::Step ShellReader::ansi_quote() {
  const std::size_t open = at_;
  begin_word(at_);
  current_.quoted = true;
  for (at_ += 2; at_ < text_.size() && text_[at_] != '\''; ++at_) {
    char c = text_[at_];
    if (c == '\\' && at_ + 1 < text_.size()) {
      c = text_[++at_];
      if (c == 'n') c = '\n';
      if (c == 't') c = '\t';
    }
    current_.word.text += c;
  }
  quote_offset_ = open + 1;
  if (at_ >= text_.size()) return Step::open_quote;
  ++at_;
  return Step::word;
}

ShellReader::Step ShellReader::double_quote() {
  const std::size_t open = at_;
  begin_word(at_);
  current_.quoted = true;
  bool only_array = false;
  ++at_;
  while (at_ < text_.size() && text_[at_] != '"') {
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' && text_[at_] != '$') {
      ++at_;
    }
    const std::string_view plain = text_.substr(start, at_ - start);
    may_be_placeholder_ = may_be_placeholder_ || plain.find('{') != std::string_view::npos;
    current_.word.text += plain;
    if (at_ >= text_.size()) break;
    if (text_[at_] == '\\') {
      const char next = peek();
      constexpr std::string_view kEscaped = "\"\\$`";
      if (kEscaped.find(next) == std::string_view::npos && next != '\n') {
        current_.word.text += '\\';
      }
      if (next != '\n' && next != '\0') current_.word.text += next;
      at_ = std::min(text_.size(), at_ + 2);
    } else if (text_[at_] == '$') {
      const std::size_t before = command_->words.size();
      const bool alone = at_ == open + 1;
      expand_here(true);
      // "${A[@]}" alone in its quotes leaves no word behind when the array is empty.
      only_array = alone && !in_word_;
      if (!in_word_ && (command_->words.size() != before || only_array) && peek(0) != '"') {
        begin_word(at_);
      }
    }
    if (session_.exhausted()) return Step::word;
  }
  quote_offset_ = open;
  if (at_ >= text_.size()) return Step::open_quote;
  ++at_;
  if (!in_word_ && !only_array) begin_word(at_ - 1);
  return Step::word;
}

ShellReader::Step ShellReader::dollar() {
  if (peek() == '\'') return ansi_quote();
  if (peek() == '"') {
    ++at_;
    return double_quote();
  }
  expand_here(false);
  return Step::word;
}

void ShellReader::note_hidden_words(std::string_view text) {
  session_.notes.once(
      Remark::array_hides_flags,
      "what \"" + std::string(text) + "\" stands for is not in this text: it may hide flags");
}

// Puts what a '$' stands for into the current word, or makes several words of it.
void ShellReader::expand_here(bool quoted) {
  const std::size_t offset = at_;
  const Expansion value = expand_dollar(session_, text_.substr(at_));
  at_ += value.length;
  if (value.array != nullptr) {
    append_items(*value.array, quoted);
    return;
  }
  if (!session_.charge_expansion(value.known ? value.text.size() : 0)) return;
  if (!value.known) {
    begin_word(offset);
    current_.word.known = false;
    current_.word.text += value.text;
    if (value.hides_words) note_hidden_words(value.text);
    return;
  }
  if (quoted || (in_word_ && current_.assigned != 0) ||
      value.text.find_first_of(" \t\n") == std::string::npos) {
    if (!value.text.empty() || quoted) begin_word(offset);
    current_.word.text += value.text;
    return;
  }
  append_split(value.text);
}

// An unquoted value falls into words at its blanks.
void ShellReader::append_split(std::string_view value) {
  const std::size_t offset = in_word_ ? word_offset_ : at_ - 1;
  for (const char c : value) {
    if (is_blank(c) || c == '\n') {
      if (in_word_ && !session_.charge_expansion(sizeof(ShellWord))) return;
      finish_word();
      continue;
    }
    if (!in_word_) {
      begin_word(offset);
      current_.assigned = 0;
    }
    current_.word.text += c;
  }
}

void ShellReader::append_items(const Variable& array, bool quoted) {
  const std::size_t offset = at_ - 1;
  bool first = true;
  for (const Word& item : array.items) {
    if (!session_.charge_expansion(item.text.size() + sizeof(ShellWord))) return;
    if (!first) finish_word();
    first = false;
    if (quoted || item.text.find_first_of(" \t\n") == std::string::npos) {
      begin_word(offset);
      current_.assigned = 0;
      current_.word.text += item.text;
    } else {
      append_split(item.text);
    }
    current_.word.known = current_.word.known && item.known;
  }
  // In quotes begin_word() came before: take the empty word back.
  if (array.items.empty() && in_word_ && current_.word.text.empty()) {
    in_word_ = false;
    current_ = ShellWord{};
  }
}

void ShellReader::brace() {
  begin_word(at_);
  may_be_placeholder_ = true;
  // "{{ .Values.tp }}" is one word to its author, whatever blanks it holds.
  if (peek() == '{') {
    const std::string_view line = line_at(text_.substr(0, at_ + kLongestBraces), at_);
    const std::size_t end = line.find("}}");
    if (end != std::string_view::npos && has_placeholder(line.substr(0, end + 2))) {
      current_.word.text += line.substr(0, end + 2);
      at_ += end + 2;
      return;
    }
  }
  // {1,2,4} and {1..8} are lists to bash. They are told, not expanded.
  const std::string_view inside = line_at(text_.substr(0, at_ + kLongestBraces), at_ + 1);
  const std::size_t end = inside.find_first_of("} \t'\"");
  if (end != std::string_view::npos && inside[end] == '}') {
    const std::string_view list = inside.substr(0, end);
    if (list.find(',') != std::string_view::npos || list.find("..") != std::string_view::npos) {
      current_.word.known = false;
      session_.notes.once(Remark::brace_list, "\"{" + std::string(list) +
                                                  "}\" is a list that a shell would spell out; "
                                                  "it was not expanded");
    }
  }
  current_.word.text += '{';
  ++at_;
}

void ShellReader::comment() {
  if (in_word_) {
    current_.word.text += '#';
    ++at_;
    return;
  }
  at_ += line_at(text_, at_).size();
  glued_ = true;
}

ShellReader::Step ShellReader::separator(char c) {
  if (c == '&' && peek() == '>') {  // &> file
    ++at_;
    return redirection();
  }
  finish_word();
  const bool twice = peek() == c;
  at_ += twice ? 2 : 1;
  if (command_->words.empty()) {
    command_->after_or = command_->after_or || (c == '|' && twice);
    command_->after_and = command_->after_and || (c == '&' && twice);
    return Step::word;
  }
  next_after_or_ = c == '|' && twice;
  next_after_and_ = c == '&' && twice;
  command_->ending = Ending::separator;
  return Step::done;
}

ShellReader::Step ShellReader::redirection() {
  if (text_[at_] == '<') {
    const std::size_t length = angle_placeholder_length(text_.substr(at_));
    if (length != 0) {
      begin_word(at_);
      current_.word.known = false;
      current_.word.text += text_.substr(at_, length);
      at_ += length;
      return Step::word;
    }
  }
  // The number in front of "2>" names a file descriptor and is no word.
  if (in_word_ && !current_.quoted &&
      current_.word.text.find_first_not_of("0123456789") == std::string::npos) {
    in_word_ = false;
    current_ = ShellWord{};
  }
  finish_word();
  while (at_ < text_.size() && (text_[at_] == '<' || text_[at_] == '>')) ++at_;
  if (peek(0) == '&' || peek(0) == '|' || peek(0) == '-') ++at_;
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  // The target is one more word, quotes and all.
  char quote = 0;
  for (; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == '\n') break;
    if (quote != 0) {
      if (c == quote) quote = 0;
      continue;
    }
    if (c == '\'' || c == '"') {
      quote = c;
    } else if (is_blank(c) || c == ';' || c == '&' || c == '|' || c == '<' || c == '>' ||
               c == ')' || c == '`') {
      break;
    }
  }
  return Step::word;
}

// NAME=( ... ): the items are read as words of their own.
bool ShellReader::array_assignment() {
  const std::string& text = current_.word.text;
  if (!in_word_ || current_.assigned == 0 || current_.quoted || text.back() != '=') return false;
  const bool appends = text[current_.assigned] == '+';
  const std::string name = text.substr(0, current_.assigned);
  in_word_ = false;
  current_ = ShellWord{};
  Command* outer = command_;
  Command items;
  command_ = &items;
  ++at_;
  bool closed = false;
  while (at_ < text_.size() && !closed && !session_.exhausted()) {
    const char c = text_[at_];
    if (c == ')') {
      closed = true;
    } else if (c == '\n') {
      finish_word();
      ++at_;
    } else if (c == '(' || c == ';' || c == '&' || c == '|' || c == '<' || c == '>') {
      break;
    } else if (is_special(c)) {
      if (special(c) == Step::open_quote) break;
    } else {
      begin_word(at_);
      current_.word.text += c;
      ++at_;
    }
  }
  finish_word();
  command_ = outer;
  if (!closed) return true;
  ++at_;
  Variable array;
  array.is_array = true;
  for (ShellWord& item : items.words) {
    // An unquoted name may stand for any number of words, so it leaves the count open.
    array.known = array.known && (item.word.known || item.quoted);
    array.items.push_back(std::move(item.word));
  }
  const bool certain = session_.conditional_depth == 0 && !outer->after_or && !outer->after_and;
  if (appends) {
    session_.append(name, array, certain);
  } else {
    session_.assign(name, std::move(array), certain);
  }
  return true;
}

ShellReader::Step ShellReader::bracket(char c) {
  if (c == '(' && array_assignment()) return Step::word;
  finish_word();
  ++at_;
  open_brackets_ += c == '(' ? 1 : -1;
  if (c == '(' && command_->words.empty()) return Step::word;
  if (command_->words.empty()) return Step::word;
  command_->ending = Ending::bracket;
  return Step::done;
}

// Backticks are Markdown around a command, or command substitution inside one, or, at the end of a
// line, PowerShell's continuation.
ShellReader::Step ShellReader::backtick() {
  std::size_t ticks = 1;
  while (peek(ticks) == '`') ++ticks;
  if (span_ticks_ != 0 && ticks >= span_ticks_) {
    finish_word();
    at_ += ticks;
    span_ticks_ = 0;
    if (command_->words.empty()) return Step::word;
    command_->ending = Ending::span;
    return Step::done;
  }
  std::size_t end = 0;
  const std::size_t close = text_.find('`', at_ + ticks);
  if (ticks == 1 && !in_word_ && !command_->words.empty() && is_line_end(text_, at_ + 1, end) &&
      end < text_.size()) {
    session_.notes.once(Remark::other_continuation,
                        "line " + at_line() + " ends in a backtick, read as a continued line");
    at_ = end + 1;
    glued_ = true;
    return Step::word;
  }
  if (close == std::string_view::npos) {  // nothing closes it: prose around the command
    finish_word();
    at_ += ticks;
    if (command_->words.empty()) return Step::word;
    session_.notes.once(Remark::glued_punctuation, "a backtick behind the command was left out");
    command_->ending = Ending::span;
    return Step::done;
  }
  const std::string_view inside = text_.substr(at_ + ticks, close - at_ - ticks);
  // Inside a command it is substitution; where a command could begin, Markdown.
  const bool substitutes =
      in_word_ || (!command_->words.empty() && begins_like_flag(command_->words.back().word.text));
  if (ticks == 1 && substitutes) {
    begin_word(at_);
    current_.word.known = false;
    current_.word.text += text_.substr(at_, inside.size() + 2);
    at_ = close + 1;
    return Step::word;
  }
  finish_word();
  at_ += ticks;
  span_ticks_ = ticks;
  if (command_->words.empty()) return Step::word;
  command_->ending = Ending::span;
  return Step::done;
}

// The offset of the next line that begins with a flag, looking past comments, and past empty lines
// where the line before asked for more; npos when something else comes first.
std::size_t ShellReader::next_flag_line() const {
  std::size_t at = at_ + 1;
  bool glued = glued_;
  while (at < text_.size()) {
    while (at < text_.size() && is_blank(text_[at])) ++at;
    if (at >= text_.size()) break;
    if (text_[at] == '#') {
      at += line_at(text_, at).size() + 1;
      glued = true;
      continue;
    }
    if (text_[at] == '\n') {
      if (!glued) break;
      ++at;
      continue;
    }
    return at;
  }
  return std::string_view::npos;
}

// Whether the command goes on at `next_line` although no backslash says so. `joins`: the last word
// was cut in two by the line break.
bool ShellReader::reads_on(std::size_t next_line, bool& joins) {
  const std::string_view rest = line_at(text_, next_line);
  const ShellWord& last = command_->words.back();
  const std::string& text = last.word.text;
  const bool option = text.starts_with("--") && !last.quoted;
  if (option && text.back() == '-' && is_letter(rest[0])) {
    joins = true;
    session_.notes.once(Remark::broken_option,
                        "the option that line " + at_line() +
                            " ends in is broken by the line break; its halves were joined");
    return true;
  }
  if (begins_like_flag(rest) || trim(rest) == "--") {
    session_.notes.once(Remark::missing_backslash,
                        "line " + at_line() +
                            " does not end in a backslash but the next flags follow: a shell "
                            "would end the command there; it was read on");
    return true;
  }
  if (option && text.size() > 2 && text.find('=') == std::string::npos) {
    const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view behind = trim(rest.substr(end));
    const std::string_view first = rest.substr(0, end);
    const bool value = begins_like_flag(behind) || (is_number(first) && behind.empty());
    if (value && !is_special(first[0])) {
      session_.notes.once(Remark::wrapped_value, "line " + at_line() +
                                                     " ends in an option whose value stands on "
                                                     "the next line; it was read on");
      return true;
    }
  }
  return false;
}

ShellReader::Step ShellReader::newline() {
  finish_word();
  if (command_->words.empty()) {
    ++at_;
    return Step::word;
  }
  bool joins = false;
  const std::size_t next_line = next_flag_line();
  if (next_line != std::string_view::npos && reads_on(next_line, joins)) {
    at_ = next_line;
    glued_ = false;
    if (joins) {
      current_ = std::move(command_->words.back());
      command_->words.pop_back();
      in_word_ = true;
    }
    return Step::word;
  }
  ++at_;
  command_->ending = Ending::newline;
  return Step::done;
}

bool is_prompt_or_keyword(std::string_view word) {
  static constexpr std::array<std::string_view, 26> kIgnored = {
      "$",      "%",      "#",       ">",       ">>>",  "*",     "-",     "+",     "\u2022",
      "\u279c", "\u276f", "\u03bb",  "{",       "}",    "!",     "do",    "then",  "else",
      "if",     "time",   "command", "builtin", "elif", "while", "until", "\u25b6"};
  if (std::find(kIgnored.begin(), kIgnored.end(), word) != kIgnored.end()) return true;
  const char last = word.empty() ? '\0' : word.back();
  return (last == '$' || last == '#' || last == '%') && word.find_first_of("@:~") != word.npos;
}

}  // namespace capsize::launch
