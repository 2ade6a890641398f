// Output that nobody takes: the reader has gone away, the disk is full, there is no descriptor.
#include <gmock/gmock.h>

#include "tests/bad_input/malformed.hpp"

namespace capsize::test {
namespace {

const std::vector<std::string> kSeedLine = {
    "--rules",      "23972",
    "--",           "python",
    "-m",           "sglang.launch_server",
    "--model-path", "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct",
    "--tp",         "8"};

class LostOutput : public ::testing::TestWithParam<std::tuple<Program, ChildOutput>> {
 protected:
  [[nodiscard]] ChildRun run(std::vector<std::string> arguments, std::string input = "") const {
    const auto& [program, output] = GetParam();
    return run_program(
        program, {.arguments = std::move(arguments), .input = std::move(input), .output = output});
  }
};

// Would catch: SIGPIPE, or a pass that nobody could read.
TEST_P(LostOutput, OfOneCheckIsNoPass) {
  for (const bool for_machines : {false, true}) {
    std::vector<std::string> arguments = {"check"};
    if (for_machines) arguments.emplace_back("--json");
    arguments.insert(arguments.end(), kSeedLine.begin(), kSeedLine.end());
    EXPECT_EQ(run(arguments).exit_status, kBadInputStatus);
  }
}

// Would catch: a batch that works on for a reader that has gone, or passes. It is long enough to
// pass every buffer.
TEST_P(LostOutput, OfABatchEndsIt) {
  const std::string line =
      R"({"launch":["--model-path","deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct"]})";
  for (const std::size_t lines : {std::size_t{1}, std::size_t{500}}) {
    const ChildRun run = this->run({"check", "--batch", "-"}, repeated(line + "\n", lines));
    EXPECT_EQ(run.exit_status, kBadInputStatus) << lines << " lines";
  }
}

// Would catch: a command that ends without a verdict and without a word, or that tells it twice.
TEST_P(LostOutput, OfAnyCommandIsToldOnce) {
  const std::string request = R"({"id": 1, "fn": "default_sizes", "kind": "prefill"})";
  const std::vector<std::pair<std::vector<std::string>, std::string>> lines = {
      {{"--help"}, ""},
      {{"sweep", "--help"}, ""},
      {{"check", "--json", "--rules", "no-such-rules", "--", "--tp", "8"}, ""},
      {{"check", "--batch", "-"}, "{}\n"},
      {{"model"}, request + "\n"},
      {{"matrix", "pr23972", "--strength", "1"}, ""},
      {{"mutants", "--law", "within_capacity"}, ""},
      {{"scenarios", "run", "--json", CAPSIZE_SOURCE_DIR "/scenarios/cases/C01-token-divisibility"},
       ""},
      {{"sweep", "pr23972", "--shard", "1/2000"}, ""},
      {{"sweep", "pr23972", "--shard", "1/2000", "--json"}, ""},
      {{"sweep", "pr23972", "--member", "1"}, ""},
      {{"sweep", "pr23972", "--compare", "10"}, ""}};
  for (const auto& [line, input] : lines) {
    const ChildRun run = this->run(line, input);
    EXPECT_EQ(run.exit_status, kBadInputStatus) << line[0] << run.err;
    const std::string told = "standard output cannot be written: ";
    const std::size_t at = run.err.find(told);
    ASSERT_NE(at, std::string::npos) << line[0] << "\n" << run.err;
    EXPECT_EQ(run.err.find(told, at + 1), std::string::npos) << run.err;
  }
}

std::string name_of(ChildOutput output) {
  switch (output) {
    case ChildOutput::kept: return "kept";
    case ChildOutput::unread: return "unread";
    case ChildOutput::full: return "full";
    case ChildOutput::closed: break;
  }
  return "closed";
}

INSTANTIATE_TEST_SUITE_P(Program, LostOutput,
                         ::testing::Combine(::testing::ValuesIn(programs_under_test()),
                                            ::testing::Values(ChildOutput::unread,
                                                              ChildOutput::full,
                                                              ChildOutput::closed)),
                         [](const auto& row) {
                           return std::get<0>(row.param).name + "_" +
                                  name_of(std::get<1>(row.param));
                         });

}  // namespace
}  // namespace capsize::test
