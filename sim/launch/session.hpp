// What one reading of a pasted text carries along: the entry points, the shell variables seen so
// far, the notes, and two budgets that keep hostile text from costing more than a fixed multiple
// of its length. Internal to sim/launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/launch/launch_text.hpp"

namespace capsize::launch {

inline constexpr std::size_t kLongestText = std::size_t{1} << 20;
inline constexpr int kDeepestNesting = 8;

// A word together with what its quoting said.
struct ShellWord {
  Word word;
  std::uint32_t assigned = 0;  // length of NAME where the word is an unquoted NAME=value, else 0
  bool quoted = false;         // some part of it stood in quotes
};

struct Place {
  int line = 0;
  int column = 0;
};

// Where a line of the cleaned text stood in the pasted one.
struct LineStart {
  int line = 1;
  int column = 1;
};

// Turns offsets into places. Offsets are asked for in rising order, so one pass serves them all.
class Locator {
 public:
  explicit Locator(std::string_view text, std::span<const LineStart> lines = {})
      : text_(text), lines_(lines) {}
  // For one line of ASCII: an offset is a column, nothing needs counting.
  [[nodiscard]] static Locator of_plain_line(std::string_view text) {
    Locator locator(text);
    locator.flat_ = true;
    return locator;
  }
  // For text that was itself one word: everything in it stands where that word stands.
  Locator(std::string_view text, Place fixed) : text_(text), fixed_(fixed) {}

  [[nodiscard]] Place at(std::size_t offset) {
    return flat_ ? Place{1, static_cast<int>(offset) + 1} : count_to(offset);
  }

 private:
  [[nodiscard]] Place count_to(std::size_t offset);

  std::string_view text_;
  std::span<const LineStart> lines_;
  Place fixed_;
  std::size_t offset_ = 0;
  std::size_t index_ = 0;
  Place cursor_;
  bool flat_ = false;
};

struct Variable {
  std::string value;
  bool known = true;
  bool is_array = false;
  bool in_front = false;  // set in front of the very command that uses it: `A=1 cmd $A`
  std::vector<Word> items;
};

struct TransparentHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

using Variables = std::unordered_map<std::string, Variable, TransparentHash, std::equal_to<>>;

// Each kind of remark is made once a text, at its first occurrence.
enum class Remark : std::uint8_t {
  typography,
  escape_codes,
  diff_marks,
  quote_marks,
  blanks_after_backslash,
  other_continuation,
  broken_option,
  missing_backslash,
  wrapped_value,
  array_hides_flags,
  default_taken,
  prefix_value_taken,
  left_out_flags,
  brace_list,
  glued_punctuation,
  stopped_at_bracket,
  second_command,
  root_prompt,
  quoted_command,
  prose_mention,
  bare_module,
  bullet_list,
};

class Notes {
 public:
  void once(Remark kind, std::string text);
  [[nodiscard]] bool made(Remark kind) const { return (mask_ & bit(kind)) != 0; }
  // A command that turns out not to be the launch takes its remarks with it.
  [[nodiscard]] std::size_t mark() const { return kept_.size(); }
  void roll_back(std::size_t mark);
  [[nodiscard]] std::vector<std::string> take();

 private:
  static constexpr std::uint32_t bit(Remark kind) {
    return std::uint32_t{1} << static_cast<unsigned>(kind);
  }
  std::vector<std::pair<Remark, std::string>> kept_;
  std::uint32_t mask_ = 0;
};

class Session {
 public:
  explicit Session(std::span<const EntryPoint> table) : entries(table) {}

  // Pays for looking at `bytes` bytes; false once the text has cost too much.
  bool charge(std::size_t bytes);
  // Pays for text that variables add.
  bool charge_expansion(std::size_t bytes);
  [[nodiscard]] bool exhausted() const { return exhausted_; }

  [[nodiscard]] const Variable* find(std::string_view name);
  void assign(std::string_view name, Variable value, bool certain);
  void append(std::string_view name, const Variable& more, bool certain);
  // `A=1` in front of a command: counts for that command only, where A is not set otherwise.
  void assign_in_front(std::string_view name, std::string_view value, bool known);
  void forget_in_front();
  void export_name(std::string_view name);
  // The exported variables in the order in which they were exported.
  [[nodiscard]] std::vector<EnvironmentVariable> exported();

  std::span<const EntryPoint> entries;
  Notes notes;
  int conditional_depth = 0;  // inside if, for, while or case

 private:
  Variables variables_;
  std::vector<std::string> in_front_;
  std::vector<std::string> exported_;
  std::size_t budget_ = kLongestText * 64;
  std::size_t expansion_budget_ = kLongestText;
  bool exhausted_ = false;
};

[[nodiscard]] std::string place_text(Place place);
// The length of the identifier at the start of `text`, 0 when there is none.
[[nodiscard]] std::size_t identifier_length(std::string_view text);

// Sets or replaces one variable.
void set_environment(std::vector<EnvironmentVariable>& environment, std::string_view name,
                     std::string_view value, bool known);

[[nodiscard]] constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
[[nodiscard]] constexpr bool is_name(char c) { return is_letter(c) || is_digit(c) || c == '_'; }
[[nodiscard]] std::string_view trim(std::string_view text);

}  // namespace capsize::launch
