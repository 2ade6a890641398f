// What SGLang's model classes ask of a layout: which tp a model accepts, what fails first, with
// which text. Expected texts are the engine's own (release 0.5.11).
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "sim/engines/sglang/weights.hpp"

namespace capsize::sglang::weights_test {
namespace {

using Sizes = std::vector<std::int64_t>;

ModelShape model(std::string_view name) {
  const ModelShape* found = find_model(name);
  if (found == nullptr) throw std::runtime_error("no model " + std::string(name));
  return *found;
}

WeightLayout plain(std::int64_t tp, std::int64_t ep = 1) {
  WeightLayout layout;
  layout.tp = tp;
  layout.attn_tp = tp;
  layout.ep = ep;
  layout.moe_tp = tp / ep;
  return layout;
}

// DP attention of `dp` replicas.
WeightLayout with_dp(std::int64_t tp, std::int64_t dp) {
  WeightLayout layout = plain(tp);
  layout.attn_tp = tp / dp;
  layout.dp_attention = dp > 1;
  return layout;
}

WeightLayout with_a2a(std::int64_t tp, std::string_view backend) {
  WeightLayout layout = plain(tp, tp);
  layout.moe_a2a_backend = backend;
  return layout;
}

// The text of the refusal; "(none)" for a bare assertion, "(passes)" where nothing fails.
std::string text_of(const ModelShape& shape, const WeightLayout& layout) {
  const auto refusal = check_weights(shape, layout);
  if (!refusal) return "(passes)";
  return refusal->text.value_or("(none)");
}
std::string hint_of(const ModelShape& shape, const WeightLayout& layout) {
  const auto refusal = check_weights(shape, layout);
  return refusal ? refusal->hint : "(passes)";
}

Sizes fitting(const ModelShape& shape, std::int64_t ep = 1) {
  Sizes fits;
  for (std::int64_t tp = 1; tp <= 128; ++tp) {
    if (tp % ep == 0 && !check_weights(shape, plain(tp, ep))) fits.push_back(tp);
  }
  return fits;
}

// DeepSeek-Coder-V2-Lite, changed so that it can be cut by 6 and by 17.
ModelShape many_headed() {
  ModelShape shape = model("DeepSeek-Coder-V2-Lite-Instruct");
  shape.num_attention_heads = 408;
  shape.num_key_value_heads = 408;
  shape.vocab_size = 104448;
  shape.moe_intermediate_size = 1632;
  return shape;
}

ModelShape qwen3_235b_fp8() {
  ModelShape shape = model("Qwen/Qwen3-235B-A22B");
  shape.quantisation = {.method = "fp8", .block_n = 128, .block_k = 128};
  return shape;
}

// A check that is missing, or one that the engine does not make.
TEST(Weights, EveryTensorParallelSizeThatFits) {
  const struct {
    const char* name;
    Sizes tp;
  } table[] = {
      {"DeepSeek-Coder-V2-Lite-Instruct", {1, 2, 4, 8, 16}},
      {"DeepSeek-V2-Lite", {1, 2, 4, 8, 16}},
      {"DeepSeek-V3", {1, 2, 4, 8, 16}},
      {"DeepSeek-V3.2", {1, 2, 4, 8, 16}},
      {"Qwen3-30B-A3B", {1, 2, 4, 8, 16, 32}},
      {"Qwen3-235B-A22B", {1, 2, 4, 8, 16, 32, 64}},
      {"GLM-4.5", {1, 2, 4, 8, 16, 32}},
      {"Kimi-K2-Instruct", {1, 2, 4, 8, 16}},
      {"gpt-oss-120b", {1, 2, 4, 8, 16, 32, 64}},
      {"Llama-3.1-8B", {1, 2, 4, 8, 16, 32}},
      {"Llama-3.1-70B", {1, 2, 4, 8, 16, 32, 64}},
  };
  ASSERT_EQ(std::size(table), built_in_models().size());
  for (const auto& row : table) EXPECT_EQ(fitting(model(row.name)), row.tp) << row.name;
}

// The vocabulary is looked at before the heads: the message is the one that users paste.
TEST(Weights, VocabularyFailsFirst) {
  const ModelShape lite = model("DeepSeek-Coder-V2-Lite-Instruct");
  const auto refusal = check_weights(lite, plain(6));
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->text, "102400 is not divisible by 6");
  EXPECT_EQ(refusal->stage, RefusalStage::model);
  EXPECT_EQ(refusal->rule, "layers/vocab_parallel_embedding.py::VocabParallelEmbedding");
  EXPECT_NE(refusal->hint.find("tp 1, 2, 4, 8 or 16 fit this model"), std::string::npos)
      << refusal->hint;
  // The vocabulary is padded to a multiple of 64 before it is cut.
  ModelShape padded = model("Llama-3.1-8B");
  padded.vocab_size = 128001;
  EXPECT_EQ(text_of(padded, plain(7)), "128064 is not divisible by 7");
}

// With DP attention the embedding is cut by attention TP, the output head by all of tp unless
// --enable-dp-lm-head is given.
TEST(Weights, VocabularyUnderDpAttention) {
  ModelShape shape = many_headed();
  shape.vocab_size = 102400;
  EXPECT_EQ(text_of(shape, with_dp(6, 2)), "102400 is not divisible by 3");
  EXPECT_EQ(text_of(shape, with_dp(6, 3)), "102400 is not divisible by 6");  // the head
  EXPECT_NE(hint_of(shape, with_dp(6, 3)).find("output head"), std::string::npos);
  WeightLayout head_by_attention = with_dp(6, 3);
  head_by_attention.dp_lm_head = true;
  EXPECT_EQ(text_of(shape, head_by_attention), "(passes)");
  ModelShape tied = shape;
  tied.tie_word_embeddings = true;
  EXPECT_EQ(text_of(tied, with_dp(6, 3)), "(passes)");
  WeightLayout staged = with_dp(6, 3);
  staged.pp = 2;  // the head cannot be the embedding of another stage
  EXPECT_EQ(text_of(tied, staged), "102400 is not divisible by 6");
  // Llama's embedding is cut by tp whatever DP attention does.
  EXPECT_EQ(text_of(model("Llama-3.1-8B"), with_dp(5, 5)), "128256 is not divisible by 5");
}

// The neighbours of the seed's case that a made-up config opens.
TEST(Weights, ManyHeadedLite) {
  EXPECT_FALSE(check_weights(many_headed(), plain(6)));
  // 17 does not divide the dense FFN of 10944: only --moe-dense-tp-size 1 lets it pass.
  EXPECT_NE(hint_of(many_headed(), plain(17)).find("dense FFN of 10944"), std::string::npos);
  WeightLayout dense_whole = plain(17);
  dense_whole.dense_fully_dp = true;
  EXPECT_FALSE(check_weights(many_headed(), dense_whole));
  // Heads alone do not help: vocabulary and expert FFN of the published model stay in the way.
  ModelShape heads_only = model("DeepSeek-Coder-V2-Lite-Instruct");
  heads_only.num_attention_heads = 408;
  EXPECT_EQ(text_of(heads_only, plain(6)), "102400 is not divisible by 6");
  EXPECT_EQ(text_of(heads_only, plain(17)), "102400 is not divisible by 17");
  heads_only.vocab_size = 104448;
  EXPECT_EQ(text_of(heads_only, plain(6)), "(none)");
  EXPECT_NE(hint_of(heads_only, plain(6)).find("an expert's FFN of 1408"), std::string::npos);
  EXPECT_NE(hint_of(heads_only, plain(17)).find("dense FFN of 10944"), std::string::npos);
}

// Bare assertions carry no text, so that nothing is put into the engine's mouth.
TEST(Weights, HeadsDieWithoutAText) {
  const auto heads = check_weights(model("Qwen3-30B-A3B"), plain(64));
  ASSERT_TRUE(heads);
  EXPECT_EQ(heads->text, std::nullopt);
  EXPECT_EQ(heads->rule, "models/qwen3_moe.py::Qwen3MoeAttention");
  EXPECT_NE(heads->hint.find("32 attention heads do not divide by attention tp 64"),
            std::string::npos);
  // KV heads divide, or are divided: 8 of 12 neither way.
  ModelShape shape = model("Llama-3.1-8B");
  shape.num_attention_heads = 48;
  shape.vocab_size = 128256 * 3;
  EXPECT_EQ(text_of(shape, plain(12)), "(none)");
  EXPECT_NE(hint_of(shape, plain(12)).find("8 KV heads and tp 12"), std::string::npos);
  EXPECT_NE(hint_of(shape, plain(24)).find("dense FFN"), std::string::npos);  // 24 by 8 is fine
}

// Attention is cut by attention TP in the classes that know it, by tp in Llama and Qwen2.
TEST(Weights, WhichGroupCutsAttention) {
  ModelShape shape = model("Llama-3.1-8B");
  shape.num_attention_heads = 16;
  shape.num_key_value_heads = 16;
  shape.architecture = "Qwen3ForCausalLM";
  EXPECT_FALSE(check_weights(shape, with_dp(32, 2)));
  for (const char* by_tp : {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"}) {
    shape.architecture = by_tp;
    EXPECT_EQ(text_of(shape, with_dp(32, 2)), "(none)") << by_tp;
  }
}

// --moe-dense-tp-size 1 leaves dense layers of MoE classes whole, and no others.
TEST(Weights, DenseLayers) {
  ModelShape shape = model("GLM-4.5");
  shape.intermediate_size = 12300;  // 4 divides, 8 does not
  EXPECT_FALSE(check_weights(shape, plain(4)));
  EXPECT_NE(hint_of(shape, plain(8)).find("dense FFN of 12300"), std::string::npos);
  WeightLayout whole = plain(8);
  whole.dense_fully_dp = true;
  EXPECT_FALSE(check_weights(shape, whole));
  ModelShape llama = model("Llama-3.1-8B");
  llama.intermediate_size = 12300;
  EXPECT_TRUE(check_weights(llama, whole));
  // Without a dense layer its FFN is not looked at (Qwen3-MoE states one that no layer has).
  ModelShape all_sparse = shape;
  all_sparse.first_k_dense_replace = 0;
  EXPECT_FALSE(check_weights(all_sparse, plain(8)));
  // A sparse first layer is built first: its failure comes before that of the dense ones.
  ModelShape mixed = model("DeepSeek-V2-Lite");
  mixed.first_k_dense_replace = 0;
  mixed.moe_layer_freq = 2;
  mixed.intermediate_size = 10945;
  mixed.moe_intermediate_size = 1409;
  EXPECT_NE(hint_of(mixed, plain(8)).find("an expert's FFN of 1409"), std::string::npos);
  mixed.moe_intermediate_size = 1408;
  EXPECT_NE(hint_of(mixed, plain(8)).find("dense FFN of 10945"), std::string::npos);
}

// The one limit with a text of its own; Qwen3-MoE compares moe tp, gpt-oss nothing.
TEST(Weights, MoreRanksThanExperts) {
  ModelShape lite = model("DeepSeek-V2-Lite");
  lite.n_routed_experts = 4;
  EXPECT_EQ(text_of(lite, plain(8)),
            "Tensor parallel size 8 is greater than the number of experts 4.");
  ModelShape qwen = model("Qwen3-30B-A3B");
  qwen.n_routed_experts = 4;
  EXPECT_EQ(text_of(qwen, plain(8)),
            "Tensor parallel size 8 is greater than the number of experts 4.");
  EXPECT_FALSE(check_weights(qwen, plain(8, 4)));
  qwen.architecture = "Qwen2MoeForCausalLM";
  EXPECT_EQ(text_of(qwen, plain(8, 4)),
            "Tensor parallel size 8 is greater than the number of experts 4.");
  ModelShape oss = model("gpt-oss-120b");
  oss.n_routed_experts = 4;
  EXPECT_FALSE(check_weights(oss, plain(8)));
}

// Experts over ep, and the redundant ones that only some classes add.
TEST(Weights, ExpertsOverEp) {
  const ModelShape qwen = model("Qwen3-30B-A3B");
  EXPECT_FALSE(check_weights(qwen, plain(8, 8)));
  WeightLayout layout = plain(16, 16);
  layout.redundant_experts = 8;
  EXPECT_EQ(text_of(qwen, layout), "(none)");  // 136 by 16
  EXPECT_NE(hint_of(qwen, layout).find("136 experts (redundant ones included)"), std::string::npos);
  EXPECT_EQ(text_of(model("gpt-oss-120b"), layout), "(none)");
  WeightLayout a2a = with_a2a(16, "deepep");
  a2a.redundant_experts = 8;
  EXPECT_EQ(text_of(model("DeepSeek-V2-Lite"), a2a), "(none)");  // 72 by 16
  layout.redundant_experts = 16;
  EXPECT_FALSE(check_weights(qwen, layout));
  layout.redundant_experts = 8;
  EXPECT_FALSE(check_weights(model("GLM-4.5"), layout));  // 160: this class adds none
}

// FP8 blocks: what a rank holds must be whole blocks, in the order of construction.
TEST(Weights, Fp8Blocks) {
  EXPECT_EQ(fitting(qwen3_235b_fp8()), (Sizes{1, 2, 4}));
  EXPECT_EQ(text_of(qwen3_235b_fp8(), plain(8)),
            "The output_size of gate's and up's weight = 192 is not divisible by weight "
            "quantization block_n = 128.");
  EXPECT_NE(hint_of(qwen3_235b_fp8(), plain(8))
                .find("tp 1, 2 or 4 fit this model; so does tp 8 with ep 2, 4 or 8"),
            std::string::npos)
      << hint_of(qwen3_235b_fp8(), plain(8));
  EXPECT_FALSE(check_weights(qwen3_235b_fp8(), plain(8, 2)));
  ModelShape small = model("Qwen3-30B-A3B");
  small.quantisation = qwen3_235b_fp8().quantisation;
  EXPECT_EQ(fitting(small), (Sizes{1, 2}));
  // DeepSeek-V3 at tp 32: the dense layers come before the experts (2048 / 32 = 64).
  const ModelShape v3 = model("DeepSeek-V3");
  EXPECT_EQ(text_of(v3, plain(32)),
            "Weight output_partition_size = 576 is not divisible by weight quantization "
            "block_n = 128.");
  WeightLayout dense_whole = plain(32);
  dense_whole.dense_fully_dp = true;
  EXPECT_EQ(text_of(v3, dense_whole),
            "The output_size of gate's and up's weight = 64 is not divisible by weight "
            "quantization block_n = 128.");
  // At tp 128 a rank has one head of 192 rows, and attention comes first of all.
  EXPECT_EQ(text_of(v3, plain(128)),
            "Weight output_partition_size = 192 is not divisible by weight quantization "
            "block_n = 128.");
}

// Rows and columns have blocks of their own; a linear that is cut by less than tp is let pass.
TEST(Weights, Fp8Columns) {
  ModelShape shape = qwen3_235b_fp8();
  shape.quantisation.block_n = 64;
  EXPECT_EQ(text_of(shape, plain(8)),
            "The input_size of down's weight = 192 is not divisible by weight quantization "
            "block_k = 128.");
  ModelShape dense = model("Llama-3.1-8B");
  dense.quantisation = {.method = "fp8", .block_n = 64, .block_k = 128};
  dense.intermediate_size = 192 * 4;
  EXPECT_EQ(text_of(dense, plain(4)),
            "Weight input_size_per_partition = 192 is not divisible by weight quantization "
            "block_k = 128.");
  // q, k and v are one weight: held to the block even where nothing is cut.
  dense.head_dim = 96;
  EXPECT_EQ(text_of(dense, plain(1)), "(passes)");
  dense.num_key_value_heads = 1;
  EXPECT_EQ(text_of(dense, plain(1)),
            "Weight output_partition_size = 96 is not divisible by weight quantization "
            "block_n = 64.");
  // o_proj of attention TP 64 of tp 128: not compared, since 64 is not the TP world.
  ModelShape v3 = model("DeepSeek-V3");
  v3.v_head_dim = 32;
  v3.quantisation.block_n = 1;
  EXPECT_EQ(text_of(v3, plain(64)),
            "Weight input_size_per_partition = 64 is not divisible by weight quantization "
            "block_k = 128.");
  EXPECT_NE(text_of(v3, with_dp(128, 2)),
            "Weight input_size_per_partition = 64 is not divisible by weight quantization "
            "block_k = 128.");
  // A method whose blocks the engine does not check that way.
  ModelShape other = qwen3_235b_fp8();
  other.quantisation.method = "compressed-tensors";
  other.quantisation.block_n = 0;
  EXPECT_FALSE(check_weights(other, plain(8)));
}

// Methods that fix their own blocks, and a class that ignores the stated head size.
TEST(Weights, BlocksByMethod) {
  ModelShape shape = model("Qwen3-235B-A22B");
  shape.moe_intermediate_size = 80 * 8;
  shape.quantisation.method = "mxfp8";  // blocks of 1 x 32
  EXPECT_EQ(text_of(shape, plain(8)),
            "The input_size of down's weight = 80 is not divisible by weight quantization "
            "block_k = 32.");
  ModelShape lite = model("DeepSeek-V2-Lite");
  lite.quantisation.method = "w4afp8";  // 128 x 128 for linears, none for experts
  EXPECT_EQ(text_of(lite, plain(1)),
            "Weight output_partition_size = 10944 is not divisible by weight quantization "
            "block_n = 128.");
  lite.intermediate_size = 128 * 85;
  lite.moe_intermediate_size = 1400;
  lite.n_shared_experts = 0;
  EXPECT_FALSE(check_weights(lite, plain(1)));
  ModelShape qwen2 = qwen3_235b_fp8();
  qwen2.hidden_size = 96 * qwen2.num_attention_heads;
  EXPECT_FALSE(check_weights(qwen2, plain(1)));
  qwen2.architecture = "Qwen2MoeForCausalLM";  // one KV head a rank at tp 4: 96 rows
  EXPECT_EQ(text_of(qwen2, plain(4)),
            "Weight output_partition_size = 96 is not divisible by weight quantization "
            "block_n = 128.");
}

// flashinfer_trtllm pads an expert's rows, and the friendlier text comes after the captures.
TEST(Weights, PaddedExpertsAreRefusedAfterCapture) {
  WeightLayout layout = plain(8);
  layout.pads_expert_rows = true;
  const auto refusal = check_weights(qwen3_235b_fp8(), layout);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->stage, RefusalStage::capture);
  EXPECT_EQ(refusal->text,
            "For quantized MoE models, please make sure (moe_intermediate_size=1536 / "
            "moe_tp_size=8) % weight_block_size_n=128 == 0 where moe_tp_size is equal to tp_size "
            "(8) divided by ep_size (1). You can fix this by setting arguments `--tp` and `--ep` "
            "correctly.");
}

// Shared experts: an MLP cut by tp, whole under an a2a backend, or fused into the routed ones.
TEST(Weights, SharedExperts) {
  ModelShape lite = model("DeepSeek-V2-Lite");
  lite.moe_intermediate_size = 1410;  // ep leaves it whole, tp 8 does not divide 2 * 1410
  EXPECT_NE(hint_of(lite, plain(8, 8)).find("shared experts' FFN of 2820"), std::string::npos);
  for (const char* backend :
       {"deepep", "mooncake", "nixl", "mori", "ascend_fuseep", "flashinfer"}) {
    EXPECT_FALSE(check_weights(lite, with_a2a(8, backend))) << backend;
  }
  // Qwen2-MoE states the size outright and leaves it whole for DeepEP only.
  ModelShape qwen2 = model("Qwen3-30B-A3B");
  qwen2.architecture = "Qwen2MoeForCausalLM";
  qwen2.shared_expert_intermediate_size = 5636;
  EXPECT_EQ(text_of(qwen2, plain(8)), "(none)");
  EXPECT_FALSE(check_weights(qwen2, with_a2a(8, "deepep")));
  EXPECT_EQ(text_of(qwen2, with_a2a(8, "mooncake")), "(none)");
}

// DeepSeek-V3's one shared expert is fused where ep is 1: cut by moe tp, not by tp.
TEST(Weights, FusedSharedExpert) {
  ModelShape v3 = model("DeepSeek-V3");
  v3.quantisation = {};
  v3.moe_intermediate_size = 2052;  // 4 divides, 8 does not
  WeightLayout halves = plain(8);
  halves.moe_dp = 2;
  halves.attn_cp = 2;
  halves.attn_tp = 4;
  halves.moe_tp = 4;
  EXPECT_FALSE(check_weights(v3, halves));
  WeightLayout unfused = halves;
  unfused.shared_fusion_disabled = true;
  EXPECT_NE(hint_of(v3, unfused).find("shared experts' FFN of 2052"), std::string::npos);
  ModelShape v32 = v3;
  v32.architecture = "DeepseekV32ForCausalLM";  // fuses nothing
  EXPECT_TRUE(check_weights(v32, halves));
  ModelShape glm_dsa = v3;
  glm_dsa.architecture = "GlmMoeDsaForCausalLM";
  EXPECT_FALSE(check_weights(glm_dsa, halves));
  ModelShape kimi = v3;
  kimi.n_routed_experts = 384;
  EXPECT_TRUE(check_weights(kimi, halves));
  ModelShape glm = model("GLM-4.5");
  glm.moe_intermediate_size = 1540;
  EXPECT_FALSE(check_weights(glm, halves));
  EXPECT_TRUE(check_weights(glm, unfused));
}

// Qwen3-MoE asks at the very end that moe dp divide attention cp.
TEST(Weights, MoeDpDividesAttentionCp) {
  WeightLayout layout = plain(8);
  layout.attn_cp = 2;
  layout.attn_tp = 4;
  layout.moe_dp = 4;
  layout.moe_tp = 2;
  EXPECT_EQ(text_of(model("Qwen3-30B-A3B"), layout),
            "attn_cp_size (2) must be divisible by moe_dp_size (4)");
  EXPECT_NE(hint_of(model("Qwen3-30B-A3B"), layout).find("--moe-dp-size to 1"), std::string::npos);
  layout.moe_dp = 2;
  layout.moe_tp = 4;
  EXPECT_FALSE(check_weights(model("Qwen3-30B-A3B"), layout));
  layout.moe_dp = 4;
  layout.moe_tp = 2;
  EXPECT_FALSE(check_weights(model("DeepSeek-V2-Lite"), layout));  // no such assertion there
}

// Every tp and ep that a hint names must itself pass, for each model and many layouts.
TEST(Weights, HintsNameOnlyWhatFits) {
  std::vector<ModelShape> shapes(built_in_models().begin(), built_in_models().end());
  shapes.push_back(qwen3_235b_fp8());
  int refused = 0;
  for (const ModelShape& shape : shapes) {
    const Sizes fits = fitting(shape);
    std::string list = "tp ";
    for (std::size_t i = 0; i < fits.size(); ++i) {
      list += (i == 0 ? "" : i + 1 == fits.size() ? " or " : ", ") + std::to_string(fits[i]);
    }
    for (std::int64_t tp = 2; tp <= 128; ++tp) {
      const auto refusal = check_weights(shape, plain(tp));
      if (!refusal) continue;
      ++refused;
      EXPECT_NE(refusal->hint.find(list + " fit this model"), std::string::npos)
          << shape.name << " tp " << tp << ": " << refusal->hint;
      EXPECT_FALSE(refusal->rule.empty());
    }
  }
  EXPECT_GT(refused, 1000);
  // Where nothing fits, nothing is promised.
  ModelShape odd = model("Llama-3.1-8B");
  odd.quantisation = {.method = "fp8", .block_n = 127, .block_k = 127};
  EXPECT_NE(hint_of(odd, plain(2)).find("no tp up to 128 fits"), std::string::npos);
}

// Sizes that no layout has must not divide by zero.
TEST(Weights, DegenerateSizesAreRefused) {
  WeightLayout layout = plain(8);
  layout.moe_tp = 0;
  EXPECT_TRUE(check_weights(model("Qwen3-30B-A3B"), layout));
  layout = plain(0);
  EXPECT_TRUE(check_weights(model("Qwen3-30B-A3B"), layout));
  layout = plain(8);
  layout.attn_tp = 0;
  EXPECT_TRUE(check_weights(model("DeepSeek-V3"), layout));
  EXPECT_FALSE(check_weights(ModelShape{}, plain(7)));  // no class: nothing is claimed
}

// Which layers are sparse, class by class.
TEST(Weights, SparseLayers) {
  const ModelShape v3 = model("DeepSeek-V3");
  EXPECT_FALSE(is_sparse_layer(v3, 0));
  EXPECT_FALSE(is_sparse_layer(v3, 2));
  EXPECT_TRUE(is_sparse_layer(v3, 3));
  ModelShape every_other = v3;
  every_other.moe_layer_freq = 2;
  EXPECT_FALSE(is_sparse_layer(every_other, 3));
  EXPECT_TRUE(is_sparse_layer(every_other, 4));
  ModelShape glm = model("GLM-4.5");
  glm.moe_layer_freq = 2;  // not read by this class
  EXPECT_FALSE(is_sparse_layer(glm, 2));
  EXPECT_TRUE(is_sparse_layer(glm, 3));
  EXPECT_TRUE(is_sparse_layer(model("Qwen3-30B-A3B"), 0));
  EXPECT_TRUE(is_sparse_layer(model("gpt-oss-120b"), 0));
  EXPECT_FALSE(is_sparse_layer(model("Llama-3.1-8B"), 5));
  for (const ModelShape& shape : built_in_models()) {
    std::int64_t sparse = 0;
    for (std::int64_t layer = 0; layer < shape.num_hidden_layers; ++layer) {
      if (is_sparse_layer(shape, layer)) ++sparse;
    }
    const std::int64_t dense =
        shape.n_routed_experts > 0 ? shape.first_k_dense_replace : shape.num_hidden_layers;
    EXPECT_EQ(sparse, shape.num_hidden_layers - dense) << shape.name;
  }
}

// Class lists decide, not the fields that look like it.
TEST(Facts, ByClass) {
  const ArchitectureFacts lite = facts_of(model("DeepSeek-V2-Lite"));
  EXPECT_TRUE(lite.known && lite.mla && lite.layer_communicator);
  EXPECT_FALSE(lite.nsa || lite.multimodal || lite.piecewise_disabled);
  const ArchitectureFacts v32 = facts_of(model("DeepSeek-V3.2"));
  EXPECT_TRUE(v32.known && v32.mla && v32.nsa && v32.piecewise_disabled);
  ModelShape v3_with_indexer = model("DeepSeek-V3");
  v3_with_indexer.index_topk = 2048;
  EXPECT_TRUE(facts_of(v3_with_indexer).piecewise_disabled);
  ModelShape v32_without = model("DeepSeek-V3.2");
  v32_without.index_topk = 0;
  EXPECT_FALSE(facts_of(v32_without).nsa);
  EXPECT_TRUE(facts_of(v32_without).piecewise_disabled);  // by name alone
  const ArchitectureFacts qwen = facts_of(model("Qwen3-30B-A3B"));
  EXPECT_TRUE(qwen.known && qwen.layer_communicator && qwen.splits_prefill_context);
  EXPECT_FALSE(qwen.mla);
  const ArchitectureFacts llama = facts_of(model("Llama-3.1-8B"));
  EXPECT_TRUE(llama.known);
  EXPECT_FALSE(llama.layer_communicator || llama.splits_prefill_context);
}

// A class that has not been read is told so; the engine's lists still hold for it.
TEST(Facts, UnreadClasses) {
  ModelShape shape = model("DeepSeek-V3");
  shape.architecture = "Glm4MoeLiteForCausalLM";
  EXPECT_FALSE(facts_of(shape).known);
  EXPECT_TRUE(facts_of(shape).mla);
  EXPECT_FALSE(check_weights(shape, plain(7)));
  EXPECT_FALSE(is_sparse_layer(shape, 2));
  EXPECT_TRUE(is_sparse_layer(shape, 3));
  shape.architecture = "SomethingNewForCausalLM";  // kv_lora_rank does not make it MLA
  EXPECT_FALSE(facts_of(shape).mla);
  shape.architecture = "Qwen3NextForCausalLM";
  EXPECT_TRUE(facts_of(shape).piecewise_disabled);
  shape.architecture = "PixtralForConditionalGeneration";
  EXPECT_TRUE(facts_of(shape).mla && facts_of(shape).multimodal);
  shape.kv_lora_rank = 0;
  EXPECT_FALSE(facts_of(shape).mla);
}

// Multimodal by class or by a wrapped language model, except for three that wait to be asked.
TEST(Facts, Multimodal) {
  ModelShape shape;
  shape.architecture = "Qwen2_5_VLForConditionalGeneration";
  EXPECT_TRUE(facts_of(shape).multimodal);
  shape.architecture = "UnheardOfWrapper";
  EXPECT_FALSE(facts_of(shape).multimodal);
  shape.nested_text_config = true;
  EXPECT_TRUE(facts_of(shape).multimodal);
  shape.architecture = "Llama4ForConditionalGeneration";
  EXPECT_FALSE(facts_of(shape).multimodal);
}

}  // namespace
}  // namespace capsize::sglang::weights_test
