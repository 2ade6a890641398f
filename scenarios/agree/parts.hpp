// An agreement in parts that run on machines of their own: which members are of which part, decided
// by the plan alone, so that whoever counts the parts and whoever runs one agree without a word.
//
//   AgreePlan plan = plan_agreement(universe, array.rows, options);
//   keep_part(plan, {.number = 2, .of = 4, .ranks_max = 1});   // the second of four
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "scenarios/agree/members.hpp"
#include "sim/error.hpp"

namespace capsize {

inline constexpr std::size_t kPartsMax = 10000;

// Members whose launch has so many ranks. One that is not executed has none: it is in what has no
// upper bound, and so in exactly one of `ranks_max = n` and `ranks_min = n + 1`.
struct RankBounds {
  std::int64_t at_least = 0;
  std::optional<std::int64_t> at_most = {};

  [[nodiscard]] bool hold(const AgreeMember& member) const;
};

struct AgreePart {
  std::size_t number = 1;  // from 1
  std::size_t of = 1;
  RankBounds ranks = {};
};

// "2/4".
[[nodiscard]] Result<AgreePart> parse_part(std::string_view text);

struct PartSize {
  std::size_t members = 0;
  std::size_t executed = 0;  // of them
  std::size_t jobs = 0;      // lifecycles that differ
  std::uint64_t weight = 0;  // the rows of all ranks that they capture
};

// The part, from 0, of each member of the plan; kPartsMax where the bounds leave it out. Members
// that execute the same are of one part. The heaviest are dealt first, each to the part that has
// least: no part is heavier than the mean by more than one lifecycle.
[[nodiscard]] std::vector<std::size_t> parts_of(const AgreePlan& plan, const RankBounds& ranks,
                                                std::size_t count);
[[nodiscard]] std::vector<PartSize> sizes_of_parts(const AgreePlan& plan,
                                                   const std::vector<std::size_t>& parts,
                                                   std::size_t count);

// What is left of a plan where one part of it is run.
void keep_part(AgreePlan& plan, const AgreePart& part);

}  // namespace capsize
