// argparse for the engine's command line (Python 3.11, Lib/argparse.py). Two passes as there:
// first every word is told to be an option or an argument, which already refuses ambiguous
// prefixes; then options take their arguments in order. So errors come in argparse's order:
// ambiguity, then the first wrong option, then missing required options, then leftover words.
#include <algorithm>
#include <utility>

#include "sim/engines/sglang/flags/flags.hpp"
#include "sim/engines/sglang/flags/hints.hpp"
#include "sim/engines/sglang/flags/lookup.hpp"
#include "sim/engines/sglang/flags/text.hpp"
#include "sim/engines/sglang/flags/values.hpp"

namespace capsize::sglang {

namespace {

constexpr std::string_view kParserRule = "server_args.py::ServerArgs.add_cli_args";

enum class Kind : std::uint8_t {
  argument,   // 'A' in argparse's pattern
  dashes,     // the first "--", '-' in the pattern
  option,     // 'O', a known option
  unknown,    // 'O', no such option
  concealed,  // the name of the option itself is not known (`--$FLAG`)
};

struct Item {
  std::string_view text{};
  bool known = true;
  Kind kind = Kind::argument;
  bool has_value = false;  // `--flag=value`
  Option option{};
  std::string_view spelled{};  // before '='
  std::string_view value{};    // after '='
};

using MaybeRefusal = std::optional<Refusal>;

Refusal refusal(std::string_view rule, std::optional<std::string> text, std::string hint) {
  return {RefusalStage::arguments, std::string(rule), std::move(text), std::move(hint)};
}

// An ArgumentError: the message names the option by all its option strings.
Refusal argument_error(const FlagRow& row, std::string_view message, std::string hint) {
  std::string text = "argument ";
  for (const std::string_view name : row.names) {
    if (name.data() != row.names.front().data()) text += "/";
    text += name;
  }
  return refusal(kParserRule, text + ": " + std::string(message), std::move(hint));
}

// argparse's _negative_number_matcher: such a word is an argument, as no option looks like one.
bool looks_like_negative_number(std::string_view text) {
  if (!is_ascii(text)) {
    const std::string ascii = with_ascii_digits(text);
    return is_ascii(ascii) && looks_like_negative_number(ascii);
  }
  if (text.ends_with('\n')) text.remove_suffix(1);  // `$` in a pattern also stands before it
  text.remove_prefix(1);
  const std::size_t point = std::min(text.find('.'), text.size());
  const std::string_view fraction = text.substr(std::min(point + 1, text.size()));
  const auto digits = [](std::string_view part) {
    return std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (!digits(text.substr(0, point)) || !digits(fraction)) return false;
  return point == text.size() ? point > 0 : !fraction.empty();
}

// The word may stand for any number of words, options among them.
bool may_be_several(std::string_view text) {
  return text.find("[@]") != text.npos || text.find("[*]") != text.npos ||
         text.find("$@") != text.npos || text.find("$*") != text.npos;
}

// A single dash: only -h can match, and letters may follow it.
bool classify_short(Item& item, std::uint8_t release) {
  if (!item.text.starts_with("-h")) return false;
  item.option = find_option("-h", release);
  item.kind = Kind::option;
  item.has_value = true;
  item.spelled = item.text.substr(0, 2);
  item.value = item.text.substr(2);
  return true;
}

// argparse's _parse_optional and _get_option_tuples. Refuses an ambiguous prefix.
MaybeRefusal classify_option(Item& item, std::uint8_t release) {
  const std::string_view text = item.text;
  item.spelled = text;
  if ((item.option = find_option(text, release))) {
    item.kind = Kind::option;
    return std::nullopt;
  }
  if (text.size() == 1) return std::nullopt;
  const std::size_t equals = text.find('=');
  if (!item.known && text.substr(0, equals).find_first_of("$`") != text.npos) {
    item.kind = Kind::concealed;
    return std::nullopt;
  }
  if (equals != text.npos) {
    item.spelled = text.substr(0, equals);
    item.value = text.substr(equals + 1);
    item.has_value = true;
    item.option = find_option(item.spelled, release);
  }
  if (!item.option && text[1] != '-') {
    if (classify_short(item, release)) return std::nullopt;
  } else if (!item.option) {
    const PrefixMatch match = match_prefix(item.spelled, release);
    if (match.count > 1) {
      const auto candidates = options_with_prefix(item.spelled, release);
      std::string message = "ambiguous option: " + std::string(text) + " could match ";
      for (const Option& candidate : candidates) {
        if (&candidate != candidates.data()) message += ", ";
        message += candidate.name->text;
      }
      return refusal(kParserRule, message, hint_for_ambiguous(text, candidates, release));
    }
    item.option = match.only;
  }
  if (item.option) {
    item.kind = Kind::option;
  } else if (!looks_like_negative_number(text) && text.find(' ') == text.npos) {
    item.kind = Kind::unknown;
  }
  return std::nullopt;
}

MaybeRefusal classify(std::vector<Item>& items, std::uint8_t release) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    Item& item = items[i];
    if (item.text == "--") {
      item.kind = Kind::dashes;
      break;  // everything behind it is an argument
    }
    if (item.text.empty() || item.text[0] != '-') continue;
    if (auto refused = classify_option(item, release)) return refused;
  }
  return std::nullopt;
}

// The second pass: options take their arguments.
class Consumer {
 public:
  Consumer(std::vector<Item> items, std::uint8_t release, EntryKind kind, ParsedFlags parsed)
      : items_(std::move(items)), release_(release), kind_(kind), parsed_(std::move(parsed)) {}

  tl::expected<ParsedFlags, Refusal> run(std::vector<std::string>* left_over) {
    parsed_.given.reserve(items_.size());
    for (std::size_t i = 0; i < items_.size();) {
      if (items_[i].kind == Kind::option) {
        if (auto refused = consume_option(i)) return tl::unexpected(std::move(*refused));
      } else {
        pass_over(items_[i++]);
      }
    }
    if (auto refused = check_required()) return tl::unexpected(std::move(*refused));
    if (kind_ == EntryKind::wrapper && left_over != nullptr) {
      for (const Extra& extra : extras_) left_over->emplace_back(extra.text);
    } else if (!extras_.empty()) {
      return tl::unexpected(unrecognized());
    }
    if (dropped_dashes_) return tl::unexpected(std::move(*dropped_dashes_));
    return std::move(parsed_);
  }

 private:
  struct Extra {
    std::string_view text;
    std::size_t given_before;  // how many options had been given
  };

  // A word that no option took. After a concealed one, plain words may be its values.
  void pass_over(const Item& item) {
    const bool plain = item.kind == Kind::argument;
    if (item.kind == Kind::concealed || (plain && !item.known)) {
      conceals(item.text, "is not known and was passed over; it may hold more flags");
      after_concealed_ = true;
    } else if (plain && after_concealed_) {
      conceals(item.text, "was passed over; it may belong to what is not known before it");
    } else {
      extras_.push_back({item.text, parsed_.given.size()});
    }
  }

  void conceals(std::string_view text, std::string_view why) {
    parsed_.may_hide_flags = true;
    parsed_.notes.push_back(python_repr(text) + " " + std::string(why));
  }

  MaybeRefusal consume_option(std::size_t& i) {
    const Item& item = items_[i++];
    after_concealed_ = false;
    if (item.option.row == &flag_table::rows[flag_table::help_row]) return consume_help(item);
    GivenFlag given{item.option.row, item.spelled, item.option.name->text, {}, true, false};
    const FlagRow& row = *given.row;
    if (item.has_value) {
      if (row.arity == Arity::none) {
        return argument_error(row, "ignored explicit argument " + python_repr(item.value),
                              hint_for_ignored_value(row, given.name));
      }
      if (item.value == "--") {
        if (row.arity == Arity::one && !dropped_dashes_)
          dropped_dashes_ = refuse_dropped_dashes(given);
      } else if (auto refused = take_value(given, item.value, item.known)) {
        return refused;
      }
    } else if (auto refused = take_arguments(given, i)) {
      return refused;
    }
    return take_action(std::move(given));
  }

  // As many of the following arguments as the arity wants.
  MaybeRefusal take_arguments(GivenFlag& given, std::size_t& i) {
    const Arity arity = given.row->arity;
    if (arity == Arity::none) return std::nullopt;
    const bool list = arity == Arity::any || arity == Arity::some;
    std::size_t end = i;
    while (end < items_.size() && items_[end].kind == Kind::argument && (list || end == i)) ++end;
    if (end == i && (arity == Arity::one || arity == Arity::some)) {
      return argument_error(
          *given.row,
          arity == Arity::one ? "expected one argument" : "expected at least one argument",
          hint_for_missing_value(*given.row));
    }
    given.values.reserve(end - i);
    for (; i < end; ++i) {
      const Item& item = items_[i];
      if (auto refused = take_value(given, item.text, item.known)) return refused;
      if (item.known || !may_be_several(item.text)) continue;
      conceals(item.text,
               "was taken as a value of " + std::string(given.name) + "; it may hold more flags");
    }
    return std::nullopt;
  }

  // A value that is not known passes as any.
  MaybeRefusal take_value(GivenFlag& given, std::string_view value, bool known) {
    given.values.push_back(value);
    given.known = given.known && known;
    if (!known) return std::nullopt;
    auto text = refuse_value(*given.row, value);
    if (!text) return std::nullopt;
    return argument_error(*given.row, *text, hint_for_value(*given.row, value, release_));
  }

  // `--flag=--`: argparse drops the "--" from the arguments, also here where it is the value, and
  // stores an empty list unchecked. That is no value any field can have, but what argparse itself
  // refuses in the rest of the line is told first.
  static Refusal refuse_dropped_dashes(const GivenFlag& given) {
    return refusal("argparse.py::_get_values", std::nullopt,
                   "the parser drops the value -- of " + std::string(given.name) +
                       " and leaves an empty list; write a value");
  }

  MaybeRefusal take_action(GivenFlag given) {
    const FlagRow& row = *given.row;
    if (!row.refused_text.empty()) {
      return refusal(kParserRule, std::string(row.refused_text),
                     "leave " + std::string(given.name) + " out");
    }
    given.negated = row.negatable && given.name.starts_with("--no-");
    parsed_.given.push_back(std::move(given));
    return std::nullopt;
  }

  // -h prints the help and ends with success; letters behind it must be further short options.
  MaybeRefusal consume_help(const Item& item) {
    const FlagRow& row = *item.option.row;
    std::string_view rest = item.value;
    if (item.option.name->text == "-h") {
      while (item.has_value && rest.starts_with('h') && rest.size() > 1) rest.remove_prefix(1);
      if (item.has_value && rest == "h") rest = {};
      if (item.has_value && rest.empty() && !item.value.empty()) return help_is_no_launch();
    }
    if (!item.has_value) return help_is_no_launch();
    return argument_error(row, "ignored explicit argument " + python_repr(rest),
                          hint_for_ignored_value(row, item.option.name->text));
  }

  static Refusal help_is_no_launch() {
    return refusal(kParserRule, std::nullopt, "-h prints the help and starts nothing; take it out");
  }

  bool is_given(const FlagRow& row) const {
    return std::ranges::any_of(parsed_.given,
                               [&](const GivenFlag& given) { return given.row == &row; });
  }

  // Only what is surely missing: flags that are not known, a file or a wrapper may give it.
  MaybeRefusal check_required() {
    const GivenFlag* config = parsed_.last("config");
    if (config != nullptr) {
      parsed_.notes.push_back("the options in the file of " + std::string(config->spelled) +
                              " are not read");
    }
    const bool merged = std::ranges::any_of(items_, [](const Item& item) {
      return item.kind == Kind::option && item.text == "--config";
    });
    if (kind_ == EntryKind::wrapper || parsed_.may_hide_flags || merged) return std::nullopt;
    std::string missing;
    for (const std::uint16_t index : flag_table::required_rows) {
      const FlagRow& row = flag_table::rows[index];
      if (row.since > release_ || row.until < release_ || is_given(row)) continue;
      if (!missing.empty()) missing += ", ";
      for (const std::string_view name : row.names) {
        if (name.data() != row.names.front().data()) missing += "/";
        missing += name;
      }
    }
    if (missing.empty()) return std::nullopt;
    return refusal(kParserRule, "the following arguments are required: " + missing,
                   "add " + missing.substr(0, missing.find('/')) + " with its value");
  }

  Refusal unrecognized() const {
    std::string message = "unrecognized arguments:";
    for (const Extra& extra : extras_) message += " " + std::string(extra.text);
    const Extra& first = extras_.front();
    const GivenFlag* before =
        first.given_before == 0 ? nullptr : &parsed_.given[first.given_before - 1];
    return refusal(kParserRule, message, hint_for_unrecognized(first.text, before, release_));
  }

  std::vector<Item> items_;
  std::uint8_t release_;
  EntryKind kind_;
  ParsedFlags parsed_;
  std::vector<Extra> extras_;
  MaybeRefusal dropped_dashes_;
  bool after_concealed_ = false;
};

std::vector<Item> items_of(std::span<const Word> words) {
  std::vector<Item> items(words.size());
  for (std::size_t i = 0; i < words.size(); ++i) {
    items[i].text = words[i].text;
    items[i].known = words[i].known;
  }
  return items;
}

bool is_at_least(std::uint8_t release, std::string_view first) {
  return release >= release_index(first).value_or(0);
}

// cli/serve.py::_extract_model_type_override: `--model-type X` goes out before the parser.
MaybeRefusal take_model_type(std::vector<Item>& items, std::uint8_t release, ParsedFlags& parsed) {
  constexpr std::string_view rule = "cli/serve.py::_extract_model_type_override";
  std::optional<Item> type;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item item = items[i];
    if (item.text.starts_with("--model-type=")) {
      type = Item{.text = item.text.substr(13), .known = item.known};
    } else if (item.text != "--model-type") {
      items[kept++] = item;
    } else if (++i == items.size()) {
      std::string text = "Error: --model-type requires a value.";
      if (!is_at_least(release, "0.5.18")) text += " Valid values are: auto, llm, diffusion.";
      return refusal(rule, text, "write --model-type llm, or leave it out");
    } else {
      type = items[i];
    }
  }
  items.resize(kept);
  if (!type || !type->known || type->text == "auto" || type->text == "llm") return std::nullopt;
  if (type->text == "diffusion") {
    parsed.notes.emplace_back(
        "--model-type diffusion starts another server with flags of its own; this is the reading "
        "of "
        "the language model server");
    return std::nullopt;
  }
  if (is_at_least(release, "0.5.18")) {
    return refusal(rule, std::nullopt, "the known values of --model-type are auto, llm, diffusion");
  }
  return refusal(rule,
                 "Error: invalid --model-type '" + std::string(type->text) +
                     "'. Valid values are: auto, llm, diffusion.",
                 "write --model-type llm, or leave it out");
}

// cli/utils.py::get_model_path: the model under its full name, before the parser runs.
bool names_model(std::span<const Item> items, std::uint8_t release) {
  const bool short_name = is_at_least(release, "0.5.11");
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string_view text = items[i].text;
    const bool name = text == "--model-path" || (short_name && text == "--model");
    if (name && i + 1 < items.size()) return true;
    if (text.starts_with("--model-path=")) return true;
    if (short_name && text.starts_with("--model=")) return true;
  }
  return false;
}

// What `sglang serve` does before the same parser.
MaybeRefusal prepare_serve(std::vector<Item>& items, std::uint8_t release, ParsedFlags& parsed) {
  const bool help = std::ranges::any_of(
      items, [](const Item& item) { return item.text == "-h" || item.text == "--help"; });
  if (help) {
    return refusal("cli/serve.py::serve", std::nullopt,
                   "-h prints the help and starts nothing; take it out");
  }
  if (auto refused = take_model_type(items, release, parsed)) return refused;
  const bool positional = is_at_least(release, "0.5.16") && !items.empty() && items[0].known &&
                          !items[0].text.starts_with('-');
  if (positional) items.insert(items.begin(), Item{.text = "--model-path"});
  const bool concealed = std::ranges::any_of(items, [](const Item& item) { return !item.known; });
  if (concealed || names_model(items, release)) return std::nullopt;
  return refusal("cli/utils.py::get_model_path",
                 "Error: --model-path is required. Please provide the path to the model.",
                 "add --model-path with its value; `sglang serve` wants the name in full");
}

}  // namespace

const GivenFlag* ParsedFlags::last(std::string_view field) const {
  for (auto at = given.rbegin(); at != given.rend(); ++at) {
    if (at->row->field == field) return &*at;
  }
  return nullptr;
}

tl::expected<ParsedFlags, Refusal> parse(std::span<const Word> words, std::string_view release,
                                         EntryKind kind, std::vector<std::string>* left_over) {
  const auto index = release_index(release);
  if (!index) {
    return tl::unexpected(
        refusal(kParserRule, std::nullopt,
                "the command line of release " + std::string(release) + " is not known"));
  }
  ParsedFlags parsed;
  std::vector<Item> items = items_of(words);
  if (kind == EntryKind::serve) {
    if (auto refused = prepare_serve(items, *index, parsed)) {
      return tl::unexpected(std::move(*refused));
    }
  }
  if (auto refused = classify(items, *index)) return tl::unexpected(std::move(*refused));
  return Consumer(std::move(items), *index, kind, std::move(parsed)).run(left_over);
}

}  // namespace capsize::sglang
