// `capsize mutants` as a program: its exit statuses, its table and its JSON.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/child_process.hpp"

namespace capsize::mutants_program_test {
namespace {

test::ChildRun mutants(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {CAPSIZE_PROGRAM, "mutants"});
  auto run = test::run_child({.arguments = std::move(arguments)});
  EXPECT_TRUE(run) << run.error();
  return run ? *run : test::ChildRun{.exit_status = -1};
}

// A filter that lets another law's faults in, a row without its launch, progress in the output.
TEST(MutantsProgram, TellsTheFaultsOfOneLaw) {
  const test::ChildRun run = mutants({"--law", "filter_keeps_contract", "--json"});
  EXPECT_EQ(run.exit_status, 0) << run.err;
  EXPECT_EQ(run.err, "");
  const auto table = nlohmann::json::parse(run.out, nullptr, false);
  ASSERT_FALSE(table.is_discarded()) << run.out;
  EXPECT_GT(table["faults"], 10);
  EXPECT_EQ(table["faults"], table["killed"]);
  EXPECT_EQ(table["mutants"].size(), table["faults"]);
  for (const auto& row : table["mutants"]) {
    EXPECT_EQ(row["law"], "filter_keeps_contract");
    EXPECT_TRUE(row["killed"]) << row;
    EXPECT_FALSE(row["smallest"].get<std::string>().empty()) << row;
  }
}

TEST(MutantsProgram, EndsItsTableInOneLine) {
  const test::ChildRun run = mutants({"--law", "within_capacity"});
  EXPECT_EQ(run.exit_status, 0) << run.err;
  EXPECT_THAT(run.out, testing::StartsWith("# law "));
  EXPECT_THAT(run.out,
              testing::HasSubstr(" planted faults, all killed, each by the law that it names\n"));
}

// A mistyped law that would pass with nothing looked at.
TEST(MutantsProgram, KnowsItsLaws) {
  const test::ChildRun run = mutants({"--law", "divisble"});
  EXPECT_EQ(run.exit_status, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, testing::HasSubstr("no law \"divisble\""));
  EXPECT_THAT(run.err, testing::HasSubstr("divisible"));
}

// Text where a machine waits for an object.
TEST(MutantsProgram, TellsAMachineToo) {
  const test::ChildRun run = mutants({"--law", "divisble", "--json"});
  EXPECT_EQ(run.exit_status, 2);
  EXPECT_EQ(run.err, "");
  const auto answer = nlohmann::json::parse(run.out, nullptr, false);
  ASSERT_TRUE(answer.is_object()) << run.out;
  EXPECT_EQ(answer["verdict"], "bad_input");
  EXPECT_EQ(answer["error"]["where"], "--law");
}

}  // namespace
}  // namespace capsize::mutants_program_test
