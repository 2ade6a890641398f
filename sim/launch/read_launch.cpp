// The two doors of the reader: checks the bytes, then tries the forms in which a launch is pasted
// (shell text, container files, word lists, a commented-out command, a quoted one, flags alone)
// until one of them gives an entry point.
#include <algorithm>
#include <cstring>

#include "sim/launch/blocks.hpp"
#include "sim/launch/entry.hpp"
#include "sim/launch/scan.hpp"
#include "sim/launch/words.hpp"
#include "sim/utf8.hpp"

namespace capsize {
namespace {

using namespace launch;

// True for text of plain ASCII without control characters that clean() would act on.
bool is_plain(std::string_view text) {
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t chunk = 0;
    std::memcpy(&chunk, text.data() + at, 8);
    if ((chunk & 0x8080808080808080ULL) != 0) return false;
  }
  for (; at < text.size(); ++at) {
    if ((static_cast<unsigned char>(text[at]) & 0x80U) != 0) return false;
  }
  return text.find('\r') == npos && text.find('\x1b') == npos;
}

std::optional<Error> check_bytes(std::string_view text, bool plain) {
  if (text.size() > kLongestText) {
    return Error{"line 1, column 1",
                 "the text is " + std::to_string(text.size()) + " bytes long, the limit is 1 MiB",
                 "paste only the launch command"};
  }
  if (const std::size_t at = text.find('\0'); at != npos) {
    return Error{place_text(Locator(text).at(at)), "a NUL byte",
                 "save the text as plain UTF-8 (UTF-16 has a NUL in every other byte)"};
  }
  if (text.find_first_not_of(" \t\r\n") == npos) {
    return Error{"line 1, column 1", "the text is empty",
                 "paste the launch command, or only its flags"};
  }
  for (std::size_t at = 0; at < text.size() && !plain;) {
    const std::size_t length = character_length(text.substr(at));
    if (length == 0) {
      return Error{place_text(Locator(text).at(at)), "a byte that is not UTF-8",
                   "save the text as UTF-8"};
    }
    at += length;
  }
  return std::nullopt;
}

// Reads one text in every form; lives as long as one call.
class LaunchReader {
 public:
  explicit LaunchReader(std::span<const EntryPoint> entries)
      : entries_(entries), session_(entries) {}

  Result<LaunchCommand> read(std::string_view text, bool plain) {
    // One plain line is by far the most frequent and needs no cleaning.
    const bool one_line = text.find('\n') == npos;
    if (one_line && plain && text[0] != '+' && text[0] != '>' && text[0] != '`') {
      text_ = text;
    } else {
      cleaned_ = clean(session_.notes, text, false);
      text_ = cleaned_.text;
      lines_ = cleaned_.lines;
    }
    if (one_line ? (read_shell(text_.size(), true) || read_lists())
                 : (read_lists() || read_shell(text_.size(), true))) {
      return finish();
    }
    if (session_.exhausted()) return tangled();
    if (fatal_quote_) return open_quote();
    if (read_commented(text) || read_spoken() || read_flags()) return finish();
    if (session_.exhausted()) return tangled();
    if (open_quote_) return open_quote();
    return nothing_found();
  }

 private:
  // Shell text up to `limit`.
  bool read_shell(std::size_t limit, bool comments) {
    const std::string_view part = text_.substr(0, limit);
    ScanResult result = scan(session_, part, lines_, 0, comments);
    if (result.spoken && !spoken_) spoken_ = std::move(result.spoken);
    if (!result.found) {
      if (limit == text_.size() && comments) {
        open_quote_ = result.open_quote;
        fatal_quote_ = result.quote_is_fatal;
      }
      return false;
    }
    take(std::move(*result.found));
    note_second(result.end, comments);
    return true;
  }

  void take(Found found) {
    command_.entry = found.entry;
    command_.args = std::move(found.args);
    command_.environment = session_.exported();
    if (command_.environment.empty()) {
      command_.environment = std::move(found.environment);
    } else {
      for (const EnvironmentVariable& variable : found.environment) {
        set_environment(command_.environment, variable.name, variable.value, variable.known);
      }
    }
    command_.image = std::move(found.image);
  }

  // A second command behind the first is told, not read.
  void note_second(std::size_t from, bool comments) {
    from = std::min(from, text_.size());
    if (trim(text_.substr(from)).empty() || find_mention(entries_, text_, from) == npos) return;
    Session aside(entries_);
    const ScanResult result = scan(aside, text_, lines_, from, comments);
    if (!result.found || result.found->args.empty()) return;
    note_second_line(result.found->line);
  }

  void note_second_line(int line) {
    session_.notes.once(Remark::second_command, "another launch command stands on line " +
                                                    std::to_string(line) +
                                                    "; only the first one was read");
  }

  // Container files, and lists of words in JSON, Python or YAML.
  bool read_lists() {
    const bool lines = text_.find('\n') != npos;
    if (!lines && text_.find('[') == npos && text_.find(':') == npos) return false;
    Session trial(entries_);
    std::vector<Container> containers = read_containers(trial, text_);
    if (try_containers(containers)) return true;
    if (text_.find('[') == npos) return false;
    containers = read_flow_lists(trial, text_);
    return try_containers(containers);
  }

  bool try_containers(const std::vector<Container>& containers) {
    constexpr std::size_t kMostTried = 64;  // each is placed anew, from the start of the text
    for (std::size_t at = 0; at < std::min(containers.size(), kMostTried); ++at) {
      const Container& container = containers[at];
      Session trial(entries_);
      std::vector<ShellWord> words;
      if (!words_of(trial, container, words)) continue;
      if (!words.empty() && words.front().word.text.starts_with("--") && flag_list_.empty()) {
        flag_list_ = words;
        flag_image_ = container.image;
      }
      Found found;
      if (!find_entry(trial, words, found)) continue;
      // A command in plain shell text before the file comes first.
      if (find_mention(entries_, text_.substr(0, container.begin)) != npos &&
          read_shell(container.begin, true)) {
        return true;
      }
      take_container(trial, container, std::move(found));
      for (std::size_t next = at + 1; next < std::min(containers.size(), kMostTried); ++next) {
        Found second;
        Session aside(entries_);
        if (words_of(aside, containers[next], words) && find_entry(aside, words, second)) {
          note_second_line(second.line);
          break;
        }
      }
      return true;
    }
    return false;
  }

  void take_container(Session& trial, const Container& container, Found found) {
    std::vector<EnvironmentVariable> environment;
    for (const auto& [name, value] : container.environment) {
      const Expansion text = expand_text(session_, value, true);
      set_environment(environment, name, text.text, text.known);
    }
    for (const EnvironmentVariable& variable : found.environment) {
      set_environment(environment, variable.name, variable.value, variable.known);
    }
    found.environment = std::move(environment);
    if (!found.image) found.image = container.image;
    take(std::move(found));
    for (std::string& note : trial.notes.take()) extra_notes_.push_back(std::move(note));
  }

  // The words that a container starts with: entrypoint, command, args, in this order.
  bool words_of(Session& trial, const Container& container, std::vector<ShellWord>& words) {
    words.clear();
    for (const auto& [name, value] : container.environment) {
      Variable variable;
      variable.value = value;
      variable.known = value.find('$') == std::string::npos;
      trial.assign(name, std::move(variable), true);
    }
    Locator locator(text_, lines_);
    const auto is_quoted = [](const Scalar& item) { return item.quoted; };
    for (const Node* node : {&container.entrypoint, &container.command, &container.args}) {
      const bool all_plain = std::none_of(node->items.begin(), node->items.end(), is_quoted);
      for (const Scalar& item : node->items) {
        const Place place = locator.at(item.offset);
        const bool script = !words.empty() && is_script_option(words.back().word.text);
        if (!node->is_list && !script) {
          if (trim(item.text).ends_with('\\')) return false;  // shell text behind a label
          add_text(trial, item, place, words);
          continue;
        }
        ShellWord word;
        word.quoted = true;
        word.word.line = place.line;
        word.word.column = place.column;
        set_literal(trial, item, script, word);
        if (container.expressions && !item.quoted && !all_plain && !is_number(item.text)) {
          word.word.known = false;
        }
        words.push_back(std::move(word));
      }
    }
    return !words.empty();
  }

  static bool is_number(std::string_view text) {
    return text.find_first_not_of("0123456789.") == npos;
  }

  // "-c", "-lc": the next word is a script.
  static bool is_script_option(std::string_view word) {
    return word.size() > 1 && word[0] == '-' && word[1] != '-' && word.back() == 'c';
  }

  static void set_literal(Session& trial, const Scalar& item, bool script, ShellWord& word) {
    if (script) {  // its variables are the inner shell's to fill in
      word.word.text = item.text;
      return;
    }
    Expansion text = expand_text(trial, item.text, true);
    word.word.text = std::move(text.text);
    word.word.known = text.known && !has_placeholder(word.word.text);
  }

  // A text value: words by the shell's rules, or, being several commands, a script.
  static void add_text(Session& trial, const Scalar& item, Place place,
                       std::vector<ShellWord>& words) {
    ShellReader reader(trial, item.text, Locator(item.text, place));
    Command command;
    if (reader.next(command) == Status::command &&
        trim(std::string_view(item.text).substr(reader.position())).empty()) {
      for (ShellWord& word : command.words) words.push_back(std::move(word));
      return;
    }
    ShellWord script;
    script.quoted = true;
    script.word.text = item.text;
    script.word.line = place.line;
    script.word.column = place.column;
    words.push_back(std::move(script));
  }

  // "# python -m ...": a root prompt, or a command that was commented out.
  bool read_commented(std::string_view original) {
    if (text_.find('#') == npos || find_mention(entries_, text_) == npos) return false;
    const std::string kept_text(text_);
    CleanText kept = std::move(cleaned_);
    Notes notes;
    cleaned_ = clean(notes, original, true);
    text_ = cleaned_.text;
    lines_ = cleaned_.lines;
    if (read_shell(text_.size(), false)) {
      session_.notes.once(Remark::root_prompt,
                          "a '#' in front of the command was taken for a prompt");
      return true;
    }
    cleaned_ = std::move(kept);
    cleaned_.text = kept_text;
    text_ = cleaned_.text;
    lines_ = cleaned_.lines;
    return false;
  }

  // A command that the text only holds in quotes: an echo, a variable that nothing uses.
  bool read_spoken() {
    if (!spoken_) return false;
    if (spoken_->assigned != 0) {
      spoken_->word.text.erase(0, spoken_->word.text.find('=') + 1);
      spoken_->assigned = 0;
    }
    spoken_->quoted = true;
    std::vector<ShellWord> words{std::move(*spoken_)};
    Found found;
    if (!find_entry(session_, words, found)) return false;
    take(std::move(found));
    session_.notes.once(Remark::quoted_command,
                        "the command stands in quotes and the text does not run it; it was read");
    return true;
  }

  // Flags alone: the first word begins with '-'.
  bool read_flags() {
    if (!flag_list_.empty()) {
      for (ShellWord& word : flag_list_) command_.args.push_back(std::move(word.word));
      command_.image = flag_image_;
      return true;
    }
    std::string text(text_);
    hide_bullets(text);
    ShellReader reader(session_, text, Locator(text, lines_));
    Command command;
    const Status status = reader.next(command);
    if (status == Status::open_quote) {
      open_quote_ = reader.quote_offset();
      return false;
    }
    if (status != Status::command) return false;
    const std::size_t first = first_significant(command.words);
    if (first >= command.words.size()) return false;
    const std::string_view word = command.words[first].word.text;
    if (word.size() < 2 || word[0] != '-') return false;
    Found found;
    found.tail_quoted = command.words.back().quoted;
    for (std::size_t at = first; at < command.words.size(); ++at) {
      found.args.push_back(std::move(command.words[at].word));
    }
    if (command.ending != Ending::separator && !found.tail_quoted) tidy_tail(session_, found);
    command_.args = std::move(found.args);
    return true;
  }

  // "- --tp 8" line by line is a list of flags to its author: the bullets become blanks.
  void hide_bullets(std::string& text) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t first = text.find_first_not_of(" \t", begin);
      if (first == std::string::npos) break;
      const std::size_t next = text.find_first_not_of(" \t", first + 1);
      const bool bullet = text[first] == '-' || text[first] == '*' || text[first] == '+';
      if (bullet && next != std::string::npos && next > first + 1 && text[next] == '-') {
        text[first] = ' ';
        session_.notes.once(Remark::bullet_list, "bullets in front of the flags were left out");
      }
      const std::size_t end = text.find('\n', begin);
      if (end == std::string::npos) break;
      begin = end + 1;
    }
  }

  Result<LaunchCommand> finish() {
    if (session_.exhausted()) return tangled();
    command_.notes = session_.notes.take();
    for (std::string& note : extra_notes_) command_.notes.push_back(std::move(note));
    return std::move(command_);
  }

  Result<LaunchCommand> open_quote() {
    const Place place = Locator(text_, lines_).at(*open_quote_);
    const char quote = text_[std::min(*open_quote_, text_.size() - 1)];
    return tl::unexpected(Error{place_text(place),
                                std::string("the quote ") + quote + " is never closed",
                                "close it, or put a backslash in front of it if it is meant"});
  }

  Result<LaunchCommand> tangled() {
    return tl::unexpected(Error{"line 1, column 1",
                                "the text grows past 1 MiB when its variables are filled in, or "
                                "its quotes and brackets nest too wildly",
                                "paste only the launch command"});
  }

  Result<LaunchCommand> nothing_found() {
    std::string known;
    for (const EntryPoint& entry : entries_) {
      if (entry.kind != EntryKind::server && entry.kind != EntryKind::serve) continue;
      if (!known.empty()) known += " or ";
      known += entry.words;
    }
    const std::size_t first = std::min(text_.find_first_not_of(" \t\n;"), text_.size());
    return tl::unexpected(Error{
        place_text(Locator(text_, lines_).at(first)), "no launch command was found in the text",
        "paste a command that starts " + (known.empty() ? std::string("the server") : known) +
            ", or only its flags"});
  }

  std::span<const EntryPoint> entries_;
  Session session_;
  CleanText cleaned_;
  std::string_view text_;
  std::span<const LineStart> lines_;
  LaunchCommand command_;
  std::optional<ShellWord> spoken_;
  std::vector<ShellWord> flag_list_;
  std::optional<std::string> flag_image_;
  std::vector<std::string> extra_notes_;
  std::optional<std::size_t> open_quote_;
  bool fatal_quote_ = false;
};

std::optional<Error> check_words(std::span<const std::string> words) {
  std::size_t bytes = 0;
  for (std::size_t at = 0; at < words.size(); ++at) {
    bytes += words[at].size();
    const std::string where = "word " + std::to_string(at + 1);
    if (words[at].empty()) continue;
    auto error = check_bytes(words[at], is_plain(words[at]));
    if (error && words[at].find_first_not_of(" \t\r\n") != std::string::npos) {
      return std::move(*error).within(where);
    }
  }
  if (bytes > kLongestText) {
    return Error{"word 1", "the words are longer than 1 MiB together", "pass one launch command"};
  }
  if (bytes == 0) {
    return Error{"word 1", "there are no words", "pass a launch command, or only its flags"};
  }
  return std::nullopt;
}

ShellWord ready_made(Session& session, const std::string& text) {
  ShellWord word;
  word.word.text = text;
  const std::size_t name = identifier_length(text);
  if (name != 0 && name < text.size() && text[name] == '=') {
    word.assigned = static_cast<std::uint32_t>(name);
  }
  for (std::size_t at = text.find('$'); at != npos; at = text.find('$', at + 1)) {
    const Expansion value = expand_dollar(session, std::string_view(text).substr(at));
    if (!value.known || value.length > 1) {
      word.word.known = false;
      break;
    }
  }
  if (has_placeholder(text)) word.word.known = false;
  return word;
}

}  // namespace

Result<LaunchCommand> read_launch(std::string_view text, std::span<const EntryPoint> entries) {
  const bool plain = is_plain(text);
  if (auto error = check_bytes(text, plain)) return tl::unexpected(std::move(*error));
  return LaunchReader(entries).read(text, plain);
}

Result<LaunchCommand> read_launch_words(std::span<const std::string> words,
                                        std::span<const EntryPoint> entries) {
  if (words.size() == 1 && words[0].find_first_of(" \t\n") != std::string::npos) {
    return read_launch(words[0], entries);
  }
  if (auto error = check_words(words)) return tl::unexpected(std::move(*error));
  Session session(entries);
  std::vector<ShellWord> split;
  split.reserve(words.size());
  for (const std::string& word : words) split.push_back(ready_made(session, word));
  LaunchCommand command;
  Found found;
  if (find_entry(session, split, found)) {
    command.entry = found.entry;
    command.args = std::move(found.args);
    command.environment = std::move(found.environment);
    command.image = std::move(found.image);
  } else if (words[0].size() > 1 && words[0][0] == '-') {
    for (ShellWord& word : split) command.args.push_back(std::move(word.word));
  } else {
    return tl::unexpected(Error{"word 1", "no launch command was found in the words",
                                "begin with the command that starts the server, or with a flag"});
  }
  if (session.exhausted()) {
    return tl::unexpected(Error{"word 1", "the words nest too wildly to be read",
                                "pass the launch command without its wrappers"});
  }
  command.notes = session.notes.take();
  return command;
}

}  // namespace capsize
