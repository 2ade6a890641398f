// A universe file: declared axes, what their values add to a command line, and the conditions that
// members must meet. scenarios/universes/README.md tells the format by an example.
//
//   auto universe = find_universe("pr23972");        // a file, or a universe that is shipped
//   if (!universe) ... universe.error().where is "$.axes[2].values"
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sim/error.hpp"
#include "sim/universe.hpp"

namespace capsize {

// Reads and checks a whole file. Beyond its form it is refused where no member can be: an empty
// axis, more members than 63 bits can number, constraints that contradict each other (proved by a
// search; where that takes too long it is left to the sweep, which then finds no member).
[[nodiscard]] Result<Universe> read_universe(std::string_view json_text);

// A path of a file, or else the name of a universe that is part of the program.
[[nodiscard]] Result<Universe> find_universe(const std::string& name_or_path);

// The files of scenarios/universes, as they were when the program was built.
struct ShippedUniverse {
  std::string_view name;
  std::string_view text;
};
[[nodiscard]] std::span<const ShippedUniverse> shipped_universes();

}  // namespace capsize
