// Row counts as expressions in one variable n, the token (or request) count of a step.
//
// The expressions are closed under +, multiplication by an integer, floor division by a positive
// integer and a guard `y if f >= c else z`. For every one of them there are a threshold T >= 1, a
// period P >= 1 and steps s_0 ... s_(P-1) with f(n + P) = f(n) + s_(n mod P) for all n >= T; the
// structure of the expression is the algorithm that finds them (Exprs::period_of). That is why a
// finite window of concrete counts decides every n: see usable.hpp.
//
//   Exprs exprs;
//   Expr part = exprs.split_part(exprs.n(), 8, 0);   // rows of part 0 of an 8-way tensor_split
//   exprs.value_at(part, 28)                         // 4
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace capsize {

// A handle into an Exprs. Equal expressions have equal handles (they are hash-consed).
struct Expr {
  std::int32_t index = -1;
  [[nodiscard]] bool valid() const { return index >= 0; }
  friend bool operator==(Expr, Expr) = default;
};

// f(n + period) = f(n) + steps[n mod period] for every n >= threshold.
struct Period {
  std::int64_t threshold = 1;
  std::int64_t period = 1;
  std::vector<std::int64_t> steps = {0};
};

class Exprs {
 public:
  Exprs();

  [[nodiscard]] Expr n() const { return Expr{0}; }
  [[nodiscard]] Expr constant(std::int64_t value);
  [[nodiscard]] Expr add(Expr f, Expr g);
  [[nodiscard]] Expr scale(std::int64_t factor, Expr f);
  [[nodiscard]] Expr floor_div(Expr f, std::int64_t divisor);  // divisor > 0
  [[nodiscard]] Expr if_at_least(Expr f, std::int64_t bound, Expr then, Expr otherwise);

  // What the engines do with rows, in terms of the four above.
  [[nodiscard]] Expr subtract(Expr f, Expr g) { return add(f, scale(-1, g)); }
  [[nodiscard]] Expr align_up(Expr f, std::int64_t multiple);
  // Part j of an uneven split into `parts` (the first f mod parts hold one row more).
  [[nodiscard]] Expr split_part(Expr f, std::int64_t parts, std::int64_t j);
  // Rows of rank i when 2*ranks blocks are dealt in a zigzag: rank i holds blocks i and
  // 2*ranks-1-i, and the first f mod 2*ranks blocks hold one row more.
  [[nodiscard]] Expr zigzag_part(Expr f, std::int64_t ranks, std::int64_t i);

  [[nodiscard]] std::int64_t value_at(Expr f, std::int64_t n) const;

  // All expressions at once, children before parents: values[e.index] is the value of e at n.
  void values_at(std::int64_t n, std::vector<std::int64_t>& values) const;

  // Threshold, period and steps, or none when the period would pass `period_limit`.
  [[nodiscard]] std::optional<Period> period_of(Expr f, std::int64_t period_limit) const;

  [[nodiscard]] std::size_t size() const { return nodes_.size(); }

 private:
  enum class Kind : std::uint8_t { variable, constant, sum, product, quotient, guard };
  struct Node {
    Kind kind = Kind::constant;
    std::int32_t a = -1;      // operand; the compared expression of a guard
    std::int32_t b = -1;      // second operand; the branch of a guard that is taken at the bound
    std::int32_t c = -1;      // the other branch of a guard
    std::int64_t number = 0;  // constant, factor, divisor or bound
    friend bool operator==(const Node&, const Node&) = default;
  };

  [[nodiscard]] Expr intern(const Node& node);

  std::vector<Node> nodes_;
  std::vector<std::int32_t> table_;  // open addressing over nodes_, for hash-consing
};

// Where the truth of `f >= bound` stops depending on anything but n mod period: the threshold from
// which on it is periodic. Shared with the obligations of usable.hpp.
[[nodiscard]] std::int64_t settled_from(const Period& f, std::span<const std::int64_t> first_values,
                                        std::int64_t bound);

// The least common multiple, or none when it passes `limit`.
[[nodiscard]] std::optional<std::int64_t> lcm_within(std::int64_t a, std::int64_t b,
                                                     std::int64_t limit);

}  // namespace capsize
