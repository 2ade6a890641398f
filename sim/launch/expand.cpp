// Variables, defaults and arithmetic; expand.hpp says what is understood. What is not understood
// stays as it is written and is marked unknown: nothing here guesses.
#include "sim/launch/expand.hpp"

#include <charconv>
#include <limits>

namespace capsize::launch {
namespace {

// How deep "${A:-${B:-...}}" and parentheses in arithmetic may nest.
constexpr int kDeepestExpansion = 32;

Expansion unknown(std::string_view written) {
  Expansion result;
  result.text = written;
  result.known = false;
  result.length = written.size();
  return result;
}

Expansion known_value(std::string text, std::size_t length) {
  Expansion result;
  result.text = std::move(text);
  result.length = length;
  return result;
}

// The offset just behind the bracket that closes the one at `open`, or npos. Quotes inside hide
// brackets; a line break is allowed.
std::size_t behind_closing(Session& session, std::string_view text, std::size_t open) {
  const char opening = text[open];
  const char closing = opening == '{' ? '}' : ')';
  int level = 0;
  char quote = 0;
  std::size_t at = open;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\\' && quote != '\'') {
      ++at;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == opening) {
      ++level;
    } else if (c == closing && --level == 0) {
      break;
    }
  }
  session.charge(at - open);
  return at < text.size() ? at + 1 : std::string_view::npos;
}

// "${NAME...}" with what stands behind the name.
Expansion expand_operator(Session& session, std::string_view name, std::string_view tail,
                          std::string_view written, int depth) {
  const Variable* variable = session.find(name);
  const bool colon = !tail.empty() && tail[0] == ':';
  const std::string_view op = tail.substr(colon ? 1 : 0);
  if (op.empty() || (op[0] != '-' && op[0] != '=' && op[0] != '+')) return unknown(written);
  if (variable != nullptr && !variable->known) return unknown(written);
  const bool set = variable != nullptr && !(colon && variable->value.empty());
  if (op[0] != '+' && set) return known_value(variable->value, written.size());
  // Whether a name that the text does not set is set outside cannot be seen from here. The
  // default is what its author meant to happen, so it is taken and told.
  if (op[0] == '+' && !set) return unknown(written);
  Expansion word = expand_text(session, op.substr(1), false, depth + 1);
  if (!word.known) return unknown(written);
  if (op[0] != '+') {
    session.notes.once(Remark::default_taken, std::string(name) +
                                                  " is not set in this text: its default \"" +
                                                  word.text + "\" was taken");
  }
  word.length = written.size();
  return word;
}

Expansion expand_braces(Session& session, std::string_view rest, int depth) {
  const std::size_t end = behind_closing(session, rest, 1);
  if (end == std::string_view::npos || depth > kDeepestExpansion) return unknown(rest.substr(0, 2));
  const std::string_view written = rest.substr(0, end);
  const std::string_view inside = rest.substr(2, end - 3);
  std::size_t length = identifier_length(inside);
  if (length == 0 && !inside.empty()) length = 1;  // $1, $@, $#
  const std::string_view name = inside.substr(0, length);
  const std::string_view tail = inside.substr(length);
  if (tail == "[@]" || tail == "[*]" || name == "@" || name == "*") {
    const Variable* variable = session.find(name);
    if (variable != nullptr && variable->is_array && variable->known) {
      Expansion result;
      result.array = variable;
      result.length = end;
      return result;
    }
    Expansion result = unknown(written);
    result.hides_words = true;
    return result;
  }
  if (!tail.empty()) return expand_operator(session, name, tail, written, depth);
  const Variable* variable = session.find(name);
  if (variable == nullptr || !variable->known || variable->is_array) return unknown(written);
  return known_value(variable->value, end);
}

Expansion expand_parentheses(Session& session, std::string_view rest) {
  const std::size_t end = behind_closing(session, rest, 1);
  if (end == std::string_view::npos) return unknown(rest.substr(0, 2));
  const std::string_view written = rest.substr(0, end);
  if (end >= 6 && rest[2] == '(' && rest[end - 2] == ')') {
    const auto value = evaluate_arithmetic(session, rest.substr(3, end - 5));
    if (value) return known_value(std::to_string(*value), end);
  }
  return unknown(written);
}

class Arithmetic {
 public:
  Arithmetic(Session& session, std::string_view text) : session_(session), text_(text) {}

  std::optional<std::int64_t> whole() {
    auto value = sum();
    skip_blanks();
    return at_ == text_.size() ? value : std::nullopt;
  }

 private:
  using Number = std::optional<std::int64_t>;

  void skip_blanks() {
    while (at_ < text_.size() && (is_blank(text_[at_]) || text_[at_] == '\n')) ++at_;
  }

  // The next operator if it is one of `allowed`, else 0.
  char take(std::string_view allowed) {
    skip_blanks();
    if (at_ >= text_.size() || allowed.find(text_[at_]) == std::string_view::npos) return 0;
    return text_[at_++];
  }

  Number sum() {
    Number left = product();
    while (left) {
      const char op = take("+-");
      if (op == 0) break;
      const Number right = product();
      if (!right) return std::nullopt;
      std::int64_t value = 0;
      const bool overflow = op == '+' ? __builtin_add_overflow(*left, *right, &value)
                                      : __builtin_sub_overflow(*left, *right, &value);
      if (overflow) return std::nullopt;
      left = value;
    }
    return left;
  }

  Number product() {
    Number left = factor();
    while (left) {
      const char op = take("*/%");
      if (op == 0) break;
      const Number right = factor();
      if (!right) return std::nullopt;
      left = op == '*' ? multiply(*left, *right) : divide(*left, *right, op);
    }
    return left;
  }

  static Number multiply(std::int64_t left, std::int64_t right) {
    std::int64_t value = 0;
    if (__builtin_mul_overflow(left, right, &value)) return std::nullopt;
    return value;
  }

  // A shell divides towards zero.
  static Number divide(std::int64_t left, std::int64_t right, char op) {
    if (right == 0 || (left == std::numeric_limits<std::int64_t>::min() && right == -1)) {
      return std::nullopt;
    }
    return op == '/' ? left / right : left % right;
  }

  Number factor() {
    if (++depth_ > kDeepestExpansion) return std::nullopt;
    Number value = factor_inside();
    --depth_;
    return value;
  }

  Number factor_inside() {
    if (take("(") != 0) {
      const Number value = sum();
      return take(")") != 0 ? value : std::nullopt;
    }
    if (take("-") != 0) {
      const Number value = factor();
      return value ? multiply(*value, -1) : std::nullopt;
    }
    if (take("+") != 0) return factor();
    skip_blanks();
    if (at_ >= text_.size()) return std::nullopt;
    const std::string_view rest = text_.substr(at_);
    if (rest[0] == '$') {
      const Expansion value = expand_dollar(session_, rest, depth_);
      at_ += value.length;
      return value.known && value.array == nullptr ? number(value.text) : std::nullopt;
    }
    if (const std::size_t length = identifier_length(rest); length != 0) {
      at_ += length;
      const Variable* variable = session_.find(rest.substr(0, length));
      return variable != nullptr && variable->known ? number(variable->value) : std::nullopt;
    }
    std::size_t length = 0;
    while (length < rest.size() && is_digit(rest[length])) ++length;
    at_ += length;
    return number(rest.substr(0, length));
  }

  static Number number(std::string_view text) {
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    // A leading zero makes a number octal in a shell; nobody means that, so it is not decided.
    if (error != std::errc{} || stop != end || (text.size() > 1 && text[0] == '0')) {
      return std::nullopt;
    }
    return value;
  }

  Session& session_;
  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::optional<std::int64_t> evaluate_arithmetic(Session& session, std::string_view text) {
  return Arithmetic(session, text).whole();
}

Expansion expand_dollar(Session& session, std::string_view rest, int depth) {
  if (rest.size() < 2) return known_value("$", 1);
  if (rest[1] == '{') return expand_braces(session, rest, depth);
  if (rest[1] == '(') return expand_parentheses(session, rest);
  const std::size_t length = identifier_length(rest.substr(1));
  if (length == 0) {
    constexpr std::string_view kSpecial = "@*#?$!-0123456789";
    if (kSpecial.find(rest[1]) == std::string_view::npos) return known_value("$", 1);
    Expansion result = unknown(rest.substr(0, 2));
    result.hides_words = rest[1] == '@' || rest[1] == '*';
    return result;
  }
  const Variable* variable = session.find(rest.substr(1, length));
  if (variable == nullptr || !variable->known || variable->is_array) {
    return unknown(rest.substr(0, length + 1));
  }
  return known_value(variable->value, length + 1);
}

Expansion expand_text(Session& session, std::string_view text, bool platform, int depth) {
  Expansion result;
  result.length = text.size();
  if (depth > kDeepestExpansion) return unknown(text);
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (!platform && (c == '"' || c == '\'')) {  // a default may stand in quotes of its own
      ++at;
      continue;
    }
    if (c != '$') {
      result.text += c;
      ++at;
      continue;
    }
    const std::string_view rest = text.substr(at);
    if (platform && rest.size() > 3 && rest[1] == '(') {
      const std::size_t length = identifier_length(rest.substr(2));
      const bool closed = length != 0 && length + 2 < rest.size() && rest[length + 2] == ')';
      const Variable* variable = closed ? session.find(rest.substr(2, length)) : nullptr;
      if (variable != nullptr && variable->known &&
          session.charge_expansion(variable->value.size())) {
        result.text += variable->value;
        at += length + 3;
        continue;
      }
    }
    const Expansion part = expand_dollar(session, rest, depth);
    if (!session.charge_expansion(part.text.size())) return unknown(text);
    if (part.array != nullptr) return unknown(text);
    result.text += part.text;
    result.known = result.known && part.known;
    at += part.length;
  }
  return result;
}

std::size_t angle_placeholder_length(std::string_view text) {
  if (text.size() < 3 || text[0] != '<' || !is_letter(text[1])) return 0;
  constexpr std::size_t kLongest = 80;
  for (std::size_t at = 2; at < text.size() && at < kLongest; ++at) {
    const char c = text[at];
    if (c == '>') return is_blank(text[at - 1]) ? 0 : at + 1;
    const bool inside = is_name(c) || c == ' ' || c == '-' || c == '.' || c == '/' || c == ':';
    if (!inside) return 0;
  }
  return 0;
}

bool has_placeholder(std::string_view text) {
  if (text == "..." || text == "\u2026") return true;
  if (text.size() > 2 && text.front() == '%' && text.back() == '%' &&
      identifier_length(text.substr(1)) == text.size() - 2) {
    return true;
  }
  if (!text.empty() && text[0] == '<' && angle_placeholder_length(text) == text.size()) return true;
  for (std::size_t open = text.find('{'); open != std::string_view::npos;
       open = text.find('{', open + 1)) {
    std::string_view rest = text.substr(open + 1);
    if (!rest.empty() && rest[0] == '{') rest.remove_prefix(1);
    while (!rest.empty() && rest[0] == ' ') rest.remove_prefix(1);
    if (!rest.empty() && rest[0] == '.') rest.remove_prefix(1);
    std::size_t length = identifier_length(rest);
    if (length == 0) continue;
    while (length < rest.size() && (is_name(rest[length]) || rest[length] == '/' ||
                                    rest[length] == '.' || rest[length] == '-')) {
      ++length;
    }
    while (length < rest.size() && rest[length] == ' ') ++length;
    if (length < rest.size() && rest[length] == '}') return true;
  }
  return false;
}

}  // namespace capsize::launch
