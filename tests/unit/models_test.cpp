// The built-in models: their numbers, and which names find them.
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <string>

#include "sim/models/shape.hpp"

namespace capsize::models_test {
namespace {

const ModelShape& model(std::string_view name) {
  const ModelShape* found = find_model(name);
  if (found == nullptr) throw std::runtime_error("no model " + std::string(name));
  return *found;
}

// A row that was lost, doubled or renamed.
TEST(BuiltInModels, ElevenWithDistinctNames) {
  std::set<std::string> names;
  for (const ModelShape& each : built_in_models()) names.insert(each.name);
  EXPECT_EQ(built_in_models().size(), 11U);
  EXPECT_EQ(names.size(), 11U);
}

struct Row {
  const char* name;
  const char* architecture;
  std::int64_t layers, hidden, heads, kv_heads, dense_ffn, expert_ffn, experts, active, shared;
  std::int64_t first_dense, kv_lora, q_lora, head_dim, context, vocabulary, block, mtp;
};
constexpr Row rows[] = {
    {"deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", "DeepseekV2ForCausalLM", 27, 2048, 16, 16,
     10944, 1408, 64, 6, 2, 1, 512, 0, 0, 163840, 102400, 0, 0},
    {"deepseek-ai/DeepSeek-V2-Lite", "DeepseekV2ForCausalLM", 27, 2048, 16, 16, 10944, 1408, 64, 6,
     2, 1, 512, 0, 0, 163840, 102400, 0, 0},
    {"deepseek-ai/DeepSeek-V3", "DeepseekV3ForCausalLM", 61, 7168, 128, 128, 18432, 2048, 256, 8, 1,
     3, 512, 1536, 0, 163840, 129280, 128, 1},
    {"deepseek-ai/DeepSeek-V3.2", "DeepseekV32ForCausalLM", 61, 7168, 128, 128, 18432, 2048, 256, 8,
     1, 3, 512, 1536, 0, 163840, 129280, 128, 1},
    {"Qwen/Qwen3-30B-A3B", "Qwen3MoeForCausalLM", 48, 2048, 32, 4, 6144, 768, 128, 8, 0, 0, 0, 0,
     128, 40960, 151936, 0, 0},
    {"Qwen/Qwen3-235B-A22B", "Qwen3MoeForCausalLM", 94, 4096, 64, 4, 12288, 1536, 128, 8, 0, 0, 0,
     0, 128, 40960, 151936, 0, 0},
    {"zai-org/GLM-4.5", "Glm4MoeForCausalLM", 92, 5120, 96, 8, 12288, 1536, 160, 8, 1, 3, 0, 0, 128,
     131072, 151552, 0, 1},
    {"moonshotai/Kimi-K2-Instruct", "DeepseekV3ForCausalLM", 61, 7168, 64, 64, 18432, 2048, 384, 8,
     1, 1, 512, 1536, 0, 131072, 163840, 128, 0},
    {"openai/gpt-oss-120b", "GptOssForCausalLM", 36, 2880, 64, 8, 0, 2880, 128, 4, 0, 0, 0, 0, 64,
     131072, 201088, 0, 0},
    {"meta-llama/Llama-3.1-8B", "LlamaForCausalLM", 32, 4096, 32, 8, 14336, 0, 0, 0, 0, 0, 0, 0, 0,
     131072, 128256, 0, 0},
    {"meta-llama/Llama-3.1-70B", "LlamaForCausalLM", 80, 8192, 64, 8, 28672, 0, 0, 0, 0, 0, 0, 0, 0,
     131072, 128256, 0, 0},
};

// A number that was mistyped, or that one row inherited from another by mistake.
TEST(BuiltInModels, NumbersOfThePublishedFiles) {
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const ModelShape& m = model(row.name);
    EXPECT_EQ(m.name, row.name);
    EXPECT_EQ(m.architecture, row.architecture);
    EXPECT_EQ(m.num_hidden_layers, row.layers);
    EXPECT_EQ(m.hidden_size, row.hidden);
    EXPECT_EQ(m.num_attention_heads, row.heads);
    EXPECT_EQ(m.num_key_value_heads, row.kv_heads);
    EXPECT_EQ(m.intermediate_size, row.dense_ffn);
    EXPECT_EQ(m.moe_intermediate_size, row.expert_ffn);
    EXPECT_EQ(m.n_routed_experts, row.experts);
    EXPECT_EQ(m.num_experts_per_tok, row.active);
    EXPECT_EQ(m.n_shared_experts, row.shared);
    EXPECT_EQ(m.first_k_dense_replace, row.first_dense);
    EXPECT_EQ(m.moe_layer_freq, 1);
    EXPECT_EQ(m.kv_lora_rank, row.kv_lora);
    EXPECT_EQ(m.q_lora_rank, row.q_lora);
    EXPECT_EQ(m.head_dim, row.head_dim);
    EXPECT_EQ(m.max_position_embeddings, row.context);
    EXPECT_EQ(m.vocab_size, row.vocabulary);
    EXPECT_EQ(m.quantisation.block_n, row.block);
    EXPECT_EQ(m.quantisation.block_k, row.block);
    EXPECT_EQ(m.num_nextn_predict_layers, row.mtp);
    EXPECT_FALSE(m.tie_word_embeddings);
    if (row.kv_lora > 0) {
      EXPECT_EQ(m.qk_nope_head_dim, 128);
      EXPECT_EQ(m.qk_rope_head_dim, 64);
      EXPECT_EQ(m.v_head_dim, 128);
    }
  }
  EXPECT_EQ(model("deepseek-ai/DeepSeek-V3.2").index_topk, 2048);
  EXPECT_EQ(model("deepseek-ai/DeepSeek-V3").index_topk, 0);
  EXPECT_EQ(model("moonshotai/Kimi-K2-Instruct").model_type, "kimi_k2");
  EXPECT_EQ(model("openai/gpt-oss-120b").quantisation.method, "mxfp4");
  EXPECT_EQ(model("deepseek-ai/DeepSeek-V3").quantisation.method, "fp8");
}

// head_dim is taken from the config where it is stated, else from hidden size and heads.
TEST(BuiltInModels, HeadSize) {
  EXPECT_EQ(head_dim_of(model("Qwen/Qwen3-30B-A3B")), 128);  // 2048 / 32 would be 64
  EXPECT_EQ(head_dim_of(model("meta-llama/Llama-3.1-8B")), 128);
  EXPECT_EQ(head_dim_of(ModelShape{}), 0);
}

// A name as people write it that is not found.
TEST(FindModel, ByIdLastComponentOrPathInAnyCase) {
  const ModelShape* qwen = find_model("Qwen/Qwen3-30B-A3B");
  ASSERT_NE(qwen, nullptr);
  for (const char* name : {"Qwen3-30B-A3B", "qwen/qwen3-30b-a3b", "QWEN3-30b-a3b",
                           "/models/Qwen3-30B-A3B", "/models/Qwen3-30B-A3B/", "./Qwen3-30B-A3B",
                           "~/models/qwen/Qwen3-30B-A3B//", "data/models/Qwen3-30B-A3B"}) {
    EXPECT_EQ(find_model(name), qwen) << name;
  }
  EXPECT_EQ(find_model("meta-llama/Meta-Llama-3.1-8B"), find_model("meta-llama/Llama-3.1-8B"));
  EXPECT_EQ(find_model("/m/Meta-Llama-3.1-70B"), find_model("Llama-3.1-70B"));
}

// Another model that is taken for one of these: sizes of a wrong model would pass for its own.
TEST(FindModel, NothingIsGuessed) {
  for (const char* name :
       {"", "/", "Qwen", "Qwen/", "Qwen3", "Qwen/Qwen3-30B-A3B-FP8", "Qwen3-30B-A3B-Instruct-2507",
        "someone/Qwen3-30B-A3B", "DeepSeek-V3.1", "deepseek-ai/DeepSeek-V3-0324", "DeepSeek-V",
        "/models/Qwen3-30B-A3B/config.json", "Llama-3.1-8B-Instruct", " Qwen3-30B-A3B"}) {
    EXPECT_EQ(find_model(name), nullptr) << name;
  }
}

}  // namespace
}  // namespace capsize::models_test
