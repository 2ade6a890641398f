#include "sim/engines/sglang/resolve.hpp"

#include <algorithm>
#include <array>

#include "sim/units.hpp"

namespace capsize::sglang {
namespace {

using Off = std::string_view;

Refusal refused(std::string_view function, std::string text, std::string hint) {
  return {RefusalStage::resolution, std::string("server_args.py::ServerArgs.").append(function),
          text.empty() ? std::nullopt : std::optional(std::move(text)), std::move(hint)};
}

// The resolution of one launch, step by step. Every step may end it with a refusal.
class Resolution {
 public:
  explicit Resolution(const ResolveInput& in) : in_(in) { out_.args = in.args; }

  Resolved run() {
    out_.decode_off = args().disable_cuda_graph ? "--disable-cuda-graph" : "";
    out_.breakable = args().enable_breakable_cuda_graph;
    handle_piecewise();
    handle_memory();
    using Step = void (Resolution::*)();
    constexpr std::array<Step, 12> kSteps = {
        &Resolution::handle_model,        &Resolution::handle_item_scoring,
        &Resolution::handle_data,         &Resolution::handle_context,
        &Resolution::handle_moe_kernel,   &Resolution::handle_a2a,
        &Resolution::handle_experts,      &Resolution::handle_pipeline,
        &Resolution::handle_speculation,  &Resolution::handle_rest,
        &Resolution::check_parallel_args, &Resolution::check_other_args};
    for (const Step step : kSteps) {
      (this->*step)();
      if (out_.refusal) return std::move(out_);
    }
    finish();
    return std::move(out_);
  }

 private:
  ServerArgs& args() { return out_.args; }

  void refuse(std::string_view function, std::string text, std::string hint) {
    if (!out_.refusal) out_.refusal = refused(function, std::move(text), std::move(hint));
  }

  void require(bool holds, std::string_view function, std::string_view text,
               std::string_view hint) {
    if (!holds) refuse(function, std::string(text), std::string(hint));
  }

  // Rules 1 to 18 of _handle_piecewise_cuda_graph, on the raw fields: data parallelism, context
  // parallelism and the all-to-all are resolved only later.
  void handle_piecewise() {
    ServerArgs& a = args();
    if (a.enforce_piecewise_cuda_graph) {
      a.disable_piecewise_cuda_graph = false;
      return;
    }
    const std::pair<bool, Off> rules[] = {
        {a.disable_piecewise_cuda_graph, "--disable-piecewise-cuda-graph"},
        {in_.facts.piecewise_disabled || in_.facts.nsa, "the model's class (rule 1)"},
        {a.enable_dp_attention, "--enable-dp-attention (rule 2)"},
        {a.enable_torch_compile, "--enable-torch-compile (rule 3)"},
        {a.pp_size > 1, "--pp-size above 1 (rule 4)"},
        {!on_cuda(), "a device other than CUDA (rule 5)"},
        {a.moe_a2a_backend != "none", "--moe-a2a-backend (rule 6)"},
        {a.enable_lora, "LoRA (rule 7)"},
        {in_.facts.multimodal, "a multimodal model (rule 8)"},
        {is_gguf(), "GGUF weights (rule 9)"},
        {!a.dllm_algorithm.empty(), "--dllm-algorithm (rule 10)"},
        {a.cpu_offload_gb > 0 || a.enable_hierarchical_cache, "CPU offload (rule 11)"},
        {a.enable_deterministic_inference, "--enable-deterministic-inference (rule 12)"},
        {a.disaggregation_mode != "null", "--disaggregation-mode (rule 13)"},
        {a.enable_symm_mem, "--enable-symm-mem (rule 14)"},
        {a.enable_eplb || !a.expert_distribution_recorder_mode.empty(),
         "the expert recorder (rule 15)"},
        {a.attn_cp_size > 1, "--attn-cp-size above 1 (rule 16)"},
        {a.debug_cuda_graph, "--debug-cuda-graph (rule 18)"}};
    for (const auto& [fires, what] : rules) {
      if (fires) return disable_prefill(what);
    }
  }

  void disable_prefill(Off why) {
    args().disable_piecewise_cuda_graph = true;
    if (out_.prefill_off.empty()) out_.prefill_off = why;
  }

  void disable_decode(Off why) {
    args().disable_cuda_graph = true;
    if (out_.decode_off.empty()) out_.decode_off = why;
  }

  bool on_cuda() const { return out_.args.device.empty() || out_.args.device.starts_with("cuda"); }

  bool is_gguf() const {
    const ServerArgs& a = out_.args;
    return a.load_format == "gguf" || a.quantization == "gguf" || a.model_path.ends_with(".gguf");
  }

  void handle_memory() {
    ServerArgs& a = args();
    std::string path(a.model_path);
    std::ranges::transform(path, path.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
    out_.llama_2_path = path.find("llama-2") != std::string::npos;
    const DefaultMaxima maxima = default_maxima(in_.gpu.memory_mib, a.tp_size);
    out_.default_max_bs = maxima.cuda_graph_max_bs;
    out_.chunk = a.chunked_prefill_size.value_or(maxima.chunked_prefill_size);
    a.chunked_prefill_size = out_.chunk;
  }

  // _handle_model_specific_adjustments, as far as sizes and graphs hang on it.
  void handle_model() {
    if (in_.facts.nsa) handle_nsa();
    if (in_.model == nullptr || out_.refusal) return;
    const std::string_view arch = in_.model->architecture;
    ServerArgs& a = args();
    if (arch == "GptOssForCausalLM") return handle_gpt_oss();
    // On compute capability 10.x some models pick flashinfer_trtllm by themselves.
    const bool sm100 = in_.gpu.sm >= 100 && in_.gpu.sm < 120;
    if (!sm100 || a.moe_a2a_backend != "none" || a.moe_runner_backend != "auto") return;
    const std::string_view quantization =
        a.quantization.empty() ? std::string_view(in_.model->quantisation.method) : a.quantization;
    const bool low_bits =
        quantization == "fp8" || quantization == "modelopt_fp8" || quantization == "modelopt_fp4";
    const bool picks =
        (arch == "DeepseekV3ForCausalLM" && low_bits) ||
        (arch == "GlmMoeDsaForCausalLM" && low_bits) ||
        (arch == "Qwen3MoeForCausalLM" &&
         (quantization.empty() || quantization == "fp8" || quantization == "modelopt_fp4")) ||
        (arch == "Glm4MoeForCausalLM" && quantization == "modelopt_fp4");
    if (picks) a.moe_runner_backend = "flashinfer_trtllm";
  }

  void handle_nsa() {
    ServerArgs& a = args();
    if (a.enable_nsa_prefill_context_parallel) {
      a.enable_dp_attention = true;
      a.moe_dense_tp_size = 1;
      if (a.nsa_prefill_cp_mode == "in-seq-split") {
        a.moe_a2a_backend = "deepep";
        a.ep_size = a.tp_size;
      } else {
        require(a.dp_size == 1, "_handle_model_specific_adjustments",
                "For round-robin split mode, dp attention is not supported.",
                "use --dp-size 1, or --nsa-prefill-cp-mode in-seq-split");
      }
      require(a.tp_size == 8, "_handle_model_specific_adjustments",
              "Current multi-machine CP support suffers from precision issues. So context parallel "
              "only support Single machine(tp_size == 8)",
              "use --tp-size 8, or leave out --enable-nsa-prefill-context-parallel");
      a.attn_cp_size = a.dp_size > 0 ? div_floor(a.tp_size, a.dp_size) : 0;
    }
    a.page_size = 64;
    if (a.enable_nsa_prefill_context_parallel) {
      require(a.disaggregation_mode != "decode", "_handle_model_specific_adjustments",
              "CP is only supported for prefill when PD disaggregation, please remove "
              "--enable-nsa-prefill-context-parallel.",
              "leave out --enable-nsa-prefill-context-parallel on the decode server");
    }
  }

  void handle_gpt_oss() {
    ServerArgs& a = args();
    const std::string_view quantization = in_.model->quantisation.method;
    const bool mxfp4 = quantization == "mxfp4";
    if (a.moe_runner_backend == "auto") {
      if (in_.gpu.sm >= 100 && in_.gpu.sm < 120 && mxfp4) {
        a.moe_runner_backend = "flashinfer_mxfp4";
      } else if (in_.gpu.sm >= 120 && mxfp4) {
        a.moe_runner_backend = "triton_kernel";
      } else if (a.ep_size == 1 && a.quantization.empty()) {
        a.moe_runner_backend = "triton_kernel";
      }
    }
    require(a.moe_runner_backend != "triton_kernel" || a.ep_size == 1,
            "_handle_model_specific_adjustments",
            "Triton kernel MoE is only supported when ep_size == 1",
            "use --ep-size 1, or another --moe-runner-backend");
  }

  // _handle_multi_item_scoring does not respect --enforce-piecewise-cuda-graph.
  void handle_item_scoring() {
    if (!args().enable_mis) return;
    disable_decode("--enable-mis");
    disable_prefill("--enable-mis");
    args().chunked_prefill_size = -1;
  }

  void handle_data() {
    ServerArgs& a = args();
    if (a.dp_size == 1) {
      a.enable_dp_attention = false;
      a.enable_dp_lm_head = false;
    }
    if (a.enable_dp_attention) {
      require(a.dp_size > 0 && a.tp_size % a.dp_size == 0, "_handle_data_parallelism", "",
              "with DP attention --tp-size must be a multiple of --dp-size");
      // Floor division: "no chunking" (-1) stays -1.
      if (a.dp_size > 0) {
        a.chunked_prefill_size = div_floor(*a.chunked_prefill_size, a.dp_size);
      }
    }
    require(!a.enable_dp_lm_head || a.enable_dp_attention, "_handle_data_parallelism",
            "Please enable dp attention when setting enable_dp_lm_head. ",
            "add --enable-dp-attention, or leave out --enable-dp-lm-head");
  }

  void handle_context() {
    constexpr std::string_view kFunction = "_handle_context_parallelism";
    ServerArgs& a = args();
    const auto divides = [](std::int64_t part, std::int64_t whole) {
      return part > 0 && whole % part == 0;
    };
    constexpr std::string_view kAiter =
        "Aiter allreduce fusion is not supported with context parallelism";
    if (a.attn_cp_size > 1) {
      require(divides(a.attn_cp_size, a.tp_size), kFunction,
              "tp_size must be divisible by attn_cp_size",
              "choose --attn-cp-size among the divisors of --tp-size");
      require(divides(a.dp_size * a.attn_cp_size, a.tp_size), kFunction,
              "tp_size must be divisible by dp_size * attn_cp_size",
              "--tp-size must be a multiple of --dp-size times --attn-cp-size");
      require(!a.enable_aiter_allreduce_fusion, kFunction, kAiter,
              "leave out --enable-aiter-allreduce-fusion");
    }
    if (a.moe_dp_size > 1) {
      require(divides(a.moe_dp_size, a.tp_size), kFunction,
              "tp_size must be divisible by moe_dp_size",
              "choose --moe-dp-size among the divisors of --tp-size");
      require(a.ep_size * a.moe_dp_size <= a.tp_size, kFunction,
              "ep_size * moe_dp_size must be less than or equal to tp_size",
              "lower --ep-size or --moe-dp-size");
      require(a.pp_size == 1, kFunction, "PP is not supported with context parallelism",
              "use --pp-size 1, or --moe-dp-size 1");
      require(a.ep_size == 1 || a.ep_size * a.moe_dp_size == a.tp_size, kFunction,
              "ep_size * moe_dp_size must be equal to tp_size",
              "choose --ep-size so that --ep-size times --moe-dp-size is --tp-size");
      require(!a.enable_aiter_allreduce_fusion, kFunction, kAiter,
              "leave out --enable-aiter-allreduce-fusion");
    }
    require(a.attn_cp_size == a.moe_dp_size || a.moe_dp_size == 1, kFunction,
            "attn_cp_size != moe_dp_size is only supported when moe_dp_size == 1",
            "make --moe-dp-size 1, or equal to --attn-cp-size");
  }

  void handle_moe_kernel() {
    ServerArgs& a = args();
    constexpr std::string_view kFunction = "_handle_moe_kernel_config";
    const bool whole = a.ep_size == 1 || a.ep_size == a.tp_size;
    if (a.quantization == "mxfp8" && a.moe_runner_backend != "cutlass" &&
        a.moe_runner_backend != "flashinfer_trtllm_routed") {
      a.moe_runner_backend = "flashinfer_trtllm";
    }
    require((a.moe_runner_backend != "flashinfer_cutlass" &&
             a.moe_runner_backend != "flashinfer_cutedsl") ||
                whole,
            kFunction, "The expert parallel size must be 1 or the same as the tensor parallel size",
            "use --ep-size 1 or --ep-size equal to --tp-size");
    const bool fp8 = a.quantization == "fp8" || a.quantization == "mxfp8";
    require(a.moe_runner_backend != "cutlass" || !fp8 || a.ep_size == 1, kFunction,
            "FP8/MXFP8 Cutlass MoE is only supported with ep_size == 1",
            "use --ep-size 1, or another --moe-runner-backend");
    const bool bypasses_topk =
        a.moe_runner_backend == "flashinfer_trtllm" || a.moe_runner_backend == "flashinfer_mxfp4";
    const bool gpt_oss = in_.model != nullptr && in_.model->architecture == "GptOssForCausalLM";
    if (!a.enforce_piecewise_cuda_graph && bypasses_topk && !gpt_oss) {
      disable_prefill("the MoE runner back-end (rule 19)");
    }
  }

  // Runs after the checks above, which therefore saw the expert-parallel size as it was given.
  void handle_a2a() {
    ServerArgs& a = args();
    if (a.moe_a2a_backend == "none") return;
    a.ep_size = a.tp_size;
    if (a.moe_a2a_backend == "deepep" && a.deepep_mode == "normal") {
      disable_decode("--deepep-mode normal");
    }
    if (a.moe_a2a_backend == "flashinfer") {
      require(a.moe_runner_backend == "flashinfer_cutlass", "_handle_a2a_moe",
              "Flashinfer MoE A2A is only supported with flashinfer_cutlass moe runner backend",
              "add --moe-runner-backend flashinfer_cutlass");
    }
    if (a.moe_a2a_backend == "mori" && *a.chunked_prefill_size > 0 &&
        a.disaggregation_mode != "decode") {
      require(*a.chunked_prefill_size <= 4096, "_handle_a2a_moe",
              "SGLANG_MORI_NUM_MAX_DISPATCH_TOKENS_PER_RANK (default 4096) must be larger or equal "
              "to chunked_prefill_size",
              "lower --chunked-prefill-size to 4096, or raise the variable");
    }
  }

  void handle_experts() {
    ServerArgs& a = args();
    require(!a.enable_eplb || a.ep_size > 1, "_handle_eplb_and_dispatch", "",
            "--enable-eplb needs --ep-size above 1");
    require(a.elastic_ep_backend.empty() || a.pp_size == 1, "_handle_elastic_ep",
            "PP size should be set to 1 under elastic EP", "use --pp-size 1");
  }

  void handle_pipeline() {
    if (args().pp_size > 1) args().disable_overlap_schedule = true;
  }

  void handle_speculation() {
    constexpr std::string_view kFunction = "_handle_speculative_decoding";
    ServerArgs& a = args();
    if (a.speculative_algorithm == "NEXTN") a.speculative_algorithm = "EAGLE";
    const std::string_view algorithm = a.speculative_algorithm;
    if (algorithm.empty()) return;
    if (algorithm == "DFLASH") {
      require(!a.enable_dp_attention, kFunction,
              "Currently DFLASH speculative decoding does not support dp attention.",
              "leave out --enable-dp-attention");
      require(a.pp_size == 1, kFunction,
              "Currently DFLASH speculative decoding only supports pp_size == 1.",
              "use --pp-size 1");
      if (a.speculative_dflash_block_size) {
        a.speculative_num_draft_tokens = a.speculative_dflash_block_size;
      }
      if (!a.speculative_num_draft_tokens) a.speculative_num_draft_tokens = 16;
    }
    const bool eagle = algorithm == "EAGLE" || algorithm == "EAGLE3" || algorithm == "STANDALONE";
    require(algorithm != "STANDALONE" || !a.enable_dp_attention, kFunction,
            "Currently standalone speculative decoding does not support dp attention.",
            "leave out --enable-dp-attention");
    if (eagle) resolve_eagle_width();
    if (algorithm == "NGRAM") {
      if (!a.speculative_num_draft_tokens) a.speculative_num_draft_tokens = 12;
      require(!a.enable_dp_attention, kFunction,
              "Currently ngram speculative decoding does not support dp attention.",
              "leave out --enable-dp-attention");
    }
    a.disable_overlap_schedule = true;
    a.enable_mixed_chunk = false;
    out_.decode_width = Width(a.speculative_num_draft_tokens.value_or(1));
  }

  // auto_choose_speculative_params, and draft tokens = steps + 1 where top-k is 1.
  void resolve_eagle_width() {
    ServerArgs& a = args();
    if (!a.speculative_num_steps) {
      require(!a.speculative_eagle_topk && !a.speculative_num_draft_tokens,
              "_handle_speculative_decoding", "",
              "give --speculative-num-steps, --speculative-eagle-topk and "
              "--speculative-num-draft-tokens together, or none of them");
      const std::string_view arch = in_.model ? std::string_view(in_.model->architecture) : "";
      const bool wide =
          a.speculative_algorithm != "STANDALONE" &&
          (arch == "LlamaForCausalLM" || arch == "Grok1ForCausalLM" || arch == "Grok1VForCausalLM");
      a.speculative_num_steps = wide ? 5 : 3;
      a.speculative_eagle_topk = wide ? 4 : 1;
      a.speculative_num_draft_tokens = wide ? 8 : 4;
    }
    if (a.speculative_eagle_topk == 1) {
      a.speculative_num_draft_tokens = *a.speculative_num_steps + 1;
    }
  }

  void handle_rest() {
    ServerArgs& a = args();
    if (a.disaggregation_mode == "prefill" && a.disable_piecewise_cuda_graph) {
      disable_decode("--disaggregation-mode prefill without prefill graphs");
    }
    if (a.debug_tensor_dump) disable_decode("tensor dump");
  }

  void check_parallel_args() {
    constexpr std::string_view kFunction = "check_server_args";
    ServerArgs& a = args();
    require(a.nnodes > 0 && (a.tp_size * a.pp_size) % a.nnodes == 0, kFunction,
            "tp_size must be divisible by number of nodes",
            "--nnodes must divide --tp-size times --pp-size");
    require(!a.pp_max_micro_batch_size || *a.pp_max_micro_batch_size >= 1, kFunction,
            "pp_max_micro_batch_size must be a positive integer or None (for auto-compute). Got: " +
                std::to_string(a.pp_max_micro_batch_size.value_or(0)),
            "give --pp-max-micro-batch-size at least 1");
    if (a.pp_size > 1) {
      require(a.disable_overlap_schedule && a.speculative_algorithm.empty(), kFunction,
              "Pipeline parallelism is not compatible with overlap schedule, speculative decoding",
              "use --pp-size 1, or leave out the --speculative flags");
    }
    require(a.dp_size <= 1 || a.nnodes == 1 || a.enable_dp_attention, kFunction,
            "multi-node data parallel is not supported unless dp attention!",
            "add --enable-dp-attention, or use --nnodes 1");
    require(a.base_gpu_id >= 0, kFunction, "base_gpu_id must be non-negative",
            "give --base-gpu-id 0 or more");
    require(a.gpu_id_step >= 1, kFunction, "gpu_id_step must be positive",
            "give --gpu-id-step 1 or more");
    require(!a.moe_dense_tp_size || a.moe_dense_tp_size == 1, kFunction,
            "moe_dense_tp_size only support 1 and None currently",
            "use --moe-dense-tp-size 1, or leave it out");
  }

  void check_other_args() {
    constexpr std::string_view kFunction = "check_server_args";
    ServerArgs& a = args();
    const std::int64_t chunk = *a.chunked_prefill_size;
    const std::int64_t page = a.page_size.value_or(1);
    require(!(chunk > 0 && a.disaggregation_mode != "decode") || (page > 0 && chunk % page == 0),
            kFunction, "chunked_prefill_size must be divisible by page_size",
            "make --chunked-prefill-size a multiple of --page-size");
    require(a.tokenizer_worker_num > 0, kFunction, "Tokenizer worker num must >= 1",
            "give --tokenizer-worker-num 1 or more");
    require(!a.enable_two_batch_overlap || a.moe_a2a_backend != "none", kFunction,
            "When enabling two batch overlap, moe_a2a_backend cannot be 'none'.",
            "choose a --moe-a2a-backend, or leave out --enable-two-batch-overlap");
    require_positive_sizes();
  }

  // Not checked by the engine by name: sizes below 1 end in a division or in an empty world.
  void require_positive_sizes() {
    const ServerArgs& a = out_.args;
    for (const auto& [flag, value] :
         {std::pair<std::string_view, std::int64_t>{"--tp-size", a.tp_size},
          {"--pp-size", a.pp_size},
          {"--dp-size", a.dp_size},
          {"--attn-cp-size", a.attn_cp_size},
          {"--ep-size", a.ep_size},
          {"--moe-dp-size", a.moe_dp_size}}) {
      if (value >= 1 || out_.refusal) continue;
      out_.refusal = Refusal{RefusalStage::resolution,
                             "distributed/parallel_state.py::initialize_model_parallel",
                             std::nullopt, "give " + std::string(flag) + " 1 or more"};
    }
  }

  void finish() {
    const ServerArgs& a = out_.args;
    out_.sizes = {.tp = a.tp_size,
                  .pp = a.pp_size,
                  .attn_dp = a.enable_dp_attention ? a.dp_size : 1,
                  .attn_cp = a.attn_cp_size,
                  .ep = a.ep_size,
                  .moe_dp = a.moe_dp_size};
    out_.predicates = predicates_of({.tp = a.tp_size,
                                     .dp = a.dp_size,
                                     .enable_dp_attention = a.enable_dp_attention,
                                     .moe_dense_tp_size = a.moe_dense_tp_size,
                                     .enable_dp_lm_head = a.enable_dp_lm_head,
                                     .a2a = a.moe_a2a_backend != "none"});
  }

  const ResolveInput& in_;
  Resolved out_;
};

}  // namespace

Resolved resolve(const ResolveInput& in) { return Resolution(in).run(); }

}  // namespace capsize::sglang
