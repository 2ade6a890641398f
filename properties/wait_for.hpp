// Who waits for whom in one event: lets all ranks run until nobody can go on. Every collective and
// every send or receive blocks until all that take part have reached it; a rank issues operations
// in the order of their streams and of `after`, those of one communicator in the order of the
// program, and its collectives of transport `raw` too, where they lie on several streams.
//
// Ranks in the same place of the wait-for graph (they run the same, meet the same and exchange with
// the same) are one actor: what one of them does, all do.
#pragma once

#include <cstdint>
#include <vector>

#include "properties/op_sequence.hpp"
#include "sim/timeline.hpp"

namespace capsize {

// A set of ranks that cannot go on.
struct Waiter {
  std::int32_t running = -1;  // place in EventRun::runnings
  std::int64_t rank = 0;      // the first of them
  std::int64_t ranks = 0;
  const RunOp* op = nullptr;  // where they wait; none: they have ended
  std::int64_t number = 0;    // the how manieth over its communicator, from 1
};

// Waiters each of which waits for the next, and the last for the first; empty where all ranks
// reach the end. Sequences and exchanges must be matched, and all classes known. Where `effort` is
// spent the answer says nothing.
[[nodiscard]] std::vector<Waiter> standstill_of(const Timeline& timeline, const EventRun& event,
                                                Effort& effort);

}  // namespace capsize
