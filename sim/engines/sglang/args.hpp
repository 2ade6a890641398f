// The server arguments that SGLang's rules about groups, sizes and graphs read, as typed fields.
// Reading changes nothing; resolve.cpp applies the engine's own changes, in the engine's order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/capture.hpp"
#include "sim/engines/sglang/flags/flags.hpp"

namespace capsize::sglang {

// What hangs on a value that is not known.
struct Unknowns {
  bool topology = false;             // group sizes: everything hangs on them
  bool prefill = false;              // the prefill list
  bool eager_prefill = false;        // the counts that an eager prefill sees
  bool decode = false;               // the decode list
  std::vector<std::string> reasons;  // "--tp $TP is not known"
};

// Names are the engine's own (server_args.py::ServerArgs). std::optional: the flag may be absent.
struct ServerArgs {
  std::string_view model_path;
  std::string_view device;
  std::string_view load_format = "auto";
  std::string_view quantization;
  std::string_view speculative_algorithm;
  std::string_view dllm_algorithm;
  std::string_view disaggregation_mode = "null";
  std::string_view moe_a2a_backend = "none";
  std::string_view moe_runner_backend = "auto";
  std::string_view deepep_mode = "auto";
  std::string_view nsa_prefill_cp_mode = "round-robin-split";
  std::string_view expert_distribution_recorder_mode;
  std::string_view elastic_ep_backend;

  std::int64_t tp_size = 1;
  std::int64_t pp_size = 1;
  std::int64_t dp_size = 1;
  std::int64_t attn_cp_size = 1;
  std::int64_t moe_dp_size = 1;
  std::int64_t ep_size = 1;
  std::int64_t nnodes = 1;
  std::int64_t base_gpu_id = 0;
  std::int64_t gpu_id_step = 1;
  std::int64_t tokenizer_worker_num = 1;
  std::int64_t cpu_offload_gb = 0;
  std::int64_t max_prefill_tokens = 16384;
  std::int64_t ep_num_redundant_experts = 0;
  std::optional<std::int64_t> moe_dense_tp_size;
  std::optional<std::int64_t> page_size;
  std::optional<std::int64_t> chunked_prefill_size;
  std::optional<std::int64_t> max_total_tokens;
  std::optional<std::int64_t> max_running_requests;
  std::optional<std::int64_t> context_length;
  std::optional<std::int64_t> cuda_graph_max_bs;
  std::optional<std::int64_t> piecewise_cuda_graph_max_tokens;
  std::optional<std::int64_t> pp_max_micro_batch_size;
  std::optional<std::int64_t> speculative_num_steps;
  std::optional<std::int64_t> speculative_eagle_topk;
  std::optional<std::int64_t> speculative_num_draft_tokens;
  std::optional<std::int64_t> speculative_dflash_block_size;
  std::optional<SizeList> cuda_graph_bs;
  std::optional<SizeList> piecewise_cuda_graph_tokens;

  bool enable_dp_attention = false;
  bool enable_dp_lm_head = false;
  bool enable_two_batch_overlap = false;
  bool enable_single_batch_overlap = false;
  bool enable_prefill_context_parallel = false;
  bool enable_nsa_prefill_context_parallel = false;
  bool enable_aiter_allreduce_fusion = false;
  bool enable_torch_compile = false;
  bool enable_lora = false;
  bool enable_hierarchical_cache = false;
  bool enable_deterministic_inference = false;
  bool rl_on_policy_target = false;
  bool enable_symm_mem = false;
  bool enable_eplb = false;
  bool enable_mis = false;
  bool enable_pdmux = false;
  bool enable_mixed_chunk = false;
  bool debug_cuda_graph = false;
  bool debug_tensor_dump = false;
  bool disable_overlap_schedule = false;
  bool disable_cuda_graph = false;
  bool disable_cuda_graph_padding = false;
  bool disable_piecewise_cuda_graph = false;
  bool enforce_piecewise_cuda_graph = false;
  bool enable_breakable_cuda_graph = false;
  bool disable_shared_experts_fusion = false;
  bool enforce_shared_experts_fusion = false;
  bool model_override_args = false;  // --json-model-override-args is given
  bool config_file = false;          // --config is given

  Unknowns unknowns;
  std::vector<std::string> ignored_flags;  // cannot matter to sizes, groups or graphs
  std::vector<std::string> unread_flags;   // may matter, and no rule here reads them
};

// Reads the fields. An Error where a number is larger than capsize can hold (2^20 tokens or
// ranks), with the flag as its place.
[[nodiscard]] Result<ServerArgs> read_args(const ParsedFlags& flags);

}  // namespace capsize::sglang
