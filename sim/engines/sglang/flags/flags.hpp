// SGLang's command line as its own parser (Python's argparse) takes it, release by release.
// The table is data (flags.json, one row an option with the releases between which it stands as
// it does); parse() repeats argparse's rules: exact names, `--flag=value`, unambiguous prefixes,
// arities, types, choices, required options, the last repeat wins.
//
//   auto flags = parse(words, "0.5.11", EntryKind::server, nullptr);
//   if (const GivenFlag* tp = flags->last("tp_size")) tp_size = integer_of(*tp->row,
//   tp->values[0]);
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/error.hpp"
#include "sim/launch/launch_text.hpp"

namespace capsize::sglang {

// `choice` is text out of a list; an integer with a list of choices stays `integer`.
enum class FlagType : std::uint8_t { boolean, integer, real, text, choice, json };

enum class Arity : std::uint8_t { none, one, optional, any, some };  // 0, 1, ?, *, +

// How the engine's parser itself reads JSON: not at all (plain text, read later), by Python's
// json.loads, or by the engine's list type (server_args.py, utils/common.py::json_list_type).
enum class JsonReader : std::uint8_t { none, loads, list };

struct FlagRow {
  std::span<const std::string_view> names;  // option strings, the first is the one to print
  std::string_view dest;                    // argparse's name of the field
  std::string_view field;                   // the field it ends in (differs from dest for aliases)
  std::string_view field_value;  // the constant that an alias without a value puts there ("auto")
  Arity arity = Arity::one;
  FlagType type = FlagType::text;
  JsonReader json_reader = JsonReader::none;
  std::span<const std::string_view> choices;  // empty: any value (or a list that is not known)
  std::string_view default_value;             // as JSON text ("null", "8192", "\"auto\"")
  std::string_view alias_of;       // what the option stands for, in words, where it is not plain
  std::string_view refused_text;   // giving the option at all is an error with this text
  std::string_view retired_value;  // a value that is refused with a text of its own
  std::string_view retired_text;
  bool int_suffix = false;  // 1k = 1000, 1Ki = 1024, 25.6k
  bool negatable = false;   // also takes --no-...
  bool required = false;
  bool affects_layout = false;  // may matter to sizes, groups or graphs
  bool deprecated = false;
  std::uint8_t since = 0;  // index into releases(), inclusive
  std::uint8_t until = 0;  // index into releases(), inclusive
};

// The releases whose command line is known, oldest first ("0.5.10.post1" ... "0.5.23").
[[nodiscard]] std::span<const std::string_view> releases();
[[nodiscard]] std::optional<std::uint8_t> release_index(std::string_view release);

// The row of a full option string ("--tp-size") in a release; none where it is not there.
[[nodiscard]] const FlagRow* find_flag(std::string_view option, std::string_view release);

// One option as it was given on the line. Values point into the words handed to parse().
struct GivenFlag {
  const FlagRow* row = nullptr;
  std::string_view spelled;  // as the user wrote it, before '='
  std::string_view name;     // the full option string that it stands for
  std::vector<std::string_view> values;
  bool known = true;     // false when a value is not known (`$TP`)
  bool negated = false;  // --no-...
};

struct ParsedFlags {
  std::vector<GivenFlag> given;    // in the order of the line, repeats included
  std::vector<std::string> notes;  // what was passed over or assumed, in plain sentences
  // Words whose content only the shell knows stood where an option may stand: more flags than
  // those in `given` may be on the line.
  bool may_hide_flags = false;
  // The last giving of a field, or none. Lists are not merged: the last repeat wins.
  [[nodiscard]] const GivenFlag* last(std::string_view field) const;
};

// Parses `words` (which must outlive the result) by the table of `release`. Refused as the
// engine's parser would refuse, with its text (argparse's message after "error: ") and a hint: the
// nearest known option, the release in which it vanished or appeared and what stands in its place.
//
// `kind` is serve for `sglang serve`: `--model-type X` is taken out, the model must be on the line
// under its full name (cli/utils.py::get_model_path; `--model` from 0.5.11 on, a first word without
// dash from 0.5.16 on), then the same parser follows, abbreviations included
// (cli/serve.py -> server_args.py::prepare_server_args). For a wrapper, options that the engine
// does not know are left to the wrapper and returned in `left_over`, and no option is required.
// `--config FILE` is only recorded: its options are not read, and the model may be among them.
[[nodiscard]] tl::expected<ParsedFlags, Refusal> parse(std::span<const Word> words,
                                                       std::string_view release, EntryKind kind,
                                                       std::vector<std::string>* left_over);

// Readers for a value that parse() has accepted. Integers honour int_suffix. None where the text
// is no such number or does not fit.
[[nodiscard]] std::optional<std::int64_t> integer_of(const FlagRow& row, std::string_view value);
[[nodiscard]] std::optional<double> real_of(std::string_view value);

}  // namespace capsize::sglang
