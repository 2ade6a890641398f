#include "sim/engines/sglang/layout.hpp"

#include <charconv>
#include <utility>

#include "sim/engines/sglang/weights.hpp"
#include "sim/units.hpp"

namespace capsize::sglang {
namespace {

constexpr std::int64_t kDeepEpDispatchRows = 128;

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

std::string joined(const std::vector<std::string>& reasons) {
  std::string out;
  for (const std::string& reason : reasons) out.append(out.empty() ? "" : "; ").append(reason);
  return out;
}

Result<Version> version_in(const LaunchRequest& request) {
  if (const auto version = version_of(request.rules)) return *version;
  std::string known;
  for (const RulesLabel& label : labels()) {
    known.append(known.empty() ? "" : ", ").append(label.name);
  }
  return tl::unexpected(Error{"--rules", "unknown rules \"" + std::string(request.rules) + "\"",
                              "known for sglang: " + known});
}

class LayoutBuilder {
 public:
  LayoutBuilder(const LayoutInput& in, StepSource& steps) : in_(in), steps_(steps) {
    out_.resolved =
        resolve({.args = in.args, .model = in.model.shape, .facts = in.facts, .gpu = in.gpu});
  }

  LaunchLayout run() {
    out_.refusal = out_.resolved.refusal;
    if (out_.refusal) return std::move(out_);
    out_.undecided = args().unknowns.topology;
    if (out_.undecided) return std::move(out_);
    check_groups();
    if (out_.refusal) return std::move(out_);
    out_.topology = steps_.topology(sizes());
    if (!in_.model.stand_in) out_.refusal = check_weights(*in_.model.shape, weight_layout());
    if (out_.refusal) return std::move(out_);
    make_prefill();
    make_decode();
    make_steps();
    return std::move(out_);
  }

 private:
  [[nodiscard]] const Resolved& r() const { return out_.resolved; }
  [[nodiscard]] const ServerArgs& args() const { return out_.resolved.args; }
  [[nodiscard]] const Sizes& sizes() const { return out_.resolved.sizes; }

  // A world that its expert groups do not cover is refused.
  void check_groups() {
    const Sizes& s = sizes();
    if (s.moe_tp() >= 1 && s.tp % (s.ep * s.moe_dp) == 0) return;
    out_.refusal = Refusal{RefusalStage::model,
                           "distributed/parallel_state.py::initialize_model_parallel", std::nullopt,
                           "some ranks would be in no expert group: choose --ep-size so that it "
                           "divides --tp-size / --moe-dp-size"};
  }

  [[nodiscard]] WeightLayout weight_layout() const {
    const ServerArgs& a = args();
    const bool trtllm = a.moe_runner_backend == "flashinfer_trtllm" ||
                        a.moe_runner_backend == "flashinfer_trtllm_routed";
    const bool no_fusion = a.disable_shared_experts_fusion || a.enable_two_batch_overlap ||
                           a.enable_single_batch_overlap || trtllm ||
                           a.moe_runner_backend == "flashinfer_cutedsl" ||
                           a.moe_a2a_backend == "flashinfer";
    return {.tp = sizes().tp,
            .attn_tp = sizes().attn_tp(),
            .ep = sizes().ep,
            .moe_tp = sizes().moe_tp(),
            .attn_cp = sizes().attn_cp,
            .moe_dp = sizes().moe_dp,
            .pp = sizes().pp,
            .redundant_experts = a.ep_num_redundant_experts,
            .dp_attention = a.enable_dp_attention,
            .dp_lm_head = a.enable_dp_lm_head,
            .dense_fully_dp = a.moe_dense_tp_size == 1,
            .shared_fusion_disabled = no_fusion,
            .shared_fusion_enforced = a.enforce_shared_experts_fusion,
            .pads_expert_rows = trtllm,
            .moe_a2a_backend = a.moe_a2a_backend};
  }

  // Layouts whose steps are not modelled: what they do is not guessed.
  [[nodiscard]] std::string unmodelled() const {
    if (sizes().attn_cp > 1 && args().enable_nsa_prefill_context_parallel && in_.facts.nsa) {
      return "NSA context parallelism is not modelled";
    }
    if (sizes().attn_dp > 1 && !in_.facts.layer_communicator) {
      return "DP attention in a model class without the layer communicator is not modelled";
    }
    return "";
  }

  [[nodiscard]] std::int64_t context_length() const {
    if (args().context_length) return *args().context_length;
    return in_.model.stand_in ? 0 : in_.model.shape->max_position_embeddings;
  }

  [[nodiscard]] PaddingInput padding() const {
    return {r().predicates.mlp_sync, sizes().attn_tp(), sizes().attn_cp};
  }

  void make_prefill() {
    PrefillInputs& p = out_.prefill;
    const ServerArgs& a = args();
    p.version = in_.version;
    p.breakable = r().breakable;
    p.gathered = r().predicates.gathered_buffer;
    p.mla = in_.facts.mla;
    p.llama_2_path = r().llama_2_path;
    p.attn_tp = sizes().attn_tp();
    p.attn_cp = sizes().attn_cp;
    p.chunk = r().chunk;
    const std::int64_t chunk = *a.chunked_prefill_size;
    p.largest_presented = chunk > 0 ? chunk : std::max(a.max_prefill_tokens, context_length());
    p.context_length = context_length();
    p.max_total_tokens = a.max_total_tokens;
    p.off = r().prefill_off;
    if (a.unknowns.prefill) p.undecided = joined(a.unknowns.reasons);
    if (p.undecided.empty()) p.undecided = unmodelled();
    if (p.undecided.empty() && sizes().attn_dp > 1) {
      p.undecided = "prefill capture under DP attention passes no global buffer length here";
    }
    p.eager_undecided = a.unknowns.eager_prefill ? joined(a.unknowns.reasons) : unmodelled();
    p.padding = padding();
  }

  void make_decode() {
    DecodeInputs& d = out_.decode;
    const ServerArgs& a = args();
    d.gathered = r().predicates.gathered_buffer;
    d.two_batch_overlap = a.enable_two_batch_overlap;
    d.speculative = !a.speculative_algorithm.empty();
    d.draft_runner = a.speculative_algorithm == "EAGLE" || a.speculative_algorithm == "EAGLE3" ||
                     a.speculative_algorithm == "STANDALONE";
    d.disable_padding = a.disable_cuda_graph_padding;
    d.width = r().decode_width;
    d.attn_tp = sizes().attn_tp();
    d.attn_cp = sizes().attn_cp;
    d.attn_dp = sizes().attn_dp;
    d.default_max_bs = r().default_max_bs;
    d.max_total_tokens = a.max_total_tokens;
    d.dispatch = dispatch_bound();
    d.off = r().decode_off;
    if (a.unknowns.decode) d.undecided = joined(a.unknowns.reasons);
    if (d.undecided.empty() && !a.device.empty() && !a.device.starts_with("cuda")) {
      d.undecided = "graphs on device " + std::string(a.device) + " are not modelled";
    }
    if (d.undecided.empty()) d.undecided = unmodelled();
    d.padding = padding();
  }

  // Low-latency DeepEP sends a bounded number of rows from each rank.
  [[nodiscard]] std::optional<DispatchBound> dispatch_bound() const {
    const bool low_latency = args().moe_a2a_backend == "deepep" && args().deepep_mode != "normal";
    const ModelShape& model = *in_.model.shape;
    if (!low_latency || !is_sparse_layer(model, model.num_hidden_layers - 1)) return std::nullopt;
    const std::int64_t rows =
        environment_number(in_.environment, kDeepEpVariable).value_or(kDeepEpDispatchRows);
    const std::int64_t halves = args().enable_two_batch_overlap ? 2 : 1;
    return DispatchBound{rows, rows * sizes().attn_tp() * halves};
  }

  // Paths whose steps do not differ share one: the walk is the costly part of a check.
  void make_steps() {
    StepInput in{.communicator = {.sizes = sizes(),
                                  .dense_fully_dp = args().moe_dense_tp_size == 1,
                                  .a2a = args().moe_a2a_backend != "none",
                                  .two_batch_overlap = args().enable_two_batch_overlap},
                 .topology = nullptr,
                 .model = in_.model.shape,
                 .facts = in_.facts};
    in.splits_context = args().enable_prefill_context_parallel &&
                        in_.facts.splits_prefill_context && sizes().attn_cp > 1;
    in.splits_batch = args().enable_two_batch_overlap;
    in.dp_padding = sizes().attn_dp > 1 ? DpPadding::sum_len : DpPadding::max_len;
    out_.prefill.step = steps_.step("prefill", in);
    const bool same = !in.splits_context && sizes().attn_dp == 1 && r().decode_width.value == 1;
    if (same) {
      out_.decode.step = out_.prefill.step;
      return;
    }
    in.splits_context = false;
    in.dp_padding = DpPadding::max_len;
    in.width = r().decode_width;
    out_.decode.step = steps_.step("decode", in);
  }

  const LayoutInput& in_;
  StepSource& steps_;
  LaunchLayout out_;
};

}  // namespace

std::shared_ptr<const Topology> FreshSteps::topology(const Sizes& sizes) {
  topology_ = std::make_shared<const Topology>(topology_of(sizes));
  return topology_;
}

std::shared_ptr<const DerivedStep> FreshSteps::step(std::string_view path, StepInput in) {
  in.topology = topology_ ? topology_ : topology(in.communicator.sizes);
  auto step = std::make_shared<DerivedStep>();
  step->plan = step_of(path, in);
  step->requirement = derive(step->plan, kLargestSize);
  return step;
}

Result<ReadLaunch> read_launch(const LaunchRequest& request) {
  const Result<Version> version = version_in(request);
  if (!version) return tl::unexpected(version.error());
  ReadLaunch out;
  auto flags = parse(request.words, flag_release(*version), request.entry,
                     request.entry == EntryKind::wrapper ? &out.left_over : nullptr);
  if (!flags) {
    out.refusal = std::move(flags.error());
    return out;
  }
  auto args = read_args(*flags);
  if (!args) return tl::unexpected(std::move(args.error()));
  if (flags->may_hide_flags) {
    args->unknowns.topology = true;
    args->unknowns.reasons.insert(args->unknowns.reasons.end(), flags->notes.begin(),
                                  flags->notes.end());
  }
  const ModelChoice model = request.find_model(args->model_path);
  out.input = {.args = *std::move(args),
               .version = *version,
               .model = model,
               .facts = facts_of(*model.shape),
               .gpu = request.gpu,
               .environment = request.environment};
  return out;
}

LaunchLayout layout_of(const LayoutInput& in, StepSource& steps) {
  return LayoutBuilder(in, steps).run();
}

PrefillLists prefill_lists(const ServerArgs& args) {
  return {args.piecewise_cuda_graph_max_tokens, args.piecewise_cuda_graph_tokens};
}

DecodeLists decode_lists(const ServerArgs& args) {
  return {args.cuda_graph_max_bs, args.cuda_graph_bs, args.max_running_requests};
}

}  // namespace capsize::sglang
