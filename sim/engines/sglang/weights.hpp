// What SGLang's model classes ask of a layout while they are built, in the order in which they
// fail: vocabulary first. A check that dies on a bare assertion is a refusal without a text.
//
//   if (auto refusal = check_weights(*find_model("Qwen/Qwen3-30B-A3B"), layout)) ...
//
// Read in release 0.5.11 (models/, layers/linear.py, layers/vocab_parallel_embedding.py,
// layers/moe/fused_moe_triton/layer.py, layers/quantization/fp8.py, configs/model_config.py);
// the labels before and after #23972 do not differ here. On CUDA without quantisation by flag.
// Not looked at: per-layer exceptions of a quantised checkpoint (modules_to_not_convert), block
// sizes of compressed-tensors, and the FP4 all-gather of flashinfer_cutlass, which leaves shared
// experts whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/error.hpp"
#include "sim/models/shape.hpp"

namespace capsize::sglang {

// The sizes that weights are cut by. Every size is at least 1 in a layout that the argument
// checks let through; a smaller one is refused like any division that does not come out.
struct WeightLayout {
  std::int64_t tp = 1;  // the whole TP world of a pipeline stage
  std::int64_t attn_tp = 1;
  std::int64_t ep = 1;
  std::int64_t moe_tp = 1;
  std::int64_t attn_cp = 1;
  std::int64_t moe_dp = 1;
  std::int64_t pp = 1;
  std::int64_t redundant_experts = 0;  // --ep-num-redundant-experts
  bool dp_attention = false;           // after resolution: off where dp is 1
  bool dp_lm_head = false;             // --enable-dp-lm-head, after resolution
  bool dense_fully_dp = false;         // --moe-dense-tp-size 1: dense layers are not cut
  // --disable-shared-experts-fusion, or what sets it: two-batch or single-batch overlap, the MoE
  // runners flashinfer_trtllm, flashinfer_trtllm_routed and flashinfer_cutedsl.
  bool shared_fusion_disabled = false;
  bool shared_fusion_enforced = false;  // --enforce-shared-experts-fusion (DeepEP and its kin)
  // The MoE runner is flashinfer_trtllm(_routed): a rank's expert rows are padded up to 128.
  bool pads_expert_rows = false;
  std::string_view moe_a2a_backend = "none";
};

// How SGLang reads an architecture. `known` is false for a class whose source capsize has not
// read: check_weights then finds nothing, and layer_communicator says nothing. The lists behind
// mla, nsa, multimodal and piecewise_disabled are the engine's and hold for any class
// (configs/model_config.py).
struct ArchitectureFacts {
  bool known = false;
  bool mla = false;                     // by class, not by the presence of kv_lora_rank
  bool nsa = false;                     // DeepSeek sparse attention
  bool multimodal = false;              // without --enable-multimodal
  bool piecewise_disabled = false;      // rule 1 of _handle_piecewise_cuda_graph
  bool layer_communicator = false;      // uses LayerCommunicator (Llama does not)
  bool splits_prefill_context = false;  // --enable-prefill-context-parallel cuts its rows
  bool buffers_follow_shard = false;    // gathers fill as many rows as the rank's shard holds
  friend bool operator==(const ArchitectureFacts&, const ArchitectureFacts&) = default;
};
[[nodiscard]] ArchitectureFacts facts_of(const ModelShape& model);

// Classes of no real model, for universes: the layer communicator alone, with layers that are dense
// or sparse by first_k_dense_replace and moe_layer_freq, and rows that context parallelism cuts.
// Nothing is asked of weights. In the second the gathered buffers follow the shard, where the
// engine's are as long as the whole batch.
inline constexpr std::string_view kCommunicatorClass = "LayerCommunicatorForCausalLM";
inline constexpr std::string_view kShardBufferClass = "ShardBufferForCausalLM";

// Whether decoder layer `layer` (from 0) is a sparse MoE layer, by the class's own rule. For a
// class that has not been read, by first_k_dense_replace and moe_layer_freq.
[[nodiscard]] bool is_sparse_layer(const ModelShape& model, std::int64_t layer);

// The first weight check that fails, or none. Passing costs well under a microsecond and
// allocates nothing. The hint names what fits; it is found by trying the checks.
[[nodiscard]] std::optional<Refusal> check_weights(const ModelShape& model,
                                                   const WeightLayout& layout);

}  // namespace capsize::sglang
