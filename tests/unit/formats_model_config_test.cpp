// config.json files: the shapes that published ones give, and what is said of broken ones.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scenarios/formats/model_config.hpp"

namespace capsize::formats_model_config_test {
namespace {

// The published DeepSeek-V3 file, less what no layout depends on.
constexpr std::string_view deepseek_v3 = R"({
  "architectures": ["DeepseekV3ForCausalLM"], "attention_bias": false, "first_k_dense_replace": 3,
  "hidden_act": "silu", "hidden_size": 7168, "intermediate_size": 18432, "kv_lora_rank": 512,
  "max_position_embeddings": 163840, "model_type": "deepseek_v3", "moe_intermediate_size": 2048,
  "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1,
  "num_attention_heads": 128, "num_experts_per_tok": 8, "num_hidden_layers": 61,
  "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
  "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
  "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                          "weight_block_size": [128, 128]},
  "rms_norm_eps": 1e-06, "rope_scaling": {"factor": 40, "type": "yarn"}, "rope_theta": 10000,
  "routed_scaling_factor": 2.5, "tie_word_embeddings": false, "v_head_dim": 128,
  "vocab_size": 129280})";

constexpr std::string_view llama = R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 4096,
  "intermediate_size": 14336, "max_position_embeddings": 131072, "model_type": "llama",
  "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
  "tie_word_embeddings": false, "vocab_size": 128256})";

ModelShape shape_of(std::string_view text) {
  auto model = read_model_config(text, "test");
  if (!model) {
    ADD_FAILURE() << model.error().where << ": " << model.error().text;
    return {};
  }
  return *model;
}

// `text` with one field changed ("null" takes it away).
std::string with(std::string_view text, std::string_view field, std::string_view value) {
  nlohmann::json document = nlohmann::json::parse(text);
  document[std::string(field)] = nlohmann::json::parse(value);
  return document.dump();
}

Error error_of(std::string_view text) {
  auto model = read_model_config(text, "test");
  if (model) {
    ADD_FAILURE() << "accepted: " << text.substr(0, 200);
    return {};
  }
  EXPECT_FALSE(model.error().text.empty());
  EXPECT_FALSE(model.error().where.empty());
  return model.error();
}

void expect_same(const ModelShape& read, const ModelShape& built_in) {
  EXPECT_EQ(read.architecture, built_in.architecture);
  EXPECT_EQ(read.model_type, built_in.model_type);
  EXPECT_EQ(read.num_hidden_layers, built_in.num_hidden_layers);
  EXPECT_EQ(read.hidden_size, built_in.hidden_size);
  EXPECT_EQ(read.num_attention_heads, built_in.num_attention_heads);
  EXPECT_EQ(read.num_key_value_heads, built_in.num_key_value_heads);
  EXPECT_EQ(read.intermediate_size, built_in.intermediate_size);
  EXPECT_EQ(read.moe_intermediate_size, built_in.moe_intermediate_size);
  EXPECT_EQ(read.n_routed_experts, built_in.n_routed_experts);
  EXPECT_EQ(read.num_experts_per_tok, built_in.num_experts_per_tok);
  EXPECT_EQ(read.n_shared_experts, built_in.n_shared_experts);
  EXPECT_EQ(read.first_k_dense_replace, built_in.first_k_dense_replace);
  EXPECT_EQ(read.moe_layer_freq, built_in.moe_layer_freq);
  EXPECT_EQ(read.kv_lora_rank, built_in.kv_lora_rank);
  EXPECT_EQ(read.q_lora_rank, built_in.q_lora_rank);
  EXPECT_EQ(read.qk_nope_head_dim, built_in.qk_nope_head_dim);
  EXPECT_EQ(read.qk_rope_head_dim, built_in.qk_rope_head_dim);
  EXPECT_EQ(read.v_head_dim, built_in.v_head_dim);
  EXPECT_EQ(read.index_topk, built_in.index_topk);
  EXPECT_EQ(read.head_dim, built_in.head_dim);
  EXPECT_EQ(read.vocab_size, built_in.vocab_size);
  EXPECT_EQ(read.max_position_embeddings, built_in.max_position_embeddings);
  EXPECT_EQ(read.num_nextn_predict_layers, built_in.num_nextn_predict_layers);
  EXPECT_EQ(read.tie_word_embeddings, built_in.tie_word_embeddings);
  EXPECT_EQ(read.nested_text_config, built_in.nested_text_config);
  EXPECT_EQ(read.quantisation.method, built_in.quantisation.method);
  EXPECT_EQ(read.quantisation.block_n, built_in.quantisation.block_n);
  EXPECT_EQ(read.quantisation.block_k, built_in.quantisation.block_k);
}

// A field that is read from the wrong place, or not at all.
TEST(ModelConfig, PublishedFilesGiveTheBuiltInShapes) {
  expect_same(shape_of(deepseek_v3), *find_model("deepseek-ai/DeepSeek-V3"));
  expect_same(shape_of(llama), *find_model("meta-llama/Llama-3.1-8B"));
  expect_same(shape_of(R"({"architectures": ["Qwen3MoeForCausalLM"], "decoder_sparse_step": 1,
      "head_dim": 128, "hidden_size": 2048, "intermediate_size": 6144, "mlp_only_layers": [],
      "max_position_embeddings": 40960, "model_type": "qwen3_moe", "moe_intermediate_size": 768,
      "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8,
      "num_hidden_layers": 48, "num_key_value_heads": 4, "sliding_window": null,
      "tie_word_embeddings": false, "vocab_size": 151936})"),
              *find_model("Qwen/Qwen3-30B-A3B"));
  expect_same(shape_of(R"({"architectures": ["GptOssForCausalLM"], "experts_per_token": 4,
      "head_dim": 64, "hidden_size": 2880, "initial_context_length": 4096,
      "intermediate_size": 2880, "max_position_embeddings": 131072, "model_type": "gpt_oss",
      "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": 36,
      "num_key_value_heads": 8, "num_local_experts": 128, "vocab_size": 201088,
      "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}})"),
              *find_model("openai/gpt-oss-120b"));
}

TEST(ModelConfig, NameIsKept) {
  EXPECT_EQ(read_model_config(llama, "dir/config.json")->name, "dir/config.json");
}

// Absent and null fields, and other names for the same number.
TEST(ModelConfig, AbsentFieldsAndAliases) {
  EXPECT_EQ(shape_of(with(llama, "num_key_value_heads", "null")).num_key_value_heads, 32);
  EXPECT_EQ(shape_of(llama).head_dim, 0);
  EXPECT_EQ(shape_of(with(llama, "head_dim", "null")).head_dim, 0);
  EXPECT_TRUE(shape_of(with(llama, "tie_word_embeddings", "true")).tie_word_embeddings);
  EXPECT_EQ(shape_of(with(deepseek_v3, "q_lora_rank", "null")).q_lora_rank, 0);
  EXPECT_EQ(shape_of(with(deepseek_v3, "first_k_dense_replace", "null")).first_k_dense_replace, 0);
  EXPECT_EQ(shape_of(with(deepseek_v3, "moe_layer_freq", "null")).moe_layer_freq, 1);
  EXPECT_EQ(shape_of(with(deepseek_v3, "moe_layer_freq", "2")).moe_layer_freq, 2);
  EXPECT_TRUE(
      shape_of(with(deepseek_v3, "quantization_config", "null")).quantisation.method.empty());
  EXPECT_EQ(shape_of(with(deepseek_v3, "index_topk", "2048")).index_topk, 2048);
  const std::string no_shared = with(deepseek_v3, "n_shared_experts", "null");
  EXPECT_EQ(shape_of(no_shared).n_shared_experts, 0);
  EXPECT_EQ(shape_of(with(no_shared, "num_shared_experts", "2")).n_shared_experts, 2);
  const std::string sized = with(deepseek_v3, "shared_expert_intermediate_size", "5632");
  EXPECT_EQ(shape_of(sized).shared_expert_intermediate_size, 5632);
  // One flag a layer: dense layers first, then sparse ones.
  const std::string four = with(deepseek_v3, "num_hidden_layers", "4");
  EXPECT_EQ(shape_of(with(four, "moe_layer_freq", "[0, 0, 1, 1]")).first_k_dense_replace, 2);
  EXPECT_EQ(shape_of(with(four, "moe_layer_freq", "[0, 0, 1, 1]")).moe_layer_freq, 1);
  for (const char* flags : {"[0, 1, 0, 1]", "[0, 1, 1]", "[0, 1, 1, 1, 1]"}) {
    EXPECT_EQ(error_of(with(four, "moe_layer_freq", flags)).where, "$.moe_layer_freq") << flags;
  }
}

// A file of experts that states no size for them must not end with the dense one in its place.
TEST(ModelConfig, ExpertFfn) {
  EXPECT_EQ(error_of(with(deepseek_v3, "moe_intermediate_size", "null")).where,
            "$.moe_intermediate_size");
  const std::string mixtral =
      with(with(llama, "num_local_experts", "8"), "architectures", R"(["MixtralForCausalLM"])");
  EXPECT_EQ(shape_of(mixtral).moe_intermediate_size, 14336);
  EXPECT_EQ(shape_of(mixtral).intermediate_size, 0);
  EXPECT_EQ(error_of(with(mixtral, "intermediate_size", "null")).where, "$.intermediate_size");
}

// The language model of a wrapper, where each kind of wrapper keeps it.
TEST(ModelConfig, NestedTextConfig) {
  const auto inner = nlohmann::json::parse(llama);
  for (const char* place : {"text_config", "llm_config", "language_config", "thinker_config"}) {
    nlohmann::json wrapper = {{"architectures", {"SomeVLForConditionalGeneration"}},
                              {"model_type", "some_vl"},
                              {"hidden_size", 1},
                              {place, inner}};
    const ModelShape model = shape_of(wrapper.dump());
    EXPECT_TRUE(model.nested_text_config) << place;
    EXPECT_EQ(model.architecture, "SomeVLForConditionalGeneration");
    EXPECT_EQ(model.model_type, "some_vl");
    EXPECT_EQ(model.hidden_size, 4096) << place;
    wrapper[place]["num_hidden_layers"] = -1;
    EXPECT_EQ(error_of(wrapper.dump()).where, "$." + std::string(place) + ".num_hidden_layers");
  }
  const nlohmann::json omni = {{"architectures", {"SomeOmni"}},
                               {"thinker_config", {{"text_config", inner}}}};
  EXPECT_EQ(shape_of(omni.dump()).vocab_size, 128256);
  // Llava's own format keeps the numbers outside, next to a text_config that is not used.
  nlohmann::json llava = inner;
  llava["architectures"] = {"LlavaLlamaForCausalLM"};
  llava["text_config"] = {{"hidden_size", 1}};
  EXPECT_EQ(shape_of(llava.dump()).hidden_size, 4096);
  EXPECT_FALSE(shape_of(llava.dump()).nested_text_config);
  // Quantisation may be stated outside or inside.
  nlohmann::json quantised = {{"architectures", {"X"}}, {"text_config", inner}};
  quantised["text_config"]["quantization_config"] = {{"quant_method", "fp8"}};
  EXPECT_EQ(shape_of(quantised.dump()).quantisation.method, "fp8");
}

// The class decides everything: without it nothing can be said, and the way out is told.
TEST(ModelConfig, ArchitecturesAreNeeded) {
  const Error missing = error_of(with(llama, "architectures", "null"));
  EXPECT_EQ(missing.where, "$.architectures");
  EXPECT_NE(missing.hint.find("LlamaForCausalLM"), std::string::npos);
  EXPECT_EQ(error_of(with(llama, "architectures", "[]")).where, "$.architectures");
  EXPECT_EQ(error_of(with(llama, "architectures", "\"Llama\"")).where, "$.architectures");
  EXPECT_EQ(error_of(with(llama, "architectures", "[3]")).where, "$.architectures[0]");
  EXPECT_EQ(error_of(with(llama, "architectures", "[\"\"]")).where, "$.architectures[0]");
}

// A number that is no size, for every field that is read.
TEST(ModelConfig, NumbersThatAreNone) {
  const std::vector<std::string_view> fields = {"num_hidden_layers",
                                                "hidden_size",
                                                "num_attention_heads",
                                                "num_key_value_heads",
                                                "intermediate_size",
                                                "moe_intermediate_size",
                                                "n_routed_experts",
                                                "num_experts_per_tok",
                                                "n_shared_experts",
                                                "shared_expert_intermediate_size",
                                                "first_k_dense_replace",
                                                "moe_layer_freq",
                                                "kv_lora_rank",
                                                "q_lora_rank",
                                                "qk_nope_head_dim",
                                                "qk_rope_head_dim",
                                                "v_head_dim",
                                                "index_topk",
                                                "head_dim",
                                                "vocab_size",
                                                "max_position_embeddings",
                                                "num_nextn_predict_layers"};
  for (const std::string_view field : fields) {
    for (const char* value : {"-1", "2.5", "4096.0", "1e3", "\"16\"", "true", "[]", "{}",
                              "1073741825", "9223372036854775807"}) {
      EXPECT_EQ(error_of(with(deepseek_v3, field, value)).where, "$." + std::string(field))
          << field << " = " << value;
    }
  }
  for (const char* field : {"num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size",
                            "intermediate_size"}) {
    EXPECT_EQ(error_of(with(llama, field, "null")).where, "$." + std::string(field));
    EXPECT_EQ(error_of(with(llama, field, "0")).where, "$." + std::string(field));
  }
}

TEST(ModelConfig, OtherWrongTypes) {
  EXPECT_EQ(error_of(with(llama, "model_type", "3")).where, "$.model_type");
  EXPECT_EQ(error_of(with(llama, "tie_word_embeddings", "\"no\"")).where, "$.tie_word_embeddings");
  EXPECT_EQ(error_of(with(llama, "quantization_config", "\"fp8\"")).where, "$.quantization_config");
  EXPECT_EQ(error_of(with(llama, "quantization_config", R"({"quant_method": 8})")).where,
            "$.quantization_config.quant_method");
  const std::string block = "$.quantization_config.weight_block_size";
  for (const char* sizes : {"[128]", "[128, 128, 128]", "128", "[]"}) {
    const std::string config =
        R"({"quant_method": "fp8", "weight_block_size": )" + std::string(sizes) + "}";
    EXPECT_EQ(error_of(with(llama, "quantization_config", config)).where, block) << sizes;
  }
  EXPECT_EQ(
      error_of(with(llama, "quantization_config", R"({"weight_block_size": [0, 128]})")).where,
      block + "[0]");
  EXPECT_EQ(error_of(with(llama, "text_config", "[1]")).where, "$.text_config");
}

// Files that are not JSON objects of this kind: one message, no crash.
TEST(ModelConfig, BrokenFiles) {
  for (const char* text : {"", "[]", "[{\"architectures\": [\"X\"]}]", "null", "3", "\"x\"", "{",
                           "{\"architectures\": [\"LlamaForCausalLM\"]", "{\"a\": NaN}",
                           "{\"architectures\": [\"X\xFF\"]}", "not json at all"}) {
    error_of(text);
  }
  EXPECT_EQ(error_of("[]").where, "$");
  EXPECT_EQ(error_of("{}").where, "$.architectures");
  EXPECT_EQ(error_of(R"({"architectures": ["X"], "vocab_size": 1, "vocab_size": 2})").text,
            "duplicate key");
  std::string deep = "{\"rope_scaling\": ";
  for (int i = 0; i < 1000; ++i) deep += "[";
  EXPECT_NE(error_of(deep).text.find("deeper"), std::string::npos);
  EXPECT_EQ(error_of(R"({"rope_theta": 1e999})").text, "number out of range");
  for (std::size_t cut = 0; cut < deepseek_v3.size(); ++cut) {
    EXPECT_FALSE(read_model_config(deepseek_v3.substr(0, cut), "cut")) << cut;
  }
}

// A config inside another document: errors carry the path within that document.
TEST(ModelConfig, InsideAnotherDocument) {
  const nlohmann::json line = {{"id", "a"}, {"model_config", nlohmann::json::parse(llama)}};
  const JsonField config = *JsonField(line).required("model_config");
  EXPECT_EQ(read_model_config(config, "inline")->hidden_size, 4096);
  const nlohmann::json bad = {{"model_config", {{"architectures", {"X"}}}}};
  EXPECT_EQ(read_model_config(*JsonField(bad).required("model_config"), "inline").error().where,
            "$.model_config.num_hidden_layers");
}

}  // namespace
}  // namespace capsize::formats_model_config_test
