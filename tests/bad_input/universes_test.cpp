// Broken universe files: each is refused with the exact place, the cause and a way out. Most are
// read in process; the program is asked where its options and files matter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/formats/universe.hpp"
#include "tests/bad_input/malformed.hpp"

namespace capsize::bad_universes_test {
namespace {

using ::testing::HasSubstr;

// A sound universe with one of everything, to break in one place at a time.
constexpr std::string_view kGood = R"json({
  "schema": 1, "universe": "good", "title": "Sound", "engine": "sglang", "launch": ["--x"],
  "models": [{"name": "Qwen/Qwen3-30B-A3B"}, {"name": "own", "model_config": {
    "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 64,
    "num_attention_heads": 4, "vocab_size": 100, "intermediate_size": 128}}],
  "sizes": {"odd": [1, 3]},
  "axes": [
    {"axis": "tp", "values": {"from": 1, "to": 8}, "words": ["--tp-size", "{}"]},
    {"axis": "a2a", "values": ["none", "deepep"], "words": ["--a2a", "{}"], "bare": ["none"]},
    {"axis": "cp", "values": [1, {"name": 2, "words": ["--cp", "2"]}]},
    {"axis": "list", "values": ["odd"], "words": ["--list", "{sizes}"]},
    {"axis": "model", "values": ["own", "Qwen/Qwen3-30B-A3B"]},
    {"axis": "rules", "values": ["23972"]}],
  "derived": [{"name": "share", "value": "tp / cp"}],
  "constraints": [{"holds": "tp % cp == 0", "why": "cut evenly"}, {"holds": "share > 0"}]})json";

// The good universe with the raw JSON text of one value, which a JSON pointer names.
std::string with(std::string_view pointer, std::string_view value) {
  auto document = nlohmann::json::parse(kGood);
  document[nlohmann::json::json_pointer(std::string(pointer))] = "HERE";
  std::string text = document.dump();
  return text.replace(text.find("\"HERE\""), 6, value);
}

std::string without(const std::string& field) {
  auto document = nlohmann::json::parse(kGood);
  document.erase(field);
  return document.dump();
}

// Axes of `size` numbered values each, so many that the product is size^count.
std::string product(int count, int size) {
  nlohmann::json document = {
      {"schema", 1}, {"universe", "p"}, {"title", "p"}, {"engine", "sglang"}};
  for (int i = 0; i < count; ++i) {
    document["axes"].push_back(
        {{"axis", "a" + std::to_string(i)}, {"values", {{"from", 1}, {"to", size}}}});
  }
  return document.dump();
}

std::string entries(std::string_view entry, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out.append(i == 0 ? "[" : ", ").append(entry);
  return out + "]";
}

std::string size_lists(int count) {
  nlohmann::json out;
  for (int i = 0; i < count; ++i) out["list" + std::to_string(i)] = {i};
  return out.dump();
}

struct Broken {
  std::string text;
  std::string where;
  std::string says;
  std::string hint = {};
};

std::vector<Broken> forms() {
  return {
      {"", "line 1", "", "the text is empty"},
      {"[]", "$", "", ""},
      {"{\"schema\": 1, \"schema\": 1}", "$.schema, line 1", "duplicate key"},
      {with("/schema", "2"), "$.schema", "must be 1"},
      {with("/more", "1"), "$.more", "unknown field"},
      {without("axes"), "$.axes", "missing"},
      {without("title"), "$.title", "missing"},
      {with("/universe", "\"\""), "$.universe", "is no name"},
      {with("/universe", "\"a\\nb\""), "$.universe", "is no name"},
      {with("/engine", "\"sglan\""), "$.engine", "no engine \"sglan\"", "did you mean sglang?"},
      {with("/launch", "\"--x\""), "$.launch", ""},
      {with("/launch/0", "\"a\\u0000\""), "$.launch[0]", "control character"},
      {with("/launch/0", "\"python\""), "$.launch", "\"python\", which is no option", "--option"},
      {with("/launch/0", "\"-1\""), "$.launch", "\"-1\", which is no option"},
      {with("/models", entries(R"({"name": "m"})", 1025)), "$.models", "has 1025 entries"},
      {with("/sizes", size_lists(1025)), "$.sizes", "has 1025 lists", "1024 at most"},
      {with("/models/0/name", "\"Qwen/Qwen3-30B\""), "$.models[0]", "no built-in model",
       "model_config"},
      {with("/models/1/name", "\"Qwen/Qwen3-30B-A3B\""), "$.models[1].name", "two models"},
      {with("/models/1/model_config/num_hidden_layers", "0"),
       "$.models[1].model_config.num_hidden_layers", ""},
      {with("/models/1/more", "1"), "$.models[1].more", "unknown field"},
      {with("/models/1/name", "\"spare\""), "$.axes[4].values[0]", "no model \"own\""},
      {with("/axes/4/values", "[\"own\"]"), "$.models[0]", "no value of the axis \"model\""},
      {with("/sizes/odd", "[]"), "$.sizes.odd", "is empty"},
      {with("/sizes/odd", nlohmann::json(std::vector<int>(129, 4)).dump()), "$.sizes.odd",
       "has 129 sizes", "128 at most"},
      {with("/sizes/odd/1", "2147483648"), "$.sizes.odd[1]", ""},
      {with("/sizes/odd/1", "\"3\""), "$.sizes.odd[1]", ""},
      {with("/sizes/even", "[2]"), "$.sizes.even", "is the value of no axis"},
  };
}

std::vector<Broken> axes() {
  return {
      {with("/axes", "[]"), "$.axes", "is empty"},
      {product(65, 1), "$.axes", "has 65 axes"},
      {with("/axes/0/axis", "\"2tp\""), "$.axes[0].axis", "no name that a condition"},
      {with("/axes/0/axis", "\"t p\""), "$.axes[0].axis", "no name that a condition"},
      {with("/axes/1/axis", "\"tp\""), "$.axes[1].axis", "two axes \"tp\""},
      {with("/axes/1/more", "1"), "$.axes[1].more", "unknown field"},
      {with("/axes/1/values", "[]"), "$.axes[1].values", "is empty"},
      {with("/axes/1/values", "7"), "$.axes[1].values", "are no values"},
      {with("/axes/1/values/1", "1.5"), "$.axes[1].values[1]", "is no value"},
      {with("/axes/1/values/1", "\"none\""), "$.axes[1].values[1]", "two values \"none\""},
      {with("/axes/2/values/1/name", "\"1\""), "$.axes[2].values[1]", "two values \"1\""},
      {with("/axes/2/values/1/more", "1"), "$.axes[2].values[1].more", "unknown field"},
      {with("/axes/2/values/1/words", "[1]"), "$.axes[2].values[1].words[0]", ""},
      {with("/axes/1/bare/0", "\"non\""), "$.axes[1].bare", "\"non\" is no value",
       "did you mean none?"},
      {with("/axes/1/words", "[\"--a2a\"]"), "$.axes[1].values[1]", "same for every value", "{}"},
      {with("/axes/0/words", "[\"--tp\"]"), "$.axes[0].values", "same for every value", "{}"},
      {with("/axes/0/values", R"({"from": 2, "to": 1})"), "$.axes[0].values", "from is above to"},
      {with("/axes/0/values", R"({"from": 1})"), "$.axes[0].values.to", "missing"},
      {with("/axes/0/values", R"({"from": 1, "to": 9, "step": 0})"), "$.axes[0].values",
       "step below 1"},
      {with("/axes/0/values", R"({"from": 0, "to": 65536})"), "$.axes[0].values",
       "has 65537 values", "65536 at most"},
      {with("/axes/0/values", R"({"from": -2305843009213693952, "to": 2305843009213693952})"),
       "$.axes[0].values", "has 4611686018427387905 values"},
      {with("/axes/0/values", R"({"from": 1, "to": 9223372036854775807})"), "$.axes[0].values.to",
       ""},
      {with("/axes/3/values", "[\"odd\", \"od\"]"), "$.axes[3].values[1]",
       "no list of sizes \"od\"", "did you mean odd?"},
      {with("/axes/4/words", "[\"{}\"]"), "$.axes[4].words", "its own meaning"},
      {with("/axes/5/bare", "[23972]"), "$.axes[5].bare", "its own meaning"},
      {with("/axes/5/values/0", R"({"name": "23972", "words": []})"), "$.axes[5].values[0].words",
       "its own meaning"},
      {with("/axes/5/values/0", "\"23792\""), "$.axes[5].values[0]", "unknown rules \"23792\"",
       "did you mean 23972?"},
      {product(30, 10), "$.axes[18]", "there are 10 * 1000000000000000000 members", "9.2e18"},
      {product(64, 65536), "$.axes[3]", "there are 65536 * 281474976710656 members",
       "cannot be numbered"},
      {product(7, 1000), "$.axes[6]", "there are 1000 * 1000000000000000000 members"},
      // Words that would be read as values of the option before them.
      {with("/axes/0/words", "[\"{}\"]"), "$.axes[0].values", "\"1\", which is no option",
       "--option"},
      {with("/axes/1/words", "[\"{}\", \"--a2a\"]"), "$.axes[1].values[1]",
       "the words of \"deepep\" begin with \"deepep\""},
      {with("/axes/2/values/1/words", "[\"2\"]"), "$.axes[2].values[1]", "no option"},
      {with("/axes/2/values/1/words", "[\"-2\"]"), "$.axes[2].values[1]", "no option"},
      {with("/axes/2/values/1/words", "[\"-.5\"]"), "$.axes[2].values[1]", "no option"},
      {with("/axes/2/values/1/words", "[\"--\"]"), "$.axes[2].values[1]", "no option"},
      {with("/axes/2/values/1/words", "[\"-\"]"), "$.axes[2].values[1]", "no option"},
      {with("/axes/2/values/1/words", "[\"\"]"), "$.axes[2].values[1]", "no option"},
      {with("/axes/2/values/1/words", "[\"--a b\"]"), "$.axes[2].values[1]", "no option"},
      {with("/axes/3/words", "[\"{sizes}\"]"), "$.axes[3].values[0]", "\"1\", which is no option"},
  };
}

std::vector<Broken> conditions() {
  return {
      {with("/derived/0/name", "\"tp\""), "$.derived[0].name", "\"tp\" is taken"},
      {with("/derived/1", R"({"name": "share", "value": "1"})"), "$.derived[1].name", "is taken"},
      {with("/derived/0/value", "\"tp / share\""), "$.derived[0].value: column 6",
       "no axis \"share\""},
      {with("/derived/0/more", "1"), "$.derived[0].more", "unknown field"},
      {with("/constraints/0/holds", "\"tp % attn_cp == 0\""), "$.constraints[0].holds: column 6",
       "no axis \"attn_cp\"", "known here: tp, a2a, cp"},
      {with("/constraints/0/holds", "\"tpp == 1\""), "$.constraints[0].holds: column 1",
       "no axis \"tpp\"", "did you mean tp?"},
      {with("/constraints/0/holds", "\"a2a == deepp\""), "$.constraints[0].holds: column 8",
       "no value \"deepp\"", "did you mean deepep?"},
      {with("/constraints/0/holds", "7"), "$.constraints[0].holds", ""},
      {with("/constraints/0/whi", "\"x\""), "$.constraints[0].whi", "unknown field"},
      {with("/constraints/0", "{}"), "$.constraints[0].holds", "missing"},
      {with("/constraints", entries(R"({"holds": "tp > 0"})", 1025)), "$.constraints",
       "has 1025 entries", "1024 at most"},
      {with("/derived", entries(R"({"name": "d", "value": "1"})", 1025)), "$.derived",
       "has 1025 entries"},
      // Alone, and as the two of three that clash.
      {with("/constraints/0/holds", "\"tp > 8\""), "$.constraints", "no member meets \"tp > 8\""},
      {with("/constraints/0/holds", "\"1 / 0\""), "$.constraints", "no member meets \"1 / 0\""},
      {with("/constraints",
            R"([{"holds": "tp > cp * 3"}, {"holds": "a2a == none"}, {"holds": "tp < cp * 2"}])"),
       "$.constraints", "no member meets \"tp > cp * 3\" and \"tp < cp * 2\" together"},
      {with("/constraints",
            R"([{"holds": "tp > 2"}, {"holds": "cp == tp"}, {"holds": "a2a == none"}])"),
       "$.constraints", "no member meets \"tp > 2\" and \"cp == tp\" together"},
  };
}

void expect_refused(const std::vector<Broken>& rows) {
  ASSERT_TRUE(read_universe(kGood)) << read_universe(kGood).error().text;
  for (const Broken& row : rows) {
    const auto universe = read_universe(row.text);
    ASSERT_FALSE(universe) << row.where << " " << row.says;
    const bool exact = row.where.starts_with('$') && row.where.find(", line") == std::string::npos;
    if (exact) {
      EXPECT_EQ(universe.error().where, row.where) << universe.error().text;
    } else {
      EXPECT_THAT(universe.error().where, HasSubstr(row.where)) << universe.error().text;
    }
    EXPECT_THAT(universe.error().text, HasSubstr(row.says)) << row.where;
    EXPECT_THAT(universe.error().hint, HasSubstr(row.hint)) << row.where;
    EXPECT_FALSE(universe.error().hint.empty()) << row.where << ": " << universe.error().text;
  }
}

// Would catch: a slip that is passed over in silence, an error at another place than the slip.
TEST(BrokenUniverses, AreToldWithTheirPlace) { expect_refused(forms()); }
TEST(BrokenUniverses, WithBrokenAxesAreToldWithTheirPlace) { expect_refused(axes()); }
TEST(BrokenUniverses, WithBrokenConditionsAreToldWithTheirPlace) { expect_refused(conditions()); }

// Would catch: a product one past what can be numbered, or one below that is refused.
TEST(BrokenUniverses, AreNumberedUpToTheLast) {
  auto document = nlohmann::json::parse(product(7, 512));  // 2^63
  const auto most = read_universe(document.dump());
  ASSERT_TRUE(most);
  EXPECT_EQ(most->members, std::uint64_t{1} << 63);
  document["axes"][0]["values"]["to"] = 513;
  const auto past = read_universe(document.dump());
  ASSERT_FALSE(past);
  EXPECT_EQ(past.error().where, "$.axes[6]");
}

// Would catch: words of whole options that are taken for values.
TEST(BrokenUniverses, AreNotThoseWhoseWordsAreOptions) {
  for (const char* words : {R"(["--cp", "2"])", R"(["-c"])", R"(["--cp=a b"])", "[]"}) {
    EXPECT_TRUE(read_universe(with("/axes/2/values/1/words", words))) << words;
  }
  EXPECT_TRUE(read_universe(with("/launch", "[]")));
}

// Would catch: a search for the fewest clashing constraints whose time grows with their number (at
// this size it would take hours), and a message of hundreds of them.
TEST(BrokenUniverses, WithConstraintsThatAreHardToTellApartAreRefusedSoon) {
  auto document = nlohmann::json::parse(product(3, 250));
  for (int i = 0; i < 400; ++i) {
    document["constraints"].push_back({{"holds", "a0 + a1 + a2 == " + std::to_string(10000 + i)}});
  }
  const auto refused = read_universe(document.dump());
  ASSERT_FALSE(refused) << "the contradiction was not found";
  EXPECT_EQ(refused.error().where, "$.constraints");
  EXPECT_THAT(refused.error().text, HasSubstr("\"a0 + a1 + a2 == 10"));
  EXPECT_THAT(refused.error().text, HasSubstr(" more together"));
  EXPECT_LT(refused.error().text.size(), 400U);
}

// Would catch: memory that a short file takes without bound, for words or for conditions.
TEST(BrokenUniverses, OfMoreWordsThanMemoryHoldsAreRefused) {
  auto wordy = nlohmann::json::parse(product(1, 65536));
  wordy["axes"][0]["words"] = std::vector<std::string>(100'000, "--a={}");
  const auto words = read_universe(wordy.dump());
  ASSERT_FALSE(words);
  EXPECT_EQ(words.error().where, "$.axes[0].values");
  EXPECT_THAT(words.error().text, HasSubstr("more than 64 MiB"));
  auto wide = nlohmann::json::parse(product(1, 65536));
  for (int i = 0; i < 1000; ++i) wide["constraints"].push_back({{"holds", "a0 > 0"}});
  const auto conditions = read_universe(wide.dump());
  ASSERT_FALSE(conditions);
  EXPECT_EQ(conditions.error().where, "$.constraints[256].holds");
}

// Would catch: a doubled name that is passed over because it stands among many.
TEST(BrokenUniverses, WithADoubledNameAmongManyAreToldWithItsPlace) {
  auto document = nlohmann::json::parse(product(1, 1));
  std::vector<std::string> names;
  for (int i = 0; i < 65536; ++i) names.push_back("n" + std::to_string(100'000 + i));
  document["axes"][0]["values"] = names;
  const auto sound = read_universe(document.dump());
  ASSERT_TRUE(sound) << sound.error().where << ": " << sound.error().text;
  EXPECT_EQ(sound->members, 65536U);
  document["axes"][0]["values"][65535] = names[7];
  const auto doubled = read_universe(document.dump());
  ASSERT_FALSE(doubled);
  EXPECT_EQ(doubled.error().where, "$.axes[0].values[65535]");
}

}  // namespace
}  // namespace capsize::bad_universes_test

namespace capsize::test {
namespace {

// Would catch: a broken universe, option or condition that ends in another status, in rows, or
// without its place.
TEST_P(BadInput, AMatrixOfWhatIsNoUniverse) {
  const TemporaryFolder folder;
  const std::string empty_axis = folder.write(
      "empty.json",
      R"({"schema":1,"universe":"u","title":"u","engine":"sglang","axes":[{"axis":"a","values":[]}]})");
  const std::vector<std::pair<std::vector<std::string>, std::string>> rows = {
      {{"matrix"}, "command line"},
      {{"matrix", "pr23973"}, "pr23973: there is no such file"},
      {{"matrix", folder.path()}, "no such file"},
      {{"matrix", "/no/such/universe.json"}, "/no/such/universe.json"},
      {{"matrix", empty_axis}, "empty.json: $.axes[0].values: is empty"},
      {{"matrix", "pr23972", "--strength", "0"}, "--strength"},
      {{"matrix", "pr23972", "--strength", "9"}, "--strength"},
      {{"matrix", "pr23972", "--strength", "two"}, "command line"},
      {{"matrix", "pr23972", "--where", "tpp > 3"}, "--where: column 1"},
      {{"matrix", "pr23972", "--where", "tp > 64"}, "--where"},
  };
  for (const auto& [arguments, told] : rows) {
    const ChildRun run = this->run(arguments);
    EXPECT_EQ(run.exit_status, kBadInputStatus) << told << run.out;
    EXPECT_NE(run.err.find(told), std::string::npos) << told << ":\n" << run.err;
    EXPECT_TRUE(run.out.empty()) << run.out;
  }
  const ChildRun whole = run({"matrix", "pr23972", "--strength", "1"});
  EXPECT_EQ(whole.exit_status, 0) << whole.err;
  EXPECT_NE(whole.out.find("\nPASS  pr23972: every combination of any axis"), std::string::npos)
      << whole.out;
  const ChildRun machine = run({"matrix", "pr23972", "--where", "tpp > 3", "--json"});
  EXPECT_EQ(machine.exit_status, kBadInputStatus);
  const auto answer = nlohmann::json::parse(machine.out, nullptr, false);
  ASSERT_TRUE(answer.is_object()) << machine.out;
  EXPECT_EQ(answer["verdict"], "bad_input");
  EXPECT_EQ(answer["error"]["where"], "--where: column 1");
}

}  // namespace
}  // namespace capsize::test
