// Puts the rules together: a launch in, an EnginePlan out.
#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "sim/engines/sglang/dispatch.hpp"
#include "sim/engines/sglang/engine.hpp"
#include "sim/engines/sglang/layers.hpp"
#include "sim/engines/sglang/resolve.hpp"
#include "sim/units.hpp"

namespace capsize::sglang {
namespace {

// The KV pool is sized after the weights are loaded. Where nothing is given the engine takes
// between 2048 and 4096 request slots (model_runner_kv_cache_mixin.py::_resolve_max_num_reqs).
constexpr std::int64_t kLeastPool = 2048;

constexpr std::int64_t kDeepEpDispatchRows = 128;
// The default of the variable, and the assertion that a larger capture meets: #28914.
constexpr std::string_view kDeepEpRule =
    "layers/moe/token_dispatcher/deepep.py (deep_ep.cpp's assertion; sgl-project/sglang #28914)";
constexpr std::string_view kDeepEpVariable = "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK";

constexpr std::array kEntryPoints = {
    EntryPoint{"sglang.launch_server", EntryKind::server, {}},
    EntryPoint{"sglang serve", EntryKind::serve, {}},
    EntryPoint{"sglang_router.launch_server", EntryKind::wrapper,
               "the router's own launcher: --dp-size starts whole replicas"},
    EntryPoint{"sglang.bench*", EntryKind::wrapper, "a benchmark with flags of its own"},
    EntryPoint{"dynamo.sglang", EntryKind::wrapper, "Dynamo's worker with flags of its own"},
    EntryPoint{"sglang_router.launch_router", EntryKind::foreign,
               "the router alone starts no engine"},
    EntryPoint{"sgl_jax.launch_server", EntryKind::foreign, "SGLang-JAX is another engine"},
    EntryPoint{"minisgl", EntryKind::foreign, "mini-sglang is another engine"},
    EntryPoint{"vllm serve", EntryKind::foreign, "vLLM is another engine"},
    EntryPoint{"vllm.entrypoints*", EntryKind::foreign, "vLLM is another engine"},
    EntryPoint{"trtllm-serve", EntryKind::foreign, "TensorRT-LLM is another engine"},
    EntryPoint{"lmdeploy serve", EntryKind::foreign, "LMDeploy is another engine"},
};

std::optional<std::int64_t> environment_number(std::span<const EnvironmentVariable> environment,
                                               std::string_view name) {
  for (const EnvironmentVariable& variable : environment) {
    if (variable.name != name || !variable.known) continue;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(
        variable.value.data(), variable.value.data() + variable.value.size(), number);
    if (error == std::errc{} && end == variable.value.data() + variable.value.size()) return number;
  }
  return std::nullopt;
}

// Builds the plan of one launch from its resolved arguments.
class Planner {
 public:
  Planner(const LaunchRequest& request, Version version, ModelChoice model, ArchitectureFacts facts,
          const Resolved& resolved)
      : request_(request),
        version_(version),
        model_(model),
        facts_(facts),
        r_(resolved),
        args_(resolved.args) {}

  EnginePlan run() {
    plan_.deployment.engine = "sglang";
    plan_.deployment.rules = name_of(version_);
    plan_.ignored_flags = args_.ignored_flags;
    note_assumptions();
    if (r_.refusal) {
      plan_.refusal = r_.refusal;
      return std::move(plan_);
    }
    if (args_.unknowns.topology) {
      plan_.undecided = args_.unknowns.reasons;
      return std::move(plan_);
    }
    if (!make_groups()) return std::move(plan_);
    if (!model_.stand_in) {
      plan_.refusal = check_weights(*model_.shape, weight_layout());
      if (plan_.refusal) return std::move(plan_);
    }
    make_steps();
    plan_.captures.paths.push_back(prefill_path());
    plan_.captures.paths.push_back(decode_path());
    // Decode graphs are captured first, so their assertion is the one that is met.
    refuse_if_empty(plan_.captures.paths[1]);
    refuse_if_empty(plan_.captures.paths[0]);
    if (plan_.refusal) return std::move(plan_);
    make_eager_paths();
    make_start_up();
    return std::move(plan_);
  }

 private:
  void note_assumptions() {
    auto& assumed = plan_.assumed;
    if (!args_.max_running_requests && !args_.disable_cuda_graph) {
      assumed.push_back(
          "request slots: 2048 (the engine sizes its pool after loading; it takes "
          "2048 to 4096 unless memory is short)");
    }
    if (args_.model_override_args) assumed.push_back("--json-model-override-args is not applied");
    if (!args_.unread_flags.empty()) {
      std::string text = "no rule here reads";
      for (const std::string& flag : args_.unread_flags) text.append(" ").append(flag);
      assumed.push_back(std::move(text));
    }
    if (!args_.unknowns.topology) {
      for (const std::string& reason : args_.unknowns.reasons) assumed.push_back(reason);
    }
    if (r_.prefill_off.empty() && r_.predicates.gathered_buffer) {
      assumed.push_back(
          "inside a captured prefill rows and buffers are those of the capture (the "
          "engine publishes the unpadded count there)");
    }
    if (r_.sizes.pp > 1) {
      assumed.push_back("what passes between pipeline stages is not judged");
    }
    if (r_.decode_width.value != 1) {
      assumed.push_back("draft runners and eager speculative batches are not judged");
    }
    if (args_.dp_size > 1 && !args_.enable_dp_attention) {
      assumed.push_back("each of " + std::to_string(args_.dp_size) +
                        " data-parallel replicas is judged alone");
    }
    if (r_.sizes.attn_dp > 1) {
      assumed.push_back("all data-parallel replicas present equally many tokens (in step)");
    }
  }

  void set_sizes() {
    const Sizes& s = r_.sizes;
    plan_.deployment.sizes = {{"tp", s.tp},
                              {"pp", s.pp},
                              {"attn_dp", s.attn_dp},
                              {"attn_cp", s.attn_cp},
                              {"attn_tp", s.attn_tp()},
                              {"ep", s.ep},
                              {"moe_dp", s.moe_dp},
                              {"moe_tp", s.moe_tp()}};
  }

  // The groups, or the refusal of a world that they do not cover.
  bool make_groups() {
    const Sizes& s = r_.sizes;
    set_sizes();
    if (s.moe_tp() < 1 || s.tp % (s.ep * s.moe_dp) != 0) {
      plan_.refusal =
          Refusal{RefusalStage::model, "distributed/parallel_state.py::initialize_model_parallel",
                  std::nullopt,
                  "some ranks would be in no expert group: choose --ep-size so that it "
                  "divides --tp-size / --moe-dp-size"};
      return false;
    }
    plan_.deployment.topology = std::make_shared<const Topology>(topology_of(s));
    return true;
  }

  WeightLayout weight_layout() const {
    const bool trtllm = args_.moe_runner_backend == "flashinfer_trtllm" ||
                        args_.moe_runner_backend == "flashinfer_trtllm_routed";
    const bool no_fusion = args_.disable_shared_experts_fusion || args_.enable_two_batch_overlap ||
                           args_.enable_single_batch_overlap || trtllm ||
                           args_.moe_runner_backend == "flashinfer_cutedsl" ||
                           args_.moe_a2a_backend == "flashinfer";
    return {.tp = r_.sizes.tp,
            .attn_tp = r_.sizes.attn_tp(),
            .ep = r_.sizes.ep,
            .moe_tp = r_.sizes.moe_tp(),
            .attn_cp = r_.sizes.attn_cp,
            .moe_dp = r_.sizes.moe_dp,
            .pp = r_.sizes.pp,
            .redundant_experts = args_.ep_num_redundant_experts,
            .dp_attention = args_.enable_dp_attention,
            .dp_lm_head = args_.enable_dp_lm_head,
            .dense_fully_dp = args_.moe_dense_tp_size == 1,
            .shared_fusion_disabled = no_fusion,
            .shared_fusion_enforced = args_.enforce_shared_experts_fusion,
            .pads_expert_rows = trtllm,
            .moe_a2a_backend = args_.moe_a2a_backend};
  }

  // ---- steps -------------------------------------------------------------------------------

  [[nodiscard]] bool splits_context() const {
    return args_.enable_prefill_context_parallel && facts_.splits_prefill_context &&
           r_.sizes.attn_cp > 1;
  }

  std::shared_ptr<const DerivedStep> derived(std::string_view path, const StepInput& in,
                                             std::int64_t largest) const {
    auto step = std::make_shared<DerivedStep>();
    step->plan = step_of(path, in);
    step->requirement = derive(step->plan, largest);
    return step;
  }

  // Paths whose steps do not differ share one: the walk is the costly part of a check.
  void make_steps() {
    StepInput in{.communicator = {.sizes = r_.sizes,
                                  .dense_fully_dp = args_.moe_dense_tp_size == 1,
                                  .a2a = args_.moe_a2a_backend != "none",
                                  .two_batch_overlap = args_.enable_two_batch_overlap},
                 .topology = plan_.deployment.topology,
                 .model = model_.shape,
                 .facts = facts_};
    in.splits_context = splits_context();
    in.splits_batch = args_.enable_two_batch_overlap;
    in.dp_padding = r_.sizes.attn_dp > 1 ? DpPadding::sum_len : DpPadding::max_len;
    prefill_step_ = derived("prefill", in, kLargestSize);
    const bool same = !in.splits_context && r_.sizes.attn_dp == 1 && r_.decode_width.value == 1;
    if (same) {
      decode_step_ = prefill_step_;
      return;
    }
    in.splits_context = false;
    in.dp_padding = DpPadding::max_len;
    in.width = r_.decode_width;
    decode_step_ = derived("decode", in, kLargestSize);
  }

  // Layouts whose steps are not modelled: what they do is not guessed.
  [[nodiscard]] std::string unmodelled() const {
    if (r_.sizes.attn_cp > 1 && args_.enable_nsa_prefill_context_parallel && facts_.nsa) {
      return "NSA context parallelism is not modelled";
    }
    if (r_.sizes.attn_dp > 1 && !facts_.layer_communicator) {
      return "DP attention in a model class without the layer communicator is not modelled";
    }
    return "";
  }

  // ---- prefill -----------------------------------------------------------------------------

  CapturePath prefill_path() {
    CapturePath path{.name = "prefill", .unit = Unit::tokens};
    path.backend = r_.breakable ? "breakable" : "piecewise";
    path.disabled_by = r_.prefill_off;
    path.enabled = path.disabled_by.empty();
    path.candidates = r_.lists.piecewise_tokens;
    path.lookup = bisect_lookup;
    path.lookup_rule = kPrefillLookupRule;
    path.step = prefill_step_;
    path.largest_presented = largest_prefill();
    path.filter = prefill_filter();
    if (args_.unknowns.prefill) path.undecided = joined_reasons();
    if (path.undecided.empty()) path.undecided = unmodelled();
    if (path.undecided.empty() && r_.sizes.attn_dp > 1) {
      path.undecided = "prefill capture under DP attention passes no global buffer length here";
    }
    if (!path.enabled) return path;
    apply_filter(path, "no multiple of ", " tokens");
    name_prefill_sizes(path);
    bound_prefill(path);
    return path;
  }

  SizeFilter prefill_filter() const {
    const PrefillFilterInput in{.attn_tp = r_.sizes.attn_tp(),
                                .attn_cp = r_.sizes.attn_cp,
                                .gathered = r_.predicates.gathered_buffer};
    // The breakable runner has a list of its own until both runners become one (#23906).
    const bool unfiltered = r_.breakable && version_ < Version::pr_23906;
    const PrefillFilterRule& rule = prefill_filter_at(unfiltered ? Version::pr_23906 : version_);
    return {.apply = [in, &rule](SizeList& sizes) { return rule.apply(in, sizes); },
            .rule = unfiltered ? "breakable_cuda_graph_runner.py::BreakableCudaGraphRunner.__init__"
                               : rule.function,
            .modulus = rule.modulus(in),
            .contract_tokens = rule.contract(in),
            .contract_text = rule.contract_text,
            .rounds = rule.rounds,
            .clamp_order_declared = rule.rounds};
  }

  [[nodiscard]] std::int64_t largest_prefill() const {
    const std::int64_t chunk = *args_.chunked_prefill_size;
    if (chunk > 0) return chunk;
    return std::max(args_.max_prefill_tokens, context_length());
  }

  [[nodiscard]] std::int64_t context_length() const {
    if (args_.context_length) return *args_.context_length;
    return model_.stand_in ? 0 : model_.shape->max_position_embeddings;
  }

  void name_prefill_sizes(CapturePath& path) const {
    if (args_.piecewise_cuda_graph_tokens) {
      for (const std::int64_t size : *args_.piecewise_cuda_graph_tokens) {
        path.named.push_back({size, "--piecewise-cuda-graph-tokens"});
      }
    } else if (r_.prefill_max_is_named) {
      path.named.push_back({r_.lists.piecewise_max_tokens, "--piecewise-cuda-graph-max-tokens"});
    }
  }

  void bound_prefill(CapturePath& path) const {
    if (!args_.piecewise_cuda_graph_tokens) {
      path.bounds.push_back({r_.lists.piecewise_max_tokens,
                             "the maximum that the list was made for "
                             "(--piecewise-cuda-graph-max-tokens)",
                             "server_args.py::ServerArgs._generate_piecewise_cuda_graph_tokens",
                             "none", true});
    }
    if (context_length() > 0) {
      // A capture presents all its tokens as one request (#22516 and #30206 mend this later).
      path.bounds.push_back({context_length(),
                             "the context length: a size is captured as one request",
                             "piecewise_cuda_graph_runner.py::PiecewiseCudaGraphRunner."
                             "capture_one_batch_size",
                             "clean_error"});
    }
    if (args_.max_total_tokens) {
      path.bounds.push_back({*args_.max_total_tokens, "the KV pool (--max-total-tokens)",
                             "model_runner_kv_cache_mixin.py", "clean_error"});
    }
  }

  // ---- decode ------------------------------------------------------------------------------

  CapturePath decode_path() {
    CapturePath path{.name = "decode", .unit = Unit::requests, .width = r_.decode_width};
    path.backend = "full";
    path.disabled_by = r_.decode_off;
    path.enabled = path.disabled_by.empty();
    path.candidates = r_.lists.cuda_graph_bs;
    path.lookup = args_.disable_cuda_graph_padding ? exact_lookup : bisect_lookup;
    path.lookup_rule = kDecodeLookupRule;
    path.exact_match = args_.disable_cuda_graph_padding;
    path.step = decode_step_;
    path.largest_presented = pool();
    path.largest_is_known = args_.max_running_requests.has_value();
    path.filter = decode_size_filter();
    if (args_.unknowns.decode) path.undecided = joined_reasons();
    if (path.undecided.empty() && !args_.device.empty() && !args_.device.starts_with("cuda")) {
      path.undecided = "graphs on device " + std::string(args_.device) + " are not modelled";
    }
    if (path.undecided.empty()) path.undecided = unmodelled();
    if (!path.enabled) return path;
    apply_filter(path, "no multiple of ", " requests");
    name_decode_sizes(path);
    bound_decode(path);
    return path;
  }

  [[nodiscard]] std::int64_t pool() const {
    std::int64_t slots = kLeastPool;
    if (args_.max_running_requests) {
      slots = std::min(slots, div_floor(*args_.max_running_requests, r_.sizes.attn_dp));
    } else if (args_.max_total_tokens) {
      slots = std::min(slots, div_floor(*args_.max_total_tokens, 2));
    }
    return std::max<std::int64_t>(slots, 0);
  }

  SizeFilter decode_size_filter() const {
    const DecodeFilterInput in{.pool = pool(),
                               .attn_tp = r_.sizes.attn_tp(),
                               .attn_cp = r_.sizes.attn_cp,
                               .gathered = r_.predicates.gathered_buffer,
                               .tokens_per_request = r_.decode_width.value,
                               .two_batch_overlap = args_.enable_two_batch_overlap};
    SizeFilter filter{.apply = [in](SizeList& sizes) { return decode_filter(in, sizes); },
                      .rule = kDecodeFilterRule,
                      .modulus = decode_modulus(in),
                      .read_again = has_draft_runner()};
    if (in.gathered && !in.two_batch_overlap) {
      filter.contract_tokens = in.attn_tp;
      filter.contract_text = "a model input token count that is a multiple of attn_tp_size";
    }
    return filter;
  }

  [[nodiscard]] bool has_draft_runner() const {
    return args_.speculative_algorithm == "EAGLE" || args_.speculative_algorithm == "EAGLE3" ||
           args_.speculative_algorithm == "STANDALONE";
  }

  void name_decode_sizes(CapturePath& path) const {
    if (args_.cuda_graph_bs && !args_.cuda_graph_bs->empty()) {
      for (const std::int64_t size : *args_.cuda_graph_bs) {
        path.named.push_back({size, "--cuda-graph-bs"});
      }
    } else if (args_.cuda_graph_max_bs) {
      path.named.push_back({*args_.cuda_graph_max_bs, "--cuda-graph-max-bs"});
    }
  }

  // Low-latency DeepEP sends a bounded number of rows from each rank.
  void bound_decode(CapturePath& path) const {
    const bool low_latency = args_.moe_a2a_backend == "deepep" && args_.deepep_mode != "normal";
    if (!low_latency || !has_sparse_layers()) return;
    const std::int64_t rows =
        environment_number(request_.environment, kDeepEpVariable).value_or(kDeepEpDispatchRows);
    const std::int64_t halves = args_.enable_two_batch_overlap ? 2 : 1;
    path.bounds.push_back({rows * r_.sizes.attn_tp() * halves,
                           "what DeepEP dispatches (" + std::to_string(rows) + " rows a rank, " +
                               std::string(kDeepEpVariable) + ")",
                           kDeepEpRule, "clean_error"});
  }

  [[nodiscard]] bool has_sparse_layers() const {
    return is_sparse_layer(*model_.shape, model_.shape->num_hidden_layers - 1);
  }

  // ---- both --------------------------------------------------------------------------------

  [[nodiscard]] std::string joined_reasons() const {
    std::string out;
    for (const std::string& reason : args_.unknowns.reasons) {
      out.append(out.empty() ? "" : "; ").append(reason);
    }
    return out;
  }

  void apply_filter(CapturePath& path, std::string_view before, std::string_view after) {
    if (path.candidates.empty()) return;
    SizeList list = path.candidates;
    FilterResult result = path.filter.apply(list);
    path.refused = std::move(result.refused);
    path.kept = std::move(result.kept);
    const std::int64_t modulus = path.filter.modulus;
    if (path.filter.rounds) {
      for (const std::int64_t size : path.candidates) {
        const std::int64_t to = align_up(size, modulus);
        if (to != size) path.rounded.push_back({size, to});
      }
      return;
    }
    note_dropped(path, std::string(before) + std::to_string(modulus) + std::string(after));
  }

  // Both lists mostly rise, so that one pass over the kept sizes meets every candidate.
  static void note_dropped(CapturePath& path, const std::string& no_multiple) {
    SizeList kept = path.kept;
    if (!std::ranges::is_sorted(kept)) std::ranges::sort(kept);
    auto next = kept.begin();
    std::int64_t previous = std::numeric_limits<std::int64_t>::min();
    for (const std::int64_t size : path.candidates) {
      if (size < previous) next = std::ranges::lower_bound(kept, size);
      previous = size;
      while (next != kept.end() && *next < size) ++next;
      if (next != kept.end() && *next == size) continue;
      path.dropped.push_back({size, size % path.filter.modulus != 0
                                        ? no_multiple
                                        : "more than the request pool holds"});
    }
  }

  void refuse_if_empty(const CapturePath& path) {
    if (plan_.refusal || !path.refused || !path.undecided.empty()) return;
    plan_.refusal = Refusal{
        RefusalStage::capture, std::string(path.filter.rule), path.refused,
        std::string("name sizes that are multiples of ") + std::to_string(path.filter.modulus) +
            (path.unit == Unit::tokens ? " with --piecewise-cuda-graph-tokens, or use "
                                         "--disable-piecewise-cuda-graph"
                                       : " with --cuda-graph-bs, or use "
                                         "--disable-cuda-graph")};
  }

  void make_eager_paths() {
    const PaddingInput padding{.mlp_sync = r_.predicates.mlp_sync,
                               .attn_tp = r_.sizes.attn_tp(),
                               .attn_cp = r_.sizes.attn_cp};
    const std::int64_t period =
        padding.mlp_sync ? padding.attn_tp * padding.attn_cp : std::int64_t{1};
    const auto pad_tokens = [padding](std::int64_t n) { return padded_rows(padding, n); };
    const std::int64_t width = r_.decode_width.value;
    const auto& paths = plan_.captures.paths;
    std::string prefill_undecided = args_.unknowns.eager_prefill ? joined_reasons() : unmodelled();
    plan_.captures.eager.push_back({.name = "eager_prefill",
                                    .largest_presented = paths[0].largest_presented,
                                    .padded = pad_tokens,
                                    .padding_period = period,
                                    .rule = kPaddingRule,
                                    .undecided = std::move(prefill_undecided),
                                    .step = prefill_step_});
    if (width != 1) return;  // speculative batches are padded by their own runners
    plan_.captures.eager.push_back({.name = "eager_decode",
                                    .largest_presented = paths[1].largest_presented,
                                    .padded = pad_tokens,
                                    .padding_period = period,
                                    .rule = kPaddingRule,
                                    .undecided = paths[1].undecided,
                                    .step = decode_step_});
  }

  // Decode graphs first, largest first; then the prefill runner: an eager forward at the first
  // element of its list, a compile pass and the captures over the reversed list.
  void make_start_up() {
    auto& events = plan_.start_up.events;
    const CapturePath& prefill = plan_.captures.paths[0];
    const CapturePath& decode = plan_.captures.paths[1];
    events.reserve(decode.kept.size() + 2 * prefill.kept.size() + 1);
    if (decode.enabled) add_reversed(StartUpKind::capture, 1, true, decode.kept);
    if (!prefill.enabled || prefill.kept.empty()) return;
    events.push_back({StartUpKind::warm_up, 0, false, prefill.kept.front()});
    if (!r_.breakable) add_reversed(StartUpKind::compile, 0, false, prefill.kept);
    add_reversed(StartUpKind::capture, 0, true, prefill.kept);
  }

  void add_reversed(StartUpKind kind, std::uint8_t path, bool group_capture,
                    const SizeList& sizes) {
    for (auto size = sizes.rbegin(); size != sizes.rend(); ++size) {
      plan_.start_up.events.push_back({kind, path, group_capture, *size});
    }
  }

  const LaunchRequest& request_;
  Version version_;
  ModelChoice model_;
  ArchitectureFacts facts_;
  const Resolved& r_;
  const ServerArgs& args_;
  EnginePlan plan_;
  std::shared_ptr<const DerivedStep> prefill_step_;
  std::shared_ptr<const DerivedStep> decode_step_;
};

Result<Version> version_in(const LaunchRequest& request) {
  if (const auto version = version_of(request.rules)) return *version;
  std::string known;
  for (const RulesLabel& label : labels()) {
    known.append(known.empty() ? "" : ", ").append(label.name);
  }
  return tl::unexpected(Error{"--rules", "unknown rules \"" + std::string(request.rules) + "\"",
                              "known for sglang: " + known});
}

EnginePlan refused_plan(const LaunchRequest& request, Refusal refusal) {
  EnginePlan plan;
  plan.deployment.engine = "sglang";
  plan.deployment.rules = request.rules;
  plan.refusal = std::move(refusal);
  return plan;
}

Result<EnginePlan> plan_launch(const LaunchRequest& request) {
  const Result<Version> version = version_in(request);
  if (!version) return tl::unexpected(version.error());
  std::vector<std::string> left_over;
  auto flags = parse(request.words, flag_release(*version), request.entry,
                     request.entry == EntryKind::wrapper ? &left_over : nullptr);
  if (!flags) return refused_plan(request, std::move(flags.error()));
  auto args = read_args(*flags);
  if (!args) return tl::unexpected(std::move(args.error()));
  if (flags->may_hide_flags) {
    args->unknowns.topology = true;
    args->unknowns.reasons.insert(args->unknowns.reasons.end(), flags->notes.begin(),
                                  flags->notes.end());
  }
  const ModelChoice model = request.find_model(args->model_path);
  const ArchitectureFacts facts = facts_of(*model.shape);
  const Resolved resolved =
      resolve({.args = *std::move(args), .model = model.shape, .facts = facts, .gpu = request.gpu});
  EnginePlan plan = Planner(request, *version, model, facts, resolved).run();
  for (std::string& option : left_over) {
    plan.assumed.push_back(std::move(option) + ": left to the wrapper");
  }
  return plan;
}

}  // namespace

Engine engine() {
  return {.name = "sglang",
          .entry_points = kEntryPoints,
          .labels = labels(),
          .newest = "23906",
          .label_of_image = label_of_image,
          .plan = plan_launch,
          .stand_ins = stand_ins,
          .repairs = repairs,
          .without = without};
}

}  // namespace capsize::sglang
