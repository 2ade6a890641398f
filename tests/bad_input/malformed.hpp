// Malformed inputs as tables. A row says what is given and what the answer must be by the result
// format: the exit status, the place, what is said of it. MalformedInput runs every row against
// every program, once for a machine (--json) and once for a person:
//
//   INSTANTIATE_TEST_SUITE_P(LaunchLine, MalformedInput, every_program_with(launch_lines()),
//                            name_of_row);
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tests/bad_input/programs.hpp"
#include "tests/support/temporary_folder.hpp"

namespace capsize::test {

// The exit statuses of the result format.
constexpr int kBadInputStatus = 2;
constexpr int kRefusedStatus = 3;

struct Malformed {
  std::string name;
  // Behind `capsize check [--json]`. FILE stands for a file that holds `file`, FOLDER for the
  // folder where it lies as config.json.
  std::vector<std::string> arguments = {};
  std::string input = {};  // standard input
  std::string file = {};
  int status = kBadInputStatus;
  std::string where = {};  // part of error.where; of refused.stage where the engine refuses
  std::string text = {};   // part of the message
  std::string hint = {};   // part of the way out; there must be one anyway
};

inline void PrintTo(const Malformed& row, std::ostream* out) { *out << row.name; }

class MalformedInput : public ::testing::TestWithParam<std::tuple<Program, Malformed>> {
 protected:
  [[nodiscard]] const Program& program() const { return std::get<0>(GetParam()); }
  [[nodiscard]] const Malformed& row() const { return std::get<1>(GetParam()); }

  // Runs `capsize check`, with --json or without.
  [[nodiscard]] ChildRun check(bool json) const;

 private:
  TemporaryFolder folder_;
};

[[nodiscard]] inline auto every_program_with(std::vector<Malformed> rows) {
  return ::testing::Combine(::testing::ValuesIn(programs_under_test()),
                            ::testing::ValuesIn(std::move(rows)));
}

[[nodiscard]] inline std::string name_of_row(
    const ::testing::TestParamInfo<std::tuple<Program, Malformed>>& row) {
  return std::get<0>(row.param).name + "_" + std::get<1>(row.param).name;
}

// One space for each run of blanks, since text for people is wrapped; and the replacement character
// for a byte that is not UTF-8, as JSON shows it.
[[nodiscard]] std::string unwrapped(std::string_view text);

// `count` times the text.
[[nodiscard]] std::string repeated(const std::string& text, std::size_t count);

}  // namespace capsize::test
