// The fixture of all bad-input tests. `TEST_P(BadInput, Name)` runs once against the plain program
// and once against the sanitized one, where that was built.
//
//   TEST_P(BadInput, LaunchLineWithOpenQuote) {
//     const ChildRun run = this->run({"check", "--", "python -m sglang.launch_server \"--tp"});
//     EXPECT_EQ(run.exit_status, 2);
//   }
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/child_process.hpp"

namespace capsize::test {

struct Program {
  std::string name;  // "plain", "sanitized"
  std::string path;
};

// Shown by GoogleTest in a failure's headline.
inline void PrintTo(const Program& program, std::ostream* out) { *out << program.path; }

// The plain program and, where it was built, the sanitized one.
[[nodiscard]] std::vector<Program> programs_under_test();

// Runs the program with these options; its path is put in front of the arguments. A crash, a
// sanitizer's finding and a run past the limit fail the test here, whatever it goes on to expect.
[[nodiscard]] ChildRun run_program(const Program& program, ChildOptions options);

class BadInput : public ::testing::TestWithParam<Program> {
 protected:
  [[nodiscard]] ChildRun run(std::vector<std::string> arguments, std::string input = "") const {
    return run_program(GetParam(), {.arguments = std::move(arguments), .input = std::move(input)});
  }
};

}  // namespace capsize::test
