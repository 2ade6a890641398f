// Whether any member of a universe meets conditions, decided by search and not by luck: choices are
// made axis by axis, and a condition is asked as soon as all of its axes have one.
//
//   MemberSearch search(universe.axes, conditions);
//   std::vector<std::int32_t> choices(universe.axes.size(), -1);  // -1: free
//   choices[0] = 3;
//   search.complete(choices, 1 << 24) == Completion::found        // and choices are a member's
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/condition.hpp"
#include "sim/universe.hpp"

namespace capsize {

enum class Completion : std::uint8_t {
  found,      // the choices are those of a member that meets all conditions
  none,       // no member has these choices and meets all conditions: proved
  undecided,  // the search was given up after as many steps as it was allowed: a value that is
              // tried is one, and so are a condition that is asked and 32 of its instructions
};

class MemberSearch {
 public:
  // `axes` and `conditions` must outlive the search.
  MemberSearch(std::span<const Axis> axes, std::span<const Condition* const> conditions);

  // Fills the free choices (-1) so that all conditions hold, each axis with the earliest values
  // that do; where an axis has a preferred value (`prefer`, an index or -1), that one is tried
  // first. Leaves the choices as they were where there is no such member.
  [[nodiscard]] Completion complete(std::span<std::int32_t> choices, std::uint64_t steps_most,
                                    std::span<const std::int32_t> prefer = {}) const;

  // The conditions of one part that no member meets, which is proved, in the order in which they
  // were given; none where there is no such part, or none was found in `steps`. Takes the steps
  // that it needs, and leaves each part a fair share of them.
  [[nodiscard]] std::vector<const Condition*> contradiction(std::uint64_t& steps) const;

  // Whether some condition hangs on the axis.
  [[nodiscard]] bool reads(std::size_t axis) const { return read_[axis]; }

 private:
  // Conditions that share axes, directly or over others. Parts are searched one by one.
  struct Part {
    std::vector<std::size_t> axes;
    std::vector<const Condition*> conditions;
  };
  struct Walk;

  std::span<const Axis> axes_;
  std::vector<Part> parts_;
  std::vector<const Condition*> constant_;  // they read no axis
  std::vector<bool> read_;                  // axes that some condition reads
};

}  // namespace capsize
