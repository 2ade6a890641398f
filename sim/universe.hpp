// A universe: every combination of declared values, numbered. A member is one value of each axis;
// members are numbered as the digits of a mixed-radix number, the first axis the most significant
// and every axis in the order in which its values stand. Where values stand smallest first, the
// first failure in that order is the smallest one.
//
//   std::vector<std::int32_t> choices(universe.axes.size());
//   universe.unrank(12345, choices);        // the value of each axis, as indices
//   universe.rank(choices) == 12345
//
// What a value means is told by words of a command line ("--tp-size 8"), so that any option of an
// engine can be an axis. Two axes have reserved names: `rules` (points in the engine's history) and
// `model`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/condition.hpp"
#include "sim/models/shape.hpp"

namespace capsize {

// One value of an axis.
struct AxisValue {
  std::string name;                    // as it is printed and compared: "8", "enforced"
  std::optional<std::int64_t> number;  // where the name is a number
  std::vector<std::string> words;      // what it adds to the command line
};

struct Axis {
  std::string name;
  std::vector<AxisValue> values;  // smallest first; never empty
};

// A model that the universe brings along, by its published configuration.
struct UniverseModel {
  std::string name;    // the value's name on the axis `model`
  std::string config;  // the config.json it was read from, as one line of JSON; empty: built in
  ModelShape shape;
};

// A condition that members must meet; those that do not are counted as removed by it.
struct Constraint {
  std::string why;  // one sentence, or the text of the condition where none was given
  Condition condition;
};

// A named quantity that conditions may use: "attn_tp" as "tp / dp / attn_cp".
struct DerivedValue {
  std::string name;
  Condition value;
};

struct Universe {
  std::string name;
  std::string title;
  std::string engine;
  std::vector<std::string> launch;  // words that every member has
  std::vector<Axis> axes;           // the most significant first
  std::vector<UniverseModel> models;
  std::vector<DerivedValue> derived;
  std::vector<Constraint> constraints;
  std::uint64_t members = 1;  // the product of the axes
  std::uint64_t digest = 0;   // of the file's meaning: equal for equal universes

  [[nodiscard]] std::optional<std::size_t> axis(std::string_view axis_name) const;
  // `choices` holds one index for each axis.
  void unrank(std::uint64_t number, std::span<std::int32_t> choices) const;
  [[nodiscard]] std::uint64_t rank(std::span<const std::int32_t> choices) const;
  // "tp 8, attn_cp 2, rules 23972": every axis with the name of its value.
  [[nodiscard]] std::string text_of(std::span<const std::int32_t> choices) const;
  // The command line of a member: the words of the universe, then those of its values in order.
  [[nodiscard]] std::vector<std::string> words_of(std::span<const std::int32_t> choices) const;
};

// The digest of what a universe means: all but its name and title. Its reader stores it.
[[nodiscard]] std::uint64_t digest_of(const Universe& universe);

}  // namespace capsize
