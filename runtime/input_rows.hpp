// What ranks enter an event with in a plan with mathematics: the rows of real tokens, and behind
// them padding rows that hold poison.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/observation.hpp"
#include "runtime/placement.hpp"
#include "runtime/run_context.hpp"

namespace capsize {

class InputRows {
 public:
  // `batch` tells which tokens; `event` which poison takes its turn. `data` is there where any
  // rank enters.
  InputRows(Backend& backend, ModelData* data, std::uint64_t batch, std::int32_t event)
      : backend_(backend), data_(data), batch_(batch), event_(event) {}

  [[nodiscard]] Result<void> enter(std::int64_t rank, const Placement& at, Matrix input);
  // Adds to `seen` padding rows that were not poisoned. Fails where the device does.
  [[nodiscard]] Result<void> check(EventObservation& seen);

 private:
  struct Padding {
    std::int64_t rank = 0;
    std::int64_t first_row = 0;
  };
  [[nodiscard]] Result<void> copy_tokens(const Placement& at, Matrix input);
  void poison(const Matrix& padding);

  Backend& backend_;
  ModelData* data_;
  std::uint64_t batch_;
  std::int32_t event_;
  std::vector<Padding> padded_;
};

}  // namespace capsize
