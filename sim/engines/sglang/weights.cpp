// The weight checks of SGLang's model classes. A class is a row of data (`Traits`); one walk over
// a model in the order in which the engine builds it serves all rows. The walk returns numbers
// only; words are put to them when something has failed.
#include "sim/engines/sglang/weights.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace capsize::sglang {
namespace {

using std::int64_t;

// ---- Classes ------------------------------------------------------------------------------

enum class Cut { tp, attn_tp };  // which group's size divides
enum class Sparse { none, all, from_k, from_k_by_freq };
enum class ExpertLimit { none, tp, moe_tp };  // "Tensor parallel size T is greater than ..."
enum class Shared { none, routed_size, own_size };
enum class Whole { never, deepep, any_a2a };  // backends under which shared experts are not cut
enum class Fusion { never, deepseek_v3, glm };
enum class Tied { never, without_pp, always };  // when tie_word_embeddings is obeyed

struct Traits {
  std::string_view file;  // under sglang/srt/
  std::string_view attention_class;
  std::string_view expert_block;  // holds the limit on experts; empty for dense classes
  Cut embedding = Cut::attn_tp;   // with DP attention; without it always tp
  Cut attention = Cut::attn_tp;
  bool latent = false;  // multi-head latent attention
  Sparse sparse = Sparse::none;
  ExpertLimit limit = ExpertLimit::none;
  bool redundant_experts = false;  // --ep-num-redundant-experts is added
  Shared shared = Shared::none;
  Whole whole = Whole::never;
  Fusion fusion = Fusion::never;
  Tied tied = Tied::never;
  bool attention_quantised = true;  // gpt-oss hands no quantisation to its attention
  bool head_dim_stated = true;      // Qwen2-MoE divides hidden_size whatever the config states
  bool cp_by_moe_dp = false;        // asserts that moe_dp divides attn_cp
  bool layer_communicator = true;
  bool splits_prefill_context = false;
};

// DeepSeek-V2, V3, V3.2 and what runs under their names (Kimi-K2).
constexpr Traits deepseek = {.file = "models/deepseek_v2.py",
                             .attention_class = "DeepseekV2AttentionMLA",
                             .expert_block = "DeepseekV2MoE",
                             .latent = true,
                             .sparse = Sparse::from_k_by_freq,
                             .limit = ExpertLimit::tp,
                             .redundant_experts = true,
                             .shared = Shared::routed_size,
                             .whole = Whole::any_a2a,
                             .fusion = Fusion::deepseek_v3,
                             .tied = Tied::without_pp};
constexpr Traits glm4_moe = {.file = "models/glm4_moe.py",
                             .attention_class = "Glm4MoeAttention",
                             .expert_block = "Glm4MoeSparseMoeBlock",
                             .sparse = Sparse::from_k,
                             .limit = ExpertLimit::tp,
                             .shared = Shared::routed_size,
                             .whole = Whole::any_a2a,
                             .fusion = Fusion::glm};
constexpr Traits qwen2_moe = {.file = "models/qwen2_moe.py",
                              .attention_class = "Qwen2MoeAttention",
                              .expert_block = "Qwen2MoeSparseMoeBlock",
                              .sparse = Sparse::all,
                              .limit = ExpertLimit::tp,
                              .redundant_experts = true,
                              .shared = Shared::own_size,
                              .whole = Whole::deepep,
                              .head_dim_stated = false};
// Only this class prepares the metadata by which Qwen2MoeModel splits a prefill.
constexpr Traits qwen3_moe = {.file = "models/qwen3_moe.py",
                              .attention_class = "Qwen3MoeAttention",
                              .expert_block = "Qwen3MoeSparseMoeBlock",
                              .sparse = Sparse::all,
                              .limit = ExpertLimit::moe_tp,
                              .redundant_experts = true,
                              .cp_by_moe_dp = true,
                              .splits_prefill_context = true};
constexpr Traits gpt_oss = {.file = "models/gpt_oss.py",
                            .attention_class = "GptOssAttention",
                            .expert_block = "GptOssSparseMoeBlock",
                            .sparse = Sparse::all,
                            .redundant_experts = true,
                            .attention_quantised = false};
// The dense classes cut their MLP by tp whatever --moe-dense-tp-size says.
constexpr Traits llama = {.file = "models/llama.py",
                          .attention_class = "LlamaAttention",
                          .expert_block = "",
                          .embedding = Cut::tp,
                          .attention = Cut::tp,
                          .tied = Tied::always,
                          .layer_communicator = false};
constexpr Traits qwen2 = {.file = "models/qwen2.py",
                          .attention_class = "Qwen2Attention",
                          .expert_block = "",
                          .attention = Cut::tp,
                          .tied = Tied::without_pp,
                          .layer_communicator = false};
constexpr Traits qwen3 = {.file = "models/qwen3.py",
                          .attention_class = "Qwen3Attention",
                          .expert_block = "",
                          .tied = Tied::without_pp};

struct ClassRow {
  std::string_view architecture;
  const Traits* traits;
};
constexpr std::array classes = {
    ClassRow{"DeepseekV2ForCausalLM", &deepseek},  ClassRow{"DeepseekV3ForCausalLM", &deepseek},
    ClassRow{"DeepseekV32ForCausalLM", &deepseek}, ClassRow{"Glm4MoeForCausalLM", &glm4_moe},
    ClassRow{"Qwen2MoeForCausalLM", &qwen2_moe},   ClassRow{"Qwen3MoeForCausalLM", &qwen3_moe},
    ClassRow{"GptOssForCausalLM", &gpt_oss},       ClassRow{"LlamaForCausalLM", &llama},
    ClassRow{"MistralForCausalLM", &llama},  // these four inherit all of it
    ClassRow{"Phi3ForCausalLM", &llama},           ClassRow{"InternLM3ForCausalLM", &llama},
    ClassRow{"IQuestCoderForCausalLM", &llama},    ClassRow{"Qwen2ForCausalLM", &qwen2},
    ClassRow{"Qwen3ForCausalLM", &qwen3},
};

// The two names of the DeepSeek class that fuse their shared expert into the routed ones.
bool fuses_shared(std::string_view architecture) {
  return architecture == "DeepseekV3ForCausalLM" || architecture == "GlmMoeDsaForCausalLM";
}

const Traits* traits_of(std::string_view architecture) {
  for (const ClassRow& row : classes) {
    if (row.architecture == architecture) return row.traits;
  }
  return nullptr;
}

// ---- The engine's lists of names (configs/model_config.py) ----------------------------------

using Names = std::span<const std::string_view>;

bool contains(Names names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Sparse attention: one of these, and index_topk is stated (is_deepseek_nsa).
constexpr std::array<std::string_view, 6> nsa_classes = {
    "DeepseekV3ForCausalLM",    "DeepseekV32ForCausalLM",          "DeepseekV3ForCausalLMNextN",
    "MistralLarge3ForCausalLM", "PixtralForConditionalGeneration", "GlmMoeDsaForCausalLM"};

// Latent attention (_derive_model_shapes).
constexpr std::array<std::string_view, 19> mla_classes = {"DeepseekV2ForCausalLM",
                                                          "DeepseekV32ForCausalLM",
                                                          "DeepseekV3ForCausalLM",
                                                          "DeepseekV3ForCausalLMNextN",
                                                          "Glm4MoeLiteForCausalLM",
                                                          "GlmMoeDsaForCausalLM",
                                                          "LongcatFlashForCausalLM",
                                                          "LongcatFlashForCausalLMNextN",
                                                          "DotsVLMForCausalLM",
                                                          "MistralLarge3ForCausalLM",
                                                          "MistralLarge3ForCausalLMEagle",
                                                          "KimiK25ForConditionalGeneration",
                                                          "MiniCPM3ForCausalLM",
                                                          "DeepseekVL2ForCausalLM",
                                                          "KimiVLForConditionalGeneration",
                                                          "KimiLinearForCausalLM",
                                                          "BailingMoeV2_5ForCausalLM",
                                                          "BailingMoeForCausalLMNextN",
                                                          "SarvamMLAForCausalLM"};
// Latent attention only where the config states kv_lora_rank.
constexpr std::string_view mla_by_rank = "PixtralForConditionalGeneration";

constexpr std::array<std::string_view, 5> piecewise_disabled_classes = {
    "DeepseekV32ForCausalLM", "Qwen3NextForCausalLM", "GlmMoeDsaForCausalLM",
    "BailingMoeV2_5ForCausalLM", "LLaDAModelLM"};

constexpr std::array<std::string_view, 59> multimodal_classes = {
    "CLIPModel",
    "DeepseekVL2ForCausalLM",
    "Ernie4_5_VLMoeForConditionalGeneration",
    "Gemma3ForConditionalGeneration",
    "Gemma3nForConditionalGeneration",
    "Gemma4ForConditionalGeneration",
    "Glm4vForConditionalGeneration",
    "Glm4vMoeForConditionalGeneration",
    "GlmOcrForConditionalGeneration",
    "GlmAsrForConditionalGeneration",
    "Grok1VForCausalLM",
    "Grok1AForCausalLM",
    "LlavaLlamaForCausalLM",
    "Llama4ForConditionalGeneration",
    "LlavaMistralForCausalLM",
    "LlavaQwenForCausalLM",
    "LlavaForConditionalGeneration",
    "LlavaVidForCausalLM",
    "Lfm2VlForConditionalGeneration",
    "LightOnOCRForConditionalGeneration",
    "MiMoV2ForCausalLM",
    "MiniCPMO",
    "MiniCPMV",
    "Mistral3ForConditionalGeneration",
    "MultiModalityCausalLM",
    "MllamaForConditionalGeneration",
    "MossVLForConditionalGeneration",
    "NemotronH_Nano_VL_V2",
    "NemotronH_Nano_Omni_Reasoning_V3",
    "PixtralForConditionalGeneration",
    "Qwen2AudioForConditionalGeneration",
    "Qwen2VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration",
    "Qwen3VLForConditionalGeneration",
    "Qwen3VLMoeForConditionalGeneration",
    "Qwen3_5ForConditionalGeneration",
    "Qwen3_5MoeForConditionalGeneration",
    "Qwen3ASRForConditionalGeneration",
    "Qwen3OmniMoeForConditionalGeneration",
    "KimiVLForConditionalGeneration",
    "InternVLChatModel",
    "InternS1ForConditionalGeneration",
    "InternS1ProForConditionalGeneration",
    "Phi4MMForCausalLM",
    "VoxtralForConditionalGeneration",
    "WhisperForConditionalGeneration",
    "Step3VLForConditionalGeneration",
    "POINTSV15ChatModel",
    "DotsVLMForCausalLM",
    "DotsOCRForCausalLM",
    "Sarashina2VisionForCausalLM",
    "NVILAForConditionalGeneration",
    "NVILALiteForConditionalGeneration",
    "DeepseekOCRForCausalLM",
    "JetVLMForConditionalGeneration",
    "PaddleOCRVLForConditionalGeneration",
    "MiDashengLMModel",
    "StepVLForConditionalGeneration",
    "KimiK25ForConditionalGeneration",
};

// Multimodal only when asked for (--enable-multimodal).
constexpr std::array<std::string_view, 3> multimodal_on_request = {
    "Gemma3ForConditionalGeneration", "Llama4ForConditionalGeneration",
    "Step3VLForConditionalGeneration"};

bool is_multimodal(const ModelShape& model) {
  if (contains(multimodal_on_request, model.architecture)) return false;
  return model.nested_text_config || contains(multimodal_classes, model.architecture);
}

bool is_mla(const ModelShape& model) {
  if (model.architecture == mla_by_rank) return model.kv_lora_rank > 0;
  return contains(mla_classes, model.architecture);
}

// ---- Layers ---------------------------------------------------------------------------------

struct LayerKinds {
  bool dense = false;
  bool sparse = false;
  bool sparse_first = false;
};

bool sparse_layer(Sparse rule, const ModelShape& model, int64_t layer) {
  switch (rule) {
    case Sparse::none: return false;
    case Sparse::all: return true;
    case Sparse::from_k: return model.n_routed_experts > 0 && layer >= model.first_k_dense_replace;
    case Sparse::from_k_by_freq:
      return model.n_routed_experts > 0 && layer >= model.first_k_dense_replace &&
             layer % std::max<int64_t>(model.moe_layer_freq, 1) == 0;
  }
  return false;
}

// Which kinds of layer a model has, without a walk over all of them.
LayerKinds layer_kinds(Sparse rule, const ModelShape& model) {
  const int64_t layers = model.num_hidden_layers;
  if (layers <= 0) return {};
  LayerKinds kinds;
  kinds.sparse_first = sparse_layer(rule, model, 0);
  const int64_t freq =
      rule == Sparse::from_k_by_freq ? std::max<int64_t>(model.moe_layer_freq, 1) : 1;
  const int64_t from = std::max<int64_t>(model.first_k_dense_replace, 0);
  if (rule == Sparse::all || rule == Sparse::none || model.n_routed_experts <= 0) {
    kinds.sparse = kinds.sparse_first;
    kinds.dense = !kinds.sparse_first;
    return kinds;
  }
  const int64_t first_sparse = from % freq == 0 ? from : from + freq - from % freq;
  kinds.sparse = first_sparse < layers;
  kinds.dense = from > 0 || (freq > 1 && layers > 1);
  return kinds;
}

// ---- Numbers --------------------------------------------------------------------------------

// What is left over; not zero where there is nothing to divide by. Most sizes fit 32 bits, whose
// division is several times faster than that of 64.
int64_t remainder(int64_t value, int64_t by) {
  if (by <= 0) return 1;
  constexpr int64_t small = std::numeric_limits<std::uint32_t>::max();
  if (value >= 0 && value <= small && by <= small) {
    return static_cast<std::uint32_t>(value) % static_cast<std::uint32_t>(by);
  }
  return value % by;
}

int64_t quotient(int64_t value, int64_t by) { return by > 0 ? value / by : 0; }

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// Rows and columns of a weight block, for linears and for experts; 0 where there are no blocks.
struct Blocks {
  int64_t linear_n = 0;
  int64_t linear_k = 0;
  int64_t expert_n = 0;
  int64_t expert_k = 0;
};

// "fp8" and "blockwise_int8" take the checkpoint's blocks and check alike; "mxfp8" fixes 1 x 32;
// "w4afp8" fixes 128 x 128 for linears and leaves experts alone. Other methods check nothing here.
Blocks blocks_of(const Quantisation& quantisation) {
  const std::string_view method = quantisation.method;
  if (method.empty()) return {};
  const int64_t n = quantisation.block_n;
  const int64_t k = quantisation.block_k;
  if (method == "fp8" || method == "blockwise_int8") return {n, k, n, k};
  if (method == "mxfp8") return {1, 32, 1, 32};
  if (method == "w4afp8") return {128, 128, 0, 0};
  return {};
}

// ---- The walk -------------------------------------------------------------------------------

enum class Check {
  none,
  vocabulary,
  head_vocabulary,
  heads,
  kv_heads,
  dense_ffn,
  too_few_experts,
  experts,
  expert_ffn,
  shared_ffn,
  linear_rows,     // "Weight output_partition_size"
  linear_columns,  // "Weight input_size_per_partition"
  expert_rows,     // "The output_size of gate's and up's weight"
  expert_columns,  // "The input_size of down's weight"
  cp_by_moe_dp,
  quantised_tp_by_ep,  // check_quantized_moe_compatibility, after the captures
  quantised_ffn,
  quantised_block,
};

struct Failure {
  Check check = Check::none;
  int64_t value = 0;
  int64_t by = 0;
  [[nodiscard]] bool found() const { return check != Check::none; }
};

class Walk {
 public:
  Walk(const ModelShape& model, const WeightLayout& layout, const Traits& traits)
      : model_(model), layout_(layout), traits_(traits), blocks_(blocks_of(model.quantisation)) {}

  // The first failure in the order of construction.
  [[nodiscard]] Failure run() {
    const LayerKinds kinds = layer_kinds(traits_.sparse, model_);
    embedding() && attention() && mlps(kinds) && head() && last_assertion() && after_capture(kinds);
    return failure_;
  }

 private:
  bool fail(Check check, int64_t value, int64_t by) {
    failure_ = {check, value, by};
    return false;
  }
  bool divides(Check check, int64_t value, int64_t by) {
    return remainder(value, by) == 0 || fail(check, value, by);
  }
  [[nodiscard]] int64_t size_of(Cut cut) const {
    return cut == Cut::tp ? layout_.tp : layout_.attn_tp;
  }

  [[nodiscard]] int64_t embedding_cut() const {
    return layout_.dp_attention ? size_of(traits_.embedding) : layout_.tp;
  }
  [[nodiscard]] int64_t padded_vocabulary() const { return round_up(model_.vocab_size, 64); }

  bool embedding() { return divides(Check::vocabulary, padded_vocabulary(), embedding_cut()); }

  // The output head, last in construction. It is cut by tp also where the embedding is not.
  bool head() {
    const bool tied =
        model_.tie_word_embeddings &&
        (traits_.tied == Tied::always || (traits_.tied == Tied::without_pp && layout_.pp == 1));
    const int64_t cut = layout_.dp_lm_head ? layout_.attn_tp : layout_.tp;
    if (tied || cut == embedding_cut()) return true;
    return divides(Check::head_vocabulary, padded_vocabulary(), cut);
  }

  bool attention() {
    const int64_t cut = size_of(traits_.attention);
    if (!divides(Check::heads, model_.num_attention_heads, cut)) return false;
    return traits_.latent ? latent_attention(cut) : plain_attention(cut);
  }

  bool plain_attention(int64_t cut) {
    const int64_t heads = model_.num_attention_heads;
    const int64_t kv_heads = model_.num_key_value_heads > 0 ? model_.num_key_value_heads : heads;
    const bool split = kv_heads >= cut;
    if (remainder(split ? kv_heads : cut, split ? cut : kv_heads) != 0) {
      return fail(Check::kv_heads, kv_heads, cut);
    }
    if (blocks_.linear_n == 0 || !traits_.attention_quantised) return true;
    const int64_t head_dim =
        traits_.head_dim_stated ? head_dim_of(model_) : quotient(model_.hidden_size, heads);
    return merged_rows(quotient(heads, cut) * head_dim) &&
           merged_rows((split ? quotient(kv_heads, cut) : 1) * head_dim) &&
           columns(heads * head_dim, cut);
  }

  // The down-projections of latent attention are on every rank whole and are not checked.
  bool latent_attention(int64_t cut) {
    if (blocks_.linear_n == 0) return true;
    const int64_t heads = model_.num_attention_heads;
    return rows(heads * (model_.qk_nope_head_dim + model_.qk_rope_head_dim), cut) &&
           rows(heads * (model_.qk_nope_head_dim + model_.v_head_dim), cut) &&
           columns(heads * model_.v_head_dim, cut);
  }

  bool mlps(const LayerKinds& kinds) {
    if (kinds.sparse_first) return sparse_mlp() && (!kinds.dense || dense_mlp());
    return (!kinds.dense || dense_mlp()) && (!kinds.sparse || sparse_mlp());
  }

  bool dense_mlp() {
    const bool whole = layout_.dense_fully_dp && traits_.sparse != Sparse::none;
    return mlp(Check::dense_ffn, model_.intermediate_size, whole ? 1 : layout_.tp);
  }

  bool mlp(Check check, int64_t size, int64_t cut) {
    if (!divides(check, size, cut)) return false;
    return blocks_.linear_n == 0 || (merged_rows(quotient(size, cut)) && columns(size, cut));
  }

  bool sparse_mlp() { return expert_limit() && experts() && shared_experts(); }

  bool expert_limit() {
    if (traits_.limit == ExpertLimit::none) return true;
    const int64_t cut = traits_.limit == ExpertLimit::tp ? layout_.tp : layout_.moe_tp;
    return cut <= model_.n_routed_experts ||
           fail(Check::too_few_experts, cut, model_.n_routed_experts);
  }

  bool experts() {
    const int64_t count =
        model_.n_routed_experts + (traits_.redundant_experts ? layout_.redundant_experts : 0);
    if (!divides(Check::experts, count, layout_.ep)) return false;
    if (!divides(Check::expert_ffn, model_.moe_intermediate_size, layout_.moe_tp)) return false;
    if (blocks_.expert_n == 0) return true;
    int64_t rows_here = quotient(model_.moe_intermediate_size, layout_.moe_tp);
    if (layout_.pads_expert_rows) rows_here = round_up(rows_here, 128);
    if (!divides(Check::expert_rows, rows_here, blocks_.expert_n)) return false;
    return layout_.tp <= 1 || divides(Check::expert_columns, rows_here, blocks_.expert_k);
  }

  bool shared_experts() {
    const int64_t size = shared_size();
    if (size <= 0) return true;
    return mlp(Check::shared_ffn, size, shared_are_whole() ? 1 : layout_.tp);
  }

  // The FFN of the shared experts where they are an MLP of their own; 0 where there are none or
  // they are fused into the routed ones.
  [[nodiscard]] int64_t shared_size() const {
    switch (traits_.shared) {
      case Shared::none: return 0;
      case Shared::own_size: return model_.shared_expert_intermediate_size;
      case Shared::routed_size:
        return fused() ? 0 : model_.moe_intermediate_size * model_.n_shared_experts;
    }
    return 0;
  }

  [[nodiscard]] bool a2a_is(std::string_view name) const { return layout_.moe_a2a_backend == name; }
  [[nodiscard]] bool deepep_class() const {
    return a2a_is("deepep") || a2a_is("mooncake") || a2a_is("mori");
  }

  [[nodiscard]] bool shared_are_whole() const {
    switch (traits_.whole) {
      case Whole::never: return false;
      case Whole::deepep: return a2a_is("deepep");
      case Whole::any_a2a:
        return deepep_class() || a2a_is("nixl") || a2a_is("ascend_fuseep") || a2a_is("flashinfer");
    }
    return false;
  }

  // determine_num_fused_shared_experts of the class, on CUDA from sm80.
  [[nodiscard]] bool fused() const {
    if (layout_.shared_fusion_disabled || a2a_is("flashinfer")) return false;
    switch (traits_.fusion) {
      case Fusion::never: return false;
      case Fusion::deepseek_v3:
        if (deepep_class()) return layout_.shared_fusion_enforced;
        return fuses_shared(model_.architecture) && model_.n_routed_experts == 256 &&
               model_.n_shared_experts == 1 && layout_.ep == 1 &&
               model_.quantisation.method != "w4afp8";
      case Fusion::glm:
        return layout_.ep == 1 && !a2a_is("deepep") && !a2a_is("mori") &&
               model_.quantisation.method != "w4afp8";
    }
    return false;
  }

  // A linear that is cut along its rows is held to the block only where it is cut by all of tp:
  // the engine compares with the TP world, not with the group that the linear is cut by.
  bool rows(int64_t size, int64_t cut) {
    if (layout_.tp <= 1 || cut != layout_.tp) return true;
    return divides(Check::linear_rows, quotient(size, cut), blocks_.linear_n);
  }
  bool columns(int64_t size, int64_t cut) {
    if (layout_.tp <= 1 || cut != layout_.tp) return true;
    return divides(Check::linear_columns, quotient(size, cut), blocks_.linear_k);
  }
  // Several weights in one (gate and up; q, k and v): always held to the block.
  bool merged_rows(int64_t size_here) {
    return divides(Check::linear_rows, size_here, blocks_.linear_n);
  }

  bool last_assertion() {
    return !traits_.cp_by_moe_dp || divides(Check::cp_by_moe_dp, layout_.attn_cp, layout_.moe_dp);
  }

  // ModelRunner.check_quantized_moe_compatibility: only what padding has let through arrives here.
  bool after_capture(const LayerKinds& kinds) {
    const int64_t block = model_.quantisation.block_n;
    if (block <= 0 || !kinds.sparse) return true;
    const int64_t ffn = model_.moe_intermediate_size;
    return divides(Check::quantised_tp_by_ep, layout_.tp, layout_.ep) &&
           divides(Check::quantised_ffn, ffn, layout_.moe_tp) &&
           (remainder(quotient(ffn, layout_.moe_tp), block) == 0 ||
            fail(Check::quantised_block, ffn, block));
  }

  const ModelShape& model_;
  const WeightLayout& layout_;
  const Traits& traits_;
  const Blocks blocks_;
  Failure failure_;
};

Failure first_failure(const ModelShape& model, const WeightLayout& layout, const Traits& traits) {
  return Walk(model, layout, traits).run();
}

// ---- Words ----------------------------------------------------------------------------------

std::string str(int64_t value) { return std::to_string(value); }

// The engine's own message; none for a bare assertion.
std::optional<std::string> engine_text(const Failure& failure, const WeightLayout& layout) {
  const std::string value = str(failure.value);
  const std::string by = str(failure.by);
  const auto block = [&](std::string_view what, std::string_view side) {
    return std::string(what) + " = " + value + " is not divisible by weight quantization " +
           std::string(side) + " = " + by + ".";
  };
  switch (failure.check) {
    case Check::vocabulary:
    case Check::head_vocabulary: return value + " is not divisible by " + by;
    case Check::too_few_experts:
      return "Tensor parallel size " + value + " is greater than the number of experts " + by + ".";
    case Check::linear_rows: return block("Weight output_partition_size", "block_n");
    case Check::linear_columns: return block("Weight input_size_per_partition", "block_k");
    case Check::expert_rows: return block("The output_size of gate's and up's weight", "block_n");
    case Check::expert_columns: return block("The input_size of down's weight", "block_k");
    case Check::cp_by_moe_dp:
      return "attn_cp_size (" + value + ") must be divisible by moe_dp_size (" + by + ")";
    case Check::quantised_tp_by_ep:
      return "tp_size " + value + " must be divisible by ep_size " + by;
    case Check::quantised_ffn:
      return "moe_intermediate_size " + value + " must be divisible by moe_tp_size (" + by +
             ") which is tp_size (" + str(layout.tp) + ") divided by moe_ep_size (" +
             str(layout.ep) + ").";
    case Check::quantised_block:
      return "For quantized MoE models, please make sure (moe_intermediate_size=" + value +
             " / moe_tp_size=" + str(layout.moe_tp) + ") % weight_block_size_n=" + by +
             " == 0 where moe_tp_size is equal to tp_size (" + str(layout.tp) +
             ") divided by ep_size (" + str(layout.ep) +
             "). You can fix this by setting arguments `--tp` and `--ep` correctly.";
    default: break;
  }
  return std::nullopt;
}

// Where in the engine it fails.
std::string rule_of(const Failure& failure, const ModelShape& model, const Traits& traits) {
  const bool int8 = model.quantisation.method == "blockwise_int8";
  const std::string quantised =
      int8 ? "layers/quantization/blockwise_int8.py::BlockInt8" : "layers/quantization/fp8.py::Fp8";
  switch (failure.check) {
    case Check::vocabulary:
    case Check::head_vocabulary:
      return "layers/vocab_parallel_embedding.py::VocabParallelEmbedding";
    case Check::heads:
    case Check::kv_heads:
      return std::string(traits.file) + "::" + std::string(traits.attention_class);
    case Check::dense_ffn:
    case Check::shared_ffn: return "layers/linear.py::MergedColumnParallelLinear";
    case Check::too_few_experts:
      return std::string(traits.file) + "::" + std::string(traits.expert_block);
    case Check::experts:
    case Check::expert_ffn: return "layers/moe/fused_moe_triton/layer.py::FusedMoE";
    case Check::linear_rows:
    case Check::linear_columns:
      return quantised +
             (int8 ? "LinearMethod.create_weights" : "LinearMethod.validate_block_quant_shapes");
    case Check::expert_rows:
    case Check::expert_columns: return quantised + "MoEMethod.create_weights";
    case Check::cp_by_moe_dp: return std::string(traits.file) + "::Qwen3MoeForCausalLM";
    default: return "model_executor/model_runner.py::check_quantized_moe_compatibility";
  }
}

// What does not come out, in plain words; a bare assertion does not say it.
std::string reason(const Failure& failure, const WeightLayout& layout, const Traits& traits) {
  const std::string value = str(failure.value);
  const std::string by = str(failure.by);
  const std::string bare = "; the engine dies on a bare assertion";
  const std::string attention_cut = traits.attention == Cut::tp ? "tp " : "attention tp ";
  switch (failure.check) {
    case Check::vocabulary:
      return "the vocabulary, padded to " + value + " rows, is cut into " + by + " parts";
    case Check::head_vocabulary:
      return "the output head, padded to " + value + " rows, is cut into " + by +
             " parts, unlike the embedding";
    case Check::heads:
      return value + " attention heads do not divide by " + attention_cut + by + bare;
    case Check::kv_heads:
      return value + " KV heads and " + attention_cut + by + " do not divide one the other" + bare;
    case Check::dense_ffn:
      return "the dense FFN of " + value + " does not divide by tp " + by + bare;
    case Check::shared_ffn:
      return "the shared experts' FFN of " + value + " does not divide by tp " + by + bare;
    case Check::experts:
      return value + " experts" +
             (layout.redundant_experts > 0 ? " (redundant ones included)" : "") +
             " do not divide by ep " + by + bare;
    case Check::expert_ffn:
      return "an expert's FFN of " + value + " does not divide by moe tp " + by + bare;
    case Check::too_few_experts: return "there are fewer experts than ranks to cut each of them";
    case Check::cp_by_moe_dp: return "this class asks that moe dp divide attention cp";
    default: return "a rank's part of a weight must be whole quantisation blocks";
  }
}

// The same launch at another tp: dp and cp are kept, and ep is all of tp under an a2a backend.
std::optional<WeightLayout> at_tp(const WeightLayout& layout, int64_t tp) {
  WeightLayout other = layout;
  const int64_t replicas = quotient(layout.tp, layout.attn_tp);  // dp times cp
  if (layout.moe_a2a_backend != "none") other.ep = tp;
  const int64_t expert_groups = other.ep * layout.moe_dp;
  if (remainder(tp, replicas) != 0 || remainder(tp, expert_groups) != 0) return std::nullopt;
  other.tp = tp;
  other.attn_tp = tp / replicas;
  other.moe_tp = tp / expert_groups;
  return other;
}

// "1, 2, 4, 8 or 16"
std::string listed(const std::vector<int64_t>& values) {
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += i + 1 == values.size() ? " or " : ", ";
    text += str(values[i]);
  }
  return text;
}

constexpr int64_t largest_tried = 128;

std::vector<int64_t> fitting_tp(const ModelShape& model, const WeightLayout& layout,
                                const Traits& traits) {
  std::vector<int64_t> fits;
  for (int64_t tp = 1; tp <= largest_tried; ++tp) {
    const std::optional<WeightLayout> other = at_tp(layout, tp);
    if (other && !first_failure(model, *other, traits).found()) fits.push_back(tp);
  }
  return fits;
}

// Every other ep at which the same tp fits.
std::vector<int64_t> fitting_ep(const ModelShape& model, const WeightLayout& layout,
                                const Traits& traits) {
  std::vector<int64_t> fits;
  if (layout.moe_a2a_backend != "none" || traits.sparse == Sparse::none) return fits;
  for (int64_t ep = 1; ep <= std::min(layout.tp, largest_tried); ++ep) {
    WeightLayout other = layout;
    other.ep = ep;
    if (ep == layout.ep || remainder(layout.tp, ep * layout.moe_dp) != 0) continue;
    other.moe_tp = layout.tp / (ep * layout.moe_dp);
    if (!first_failure(model, other, traits).found()) fits.push_back(ep);
  }
  return fits;
}

// The way out, each part of it tried.
std::string way_out(const Failure& failure, const ModelShape& model, const WeightLayout& layout,
                    const Traits& traits) {
  if (failure.check == Check::cp_by_moe_dp) {
    return "set --moe-dp-size to 1 or to --attn-cp-size (" + str(layout.attn_cp) + ")";
  }
  const std::vector<int64_t> tp = fitting_tp(model, layout, traits);
  const std::vector<int64_t> ep = fitting_ep(model, layout, traits);
  const std::string same_tp = "tp " + str(layout.tp) + " with ep " + listed(ep);
  if (tp.empty() && ep.empty()) {
    return "no tp up to " + str(largest_tried) +
           " fits this model with the other sizes as they are; change dp, cp, ep or moe dp";
  }
  if (tp.empty()) return same_tp + " fits this model";
  std::string text = "tp " + listed(tp) + (tp.size() == 1 ? " fits" : " fit") + " this model";
  if (layout.ep > 1 && layout.moe_a2a_backend == "none") text += " with ep " + str(layout.ep);
  if (!ep.empty()) text += "; so does " + same_tp;
  return text;
}

Refusal refusal_of(const Failure& failure, const ModelShape& model, const WeightLayout& layout,
                   const Traits& traits) {
  const bool late = failure.check >= Check::quantised_tp_by_ep;
  return Refusal{
      .stage = late ? RefusalStage::capture : RefusalStage::model,
      .rule = rule_of(failure, model, traits),
      .text = engine_text(failure, layout),
      .hint = reason(failure, layout, traits) + "; " + way_out(failure, model, layout, traits)};
}

}  // namespace

ArchitectureFacts facts_of(const ModelShape& model) {
  ArchitectureFacts facts;
  facts.mla = is_mla(model);
  facts.nsa = model.index_topk > 0 && contains(nsa_classes, model.architecture);
  facts.multimodal = is_multimodal(model);
  facts.piecewise_disabled = facts.nsa || contains(piecewise_disabled_classes, model.architecture);
  if (const Traits* traits = traits_of(model.architecture)) {
    facts.known = true;
    facts.layer_communicator = traits->layer_communicator;
    facts.splits_prefill_context = traits->splits_prefill_context;
  }
  if (model.architecture == kCommunicatorClass || model.architecture == kShardBufferClass) {
    facts.layer_communicator = true;
    facts.splits_prefill_context = true;
    facts.buffers_follow_shard = model.architecture == kShardBufferClass;
  }
  return facts;
}

bool is_sparse_layer(const ModelShape& model, std::int64_t layer) {
  const Traits* traits = traits_of(model.architecture);
  return sparse_layer(traits ? traits->sparse : Sparse::from_k_by_freq, model, layer);
}

std::optional<Refusal> check_weights(const ModelShape& model, const WeightLayout& layout) {
  const Traits* traits = traits_of(model.architecture);
  if (traits == nullptr) return std::nullopt;
  const Failure failure = first_failure(model, layout, *traits);
  if (!failure.found()) return std::nullopt;
  return refusal_of(failure, model, layout, *traits);
}

}  // namespace capsize::sglang
