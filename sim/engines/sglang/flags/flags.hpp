// SGLang's command line as its own parser (Python's argparse) takes it, release by release.
// The table is data (flags.json, one row an option with the releases between which it stands as
// it does); parse() repeats argparse's rules: exact names, `--flag=value`, unambiguous prefixes,
// arities, types, choices, required options, the last repeat wins.
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

enum class FlagType : std::uint8_t { boolean, integer, real, text, choice, json };

enum class Arity : std::uint8_t { none, one, optional, any, some };  // 0, 1, ?, *, +

struct FlagRow {
  std::span<const std::string_view> names;  // option strings, the first is the one to print
  std::string_view dest;                    // argparse's name of the field
  std::string_view field;                   // the field it ends in (differs from dest for aliases)
  Arity arity = Arity::one;
  FlagType type = FlagType::text;
  std::span<const std::string_view> choices;
  std::string_view default_value;  // as JSON text ("null", "8192", "\"auto\"")
  bool int_suffix = false;         // 1k = 1000, 1Ki = 1024, 25.6k
  bool negatable = false;          // also takes --no-...
  bool required = false;
  bool affects_layout = false;  // may matter to sizes, groups or graphs
  bool deprecated = false;
  std::uint8_t since = 0;  // index into releases(), inclusive
  std::uint8_t until = 0;  // index into releases(), inclusive
};

// The releases whose command line is known, oldest first ("0.5.10.post1" ... "0.5.23").
[[nodiscard]] std::span<const std::string_view> releases();
[[nodiscard]] std::optional<std::uint8_t> release_index(std::string_view release);

// One option as it was given on the line. Values point into the words handed to parse().
struct GivenFlag {
  const FlagRow* row = nullptr;
  std::string_view spelled;  // as the user wrote it, before '='
  std::vector<std::string_view> values;
  bool known = true;     // false when a value is not known (`$TP`)
  bool negated = false;  // --no-...
};

struct ParsedFlags {
  std::vector<GivenFlag> given;  // in the order of the line, repeats included
  // The last giving of a field, or none. Lists are not merged: the last repeat wins.
  [[nodiscard]] const GivenFlag* last(std::string_view field) const;
};

// Parses `words` by the table of `release`. Refused as the engine's parser would refuse, with its
// text (argparse's message after "error: ") and a hint: the nearest known option, the release in
// which it vanished or appeared and what stands in its place. `kind` is serve for `sglang serve`
// (no abbreviations, `--model-path` needed on the line); for a wrapper, options that the engine
// does not know are left to the wrapper and returned in `left_over`.
[[nodiscard]] tl::expected<ParsedFlags, Refusal> parse(std::span<const Word> words,
                                                       std::string_view release, EntryKind kind,
                                                       std::vector<std::string>* left_over);

// Readers for a value that parse() has accepted. Integers honour int_suffix.
[[nodiscard]] std::optional<std::int64_t> integer_of(const FlagRow& row, std::string_view value);

}  // namespace capsize::sglang
