// What runs share and need not make again: the weights, the tokens' rows and the oracle's answers
// of a model. One context a thread; a run makes its own where it is given none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/rows/element.hpp"
#include "runtime/rows/local_work.hpp"
#include "sim/models/exact_model.hpp"

namespace capsize {

class ModelData {
 public:
  ModelData(const ExactModel& model, ElementType type);

  [[nodiscard]] const Weights& weights() const { return weights_; }
  [[nodiscard]] ElementType type() const { return type_; }
  // No other model of this process has it.
  [[nodiscard]] std::uint64_t id() const { return id_; }

  // Rows of the tokens [0, count) that stand at one coordinate of the layout, in one batch. Tokens
  // of different coordinates and batches differ.
  struct Rows {
    ConstMatrix entry;
    ConstMatrix expected;
    std::int64_t nonzero = 0;  // elements of `expected` that are not zero
  };
  [[nodiscard]] Rows rows(std::int64_t coordinate, std::uint64_t batch, std::int64_t count);
  // What the residual stream of one token holds (Oracle::forward).
  [[nodiscard]] std::vector<std::vector<std::int32_t>> residuals(std::int64_t coordinate,
                                                                 std::uint64_t batch,
                                                                 std::int64_t token) const;

 private:
  struct Batch {
    std::int64_t coordinate = 0;
    std::uint64_t batch = 0;
    std::int64_t count = 0;
    std::vector<std::byte> entry;
    std::vector<std::byte> expected;
    std::vector<std::int64_t> nonzero;  // of the first i + 1 rows
  };
  [[nodiscard]] Batch& batch_of(std::int64_t coordinate, std::uint64_t batch);
  void grow(Batch& batch, std::int64_t count);
  void fill_row(Batch& batch, std::int64_t row) const;

  Weights weights_;
  Oracle oracle_;
  ElementType type_;
  std::uint64_t id_;
  std::vector<Batch> batches_;
};

class RunContext {
 public:
  [[nodiscard]] ModelData& model(const ExactModel& model, ElementType type);

 private:
  std::vector<std::unique_ptr<ModelData>> models_;
};

}  // namespace capsize
