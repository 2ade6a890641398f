// Which programs the bad-input tests run, and the proof that a fault in one of them would be seen.
#include "tests/bad_input/programs.hpp"

#include <gmock/gmock.h>

namespace capsize::test {

std::vector<Program> programs_under_test() {
  std::vector<Program> programs = {{.name = "plain", .path = CAPSIZE_PROGRAM},
                                   {.name = "sanitized", .path = CAPSIZE_SANITIZED_PROGRAM}};
  if (programs.back().path.empty()) programs.pop_back();  // it was left out of the build
  return programs;
}

ChildRun run_program(const Program& program, ChildOptions options) {
  options.arguments.insert(options.arguments.begin(), program.path);
  auto run = run_child(options);
  if (!run) {
    ADD_FAILURE() << run.error();
    return {};
  }
  EXPECT_FALSE(run->timed_out) << "killed at the time limit\n" << run->err;
  EXPECT_TRUE(run->timed_out || run->signal == 0) << "ended by signal " << run->signal << "\n"
                                                  << run->err;
  EXPECT_NE(run->exit_status, sanitizer_exit_status) << run->err;
  return *std::move(run);
}

namespace {

INSTANTIATE_TEST_SUITE_P(Program, BadInput, ::testing::ValuesIn(programs_under_test()),
                         [](const auto& program) { return program.param.name; });

// Would catch: a program that takes an unknown command for success, or crashes on it.
TEST_P(BadInput, UnknownCommandIsBadInput) {
  const ChildRun run = this->run({"no-such-command"});
  EXPECT_EQ(run.exit_status, 2) << run.out << run.err;
  EXPECT_THAT(run.out + run.err, ::testing::HasSubstr("no-such-command"));
}

#ifdef CAPSIZE_PLANTED_FAULT

// Would catch: a "sanitized" program that was compiled or linked without the sanitizers. Only their
// runtime answers to `help=1`.
TEST(SanitizedProgram, CarriesTheSanitizers) {
  const auto run = run_child({.arguments = {CAPSIZE_SANITIZED_PROGRAM, "--version"},
                              .environment = {{"ASAN_OPTIONS", "help=1"}}});
  ASSERT_TRUE(run) << run.error();
  EXPECT_THAT(run->err, ::testing::HasSubstr("AddressSanitizer"));
}

// Would catch: flags or environment under which a sanitizer stays silent, or ends with a status
// that the tests take for a verdict. The program is built with the flags of the sanitized one.
TEST(SanitizedProgram, PlantedFaultsAreSeen) {
  for (const std::string fault : {"address", "undefined"}) {
    const auto run = run_child({.arguments = {CAPSIZE_PLANTED_FAULT, fault}});
    ASSERT_TRUE(run) << run.error();
    EXPECT_EQ(run->exit_status, sanitizer_exit_status) << fault << "\n" << run->err;
  }
  const auto healthy = run_child({.arguments = {CAPSIZE_PLANTED_FAULT, "none"}});
  ASSERT_TRUE(healthy) << healthy.error();
  EXPECT_EQ(healthy->exit_status, 0) << healthy->err;
}

#endif

}  // namespace
}  // namespace capsize::test
