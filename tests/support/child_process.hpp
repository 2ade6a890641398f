// Runs a program as a child process and brings back how it ended and what it said. For tests of the
// program as a whole: exit status, messages, no crash.
//
//   const auto run = capsize::test::run_child({.arguments = {CAPSIZE_PROGRAM, "rules"}});
//   ASSERT_TRUE(run) << run.error();
//   EXPECT_EQ(run->exit_status, 0) << run->err;
#pragma once

#include <chrono>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace capsize::test {

// A sanitized child ends with this status when a sanitizer finds something. No status of capsize,
// so that a finding cannot pass for a verdict (the sanitizers' own default is 1, a violation).
constexpr int sanitizer_exit_status = 86;

// Where the child's standard output goes.
enum class ChildOutput {
  kept,    // into ChildRun::out
  unread,  // into a pipe whose reader has gone away, as behind `| head -1`
  full,    // onto a disk without room (/dev/full)
  closed,  // nowhere: the child starts without the descriptor
};

struct ChildOptions {
  std::vector<std::string> arguments;  // the program's path comes first
  std::string input = {};              // its standard input, whole
  ChildOutput output = ChildOutput::kept;
  std::vector<std::pair<std::string, std::string>> environment = {};  // set over the parent's
  std::chrono::milliseconds limit = std::chrono::seconds(60);         // then it is killed
};

struct ChildRun {
  int exit_status = 0;     // where it exited by itself
  int signal = 0;          // where a signal ended it, else 0
  bool timed_out = false;  // it ran past the limit and was killed
  std::string out;
  std::string err;
};

// The error says which system call failed. A program that cannot be started is an error too; one
// that crashes is not: it is a result.
[[nodiscard]] tl::expected<ChildRun, std::string> run_child(const ChildOptions& options);

}  // namespace capsize::test
