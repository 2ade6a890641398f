// Covering arrays: few members of a universe that between them hold every combination of values of
// any t axes. A combination that no member holds (by the constraints, or by a condition that picks
// a part of the universe) is left out, and only after a search has proved it.
//
//   auto array = covering_array(universe, {.strength = 2});
//   auto coverage = coverage_of(universe, {.strength = 2}, array->rows);
//   coverage->complete()                               // proved in another way than it was made
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/error.hpp"
#include "sim/universe.hpp"

namespace capsize {

// A member's values, as indices; one for each axis.
using MemberChoices = std::vector<std::int32_t>;

struct CoveringRequest {
  std::size_t strength = 2;        // t: 1 to the number of axes
  std::optional<Condition> where;  // members that do not meet it are no rows
};

struct CoveringArray {
  std::vector<MemberChoices> rows;  // in the order in which they were found
  std::uint64_t covered = 0;        // combinations of values of `strength` axes that a row holds
  std::uint64_t infeasible = 0;     // those that no member holds
};

// Greedy and deterministic: each row starts from a combination that is missing and takes, axis by
// axis, the value that adds most. Fails where there are too many combinations to count, where no
// member is left, or where the search for members is given up.
[[nodiscard]] Result<CoveringArray> covering_array(const Universe& universe,
                                                   const CoveringRequest& request);

// One combination: the axes, ascending, and the index of a value on each.
struct Combination {
  std::vector<std::size_t> axes;
  std::vector<std::int32_t> values;
  friend bool operator==(const Combination&, const Combination&) = default;
};

struct Coverage {
  std::uint64_t combinations = 0;         // that some member holds
  std::uint64_t covered = 0;              // that a row holds
  std::uint64_t infeasible = 0;           // that no member holds
  std::vector<std::size_t> no_members;    // rows that are no member, or not one of the part
  std::vector<Combination> missing = {};  // the first few that no row holds

  [[nodiscard]] bool complete() const { return covered == combinations && no_members.empty(); }
};

// What rows cover, counted without the search and the tables that make them: every assignment of
// the axes that conditions read is tried, and its parts are the combinations that members hold.
// Fails where there are too many assignments (past 2^24).
[[nodiscard]] Result<Coverage> coverage_of(const Universe& universe, const CoveringRequest& request,
                                           std::span<const MemberChoices> rows);

}  // namespace capsize
