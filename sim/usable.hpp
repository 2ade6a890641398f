// The set of usable token counts of a step, derived from what its operations ask; and the lemma
// that makes one finite window decide every count.
//
// Lemma. Every row count f of a step satisfies f(n + P) = f(n) + s_(n mod P) from some T on
// (expr.hpp). `f = g` therefore holds, in each residue, either always or never from a computable
// point on; so does `f <= bound`. A conjunction takes the largest threshold and the least common
// multiple of the periods. Hence the set U of usable counts is eventually periodic, and evaluating
// the concrete counts 1 ... T + P - 1 decides all of them. tests/unit/sim_usable_test.cpp compares
// U with brute force over many windows more.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/rows.hpp"

namespace capsize {

// How strongly something is known. Four words, never mixed.
enum class Known : std::uint8_t { proved, exhausted, sampled, observed };
[[nodiscard]] std::string_view name_of(Known known);

// A window larger than this is not evaluated; the largest count that is ever presented bounds the
// evaluation instead, and the verdict says `exhausted`.
inline constexpr std::int64_t kWindowLimit = std::int64_t{1} << 22;

// An eventually periodic set of positive integers.
class UsableSet {
 public:
  UsableSet() = default;
  // `members[i]` says whether i + 1 is in the set, for 1 ... threshold + period - 1.
  UsableSet(std::int64_t threshold, std::int64_t period, std::vector<std::uint8_t> members,
            Known known);

  // All positive counts.
  [[nodiscard]] static UsableSet all();

  [[nodiscard]] bool contains(std::int64_t n) const;
  [[nodiscard]] std::int64_t threshold() const { return threshold_; }
  [[nodiscard]] std::int64_t period() const { return period_; }
  [[nodiscard]] Known known() const { return known_; }

  // The tail: every large count in the set is a multiple of `modulus` and the reverse; none where
  // no large count is usable (`empty_tail`) or where the residues form no such ideal.
  [[nodiscard]] std::optional<std::int64_t> modulus() const { return modulus_; }
  [[nodiscard]] bool empty_tail() const { return empty_tail_; }
  [[nodiscard]] std::vector<std::int64_t> residues() const;  // usable residues mod period()

  // Counts below the threshold that the tail does not describe.
  [[nodiscard]] std::vector<std::int64_t> usable_exceptions() const;    // usable, tail says no
  [[nodiscard]] std::vector<std::int64_t> unusable_exceptions() const;  // tail says yes, unusable

  friend bool operator==(const UsableSet&, const UsableSet&) = default;

 private:
  void describe_tail();
  [[nodiscard]] bool tail_says(std::int64_t n) const;

  std::int64_t threshold_ = 1;
  std::int64_t period_ = 1;
  std::vector<std::uint8_t> members_ = {1};
  Known known_ = Known::proved;
  std::optional<std::int64_t> modulus_ = 1;
  bool empty_tail_ = false;
};

// A step with its requirement.
struct Requirement {
  WalkedStep walked;
  UsableSet usable;
};

// Walks `step` and evaluates its window. `largest_presented` bounds the evaluation where the
// window passes kWindowLimit.
[[nodiscard]] Requirement derive(SymbolicStep& step, std::int64_t largest_presented);

// The usable set of obligations over expressions; the window is found from their periods.
[[nodiscard]] UsableSet usable_counts(const Exprs& exprs, std::span<const Obligation> obligations,
                                      std::int64_t largest_presented);

// The first obligation, in the order of the operations, that count n does not meet; none where n
// is usable. Counts below 1 hold no rows and meet none of them.
[[nodiscard]] const Obligation* first_broken(const Exprs& exprs,
                                             std::span<const Obligation> obligations,
                                             std::int64_t n);

}  // namespace capsize
