// Faults that an implementation without checks would have, planted in a plan: what `capsize run
// --unguarded` executes. The laws judge the plan with the fault in it, so that what is observed
// stands beside what was predicted.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/run_options.hpp"
#include "sim/error.hpp"
#include "sim/lifecycle.hpp"

namespace capsize {

struct PlantedRunFault {
  std::string text = {};    // a sentence; empty where nothing is planted
  std::int32_t event = -1;  // its place in Lifecycle::events; -1: wherever counts do not divide
};

// Fails where the plan has no place for it (one captured size
// alone has no wrong bucket, a plan without collectives no short count).
[[nodiscard]] Result<PlantedRunFault> plant_fault(Lifecycle& plan, const RunOptions& options);

}  // namespace capsize
