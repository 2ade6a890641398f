// Finds where a wrong result began: the oracle knows what the residual stream of every token holds
// behind each addition, so that the first addition that leaves a row which is no token's is told.
// Asked only when a result is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_set>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/run_context.hpp"

namespace capsize {

class Stages {
 public:
  explicit Stages(ModelData& data) : data_(data) {}
  // The tokens [0, count) of a batch at one coordinate of the layout.
  void add(std::int64_t coordinate, std::uint64_t batch, std::int64_t count);

  // The first row that a call leaves in the residual stream and that is no token's there; none
  // where all are, or where the call adds nothing to it. `attended`: attention of this layer lies
  // behind.
  [[nodiscard]] Result<std::optional<std::int64_t>> first_wrong_row(const LocalCall& call,
                                                                    bool attended,
                                                                    RowSpace& space) const;

 private:
  ModelData& data_;
  std::vector<std::unordered_set<std::uint64_t>> stages_;  // row hashes; two a layer, the output
};

}  // namespace capsize
