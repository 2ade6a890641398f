// The shape of a model as its published config.json states it: numbers that a layout must fit.
// Engine-neutral; what an engine makes of them (which layers are sparse, what it refuses) lives
// with the engine.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capsize {

// Quantisation as the checkpoint states it.
struct Quantisation {
  std::string method;  // "fp8", "mxfp4", "compressed-tensors"; empty when the weights are plain
  std::int64_t block_n = 0;  // weight block rows; 0 when not block-quantised
  std::int64_t block_k = 0;
};

// Fields carry the names of config.json; where published files use several names for one number,
// the name here is the one that most of them use. Zero (or empty) means that the config does not
// state it. What a class fills in by itself for an absent field is not filled in here.
struct ModelShape {
  std::string name;          // "deepseek-ai/DeepSeek-V3" or the file it came from
  std::string architecture;  // architectures[0], "DeepseekV3ForCausalLM"
  std::string model_type;
  std::int64_t num_hidden_layers = 0;
  std::int64_t hidden_size = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t intermediate_size = 0;      // dense FFN
  std::int64_t moe_intermediate_size = 0;  // expert FFN
  std::int64_t n_routed_experts = 0;
  std::int64_t num_experts_per_tok = 0;
  std::int64_t n_shared_experts = 0;
  std::int64_t shared_expert_intermediate_size = 0;  // where the config states it outright
  std::int64_t first_k_dense_replace = 0;
  std::int64_t moe_layer_freq = 1;
  std::int64_t kv_lora_rank = 0;
  std::int64_t q_lora_rank = 0;
  std::int64_t qk_nope_head_dim = 0;  // the three head sizes of latent attention
  std::int64_t qk_rope_head_dim = 0;
  std::int64_t v_head_dim = 0;
  std::int64_t index_topk = 0;  // sparse indexer (DeepSeek-V3.2)
  std::int64_t head_dim = 0;
  std::int64_t vocab_size = 0;
  std::int64_t max_position_embeddings = 0;
  std::int64_t num_nextn_predict_layers = 0;
  bool tie_word_embeddings = false;  // the output head is the embedding itself
  bool nested_text_config = false;   // the language model is one part of a multimodal wrapper
  Quantisation quantisation;
};

// The rows of a head's output where the config does not state head_dim.
[[nodiscard]] constexpr std::int64_t head_dim_of(const ModelShape& model) {
  if (model.head_dim > 0 || model.num_attention_heads <= 0) return model.head_dim;
  return model.hidden_size / model.num_attention_heads;
}

// The models that are built in. The data are published config.json files, restated; see README.md
// in this folder for where each row was read.
[[nodiscard]] std::span<const ModelShape> built_in_models();

// A built-in model by its HuggingFace id ("Qwen/Qwen3-30B-A3B"), by its last path component, or by
// a local path that ends in it ("/models/Qwen3-30B-A3B/"); letter case does not matter. None is
// guessed from a part of a name: "Qwen3-30B-A3B-FP8" is another checkpoint.
[[nodiscard]] const ModelShape* find_model(std::string_view name_or_path);

}  // namespace capsize
