// The parts of scenarios that are made of a universe's members.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "scenarios/formats/scenario.hpp"
#include "sim/error.hpp"
#include "sim/universe.hpp"

namespace capsize {

// The long name of the class of defects that a law is about.
[[nodiscard]] std::string class_of(std::string_view law_name);

// Names of universes and rules are the user's; a file's name is not.
[[nodiscard]] std::string file_name_of(std::string text);

// The member's launch, its model and where it comes from; without an id, a title, an expectation.
[[nodiscard]] Result<Scenario> scenario_of_member(const Universe& universe, std::uint64_t number);

// That a check says of the law what it said in `result`.
[[nodiscard]] Expectation expectation_of(const CheckResult& result, const Finding& finding);

}  // namespace capsize
