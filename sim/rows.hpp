// Walks a SymbolicStep: which layout and how many rows every operation meets, and what it asks for
// so that its rows can be split (its obligations). Knows no engine; the requirement of a step is
// the conjunction of what its operations ask.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/step.hpp"

namespace capsize {

enum class ObligationKind : std::uint8_t {
  equal,    // left = right
  at_most,  // left <= bound
  never,    // no count meets it (a layout that the operation cannot take)
};

// What one operation asks of n. `equal` compares two row counts; the reason says which.
struct Obligation {
  ObligationKind kind = ObligationKind::equal;
  Expr left = {};
  Expr right = {};
  std::int64_t bound = 0;
  std::string_view reason;  // "parts of the reduce-scatter differ between ranks"
  std::int32_t block = 0;   // which layer block and operation asks
  std::int32_t op = 0;
  bool between_ranks = false;  // the two sides are the rows of two ranks of one group
  bool in_own_call = true;     // a rank's own counts show it, so that a library can check it
  std::int32_t rank = 0;       // a rank that sees it
};

struct WalkedStep {
  std::vector<Obligation> obligations;  // in the order of the operations
};

// A tensor as it travels: how it is laid out, and how many rows each rank holds.
struct TravellingTensor {
  Layout layout;
  RankRows rows;
};

// What one operation met and left behind. `residual` is the second operand of an add_norm.
struct OpTrace {
  std::int32_t block = 0;
  std::int32_t op = 0;
  TravellingTensor in;
  TravellingTensor residual;
  TravellingTensor out;
};

// Walks the step. Expressions are added to `step.exprs`. With `trace`, every operation is written
// down there in order.
[[nodiscard]] WalkedStep walk(SymbolicStep& step, std::vector<OpTrace>* trace = nullptr);

// The rows of `rank`, as an expression.
[[nodiscard]] Expr rows_of(Exprs& exprs, const Topology& topology, const RankRows& rows,
                           std::int64_t rank);

}  // namespace capsize
