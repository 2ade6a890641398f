// Bad lines of a batch. Each stands between two good ones: the answers keep the order of the
// requests, carry their ids, and a bad line does not touch its neighbours.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/bad_input/malformed.hpp"

namespace capsize::test {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

const std::string kLaunch =
    R"("launch":["--model-path","deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct","--tp","8"])";

std::string good_line(const std::string& id) {
  return R"({"id":)" + id + R"(,"rules":"23972",)" + kLaunch + "}\n";
}

std::vector<Json> answers_of(const ChildRun& run) {
  std::vector<Json> answers;
  std::istringstream lines(run.out);
  for (std::string line; std::getline(lines, line);) {
    answers.push_back(Json::parse(line, nullptr, false));
    EXPECT_TRUE(answers.back().is_object()) << line;
    if (!answers.back().is_object()) answers.back() = Json::object();
  }
  return answers;
}

struct BadLine {
  std::string name;
  std::string line;
  std::string where;
  std::string text;
  Json id = "bad";  // as the answer must echo it; null where the line could not be parsed
};

void PrintTo(const BadLine& row, std::ostream* out) { *out << row.name; }

// A request with these fields beside its id.
BadLine request(std::string name, const std::string& fields, std::string where, std::string told) {
  return {.name = std::move(name),
          .line = R"({"id":"bad",)" + fields + "}",
          .where = std::move(where),
          .text = std::move(told)};
}

// A line that is no request at all.
BadLine broken(std::string name, std::string line, std::string where, std::string told) {
  return {.name = std::move(name),
          .line = std::move(line),
          .where = std::move(where),
          .text = std::move(told),
          .id = nullptr};
}

std::vector<BadLine> broken_lines() {
  return {
      broken("Truncated", R"({"id":"bad","launch":["--tp","8")", "line 1, column", "JSON"),
      broken("NoJson", "python -m sglang.launch_server --tp 8", "line 1, column 1", "JSON"),
      broken("AList", R"(["--tp","8"])", "$", "must be an object"),
      broken("AText", R"("--tp 8")", "$", "must be an object"),
      broken("ANumber", "8", "$", "must be an object"),
      broken("Null", "null", "$", "must be an object"),
      broken("TwoObjects", good_line("1").substr(0, 20) + R"("}{"id":2})", "line 1", "JSON"),
      broken("NoUtf8", "{\"id\":\"bad\",\"launch\":\"--tp \xff\"}", "line 1, column", "JSON"),
      broken("NulByte", std::string("{\"id\":\0}", 8), "line 1, column 7", "NUL"),
      broken("DeepArrays", R"({"id":"bad","launch":)" + repeated("[", 100000), "$.launch[0]",
             "nested deeper"),
      broken("DeepObjects", repeated(R"({"launch":)", 100000), "$.launch.launch", "nested deeper"),
      broken("DuplicateKey", R"({"id":"bad","launch":"--tp 8","launch":"--tp 4"})", "$.launch",
             "duplicate"),
      broken("DuplicateInside", R"({"id":"bad","gpu":{"sm":90,"sm":80}})", "$.gpu.sm", "duplicate"),
      broken("HugeNumber", R"({"id":"bad","gpu":{"memory_mib":1e999,"sm":90}})", "$.gpu.memory_mib",
             "out of range"),
      broken("HugeInteger", R"({"id":"bad","gpu":{"memory_mib":9223372036854775808,"sm":90}})",
             "$.gpu.memory_mib", "out of range"),
      broken("LoneSurrogate", R"({"id":"bad","launch":"\ud800"})", "line 1, column", "JSON"),
      broken("MoreThan4MiB",
             R"({"id":"bad","launch":")" + std::string(std::size_t{4} << 20, 'x') + "\"}", "",
             "bytes"),
  };
}

std::vector<BadLine> bad_requests() {
  const std::string model = R"("model_config":)";
  return {
      request("NoLaunch", R"("rules":"23972")", "$.launch", "missing"),
      request("NullLaunch", R"("launch":null)", "$.launch", "missing"),
      request("LaunchIsANumber", R"("launch":8)", "$.launch", "must be"),
      request("LaunchIsAnObject", R"("launch":{"tp":8})", "$.launch", "must be"),
      request("LaunchIsEmpty", R"("launch":"")", "$.launch", "empty"),
      request("NoWords", R"("launch":[])", "$.launch", "no words"),
      request("NumberForAWord", R"("launch":["--tp",8])", "$.launch[1]", "must be a string"),
      request("ListForAWord", R"("launch":["--tp",["8"]])", "$.launch[1]", "must be a string"),
      request("NoLaunchInIt", R"("launch":"nvidia-smi")", "$.launch", "no launch"),
      request("OpenQuote", R"("launch":"sglang serve --model-path 'x")", "$.launch", "quote"),
      request("NulInALaunch", R"("launch":"sglang serve \u0000")", "$.launch", "NUL"),
      request("NulInAWord", R"("launch":["sglang","serve","\u0000"])", "$.launch", "NUL"),
      request("UnknownField", kLaunch + R"(,"tp":8)", "$.tp", "unknown field"),
      request("FieldOfOddName", kLaunch + R"(,"a b\n":8)", "$[\"a b?\"]", "unknown field"),
      request("RulesAreANumber", kLaunch + R"(,"rules":23972)", "$.rules", "must be a string"),
      request("UnknownRules", kLaunch + R"(,"rules":"99999")", "rules", "99999"),
      request("UnknownEngine", kLaunch + R"(,"engine":"no-engine")", "$.engine", "no-engine"),
      request("EngineIsAList", kLaunch + R"(,"engine":["sglang"])", "$.engine", "must be a string"),
      request("UnknownSchema", kLaunch + R"(,"schema":2)", "$.schema", "2"),
      request("UnknownGpu", kLaunch + R"(,"gpu":"GT710")", "$.gpu", "GT710"),
      request("GpuIsANumber", kLaunch + R"(,"gpu":90)", "$.gpu", "must be"),
      request("GpuWithoutArchitecture", kLaunch + R"(,"gpu":{"memory_mib":81559})", "$.gpu.sm",
              "missing"),
      request("GpuWithAName", kLaunch + R"(,"gpu":{"memory_mib":81559,"sm":90,"name":"x"})",
              "$.gpu.name", "unknown field"),
      request("GpuOfNoMemory", kLaunch + R"(,"gpu":{"memory_mib":0,"sm":90})", "$.gpu.memory_mib",
              "0"),
      request("GpuOfHalfAMiB", kLaunch + R"(,"gpu":{"memory_mib":0.5,"sm":90})", "$.gpu.memory_mib",
              "whole number"),
      request("ModelIsText", kLaunch + "," + model + R"("config.json")", "$.model_config",
              "must be an object"),
      request("ModelIsEmpty", kLaunch + "," + model + "{}", "$.model_config.architectures",
              "missing"),
      request("ModelOfNoSize",
              kLaunch + "," + model + R"({"architectures":["X"],"num_hidden_layers":-1})",
              "$.model_config.num_hidden_layers", "-1"),
      request("HugeSize", R"("launch":["--model-path","x","--tp","1000000000000000000000"])",
              "--tp", "1000000000000000000000"),
  };
}

class BadBatchLine : public ::testing::TestWithParam<std::tuple<Program, BadLine>> {};

// Would catch: a bad line that ends the batch, shifts the answers, loses its id, or answers with
// something that is no JSON; a batch whose status hides it.
TEST_P(BadBatchLine, IsAnsweredInItsPlace) {
  const auto& [program, row] = GetParam();
  const ChildRun run =
      run_program(program, {.arguments = {"check", "--batch", "-"},
                            .input = good_line("1") + row.line + "\n" + good_line("3")});
  EXPECT_EQ(run.exit_status, kBadInputStatus) << run.err;
  EXPECT_EQ(run.err, "");
  const std::vector<Json> answers = answers_of(run);
  ASSERT_EQ(answers.size(), 3U) << run.out;
  EXPECT_EQ(answers[0].value("id", Json()), 1);
  EXPECT_EQ(answers[0].value("verdict", ""), "pass");
  EXPECT_EQ(answers[2].value("id", Json()), 3);
  EXPECT_EQ(answers[2].value("verdict", ""), "pass");

  EXPECT_EQ(answers[1].value("verdict", ""), "bad_input") << answers[1];
  EXPECT_EQ(answers[1].value("id", Json("none")), row.id);
  EXPECT_EQ(answers[1].value("schema", 0), 1);
  const Json error = answers[1].value("error", Json::object());
  EXPECT_THAT(error.value("where", ""), HasSubstr(row.where));
  EXPECT_THAT(error.value("text", ""), HasSubstr(row.text));
  EXPECT_NE(error.value("hint", ""), "");
}

const auto kNameOfLine = [](const auto& row) {
  return std::get<0>(row.param).name + "_" + std::get<1>(row.param).name;
};
INSTANTIATE_TEST_SUITE_P(BrokenLine, BadBatchLine,
                         ::testing::Combine(::testing::ValuesIn(programs_under_test()),
                                            ::testing::ValuesIn(broken_lines())),
                         kNameOfLine);
INSTANTIATE_TEST_SUITE_P(BadRequest, BadBatchLine,
                         ::testing::Combine(::testing::ValuesIn(programs_under_test()),
                                            ::testing::ValuesIn(bad_requests())),
                         kNameOfLine);

// Would catch: an id that is echoed as text, rounded, escaped wrongly, or dropped.
TEST_P(BadInput, AnIdOfAnyTypeIsEchoed) {
  const std::vector<std::string> ids = {R"("a1")",
                                        "7",
                                        "-9223372036854775808",
                                        "9223372036854775807",
                                        "1.5",
                                        "true",
                                        "null",
                                        R"([1,"two",[]])",
                                        R"({"a":{"b":null}})",
                                        R"("\"\\\u0001\u00e9\ud83d\ude00")",
                                        R"("")"};
  std::string input;
  for (const std::string& id : ids) input += good_line(id);
  for (const std::string& id : ids) input += R"({"id":)" + id + R"(,"launch":5})" + "\n";
  const ChildRun run = this->run({"check", "--batch", "-"}, input);
  const std::vector<Json> answers = answers_of(run);
  ASSERT_EQ(answers.size(), 2 * ids.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].value("id", Json("none")), Json::parse(ids[i % ids.size()]));
    EXPECT_EQ(answers[i].value("verdict", ""), i < ids.size() ? "pass" : "bad_input");
  }
}

// Would catch: a blank line or a carriage return that is taken for a request, and a last line
// without its end that is dropped.
TEST_P(BadInput, BlankLinesAndLineEndsAreNoRequests) {
  std::string windows = good_line("1");
  windows.insert(windows.size() - 1, "\r");
  std::string last = good_line("2");
  last.pop_back();
  const ChildRun run = this->run({"check", "--batch", "-"}, "\n" + windows + "\r\n  \t\n" + last);
  EXPECT_EQ(run.exit_status, 0) << run.out;
  const std::vector<Json> answers = answers_of(run);
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].value("id", 0), 1);
  EXPECT_EQ(answers[1].value("id", 0), 2);
}

// Would catch: a batch that holds nothing and passes. Nothing checked is undecided, status 4.
TEST_P(BadInput, AnEmptyBatchChecksNothing) {
  for (const std::string input : {"", "\n\n"}) {
    const ChildRun run = this->run({"check", "--batch", "-"}, input);
    EXPECT_EQ(run.exit_status, 4) << run.out << run.err;
    EXPECT_EQ(run.out, "");
  }
}

// Every numeric option at every edge: whatever the verdict is, it is one, and it comes in time.
// Would catch: an overflow, a division by zero or an endless loop behind a size that nobody tried.
TEST_P(BadInput, NumbersAtTheEdgesGetAVerdict) {
  const std::vector<std::string> options = {"--tp-size",
                                            "--pp-size",
                                            "--dp-size",
                                            "--ep-size",
                                            "--moe-dp-size",
                                            "--attn-cp-size",
                                            "--moe-dense-tp-size",
                                            "--nnodes",
                                            "--chunked-prefill-size",
                                            "--max-prefill-tokens",
                                            "--max-running-requests",
                                            "--max-total-tokens",
                                            "--context-length",
                                            "--page-size",
                                            "--cuda-graph-max-bs",
                                            "--cuda-graph-bs",
                                            "--piecewise-cuda-graph-max-tokens",
                                            "--piecewise-cuda-graph-tokens",
                                            "--speculative-num-steps",
                                            "--speculative-num-draft-tokens",
                                            "--speculative-eagle-topk",
                                            "--ep-num-redundant-experts",
                                            "--base-gpu-id",
                                            "--gpu-id-step",
                                            "--cpu-offload-gb"};
  const std::vector<std::string> numbers = {
      "-9223372036854775808", "-1099511627776",     "-1", "0", "1", "16384", "1048576", "1048577",
      "1099511627776",        "9223372036854775807"};
  const std::vector<std::string> lines = {
      R"("--tp=8","--moe-dense-tp-size=1")", R"("--tp=8","--enable-dp-attention","--dp-size=2")",
      R"("--tp=8","--attn-cp-size=2","--enable-prefill-context-parallel",)"
      R"("--enforce-piecewise-cuda-graph")",
      R"("--tp=8","--speculative-algorithm=EAGLE","--speculative-num-steps=3",)"
      R"("--speculative-eagle-topk=1","--speculative-num-draft-tokens=4")"};
  std::string input;
  std::size_t requests = 0;
  for (const char* rules : {"pre-23972", "33200"}) {
    for (const std::string& line : lines) {
      for (const std::string& option : options) {
        for (const std::string& number : numbers) {
          input.append(R"({"rules":")").append(rules).append(R"(","launch":["--model-path",)");
          input.append(R"("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct",)").append(line);
          input.append(",\"").append(option).append("=").append(number).append("\"]}\n");
          ++requests;
        }
      }
    }
  }
  const ChildRun run = this->run({"check", "--batch", "-"}, input);
  EXPECT_EQ(run.exit_status, kBadInputStatus);
  const std::vector<Json> answers = answers_of(run);
  ASSERT_EQ(answers.size(), requests) << run.err;
  for (const Json& answer : answers) {
    EXPECT_THAT(answer.value("verdict", ""),
                ::testing::AnyOf("pass", "violation", "bad_input", "refused", "undecided"));
  }
}

// Long lists, also in the order that suits no search. Would catch: work that grows
// with the square of a list, which would keep a server busy for minutes.
TEST_P(BadInput, LongListsGetAVerdictInTime) {
  std::string descending;
  for (int size = 30000; size > 0; --size) descending.append(" ").append(std::to_string(size));
  const std::string model = "--model-path deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct --tp 8 ";
  const std::vector<std::string> options = {
      "--piecewise-cuda-graph-tokens" + descending, "--cuda-graph-bs" + descending,
      "--cuda-graph-max-bs 1048576", "--disable-cuda-graph-padding --cuda-graph-max-bs 32768"};
  for (const char* rules : {"pre-23972", "33200"}) {
    for (const std::string& option : options) {
      const ChildRun run = this->run({"check", "--json", "--rules", rules, "-"}, model + option);
      EXPECT_THAT(run.exit_status, ::testing::AnyOf(0, 1, kRefusedStatus, 4)) << run.err;
      EXPECT_TRUE(Json::parse(run.out, nullptr, false).is_object());
    }
  }
}

}  // namespace
}  // namespace capsize::test
