// Which rules and laws the program was built from. Certificates hold it beside the version, so that
// parts of a sweep that other rules have judged are not taken for parts of the same sweep.
#pragma once

#include <string_view>

namespace capsize {

// 12 hex digits of a hash over the sources that decide verdicts and counts
// (scenarios/CMakeLists.txt lists them): the same on every machine, and another one after any edit
// of them.
[[nodiscard]] std::string_view sources_digest();

}  // namespace capsize
