// What only calling a filter shows, by the laws that judge it: each function is defined in the file
// of its law. Set cases (set_case.hpp) are built from these facts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/capture.hpp"

namespace capsize {

// filter_is_pure: the first clause that does not hold, in words; none where all hold. The path must
// have candidates.
[[nodiscard]] std::optional<std::string> impurity_of(const CapturePath& path);

// filter_refuses_empty: a list of one size that the filter cannot keep and does not refuse as it
// should.
struct NotRefused {
  std::int64_t size = 0;
  std::string fault;
};
[[nodiscard]] std::optional<NotRefused> not_refused_by(const SizeFilter& filter);

}  // namespace capsize
