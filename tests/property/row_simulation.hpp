// An independent oracle of a step: it moves named rows from rank to rank, one by one, and says
// whether every operation got what it needs. No expressions, periods or symbolic layouts: a rank
// holds a list of row numbers, and that list is all that counts.
#pragma once

#include <cstdint>
#include <string>

#include "sim/step.hpp"

namespace capsize::property {

// Why the step cannot run at n units; empty where it can.
[[nodiscard]] std::string stops_at(const SymbolicStep& step, std::int64_t n);

}  // namespace capsize::property
