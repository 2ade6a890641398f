// Our model of SGLang against the engine's own functions: every recorded case is asked through the
// model protocol and must be answered exactly as the engine answered. A file of
// tests/data/oracle names its function and which fields of a case are the answer; the others are
// the request. Only the prefill filter differs between the rules that the protocol knows.
#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "scenarios/formats/model_protocol.hpp"
#include "tests/support/child_process.hpp"

namespace capsize::oracle_test {
namespace {

using nlohmann::json;

constexpr const char* kRecordedRules = "23972";

struct Case {
  json request;
  json reply;
};

// The cases of one function, with the case's place in its file as id.
std::vector<Case> cases_of(const std::string& file_name) {
  const std::string path = std::string(CAPSIZE_TEST_DATA) + "/oracle/" + file_name;
  std::ifstream file(path);
  const json document = json::parse(file, nullptr, false);
  if (document.is_discarded()) {
    ADD_FAILURE() << path << " cannot be read";
    return {};
  }
  std::vector<Case> cases;
  for (const json& recorded : document.at("cases")) {
    Case one{.request = recorded, .reply = json::object()};
    one.request["fn"] = document.at("fn");
    one.request["id"] = one.reply["id"] = cases.size();
    for (const std::string name : document.at("outputs")) {
      if (!recorded.contains(name)) continue;  // "refused" stands in place of "kept"
      one.reply[name] = recorded.at(name);
      one.request.erase(name);
    }
    cases.push_back(std::move(one));
  }
  return cases;
}

const std::vector<std::string>& files() {
  static const std::vector<std::string> kFiles = {
      "sglang-groups.json",        "sglang-default-sizes.json", "sglang-prefill-filter.json",
      "sglang-decode-filter.json", "sglang-predicates.json",    "sglang-communicator.json"};
  return kFiles;
}

// What repeats one request by hand. No recorded text holds a single quote.
std::string command_of(const Case& one, const std::string& rules) {
  return "echo '" + one.request.dump() + "' | capsize model --rules " + rules;
}

void expect_reply(const Case& one, const std::string& line, const std::string& rules) {
  const json reply = json::parse(line, nullptr, false);
  EXPECT_FALSE(reply.is_discarded()) << "not JSON: " << line;
  EXPECT_EQ(reply, one.reply) << "to repeat it:\n  " << command_of(one, rules);
}

// Would catch: a data file that was emptied or not listed, which would leave nothing to compare.
TEST(SglangOracle, HoldsEveryRecordedCase) {
  std::size_t count = 0;
  for (const std::string& file : files()) {
    const std::vector<Case> cases = cases_of(file);
    count += cases.size();
    for (const Case& one : cases) EXPECT_GT(one.reply.size(), 1U) << one.request;
  }
  EXPECT_EQ(count, 460U);
}

class SglangOracleAt
    : public ::testing::TestWithParam<std::tuple<std::string /*file*/, std::string /*rules*/>> {};

// Would catch: any difference between our model and the engine, and a rule that moved to the
// wrong point in time.
TEST_P(SglangOracleAt, IsReproduced) {
  const auto& [file, rules] = GetParam();
  const auto protocol = ModelProtocol::of("sglang", rules);
  ASSERT_TRUE(protocol);
  const std::vector<Case> cases = cases_of(file);
  ASSERT_FALSE(cases.empty());
  for (const Case& one : cases) {
    const ModelAnswer answer = protocol->answer(one.request.dump());
    EXPECT_FALSE(answer.bad_request);
    expect_reply(one, answer.json, rules);
  }
}

std::string name_of_parameter(const ::testing::TestParamInfo<SglangOracleAt::ParamType>& info) {
  std::string name = std::get<0>(info.param) + "_" + std::get<1>(info.param);
  for (char& c : name) {
    if (c == '-' || c == '.') c = '_';
  }
  return name;
}

std::vector<std::string> files_that_never_changed() {
  std::vector<std::string> names = files();
  std::erase(names, "sglang-prefill-filter.json");
  return names;
}

INSTANTIATE_TEST_SUITE_P(Recorded, SglangOracleAt,
                         ::testing::Combine(::testing::ValuesIn(files()),
                                            ::testing::Values(kRecordedRules)),
                         name_of_parameter);
INSTANTIATE_TEST_SUITE_P(Unchanged, SglangOracleAt,
                         ::testing::Combine(::testing::ValuesIn(files_that_never_changed()),
                                            ::testing::Values("pre-23972", "23906", "33200")),
                         name_of_parameter);

// Would catch: a command that loses, reorders or doubles lines, or answers by other rules than it
// was given.
TEST(SglangOracle, IsReproducedByTheProgram) {
  constexpr std::size_t kStep = 10;
  std::vector<Case> asked;
  std::string input;
  for (const std::string& file : files()) {
    const std::vector<Case> cases = cases_of(file);
    for (std::size_t i = 0; i < cases.size(); i += kStep) {
      asked.push_back(cases[i]);
      input += cases[i].request.dump() + "\n";
    }
  }
  ASSERT_EQ(asked.size(), 46U);
  const auto run = test::run_child(
      {.arguments = {CAPSIZE_PROGRAM, "model", "--engine", "sglang", "--rules", kRecordedRules},
       .input = input});
  ASSERT_TRUE(run) << run.error();
  EXPECT_EQ(run->exit_status, 0) << run->err;
  EXPECT_EQ(run->err, "");
  std::istringstream lines(run->out);
  std::string line;
  for (const Case& one : asked) {
    ASSERT_TRUE(std::getline(lines, line)) << "no reply to " << one.request;
    expect_reply(one, line, kRecordedRules);
  }
  EXPECT_FALSE(std::getline(lines, line)) << "one reply too many: " << line;
}

}  // namespace
}  // namespace capsize::oracle_test
