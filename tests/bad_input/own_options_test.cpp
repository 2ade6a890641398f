// The program's own options, and files that they name.
#include <nlohmann/json.hpp>

#include "tests/bad_input/malformed.hpp"

namespace capsize::test {
namespace {

// A good launch line behind the options under test.
Malformed with_options(std::string name, std::vector<std::string> options, std::string where,
                       std::string told) {
  for (const char* word : {"--", "sglang", "serve", "--model-path", "Qwen/Qwen3-30B-A3B"}) {
    options.emplace_back(word);
  }
  return {.name = std::move(name),
          .arguments = std::move(options),
          .where = std::move(where),
          .text = std::move(told)};
}

std::vector<Malformed> own_options() {
  return {
      with_options("UnknownOption", {"--no-such-option"}, "command line", "--no-such-option"),
      with_options("UnknownRules", {"--rules", "0.0.1-nonsense"}, "--rules", "0.0.1-nonsense"),
      with_options("RulesThatAreNoUtf8", {"--rules", "\xff\xfe"}, "--rules", "unknown rules"),
      with_options("UnknownEngine", {"--engine", "no-engine"}, "--engine", "no-engine"),
      with_options("UnknownGpu", {"--gpu", "GT710"}, "--gpu", "GT710"),
      with_options("GpuThatIsNoUtf8", {"--gpu", "H\xff"}, "--gpu", "unknown GPU"),
      with_options("GpuWithoutMemory", {"--gpu", "memory_mib=0,sm=90"}, "--gpu", "memory_mib=0"),
      with_options("GpuOfHugeMemory", {"--gpu", "memory_mib=1e99,sm=90"}, "--gpu", "1e99"),
      with_options("GpuWithoutArchitecture", {"--gpu", "memory_mib=81559"}, "--gpu", "memory_mib"),
      with_options("UnknownFailOn", {"--fail-on", "everything"}, "command line", "everything"),
      with_options("OptionWithoutValue", {"--gpu"}, "command line", "--gpu"),
      with_options("NoModelConfig", {"--model-config", "/no/such/config.json"},
                   "/no/such/config.json", "No such file"),
      with_options("PlanBesideALaunch", {"--plan", "plan.json"}, "--plan", "judged alone"),
      {.name = "PlanWithoutALaw",
       .arguments = {"--plan", "FILE", "--without", "no_such_law"},
       .where = "--without",
       .text = "no_such_law"},
      {.name = "PlanWithoutALawThatJudgesLists",
       .arguments = {"--plan", "FILE", "--without", "filter_is_pure"},
       .where = "--without",
       .text = "filter_is_pure"},
      {.name = "NoPlan",
       .arguments = {"--plan", "/no/such/plan.json"},
       .where = "/no/such/plan.json",
       .text = "No such file"},
      {.name = "EmptyPlan",
       .arguments = {"--plan", "FILE"},
       .where = "line 1",
       .text = "end of input"},
      {.name = "NoFile",
       .arguments = {"/no/such/launch.sh"},
       .where = "/no/such/launch.sh",
       .text = "No such file"},
      {.name = "FolderForAFile",
       .arguments = {"FOLDER"},
       .where = "capsize.",
       .text = "cannot be read"},
      {.name = "EmptyFile", .arguments = {"FILE"}, .where = "line 1", .text = "empty"},
  };
}

INSTANTIATE_TEST_SUITE_P(OwnOptions, MalformedInput, every_program_with(own_options()),
                         name_of_row);

// Would catch: a run that starts although its options make no sense, or that takes a plan for a
// launch; and an agreement over nothing.
TEST_P(BadInput, RunAndAgreeWithoutWhatTheyNeed) {
  const TemporaryFolder folder;
  const std::string plan = folder.write("plan.json", R"({"schema": 1, "world": 2})");
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows = {
      {{"run"}, "command line"},
      {{"run", "/no/such/plan.json"}, "/no/such/plan.json"},
      {{"run", plan, "--", "--model-path", "Qwen/Qwen3-30B-A3B"}, "command line"},
      {{"run", plan, "--after"}, "--after"},
      {{"run", plan, "--rules", "23972"}, "--rules"},
      {{"run", plan, "--dtype", "fp8"}, "command line"},
      {{"run", plan, "--hidden", "0"}, "command line"},
      {{"run", plan, "--rows-max", "0"}, "command line"},
      {{"run", plan, "--backend", "nccl"}, "command line"},
      {{"run", plan, "--deadline", "0"}, "command line"},
      {{"run", plan, "--dtype", "fp32"}, "--dtype"},
      {{"run", plan, "--hidden", "16"}, "--hidden"},
      {{"run", plan, "--rows-max", "4"}, "--rows-max"},
      {{"run", plan, "--deadline", "1"}, "--deadline"},
      {{"run", plan, "--trace", "/no/such/folder/a"}, "--trace"},
      {{"run", plan, "--junit", "/no/such/folder/a"}, "--junit"},
      {{"run", plan, "--fault-rank", "1"}, "--fault-rank"},
      {{"run", plan, "--unguarded", "idle_rank", "--fault-rank", "2"}, "--fault-rank"},
      {{"run", plan, "--unguarded", "idle_rank"}, "--unguarded"},
      {{"run", plan, "--unguarded", "no_such_fault"}, "--unguarded"},
      {{"agree"}, "command line"},
      {{"agree", "no-such-universe"}, "no-such-universe"},
      {{"agree", "pr23972", "--strength", "99"}, "strength"},
      {{"agree", "pr23972", "--where", "tp <"}, "--where"},
      {{"agree", "pr23972", "--where", "tp > 64"}, "where"},
      {{"agree", "pr23972", "--rows-max", "-1"}, "command line"},
      {{"agree", "pr23972", "--where", "tp == 1", "--failures", "/dev/null/x"}, "--failures"},
  };
  for (const auto& [arguments, where] : rows) {
    const ChildRun plain = run(arguments);
    EXPECT_EQ(plain.exit_status, kBadInputStatus) << where << plain.out << plain.err;
    EXPECT_NE(plain.err.find(where), std::string::npos) << plain.err;
    EXPECT_NE(plain.err.find("way out: "), std::string::npos) << plain.err;
    std::vector<std::string> words = arguments;
    words.insert(words.begin() + 1, "--json");
    const auto told = nlohmann::json::parse(run(words).out, nullptr, false);
    ASSERT_TRUE(told.is_object()) << where;
    EXPECT_EQ(told["verdict"], "bad_input") << where;
  }
}

// Would catch: explain that takes nonsense for a count, or a picture that is written in spite of
// it.
TEST_P(BadInput, ExplainWithoutWhatItNeeds) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows = {
      {{"explain", "--", "--model-path", "Qwen/Qwen3-30B-A3B"}, "--tokens"},
      {{"explain", "--tokens", "-3", "--", "--model-path", "Qwen/Qwen3-30B-A3B"}, "--tokens"},
      {{"explain", "--tokens", "8"}, "command line"},
      {{"explain", "--tokens", "8", "--path", "up", "--", "--model-path", "Qwen/Qwen3-30B-A3B"},
       "--path"},
      {{"explain", "--plan", "-", "--", "--tp", "8"}, "--plan"},
      {{"explain", "--plan", "/no/such/plan.json"}, "/no/such/plan.json"},
  };
  for (const auto& [arguments, where] : rows) {
    const ChildRun told = run(arguments);
    EXPECT_EQ(told.exit_status, 2) << told.out;
    EXPECT_NE(told.err.find("bad input at " + where), std::string::npos) << told.err;
    EXPECT_TRUE(told.out.empty());
  }
  const std::string plan = R"({"schema": 1, "world": 1, "events": [
    {"event": "eager", "programs": [{"ranks": "0", "ops": [{"op": "norm"}]}]}]})";
  const ChildRun outside = run({"explain", "--plan", "-", "--event", "7"}, plan);
  EXPECT_EQ(outside.exit_status, 2);
  EXPECT_NE(outside.err.find("bad input at --event"), std::string::npos) << outside.err;
  const ChildRun unwritable =
      run({"explain", "--plan", "-", "--svg", "/no/such/folder/a.svg"}, plan);
  EXPECT_EQ(unwritable.exit_status, 2);
  EXPECT_NE(unwritable.err.find("bad input at --svg"), std::string::npos) << unwritable.err;
}

// Would catch: a batch file that cannot be read and passes. There is no request to answer, so it is
// told on standard error, whatever the form of the answers.
// Would catch: a command that answers a machine with prose, or with nothing on standard output.
TEST_P(BadInput, EveryCommandAnswersAMachineWithAnObject) {
  const std::vector<std::vector<std::string>> lines = {
      {"check", "--json", "--gpu", "GT710", "--", "--model-path", "x"},
      {"check", "--json", "--plan", "/no/such/plan.json"},
      {"explain", "--json", "--plan", "/no/such/plan.json"},
      {"explain", "--json", "--", "--model-path", "x"},
      {"sweep", "--json", "no-such-universe"},
      {"sweep", "--json", "pr23972", "--compare", "none"},
      {"matrix", "--json", "no-such-universe"},
      {"mutants", "--json", "--law", "no_such_law"}};
  for (const auto& line : lines) {
    const ChildRun told = run(line);
    EXPECT_EQ(told.exit_status, 2) << line[0];
    const auto object = nlohmann::json::parse(told.out, nullptr, false);
    ASSERT_TRUE(object.is_object()) << line[0] << ": " << told.out << told.err;
    EXPECT_EQ(object["verdict"], "bad_input") << line[0];
    EXPECT_FALSE(object["error"]["where"].get<std::string>().empty()) << line[0];
    EXPECT_EQ(told.err, "") << line[0];
  }
}

TEST_P(BadInput, ABatchFileThatCannotBeReadIsBadInput) {
  const TemporaryFolder folder;
  for (const std::string& path : {std::string("/no/such/requests.jsonl"), folder.path()}) {
    const ChildRun run = this->run({"check", "--batch", path});
    EXPECT_EQ(run.exit_status, kBadInputStatus) << path << run.out << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_NE(run.err.find(path), std::string::npos) << run.err;
  }
}

// Would catch: a call without a command that passes, or says nothing.
TEST_P(BadInput, NoCommandIsBadInput) {
  const ChildRun run = this->run({});
  EXPECT_EQ(run.exit_status, kBadInputStatus) << run.out << run.err;
  EXPECT_NE(run.err.find("capsize --help"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace capsize::test
