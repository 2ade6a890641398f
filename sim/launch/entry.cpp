// Entry points and what stands in front of them; entry.hpp says what is recognised.
#include "sim/launch/entry.hpp"

#include <algorithm>
#include <array>

#include "sim/launch/words.hpp"

namespace capsize::launch {
namespace {

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == npos ? path : path.substr(slash + 1);
}

// A pattern of an entry point's words against one word; '*' at its end takes any ending.
bool matches(std::string_view word, std::string_view pattern) {
  if (!pattern.empty() && pattern.back() == '*') {
    pattern.remove_suffix(1);
    return word.starts_with(pattern);
  }
  return word == pattern;
}

// "-m", also in a cluster of Python's flags without values ("-um").
bool is_module_option(std::string_view word) {
  if (word == "-m" || word == "--module") return true;
  if (word.size() < 3 || word[0] != '-' || word.back() != 'm') return false;
  return word.find_first_not_of("uOBEsSIvqbdPi", 1) == word.size() - 1;
}

// Whether `path` is the file of the dotted module `pattern`: ".../a/b.py" for "a.b".
bool is_module_file(std::string_view path, std::string_view pattern) {
  if (!path.ends_with(".py") || pattern.find('.') == npos) return false;
  std::string file(pattern);
  std::replace(file.begin(), file.end(), '.', '/');
  const bool open_end = file.back() == '*';
  if (open_end) {
    file.pop_back();
  } else {
    file += ".py";
  }
  for (std::size_t at = path.find(file); at != npos; at = path.find(file, at + 1)) {
    const bool begins = at == 0 || path[at - 1] == '/';
    if (begins && (open_end || at + file.size() == path.size())) return true;
  }
  return false;
}

// Splits the next word off `rest`.
std::string_view take_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

// Whether the words from `at` on are the parts of `rest`, one each.
bool match_rest(std::span<const ShellWord> words, std::size_t at, std::string_view rest,
                std::size_t& count) {
  while (!rest.empty()) {
    const std::string_view part = take_word(rest);
    if (at + count >= words.size() || !matches(words[at + count].word.text, part)) return false;
    ++count;
  }
  return true;
}

// How many words from `at` on name `entry`; 0 when they do not.
std::size_t match_entry(std::span<const ShellWord> words, std::size_t at, const EntryPoint& entry,
                        std::size_t first) {
  std::string_view rest = entry.words;
  const std::string_view head = take_word(rest);
  const std::string_view word = words[at].word.text;
  std::size_t count = 0;
  if (head.empty()) return 0;
  if (word.size() > 1 && word[0] == '-') {
    if (is_module_option(word) && at + 1 < words.size() && matches(words[at + 1].word.text, head)) {
      count = 2;
    } else if (word.starts_with("-m") && matches(word.substr(2), head)) {
      count = 1;
    }
  } else if (rest.empty() && !is_module_file(word, head)) {
    // One word without a sub-command: only where a command's name can stand, so that a mention as
    // an argument (`pip install name`) is none.
    const bool dotted = head.find('.') != npos;
    if (at == first && matches(dotted ? word : base_name(word), head)) count = 1;
  } else if (is_module_file(word, head) || matches(word, head) || matches(base_name(word), head)) {
    count = 1;
  }
  return count != 0 && match_rest(words, at, rest, count) ? count : 0;
}

bool is_one_of(std::string_view word, std::span<const std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// Options of `docker run` that stand alone; every other one takes a value.
bool is_container_switch(std::string_view option) {
  static constexpr std::array<std::string_view, 16> kSwitches = {"--rm",
                                                                 "--privileged",
                                                                 "--init",
                                                                 "--detach",
                                                                 "--interactive",
                                                                 "--tty",
                                                                 "--read-only",
                                                                 "--publish-all",
                                                                 "--no-healthcheck",
                                                                 "--oom-kill-disable",
                                                                 "--sig-proxy",
                                                                 "--nv",
                                                                 "--rocm",
                                                                 "--containall",
                                                                 "--cleanenv",
                                                                 "--writable-tmpfs"};
  if (option.starts_with("--")) return is_one_of(option, kSwitches);
  return option.find_first_not_of("itdPq", 1) == npos;
}

void add_assignment(Session& session, std::string_view text, bool known, Found& found) {
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  if (name.empty() || identifier_length(name) != name.size()) return;
  if (equals != npos) {
    set_environment(found.environment, name, text.substr(equals + 1), known);
    return;
  }
  // `-e NAME` hands on what NAME holds outside.
  const Variable* variable = session.find(name);
  if (variable != nullptr) {
    set_environment(found.environment, name, variable->value, variable->known);
  } else {
    set_environment(found.environment, name, "", false);
  }
}

// Reads the options behind `docker run` or `docker exec`; gives the index behind the image or
// container name.
std::size_t read_container(Session& session, std::span<const ShellWord> words, std::size_t at,
                           bool has_image, Found& found) {
  while (at < words.size()) {
    const std::string_view option = words[at].word.text;
    const bool known = words[at].word.known;
    if (option.size() < 2 || option[0] != '-') break;
    ++at;
    const std::size_t equals = option.find('=');
    if (option == "-e" || option == "--env") {
      if (at < words.size()) {
        add_assignment(session, words[at].word.text, words[at].word.known, found);
        ++at;
      }
    } else if (option.starts_with("--env=")) {
      add_assignment(session, option.substr(6), known, found);
    } else if (option.starts_with("-e") && option[2] != '=') {
      add_assignment(session, option.substr(2), known, found);
    } else if (equals == npos && !is_container_switch(option) && known) {
      ++at;
    }
  }
  if (at < words.size() && has_image && words[at].word.known) found.image = words[at].word.text;
  return std::min(at + 1, words.size());
}

// What the words in front of the entry point say about the environment and the image.
void read_prefix(Session& session, std::span<const ShellWord> words, Found& found) {
  static constexpr std::array<std::string_view, 5> kEngines = {"docker", "podman", "nerdctl",
                                                               "singularity", "apptainer"};
  for (std::size_t at = 0; at < words.size();) {
    const std::string_view word = words[at].word.text;
    if (is_one_of(base_name(word), kEngines)) {
      const bool file_images = word.ends_with("singularity") || word.ends_with("apptainer");
      std::size_t verb = at + 1;
      while (verb < words.size() && verb < at + 4 && words[verb].word.text != "run" &&
             words[verb].word.text != "exec") {
        ++verb;
      }
      if (verb < words.size() && verb < at + 4) {
        // What was set for the container engine itself does not reach the container.
        found.environment.clear();
        const bool has_image = file_images || words[verb].word.text == "run";
        at = read_container(session, words, verb + 1, has_image, found);
        continue;
      }
    }
    if (words[at].assigned != 0) add_assignment(session, word, words[at].word.known, found);
    ++at;
  }
}

// A quoted word that holds a whole command.
bool find_nested(Session& session, const ShellWord& word, Found& found, int depth) {
  if (depth >= kDeepestNesting || word.word.text.find_first_of(" \t\n") == std::string::npos ||
      find_mention(session.entries, word.word.text) == npos) {
    return false;
  }
  const Place place{word.word.line == 0 ? 1 : word.word.line, std::max(word.word.column, 1)};
  ShellReader reader(session, word.word.text, Locator(word.word.text, place));
  Command command;
  while (reader.next(command) == Status::command) {
    if (!only_mentions(command.words) && find_entry(session, command.words, found, depth + 1)) {
      return true;
    }
    absorb(session, command.words, !command.after_or);
  }
  return false;
}

// The words are copied: a command that turns out to be no server is looked at again.
void take_args(std::span<const ShellWord> words, std::size_t from, Found& found) {
  found.args.clear();
  found.tail_quoted = !words.empty() && words.back().quoted;
  found.args.reserve(words.size() - from);
  for (std::size_t at = from; at < words.size(); ++at) {
    found.args.push_back(words[at].word);
  }
}

void note_bare_module(Session& session, const ShellWord& word, std::size_t count,
                      const EntryPoint& entry) {
  if (count != 1 || entry.words != word.word.text || entry.words.find('.') == npos) return;
  session.notes.once(Remark::bare_module,
                     "\"" + word.word.text + "\" was read as python -m " + word.word.text);
}

// "A=1", "A+=1" with its value.
void absorb_assignment(Session& session, const ShellWord& word, bool certain) {
  const std::string_view text = word.word.text;
  const bool appends = text[word.assigned] == '+';
  const std::string_view name = text.substr(0, word.assigned);
  Variable variable;
  variable.value = text.substr(word.assigned + (appends ? 2 : 1));
  variable.known = word.word.known;
  if (appends) {
    session.append(name, variable, certain);
  } else {
    session.assign(name, std::move(variable), certain);
  }
}

}  // namespace

bool only_mentions(std::span<const ShellWord> words) {
  static constexpr std::array<std::string_view, 12> kTalkers = {
      "echo", "printf", "pkill",  "pgrep", "grep", "egrep",
      "ps",   "kill",   "logger", "pip",   "pip3", "log"};
  const std::size_t first = first_significant(words);
  return first < words.size() && is_one_of(words[first].word.text, kTalkers);
}

std::size_t first_significant(std::span<const ShellWord> words) {
  std::size_t first = 0;
  while (first < words.size() && !words[first].quoted &&
         is_prompt_or_keyword(words[first].word.text)) {
    ++first;
  }
  return first;
}

std::size_t find_mention(std::span<const EntryPoint> entries, std::string_view text,
                         std::size_t from) {
  std::size_t best = npos;
  for (const EntryPoint& entry : entries) {
    std::string_view rest = entry.words;
    std::string head(take_word(rest));
    if (!head.empty() && head.back() == '*') head.pop_back();
    if (head.empty()) continue;
    std::string_view sub = take_word(rest);
    if (!sub.empty() && sub.back() == '*') sub.remove_suffix(1);
    std::string file = head;
    std::replace(file.begin(), file.end(), '.', '/');
    for (const std::string& needle : {head, file}) {
      // Only what comes before the best so far can matter.
      const std::string_view window = text.substr(0, best == npos ? best : best + needle.size());
      for (std::size_t at = window.find(needle, from); at != npos && at < best;
           at = window.find(needle, at + 1)) {
        const std::size_t next = text.find_first_not_of(" \t\\\n", at + needle.size());
        if (!sub.empty() && (next == npos || !text.substr(next).starts_with(sub))) continue;
        best = at;
      }
      if (file == head) break;
    }
  }
  return best;
}

bool find_entry(Session& session, std::vector<ShellWord>& words, Found& found, int depth) {
  const std::size_t first = first_significant(words);
  std::size_t command_name = first;
  while (command_name < words.size() && words[command_name].assigned != 0) ++command_name;
  for (std::size_t at = 0; at < words.size(); ++at) {
    for (const EntryPoint& entry : session.entries) {
      const std::size_t count = match_entry(words, at, entry, command_name);
      if (count == 0) continue;
      found.entry = &entry;
      found.line = words[at].word.line;
      note_bare_module(session, words[at], count, entry);
      read_prefix(session, std::span(words).first(at), found);
      take_args(words, at + count, found);
      return true;
    }
    // What a variable is set to is not run where it is set. Ready-made words (line 0) lost the
    // quotes that would tell `A=1` from a script that begins so; there the script is looked for.
    const bool ready_made = words[at].word.line == 0;
    if (!ready_made && (words[at].assigned != 0 || !words[at].quoted)) continue;
    Found inner;
    if (!find_nested(session, words[at], inner, depth)) continue;
    read_prefix(session, std::span(words).first(at), found);
    for (const EnvironmentVariable& variable : inner.environment) {
      set_environment(found.environment, variable.name, variable.value, variable.known);
    }
    if (inner.image) found.image = inner.image;
    found.entry = inner.entry;
    found.args = std::move(inner.args);
    found.line = inner.line;
    found.tail_quoted = inner.tail_quoted;
    return true;
  }
  return false;
}

bool absorb(Session& session, std::span<const ShellWord> words, bool certain) {
  static constexpr std::array<std::string_view, 6> kOpening = {"if",    "case",  "for",
                                                               "while", "until", "select"};
  static constexpr std::array<std::string_view, 3> kClosing = {"fi", "esac", "done"};
  static constexpr std::array<std::string_view, 5> kDeclaring = {"export", "declare", "readonly",
                                                                 "local", "typeset"};
  if (words.empty()) return false;
  for (std::size_t at = 0; at <= first_significant(words) && at < words.size(); ++at) {
    if (is_one_of(words[at].word.text, kOpening)) ++session.conditional_depth;
    if (is_one_of(words[at].word.text, kClosing) && session.conditional_depth > 0) {
      --session.conditional_depth;
    }
  }
  certain = certain && session.conditional_depth == 0;
  std::size_t at = first_significant(words);
  bool exports = false;
  bool declares = false;
  if (at < words.size() && is_one_of(words[at].word.text, kDeclaring)) {
    declares = true;
    exports = words[at].word.text == "export";
    for (++at; at < words.size() && words[at].word.text.starts_with("-"); ++at) {
      exports = exports || words[at].word.text.find('x') != std::string::npos;
    }
  }
  const auto rest = words.subspan(std::min(at, words.size()));
  const bool all_assign = std::all_of(rest.begin(), rest.end(),
                                      [](const ShellWord& word) { return word.assigned != 0; });
  if (rest.empty() || (!declares && !all_assign)) return declares;
  for (const ShellWord& word : rest) {
    if (word.assigned != 0) absorb_assignment(session, word, certain);
    const std::string_view text = word.word.text;
    if (exports) session.export_name(text.substr(0, identifier_length(text)));
  }
  return true;
}

}  // namespace capsize::launch
