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
#include "sim/usable.hpp"

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
  Positions lost;      // candidates that are captured neither at themselves nor where they round to
  Positions usable;    // every collective of the step can split them; no size below 1 is
  Positions contract;  // meet the condition that the filter's source states
  Positions within;    // fit every bound of the path
  Positions reachable;  // not above the largest count that a batch can have
  // Kept, and what dispatch finds for a batch of just that size; and for a batch of one more than
  // the next smaller kept size. No batch is smaller than 1: kept sizes below are in both.
  Positions found;
  Positions lowest;
  std::int64_t width = 1;       // tokens of one unit
  std::int64_t named_most = 0;  // the largest named size, cut to what can be reached; 0: none named
  // A size that the filter, given it alone, does not refuse as it should; 0: none.
  std::int64_t not_refused = 0;
  // Whether the path is judged at all: not_applicable where it has no graphs, undecided where it
  // cannot be; then nothing else is set.
  LawVerdict standing = LawVerdict::pass;
  bool has_contract = false;
  bool has_bounds = false;
  bool nothing_above = false;  // dispatch finds no size above the largest kept one
  bool refused = false;        // the filter refused this list
  bool says_why = false;       // with a text
  bool is_pure = false;        // filter_is_pure holds; a fact of list and filter
  bool fail_on_waste = false;
};

// What a law says of a SetCase: the verdict, and the size (in the unit of the path) that its
// witness would name.
struct SetFinding {
  LawVerdict verdict = LawVerdict::pass;
  std::int64_t size = 0;  // with a violation
  friend constexpr bool operator==(SetFinding, SetFinding) = default;
};

// A violation at the least of these positions; a pass where there are none.
[[nodiscard]] constexpr SetFinding broken_at(const SetCase& in, Positions broken) {
  if (broken.empty()) return {};
  return {LawVerdict::violation, in.sizes[broken.first()]};
}

// The laws that have a form over sets, by name; `judge_sets` writes one finding for each of them,
// in this order, without allocating.
[[nodiscard]] std::span<const Law* const> set_laws();
void judge_sets(const SetCase& in, std::span<SetFinding> out);

// The lost sizes that every collective could split and that a batch can have.
[[nodiscard]] constexpr Positions wasted(const SetCase& in) {
  return in.lost & in.usable & in.reachable;
}

// The padded tokens that the lost sizes carry, each at the least kept size that is enough for it.
// Equal to the sum over lost_sizes() of coverage.hpp, as `lost` and `wasted` are to its sizes.
[[nodiscard]] std::int64_t padded_tokens(const SetCase& in);

// Memory of a set case; the case is valid as long as its storage is not used again.
struct SetStorage {
  SizeList sizes;
  SizeList list;
};

// The case of a real path, as `judge` sees it. None where the sets cannot say what the laws say;
// then the laws themselves are asked:
//  - a list that does not rise, or has repeats (dispatch and filter may depend on the order);
//  - more than 128 sizes, candidates and kept ones together;
//  - padding is off: every named size has to be captured, not only the largest;
//  - the plan does not keep, or refuse, what its filter keeps and refuses of the candidates;
//  - dispatch runs a lost or a named size elsewhere than at the least kept size that is enough;
//  - the usable set was cut off, and a size lies past its end.
[[nodiscard]] std::optional<SetCase> set_case_of(const CapturePath& path, SetStorage& storage,
                                                 bool fail_on_waste);

// The same with no size usable, and what is usable of some sizes: where one path meets many steps.
// `usable` must be proved.
[[nodiscard]] std::optional<SetCase> set_case_without_step(const CapturePath& path,
                                                           SetStorage& storage, bool fail_on_waste);
[[nodiscard]] Positions usable_of(std::span<const std::int64_t> sizes, const UsableSet& usable);

}  // namespace capsize
