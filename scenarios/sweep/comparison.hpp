// The fast way of judging members against the plain one: on every member of a universe, or on
// random ones. A memory that forgets a field, or a law whose form over sets says something else,
// shows as a member on which they differ.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "scenarios/sweep/member_judge.hpp"
#include "sim/condition.hpp"
#include "sim/error.hpp"
#include "sim/universe.hpp"

namespace capsize {

struct ComparisonOptions {
  std::uint64_t members = 0;  // how many are drawn; 0: every member, in order
  std::uint64_t seed = 1;     // of the draw: the same seed draws the same members
  unsigned threads = 1;
  // What is compared with the plain way, made once a thread; MemberJudge::make where it is not set.
  std::function<Result<std::unique_ptr<MemberJudge>>()> make_judge;
  // Called now and then with how many are compared; false stops the comparison.
  std::function<bool(std::uint64_t)> progress;
};

struct Comparison {
  std::uint64_t members = 0;  // compared
  std::uint64_t judged = 0;   // of those, neither removed nor left out
  std::uint64_t differ = 0;
  std::optional<std::uint64_t> first;  // the least member on which the ways differ
};

// Members that `where` leaves out are passed over; they count as compared only where every member
// is asked for. An Error where hardly any member is left to draw.
[[nodiscard]] Result<Comparison> compare_ways(const Universe& universe,
                                              const std::optional<Condition>& where,
                                              const ComparisonOptions& options);

}  // namespace capsize
