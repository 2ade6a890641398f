// Random row expressions beside an evaluation that shares nothing with sim/expr.cpp: a tree that
// is read off recursively. Tests compare the two.
//
//   Generator random(seed);
//   RowTree tree = random.tree(4);
//   Exprs exprs;
//   Expr f = build(exprs, tree);      exprs.value_at(f, n) == evaluate(tree, n)
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/expr.hpp"

namespace capsize::test {

struct RowTree {
  enum class Kind : std::uint8_t { variable, constant, sum, product, quotient, guard };
  Kind kind = Kind::variable;
  std::int64_t number = 0;  // constant, factor, divisor or bound
  std::vector<RowTree> operands;
};

// Floor division by way of the real quotient: exact for the small numbers of a test.
inline std::int64_t floor_of(std::int64_t dividend, std::int64_t divisor) {
  return static_cast<std::int64_t>(
      std::floor(static_cast<long double>(dividend) / static_cast<long double>(divisor)));
}

inline std::int64_t evaluate(const RowTree& tree, std::int64_t n) {
  const auto operand = [&](std::size_t i) { return evaluate(tree.operands[i], n); };
  switch (tree.kind) {
    case RowTree::Kind::variable: return n;
    case RowTree::Kind::constant: return tree.number;
    case RowTree::Kind::sum: return operand(0) + operand(1);
    case RowTree::Kind::product: return tree.number * operand(0);
    case RowTree::Kind::quotient: return floor_of(operand(0), tree.number);
    case RowTree::Kind::guard: return operand(0) >= tree.number ? operand(1) : operand(2);
  }
  return 0;
}

inline Expr build(Exprs& exprs, const RowTree& tree) {
  const auto operand = [&](std::size_t i) { return build(exprs, tree.operands[i]); };
  switch (tree.kind) {
    case RowTree::Kind::variable: return exprs.n();
    case RowTree::Kind::constant: return exprs.constant(tree.number);
    case RowTree::Kind::sum: return exprs.add(operand(0), operand(1));
    case RowTree::Kind::product: return exprs.scale(tree.number, operand(0));
    case RowTree::Kind::quotient: return exprs.floor_div(operand(0), tree.number);
    case RowTree::Kind::guard:
      return exprs.if_at_least(operand(0), tree.number, operand(1), operand(2));
  }
  return exprs.n();
}

inline RowTree tree_n() { return {}; }
inline RowTree tree_constant(std::int64_t value) { return {RowTree::Kind::constant, value, {}}; }
inline RowTree tree_sum(RowTree f, RowTree g) {
  return {RowTree::Kind::sum, 0, {std::move(f), std::move(g)}};
}
inline RowTree tree_product(std::int64_t factor, RowTree f) {
  return {RowTree::Kind::product, factor, {std::move(f)}};
}
inline RowTree tree_quotient(RowTree f, std::int64_t divisor) {
  return {RowTree::Kind::quotient, divisor, {std::move(f)}};
}
inline RowTree tree_guard(RowTree f, std::int64_t bound, RowTree then, RowTree otherwise) {
  return {RowTree::Kind::guard, bound, {std::move(f), std::move(then), std::move(otherwise)}};
}

// n where n is odd, 0 where it is even: its steps are 2 and 0, so no single step describes it.
inline RowTree odd_or_zero() {
  RowTree parity = tree_sum(tree_n(), tree_product(-2, tree_quotient(tree_n(), 2)));
  return tree_guard(std::move(parity), 1, tree_n(), tree_constant(0));
}

// Trees from a seed (splitmix64), the same on every machine.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : state_(seed) {}

  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
  }

  RowTree tree(int depth) {
    if (depth == 0) return leaf();
    switch (between(0, 7)) {
      case 0: return leaf();
      case 1:
      case 2: return tree_sum(tree(depth - 1), tree(depth - 1));
      case 3: return tree_product(between(-3, 4), tree(depth - 1));
      case 4:
      case 5: return tree_quotient(tree(depth - 1), between(1, 8));
      default:
        return tree_guard(tree(depth - 1), between(-6, 40), tree(depth - 1), tree(depth - 1));
    }
  }

 private:
  RowTree leaf() {
    switch (between(0, 9)) {
      case 0:
      case 1: return tree_constant(between(-12, 30));
      case 2: return odd_or_zero();
      default: return tree_n();
    }
  }

  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL;
    return mixed ^ (mixed >> 31);
  }

  std::uint64_t state_;
};

}  // namespace capsize::test
