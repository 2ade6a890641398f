// Events that do the same at another size. An event may say `"like": K` in place of its programs:
// it runs those of event K with every count of rows, tokens and requests multiplied by its own
// tokens over K's. Bytes, widths and launch constants stay as they are. Start-ups at dozens of
// sizes stay small that way.
#pragma once

#include <optional>
#include <vector>

#include "sim/lifecycle.hpp"

namespace capsize {

// The programs of `event` at `tokens`; none where a count would not come out whole, or where the
// event says no tokens.
[[nodiscard]] std::optional<std::vector<Program>> programs_like(const PlanEvent& event,
                                                                std::int64_t tokens);

}  // namespace capsize
