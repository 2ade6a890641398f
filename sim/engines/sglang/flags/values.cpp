// Values as Python reads them. Each reader answers only whether Python would take the text;
// integer_of() and real_of() then give the number.
#include "sim/engines/sglang/flags/values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "sim/engines/sglang/flags/text.hpp"

namespace capsize::sglang {

namespace {

// sys.int_info.default_max_str_digits: int() raises ValueError above it.
constexpr std::size_t kMaxIntDigits = 4300;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Length of a run of digits with single underscores between them, 0 where there is none.
std::size_t digit_run(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size()) {
    if (is_digit(text[n])) {
      ++n;
    } else if (text[n] == '_' && n > 0 && n + 1 < text.size() && is_digit(text[n + 1])) {
      n += 2;
    } else {
      break;
    }
  }
  return n;
}

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

std::string without_underscores(std::string_view text) {
  std::string out;
  std::ranges::copy_if(text, std::back_inserter(out), [](char c) { return c != '_'; });
  return out;
}

struct Suffix {
  std::string_view text;
  std::int64_t factor;
  int decimals;  // places after the point that can still count, -1: no point allowed
};
// utils/common.py::human_readable_int; the longer spelling comes first.
constexpr std::array kSuffixes = {Suffix{"Ki", std::int64_t{1} << 10, -1},
                                  Suffix{"Mi", std::int64_t{1} << 20, -1},
                                  Suffix{"Gi", std::int64_t{1} << 30, -1},
                                  Suffix{"Ti", std::int64_t{1} << 40, -1},
                                  Suffix{"k", 1'000, 3},
                                  Suffix{"M", 1'000'000, 6},
                                  Suffix{"G", 1'000'000'000, 9},
                                  Suffix{"T", 1'000'000'000'000, 12}};

// A plain decimal in front of a suffix: digits, and perhaps a point and digits.
struct Suffixed {
  const Suffix* suffix = nullptr;
  std::string_view whole;
  std::string_view fraction;
};

std::optional<Suffixed> split_suffix(std::string_view text) {
  for (const Suffix& suffix : kSuffixes) {
    if (!text.ends_with(suffix.text)) continue;
    const std::string_view number = text.substr(0, text.size() - suffix.text.size());
    const std::size_t point = number.find('.');
    const std::string_view whole = number.substr(0, point);
    const std::string_view fraction =
        point == std::string_view::npos ? std::string_view{} : number.substr(point + 1);
    const bool digits = !whole.empty() && std::ranges::all_of(whole, is_digit) &&
                        std::ranges::all_of(fraction, is_digit) &&
                        (point == std::string_view::npos || !fraction.empty());
    if (!digits) return std::nullopt;
    return Suffixed{&suffix, whole, fraction};
  }
  return std::nullopt;
}

std::optional<std::string> refuse_suffixed_int(std::string_view value) {
  const std::string_view text = strip_blanks(value);
  if (!is_ascii(text)) {
    const std::string ascii = with_ascii_digits(text);
    if (split_suffix(ascii) || is_python_int(ascii)) return refuse_suffixed_int(ascii);
  }
  if (const auto split = split_suffix(text)) {
    if (split->suffix->decimals >= 0 || split->fraction.empty()) return std::nullopt;
    const std::string suffix(split->suffix->text);
    return "Decimals are not allowed with IEC suffixes like '" + suffix +
           "'. Use an integer IEC value such as '" + canonical_int(split->whole) + suffix +
           "', or an SI value such as '" + std::string(split->whole) + "." +
           std::string(split->fraction) + suffix[0] + "'.";
  }
  if (is_python_int(text)) return std::nullopt;
  return "Invalid integer value: '" + std::string(text) +
         "'. Use a plain integer, SI suffixes (1k, 1M), or IEC suffixes (1Ki, 1Mi). Suffixes are "
         "case-sensitive.";
}

std::optional<std::string> refuse_type(const FlagRow& row, std::string_view value) {
  const auto invalid = [&](std::string_view type) {
    return "invalid " + std::string(type) + " value: " + python_repr(value);
  };
  if (row.type == FlagType::integer) {
    if (row.int_suffix) return refuse_suffixed_int(value);
    if (!is_python_int(value)) return invalid("int");
  } else if (row.type == FlagType::real) {
    if (!is_python_float(value)) return invalid("float");
  } else if (row.json_reader == JsonReader::loads) {
    if (!is_json(value, row.json_reader)) return invalid("loads");
  } else if (row.json_reader == JsonReader::list) {
    if (!is_json(value, row.json_reader)) {
      return "Invalid JSON list: " + std::string(value) + ". Please provide a valid JSON list.";
    }
  }
  return std::nullopt;
}

// The whole number of a suffixed text, cut off towards zero as int(Decimal) does.
std::optional<std::int64_t> suffixed_value(const Suffixed& split) {
  if (split.suffix->decimals < 0 && !split.fraction.empty()) return std::nullopt;
  std::int64_t value = 0;
  const auto push = [&](char digit) {
    return !__builtin_mul_overflow(value, std::int64_t{10}, &value) &&
           !__builtin_add_overflow(value, static_cast<std::int64_t>(digit - '0'), &value);
  };
  for (const char digit : split.whole) {
    if (!push(digit)) return std::nullopt;
  }
  if (split.suffix->decimals < 0) {
    if (__builtin_mul_overflow(value, split.suffix->factor, &value)) return std::nullopt;
    return value;
  }
  for (int i = 0; i < split.suffix->decimals; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (!push(at < split.fraction.size() ? split.fraction[at] : '0')) return std::nullopt;
  }
  return value;
}

}  // namespace

bool is_python_int(std::string_view text) {
  if (!is_ascii(text = strip_blanks(text))) {
    const std::string ascii = with_ascii_digits(text);
    return is_ascii(ascii) && is_python_int(ascii);
  }
  const std::string_view digits = without_sign(text);
  if (digits.empty() || digit_run(digits) != digits.size()) return false;
  return std::ranges::count_if(digits, is_digit) <= static_cast<std::ptrdiff_t>(kMaxIntDigits);
}

std::string canonical_int(std::string_view text) {
  const std::string ascii = with_ascii_digits(strip_blanks(text));
  text = ascii;
  const bool negative = text.starts_with('-');
  std::string digits = without_underscores(without_sign(text));
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  return negative && digits != "0" ? "-" + digits : digits;
}

bool is_python_float(std::string_view text) {
  if (!is_ascii(text = strip_blanks(text))) {
    const std::string ascii = with_ascii_digits(text);
    return is_ascii(ascii) && is_python_float(ascii);
  }
  text = without_sign(text);
  for (const std::string_view word : {"inf", "infinity", "nan"}) {
    if (equals_ignoring_case(text, word)) return true;
  }
  const std::size_t whole = digit_run(text);
  text.remove_prefix(whole);
  std::size_t fraction = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = digit_run(text);
    text.remove_prefix(fraction);
  }
  if (whole + fraction == 0) return false;
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text = without_sign(text.substr(1));
  return !text.empty() && digit_run(text) == text.size();
}

std::optional<std::string> refuse_value(const FlagRow& row, std::string_view value) {
  if (!row.retired_value.empty() && value == row.retired_value)
    return std::string(row.retired_text);
  if (auto text = refuse_type(row, value)) return text;
  if (row.choices.empty()) return std::nullopt;
  const bool number = row.type == FlagType::integer;
  const std::string plain = number ? canonical_int(value) : std::string(value);
  if (std::ranges::find(row.choices, plain) != row.choices.end()) return std::nullopt;
  const auto shown = [&](std::string_view choice) {
    return number ? std::string(choice) : python_repr(choice);
  };
  std::string text = "invalid choice: " + shown(plain) + " (choose from ";
  for (const std::string_view choice : row.choices) {
    if (choice.data() != row.choices.front().data()) text += ", ";
    text += shown(choice);
  }
  return text + ")";
}

std::optional<std::int64_t> integer_of(const FlagRow& row, std::string_view value) {
  const std::string ascii = with_ascii_digits(strip_blanks(value));
  const std::string_view text = ascii;
  if (row.int_suffix) {
    if (const auto split = split_suffix(text)) return suffixed_value(*split);
  }
  if (!is_python_int(text)) return std::nullopt;
  const std::string digits = canonical_int(text);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<double> real_of(std::string_view value) {
  if (!is_python_float(value)) return std::nullopt;
  const std::string text = without_underscores(with_ascii_digits(strip_blanks(value)));
  const std::string_view digits = without_sign(text);
  double number = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (parsed.ec == std::errc::result_out_of_range) {
    // Python rounds to infinity or to zero; which of the two shows in the sign of the exponent.
    const std::size_t e = digits.find_first_of("eE");
    const bool tiny = e != std::string_view::npos && digits.substr(e + 1).starts_with('-');
    number = tiny ? 0.0 : std::numeric_limits<double>::infinity();
  }
  return text.starts_with('-') ? -number : number;
}

}  // namespace capsize::sglang
