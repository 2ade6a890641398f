// What came of an event, held against what it should be: the oracle's rows, and the rows of an
// eager run of the same body. Everything is compared bit by bit.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/lanes.hpp"
#include "runtime/observation.hpp"
#include "runtime/placement.hpp"
#include "runtime/run_context.hpp"

namespace capsize {

// Adds a mismatch. The first of an event becomes what is told of it.
void tell_wrong(EventObservation& seen, Mismatch mismatch, std::string text);

// The rows that a lane leaves behind.
[[nodiscard]] Matrix output_of(const Lane& lane);

// The real rows of the rank against the oracle's. Counts them in `totals`.
void compare_with_oracle(ModelData& data, std::uint64_t batch, const Lane& lane,
                         const Placement& placement, Observation& totals, EventObservation& seen);

// The first `rows` rows of a capture or a replay against those of the eager run.
void compare_with_eager(const Lane& lane, const Lane& eager, std::int64_t rows,
                        EventObservation& seen);

}  // namespace capsize
