// SGLang's argument resolution through the whole plan: every refusal with the engine's own text
// beside a line that is one step away and starts, every rule that switches prefill graphs off, and
// the order in which fields are read and changed.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/sglang_launch.hpp"

namespace capsize::sglang::resolve_test {
namespace {

using test::b200;
using test::h100;
using test::LaunchContext;
using test::path_of;
using test::plan_of;
using test::refusal_text;
using test::resolved_of;
using test::shape_of;
using test::words_of;

constexpr std::string_view kLite = "--model-path deepseek-ai/DeepSeek-V2-Lite ";
constexpr std::string_view kQwen = "--model-path Qwen/Qwen3-30B-A3B ";
constexpr std::string_view kV32 = "--model-path deepseek-ai/DeepSeek-V3.2 ";
constexpr std::string_view kGptOss = "--model-path openai/gpt-oss-120b ";

std::string line(std::string_view model, std::string_view flags) {
  return std::string(model).append(flags);
}

// ---- Refusals -------------------------------------------------------------------------------

constexpr std::string_view kNoText = "(no text)";

struct RefusedLine {
  std::string_view name;
  std::string_view model;
  std::string_view flags;
  std::string_view text;       // the engine's words; kNoText for a bare assertion
  std::string_view rule;       // the end of the function's name
  std::string_view neighbour;  // flags that start
  RefusalStage stage = RefusalStage::resolution;
};

constexpr std::string_view kData = "_handle_data_parallelism";
constexpr std::string_view kContext = "_handle_context_parallelism";
constexpr std::string_view kKernel = "_handle_moe_kernel_config";
constexpr std::string_view kA2a = "_handle_a2a_moe";
constexpr std::string_view kModel = "_handle_model_specific_adjustments";
constexpr std::string_view kSpeculative = "_handle_speculative_decoding";
constexpr std::string_view kCheck = "check_server_args";

constexpr std::array kRefused = {
    RefusedLine{"DpDoesNotDivideTp", kLite, "--tp-size 6 --dp-size 4 --enable-dp-attention",
                kNoText, kData, "--tp-size 8 --dp-size 4 --enable-dp-attention"},
    RefusedLine{"LmHeadWithoutDpAttention", kLite, "--tp-size 8 --dp-size 2 --enable-dp-lm-head",
                "Please enable dp attention when setting enable_dp_lm_head. ", kData,
                "--tp-size 8 --dp-size 2 --enable-dp-lm-head --enable-dp-attention"},
    RefusedLine{"ContextDoesNotDivideTp", kQwen, "--tp-size 4 --attn-cp-size 3",
                "tp_size must be divisible by attn_cp_size", kContext,
                "--tp-size 4 --attn-cp-size 2"},
    RefusedLine{"DpTimesContextDoesNotDivideTp", kQwen, "--tp-size 4 --dp-size 4 --attn-cp-size 2",
                "tp_size must be divisible by dp_size * attn_cp_size", kContext,
                "--tp-size 4 --dp-size 2 --attn-cp-size 2"},
    RefusedLine{"AiterFusionWithContext", kQwen,
                "--tp-size 4 --attn-cp-size 2 --enable-aiter-allreduce-fusion",
                "Aiter allreduce fusion is not supported with context parallelism", kContext,
                "--tp-size 4 --enable-aiter-allreduce-fusion"},
    RefusedLine{"AiterFusionWithMoeDp", kQwen,
                "--tp-size 4 --moe-dp-size 2 --enable-aiter-allreduce-fusion",
                "Aiter allreduce fusion is not supported with context parallelism", kContext,
                "--tp-size 4 --moe-dp-size 2 --attn-cp-size 2"},
    RefusedLine{"MoeDpDoesNotDivideTp", kQwen, "--tp-size 4 --moe-dp-size 3",
                "tp_size must be divisible by moe_dp_size", kContext,
                "--tp-size 4 --moe-dp-size 2 --attn-cp-size 2"},
    RefusedLine{"ExpertCopiesPassTp", kQwen,
                "--tp-size 4 --moe-dp-size 2 --attn-cp-size 2 --ep-size 4",
                "ep_size * moe_dp_size must be less than or equal to tp_size", kContext,
                "--tp-size 4 --moe-dp-size 2 --attn-cp-size 2 --ep-size 2"},
    RefusedLine{"PipelineWithMoeDp", kQwen,
                "--tp-size 4 --moe-dp-size 2 --attn-cp-size 2 --pp-size 2",
                "PP is not supported with context parallelism", kContext,
                "--tp-size 4 --attn-cp-size 2 --pp-size 2"},
    RefusedLine{"ExpertCopiesDoNotFillTp", kQwen,
                "--tp-size 8 --moe-dp-size 2 --attn-cp-size 2 --ep-size 2",
                "ep_size * moe_dp_size must be equal to tp_size", kContext,
                "--tp-size 8 --moe-dp-size 2 --attn-cp-size 2 --ep-size 4"},
    RefusedLine{"ContextDiffersFromMoeDp", kQwen, "--tp-size 8 --attn-cp-size 4 --moe-dp-size 2",
                "attn_cp_size != moe_dp_size is only supported when moe_dp_size == 1", kContext,
                "--tp-size 8 --attn-cp-size 2 --moe-dp-size 2"},
    RefusedLine{"RoundRobinWithDp", kV32,
                "--tp-size 8 --dp-size 2 --enable-nsa-prefill-context-parallel",
                "For round-robin split mode, dp attention is not supported.", kModel,
                "--tp-size 8 --dp-size 2 --enable-nsa-prefill-context-parallel "
                "--nsa-prefill-cp-mode in-seq-split"},
    RefusedLine{"NsaContextOffEightRanks", kV32,
                "--tp-size 4 --enable-nsa-prefill-context-parallel",
                "Current multi-machine CP support suffers from precision issues. So context "
                "parallel only support Single machine(tp_size == 8)",
                kModel, "--tp-size 8 --enable-nsa-prefill-context-parallel"},
    RefusedLine{"NsaContextOnADecodeServer", kV32,
                "--tp-size 8 --enable-nsa-prefill-context-parallel --disaggregation-mode decode",
                "CP is only supported for prefill when PD disaggregation, please remove "
                "--enable-nsa-prefill-context-parallel.",
                kModel,
                "--tp-size 8 --enable-nsa-prefill-context-parallel --disaggregation-mode prefill"},
    RefusedLine{"DenseTpOfTwo", kLite, "--tp-size 8 --moe-dense-tp-size 2",
                "moe_dense_tp_size only support 1 and None currently", kCheck,
                "--tp-size 8 --moe-dense-tp-size 1"},
    RefusedLine{"NodesDoNotDivideTheWorld", kLite, "--tp-size 8 --nnodes 3",
                "tp_size must be divisible by number of nodes", kCheck, "--tp-size 8 --nnodes 2"},
    RefusedLine{
        "PipelineWithSpeculation", kLite, "--tp-size 4 --pp-size 2 --speculative-algorithm EAGLE",
        "Pipeline parallelism is not compatible with overlap schedule, speculative decoding",
        kCheck, "--tp-size 4 --pp-size 2"},
    RefusedLine{"ReplicasOverNodes", kLite, "--tp-size 8 --dp-size 2 --nnodes 2",
                "multi-node data parallel is not supported unless dp attention!", kCheck,
                "--tp-size 8 --dp-size 2 --nnodes 2 --enable-dp-attention"},
    RefusedLine{"ChunkOffThePage", kLite, "--chunked-prefill-size 1000 --page-size 64",
                "chunked_prefill_size must be divisible by page_size", kCheck,
                "--chunked-prefill-size 1024 --page-size 64"},
    RefusedLine{"OverlapWithoutAllToAll", kLite, "--tp-size 8 --enable-two-batch-overlap",
                "When enabling two batch overlap, moe_a2a_backend cannot be 'none'.", kCheck,
                "--tp-size 8 --enable-two-batch-overlap --moe-a2a-backend deepep"},
    RefusedLine{"CutlassWithSomeExperts", kQwen,
                "--tp-size 4 --ep-size 2 --moe-runner-backend flashinfer_cutlass",
                "The expert parallel size must be 1 or the same as the tensor parallel size",
                kKernel, "--tp-size 4 --ep-size 4 --moe-runner-backend flashinfer_cutlass"},
    RefusedLine{"Fp8CutlassWithExperts", kQwen,
                "--tp-size 4 --ep-size 4 --moe-runner-backend cutlass --quantization fp8",
                "FP8/MXFP8 Cutlass MoE is only supported with ep_size == 1", kKernel,
                "--tp-size 4 --moe-runner-backend cutlass --quantization fp8"},
    RefusedLine{"TritonKernelWithExperts", kGptOss,
                "--tp-size 4 --ep-size 2 --moe-runner-backend triton_kernel",
                "Triton kernel MoE is only supported when ep_size == 1", kModel,
                "--tp-size 4 --moe-runner-backend triton_kernel"},
    RefusedLine{"DflashWithDp", kQwen,
                "--tp-size 4 --dp-size 2 --enable-dp-attention --speculative-algorithm DFLASH "
                "--speculative-draft-model-path d",
                "Currently DFLASH speculative decoding does not support dp attention.",
                kSpeculative,
                "--tp-size 4 --speculative-algorithm DFLASH --speculative-draft-model-path d"},
    RefusedLine{"DflashWithPipeline", kQwen,
                "--tp-size 4 --pp-size 2 --speculative-algorithm DFLASH "
                "--speculative-draft-model-path d",
                "Currently DFLASH speculative decoding only supports pp_size == 1.", kSpeculative,
                "--tp-size 4 --speculative-algorithm DFLASH --speculative-draft-model-path d"},
    RefusedLine{"StandaloneWithDp", kQwen,
                "--tp-size 4 --dp-size 2 --enable-dp-attention --speculative-algorithm STANDALONE",
                "Currently standalone speculative decoding does not support dp attention.",
                kSpeculative, "--tp-size 4 --speculative-algorithm STANDALONE"},
    RefusedLine{"NgramWithDp", kQwen,
                "--tp-size 4 --dp-size 2 --enable-dp-attention --speculative-algorithm NGRAM",
                "Currently ngram speculative decoding does not support dp attention.", kSpeculative,
                "--tp-size 4 --speculative-algorithm NGRAM"},
    RefusedLine{"FlashinferAllToAllRunner", kQwen, "--tp-size 4 --moe-a2a-backend flashinfer",
                "Flashinfer MoE A2A is only supported with flashinfer_cutlass moe runner backend",
                kA2a,
                "--tp-size 4 --moe-a2a-backend flashinfer --moe-runner-backend flashinfer_cutlass"},
    RefusedLine{"MoriChunk", kQwen,
                "--tp-size 4 --moe-a2a-backend mori --chunked-prefill-size 8192",
                "SGLANG_MORI_NUM_MAX_DISPATCH_TOKENS_PER_RANK (default 4096) must be larger or "
                "equal to chunked_prefill_size",
                kA2a, "--tp-size 4 --moe-a2a-backend mori --chunked-prefill-size 4096"},
    RefusedLine{"BalancerWithoutExperts", kQwen, "--tp-size 4 --enable-eplb", kNoText,
                "_handle_eplb_and_dispatch", "--tp-size 4 --ep-size 4 --enable-eplb"},
    RefusedLine{"ElasticWithPipeline", kQwen,
                "--tp-size 4 --pp-size 2 --elastic-ep-backend mooncake",
                "PP size should be set to 1 under elastic EP", "_handle_elastic_ep",
                "--tp-size 4 --elastic-ep-backend mooncake"},
    RefusedLine{"StepsWithoutTheRest", kLite,
                "--speculative-algorithm EAGLE --speculative-eagle-topk 2", kNoText, kSpeculative,
                "--speculative-algorithm EAGLE --speculative-eagle-topk 2 "
                "--speculative-num-steps 2 --speculative-num-draft-tokens 4"},
    RefusedLine{"EmptyMicroBatch", kLite, "--pp-max-micro-batch-size 0",
                "pp_max_micro_batch_size must be a positive integer or None (for auto-compute). "
                "Got: 0",
                kCheck, "--pp-max-micro-batch-size 1"},
    RefusedLine{"NegativeBaseGpu", kLite, "--base-gpu-id -1", "base_gpu_id must be non-negative",
                kCheck, "--base-gpu-id 0"},
    RefusedLine{"NoGpuStep", kLite, "--gpu-id-step 0", "gpu_id_step must be positive", kCheck,
                "--gpu-id-step 1"},
    RefusedLine{"NoTokenizer", kLite, "--tokenizer-worker-num 0", "Tokenizer worker num must >= 1",
                kCheck, "--tokenizer-worker-num 1"},
    RefusedLine{"RanksOutsideEveryExpertGroup", kQwen, "--tp-size 8 --ep-size 3", kNoText,
                "initialize_model_parallel", "--tp-size 8 --ep-size 4", RefusalStage::model},
    RefusedLine{"NoPrefillSizeIsLeft", kLite,
                "--tp-size 8 --moe-dense-tp-size 1 --piecewise-cuda-graph-tokens 4 12",
                "No piecewise CUDA graph capture sizes are multiples of 8",
                "PiecewiseCudaGraphRunner.__init__",
                "--tp-size 8 --moe-dense-tp-size 1 --piecewise-cuda-graph-tokens 4 16",
                RefusalStage::capture},
    RefusedLine{"NoDecodeSizeIsLeft", kLite,
                "--tp-size 8 --moe-dense-tp-size 1 --cuda-graph-bs 1 2 4", "capture_bs=[]",
                "get_batch_sizes_to_capture",
                "--tp-size 8 --moe-dense-tp-size 1 --cuda-graph-bs 1 2 8", RefusalStage::capture},
    RefusedLine{"ADecodeSizeOfZero", kLite, "--cuda-graph-bs 0 4", "capture_bs=[0, 4]",
                "get_batch_sizes_to_capture", "--cuda-graph-bs 2 4", RefusalStage::capture},
};

class Refused : public testing::TestWithParam<RefusedLine> {};

// Catches a check that is missing, fires on the neighbour too, or says other words than the engine.
TEST_P(Refused, InTheEnginesWords) {
  const RefusedLine& row = GetParam();
  const EnginePlan plan = plan_of(line(row.model, row.flags));
  ASSERT_EQ(refusal_text(plan), row.text);
  EXPECT_EQ(plan.refusal->stage, row.stage);
  EXPECT_TRUE(plan.refusal->rule.ends_with(row.rule)) << plan.refusal->rule;
  EXPECT_FALSE(plan.refusal->hint.empty());
  EXPECT_EQ(refusal_text(plan_of(line(row.model, row.neighbour))), "(starts)") << row.neighbour;
}
INSTANTIATE_TEST_SUITE_P(SglangResolve, Refused, testing::ValuesIn(kRefused),
                         [](const auto& row) { return std::string(row.param.name); });

// Catches the weight checks being left out of the plan.
TEST(SglangResolve, WeightsAreCheckedAfterTheGroupsAreMade) {
  ModelShape shape = shape_of("DeepSeek-V2-Lite");
  shape.n_routed_experts = 4;
  const EnginePlan plan = plan_of("--model-path m --tp-size 8", {.model = &shape});
  EXPECT_EQ(refusal_text(plan), "Tensor parallel size 8 is greater than the number of experts 4.");
  EXPECT_EQ(plan.refusal->stage, RefusalStage::model);
  EXPECT_EQ(refusal_text(plan_of("--model-path m --tp-size 4", {.model = &shape})), "(starts)");
}

// Catches a filter's assertion at a version that has none: before #23972 and after #23906 the
// same line starts.
TEST(SglangResolve, OnlyOneVersionAssertsThatPrefillSizesAreLeft) {
  const std::string text =
      line(kLite, "--tp-size 8 --moe-dense-tp-size 1 --piecewise-cuda-graph-tokens 4 12");
  for (const RulesLabel& label : labels()) {
    const EnginePlan plan = plan_of(text, {.rules = label.name});
    EXPECT_EQ(plan.refusal.has_value(), label.name == "23972") << label.name;
  }
}

// Catches the order of the checks: the first one in the engine's order speaks.
TEST(SglangResolve, TheEarliestCheckSpeaks) {
  // model-specific step before data parallelism before context parallelism before the final checks
  EXPECT_EQ(refusal_text(plan_of(line(kLite,
                                      "--tp-size 6 --dp-size 4 --enable-dp-attention "
                                      "--attn-cp-size 4 --moe-dense-tp-size 2"))),
            kNoText);
  EXPECT_EQ(refusal_text(plan_of(line(kLite, "--tp-size 8 --attn-cp-size 3 --nnodes 3"))),
            "tp_size must be divisible by attn_cp_size");
  EXPECT_EQ(refusal_text(plan_of(line(kLite, "--tp-size 8 --nnodes 3 --moe-dense-tp-size 2"))),
            "tp_size must be divisible by number of nodes");
}

// ---- Rules that switch prefill graphs off ------------------------------------------------------

struct OffRule {
  std::string_view name;
  std::string_view model;
  std::string_view flags;
  std::string_view disabled_by;
  bool enforce_overrules = true;
  std::string_view architecture = "";  // in place of the model's own
  bool nsa = false;                    // the model has a sparse indexer
};

constexpr std::string_view kRule1 = "the model's class (rule 1)";

constexpr std::array kOff = {
    OffRule{"ByHand", kLite, "--disable-piecewise-cuda-graph", "--disable-piecewise-cuda-graph"},
    OffRule{"Rule1DeepseekV32", kLite, "", kRule1, true, "DeepseekV32ForCausalLM"},
    OffRule{"Rule1Qwen3Next", kLite, "", kRule1, true, "Qwen3NextForCausalLM"},
    OffRule{"Rule1GlmMoeDsa", kLite, "", kRule1, true, "GlmMoeDsaForCausalLM"},
    OffRule{"Rule1Bailing", kLite, "", kRule1, true, "BailingMoeV2_5ForCausalLM"},
    OffRule{"Rule1Llada", kLite, "", kRule1, true, "LLaDAModelLM"},
    OffRule{"Rule1AnyNsaModel", kLite, "", kRule1, true, "DeepseekV3ForCausalLM", true},
    OffRule{"Rule2DpAttention", kLite, "--tp-size 2 --dp-size 2 --enable-dp-attention",
            "--enable-dp-attention (rule 2)"},
    OffRule{"Rule2DpAttentionOfOne", kLite, "--enable-dp-attention --dp-size 1",
            "--enable-dp-attention (rule 2)"},
    OffRule{"Rule3TorchCompile", kLite, "--enable-torch-compile",
            "--enable-torch-compile (rule 3)"},
    OffRule{"Rule4Pipeline", kLite, "--pp-size 2", "--pp-size above 1 (rule 4)"},
    OffRule{"Rule5Device", kLite, "--device xpu", "a device other than CUDA (rule 5)"},
    OffRule{"Rule6AllToAll", kLite, "--tp-size 2 --moe-a2a-backend deepep",
            "--moe-a2a-backend (rule 6)"},
    OffRule{"Rule7Lora", kLite, "--enable-lora", "LoRA (rule 7)"},
    OffRule{"Rule7LoraPaths", kLite, "--lora-paths a=b", "LoRA (rule 7)"},
    OffRule{"Rule8Multimodal", kLite, "", "a multimodal model (rule 8)", true,
            "Qwen2VLForConditionalGeneration"},
    OffRule{"Rule9GgufFormat", kLite, "--load-format gguf", "GGUF weights (rule 9)"},
    OffRule{"Rule9GgufQuantization", kLite, "--quantization gguf", "GGUF weights (rule 9)"},
    OffRule{"Rule10Diffusion", kLite, "--dllm-algorithm LowConfidence",
            "--dllm-algorithm (rule 10)"},
    OffRule{"Rule11Offload", kLite, "--cpu-offload-gb 1", "CPU offload (rule 11)"},
    OffRule{"Rule11HierarchicalCache", kLite, "--enable-hierarchical-cache",
            "CPU offload (rule 11)"},
    OffRule{"Rule12Deterministic", kLite, "--enable-deterministic-inference",
            "--enable-deterministic-inference (rule 12)"},
    OffRule{"Rule13PrefillServer", kLite, "--disaggregation-mode prefill",
            "--disaggregation-mode (rule 13)"},
    OffRule{"Rule13DecodeServer", kLite, "--disaggregation-mode decode",
            "--disaggregation-mode (rule 13)"},
    OffRule{"Rule14SymmetricMemory", kLite, "--enable-symm-mem", "--enable-symm-mem (rule 14)"},
    OffRule{"Rule15Balancer", kLite, "--tp-size 2 --ep-size 2 --enable-eplb",
            "the expert recorder (rule 15)"},
    OffRule{"Rule15Recorder", kLite, "--expert-distribution-recorder-mode stat",
            "the expert recorder (rule 15)"},
    OffRule{"Rule16Context", kQwen, "--tp-size 2 --attn-cp-size 2",
            "--attn-cp-size above 1 (rule 16)"},
    OffRule{"Rule18Debug", kLite, "--debug-cuda-graph", "--debug-cuda-graph (rule 18)"},
    OffRule{"Rule19Trtllm", kQwen, "--moe-runner-backend flashinfer_trtllm",
            "the MoE runner back-end (rule 19)"},
    OffRule{"Rule19Mxfp4", kQwen, "--moe-runner-backend flashinfer_mxfp4",
            "the MoE runner back-end (rule 19)"},
    OffRule{"Rule20ItemScoring", kQwen, "--enable-mis --attention-backend flashinfer",
            "--enable-mis", false},
    OffRule{"Rule23SmallMaximum", kQwen, "--piecewise-cuda-graph-max-tokens 3",
            "an empty list of sizes (rule 23, the capture size is not set)", false},
    OffRule{"Rule23NoChunking", kQwen, "--chunked-prefill-size -1",
            "an empty list of sizes (rule 23, the capture size is not set)", false},
};

class PrefillOff : public testing::TestWithParam<OffRule> {};

// Catches a rule that is missing, that hides behind another one, or that --enforce does not (or
// does) overrule. Without the rule's flags the same model has prefill graphs.
TEST_P(PrefillOff, NamesTheRule) {
  const OffRule& row = GetParam();
  const std::string plain(row.model);
  ModelShape shape = shape_of(words_of(plain)[1].text);
  const EnginePlan on = plan_of(plain, {.model = &shape});
  EXPECT_EQ(path_of(on, "prefill").disabled_by, "");
  if (!row.architecture.empty()) shape.architecture = row.architecture;
  if (row.nsa) shape.index_topk = 2048;

  const std::string text = line(row.model, row.flags);
  const EnginePlan plan = plan_of(text, {.model = &shape});
  ASSERT_EQ(refusal_text(plan), "(starts)");
  EXPECT_EQ(path_of(plan, "prefill").disabled_by, row.disabled_by);
  EXPECT_FALSE(path_of(plan, "prefill").enabled);

  const EnginePlan enforced = plan_of(text + " --enforce-piecewise-cuda-graph", {.model = &shape});
  ASSERT_EQ(refusal_text(enforced), "(starts)");
  EXPECT_EQ(path_of(enforced, "prefill").enabled, row.enforce_overrules)
      << path_of(enforced, "prefill").disabled_by;
}
INSTANTIATE_TEST_SUITE_P(SglangResolve, PrefillOff, testing::ValuesIn(kOff),
                         [](const auto& row) { return std::string(row.param.name); });

// Catches rule 19 without its exception: gpt-oss wraps its experts in an operation of its own.
TEST(SglangResolve, GptOssKeepsPrefillGraphsUnderEveryRunner) {
  const EnginePlan plan =
      plan_of(line(kGptOss, "--moe-runner-backend flashinfer_mxfp4"), {.gpu = b200()});
  EXPECT_TRUE(path_of(plan, "prefill").enabled) << path_of(plan, "prefill").disabled_by;
}

// Catches the kind of GPU being left out: on compute capability 10.x some models take
// flashinfer_trtllm by themselves, and then there are no prefill graphs.
TEST(SglangResolve, TheGpuDecidesWhetherThereArePrefillGraphs) {
  for (const std::string_view model : {kQwen, std::string_view("--model-path DeepSeek-V3 ")}) {
    const std::string text = line(model, "--tp-size 8");
    const EnginePlan hopper = plan_of(text, {.gpu = h100()});
    const EnginePlan blackwell = plan_of(text, {.gpu = b200()});
    EXPECT_TRUE(path_of(hopper, "prefill").enabled) << path_of(hopper, "prefill").disabled_by;
    EXPECT_EQ(path_of(blackwell, "prefill").disabled_by, "the MoE runner back-end (rule 19)");
    const EnginePlan named = plan_of(text + " --moe-runner-backend triton", {.gpu = b200()});
    EXPECT_TRUE(path_of(named, "prefill").enabled) << path_of(named, "prefill").disabled_by;
  }
  // Plain DeepSeek-V2 weights are on no such list.
  EXPECT_TRUE(path_of(plan_of(line(kLite, "--tp-size 8"), {.gpu = b200()}), "prefill").enabled);
}

// ---- The order of changes ----------------------------------------------------------------------

// Catches rule 2 reading the resolved field: DP attention over one replica is switched off later,
// and has then already cost the prefill graphs.
TEST(SglangResolve, DpAttentionOfOneReplicaIsRawForRuleTwo) {
  const std::vector<Word> words =
      words_of(line(kLite, "--tp-size 8 --dp-size 1 --enable-dp-attention --enable-dp-lm-head"));
  const Resolved resolved = resolved_of(words);
  EXPECT_FALSE(resolved.args.enable_dp_attention);
  EXPECT_FALSE(resolved.args.enable_dp_lm_head);
  EXPECT_EQ(resolved.sizes.attn_dp, 1);
  EXPECT_EQ(resolved.sizes.attn_tp(), 8);
  EXPECT_EQ(resolved.prefill_off, "--enable-dp-attention (rule 2)");
  EXPECT_FALSE(resolved.predicates.mlp_sync);
}

// Catches the all-to-all being resolved before the expert checks: these see --ep-size as given,
// and the world is found not to cover the groups only when they are made.
TEST(SglangResolve, TheAllToAllSetsExpertsAfterTheChecks) {
  const std::string text = line(kQwen, "--tp-size 8 --attn-cp-size 2 --moe-dp-size 2 --ep-size 4 ");
  ASSERT_EQ(refusal_text(plan_of(text)), "(starts)");
  const std::string with_a2a = text + "--moe-a2a-backend deepep";
  const std::vector<Word> words = words_of(with_a2a);
  const Resolved resolved = resolved_of(words);
  EXPECT_FALSE(resolved.refusal) << "no check of arguments fires";
  EXPECT_EQ(resolved.sizes.ep, 8);
  const EnginePlan plan = plan_of(with_a2a);
  ASSERT_TRUE(plan.refusal);
  EXPECT_EQ(plan.refusal->stage, RefusalStage::model);
  EXPECT_EQ(refusal_text(plan), kNoText);
}

// Catches a division that truncates: "no chunking" stays -1 whatever divides it.
TEST(SglangResolve, NoChunkingSurvivesTheDivisionByReplicas) {
  for (const std::int64_t dp : {2, 4, 8}) {
    const std::string parallel =
        fmt::format("--tp-size 8 --dp-size {} --enable-dp-attention --chunked-prefill-size ", dp);
    const std::vector<Word> off = words_of(line(kLite, parallel + "-1"));
    EXPECT_EQ(resolved_of(off).args.chunked_prefill_size, -1) << dp;
    const std::vector<Word> on = words_of(line(kLite, parallel + "8192"));
    EXPECT_EQ(resolved_of(on).args.chunked_prefill_size, 8192 / dp) << dp;
    // The list was made before the division.
    EXPECT_EQ(resolved_of(on).chunk, 8192) << dp;
  }
}

// Catches NSA context parallelism setting its sizes too early or not at all.
TEST(SglangResolve, NsaContextParallelismSetsSizesItself) {
  const std::vector<Word> round_robin =
      words_of(line(kV32, "--tp-size 8 --enable-nsa-prefill-context-parallel"));
  const Resolved whole = resolved_of(round_robin);
  ASSERT_FALSE(whole.refusal) << *whole.refusal->text;
  EXPECT_EQ(whole.sizes.attn_cp, 8);
  EXPECT_EQ(whole.sizes.attn_dp, 1);
  EXPECT_EQ(whole.args.moe_dense_tp_size, 1);
  EXPECT_EQ(whole.args.page_size, 64);

  const std::vector<Word> in_sequence =
      words_of(line(kV32,
                    "--tp-size 8 --dp-size 2 --enable-nsa-prefill-context-parallel "
                    "--nsa-prefill-cp-mode in-seq-split"));
  const Resolved split = resolved_of(in_sequence);
  ASSERT_FALSE(split.refusal) << *split.refusal->text;
  EXPECT_EQ(split.sizes.attn_cp, 4);
  EXPECT_EQ(split.sizes.attn_dp, 2);
  EXPECT_EQ(split.sizes.ep, 8);
  EXPECT_EQ(split.args.moe_a2a_backend, "deepep");
  EXPECT_EQ(split.prefill_off, kRule1) << "rule 16 saw the raw size, rule 1 was earlier";
}

// Catches a decode graph that stays on where the engine switches it off.
TEST(SglangResolve, WhatSwitchesDecodeGraphsOff) {
  const auto off = [](std::string_view flags) {
    const EnginePlan plan = plan_of(line(kQwen, flags));
    return path_of(plan, "decode").disabled_by;
  };
  EXPECT_EQ(off("--tp-size 8"), "");
  EXPECT_EQ(off("--disable-cuda-graph"), "--disable-cuda-graph");
  EXPECT_EQ(off("--tp-size 4 --moe-a2a-backend deepep"), "");
  EXPECT_EQ(off("--tp-size 4 --moe-a2a-backend deepep --deepep-mode normal"),
            "--deepep-mode normal");
  EXPECT_EQ(off("--tp-size 4 --moe-a2a-backend mooncake --deepep-mode normal"), "")
      << "only DeepEP reads its mode";
  EXPECT_EQ(off("--enable-mis --attention-backend flashinfer"), "--enable-mis");
  EXPECT_EQ(off("--disaggregation-mode prefill"),
            "--disaggregation-mode prefill without prefill graphs");
  EXPECT_EQ(off("--disaggregation-mode prefill --enforce-piecewise-cuda-graph"), "");
  EXPECT_EQ(off("--disaggregation-mode decode"), "");
}

// Catches a width that is not the number of draft tokens.
TEST(SglangResolve, TheDecodeWidthIsTheDraftTokens) {
  const auto width = [](std::string_view flags, std::string_view model = kQwen) {
    const std::vector<Word> words = words_of(line(model, flags));
    return resolved_of(words).decode_width.value;
  };
  EXPECT_EQ(width(""), 1);
  EXPECT_EQ(width("--speculative-algorithm EAGLE"), 4);
  EXPECT_EQ(width("--speculative-algorithm NEXTN"), 4);
  EXPECT_EQ(width("--speculative-algorithm EAGLE --speculative-num-steps 2 "
                  "--speculative-eagle-topk 4 --speculative-num-draft-tokens 6"),
            6);
  EXPECT_EQ(width("--speculative-algorithm EAGLE --speculative-num-steps 4 "
                  "--speculative-eagle-topk 1 --speculative-num-draft-tokens 9"),
            5)
      << "top-k 1 sets draft tokens to steps + 1";
  EXPECT_EQ(width("--speculative-algorithm NGRAM"), 12);
  EXPECT_EQ(width("--speculative-algorithm DFLASH --speculative-draft-model-path d"), 16);
}

}  // namespace
}  // namespace capsize::sglang::resolve_test
