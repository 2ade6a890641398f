// The report of a suite as JUnit XML, as CI services read it: one testsuite a scenario file, one
// testcase an expectation; an unreadable file is a testcase with an error.
#pragma once

#include <string>
#include <string_view>

#include "runtime/observation.hpp"
#include "scenarios/suite.hpp"
#include "sim/error.hpp"

namespace capsize {

[[nodiscard]] std::string to_junit(const SuiteReport& report);

// A run: one testcase an event, under the name of what was executed.
[[nodiscard]] std::string to_junit(const Observation& observed, std::string_view name);

// Text as it may stand in XML, in an attribute or between tags. Characters that XML 1.0 does not
// have and bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string xml_escaped(std::string_view text);

}  // namespace capsize
