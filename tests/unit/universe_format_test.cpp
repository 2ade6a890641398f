// Universe files: what is read from a good one, and the universes that are shipped. What is refused
// is in tests/bad_input/universes_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "scenarios/formats/universe.hpp"
#include "sim/covering.hpp"
#include "sim/engines/engine.hpp"

namespace capsize::universe_format_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// One of everything.
constexpr std::string_view kFull = R"json({
  "schema": 1, "universe": "all", "title": "One of everything", "engine": "sglang",
  "launch": ["--always"],
  "models": [{"name": "Qwen/Qwen3-30B-A3B"}, {"name": "own", "model_config": {
    "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 64,
    "num_attention_heads": 4, "vocab_size": 100, "intermediate_size": 128}}],
  "sizes": {"odd": [5, 1, 1], "one": [-1]},
  "axes": [
    {"axis": "tp", "values": {"from": 1, "to": 8, "step": 3}, "words": ["--tp-size", "{}"]},
    {"axis": "cp", "values": [1, "2", -4], "words": ["--cp={}+{}", "x"], "bare": [1]},
    {"axis": "dense", "values": ["none", {"name": 1, "words": ["--dense", "{}"]},
      {"name": "two"}], "words": ["--d", "{}"], "bare": ["none"]},
    {"axis": "logical", "values": ["007", "a b"]},
    {"axis": "list", "values": ["default", "odd", "one"], "words": ["--list", "{sizes}", "end"],
      "bare": ["default"]},
    {"axis": "model", "values": ["own", "Qwen/Qwen3-30B-A3B"]},
    {"axis": "rules", "values": ["pre-23972", 23972]}],
  "derived": [{"name": "share", "value": "tp / cp"}, {"name": "more", "value": "share + 1"}],
  "constraints": [{"holds": "tp % cp == 0", "why": "cut evenly"}, {"holds": "more < 100"}]})json";

std::vector<std::string> words_of(const Universe& universe, std::vector<std::int32_t> choices) {
  return universe.words_of(choices);
}

// Would catch: a field that is read into nothing, placeholders that stay, bare values with words.
TEST(UniverseFormat, ReadsOneOfEverything) {
  const auto read = read_universe(kFull);
  ASSERT_TRUE(read) << read.error().where << ": " << read.error().text;
  const Universe& u = *read;
  EXPECT_EQ(u.name, "all");
  EXPECT_EQ(u.title, "One of everything");
  EXPECT_EQ(u.engine, "sglang");
  EXPECT_EQ(u.members, 3U * 3 * 3 * 2 * 3 * 2 * 2);
  EXPECT_EQ(u.digest, digest_of(u));
  const std::vector<std::int32_t> first(7, 0);
  EXPECT_EQ(u.text_of(first),
            "tp 1, cp 1, dense none, logical 007, list default, model own, rules pre-23972");
  EXPECT_THAT(u.words_of(first), ElementsAre("--always", "--tp-size", "1", "--model-path", "own"));
  EXPECT_THAT(words_of(u, {2, 1, 1, 1, 1, 1, 1}),
              ElementsAre("--always", "--tp-size", "7", "--cp=2+2", "x", "--dense", "{}", "--list",
                          "5", "1", "1", "end", "--model-path", "Qwen/Qwen3-30B-A3B"));
  EXPECT_THAT(words_of(u, {1, 2, 2, 0, 2, 0, 0}),
              ElementsAre("--always", "--tp-size", "4", "--cp=-4+-4", "x", "--d", "two", "--list",
                          "-1", "end", "--model-path", "own"));
  EXPECT_EQ(u.axes[1].values[1].number, 2);
  EXPECT_EQ(u.axes[1].values[2].number, -4);
  EXPECT_EQ(u.axes[3].values[0].number, std::nullopt);
  EXPECT_EQ(u.axes[6].values[1].number, 23972);
  ASSERT_EQ(u.models.size(), 2U);
  EXPECT_THAT(u.models[0].config, IsEmpty());
  EXPECT_EQ(u.models[0].shape.num_hidden_layers, 48);
  EXPECT_EQ(u.models[1].shape.name, "own");
  EXPECT_EQ(u.models[1].shape.num_hidden_layers, 2);
  EXPECT_EQ(nlohmann::json::parse(u.models[1].config)["vocab_size"], 100);
  ASSERT_EQ(u.constraints.size(), 2U);
  EXPECT_EQ(u.constraints[0].why, "cut evenly");
  EXPECT_EQ(u.constraints[1].why, "more < 100");
  EXPECT_EQ(u.derived[1].value.value(std::vector<std::int32_t>{1, 2, 0, 0, 0, 0, 0}), 0);
}

// Would catch: a digest that hangs on how a file is written.
TEST(UniverseFormat, HasADigestOfItsMeaning) {
  const auto read = read_universe(kFull);
  auto document = nlohmann::json::parse(kFull);
  const std::string spaced = document.dump(4);
  document["title"] = "Other words";
  document["universe"] = "other";
  document["constraints"][0]["holds"] = "tp%cp==0";
  EXPECT_EQ(read_universe(spaced)->digest, read->digest);
  EXPECT_EQ(read_universe(document.dump())->digest, read->digest);
  document["sizes"]["one"][0] = -2;
  EXPECT_NE(read_universe(document.dump())->digest, read->digest);
}

// Would catch a schema file that has fallen behind the reader, or the other way about.
TEST(UniverseFormat, TheSchemaNamesExactlyTheFieldsThatAreRead) {
  std::ifstream file(CAPSIZE_SOURCE_DIR "/scenarios/schemas/universe.schema.json");
  std::ostringstream text;
  text << file.rdbuf();
  const auto schema = nlohmann::json::parse(text.str())["properties"];
  const auto full = nlohmann::json::parse(kFull);
  const auto keys = [](const nlohmann::json& object) {
    std::vector<std::string> names;
    for (const auto& item : object.items()) names.push_back(item.key());
    return names;
  };
  const auto& axis = schema["axes"]["items"]["properties"];
  const auto& values = axis["values"]["oneOf"];
  EXPECT_EQ(keys(schema), keys(full));
  EXPECT_EQ(keys(schema["models"]["items"]["properties"]), keys(full["models"][1]));
  EXPECT_EQ(keys(axis), keys(full["axes"][1]));
  EXPECT_EQ(keys(values[0]["items"]["oneOf"][1]["properties"]), keys(full["axes"][2]["values"][1]));
  EXPECT_EQ(keys(values[1]["properties"]), keys(full["axes"][0]["values"]));
  EXPECT_EQ(keys(schema["derived"]["items"]["properties"]), keys(full["derived"][0]));
  EXPECT_EQ(keys(schema["constraints"]["items"]["properties"]), keys(full["constraints"][0]));
  std::vector<std::string> known;
  for (const Engine& each : engines()) known.emplace_back(each.name);
  EXPECT_EQ(schema["engine"]["enum"].get<std::vector<std::string>>(), known);
}

// Would catch: a shipped universe that cannot be read, that is found under another name, or that
// has lost members; a covering array that leaves something out.
TEST(UniverseFormat, ShipsUniversesOfKnownSize) {
  const std::vector<std::pair<std::string, std::uint64_t>> known = {{"pr23972", 638'976},
                                                                    {"sglang-full", 1'327'104'000}};
  ASSERT_EQ(shipped_universes().size(), known.size());
  for (const auto& [name, members] : known) {
    const auto universe = find_universe(name);
    ASSERT_TRUE(universe) << universe.error().where << ": " << universe.error().text;
    EXPECT_EQ(universe->name, name);
    EXPECT_EQ(universe->members, members);
    EXPECT_EQ(universe->axis("rules").has_value(), true);
    for (const std::size_t strength : {std::size_t{2}, std::size_t{3}}) {
      const CoveringRequest request{.strength = strength};
      const auto array = covering_array(*universe, request);
      ASSERT_TRUE(array);
      const auto coverage = coverage_of(*universe, request, array->rows);
      ASSERT_TRUE(coverage);
      EXPECT_TRUE(coverage->complete()) << name << ", strength " << strength;
      EXPECT_EQ(coverage->infeasible, array->infeasible);
    }
  }
}

}  // namespace
}  // namespace capsize::universe_format_test
