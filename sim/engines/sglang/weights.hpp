// What SGLang's model classes ask of a layout while they are built, in the order in which they
// fail: vocabulary first. A check that dies on a bare assertion is a refusal without a text.
#pragma once

#include <optional>
#include <string_view>

#include "sim/error.hpp"
#include "sim/models/shape.hpp"

namespace capsize::sglang {

// The sizes that weights are cut by.
struct WeightLayout {
  std::int64_t tp = 1;
  std::int64_t attn_tp = 1;
  std::int64_t ep = 1;
  std::int64_t moe_tp = 1;
  std::int64_t attn_cp = 1;
  std::int64_t moe_dp = 1;
  bool dp_attention = false;
  bool dense_fully_dp = false;  // --moe-dense-tp-size 1: dense layers are not cut
  std::string_view moe_a2a_backend = "none";
};

// How SGLang reads an architecture. `known` is false for a class that capsize has not read.
struct ArchitectureFacts {
  bool known = false;
  bool mla = false;                  // by class, not by the presence of kv_lora_rank
  bool nsa = false;                  // DeepSeek sparse attention
  bool multimodal = false;
  bool piecewise_disabled = false;   // rule 1 of _handle_piecewise_cuda_graph
  bool layer_communicator = false;   // uses LayerCommunicator (Llama does not)
  bool splits_prefill_context = false;  // --enable-prefill-context-parallel cuts its rows (Qwen2/3 MoE)
};
[[nodiscard]] ArchitectureFacts facts_of(const ModelShape& model);

// Whether decoder layer `layer` (from 0) is a sparse MoE layer, by the class's own rule.
[[nodiscard]] bool is_sparse_layer(const ModelShape& model, std::int64_t layer);

// The first weight check that fails, or none.
[[nodiscard]] std::optional<Refusal> check_weights(const ModelShape& model,
                                                   const WeightLayout& layout);

}  // namespace capsize::sglang
