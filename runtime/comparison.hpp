// What came of an event, held against what it should be: the oracle's rows, and the rows of an
// eager run of the same body. Everything is compared bit by bit, where the rows lie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/lanes.hpp"
#include "runtime/observation.hpp"
#include "runtime/placement.hpp"
#include "runtime/run_context.hpp"

namespace capsize {

// Adds a mismatch. The first of an event becomes what is told of it.
void tell_wrong(EventObservation& seen, Mismatch mismatch, std::string text);

// The rows that a lane leaves behind.
[[nodiscard]] Matrix output_of(const Lane& lane);

// The comparisons of one event: all are asked for first, and answered together.
class Comparisons {
 public:
  explicit Comparisons(RowSpace& space) : space_(space) {}

  // The real rows of the rank against the oracle's. Counts them in `totals`.
  [[nodiscard]] Result<void> with_oracle(ModelData& data, std::uint64_t batch, const Lane& lane,
                                         const Placement& at, Observation& totals,
                                         EventObservation& seen);
  // The first `rows` rows of a capture or a replay against those of the eager run.
  void with_eager(const Lane& lane, const Lane& eager, std::int64_t rows);
  // Adds what differs. Fails where the device does.
  [[nodiscard]] Result<void> tell(EventObservation& seen);

 private:
  struct Asked {
    Check check = Check::oracle;
    std::int64_t rank = 0;
    LaunchMode mode = LaunchMode::eager;
    ConstMatrix found;
    ConstMatrix expected;
    std::string text;
  };
  void ask(Check check, const Lane& lane, Matrix found, ConstMatrix expected, std::string text);
  [[nodiscard]] Result<std::string> value_at(const ConstMatrix& rows, ElementPlace place);

  RowSpace& space_;
  std::vector<Asked> asked_;
};

}  // namespace capsize
