// Plans through the program: the worked examples and what the README says of them, the plan that an
// engine dumps, the plan of a launch, and explain with its picture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/child_process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace capsize::plans_test {
namespace {

using test::ChildRun;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kPlans = std::string(CAPSIZE_SOURCE_DIR) + "/scenarios/plans/";

ChildRun run(std::vector<std::string> arguments, std::string input = {}) {
  arguments.insert(arguments.begin(), CAPSIZE_PROGRAM);
  const auto ran = test::run_child({.arguments = std::move(arguments), .input = std::move(input)});
  if (!ran) {
    ADD_FAILURE() << ran.error();
    return {};
  }
  return *ran;
}

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

std::vector<std::string> seed(std::vector<std::string> options) {
  for (const char* word : {"--", "--model-path", "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct",
                           "--trust-remote-code", "--tp", "8", "--moe-dense-tp-size", "1"}) {
    options.emplace_back(word);
  }
  return options;
}

// The one law that a plan breaks; empty where it breaks none.
std::string broken_law(const nlohmann::json& result) {
  std::string out;
  for (const auto& law : result["laws"]) {
    if (law["verdict"] != "violation") continue;
    out.append(out.empty() ? "" : " ").append(law["law"].get<std::string>());
  }
  return out;
}

struct Example {
  std::string name;
  int status = 0;
  std::string law;
  std::string points_to_it;  // a law that owns the rest of the fault; empty where there is none
};

class PlanExamples : public testing::TestWithParam<Example> {};

// A worked example that no longer says what the text beside it says.
TEST_P(PlanExamples, SayWhatTheReadmeSays) {
  const Example& example = GetParam();
  const std::string file = kPlans + example.name + ".json";
  const ChildRun judged = run({"check", "--json", "--plan", file});
  EXPECT_EQ(judged.exit_status, example.status) << judged.out << judged.err;
  EXPECT_EQ(broken_law(nlohmann::json::parse(judged.out)), example.law);
  const std::string readme = text_of(std::string(CAPSIZE_SOURCE_DIR) + "/scenarios/README.md");
  EXPECT_THAT(readme, HasSubstr("plans/" + example.name + ".json"));
  if (!example.law.empty()) {
    EXPECT_THAT(readme, HasSubstr(example.law));
    // With the law that it breaks switched off nothing is left to say against it.
    std::string off = example.law;
    if (!example.points_to_it.empty()) off += "," + example.points_to_it;
    EXPECT_EQ(run({"check", "--without", off, "--plan", file}).exit_status, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PlanExamples,
                         testing::Values(Example{"eight-ranks", 0, "", ""},
                                         Example{"idle-replica", 1, "same_mode", "same_sequence"},
                                         Example{"moved-workspace", 1, "replay_reads_now", ""}),
                         [](const testing::TestParamInfo<Example>& at) {
                           std::string name = at.param.name;
                           std::erase(name, '-');
                           return name;
                         });

// A plan on standard input, and the README's copy of the script that dumps one.
TEST(PlanDump, OfAnEngineIsJudged) {
  const std::string script = kPlans + "dump_plan.py";
  const std::string readme = text_of(std::string(CAPSIZE_SOURCE_DIR) + "/scenarios/README.md");
  EXPECT_THAT(readme, HasSubstr(text_of(script)));
  const auto dumped = test::run_child({.arguments = {"/usr/bin/env", "python3", script}});
  ASSERT_TRUE(dumped) << dumped.error();
  if (dumped->exit_status == 127) GTEST_SKIP() << "python3 is not installed";
  ASSERT_EQ(dumped->exit_status, 0) << dumped->err;
  const ChildRun judged = run({"check", "--plan", "-"}, dumped->out);
  EXPECT_EQ(judged.exit_status, 0) << judged.out << judged.err;
}

// The plan of a launch must lead to the launch's own verdict, and name the same operation.
TEST(EmittedPlan, IsJudgedAsTheLaunchIs) {
  for (const auto& [rules, status] : {std::pair("pre-23972", 1), std::pair("23972", 0),
                                      std::pair("23906", 1), std::pair("33200", 0)}) {
    const ChildRun emitted = run(seed({"check", "--rules", rules, "--emit-plan"}));
    ASSERT_EQ(emitted.exit_status, 0) << emitted.err;
    const ChildRun judged = run({"check", "--json", "--plan", "-"}, emitted.out);
    EXPECT_EQ(judged.exit_status, status) << rules << judged.out;
    if (status == 0) continue;
    const nlohmann::json result = nlohmann::json::parse(judged.out);
    EXPECT_EQ(broken_law(result), "divisible");
    for (const auto& law : result["laws"]) {
      if (law["verdict"] != "violation") continue;
      EXPECT_EQ(law["witness"]["tokens"], 4);
      EXPECT_EQ(law["witness"]["op"], "reduce_scatter");
      EXPECT_EQ(law["witness"]["group"], "attn_tp");
      EXPECT_EQ(law["first_in_time"]["event"], "warm_up");
    }
  }
}

// A launch that the engine refuses has no plan: nothing half-written is printed.
TEST(EmittedPlan, IsNotMadeOfARefusedLaunch) {
  const ChildRun refused = run({"check", "--emit-plan", "--", "--model-path",
                                "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", "--tp", "6"});
  EXPECT_EQ(refused.exit_status, 3);
  EXPECT_THAT(refused.out, Not(HasSubstr("\"events\"")));
}

// The operation that breaks is marked, with the rows of the ranks that part there.
TEST(Explain, MarksTheOperationThatBreaks) {
  const ChildRun told = run(seed({"explain", "--rules", "pre-23972", "--tokens", "28"}));
  EXPECT_EQ(told.exit_status, 1) << told.err;
  EXPECT_THAT(told.out, HasSubstr("A  ranks 0-3"));
  EXPECT_THAT(told.out, HasSubstr("x reduce_scatter  attn_tp (8)  A 28 -> 4, B 28 -> 3"));
  EXPECT_THAT(told.out, HasSubstr("VIOLATION"));
}

// A count that is not captured runs in the next larger graph; above all of them it runs eagerly.
TEST(Explain, FindsTheGraphOfACount) {
  const ChildRun padded = run(seed({"explain", "--rules", "23972", "--tokens", "28"}));
  EXPECT_EQ(padded.exit_status, 0) << padded.out << padded.err;
  EXPECT_THAT(padded.out, HasSubstr("28 tokens run in the graph of 32"));
  const ChildRun eager = run(seed({"explain", "--rules", "23972", "--tokens", "2049"}));
  EXPECT_EQ(eager.exit_status, 0) << eager.out << eager.err;
  EXPECT_THAT(eager.out, HasSubstr("2049 tokens run eager, padded to 2056"));
}

// Ranks that part are told apart, each with its own operations.
TEST(Explain, TellsTheClassesOfAnUnequalStep) {
  const ChildRun told = run({"explain", "--plan", kPlans + "idle-replica.json"});
  EXPECT_EQ(told.exit_status, 1);
  EXPECT_THAT(told.out, HasSubstr("A  ranks 0-1: graph {tokens: 8}, 8 of 8 rows"));
  EXPECT_THAT(told.out, HasSubstr("B  ranks 2-3: eager, 0 tokens"));
  EXPECT_THAT(told.out, HasSubstr("same_mode (hang)"));
  EXPECT_THAT(told.out, HasSubstr("x all_gather"));
  EXPECT_THAT(told.out, HasSubstr("x all_reduce"));
  const auto json = nlohmann::json::parse(
      run({"explain", "--json", "--event", "0", "--plan", kPlans + "idle-replica.json"}).out);
  EXPECT_EQ(json["verdict"], "pass");
  EXPECT_EQ(json["classes"].size(), 1U);
}

// The picture is whole XML, holds every rank and the sentence, and marks what breaks.
TEST(Explain, DrawsAPicture) {
  const test::TemporaryFolder folder;
  const std::string file = folder.path() + "/seed.svg";
  const ChildRun told =
      run(seed({"explain", "--rules", "pre-23972", "--tokens", "28", "--svg", file}));
  EXPECT_EQ(told.exit_status, 1);
  const std::string svg = text_of(file);
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  for (int rank = 0; rank < 8; ++rank) {
    EXPECT_THAT(svg, HasSubstr(">rank " + std::to_string(rank) + "<"));
  }
  EXPECT_THAT(svg, HasSubstr("class=\"badground\""));
  EXPECT_THAT(svg, HasSubstr("class=\"badline\""));
  EXPECT_THAT(svg, HasSubstr("class=\"join\""));
  EXPECT_THAT(svg, HasSubstr("[1] divisible"));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme: dark"));
}

}  // namespace
}  // namespace capsize::plans_test
