// Disagreements as scenario files: the member's launch and rules with what a check says of it, and
// what an execution showed.
#pragma once

#include <string_view>
#include <vector>

#include "scenarios/agree/agreement.hpp"
#include "scenarios/formats/scenario.hpp"

namespace capsize {

// What the ids of these scenarios begin with.
inline constexpr std::string_view kAgreePrefix = "agree-";

// One for each rules label, path and pair of predicted and observed: the first member that shows
// it, at its smallest size.
[[nodiscard]] Result<std::vector<Scenario>> scenarios_of(const Universe& universe,
                                                         const Agreement& agreement,
                                                         std::string_view backend);

}  // namespace capsize
