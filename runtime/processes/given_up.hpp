// Events that are not run, because their ranks did not end in an earlier start of the same plan.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/lifecycle.hpp"

namespace capsize {

// Empties these events of their programs, and those that need them: the capture behind a warm-up of
// the same size, and the replays of a capture. Nothing runs in an event without programs. Returns
// all that were emptied, in their order.
std::vector<std::int32_t> give_up(Lifecycle& plan, std::span<const std::int32_t> events);

}  // namespace capsize
