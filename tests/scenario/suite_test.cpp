// The suite runner: that a wrong expectation is told, file by file, and what the reports hold.
#include "scenarios/suite.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/formats/junit.hpp"
#include "scenarios/formats/write_file.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace capsize::suite_test {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kSeedLaunch =
    "--model-path deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct --tp 8 --moe-dense-tp-size 1";

std::string scenario_text(std::string_view expect, std::string_view id = "case",
                          std::string_view launch = kSeedLaunch, bool hardware = false) {
  nlohmann::json document = {{"schema", 1},
                             {"id", id},
                             {"title", "t"},
                             {"source", {{"url", "https://example.org"}}},
                             {"class", "C01-token-divisibility"},
                             {"engine", "sglang"},
                             {"launch", launch},
                             {"hardware", hardware},
                             {"expect", nlohmann::json::parse(expect)}};
  return document.dump();
}

ExpectationReport judged(std::string_view expect, std::string_view launch = kSeedLaunch) {
  const auto scenario =
      read_scenario(scenario_text("[" + std::string(expect) + "]", "case", launch));
  if (!scenario) {
    ADD_FAILURE() << scenario.error().where << ": " << scenario.error().text;
    return {};
  }
  return run_scenario(*scenario, "case.json").expectations.at(0);
}

// One expectation that holds for the seed's launch at pre-23972, with every field that can be
// asked of a violation.
constexpr std::string_view kTrue = R"({"rules": "pre-23972", "verdict": "violation",
  "law": "divisible", "known": "proved", "symptom": "clean_error", "path": "prefill",
  "witness": {"path": "prefill", "tokens": 4, "rank": 0, "layer": 0, "op": "reduce_scatter",
              "group": "attn_tp", "group_size": 8},
  "first_in_time": {"event": "warm_up", "tokens": 4}, "dropped": [], "kept_count": 42,
  "lost_count": 0, "waste_count": 0})";

// Would catch a field of an expectation that is read but never compared: each is made wrong alone.
TEST(Suite, EveryWrongFieldFailsAndIsNamed) {
  ASSERT_EQ(judged(kTrue).outcome, Outcome::holds) << judged(kTrue).difference;
  const std::vector<std::array<std::string, 3>> changes = {
      {"/verdict", R"("pass")", "verdict"},
      {"/law", R"("filter_is_pure")", "filter_is_pure"},
      {"/law_verdict", R"("pass")", "divisible"},
      {"/known", R"("sampled")", "known"},
      {"/symptom", R"("hang")", "symptom"},
      {"/path", R"("decode")", "divisible on decode"},
      {"/witness/path", R"("decode")", "witness.path"},
      {"/witness/tokens", "12", "witness.tokens"},
      {"/witness/requests", "4", "witness.requests"},
      {"/witness/rank", "1", "witness.rank"},
      {"/witness/layer", "1", "witness.layer"},
      {"/witness/op", R"("all_gather")", "witness.op"},
      {"/witness/group", R"("tp")", "witness.group"},
      {"/witness/group_size", "4", "witness.group_size"},
      {"/first_in_time/event", R"("capture")", "first_in_time.event"},
      {"/first_in_time/tokens", "28", "first_in_time.tokens"},
      {"/kept", "[8]", "kept on prefill"},
      {"/dropped", "[4]", "dropped on prefill"},
      {"/kept_count", "38", "kept_count on prefill"},
      {"/lost_count", "4", "lost_count on prefill"},
      {"/waste_count", "1", "waste_count on prefill"},
  };
  for (const auto& [path, value, told] : changes) {
    auto changed = nlohmann::json::parse(kTrue);
    changed[nlohmann::json::json_pointer(path)] = nlohmann::json::parse(value);
    const ExpectationReport report = judged(changed.dump());
    EXPECT_EQ(report.outcome, Outcome::fails) << path;
    EXPECT_THAT(report.difference, HasSubstr(told)) << path;
    EXPECT_EQ(report.difference.find('\n'), std::string::npos) << report.difference;
    EXPECT_THAT(report.again, HasSubstr("capsize check --rules pre-23972 -- ")) << path;
  }
}

// Would catch a refusal whose stage or words are not compared, null among them.
TEST(Suite, ARefusalIsComparedByStageAndText) {
  constexpr std::string_view kSix = "--model-path deepseek-ai/DeepSeek-V2-Lite --tp 6";
  const auto refused = [&](std::string_view pattern) {
    return judged(
        R"({"rules": "23972", "verdict": "refused", "refused": )" + std::string(pattern) + "}",
        kSix);
  };
  EXPECT_EQ(refused(R"({"stage": "model", "text": "102400 is not divisible by 6"})").outcome,
            Outcome::holds);
  EXPECT_THAT(refused(R"({"stage": "capture"})").difference, HasSubstr("refused.stage"));
  EXPECT_THAT(refused(R"({"text": "102400 is not"})").difference, HasSubstr("refused.text"));
  EXPECT_THAT(refused(R"({"text": null})").difference, HasSubstr("no message"));
}

// Would catch a launch that cannot be read being taken for a broken file, or for a pass.
TEST(Suite, ALaunchThatCannotBeReadIsBadInput) {
  EXPECT_EQ(judged(R"({"rules": "23972", "verdict": "bad_input"})", "rm -rf").outcome,
            Outcome::holds);
  const auto report = judged(R"({"rules": "23972", "verdict": "pass"})", "rm -rf");
  EXPECT_EQ(report.outcome, Outcome::fails);
  EXPECT_THAT(report.difference, HasSubstr("observed bad_input ("));
  EXPECT_FALSE(report.again.empty());
}

constexpr std::string_view kHolds = R"([{"rules": "23972", "verdict": "pass", "kept_count": 38}])";
constexpr std::string_view kFails = R"([{"rules": "23972", "verdict": "pass", "kept_count": 37}])";

// Would catch exit statuses that mix up: nothing ran, all hold, some fail, cannot be read.
TEST(Suite, ExitStatusTellsWhatHappened) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(exit_status(run_suite({folder.path()})), 4);
  const std::string hardware =
      folder.write("hardware.json", scenario_text(kFails, "hardware", kSeedLaunch, true));
  const SuiteReport skipped = run_suite({hardware});
  EXPECT_EQ(exit_status(skipped), 4);
  EXPECT_EQ(skipped.count(Outcome::skipped), 1u);
  (void)folder.write("good.json", scenario_text(kHolds, "good"));
  const SuiteReport good = run_suite({folder.path()});
  EXPECT_EQ(exit_status(good), 0);
  EXPECT_EQ(summary(good), "2 scenarios, 2 expectations: all hold, 1 skipped (needs hardware)");
  const std::string bad = folder.write("bad.json", scenario_text(kFails, "bad"));
  EXPECT_EQ(exit_status(run_suite({folder.path()})), 1);
  EXPECT_EQ(summary(run_suite({bad, bad})), "1 scenario, 1 expectation: 1 fails");
  (void)folder.write("broken.json", "{");
  EXPECT_EQ(exit_status(run_suite({folder.path()})), 2);
  EXPECT_EQ(exit_status(run_suite({folder.path() + "/absent"})), 2);
}

// Would catch a file that hides in the wrong class, under another name, or behind a used id.
TEST(Suite, AFileStandsWhereItSays) {
  const test::TemporaryFolder folder;
  for (const char* name : {"C01-token-divisibility", "C06-coverage"}) {
    std::filesystem::create_directory(folder.path() + "/" + name);
  }
  const auto error_of = [](const std::string& path) {
    const SuiteReport report = run_suite({path});
    return report.scenarios.at(0).error.value_or(Error{});
  };
  const std::string text = scenario_text(kHolds);
  EXPECT_EQ(exit_status(run_suite({folder.write("C01-token-divisibility/case.json", text)})), 0);
  EXPECT_THAT(error_of(folder.write("C06-coverage/case.json", text)).where, HasSubstr("$.class"));
  EXPECT_THAT(error_of(folder.write("C01-token-divisibility/other.json", text)).where,
              HasSubstr("$.id"));
  const std::string twin = folder.write("twin.json", text);
  const SuiteReport both = run_suite({folder.path() + "/C01-token-divisibility/case.json", twin});
  ASSERT_TRUE(both.scenarios.at(1).error);
  EXPECT_THAT(both.scenarios.at(1).error->text, HasSubstr("also the id of"));
}

// The names of open tags must match those that close; stops at the first fault.
std::string xml_fault(std::string_view xml) {
  std::vector<std::string> open;
  for (std::size_t at = xml.find('<'); at != std::string_view::npos; at = xml.find('<', at + 1)) {
    const std::size_t end = xml.find('>', at);
    if (end == std::string_view::npos) return "a tag is not closed";
    const std::string tag(xml.substr(at + 1, end - at - 1));
    if (tag.find('<') != std::string::npos) return "< inside a tag: " + tag;
    if (tag.front() == '?') continue;
    if (std::ranges::count(tag, '"') % 2 != 0) return "odd quotes: " + tag;
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag.front() == '/') {
      if (open.empty() || "/" + open.back() != name) return "closes another: " + tag;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
  }
  return open.empty() ? "" : "left open: " + open.back();
}

// Would catch counts that disagree with the cases, or a report that a CI service cannot parse.
TEST(Suite, JUnitIsWellFormedAndCountsItsCases) {
  ASSERT_NE(xml_fault("<a><b></a></b>"), "");
  const test::TemporaryFolder folder;
  (void)folder.write("good.json", scenario_text(kHolds, "good"));
  (void)folder.write("bad.json", scenario_text(kFails, "a <\"&'> id"));
  (void)folder.write("broken.json", "{\"<&\": 1}");
  (void)folder.write("hardware.json", scenario_text(kHolds, "hardware", kSeedLaunch, true));
  const std::string xml = to_junit(run_suite({folder.path(), folder.path() + "/absent"}));
  EXPECT_EQ(xml_fault(xml), "") << xml;
  EXPECT_THAT(xml, HasSubstr("tests=\"5\" failures=\"1\" errors=\"2\" skipped=\"1\""));
  EXPECT_THAT(xml, HasSubstr("name=\"a &lt;&quot;&amp;&apos;&gt; id\""));
  EXPECT_THAT(xml, HasSubstr("kept_count on prefill: expected 37, observed 38"));
}

// Would catch a report that is written in place, leaves its temporary file behind, or a failure
// that destroys the report of an earlier run.
TEST(Suite, AReportIsReplacedAsAWhole) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("report.xml", "old");
  const std::string second_name = folder.path() + "/linked.xml";
  std::filesystem::create_hard_link(path, second_name);
  ASSERT_TRUE(write_file_atomically(path, "new"));
  const auto content = [](const std::string& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  };
  EXPECT_EQ(content(path), "new");
  EXPECT_EQ(content(second_name), "old");  // the old file itself was never written to
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
  const std::string device = folder.path() + "/device";
  std::filesystem::create_symlink("/dev/null", device);
  EXPECT_FALSE(write_file_atomically(device, "x"));
  EXPECT_TRUE(std::filesystem::is_symlink(device));
  std::filesystem::remove(device);
  std::filesystem::create_directory(folder.path() + "/folder");
  const auto refused = write_file_atomically(folder.path() + "/folder", "x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().where, folder.path() + "/folder");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 3);
}

// Would catch a table, a last line or a status of the program that does not tell the failure.
TEST(Suite, TheProgramTellsAFailureWithALineToPaste) {
  const test::TemporaryFolder folder;
  const std::string bad = folder.write("bad.json", scenario_text(kFails, "bad"));
  const std::string junit = folder.path() + "/out.xml";
  const auto run =
      test::run_child({.arguments = {CAPSIZE_PROGRAM, "scenarios", "run", bad, "--junit", junit}});
  ASSERT_TRUE(run) << run.error();
  EXPECT_EQ(run->exit_status, 1) << run->err;
  EXPECT_THAT(run->out, HasSubstr("FAIL"));
  EXPECT_THAT(run->out, HasSubstr("again: capsize check --rules 23972 -- --model-path"));
  EXPECT_THAT(run->out, ::testing::EndsWith("1 scenario, 1 expectation: 1 fails\n"));
  EXPECT_TRUE(std::filesystem::exists(junit));
  const auto json =
      test::run_child({.arguments = {CAPSIZE_PROGRAM, "scenarios", "run", "--json", bad}});
  ASSERT_TRUE(json) << json.error();
  const auto document = nlohmann::json::parse(json->out);
  EXPECT_EQ(document["fails"], 1);
  EXPECT_EQ(document["scenarios"][0]["expectations"][0]["outcome"], "fails");
}

}  // namespace
}  // namespace capsize::suite_test
