// Typography and line marks: what chat programs, terminals, diffs and Markdown put around or into
// the lines of a command.
#include <array>

#include "sim/launch/blocks.hpp"
#include "sim/launch/entry.hpp"

namespace capsize::launch {
namespace {

struct Typographic {
  std::string_view character;
  std::string_view plain;
};

// Dashes are missing on purpose: an engine's parser refuses them, so they stay.
constexpr std::array<Typographic, 34> kTypographic = {{
    {"\u201c", "\""}, {"\u201d", "\""}, {"\u201e", "\""}, {"\u201f", "\""}, {"\u2018", "'"},
    {"\u2019", "'"},  {"\u201a", "'"},  {"\u201b", "'"},  {"\u00a0", " "},  {"\u2000", " "},
    {"\u2001", " "},  {"\u2002", " "},  {"\u2003", " "},  {"\u2004", " "},  {"\u2005", " "},
    {"\u2006", " "},  {"\u2007", " "},  {"\u2008", " "},  {"\u2009", " "},  {"\u200a", " "},
    {"\u202f", " "},  {"\u205f", " "},  {"\u3000", " "},  {"\u2028", " "},  {"\u2029", " "},
    {"\u200b", ""},   {"\u200c", ""},   {"\u200d", ""},   {"\u2060", ""},   {"\ufeff", ""},
    {"\u00ad", ""},   {"\u200e", ""},   {"\u200f", ""},   {"\u00b4", "'"},
}};

const Typographic* typographic_at(std::string_view rest) {
  const auto lead = static_cast<unsigned char>(rest[0]);
  if (lead != 0xC2 && lead != 0xE2 && lead != 0xE3 && lead != 0xEF) return nullptr;
  for (const Typographic& entry : kTypographic) {
    if (rest.starts_with(entry.character)) return &entry;
  }
  return nullptr;
}

// The length of a terminal's colour code at the start of `rest`, 0 when there is none.
std::size_t escape_code_length(std::string_view rest) {
  if (rest.size() < 3 || rest[0] != '\x1b' || rest[1] != '[') return 0;
  std::size_t length = 2;
  while (length < rest.size() && (is_digit(rest[length]) || rest[length] == ';')) ++length;
  return length < rest.size() && is_letter(rest[length]) ? length + 1 : 0;
}

std::string plain_characters(Notes& notes, std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const std::string_view rest = text.substr(at);
    if (c == '\r') {
      if (rest.size() < 2 || rest[1] != '\n') plain += ' ';
      ++at;
    } else if (const std::size_t code = escape_code_length(rest); code != 0) {
      notes.once(Remark::escape_codes, "colour codes of a terminal were left out");
      at += code;
    } else if (const Typographic* found = typographic_at(rest); found != nullptr) {
      notes.once(Remark::typography,
                 "typographic quotes, blanks or invisible characters were read as plain ones");
      plain += found->plain;
      at += found->character.size();
    } else {
      plain += c;
      ++at;
    }
  }
  return plain;
}

// What the lines of a text have in common.
struct Marks {
  bool diff = false;    // some line begins with '+'
  bool quoted = false;  // every line begins with '>'
};

template <class Visit>
void each_line(std::string_view text, Visit visit) {
  int number = 1;
  for (std::size_t begin = 0; begin <= text.size(); ++number) {
    std::size_t end = text.find('\n', begin);
    const bool last = end == std::string_view::npos;
    if (last) end = text.size();
    visit(text.substr(begin, end - begin), number);
    if (last) break;
    begin = end + 1;
  }
}

Marks find_marks(std::string_view text) {
  Marks marks;
  bool all_quoted = true;
  bool any = false;
  each_line(text, [&](std::string_view line, int) {
    if (trim(line).empty()) return;
    any = true;
    all_quoted = all_quoted && line[0] == '>';
    marks.diff = marks.diff || (line[0] == '+' && line.size() > 1);
  });
  marks.quoted = any && all_quoted;
  return marks;
}

// Lines of a diff that are not part of the new text.
bool is_dropped_by_diff(std::string_view line) {
  for (const std::string_view head : {"@@", "diff --git ", "index ", "+++ ", "--- "}) {
    if (line.starts_with(head)) return true;
  }
  return line.size() > 1 && line[0] == '-' &&
         !(line[1] == '-' && line.size() > 2 && is_letter(line[2]));
}

bool is_fence(std::string_view line) {
  line = trim(line);
  if (!line.starts_with("```") && !line.starts_with("~~~")) return false;
  return line.find('`', 3) == std::string_view::npos && line.find(" -") == std::string_view::npos;
}

// Takes the marks off one line; `column` moves along.
std::string_view strip_line(Notes& notes, std::string_view line, const Marks& marks,
                            bool after_backslash, bool uncomment, int& column) {
  const auto drop = [&](std::size_t count) {
    line.remove_prefix(count);
    column += static_cast<int>(count);
  };
  if (marks.quoted && !line.empty()) {
    drop(line.size() > 1 && line[1] == ' ' ? 2 : 1);
    notes.once(Remark::quote_marks, "the '>' in front of every line was left out");
  } else if (after_backslash && line.size() > 2 && line.starts_with("> ") &&
             trim(line.substr(2)).starts_with("-")) {
    drop(2);  // the prompt that a shell shows on a continued line
  }
  if (marks.diff && !line.empty() && line[0] == '+') {
    std::size_t count = 1;
    while (count < line.size() && line[count] == '+') ++count;
    drop(count);
    notes.once(Remark::diff_marks, "the '+' in front of lines was left out");
  }
  if (uncomment) {
    std::size_t at = 0;
    while (at < line.size() && is_blank(line[at])) ++at;
    if (at < line.size() && line[at] == '#') drop(at + 1);
  }
  return line;
}

}  // namespace

CleanText clean(Notes& notes, std::string_view text, bool uncomment) {
  const std::string plain = plain_characters(notes, text);
  const Marks marks = find_marks(plain);
  CleanText result;
  result.text.reserve(plain.size());
  bool after_backslash = false;
  each_line(plain, [&](std::string_view line, int number) {
    if (marks.diff && is_dropped_by_diff(line)) {
      notes.once(Remark::diff_marks,
                 "the '+' in front of lines, and the lines that a diff takes "
                 "away, were left out");
      return;
    }
    int column = 1;
    line = strip_line(notes, line, marks, after_backslash, uncomment, column);
    if (!result.lines.empty()) result.text += '\n';
    result.lines.push_back({number, column});
    after_backslash = !trim(line).empty() && trim(line).back() == '\\';
    // A fence ends whatever command stands before it.
    result.text += is_fence(line) ? std::string_view(";") : line;
  });
  if (result.lines.empty()) result.lines.push_back({1, 1});
  return result;
}

}  // namespace capsize::launch
