// The walk through a pasted text; scan.hpp says what it looks for. Prose is not shell: an
// apostrophe in it would swallow the lines that follow. So only lines that can matter are given to
// the word splitter, and where prose stands in front of a command on its own line, the command is
// read from its interpreter on.
#include "sim/launch/scan.hpp"

#include <algorithm>
#include <array>

#include "sim/launch/words.hpp"

namespace capsize::launch {
namespace {

// The end of the line at `begin`, lines that a backslash continues included.
std::size_t logical_line_end(std::string_view text, std::size_t begin) {
  for (;;) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end == text.size()) return end;
    const std::string_view line = trim(text.substr(begin, end - begin));
    const bool comment = !line.empty() && line.front() == '#';
    const bool goes_on = !comment && !line.empty() && line.back() == '\\';
    if (!goes_on) return end;
    begin = end + 1;
  }
}

// True where a line that names no entry point still matters: it sets variables, branches, or
// begins a wrapper whose quoted command stands on later lines.
bool is_worth_reading(std::string_view line) {
  static constexpr std::array<std::string_view, 34> kBeginnings = {
      "export", "declare", "readonly", "local", "typeset", "if",   "fi",      "for",  "done",
      "case",   "esac",    "while",    "until", "then",    "else", "[",       "[[",   "test",
      "docker", "podman",  "nerdctl",  "ssh",   "bash",    "sh",   "kubectl", "srun", "mpirun",
      "sudo",   "env",     "eval",     "su",    "nohup",   "tmux", "screen"};
  for (line = trim(line); !line.empty();) {
    const std::size_t end = std::min(line.find_first_of(" \t\n;"), line.size());
    const std::string_view word = line.substr(0, end);
    const std::size_t name = identifier_length(word);
    if (name != 0 && name < word.size() && (word[name] == '=' || word.substr(name, 2) == "+=")) {
      return true;
    }
    if (std::find(kBeginnings.begin(), kBeginnings.end(), word) != kBeginnings.end()) return true;
    if (!is_prompt_or_keyword(word)) return false;
    line = trim(line.substr(end));
  }
  return false;
}

// Where the command that names an entry point at `mention` begins: back over the interpreter, its
// options and plain assignments, but not over prose.
std::size_t look_back(std::string_view text, std::size_t line_begin, std::size_t mention) {
  std::size_t begin = mention;
  while (begin > line_begin && !is_blank(text[begin - 1]) && text[begin - 1] != '\n') --begin;
  for (std::size_t at = begin; at > line_begin;) {
    while (at > line_begin && is_blank(text[at - 1])) --at;
    std::size_t start = at;
    while (start > line_begin && !is_blank(text[start - 1]) && text[start - 1] != '\n') --start;
    std::string_view word = text.substr(start, at - start);
    const std::size_t bracket = word.find_last_of("(`'\"");
    const std::size_t cut = bracket == npos ? 0 : bracket + 1;
    word.remove_prefix(cut);
    const std::size_t name = identifier_length(word);
    const bool assignment = name != 0 && name < word.size() && word[name] == '=';
    if (word.empty() || !(word[0] == '-' || word.find("python") != npos || assignment)) break;
    begin = start + cut;
    if (cut != 0) break;
    at = start;
  }
  return begin;
}

// Prose names entry points too ("python -m x with tp 8 fails"): no flag follows them there.
bool reads_like_prose(const Found& found) {
  if (found.args.empty()) return true;
  const Word& first = found.args.front();
  const std::string_view word = first.text;
  const auto is_flag = [](const Word& arg) { return arg.text.starts_with("-"); };
  return first.known && std::all_of(word.begin(), word.end(), is_letter) &&
         std::none_of(found.args.begin(), found.args.end(), is_flag);
}

class Scanner {
 public:
  Scanner(Session& session, std::string_view text, std::span<const LineStart> lines, bool comments)
      : session_(session),
        text_(text),
        reader_(session, text, lines.empty() ? Locator::of_plain_line(text) : Locator(text, lines)),
        comments_(comments),
        one_line_(text.find('\n') == npos) {}

  ScanResult run(std::size_t from) {
    for (std::size_t at = from; at < text_.size() && !session_.exhausted();) {
      const std::size_t end = one_line_ ? text_.size() : logical_line_end(text_, at);
      const std::string_view line = text_.substr(at, end - at);
      std::size_t mention = one_line_ ? at : find_mention(session_.entries, line);
      if (mention == npos && !is_worth_reading(line)) {
        at = end + 1;
        continue;
      }
      if (read_line(at, end) || result_.quote_is_fatal) break;
      const std::size_t behind = std::max(reader_.position(), at + 1);
      if (one_line_) mention = find_mention(session_.entries, line);
      if (mention != npos && read_from_mention(at, at + mention)) break;
      at = behind;
    }
    if (!result_.found && candidate_) {
      if (tidy_candidate_) tidy_tail(session_, *candidate_);
      result_.found = std::move(candidate_);
      result_.end = candidate_end_;
    }
    return std::move(result_);
  }

 private:
  // Keeps what was found; true when it is good enough to stop at.
  bool accept(Found& found, bool tidy) {
    if (reads_like_prose(found) && !candidate_) {
      candidate_ = std::move(found);
      tidy_candidate_ = tidy;
      candidate_end_ = reader_.position();
      return false;
    }
    if (reads_like_prose(found)) return false;
    if (candidate_) {
      session_.notes.once(Remark::prose_mention,
                          "what line " + std::to_string(candidate_->line) +
                              " says of a launch was taken for prose: no flag follows it");
    }
    if (tidy) tidy_tail(session_, found);
    result_.found = std::move(found);
    result_.end = reader_.position();
    return true;
  }

  bool accept_command(Command& command) {
    Found found;
    if (!find_entry(session_, command.words, found)) return false;
    seen_ = true;
    if (command.ending == Ending::bracket) note_bracket();
    const bool tidy = command.ending != Ending::separator && !found.tail_quoted;
    return accept(found, tidy);
  }

  void note_bracket() {
    const bool closed_too_much = reader_.open_brackets() < 0;
    if (closed_too_much) {
      session_.notes.once(Remark::glued_punctuation,
                          "a closing bracket behind the command was left out");
    } else if (reader_.position() > 0 && text_[reader_.position() - 1] == '(') {
      session_.notes.once(Remark::stopped_at_bracket, "the command was read up to a bracket");
    }
  }

  void remember_spoken(const Command& command) {
    if (result_.spoken) return;
    for (const ShellWord& word : command.words) {
      if (word.word.text.find(' ') == std::string::npos) continue;
      if (find_mention(session_.entries, word.word.text) == npos) continue;
      result_.spoken = word;
      return;
    }
  }

  // Reads the commands of one line; true when the launch is among them.
  bool read_line(std::size_t begin, std::size_t end) {
    reader_.seek(begin);
    seen_ = false;
    bool tested = false;
    do {
      const std::size_t mark = session_.notes.mark();
      session_.forget_in_front();
      const Status status = reader_.next(command_);
      if (status == Status::open_quote) return open_quote(begin, end);
      if (status != Status::command) return false;
      if (!only_mentions(command_.words) && accept_command(command_)) return true;
      remember_spoken(command_);
      const bool certain = !command_.after_or && !(command_.after_and && tested);
      tested = is_test(command_);
      if (!absorb(session_, command_.words, certain) && !seen_) session_.notes.roll_back(mark);
    } while (command_.ending != Ending::newline && command_.ending != Ending::text);
    return false;
  }

  static bool is_test(const Command& command) {
    const std::string_view word = command.words.front().word.text;
    return word == "[" || word == "[[" || word == "test";
  }

  // A quote that nothing closes. Where the launch command itself holds it the text cannot be read;
  // an apostrophe in prose only costs its own line.
  bool open_quote(std::size_t begin, std::size_t end) {
    if (!result_.open_quote) result_.open_quote = reader_.quote_offset();
    const std::size_t quote = reader_.quote_offset();
    const std::size_t mention = find_mention(session_.entries, text_, begin);
    const std::size_t physical = std::min(text_.find('\n', begin), text_.size());
    if (mention == npos) {
      reader_.seek(physical + 1);
      return false;
    }
    const std::size_t start = look_back(text_, begin, mention);
    const bool apostrophe = quote > begin && is_letter(text_[quote - 1]);
    if (mention < end && quote < start && apostrophe) {
      reader_.seek(physical + 1);
      return false;
    }
    result_.open_quote = quote;
    result_.quote_is_fatal = true;
    return false;
  }

  // Reads again from the interpreter on, when what stands in front of it kept the line from being
  // understood.
  bool read_from_mention(std::size_t begin, std::size_t mention) {
    if (seen_) return false;
    std::size_t line = mention;
    while (line > begin && text_[line - 1] != '\n') --line;
    const std::string_view head = text_.substr(line, mention - line);
    const std::size_t hash = head.find('#');
    const bool commented = hash != npos && (hash == 0 || is_blank(head[hash - 1]));
    if (comments_ && commented) return false;
    const std::string_view start = trim(text_.substr(begin, mention - begin));
    if (start.starts_with("echo") || start.starts_with("printf")) return false;
    const std::size_t before = reader_.position();
    reader_.seek(look_back(text_, line, mention));
    session_.forget_in_front();
    const std::size_t mark = session_.notes.mark();
    const Status status = reader_.next(command_);
    if (status == Status::command && accept_command(command_)) return true;
    if (status == Status::open_quote && !result_.spoken && mention == look_ahead(command_)) {
      result_.open_quote = reader_.quote_offset();
      result_.quote_is_fatal = true;
    }
    session_.notes.roll_back(mark);
    reader_.seek(before);
    return false;
  }

  // Where the words of a command that was cut short by an open quote name an entry point.
  std::size_t look_ahead(Command& command) {
    Found found;
    if (!find_entry(session_, command.words, found)) return npos;
    return find_mention(session_.entries, text_, command.begin);
  }

  Session& session_;
  std::string_view text_;
  ShellReader reader_;
  Command command_;
  ScanResult result_;
  std::optional<Found> candidate_;
  std::size_t candidate_end_ = 0;
  bool tidy_candidate_ = false;
  bool comments_;
  bool one_line_;
  bool seen_ = false;  // the line named an entry point, if only in prose
};

}  // namespace

ScanResult scan(Session& session, std::string_view text, std::span<const LineStart> lines,
                std::size_t from, bool comments) {
  session.conditional_depth = 0;
  return Scanner(session, text, lines, comments).run(from);
}

void tidy_tail(Session& session, Found& found) {
  static constexpr std::array<std::string_view, 15> kGlued = {
      ",", ".", "`", ";",      ":",      "!",      "?",     "**",
      "]", "}", ")", "\uff0c", "\u3002", "\uff1b", "\uff09"};
  if (found.args.empty()) return;
  std::string& text = found.args.back().text;
  if (text == "..." || text == "." || text == ".." || text == "\u2026") return;
  std::string_view rest = text;
  for (bool again = true; again && !rest.empty();) {
    again = false;
    for (const std::string_view mark : kGlued) {
      if (!rest.ends_with(mark)) continue;
      // A bracket that the word opens itself belongs to it, and "./.." ends in a path.
      if (mark == "]" && rest.find('[') != npos) continue;
      if (mark == "}" && rest.find('{') != npos) continue;
      if (mark == ")" && rest.find('(') != npos) continue;
      if (mark == "." && (rest.ends_with("/.") || rest.ends_with(".."))) continue;
      rest.remove_suffix(mark.size());
      again = true;
    }
  }
  if (rest.size() == text.size()) return;
  session.notes.once(Remark::glued_punctuation,
                     "\"" + text.substr(rest.size()) + "\" behind the last word was left out");
  text.resize(rest.size());
  if (text.empty()) found.args.pop_back();
}

}  // namespace capsize::launch
