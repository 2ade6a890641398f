// A capture path as sets of positions in its list: what a sweep judges many million times a second.
// The laws that judge capture paths have a form over these sets (Law::check_set, beside check_path
// in the law's file): a few operations on 128 bits, no allocation. Both forms give the same verdict
// and the same smallest witness; tests/property/set_case_property_test.cpp compares them.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>

#include "properties/law.hpp"

namespace capsize {

// A set of positions below 128.
struct Positions {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  static constexpr std::size_t kMost = 128;
  // The first `count` positions.
  [[nodiscard]] static constexpr Positions first_of(std::size_t count) {
    const auto part = [](std::size_t bits) {
      return bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    };
    return {part(count), count > 64 ? part(count - 64) : 0};
  }
  constexpr void insert(std::size_t at) { (at < 64 ? low : high) |= std::uint64_t{1} << (at % 64); }
  [[nodiscard]] constexpr bool contains(std::size_t at) const {
    return ((at < 64 ? low : high) >> (at % 64) & 1) != 0;
  }
  [[nodiscard]] constexpr bool empty() const { return (low | high) == 0; }
  [[nodiscard]] constexpr int count() const { return std::popcount(low) + std::popcount(high); }
  // The least and the greatest position; the set must not be empty.
  [[nodiscard]] constexpr std::size_t first() const {
    return static_cast<std::size_t>(low != 0 ? std::countr_zero(low) : 64 + std::countr_zero(high));
  }
  [[nodiscard]] constexpr std::size_t last() const {
    return static_cast<std::size_t>(high != 0 ? 127 - std::countl_zero(high)
                                              : 63 - std::countl_zero(low));
  }
  friend constexpr Positions operator&(Positions a, Positions b) {
    return {a.low & b.low, a.high & b.high};
  }
  friend constexpr Positions operator|(Positions a, Positions b) {
    return {a.low | b.low, a.high | b.high};
  }
  // What is in `a` and not in `b`.
  friend constexpr Positions operator-(Positions a, Positions b) {
    return {a.low & ~b.low, a.high & ~b.high};
  }
  friend constexpr bool operator==(Positions, Positions) = default;
};

// One path, judged by what is set here and by nothing else. `sizes` are the candidates and the kept
// sizes together, ascending and distinct, in the unit of the path; the sets are over its positions.
struct SetCase {
  std::span<const std::int64_t> sizes;
  Positions candidates;
  Positions kept;
  Positions usable;     // every collective of the step can split them; no size below 1 is
  Positions contract;   // meet the condition that the filter's source states
  Positions within;     // fit every bound of the path
  Positions reachable;  // not above the largest count that a batch can have
  Positions found;      // kept, and what dispatch finds for a batch of just that size
  Positions lowest;     // kept, and what it finds for one more than the next smaller kept size
  std::int64_t named_most = 0;  // the largest named size, cut to what can be reached; 0: none named
  std::int64_t rounds_to = 0;   // a rounding filter's multiple; 0 where sizes are dropped
  bool has_contract = false;
  bool has_bounds = false;
  bool nothing_above = false;            // dispatch finds no size above the largest kept one
  bool refused = false;                  // the filter refused, with a text
  bool refuses_what_it_empties = false;  // so it does with lists of one size that it cannot keep
  bool is_pure = false;                  // filter_is_pure holds; a fact of list and filter
  bool fail_on_waste = false;
};

// What a law says of a SetCase: the verdict, and the size (in the unit of the path) that its
// witness would name. The number of wasted sizes is `wasted`, whatever the verdict.
struct SetFinding {
  LawVerdict verdict = LawVerdict::pass;
  std::int64_t size = 0;  // with a violation
};

}  // namespace capsize
