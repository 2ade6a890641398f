// Judges the members of a universe: the fast way, which remembers what members share, and the plain
// way, which makes a command line of the member and asks what `capsize check` asks. Both end in the
// same state.
//
//   auto judge = MemberJudge::make(universe, where);     // Result: the engine may not know a word
//   Tally tally;
//   judge->run(0, universe.members, tally);              // [first, last)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "scenarios/check/check.hpp"
#include "scenarios/sweep/tally.hpp"
#include "sim/condition.hpp"
#include "sim/universe.hpp"

namespace capsize {

// One member's outcome, with what its digest is made of.
struct MemberOutcome {
  MemberState state;
  std::string precondition;  // what removed it; empty where it was judged
  bool left_out = false;     // --where does not hold
  SweepSums sums;            // of this member alone
  friend bool operator==(const MemberOutcome&, const MemberOutcome&) = default;
};

class MemberJudge {
 public:
  // One judge a thread: it remembers. `universe` must outlive it.
  enum class Way : std::uint8_t { fast, plain };
  [[nodiscard]] static Result<std::unique_ptr<MemberJudge>> make(
      const Universe& universe, const std::optional<Condition>& where, Way way = Way::fast);
  virtual ~MemberJudge() = default;

  // Adds the members [first, last) to the tally. The plain way knows no layouts and no triples.
  virtual void run(std::uint64_t first, std::uint64_t last, Tally& tally) = 0;
};

// One member by either way; for tests and for whoever wants to know why.
[[nodiscard]] MemberOutcome judge_member(MemberJudge& judge, std::uint64_t number);
[[nodiscard]] MemberOutcome judge_member_plainly(const Universe& universe,
                                                 const std::optional<Condition>& where,
                                                 std::uint64_t number);

// The check that a member stands for: its command line, its rules, its model.
[[nodiscard]] CheckRequest request_of(const Universe& universe, std::uint64_t number);

}  // namespace capsize
