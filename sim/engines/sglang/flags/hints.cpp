// Hints for refused lines. Only reached when a line is refused, so clarity goes before speed; the
// search for the nearest name is still cut short by its limit.
#include "sim/engines/sglang/flags/hints.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <vector>

#include "sim/engines/sglang/flags/text.hpp"
#include "sim/engines/sglang/flags/values.hpp"

namespace capsize::sglang {

namespace {

std::string_view name_part(std::string_view word) { return word.substr(0, word.find('=')); }

std::string with_hyphens(std::string_view word) {
  std::string out(word);
  std::ranges::replace(out, '_', '-');
  return out;
}

// The full name that `text` stands for in the release, exact or as a prefix.
std::optional<std::string_view> resolve(std::string_view text, std::uint8_t release) {
  if (const Option option = find_option(text, release)) return option.name->text;
  const PrefixMatch match = match_prefix(text, release);
  if (match.count == 1 && text.size() > 2) return match.only.name->text;
  return std::nullopt;
}

// The nearest of `names`, if one is close enough that a slip of the finger explains it.
template <class Names, class TextOf>
std::optional<std::string_view> nearest(std::string_view word, const Names& names, TextOf text_of) {
  const std::size_t letters = word.size() - std::min(word.find_first_not_of('-'), word.size());
  int limit = letters <= 3 ? 0 : letters <= 5 ? 1 : letters <= 11 ? 2 : 3;
  std::optional<std::string_view> best;
  for (const auto& name : names) {
    const std::string_view text = text_of(name);
    const int distance = text.empty() ? limit + 1 : edit_distance(word, text, limit);
    if (distance > limit || (best && distance == limit)) continue;
    best = text;
    limit = distance;
  }
  return best;
}

const flag_table::Successor* find_successor(std::string_view old) {
  const auto list = flag_table::successors;
  const auto at = std::ranges::lower_bound(list, old, {}, &flag_table::Successor::old);
  return at != list.end() && at->old == old ? &*at : nullptr;
}

// "removed in 0.5.20; use --cuda-graph-bs-decode", naming only what the release has.
std::string removal_hint(std::string_view name, std::string_view gone, std::uint8_t release) {
  const flag_table::Successor* successor = find_successor(name);
  std::string hint(name);
  if (gone == flag_table::release_names.front()) {
    hint += " was removed before " + std::string(gone);
  } else {
    hint += " was removed in " + std::string(gone);
  }
  if (successor == nullptr) return hint;
  const bool usable = !successor->use.empty() &&
                      find_option(successor->use.substr(0, successor->use.find(' ')), release);
  if (usable) hint += "; use " + std::string(successor->use);
  if (!successor->note.empty() && (usable || successor->use.empty())) {
    hint += usable ? " (" : "; ";
    hint += successor->note;
    if (usable) hint += ")";
  }
  return hint;
}

// For an option that another release has under this very name.
std::optional<std::string> other_release_hint(std::string_view name, std::uint8_t release) {
  const flag_table::Name* entry = find_name(name);
  if (entry != nullptr) {
    for (std::size_t r = release; r-- > 0;) {
      if (entry->rows[r] == flag_table::no_row) continue;
      return removal_hint(name, flag_table::release_names[r + 1], release);
    }
    for (std::size_t r = release + 1U; r < entry->rows.size(); ++r) {
      if (entry->rows[r] == flag_table::no_row) continue;
      return std::string(name) + " appears in " + std::string(flag_table::release_names[r]) +
             "; it is not known in " + std::string(flag_table::release_names[release]);
    }
  }
  const flag_table::Successor* successor = find_successor(name);
  if (successor == nullptr || successor->gone.empty()) return std::nullopt;
  return removal_hint(name, successor->gone, release);
}

struct LongDash {
  std::uint32_t value;
  std::string_view what;
};
constexpr std::array kLongDashes = {LongDash{0x2010, "a hyphen of its own kind (U+2010)"},
                                    LongDash{0x2011, "a no-break hyphen (U+2011)"},
                                    LongDash{0x2012, "a figure dash (U+2012)"},
                                    LongDash{0x2013, "an en dash (U+2013)"},
                                    LongDash{0x2014, "an em dash (U+2014)"},
                                    LongDash{0x2015, "a horizontal bar (U+2015)"},
                                    LongDash{0x2212, "a minus sign (U+2212)"}};

// "–tp": an editor turned two hyphens into one long dash.
std::optional<std::string> long_dash_hint(std::string_view word, std::uint8_t release) {
  std::string_view rest = word;
  const LongDash* dash = nullptr;
  while (!rest.empty()) {
    const CodePoint point = first_code_point(rest);
    const auto at = std::ranges::find(kLongDashes, point.value, &LongDash::value);
    if (at == kLongDashes.end() && rest[0] != '-') break;
    if (at != kLongDashes.end()) dash = &*at;
    rest.remove_prefix(point.bytes);
  }
  if (dash == nullptr || rest.empty()) return std::nullopt;
  const std::string plain = "--" + std::string(rest);
  std::string hint = "'" + std::string(word) + "' begins with " + std::string(dash->what) +
                     " instead of two hyphens; write " + plain;
  const auto full = resolve(name_part(plain), release);
  return full && *full != name_part(plain) ? hint + " (" + std::string(*full) + ")" : hint;
}

// "-tp" and "---tp".
std::optional<std::string> dash_count_hint(std::string_view word, std::uint8_t release) {
  const std::size_t dashes = std::min(word.find_first_not_of('-'), word.size());
  if (dashes == 2 || dashes == word.size()) return std::nullopt;
  const std::string plain = "--" + with_hyphens(name_part(word).substr(dashes));
  const auto full = resolve(plain, release);
  if (!full) return std::nullopt;
  return "options begin with two dashes: " + std::string(*full);
}

std::string stray_word_hint(std::string_view word, const GivenFlag* before) {
  const std::string quoted = python_repr(word);
  if (before == nullptr) return "no option takes " + quoted + "; take it out";
  const std::string option(before->spelled);
  if (before->row->arity == Arity::none) {
    return option + " takes no value; take " + quoted + " out";
  }
  return option + " takes one value; take " + quoted +
         " out, or quote the value if it is part of it";
}

std::optional<std::string_view> nearest_option(std::string_view name, std::uint8_t release) {
  return nearest(with_hyphens(name), flag_table::names, [&](const flag_table::Name& entry) {
    return entry.rows[release] == flag_table::no_row ? std::string_view{} : entry.text;
  });
}

}  // namespace

// Optimal string alignment, one row at a time; a row that is all above the limit ends it.
int edit_distance(std::string_view a, std::string_view b, int limit) {
  const auto far = limit + 1;
  const std::size_t gap = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (gap > static_cast<std::size_t>(limit)) return far;
  std::vector<int> older(b.size() + 1);
  std::vector<int> last(b.size() + 1);
  std::vector<int> row(b.size() + 1);
  std::iota(last.begin(), last.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    int least = row[0];
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], older[j - 2] + 1);
      }
      least = std::min(least, row[j]);
    }
    if (least > limit) return far;
    std::swap(older, last);
    std::swap(last, row);
  }
  return std::min(last[b.size()], far);
}

std::string hint_for_unrecognized(std::string_view word, const GivenFlag* before,
                                  std::uint8_t release) {
  if (auto hint = long_dash_hint(word, release)) return *hint;
  if (!word.starts_with('-') || word.size() == 1) return stray_word_hint(word, before);
  const std::string_view name = name_part(word);
  if (auto hint = other_release_hint(name, release)) return *hint;
  const std::string hyphens = with_hyphens(name);
  if (auto hint = dash_count_hint(word, release)) return *hint;
  if (hyphens != name) {
    if (const auto full = resolve(hyphens, release)) {
      return "options are written with hyphens: " + std::string(*full);
    }
    if (auto hint = other_release_hint(hyphens, release)) return *hint;
  }
  if (const auto near = nearest_option(name, release))
    return "did you mean " + std::string(*near) + "?";
  return std::string(flag_table::release_names[release]) + " has no option like " +
         std::string(name) + "; look at its spelling";
}

std::string hint_for_ambiguous(std::string_view word, std::span<const Option> candidates,
                               std::uint8_t release) {
  const std::string_view name = name_part(word);
  if (auto hint = other_release_hint(name, release)) return *hint;
  for (const Option& candidate : candidates) {
    if (candidate.name->text == std::string(name) + "-size") {
      return "write the option in full: " + std::string(candidate.name->text);
    }
  }
  return "write the option in full; " + std::string(name) + " is the beginning of " +
         std::to_string(candidates.size()) + " options";
}

std::string hint_for_value(const FlagRow& row, std::string_view value, std::uint8_t release) {
  const std::string option(row.names.front());
  if (row.arity == Arity::some && value.find_first_of(", ") != std::string_view::npos) {
    return option + " takes its values one by one, with blanks between them: " + option + " 1 2 4";
  }
  if (row.choices.empty()) {
    if (row.int_suffix) return "write a whole number, or one with k, M, G, T, Ki, Mi, Gi, Ti";
    if (row.type == FlagType::integer) return "write a whole number";
    return row.type == FlagType::real ? "write a number" : "write the value as JSON, in quotes";
  }
  const flag_table::Name* name = find_name(row.names.front());
  for (std::size_t r = 0; name != nullptr && r < name->rows.size(); ++r) {
    const std::uint16_t other = name->rows[r];
    if (r == release || other == flag_table::no_row) continue;
    const auto choices = flag_table::rows[other].choices;
    if (std::ranges::find(choices, value) == choices.end()) continue;
    return "the value " + std::string(value) + " is known to " +
           std::string(flag_table::release_names[r]) + ", not to " +
           std::string(flag_table::release_names[release]);
  }
  const auto near = nearest(value, row.choices, [](std::string_view choice) { return choice; });
  if (near) return "did you mean " + std::string(*near) + "?";
  return "write one of the values that the message lists";
}

std::string hint_for_missing_value(const FlagRow& row) {
  const std::string option(row.names.front());
  if (row.arity == Arity::some) return "write one or more values after " + option;
  return "write a value after " + option + "; one that begins with a dash goes as " + option +
         "=VALUE";
}

std::string hint_for_ignored_value(const FlagRow& row, std::string_view name) {
  if (row.negatable)
    return "it takes no value: write " + std::string(row.names[0]) + " or " +
           std::string(row.names[1]);
  return "it takes no value: write " + std::string(name) + " alone, or leave it out";
}

}  // namespace capsize::sglang
