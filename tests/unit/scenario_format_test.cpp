// Scenario files: what the reader takes, what it refuses and where, and that the writer loses
// nothing.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "scenarios/formats/junit.hpp"
#include "scenarios/formats/scenario.hpp"

namespace capsize::scenario_format_test {
namespace {

// Every field that a scenario can have.
constexpr std::string_view kFull = R"({
  "schema": 1, "id": "a-case", "title": "A \"title\" with ü and \n",
  "source": {"repo": "o/r", "number": 7, "url": "https://example.org/x", "note": "why",
    "universe": "u", "member": 5000000000},
  "class": "C07-capacity", "engine": "sglang", "launch": ["--model-path", "x", "--tp", "8"],
  "gpu": {"memory_mib": 81559, "sm": 90},
  "model_config": {"architectures": ["LlamaForCausalLM"], "hidden_size": 4096,
    "intermediate_size": 14336, "max_position_embeddings": 131072, "num_attention_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256, "rms_norm_eps": 1e-05},
  "hardware": true,
  "expect": [
    {"rules": "23972", "verdict": "violation", "law": "divisible", "law_verdict": "pass",
     "known": "proved", "symptom": "clean_error", "path": "prefill",
     "witness": {"path": "prefill", "tokens": 4, "requests": 2, "rank": 0, "layer": 0,
                 "op": "reduce_scatter", "group": "attn_tp", "group_size": 8, "event": "capture",
                 "buffer": "b", "key": "{tokens: 4}"},
     "first_in_time": {"event": "warm_up", "tokens": 4}, "kept": [8, 16], "dropped": [],
     "kept_count": 2, "lost_count": 0, "waste_count": 0},
    {"rules": "23972", "verdict": "refused", "refused": {"stage": "model", "text": null}},
    {"rules": "23972", "verdict": "refused", "refused": {"text": "no"}}]})";

constexpr std::string_view kSmall = R"({"schema": 1, "id": "a", "title": "t",
  "source": {"url": "https://example.org"}, "class": "C01-token-divisibility", "engine": "sglang",
  "launch": "--tp 8", "expect": [{"rules": "23972", "verdict": "pass"}]})";

// kSmall with one field replaced; `path` is a JSON pointer.
std::string with(std::string_view path, std::string_view value) {
  auto document = nlohmann::json::parse(kSmall);
  document[nlohmann::json::json_pointer(std::string(path))] = nlohmann::json::parse(value);
  return document.dump();
}

std::string without(std::string_view field) {
  auto document = nlohmann::json::parse(kSmall);
  document.erase(std::string(field));
  return document.dump();
}

// Would catch a field that the reader drops, the writer forgets, or that loses its type between.
TEST(ScenarioFormat, WhatIsWrittenReadsBackEqual) {
  for (const std::string_view text : {kFull, kSmall}) {
    const auto first = read_scenario(text);
    ASSERT_TRUE(first) << first.error().where << ": " << first.error().text;
    const auto second = read_scenario(write_scenario(*first));
    ASSERT_TRUE(second) << second.error().where << ": " << second.error().text;
    EXPECT_EQ(*first, *second);
    EXPECT_EQ(nlohmann::json::parse(write_scenario(*first)), nlohmann::json::parse(text));
  }
}

// Would catch an equality that forgets a field, which would blind the round trip above.
TEST(ScenarioFormat, EveryFieldCountsInAComparison) {
  const auto full = nlohmann::json::parse(kFull);
  const Scenario base = *read_scenario(kFull);
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"/id", R"("b")"},
      {"/title", R"("b")"},
      {"/source/note", R"("b")"},
      {"/source/universe", R"("b")"},
      {"/source/member", "3"},
      {"/class", R"("C06-coverage")"},
      {"/launch", R"("--tp 8")"},
      {"/gpu/sm", "100"},
      {"/model_config/vocab_size", "128"},
      {"/hardware", "false"},
      {"/expect/0/known", R"("observed")"},
      {"/expect/0/symptom", R"("hang")"},
      {"/expect/0/witness/group_size", "9"},
      {"/expect/0/first_in_time/tokens", "9"},
      {"/expect/0/kept", "[8]"},
      {"/expect/0/waste_count", "1"},
      {"/expect/1/refused/text", R"("words")"},
  };
  for (const auto& [path, value] : changes) {
    auto changed = full;
    changed[nlohmann::json::json_pointer(path)] = nlohmann::json::parse(value);
    const auto read = read_scenario(changed.dump());
    ASSERT_TRUE(read) << path << ": " << read.error().where << ": " << read.error().text;
    EXPECT_FALSE(*read == base) << path;
  }
}

// Would catch null and absent being taken for the same: null asks that there be no message.
TEST(ScenarioFormat, ANullTextAsksForARefusalWithoutAMessage) {
  const Scenario full = *read_scenario(kFull);
  ASSERT_TRUE(full.expect[1].refused->text.has_value());
  EXPECT_FALSE(full.expect[1].refused->text->has_value());
  const auto stage_only = read_scenario(
      with("/expect/0", R"({"rules": "r", "verdict": "refused", "refused": {"stage": "model"}})"));
  ASSERT_TRUE(stage_only);
  EXPECT_FALSE(stage_only->expect[0].refused->text.has_value());
}

struct Malformed {
  std::string text;
  std::string where;  // a part of the place
  std::string says;   // a part of the message
};

// Would catch a reader that ignores what it does not know, guesses a type, or loses the place.
TEST(ScenarioFormat, MalformedFilesAreRefusedWithTheirPlace) {
  const std::vector<Malformed> cases = {
      {"", "line 1", ""},
      {"[]", "$", "object"},
      {std::string(kSmall.substr(0, 60)), "line", ""},
      {R"({"schema": 1, "schema": 1})", "$.schema", "duplicate"},
      {with("/schema", "2"), "$.schema", "1"},
      {with("/schema", R"("1")"), "$.schema", "1"},
      {with("/extra", "1"), "$.extra", "unknown field"},
      {with("/source/extra", "1"), "$.source.extra", "unknown field"},
      {with("/expect/0/kept_cout", "1"), "$.expect[0].kept_cout", "unknown field"},
      {with("/expect/0/witness", R"({"token": 1})"), "$.expect[0].witness.token", "unknown field"},
      {with("/id", "7"), "$.id", "string"},
      {with("/id", R"("")"), "$.id", "empty"},
      {with("/title", "null"), "$.title", ""},
      {with("/class", R"("C01")"), "$.class", "C01"},
      {with("/engine", R"("vllm")"), "$", "engine"},
      {with("/launch", "8"), "$.launch", "string"},
      {with("/launch", "[8]"), "$.launch[0]", "string"},
      {with("/gpu", R"("H1000")"), "$.gpu", "H1000"},
      {with("/gpu", R"({"memory_mib": 0, "sm": 90})"), "$.gpu.memory_mib", ""},
      {with("/hardware", "1"), "$.hardware", ""},
      {with("/source", "{}"), "$.source", "neither"},
      {with("/source", R"({"repo": "o/r"})"), "$.source", "both"},
      {with("/source", R"({"url": "u", "number": 4})"), "$.source", "both"},
      {with("/source", R"({"universe": "u"})"), "$.source", "both"},
      {with("/source", R"({"url": "u", "member": 4})"), "$.source", "both"},
      {with("/source", R"({"universe": "u", "member": -1})"), "$.source.member", "range"},
      {with("/model_config", R"({"hidden_size": "wide"})"), "$.model_config", ""},
      {with("/expect", "[]"), "$.expect", "nothing"},
      {with("/expect", "{}"), "$.expect", "array"},
      {with("/expect/0/verdict", R"("ok")"), "$.expect[0].verdict", "ok"},
      {with("/expect/0/law", R"("divisble")"), "$.expect[0]", "law"},
      {with("/expect/0/symptom", R"("hang")"), "$.expect[0]", "law"},
      {with("/expect/0/path", R"("prefill")"), "$.expect[0]", "path"},
      {with("/expect/0/kept_count", "-1"), "$.expect[0].kept_count", ""},
      {with("/expect/0/kept_count", "1.5"), "$.expect[0].kept_count", ""},
      {with("/expect/0/kept", R"([8, "16"])"), "$.expect[0].kept[1]", ""},
      {with("/expect/0/refused", R"({"stage": "model"})"), "$.expect[0]", "refusal"},
      {with("/expect/0", R"({"rules": "r", "verdict": "refused", "law": "divisible"})"),
       "$.expect[0]", "law"},
      {with("/expect/0", R"({"rules": "r", "verdict": "refused", "refused": {}})"),
       "$.expect[0].refused", "nothing"},
      {with("/plan", "{}"), "$.engine", "beside a plan"},
      {with("/plan_after", "{}"), "$.plan_after", "without"},
      {with("/expect/0/plan", R"("after")"), "$.expect[0]", "rules"},
  };
  for (const Malformed& each : cases) {
    const auto read = read_scenario(each.text);
    ASSERT_FALSE(read) << "accepted: " << each.text;
    EXPECT_NE(read.error().where.find(each.where), std::string::npos)
        << read.error().where << " of " << each.text;
    EXPECT_NE(read.error().text.find(each.says), std::string::npos)
        << read.error().text << " of " << each.text;
    EXPECT_FALSE(read.error().hint.empty()) << each.text;
  }
  for (const std::string_view field :
       {"schema", "id", "title", "source", "class", "engine", "launch", "expect"}) {
    const auto read = read_scenario(without(field));
    ASSERT_FALSE(read) << field;
    EXPECT_NE(read.error().where.find(field), std::string::npos) << read.error().where;
  }
}

// A case that is a plan: before, and after the fix.
constexpr std::string_view kPlan = R"({"schema": 1, "id": "a", "title": "t",
  "source": {"url": "https://example.org"}, "class": "C05-participation",
  "plan": {"schema": 1, "world": 2, "groups": {"tp": [[0, 1]]}, "events": [
    {"event": "eager", "programs": [{"ranks": "0", "ops": [{"op": "barrier", "group": "tp"}]}]}]},
  "plan_after": {"schema": 1, "world": 2, "groups": {"tp": [[0, 1]]}, "events": [
    {"event": "eager", "programs": [{"ranks": "0-1", "ops": [{"op": "barrier", "group": "tp"}]}]}]},
  "expect": [{"verdict": "violation", "law": "same_sequence", "witness": {"rank": 1}},
             {"plan": "after", "verdict": "pass"}]})";

// Would catch a plan that is not read in a scenario, an error that loses its place in it, or an
// expectation that is judged on the wrong side of the fix.
TEST(ScenarioFormat, APlanStandsInPlaceOfALaunch) {
  const auto scenario = read_scenario(kPlan);
  ASSERT_TRUE(scenario) << scenario.error().where << ": " << scenario.error().text;
  EXPECT_EQ(*read_scenario(write_scenario(*scenario)), *scenario);
  auto document = nlohmann::json::parse(kPlan);
  const auto refused = [&document](std::string_view path, std::string_view value,
                                   std::string_view where) {
    auto changed = document;
    changed[nlohmann::json::json_pointer(std::string(path))] = nlohmann::json::parse(value);
    const auto read = read_scenario(changed.dump());
    ASSERT_FALSE(read) << changed;
    EXPECT_EQ(read.error().where, where) << read.error().text;
    EXPECT_FALSE(read.error().hint.empty());
  };
  refused("/plan/events/0/programs/0/ops/0/group", R"("dp")",
          "$.plan.events[0].programs[0].ops[0].group");
  refused("/plan_after/world", "0", "$.plan_after.world");
  refused("/launch", R"("--tp 8")", "$.launch");
  refused("/expect/0/rules", R"("23972")", "$.expect[0].rules");
  document.erase("plan_after");
  refused("/title", R"("u")", "$.expect[1].plan");
}

// Would catch a schema file that has fallen behind the reader, or the other way about.
TEST(ScenarioFormat, TheSchemaNamesExactlyTheFieldsThatAreRead) {
  std::ifstream file(CAPSIZE_SOURCE_DIR "/scenarios/schemas/scenario.schema.json");
  std::ostringstream text;
  text << file.rdbuf();
  const auto schema = nlohmann::json::parse(text.str());
  const auto full = nlohmann::json::parse(kFull);
  const auto keys = [](const nlohmann::json& object) {
    std::vector<std::string> names;
    for (const auto& item : object.items()) names.push_back(item.key());
    return names;
  };
  const auto& expect = schema["properties"]["expect"]["items"]["properties"];
  auto asked = full["expect"][0];
  asked["refused"] = full["expect"][1]["refused"];
  asked["plan"] = "before";
  auto either = full;
  either["plan"] = either["plan_after"] = nullptr;
  EXPECT_EQ(keys(schema["properties"]), keys(either));
  EXPECT_EQ(keys(expect), keys(asked));
  EXPECT_EQ(keys(expect["witness"]["properties"]), keys(asked["witness"]));
  EXPECT_EQ(keys(expect["first_in_time"]["properties"]), keys(asked["first_in_time"]));
  EXPECT_EQ(keys(expect["refused"]["properties"]), keys(asked["refused"]));
  EXPECT_EQ(keys(schema["properties"]["source"]["properties"]), keys(full["source"]));
  std::vector<std::string> classes;
  for (const std::string_view each : defect_classes()) classes.emplace_back(each);
  EXPECT_EQ(schema["properties"]["class"]["enum"].get<std::vector<std::string>>(), classes);
}

// Would catch text that ends an attribute or a tag, or bytes that no XML reader takes.
TEST(ScenarioFormat, XmlEscapesWhatXmlCannotHold) {
  EXPECT_EQ(xml_escaped("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&apos;");
  EXPECT_EQ(xml_escaped("\t\n\r"), "&#9;&#10;&#13;");
  EXPECT_EQ(xml_escaped("ü€😀"), "ü€😀");
  const std::string bad = "\xEF\xBF\xBD";
  using namespace std::string_view_literals;
  EXPECT_EQ(xml_escaped("a\0b\x1b"sv), "a" + bad + "b" + bad);
  EXPECT_EQ(xml_escaped("\xff"), bad);                                // no lead byte
  EXPECT_EQ(xml_escaped("\xc3"), bad);                                // cut short
  EXPECT_EQ(xml_escaped("\xc0\xaf"), bad + bad);                      // overlong
  EXPECT_EQ(xml_escaped("\xed\xa0\x80"), bad + bad + bad);            // a surrogate
  EXPECT_EQ(xml_escaped("\xef\xbf\xbf"), bad + bad + bad);            // U+FFFF
  EXPECT_EQ(xml_escaped("\xf4\x90\x80\x80").size(), 4 * bad.size());  // above U+10FFFF
}

}  // namespace
}  // namespace capsize::scenario_format_test
