// The body of an event: what one class of ranks runs, unrolled over its layers, with a place in
// memory for every operand. It is made once and serves three launch modes: eager binds it to
// addresses and runs it, a capture keeps what it bound, a replay runs what was kept.
//
// In a plan with mathematics operations work on two tensors that travel through the layers, hidden
// and residual. In one without, an operation reads what the operations that it names wrote.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/error.hpp"
#include "sim/timeline.hpp"
#include "sim/units.hpp"

namespace capsize {

inline constexpr std::size_t kOperandsMax = 4;
inline constexpr std::int64_t kOperandRowsMax = std::int64_t{1} << 26;  // of one operand
inline constexpr std::size_t kInstructionsMax = std::size_t{1} << 20;

// Where an operand lies.
struct Operand {
  enum class Where : std::uint8_t {
    arena,   // the pool of the launch mode, from row `at` on
    input,   // the rank's own rows; `at` tells several inputs of a body apart
    zeros,   // rows that hold nothing to add
    output,  // what the event leaves behind
  } where = Where::arena;
  std::int64_t at = 0;
  std::int64_t rows = 0;
};

struct Instruction {
  const PlanOp* op = nullptr;  // none: the last addition, hidden + residual, which no plan states
  std::int32_t index = -1;     // its place in the program
  std::int64_t layer = -1;
  bool captured = false;    // part of a captured region
  bool from_graph = false;  // in a replay: comes from the capture
  std::uint8_t inputs = 0;
  std::uint8_t outputs = 0;
  std::array<Operand, kOperandsMax> in{};
  std::array<Operand, 2> out{};
  // In a plan without mathematics: who wrote each operand; none: an input.
  std::array<const PlanOp*, kOperandsMax> made_by{};
  std::int32_t fault = -1;  // an operand that does not fit: place in Body::faults
};

struct Body {
  std::vector<Instruction> instructions;
  std::vector<std::string> faults;
  std::int64_t arena_rows = 0;           // the pool's size
  std::vector<std::int64_t> input_rows;  // of each input
  // In a plan without mathematics: who reads it, as which operand.
  struct Reader {
    const PlanOp* op = nullptr;
    std::size_t operand = 0;
  };
  std::vector<Reader> readers;
  std::int64_t zero_rows = 0;
  std::int64_t output_rows = 0;
  bool ends_model = true;  // false: a pipeline stage that hands its rows on
};

// Rows before and behind every tensor that only a fault writes to.
inline constexpr std::int64_t kGuardRows = 1;
// Tensors begin at multiples of so many rows. The shortest row has 8 bytes, so that each begins at
// a cache line, as those of real allocators do: copies between tensors that lie a few bytes apart
// are slower by far, and would be measured as the runtime's own.
inline constexpr std::int64_t kTensorRows = 8;

// The rows that a tensor takes, with the guard behind it. The one before it lies in its
// neighbour's.
[[nodiscard]] constexpr std::int64_t rows_with_guard(std::int64_t rows) {
  return align_up(rows + kGuardRows, kTensorRows);
}

struct BodyRules {
  bool mathematics = false;  // the plan has some
  std::int64_t layers = 0;   // then: how many the model has
  bool unguarded = false;  // an operation that reads fewer rows than its operand holds reads those
};

// The body of `running`. Fails where it cannot be executed.
[[nodiscard]] Result<Body> body_of(const Running& running, BodyRules rules);

}  // namespace capsize
