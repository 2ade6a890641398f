// The written plans: the scenario files that hold a plan instead of a launch.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "scenarios/formats/scenario.hpp"

namespace capsize::test {

// All of them, by id. A file that cannot be read fails the test.
inline std::vector<Scenario> plan_cases() {
  std::vector<Scenario> out;
  const std::filesystem::path folder = std::string(CAPSIZE_SOURCE_DIR) + "/scenarios/cases";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream in(entry.path());
    std::ostringstream text;
    text << in.rdbuf();
    auto scenario = read_scenario(text.str());
    if (!scenario) {
      ADD_FAILURE() << entry.path() << ": " << scenario.error().text;
    } else if (scenario->plan) {
      out.push_back(*std::move(scenario));
    }
  }
  std::ranges::sort(out, {}, &Scenario::id);
  return out;
}

// The law that a case states as broken; empty for one that is legal.
inline std::string law_of(const Scenario& scenario) {
  for (const Expectation& each : scenario.expect) {
    if (each.verdict == Verdict::violation) return each.law.value_or("");
  }
  return {};
}

}  // namespace capsize::test
