// Instructions bound to addresses: what eager makes and runs at once, what a capture keeps and a
// replay runs again, wherever things lie by then.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/body.hpp"
#include "runtime/run_options.hpp"

namespace capsize {

// The memory of one rank, in rows. Two pools (one that all graphs share, rewound for each; one for
// eager), the inputs, the zeros, and one output of each.
class RankMemory {
 public:
  enum class Pool : std::uint8_t { graph, eager };

  // What the bodies of a run need at most.
  struct Sizes {
    std::int64_t arena = 0;
    std::int64_t inputs = 0;
    std::int64_t zeros = 0;
    std::int64_t output = 0;
    void cover(const Body& body);
    [[nodiscard]] std::int64_t first_input() const { return 2 * arena + kTensorRows; }
    [[nodiscard]] std::int64_t rows() const;
  };

  // `memory` holds sizes.rows() rows and outlives this.
  RankMemory(std::span<std::byte> memory, const Sizes& sizes, std::int64_t columns,
             ElementType type);

  [[nodiscard]] Matrix at(const Operand& operand, const Body& body, Pool pool) const;
  // A tensor with the guards around it.
  [[nodiscard]] Matrix with_guards(const Matrix& tensor) const;
  // The rows of a pool that a body uses.
  [[nodiscard]] Matrix pool(const Body& body, Pool pool) const;
  // Inputs, zeros and outputs lie between guards, too, which are set once.
  void set_guards(RowSpace& space) const;
  static constexpr std::size_t kGuards = 4;
  [[nodiscard]] std::array<Matrix, kGuards> guards() const;

 private:
  [[nodiscard]] Matrix rows(std::int64_t first, std::int64_t count) const;

  std::byte* base_;
  Sizes sizes_;
  std::int64_t columns_;
  ElementType type_;
};

// One instruction of one rank.
struct Bound {
  const Instruction* what = nullptr;
  bool meets = false;  // with other ranks; else it stays on the rank
  std::array<ConstMatrix, kOperandsMax> in{};
  std::array<Matrix, 2> out{};
  LocalCall call;
  Arrival arrival;
};

struct BindingRequest {
  const Lifecycle& lifecycle;
  const Running& running;
  const Body& body;
  const ExactModel* model = nullptr;  // none: no mathematics
  std::int64_t rank = 0;
  bool unguarded = false;  // counts are not checked
  bool floors = false;     // counts that do not divide are rounded down
};

// Binds one instruction; `pool` holds its arena operands.
[[nodiscard]] Bound bind(const BindingRequest& request, const Instruction& instruction,
                         const RankMemory& memory, RankMemory::Pool pool);

// Why the counts of an arrival do not fit, as a checking library words it; empty where they do.
[[nodiscard]] std::string misfit(const Arrival& arrival);

}  // namespace capsize
