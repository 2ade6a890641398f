// The memory that the rows of a process's ranks lie in, and what is done to rows there without
// computing. On the host that is plain memory; a device has its own, which the host cannot read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/rows/element.hpp"
#include "runtime/rows/local_work.hpp"
#include "sim/error.hpp"

namespace capsize {

// Rows that stay the same for as long as their model is there.
struct KeptKey {
  std::uint64_t model = 0;  // ModelData::id()
  std::int64_t coordinate = 0;
  std::uint64_t batch = 0;
  bool expected = false;  // the oracle's rows; else those that tokens enter with
  friend auto operator<=>(const KeptKey&, const KeptKey&) = default;
};

class RowSpace {
 public:
  virtual ~RowSpace() = default;

  // At least so many bytes for the rows of all ranks, aligned to cache lines. `plain`: they are
  // those of a plan without mathematics, which are read on the host operation by operation.
  [[nodiscard]] virtual Result<std::span<std::byte>> memory(std::size_t bytes, bool plain) = 0;
  // The most that `memory` gives.
  [[nodiscard]] virtual std::int64_t memory_max() const = 0;

  // The host's rows as rows of this space.
  [[nodiscard]] virtual Result<ConstMatrix> keep(const KeptKey& key, ConstMatrix rows) = 0;
  virtual void copy(ConstMatrix from, Matrix to) = 0;
  // Every element becomes `bits`.
  virtual void fill(Matrix rows, std::uint32_t bits) = 0;

  // Questions about rows; `answers` gives those of all that were asked since, in their order.
  virtual void ask_difference(ConstMatrix found, ConstMatrix expected) = 0;
  virtual void ask_unwritten(ConstMatrix rows) = 0;  // elements that still hold the fill
  virtual void ask_touched(ConstMatrix rows) = 0;    // elements that do not
  struct Answer {
    std::int64_t count = 0;  // of elements
    ElementPlace first;      // where there are any
  };
  [[nodiscard]] virtual Result<std::vector<Answer>> answers() = 0;

  // The same rows for the host to read, until the next call of this space.
  [[nodiscard]] virtual Result<ConstMatrix> on_host(ConstMatrix rows) = 0;
};

}  // namespace capsize
