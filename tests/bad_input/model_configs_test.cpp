// Broken config.json files, given with --model-config and found behind a local --model-path.
#include <nlohmann/json.hpp>

#include "tests/bad_input/malformed.hpp"

namespace capsize::test {
namespace {

// A good one, to break in one place at a time.
nlohmann::json good_config() {
  return {{"architectures", {"DeepseekV2ForCausalLM"}},
          {"model_type", "deepseek_v2"},
          {"num_hidden_layers", 27},
          {"hidden_size", 2048},
          {"num_attention_heads", 16},
          {"num_key_value_heads", 16},
          {"intermediate_size", 10944},
          {"moe_intermediate_size", 1408},
          {"n_routed_experts", 64},
          {"n_shared_experts", 2},
          {"num_experts_per_tok", 6},
          {"first_k_dense_replace", 1},
          {"vocab_size", 102400},
          {"max_position_embeddings", 163840}};
}

std::string with(const char* name, const nlohmann::json& value) {
  nlohmann::json config = good_config();
  config[name] = value;
  return config.dump();
}

// The good text with the raw text of one value, which need not be JSON.
std::string with_raw(const char* name, const std::string& value) {
  std::string text = with(name, "HERE");
  return text.replace(text.find("\"HERE\""), 6, value);
}

std::string without(const char* name) {
  nlohmann::json config = good_config();
  config.erase(name);
  return config.dump();
}

Malformed config(std::string name, std::string file, std::string where, std::string told) {
  return {.name = std::move(name),
          .arguments = {"--rules", "23972", "--model-config", "FILE", "--", "sglang", "serve",
                        "--model-path", "my/model", "--tp", "8"},
          .file = std::move(file),
          .where = std::move(where),
          .text = std::move(told)};
}

std::vector<Malformed> configs() {
  const std::string good = good_config().dump();
  return {
      config("Empty", "", "config.json", "JSON"),
      config("Truncated", good.substr(0, good.size() / 2), "line 1, column", "JSON"),
      config("TrailingText", good + " }", "line 1, column", "JSON"),
      config("Comment", "// mine\n" + good, "line 1, column", "JSON"),
      config("SingleQuotes", "{'hidden_size': 2048}", "line 1, column 2", "JSON"),
      config("NotANumber", with_raw("hidden_size", "NaN"), "line 1, column", "JSON"),
      config("NulByte", good + std::string(1, '\0'), "line 1, column", "NUL"),
      config("NoUtf8", with_raw("model_type", "\"\xff\""), "line 1, column", "JSON"),
      config("DuplicateKey", "{\"hidden_size\": 2048,\n\"hidden_size\": 4096}",
             "$.hidden_size, line 2", "duplicate"),
      config("DeepArrays", repeated("[", 100000), "", "nested deeper"),
      config("DeepObjects", repeated("{\"a\":", 100000), "", "nested deeper"),
      config("DeepInAFieldThatDoesNotMatter", with_raw("x", repeated("[", 1000)), "$.x",
             "nested deeper"),
      config("AList", "[" + good + "]", "$", "must be an object"),
      config("AText", "\"config\"", "$", "must be an object"),
      config("NoFields", "{}", "$.architectures", "missing"),
      config("NoHiddenSize", without("hidden_size"), "$.hidden_size", "missing"),
      config("NoLayers", without("num_hidden_layers"), "$.num_hidden_layers", "missing"),
      config("NoVocabulary", without("vocab_size"), "$.vocab_size", "missing"),
      config("ArchitecturesAreANumber", with("architectures", 5), "$.architectures", "must be"),
      config("ArchitecturesAreEmpty", with("architectures", nlohmann::json::array()),
             "$.architectures", ""),
      config("ArchitectureIsANumber", with("architectures", {5}), "$.architectures[0]", "must be"),
      config("TextForANumber", with("hidden_size", "2048"), "$.hidden_size", "whole number"),
      config("ListForANumber", with("vocab_size", {1, 2}), "$.vocab_size", "whole number"),
      config("TrueForANumber", with("num_attention_heads", true), "$.num_attention_heads",
             "whole number"),
      config("Negative", with("num_attention_heads", -16), "$.num_attention_heads", "-16"),
      config("NoHeads", with("num_attention_heads", 0), "$.num_attention_heads", "0"),
      config("Fraction", with("hidden_size", 2048.5), "$.hidden_size", "whole number"),
      config("TooManyLayers", with("num_hidden_layers", 1000000000), "$.num_hidden_layers",
             "1000000000"),
      config("TwoToThe63", with_raw("vocab_size", "9223372036854775808"), "$.vocab_size",
             "out of range"),
      config("TenToThe30", with_raw("vocab_size", "1" + std::string(30, '0')), "$.vocab_size",
             "out of range"),
      config("TenToThe400", with_raw("vocab_size", "1e400"), "$.vocab_size", "out of range"),
      config("ExpertsAreText", with("n_routed_experts", "many"), "$.n_routed_experts",
             "whole number"),
      config("BlockIsNoPair", with("quantization_config", {{"weight_block_size", {128}}}),
             "$.quantization_config.weight_block_size", "1"),
      config("QuantisationIsText", with("quantization_config", "fp8"), "$.quantization_config",
             "must be an object"),
      config("MoreThan16MiB", std::string((std::size_t{16} << 20) + 1, ' '), "config.json",
             "bytes"),
  };
}

std::vector<Malformed> other_places() {
  const auto line = [](std::string path) {
    return std::vector<std::string>{"--", "sglang", "serve", "--model-path", std::move(path)};
  };
  std::vector<Malformed> rows = {
      {.name = "FolderForAFile",
       .arguments = {"--model-config", "FOLDER", "--", "--model-path", "my/model"},
       .where = "--model-config",
       .text = "cannot be read"},
      {.name = "BehindALocalPath",
       .arguments = line("FOLDER"),
       .file = "{\"architectures\": ",
       .where = "config.json: line 1",
       .text = "JSON"},
      {.name = "WrongTypeBehindALocalPath",
       .arguments = line("FOLDER"),
       .file = with("hidden_size", "2048"),
       .where = "config.json: $.hidden_size",
       .text = "whole number"},
      {.name = "EmptyBehindALocalPath",
       .arguments = line("FOLDER"),
       .where = "config.json",
       .text = "JSON"},
  };
  return rows;
}

INSTANTIATE_TEST_SUITE_P(ModelConfig, MalformedInput, every_program_with(configs()), name_of_row);
INSTANTIATE_TEST_SUITE_P(ModelConfigElsewhere, MalformedInput, every_program_with(other_places()),
                         name_of_row);

// Would catch: a good config.json that the tests above break nowhere, so that they pass for
// another reason than the one they name.
TEST_P(BadInput, TheUnbrokenConfigIsRead) {
  const TemporaryFolder folder;
  const std::string file = folder.write("config.json", good_config().dump());
  for (const std::vector<std::string>& given :
       {std::vector<std::string>{"--model-config", file, "--", "--model-path", "my/model"},
        {"--", "--model-path", folder.path()}}) {
    std::vector<std::string> arguments = {"check", "--json", "--rules", "23972"};
    arguments.insert(arguments.end(), given.begin(), given.end());
    const ChildRun run = this->run(arguments);
    EXPECT_EQ(run.exit_status, 0) << run.out << run.err;
  }
}

}  // namespace
}  // namespace capsize::test
