// The regression suite: runs scenario files and compares what is said with what they expect.
// Prints nothing; the program renders the report, formats/junit.hpp writes it for a CI service.
//
//   const SuiteReport report = run_suite({"scenarios/cases"});
//   exit_status(report)   // 0 all hold, 1 some fail, 2 a file cannot be read, 4 nothing ran
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/formats/scenario.hpp"
#include "sim/error.hpp"

namespace capsize {

enum class Outcome : std::uint8_t { holds, fails, skipped };
[[nodiscard]] std::string_view name_of(Outcome outcome);

// One expectation, judged.
struct ExpectationReport {
  std::string rules;     // "23972"; of a plan "plan before" or "plan after"
  std::string law;       // empty where none is named
  std::string path;      // empty where none is named
  std::string expected;  // the verdicts in a word: "violation"
  std::string observed;  // empty where it was skipped
  Outcome outcome = Outcome::holds;
  std::string difference;  // one line; with fails and skipped
  std::string again;       // a line to paste that repeats it
  double seconds = 0;
};

struct ScenarioReport {
  std::string file;
  std::string id;
  std::string title;
  std::string defect_class;
  std::vector<ExpectationReport> expectations;
  std::optional<Error> error;  // the file cannot be read; the fields above may be empty
};

struct SuiteReport {
  std::vector<ScenarioReport> scenarios;  // by file name
  std::vector<Error> errors;              // paths that cannot be read

  [[nodiscard]] std::size_t count(Outcome outcome) const;
  [[nodiscard]] std::size_t unreadable() const;  // files and paths
};

// The check that a scenario's launch asks for, without the rules: its expectations name them.
[[nodiscard]] Result<CheckRequest> request_of(const Scenario& scenario);

// Compares one expectation of a scenario with the result of its check.
[[nodiscard]] ExpectationReport compare(const Expectation& expected, const CheckResult& observed);

// Runs every expectation of one scenario. `file` is where it came from, for the line to paste.
[[nodiscard]] ScenarioReport run_scenario(const Scenario& scenario, const std::string& file);

// Runs files, and the *.json files of folders with all their subfolders. A file that is named
// twice runs once. A file in a folder with the name of a defect class must be of that class and
// carry its id as its name, and no two files may carry one id.
[[nodiscard]] SuiteReport run_suite(const std::vector<std::string>& paths);

// 2 where anything cannot be read, 1 where an expectation fails, 4 where none ran, else 0.
[[nodiscard]] int exit_status(const SuiteReport& report);

// "18 scenarios, 31 expectations: all hold".
[[nodiscard]] std::string summary(const SuiteReport& report);

}  // namespace capsize
