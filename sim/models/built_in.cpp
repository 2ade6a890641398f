// The built-in models as data, and how a name finds one. README.md in this folder says where each
// row was read.
#include <array>
#include <cstddef>
#include <utility>

#include "sim/models/shape.hpp"

namespace capsize {
namespace {

// DeepSeek-V2-Lite; DeepSeek-Coder-V2-Lite differs in nothing that is stated here.
ModelShape deepseek_v2_lite(std::string name) {
  return {.name = std::move(name),
          .architecture = "DeepseekV2ForCausalLM",
          .model_type = "deepseek_v2",
          .num_hidden_layers = 27,
          .hidden_size = 2048,
          .num_attention_heads = 16,
          .num_key_value_heads = 16,
          .intermediate_size = 10944,
          .moe_intermediate_size = 1408,
          .n_routed_experts = 64,
          .num_experts_per_tok = 6,
          .n_shared_experts = 2,
          .first_k_dense_replace = 1,
          .kv_lora_rank = 512,
          .qk_nope_head_dim = 128,
          .qk_rope_head_dim = 64,
          .v_head_dim = 128,
          .vocab_size = 102400,
          .max_position_embeddings = 163840,
          .quantisation = {}};
}

ModelShape deepseek_v3() {
  return {.name = "deepseek-ai/DeepSeek-V3",
          .architecture = "DeepseekV3ForCausalLM",
          .model_type = "deepseek_v3",
          .num_hidden_layers = 61,
          .hidden_size = 7168,
          .num_attention_heads = 128,
          .num_key_value_heads = 128,
          .intermediate_size = 18432,
          .moe_intermediate_size = 2048,
          .n_routed_experts = 256,
          .num_experts_per_tok = 8,
          .n_shared_experts = 1,
          .first_k_dense_replace = 3,
          .kv_lora_rank = 512,
          .q_lora_rank = 1536,
          .qk_nope_head_dim = 128,
          .qk_rope_head_dim = 64,
          .v_head_dim = 128,
          .vocab_size = 129280,
          .max_position_embeddings = 163840,
          .num_nextn_predict_layers = 1,
          .quantisation = {.method = "fp8", .block_n = 128, .block_k = 128}};
}

// DeepSeek-V3 with a sparse indexer (64 heads of 128).
ModelShape deepseek_v32() {
  ModelShape model = deepseek_v3();
  model.name = "deepseek-ai/DeepSeek-V3.2";
  model.architecture = "DeepseekV32ForCausalLM";
  model.model_type = "deepseek_v32";
  model.index_topk = 2048;
  return model;
}

// The class of DeepSeek-V3 with half of its heads, more experts and one dense layer.
ModelShape kimi_k2() {
  ModelShape model = deepseek_v3();
  model.name = "moonshotai/Kimi-K2-Instruct";
  model.model_type = "kimi_k2";
  model.num_attention_heads = 64;
  model.num_key_value_heads = 64;
  model.n_routed_experts = 384;
  model.first_k_dense_replace = 1;
  model.vocab_size = 163840;
  model.max_position_embeddings = 131072;
  model.num_nextn_predict_layers = 0;
  return model;
}

// The dense FFN of Qwen3-MoE is stated in the files and used by no layer.
ModelShape qwen3_30b_a3b() {
  return {.name = "Qwen/Qwen3-30B-A3B",
          .architecture = "Qwen3MoeForCausalLM",
          .model_type = "qwen3_moe",
          .num_hidden_layers = 48,
          .hidden_size = 2048,
          .num_attention_heads = 32,
          .num_key_value_heads = 4,
          .intermediate_size = 6144,
          .moe_intermediate_size = 768,
          .n_routed_experts = 128,
          .num_experts_per_tok = 8,
          .head_dim = 128,
          .vocab_size = 151936,
          .max_position_embeddings = 40960,
          .quantisation = {}};
}

ModelShape qwen3_235b_a22b() {
  ModelShape model = qwen3_30b_a3b();
  model.name = "Qwen/Qwen3-235B-A22B";
  model.num_hidden_layers = 94;
  model.hidden_size = 4096;
  model.num_attention_heads = 64;
  model.intermediate_size = 12288;
  model.moe_intermediate_size = 1536;
  return model;
}

ModelShape glm_4_5() {
  return {.name = "zai-org/GLM-4.5",
          .architecture = "Glm4MoeForCausalLM",
          .model_type = "glm4_moe",
          .num_hidden_layers = 92,
          .hidden_size = 5120,
          .num_attention_heads = 96,
          .num_key_value_heads = 8,
          .intermediate_size = 12288,
          .moe_intermediate_size = 1536,
          .n_routed_experts = 160,
          .num_experts_per_tok = 8,
          .n_shared_experts = 1,
          .first_k_dense_replace = 3,
          .head_dim = 128,
          .vocab_size = 151552,
          .max_position_embeddings = 131072,
          .num_nextn_predict_layers = 1,
          .quantisation = {}};
}

// Its experts' FFN is the file's intermediate_size; there is no dense FFN.
ModelShape gpt_oss_120b() {
  return {.name = "openai/gpt-oss-120b",
          .architecture = "GptOssForCausalLM",
          .model_type = "gpt_oss",
          .num_hidden_layers = 36,
          .hidden_size = 2880,
          .num_attention_heads = 64,
          .num_key_value_heads = 8,
          .moe_intermediate_size = 2880,
          .n_routed_experts = 128,
          .num_experts_per_tok = 4,
          .head_dim = 64,
          .vocab_size = 201088,
          .max_position_embeddings = 131072,
          .quantisation = {.method = "mxfp4"}};
}

ModelShape llama_3_1_8b() {
  return {.name = "meta-llama/Llama-3.1-8B",
          .architecture = "LlamaForCausalLM",
          .model_type = "llama",
          .num_hidden_layers = 32,
          .hidden_size = 4096,
          .num_attention_heads = 32,
          .num_key_value_heads = 8,
          .intermediate_size = 14336,
          .vocab_size = 128256,
          .max_position_embeddings = 131072,
          .quantisation = {}};
}

ModelShape llama_3_1_70b() {
  ModelShape model = llama_3_1_8b();
  model.name = "meta-llama/Llama-3.1-70B";
  model.num_hidden_layers = 80;
  model.hidden_size = 8192;
  model.num_attention_heads = 64;
  model.intermediate_size = 28672;
  return model;
}

// Repositories that were renamed: both names lead to the same files.
struct FormerName {
  std::string_view former;
  std::string_view name;
};
constexpr std::array former_names = {
    FormerName{"meta-llama/Meta-Llama-3.1-8B", "meta-llama/Llama-3.1-8B"},
    FormerName{"meta-llama/Meta-Llama-3.1-70B", "meta-llama/Llama-3.1-70B"},
};

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_letters(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string_view last_component(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// A HuggingFace id is "organisation/name". Another organisation's repository of the same name is
// another model; a local path says nothing of an organisation, so that its end is enough.
bool names_model(std::string_view id, std::string_view given) {
  const std::size_t slash = given.find('/');
  const bool bare = slash == std::string_view::npos;
  const bool path = !bare && (slash == 0 || given.front() == '.' || given.front() == '~' ||
                              given.find('/', slash + 1) != std::string_view::npos);
  if (bare || path) return same_letters(last_component(id), last_component(given));
  return same_letters(id, given);
}

}  // namespace

std::span<const ModelShape> built_in_models() {
  static const std::array<ModelShape, 11> models = {
      deepseek_v2_lite("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct"),
      deepseek_v2_lite("deepseek-ai/DeepSeek-V2-Lite"),
      deepseek_v3(),
      deepseek_v32(),
      qwen3_30b_a3b(),
      qwen3_235b_a22b(),
      glm_4_5(),
      kimi_k2(),
      gpt_oss_120b(),
      llama_3_1_8b(),
      llama_3_1_70b(),
  };
  return models;
}

const ModelShape* find_model(std::string_view name_or_path) {
  while (name_or_path.size() > 1 && name_or_path.back() == '/') name_or_path.remove_suffix(1);
  if (name_or_path.empty()) return nullptr;
  for (const ModelShape& model : built_in_models()) {
    if (names_model(model.name, name_or_path)) return &model;
  }
  for (const FormerName& renamed : former_names) {
    if (names_model(renamed.former, name_or_path)) return find_model(renamed.name);
  }
  return nullptr;
}

}  // namespace capsize
