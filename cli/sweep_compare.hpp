// capsize sweep --compare N: both ways of judging members, on N random ones or on all of them.
#pragma once

#include <optional>

#include "scenarios/sweep/comparison.hpp"

namespace capsize::cli {

struct ComparisonOutput {
  bool json = false;   // one JSON object instead of text
  bool quiet = false;  // no progress
};

// Compares, prints the verdict, and returns the exit status: 0 the same, 1 not, 4 nothing judged.
[[nodiscard]] int compare_and_tell(const Universe& universe, const std::optional<Condition>& where,
                                   ComparisonOptions options, ComparisonOutput output);

}  // namespace capsize::cli
