// SGLang's command line: what the engine's own parser takes and refuses, release by release.
// The replayed cases are Python's own answers; the rest are statements on single options.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "sim/engines/sglang/flags/flags.hpp"

namespace capsize::sglang_flags_test {
namespace {

using sglang::Arity;
using sglang::find_flag;
using sglang::FlagRow;
using sglang::FlagType;
using sglang::GivenFlag;
using sglang::integer_of;
using sglang::parse;
using sglang::ParsedFlags;
using sglang::real_of;
using sglang::release_index;
using sglang::releases;

using Outcome = tl::expected<ParsedFlags, Refusal>;

// Words and the outcome together: values of the outcome point into the words.
struct Line {
  std::vector<Word> words;
  Outcome outcome;
};

std::vector<Word> words_of(std::initializer_list<const char*> texts) {
  std::vector<Word> words;
  for (const char* text : texts) words.push_back(Word{.text = text});
  return words;
}

Line read(std::string_view release, std::vector<Word> words, EntryKind kind = EntryKind::server) {
  Line line{std::move(words), ParsedFlags{}};
  line.outcome = parse(line.words, release, kind, nullptr);
  return line;
}

Line read(std::string_view release, std::initializer_list<const char*> texts,
          EntryKind kind = EntryKind::server) {
  std::vector<Word> words = words_of({"--model-path", "m"});
  for (const char* text : texts) words.push_back(Word{.text = text});
  return read(release, std::move(words), kind);
}

std::string text_of(const Line& line) {
  if (line.outcome) return "(taken)";
  return line.outcome.error().text.value_or("(no text)");
}

std::string hint_of(const Line& line) {
  return line.outcome ? "(taken)" : line.outcome.error().hint;
}

// The full option string that `spelled` was taken for, or the refusal.
std::string taken_for(std::string_view release, const char* spelled, const char* value) {
  const Line line = read(release, {spelled, value});
  return line.outcome ? std::string(line.outcome->given.back().name) : text_of(line);
}

bool is_from(std::string_view release, std::string_view first) {
  return *release_index(release) >= *release_index(first);
}

std::string printed(const FlagRow& row, std::string_view value) {
  if (row.type == FlagType::integer) {
    const auto number = integer_of(row, value);
    return number ? std::to_string(*number) : "(none)";
  }
  if (row.type != FlagType::real) return std::string(value);
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.17g", real_of(value).value_or(-12345.0));
  return buffer;
}

void expect_given(const GivenFlag& given, const nlohmann::json& expected) {
  EXPECT_EQ(given.row->dest, expected["dest"].get<std::string>());
  EXPECT_EQ(given.negated, expected.value("negated", false));
  EXPECT_TRUE(given.known);
  if (expected.contains("json")) return;  // taken as JSON; what it holds is not compared
  std::vector<std::string> values;
  for (const std::string_view value : given.values) values.push_back(printed(*given.row, value));
  EXPECT_EQ(values, expected["values"].get<std::vector<std::string>>());
}

void expect_outcome(const Outcome& outcome, const nlohmann::json& expected) {
  if (expected.contains("given")) {
    ASSERT_TRUE(outcome) << outcome.error().text.value_or("(no text)");
    ASSERT_EQ(outcome->given.size(), expected["given"].size());
    for (std::size_t i = 0; i < outcome->given.size(); ++i) {
      expect_given(outcome->given[i], expected["given"][i]);
    }
    return;
  }
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().stage, RefusalStage::arguments);
  EXPECT_FALSE(outcome.error().hint.empty());
  if (expected.contains("error")) {
    EXPECT_EQ(outcome.error().text, expected["error"].get<std::string>());
  } else {
    EXPECT_EQ(outcome.error().text, std::nullopt);
  }
}

// Fails when any rule of argparse (prefixes, arities, types, texts, order of errors) is repeated
// otherwise than Python does it.
TEST(SglangFlags, ReplaysPythonsAnswers) {
  std::ifstream in(std::string(CAPSIZE_TEST_DATA) + "/argparse-cases.json");
  ASSERT_TRUE(in) << "argparse-cases.json is missing";
  const nlohmann::json file = nlohmann::json::parse(in);
  ASSERT_GE(file["cases"].size(), 300U);
  for (const nlohmann::json& expected : file["cases"]) {
    SCOPED_TRACE(expected["release"].get<std::string>() + " " + expected["words"].dump());
    std::vector<Word> words;
    for (const nlohmann::json& text : expected["words"]) {
      words.push_back(Word{.text = text.get<std::string>()});
    }
    expect_outcome(parse(words, expected["release"].get<std::string>(), EntryKind::server, nullptr),
                   expected);
  }
}

// Fails when a release, a row or an option string is lost on the way from the data to the tables.
TEST(SglangFlags, KnowsEveryRelease) {
  ASSERT_EQ(releases().size(), 9U);
  EXPECT_EQ(releases().front(), "0.5.10.post1");
  EXPECT_EQ(releases().back(), "0.5.23");
  EXPECT_EQ(release_index("0.5.12"), std::nullopt);
  for (const std::string_view release : releases()) {
    const FlagRow* tp = find_flag("--tp-size", release);
    ASSERT_NE(tp, nullptr);
    EXPECT_EQ(tp->field, "tp_size");
    EXPECT_EQ(tp->type, FlagType::integer);
    EXPECT_TRUE(tp->affects_layout);
    const FlagRow* model = find_flag("--model", release);
    ASSERT_NE(model, nullptr);
    EXPECT_TRUE(model->required);
    EXPECT_EQ(model->names.front(), "--model-path");
  }
  EXPECT_EQ(find_flag("--tp", "0.5.11"), nullptr);
}

// Fails when a row is spread over releases in which the option was another one.
TEST(SglangFlags, RowsChangeWithTheRelease) {
  EXPECT_EQ(find_flag("--cuda-graph-bs", "0.5.13.post1")->field, "cuda_graph_bs");
  EXPECT_EQ(find_flag("--cuda-graph-bs", "0.5.14")->field, "cuda_graph_bs_decode");
  EXPECT_EQ(find_flag("--cuda-graph-bs", "0.5.14")->arity, Arity::some);
  EXPECT_TRUE(find_flag("--cuda-graph-bs", "0.5.14")->deprecated);
  EXPECT_EQ(find_flag("--cuda-graph-bs", "0.5.20"), nullptr);
  EXPECT_EQ(find_flag("--cuda-graph-bs-decode", "0.5.13.post1"), nullptr);
  const FlagRow* disable = find_flag("--disable-piecewise-cuda-graph", "0.5.14");
  EXPECT_EQ(disable->field, "cuda_graph_backend_prefill");
  EXPECT_EQ(disable->field_value, "disabled");
  EXPECT_EQ(find_flag("--tensor-parallel-size", "0.5.10.post1")->field, "tp_size");
  EXPECT_EQ(find_flag("--max-prefill-tokens", "0.5.11")->default_value, "16384");
}

// Fails when an abbreviation that people use is refused, or taken for another option.
TEST(SglangFlags, AbbreviationsOfAllReleases) {
  for (const std::string_view release : releases()) {
    SCOPED_TRACE(release);
    EXPECT_EQ(taken_for(release, "--tp", "8"), "--tp-size");
    EXPECT_EQ(taken_for(release, "--dp", "8"), "--dp-size");
    EXPECT_EQ(taken_for(release, "--ep", "8"), "--ep");
    EXPECT_EQ(taken_for(release, "--pp", "2"),
              "ambiguous option: --pp could match --pp-size, --pp-max-micro-batch-size, "
              "--pp-async-batch-depth");
    EXPECT_EQ(taken_for(release, "--speculative-algo", "EAGLE"), "--speculative-algorithm");
    EXPECT_EQ(taken_for(release, "--mem-fraction", "0.8"), "--mem-fraction-static");
    EXPECT_EQ(taken_for(release, "--nccl-init", "a:1"), "--nccl-init-addr");
    EXPECT_EQ(taken_for(release, "--tensor", "8"), "--tensor-parallel-size");
    EXPECT_TRUE(read(release, {"--disable-overlap"}).outcome);
    for (const char* never : {"--speculative-draft", "--nsa-prefill", "--enable-dp", "--quant",
                              "--attention", "--disable-cuda"}) {
      EXPECT_FALSE(read(release, {never, "1"}).outcome) << never;
    }
  }
}

// Fails when prefixes are matched against the options of another release.
TEST(SglangFlags, AbbreviationsThatChanged) {
  for (const std::string_view release : releases()) {
    SCOPED_TRACE(release);
    const std::string cp = taken_for(release, "--cp", "1");
    if (is_from(release, "0.5.14")) {
      EXPECT_TRUE(cp.starts_with("ambiguous option: --cp could match ")) << cp;
    } else {
      EXPECT_EQ(cp, "--cpu-offload-gb");
    }
    const bool dcp = release == "0.5.15.post1" || release == "0.5.16";
    EXPECT_EQ(read(release, {"--dcp", "1"}).outcome.has_value(), dcp);
    for (const char* option : {"--cuda-graph-max-bs", "--cuda-graph-bs"}) {
      const Line line = read(release, {option, "8"});
      EXPECT_EQ(line.outcome.has_value(), !is_from(release, "0.5.20"));
      if (line.outcome) continue;
      EXPECT_EQ(text_of(line), fmt::format("ambiguous option: {0} could match {0}-decode, "
                                           "{0}-prefill",
                                           option));
      EXPECT_EQ(hint_of(line), fmt::format("{0} was removed in 0.5.20; use {0}-decode", option));
    }
  }
}

// Fails when a list is read as one word, or one word as a list.
TEST(SglangFlags, Lists) {
  const Line list = read("0.5.23", {"--cuda-graph-bs-decode", "1", "2", "4", "--tp", "8"});
  ASSERT_TRUE(list.outcome) << text_of(list);
  EXPECT_EQ(list.outcome->last("cuda_graph_bs_decode")->values,
            (std::vector<std::string_view>{"1", "2", "4"}));
  EXPECT_TRUE(read("0.5.23", {"--cuda-graph-bs-decode=4"}).outcome);
  const Line commas = read("0.5.23", {"--cuda-graph-bs-decode", "1,2,4"});
  EXPECT_EQ(text_of(commas), "argument --cuda-graph-bs-decode: invalid int value: '1,2,4'");
  EXPECT_NE(hint_of(commas).find("blanks between them"), std::string::npos);
  EXPECT_EQ(text_of(read("0.5.11", {"--cuda-graph-bs", "1 2"})),
            "argument --cuda-graph-bs: invalid int value: '1 2'");
}

// Fails when a value that looks like an option is refused, or the first of two repeats is kept.
TEST(SglangFlags, NegativeNumbersAndRepeats) {
  const Line line = read("0.5.11", {"--chunked-prefill-size", "-1", "--tp", "2", "--tp-size=4"});
  ASSERT_TRUE(line.outcome) << text_of(line);
  const ParsedFlags& flags = *line.outcome;
  const GivenFlag* chunk = flags.last("chunked_prefill_size");
  EXPECT_EQ(integer_of(*chunk->row, chunk->values[0]), -1);
  const GivenFlag* tp = flags.last("tp_size");
  EXPECT_EQ(integer_of(*tp->row, tp->values[0]), 4);
  EXPECT_EQ(tp->spelled, "--tp-size");
  EXPECT_EQ(flags.given.size(), 4U);
  EXPECT_EQ(flags.last("pp_size"), nullptr);
}

// Fails when a boolean takes a value, or --no- is lost.
TEST(SglangFlags, Booleans) {
  const Line word = read("0.5.11", {"--enable-dp-attention", "true"});
  EXPECT_EQ(text_of(word), "unrecognized arguments: true");
  EXPECT_EQ(hint_of(word), "--enable-dp-attention takes no value; take 'true' out");
  EXPECT_EQ(text_of(read("0.5.11", {"--enable-dp-attention=true"})),
            "argument --enable-dp-attention: ignored explicit argument 'true'");
  const Line no = read("0.5.11", {"--no-experts-shared-outer-loras"});
  ASSERT_TRUE(no.outcome);
  EXPECT_TRUE(no.outcome->last("experts_shared_outer_loras")->negated);
  const Line yes = read("0.5.11", {"--experts-shared-outer-loras"});
  EXPECT_FALSE(yes.outcome->last("experts_shared_outer_loras")->negated);
}

// Fails when numbers with a suffix are counted wrongly, or taken where the engine has none.
TEST(SglangFlags, NumbersAsPythonReadsThem) {
  const FlagRow& suffixed = *find_flag("--context-length", "0.5.11");
  EXPECT_EQ(integer_of(suffixed, "1k"), 1000);
  EXPECT_EQ(integer_of(suffixed, "1Ki"), 1024);
  EXPECT_EQ(integer_of(suffixed, "25.6k"), 25600);
  EXPECT_EQ(integer_of(suffixed, "1.0009k"), 1000);
  EXPECT_EQ(integer_of(suffixed, "2M"), 2000000);
  EXPECT_EQ(integer_of(suffixed, "1.5Ki"), std::nullopt);
  EXPECT_EQ(integer_of(suffixed, "9999999999T"), std::nullopt);
  const FlagRow& plain = *find_flag("--chunked-prefill-size", "0.5.11");
  EXPECT_EQ(integer_of(plain, "1k"), std::nullopt);
  EXPECT_EQ(integer_of(plain, "8_0"), 80);
  EXPECT_EQ(integer_of(plain, " +007 "), 7);
  EXPECT_EQ(integer_of(plain, "8\u00a0"), 8);
  EXPECT_EQ(integer_of(plain, "8__0"), std::nullopt);
  EXPECT_EQ(integer_of(plain, "99999999999999999999"), std::nullopt);
  EXPECT_EQ(real_of("1_0.5"), 10.5);
  EXPECT_EQ(real_of("-.5"), -0.5);
  EXPECT_EQ(real_of("0x1p3"), std::nullopt);
  EXPECT_TRUE(read("0.5.11", {"--context-length", "128k"}).outcome);
  EXPECT_EQ(text_of(read("0.5.11", {"--context-length", "128K"})),
            "argument --context-length: Invalid integer value: '128K'. Use a plain integer, SI "
            "suffixes (1k, 1M), or IEC suffixes (1Ki, 1Mi). Suffixes are case-sensitive.");
  EXPECT_EQ(text_of(read("0.5.11", {"--chunked-prefill-size", "8k"})),
            "argument --chunked-prefill-size: invalid int value: '8k'");
}

// Fails when argparse's order of errors is lost: ambiguity, the first wrong option, a missing
// required option, leftover words.
TEST(SglangFlags, OrderOfErrors) {
  EXPECT_EQ(text_of(read("0.5.11", words_of({"--tp", "x", "--nope", "--enable-dp"}))).substr(0, 17),
            "ambiguous option:");
  EXPECT_EQ(text_of(read("0.5.11", words_of({"--nope", "--tp", "x", "--dp"}))),
            "argument --tensor-parallel-size/--tp-size: invalid int value: 'x'");
  EXPECT_EQ(text_of(read("0.5.11", words_of({"--nope", "--tp", "8"}))),
            "the following arguments are required: --model-path/--model");
  EXPECT_EQ(text_of(read("0.5.11", {"--nope", "8", "--tp", "8", "more"})),
            "unrecognized arguments: --nope 8 more");
}

struct HintCase {
  const char* release;
  const char* word;
  const char* hint;
};

// Fails when the way out of an unknown option names something that the release does not have.
TEST(SglangFlags, HintsForUnknownOptions) {
  const HintCase cases[] = {
      {"0.5.11", "--tp_size", "options are written with hyphens: --tp-size"},
      {"0.5.11", "--moe_dense_tp_size=1", "options are written with hyphens: --moe-dense-tp-size"},
      {"0.5.11", "-tp", "options begin with two dashes: --tp-size"},
      {"0.5.11", "---tp-size", "options begin with two dashes: --tp-size"},
      {"0.5.11", "–tp",
       "'–tp' begins with an en dash (U+2013) instead of two hyphens; write --tp (--tp-size)"},
      {"0.5.11", "--moe-dense-tp-sise", "did you mean --moe-dense-tp-size?"},
      {"0.5.11", "--disable-custom-all-reduce,", "did you mean --disable-custom-all-reduce?"},
      {"0.5.11", "--cuda-graph-bs-decode",
       "--cuda-graph-bs-decode appears in 0.5.14; it is not known in 0.5.11"},
      {"0.5.11", "--enable-deepep-moe",
       "--enable-deepep-moe was removed before 0.5.10.post1; use --moe-a2a-backend deepep"},
      {"0.5.11", "--enable-ep-moe",
       "--enable-ep-moe was removed before 0.5.10.post1; use --ep-size"},
      {"0.5.14", "--enable-piecewise-cuda-graph",
       "--enable-piecewise-cuda-graph was removed in 0.5.14; it had no effect any more: leave it "
       "out"},
      {"0.5.23", "--nsa-prefill-backend",
       "--nsa-prefill-backend was removed in 0.5.20; use --dsa-prefill-backend"},
      {"0.5.23", "--mamba-scheduler-strategy",
       "--mamba-scheduler-strategy was removed in 0.5.20; use --mamba-radix-cache-strategy"},
      {"0.5.20", "--disable-piecewise-cuda-graph",
       "--disable-piecewise-cuda-graph was removed in 0.5.20; use --cuda-graph-backend-prefill "
       "disabled"},
      {"0.5.23", "--piecewise-cuda-graph-compiler",
       "--piecewise-cuda-graph-compiler was removed in 0.5.20"},
      {"0.5.11", "--xyzzyplughfoobar",
       "0.5.11 has no option like --xyzzyplughfoobar; look at its spelling"}};
  for (const HintCase& expected : cases) {
    SCOPED_TRACE(expected.word);
    const Line line = read(expected.release, {expected.word});
    EXPECT_EQ(text_of(line), std::string("unrecognized arguments: ") + expected.word);
    EXPECT_EQ(hint_of(line), expected.hint);
    EXPECT_EQ(line.outcome ? "" : line.outcome.error().rule,
              "server_args.py::ServerArgs.add_cli_args");
  }
}

// Fails when a choice is checked against another release's list, or a retired value passes.
TEST(SglangFlags, Choices) {
  const Line other = read("0.5.11", {"--attention-backend", "dsa"});
  EXPECT_TRUE(text_of(other).starts_with(
      "argument --attention-backend: invalid choice: 'dsa' (choose from 'triton', "))
      << text_of(other);
  EXPECT_EQ(hint_of(other), "the value dsa is known to 0.5.13.post1, not to 0.5.11");
  EXPECT_EQ(hint_of(read("0.5.11", {"--attention-backend", "flashinfr"})),
            "did you mean flashinfer?");
  EXPECT_EQ(text_of(read("0.5.11", {"--log-requests-level", "09"})),
            "argument --log-requests-level: invalid choice: 9 (choose from 0, 1, 2, 3)");
  EXPECT_TRUE(read("0.5.20", {"--cuda-graph-backend-prefill", "tc_piecewise"}).outcome);
  EXPECT_EQ(text_of(read("0.5.23", {"--cuda-graph-backend-prefill", "tc_piecewise"})),
            "argument --cuda-graph-backend-prefill: tc_piecewise was removed; select breakable, "
            "full, or disabled");
  // The list of this option is not in the data: any value passes.
  EXPECT_TRUE(read("0.5.23", {"--tool-call-parser", "anything"}).outcome);
}

// Fails when a value that only the shell knows is checked, or hides a flag without a word on it.
TEST(SglangFlags, UnknownWords) {
  const auto line_of = [](std::initializer_list<Word> words) {
    std::vector<Word> all = words_of({"--model-path", "m"});
    all.insert(all.end(), words);
    return read("0.5.11", std::move(all));
  };
  const Word variable{.text = "$TP", .known = false};
  const Line value = line_of({{.text = "--tp"}, variable, {.text = "--dp=$DP", .known = false}});
  ASSERT_TRUE(value.outcome) << text_of(value);
  EXPECT_FALSE(value.outcome->last("tp_size")->known);
  EXPECT_FALSE(value.outcome->last("dp_size")->known);
  EXPECT_FALSE(value.outcome->may_hide_flags);

  const Line array = line_of({{.text = "${SPEC[@]}", .known = false}, {.text = "3"}});
  ASSERT_TRUE(array.outcome) << text_of(array);
  EXPECT_TRUE(array.outcome->may_hide_flags);
  EXPECT_EQ(array.outcome->notes.size(), 2U);

  const Line name =
      line_of({{.text = "--$FLAG", .known = false}, {.text = "3"}, {.text = "--nope"}});
  EXPECT_EQ(text_of(name), "unrecognized arguments: --nope");

  const Line list = line_of({{.text = "--cuda-graph-bs"}, {.text = "x"}, variable});
  EXPECT_EQ(text_of(list), "argument --cuda-graph-bs: invalid int value: 'x'");
}

// Fails when the model is called missing although something unread may name it.
TEST(SglangFlags, RequiredOnlyWhereSurelyMissing) {
  EXPECT_FALSE(read("0.5.11", words_of({"--tp", "8"})).outcome);
  EXPECT_FALSE(read("0.5.11", words_of({"--config=f.yaml"})).outcome);  // this form is not merged
  const Line config = read("0.5.11", words_of({"--config", "f.yaml"}));
  ASSERT_TRUE(config.outcome) << text_of(config);
  EXPECT_EQ(config.outcome->notes.size(), 1U);
  std::vector<Word> hidden = words_of({"--tp", "8"});
  hidden.push_back({.text = "$ARGS", .known = false});
  EXPECT_TRUE(read("0.5.11", std::move(hidden)).outcome);
}

// Fails when `sglang serve` is held for the server module: it scans the line before it parses.
TEST(SglangFlags, Serve) {
  const auto serve = [](std::string_view release, std::initializer_list<const char*> texts) {
    return read(release, words_of(texts), EntryKind::serve);
  };
  const std::string missing =
      "Error: --model-path is required. Please provide the path to the model.";
  EXPECT_TRUE(serve("0.5.11", {"--model-path", "m", "--tp", "8"}).outcome);
  EXPECT_TRUE(serve("0.5.11", {"--model=m", "--model-type", "llm"}).outcome);
  EXPECT_EQ(text_of(serve("0.5.10.post1", {"--model", "m"})), missing);
  EXPECT_EQ(text_of(serve("0.5.11", {"--model-pa", "m"})), missing);
  EXPECT_EQ(text_of(serve("0.5.11", {"--config", "f.yaml"})), missing);
  EXPECT_EQ(text_of(serve("0.5.15.post1", {"m", "--tp", "8"})), missing);
  const Line positional = serve("0.5.16", {"--model-type=auto", "m", "--tp", "8"});
  ASSERT_TRUE(positional.outcome) << text_of(positional);
  EXPECT_EQ(positional.outcome->last("model_path")->values[0], "m");
  EXPECT_EQ(text_of(serve("0.5.11", {"--model", "m", "--model-type", "vlm"})),
            "Error: invalid --model-type 'vlm'. Valid values are: auto, llm, diffusion.");
  EXPECT_EQ(text_of(serve("0.5.23", {"--model", "m", "--model-type"})),
            "Error: --model-type requires a value.");
  EXPECT_FALSE(read("0.5.16", words_of({"m"})).outcome);  // launch_server takes no such word
  EXPECT_FALSE(read("0.5.16", {"--model-type", "llm"}).outcome);
}

// Fails when a wrapper's own options are refused, or are lost.
TEST(SglangFlags, WrapperKeepsItsOwnOptions) {
  const std::vector<Word> words = words_of({"--router-policy", "random", "--tp", "8"});
  std::vector<std::string> left_over;
  const Outcome outcome = parse(words, "0.5.11", EntryKind::wrapper, &left_over);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->given.size(), 1U);
  EXPECT_EQ(left_over, (std::vector<std::string>{"--router-policy", "random"}));
}

// Fails when an option whose use is an error is taken, or help is read as a launch.
TEST(SglangFlags, RefusedOptionAndHelp) {
  EXPECT_TRUE(text_of(read("0.5.18", {"--enable-expert-distribution-metrics"}))
                  .starts_with("--enable-expert-distribution-metrics is no longer supported."));
  EXPECT_TRUE(read("0.5.16", {"--enable-expert-distribution-metrics"}).outcome);
  EXPECT_EQ(text_of(read("0.5.11", {"-h", "--tp", "x"})), "(no text)");
  EXPECT_EQ(text_of(read("0.5.11", {"--tp", "x", "-h"})),
            "argument --tensor-parallel-size/--tp-size: invalid int value: 'x'");
  EXPECT_EQ(text_of(read("0.5.11", {"-hx"})), "argument -h/--help: ignored explicit argument 'x'");
  EXPECT_EQ(text_of(read("0.5.11", {"--page-size=--"})), "(no text)");
}

// Fails when the engine's JSON readers take broken JSON or refuse what Python takes.
TEST(SglangFlags, JsonThatTheParserReads) {
  EXPECT_TRUE(read("0.5.11", {"--mm-process-config", "{\"a\": [1, NaN, -2.5e3]}"}).outcome);
  EXPECT_EQ(text_of(read("0.5.11", {"--mm-process-config", "{'a': 1}"})),
            "argument --mm-process-config: invalid loads value: \"{'a': 1}\"");
  EXPECT_EQ(
      text_of(read("0.5.11", {"--forward-hooks", "[NaN]"})),
      "argument --forward-hooks: Invalid JSON list: [NaN]. Please provide a valid JSON list.");
  EXPECT_TRUE(read("0.5.11", {"--json-model-override-args", "{broken"}).outcome);
  EXPECT_FALSE(read("0.5.11", {"--mm-process-config", std::string(5000, '[').c_str()}).outcome);
}

// Fails when a release that has no table is parsed by another one's.
TEST(SglangFlags, UnknownRelease) { EXPECT_FALSE(read("0.4.0", {"--tp", "8"}).outcome); }

}  // namespace
}  // namespace capsize::sglang_flags_test
