// Conditions compiled to a short program for a stack of numbers. Words never reach the stack: what
// compares an axis by its word is an instruction of its own.
#include "sim/condition.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

#include "sim/content_hash.hpp"
#include "sim/nearest.hpp"
#include "sim/universe.hpp"

namespace capsize {
namespace {

enum class Op : std::uint8_t {
  constant,
  load,        // the number of an axis' value
  load_mixed,  // the same where some values of the axis are words: they have no number
  negate,
  add,
  subtract,
  multiply,
  divide,
  remainder,
  equal,
  differ,
  less,
  at_most,
  greater,
  at_least,
  invert,
  truth,
  jump_if_true,   // keeps 1 and jumps, or drops what it has looked at
  jump_if_false,  // keeps 0 and jumps, or drops it
  equal_value,    // whether the axis stands at the value with this index
  equal_axes,     // whether two axes stand at values of one name
  equal_number,   // whether the axis' value is the number on the stack, which is dropped
};

struct Instruction {
  Op op = Op::constant;
  std::int32_t axis = -1;
  std::int32_t table = 0;  // where the axis' values start in Program::values
  std::int32_t other_axis = -1;
  std::int32_t other_table = 0;
  std::int64_t number = 0;  // a constant, a value's index, or how far to jump
};

// A value of an axis: its number, or the number that its word was given in this program.
struct Cell {
  std::int64_t number = 0;
  bool word = false;
  friend bool operator==(const Cell&, const Cell&) = default;
};

constexpr std::size_t kStackMost = 64;
constexpr std::size_t kNestedMost = 48;
constexpr std::size_t kCodeMost = 4096;
constexpr std::size_t kTextMost = 4096;

// How many numbers an instruction leaves behind, less those it takes. A jump counts as the path
// that goes on.
int effect_of(Op op) {
  switch (op) {
    case Op::constant:
    case Op::load:
    case Op::load_mixed:
    case Op::equal_value:
    case Op::equal_axes: return 1;
    case Op::negate:
    case Op::invert:
    case Op::truth:
    case Op::equal_number: return 0;
    default: return -1;
  }
}

}  // namespace

struct Condition::Program {
  std::string text;
  std::vector<Instruction> code;
  std::vector<Cell> values;  // of the axes that are read, one axis after the other
  std::vector<std::size_t> axes;
  std::size_t stack = 0;  // the most numbers that ever stand on it
};

namespace {

using Program = Condition::Program;

// ---- evaluation -----------------------------------------------------------------------------

constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();

// Division as the engines' does it: the quotient is rounded down, the remainder has the divisor's
// sign. False where there is no quotient in 64 bits.
bool divide_floor(std::int64_t& left, std::int64_t right) {
  if (right == 0 || (left == kLowest && right == -1)) return false;
  const std::int64_t quotient = left / right;
  const std::int64_t rest = left % right;
  left = rest != 0 && (rest < 0) != (right < 0) ? quotient - 1 : quotient;
  return true;
}

bool remainder_floor(std::int64_t& left, std::int64_t right) {
  if (right == 0) return false;
  const std::int64_t rest = right == -1 ? 0 : left % right;
  left = rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest;
  return true;
}

// One operator with two operands; false where it has no value.
bool apply(Op op, std::int64_t& left, std::int64_t right) {
  switch (op) {
    case Op::add: return !__builtin_add_overflow(left, right, &left);
    case Op::subtract: return !__builtin_sub_overflow(left, right, &left);
    case Op::multiply: return !__builtin_mul_overflow(left, right, &left);
    case Op::divide: return divide_floor(left, right);
    case Op::remainder: return remainder_floor(left, right);
    case Op::equal: left = left == right ? 1 : 0; return true;
    case Op::differ: left = left != right ? 1 : 0; return true;
    case Op::less: left = left < right ? 1 : 0; return true;
    case Op::at_most: left = left <= right ? 1 : 0; return true;
    case Op::greater: left = left > right ? 1 : 0; return true;
    case Op::at_least: left = left >= right ? 1 : 0; return true;
    default: return false;
  }
}

const Cell& cell(const Program& program, std::span<const std::int32_t> choices, std::int32_t axis,
                 std::int32_t table) {
  const std::int32_t choice = choices[static_cast<std::size_t>(axis)];
  return program.values[static_cast<std::size_t>(table) + static_cast<std::size_t>(choice)];
}

// The last number on the stack, or false where the expression has no value.
bool evaluate(const Program& program, std::span<const std::int32_t> choices, std::int64_t& result) {
  std::array<std::int64_t, kStackMost> stack;  // NOLINT: written before it is read
  std::int64_t* top = stack.data() - 1;
  const Instruction* const end = program.code.data() + program.code.size();
  for (const Instruction* at = program.code.data(); at < end; ++at) {
    switch (at->op) {
      case Op::constant: *++top = at->number; break;
      case Op::load: *++top = cell(program, choices, at->axis, at->table).number; break;
      case Op::load_mixed: {
        const Cell& value = cell(program, choices, at->axis, at->table);
        if (value.word) return false;
        *++top = value.number;
        break;
      }
      case Op::negate:
        if (*top == kLowest) return false;
        *top = -*top;
        break;
      case Op::invert: *top = *top == 0 ? 1 : 0; break;
      case Op::truth: *top = *top != 0 ? 1 : 0; break;
      case Op::jump_if_true:
      case Op::jump_if_false:
        if ((*top != 0) == (at->op == Op::jump_if_true)) {
          *top = *top != 0 ? 1 : 0;
          at += at->number;
        } else {
          --top;
        }
        break;
      case Op::equal_value:
        *++top = choices[static_cast<std::size_t>(at->axis)] == at->number ? 1 : 0;
        break;
      case Op::equal_axes:
        *++top = cell(program, choices, at->axis, at->table) ==
                         cell(program, choices, at->other_axis, at->other_table)
                     ? 1
                     : 0;
        break;
      case Op::equal_number:
        *top = cell(program, choices, at->axis, at->table) == Cell{*top, false} ? 1 : 0;
        break;
      default:
        --top;
        if (!apply(at->op, *top, *(top + 1))) return false;
    }
  }
  result = *top;
  return true;
}

// ---- compilation ----------------------------------------------------------------------------

bool starts_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool in_name(char c) { return starts_name(c) || is_digit(c); }
// What may stand in a value's name without quotes: "pre-23972", "Qwen/Qwen3-30B-A3B".
bool in_word(char c) {
  return in_name(c) || c == '-' || c == '.' || c == '/' || c == ':' || c == '@';
}

bool has_words(const Axis& axis) {
  return std::ranges::any_of(axis.values, [](const AxisValue& each) { return !each.number; });
}

// One side of an operator. An axis and a word wait for what stands beside them; everything else
// has left its number on the stack.
struct Side {
  enum class Kind : std::uint8_t { number, axis, word };
  Kind kind = Kind::number;
  std::size_t axis = 0;
  std::string_view word;
  std::size_t at = 0;
};

class Compiler {
 public:
  Compiler(std::string_view text, std::span<const Axis> axes, std::span<const DerivedValue> derived,
           const std::vector<const Program*>& derived_programs)
      : text_(text), axes_(axes), derived_(derived), derived_programs_(derived_programs) {}

  // False where the text is no expression; error() says why.
  bool compile(Program& out) {
    out_ = &out;
    if (text_.size() > kTextMost) {
      return fail(0, "is longer than " + std::to_string(kTextMost) + " bytes",
                  "split it: several constraints, or derived quantities");
    }
    Side side;
    if (!parse_or(side) || !settle(side)) return false;
    skip_blanks();
    if (at_ < text_.size()) return unexpected();
    out.text = std::string(text_);
    for (const Instruction& each : out.code) {
      for (const std::int32_t axis : {each.axis, each.other_axis}) {
        if (axis >= 0) out.axes.push_back(static_cast<std::size_t>(axis));
      }
    }
    std::ranges::sort(out.axes);
    out.axes.erase(std::unique(out.axes.begin(), out.axes.end()), out.axes.end());
    return true;
  }
  [[nodiscard]] Error error() && { return std::move(error_); }

 private:
  bool fail(std::size_t at, std::string text, std::string hint) {
    error_ = {"column " + std::to_string(at + 1), std::move(text), std::move(hint)};
    return false;
  }

  bool unexpected() {
    if (at_ >= text_.size()) {
      return fail(at_, "ends where a value is expected",
                  "end it with a number, a name or an expression in ( )");
    }
    const char c = text_[at_];
    const bool printable = c > 0x20 && c < 0x7F;
    const std::string shown = printable ? std::string("\"") + c + "\"" : "a byte that is no text";
    const bool single = c == '=' || c == '&' || c == '|';
    return fail(at_, shown + " is not expected here",
                single ? std::string("write \"") + c + c + "\""
                       : "one comparison stands between && and ||; ( ) group, \" \" quote a word");
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }

  bool accept(std::string_view symbol) {
    skip_blanks();
    if (!text_.substr(at_).starts_with(symbol)) return false;
    at_ += symbol.size();
    return true;
  }

  bool emit(Instruction instruction) {
    depth_ = static_cast<std::size_t>(static_cast<int>(depth_) + effect_of(instruction.op));
    return grow(0) && (out_->code.push_back(instruction), true);
  }

  // Room for `more` numbers above those that stand already, and for one more instruction.
  bool grow(std::size_t more) {
    out_->stack = std::max(out_->stack, depth_ + more);
    if (out_->stack > kStackMost || out_->code.size() >= kCodeMost) {
      return fail(at_, "is too deep or too long once derived quantities are put in",
                  "split it: several constraints, or simpler derived quantities");
    }
    return true;
  }

  // Where the values of an axis stand in the program.
  std::int32_t table(std::size_t axis) {
    const auto [entry, added] =
        tables_.try_emplace(axis, static_cast<std::int32_t>(out_->values.size()));
    if (added) {
      for (const AxisValue& each : axes_[axis].values) {
        out_->values.push_back(each.number ? Cell{*each.number, false} : Cell{word_id(each), true});
      }
    }
    return entry->second;
  }

  std::int64_t word_id(const AxisValue& value) {
    return words_.try_emplace(value.name, static_cast<std::int64_t>(words_.size())).first->second;
  }

  bool emit_axis(Op op, std::size_t axis, std::int64_t number = 0) {
    return emit({.op = op,
                 .axis = static_cast<std::int32_t>(axis),
                 .table = table(axis),
                 .number = number});
  }

  // Puts the number of a side on the stack.
  bool settle(const Side& side) {
    switch (side.kind) {
      case Side::Kind::number: return true;
      case Side::Kind::axis:
        return emit_axis(has_words(axes_[side.axis]) ? Op::load_mixed : Op::load, side.axis);
      case Side::Kind::word: return unknown_name(side);
    }
    return false;
  }

  bool unknown_name(const Side& side) {
    const std::vector<std::string_view> known = known_names();
    return fail(side.at, "there is no axis \"" + std::string(side.word) + "\"",
                known.empty() ? "declare it" : hint_of_known(side.word, known));
  }

  bool no_such_value(std::size_t axis, std::string_view word, std::size_t at) {
    std::vector<std::string_view> known;
    for (const AxisValue& each : axes_[axis].values) known.emplace_back(each.name);
    return fail(at, "the axis " + axes_[axis].name + " has no value \"" + std::string(word) + "\"",
                hint_of_known(word, known));
  }

  [[nodiscard]] std::vector<std::string_view> known_names() const {
    std::vector<std::string_view> known;
    for (const Axis& each : axes_) known.emplace_back(each.name);
    for (const DerivedValue& each : derived_) known.emplace_back(each.name);
    return known;
  }

  [[nodiscard]] bool is_known(std::string_view name) const {
    return std::ranges::find(axes_, name, &Axis::name) != axes_.end() ||
           std::ranges::find(derived_, name, &DerivedValue::name) != derived_.end();
  }

  // ---- the grammar, a function a line of it ----

  template <class Next>
  bool parse_chain(Side& side, std::string_view symbol, Op jump, const Next& next) {
    std::vector<std::size_t> jumps;
    if (!next(side)) return false;
    while (accept(symbol)) {
      if (!settle(side)) return false;
      jumps.push_back(out_->code.size());
      if (!emit({.op = jump}) || !next(side)) return false;
    }
    if (jumps.empty()) return true;
    if (!settle(side) || !emit({.op = Op::truth})) return false;
    side = {};
    for (const std::size_t each : jumps) {
      out_->code[each].number = static_cast<std::int64_t>(out_->code.size() - 1 - each);
    }
    return true;
  }

  bool parse_or(Side& side) {
    return parse_chain(side, "||", Op::jump_if_true, [&](Side& each) { return parse_and(each); });
  }

  bool parse_and(Side& side) {
    return parse_chain(side, "&&", Op::jump_if_false, [&](Side& each) { return parse_not(each); });
  }

  bool parse_not(Side& side) {
    skip_blanks();
    const std::string_view rest = text_.substr(at_);
    if (!rest.starts_with("!") || rest.starts_with("!=")) return parse_comparison(side);
    ++at_;
    if (!parse_comparison(side) || !settle(side) || !emit({.op = Op::invert})) return false;
    side = {};
    return true;
  }

  bool accept_comparison(Op& op) {
    static constexpr std::array<std::pair<std::string_view, Op>, 6> kSymbols = {
        {{"==", Op::equal},
         {"!=", Op::differ},
         {"<=", Op::at_most},
         {">=", Op::at_least},
         {"<", Op::less},
         {">", Op::greater}}};
    for (const auto& [symbol, meaning] : kSymbols) {
      if (accept(symbol)) return op = meaning, true;
    }
    return false;
  }

  bool parse_comparison(Side& side) {
    Op op = Op::equal;
    if (!parse_sum(side)) return false;
    if (!accept_comparison(op)) return true;
    if (op == Op::equal || op == Op::differ) {
      if (!parse_equality(side)) return false;
      if (op == Op::differ && !emit({.op = Op::invert})) return false;
    } else {
      Side right;
      if (!settle(side) || !parse_sum(right) || !settle(right) || !emit({.op = op})) return false;
    }
    side = {};
    return true;
  }

  [[nodiscard]] bool by_word(const Side& side) const {
    return side.kind == Side::Kind::axis && has_words(axes_[side.axis]);
  }

  // What stands behind == or !=, and the comparison. Only here an axis meets words.
  bool parse_equality(const Side& left) {
    Side right;
    if (by_word(left)) return parse_equal_to(left.axis);
    if (left.kind == Side::Kind::word) {
      if (!parse_sum(right)) return false;
      return by_word(right) ? emit_value(right.axis, left) : unknown_name(left);
    }
    if (!settle(left) || !parse_sum(right)) return false;
    if (by_word(right)) return emit_axis(Op::equal_number, right.axis);
    return settle(right) && emit({.op = Op::equal});
  }

  bool parse_equal_to(std::size_t axis) {
    Side right;
    if (!parse_word_of(axis, right)) return false;
    if (right.kind != Side::Kind::word && !parse_sum(right)) return false;
    if (right.kind == Side::Kind::word) return emit_value(axis, right);
    if (!by_word(right)) return settle(right) && emit_axis(Op::equal_number, axis);
    return emit({.op = Op::equal_axes,
                 .axis = static_cast<std::int32_t>(axis),
                 .table = table(axis),
                 .other_axis = static_cast<std::int32_t>(right.axis),
                 .other_table = table(right.axis)});
  }

  bool emit_value(std::size_t axis, const Side& word) {
    const auto& values = axes_[axis].values;
    const auto value = std::ranges::find(values, word.word, &AxisValue::name);
    if (value == values.end()) return no_such_value(axis, word.word, word.at);
    return emit_axis(Op::equal_value, axis, value - values.begin());
  }

  // A value's name may look like an expression ("pre-23972"). Behind an axis and == the longest of
  // its words that stands there is meant, unless that is also the name of an axis.
  bool parse_word_of(std::size_t axis, Side& side) {
    skip_blanks();
    const std::string_view rest = text_.substr(at_);
    std::string_view found;
    for (const AxisValue& each : axes_[axis].values) {
      const bool ends = rest.size() <= each.name.size() || !in_word(rest[each.name.size()]);
      if (each.number || each.name.size() <= found.size() || !ends || is_known(each.name)) continue;
      if (rest.starts_with(each.name)) found = each.name;
    }
    if (!found.empty()) {
      side = {.kind = Side::Kind::word, .word = found, .at = at_};
      at_ += found.size();
      return true;
    }
    const std::string_view name = rest.substr(0, length(rest, in_name));
    if (name.empty() || !starts_name(name.front()) || is_known(name)) return true;
    return no_such_value(axis, rest.substr(0, length(rest, in_word)), at_);
  }

  template <class Belongs>
  static std::size_t length(std::string_view rest, const Belongs& belongs) {
    return static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), belongs) -
                                    rest.begin());
  }

  // Operators of one rank, from the left.
  template <std::size_t N, class Next>
  bool parse_operators(Side& side, const std::array<std::pair<char, Op>, N>& operators,
                       const Next& next) {
    if (!next(side)) return false;
    for (;;) {
      skip_blanks();
      const auto* const found = std::ranges::find_if(operators, [&](const auto& each) {
        return at_ < text_.size() && text_[at_] == each.first;
      });
      if (found == operators.end()) return true;
      ++at_;
      Side right;
      if (!settle(side) || !next(right) || !settle(right) || !emit({.op = found->second})) {
        return false;
      }
      side = {};
    }
  }

  bool parse_sum(Side& side) {
    static constexpr std::array<std::pair<char, Op>, 2> kSums = {
        {{'+', Op::add}, {'-', Op::subtract}}};
    return parse_operators(side, kSums, [&](Side& each) { return parse_product(each); });
  }

  bool parse_product(Side& side) {
    static constexpr std::array<std::pair<char, Op>, 3> kProducts = {
        {{'*', Op::multiply}, {'/', Op::divide}, {'%', Op::remainder}}};
    return parse_operators(side, kProducts, [&](Side& each) { return parse_atom(each); });
  }

  bool parse_atom(Side& side) {
    skip_blanks();
    if (nested_ >= kNestedMost) {
      return fail(at_, "is nested deeper than " + std::to_string(kNestedMost) + " levels",
                  "name parts of it as derived quantities");
    }
    if (at_ >= text_.size()) return unexpected();
    const char c = text_[at_];
    if (c == '(' || c == '-') {
      ++at_;
      ++nested_;
      const bool read = c == '(' ? parse_group(side) : parse_negative(side);
      --nested_;
      return read;
    }
    if (c == '"' || c == '\'') return parse_quoted(side, c);
    if (is_digit(c)) return parse_number(side);
    if (starts_name(c)) return parse_name(side);
    return unexpected();
  }

  bool parse_group(Side& side) { return parse_or(side) && (accept(")") || unexpected()); }

  bool parse_negative(Side& side) {
    if (!parse_atom(side) || !settle(side) || !emit({.op = Op::negate})) return false;
    side = {};
    return true;
  }

  bool parse_quoted(Side& side, char quote) {
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return fail(at_, "a quote is not closed", "close it");
    side = {.kind = Side::Kind::word, .word = text_.substr(at_ + 1, end - at_ - 1), .at = at_};
    at_ = end + 1;
    return true;
  }

  bool parse_number(Side& side) {
    std::int64_t number = 0;
    const std::string_view rest = text_.substr(at_);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc()) return fail(at_, "the number is past 64 bits", "write a smaller one");
    const auto digits = static_cast<std::size_t>(end - rest.data());
    if (digits < rest.size() && starts_name(rest[digits])) {
      return fail(at_,
                  "\"" + std::string(rest.substr(0, length(rest, in_name))) +
                      "\" is neither a number nor a name",
                  "put an operator between them, or quote a word: \" \"");
    }
    at_ += digits;
    side = {};
    return emit({.op = Op::constant, .number = number});
  }

  bool parse_name(Side& side) {
    const std::string_view name = text_.substr(at_, length(text_.substr(at_), in_name));
    const std::size_t at = std::exchange(at_, at_ + name.size());
    side = {.kind = Side::Kind::word, .word = name, .at = at};
    if (const auto axis = std::ranges::find(axes_, name, &Axis::name); axis != axes_.end()) {
      side.kind = Side::Kind::axis;
      side.axis = static_cast<std::size_t>(axis - axes_.begin());
      return true;
    }
    const auto derived = std::ranges::find(derived_, name, &DerivedValue::name);
    if (derived == derived_.end()) return true;
    side = {};
    return put_in(*derived_programs_[static_cast<std::size_t>(derived - derived_.begin())]);
  }

  // A derived quantity's own program, with its axes where this one has them.
  bool put_in(const Program& program) {
    if (!grow(program.stack)) return false;
    for (Instruction each : program.code) {
      if (out_->code.size() >= kCodeMost) return grow(0);
      if (each.axis >= 0) each.table = table(static_cast<std::size_t>(each.axis));
      if (each.other_axis >= 0) each.other_table = table(static_cast<std::size_t>(each.other_axis));
      out_->code.push_back(each);
    }
    ++depth_;
    return true;
  }

  std::string_view text_;
  std::span<const Axis> axes_;
  std::span<const DerivedValue> derived_;
  const std::vector<const Program*>& derived_programs_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;   // numbers that stand on the stack here
  std::size_t nested_ = 0;  // parentheses and signs that are open
  std::map<std::size_t, std::int32_t> tables_;
  std::map<std::string, std::int64_t, std::less<>> words_;
  Program* out_ = nullptr;
  Error error_;
};

}  // namespace

Result<Condition> Condition::parse(std::string_view text, std::span<const Axis> axes,
                                   std::span<const DerivedValue> derived) {
  std::vector<const Program*> programs;
  for (const DerivedValue& each : derived) programs.push_back(each.value.program_.get());
  auto program = std::make_shared<Program>();
  Compiler compiler(text, axes, derived, programs);
  if (!compiler.compile(*program)) return tl::unexpected(std::move(compiler).error());
  Condition out;
  out.program_ = std::move(program);
  return out;
}

bool Condition::holds(std::span<const std::int32_t> choices) const {
  std::int64_t result = 0;
  return evaluate(*program_, choices, result) && result != 0;
}

std::optional<std::int64_t> Condition::value(std::span<const std::int32_t> choices) const {
  std::int64_t result = 0;
  if (!evaluate(*program_, choices, result)) return std::nullopt;
  return result;
}

const std::string& Condition::text() const { return program_->text; }

std::span<const std::size_t> Condition::axes() const { return program_->axes; }

std::size_t Condition::length() const { return program_->code.size(); }

// The compiled program and not the text: blanks in it may mean something ("m == a-b" asks for the
// word a-b where m has one, "m == a - b" for a difference).
std::uint64_t Condition::digest() const {
  ContentHash hash;
  hash.add(program_->code.size());
  for (const Instruction& each : program_->code) {
    hash.add(static_cast<std::uint8_t>(each.op)).add(each.axis).add(each.table);
    hash.add(each.other_axis).add(each.other_table).add(each.number);
  }
  hash.add(program_->values.size());
  for (const Cell& each : program_->values) hash.add(each.number).add(each.word ? 1 : 0);
  return hash.value();
}

}  // namespace capsize
