// Which tokens a rank enters an event with: read from the layout and the row counts of its first
// operation, as the scheduler would hand them out.
#pragma once

#include <cstdint>

#include "sim/timeline.hpp"

namespace capsize {

struct Placement {
  std::int64_t coordinate = 0;  // tells batches apart that different replicas work on
  std::int64_t first = 0;       // the first row's place in that batch
  std::int64_t rows = 0;
  std::int64_t real = 0;  // rows that hold a token; the rest is padding
  friend bool operator==(const Placement&, const Placement&) = default;
};

[[nodiscard]] Placement placement_of(const Timeline& timeline, const EventRun& event,
                                     const Running& running, std::int64_t rank);

}  // namespace capsize
