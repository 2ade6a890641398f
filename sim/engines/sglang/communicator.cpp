#include "sim/engines/sglang/communicator.hpp"

#include "sim/units.hpp"

namespace capsize::sglang {
namespace {

// model_input_output(): scattered only under NSA prefill context parallelism, whose models use a
// communicator of their own.
constexpr ScatterMode kModelInputOutput = ScatterMode::tp_attn_full;

ScatterMode mlp_mode(const CommunicatorInput& in, bool sparse) {
  if (!sparse) return in.dense_fully_dp ? ScatterMode::scattered : ScatterMode::full;
  if (in.a2a) return ScatterMode::scattered;
  return in.sizes.attn_cp > in.sizes.moe_dp ? ScatterMode::moe_full : ScatterMode::full;
}

ScatterMode middle_residual_mode(ScatterMode mlp) {
  return mlp == ScatterMode::scattered ? ScatterMode::scattered : ScatterMode::tp_attn_full;
}

ScatterMode output_mode(const CommunicatorInput& in, bool last, bool sparse, bool next_sparse) {
  if (last) return kModelInputOutput;
  if (mlp_mode(in, sparse) != ScatterMode::scattered) return ScatterMode::tp_attn_full;
  // Two-batch overlap starts at the first sparse layer and wants whole rows there.
  const bool gather_for_overlap =
      !sparse && next_sparse && in.dense_fully_dp && in.two_batch_overlap;
  return gather_for_overlap ? ScatterMode::tp_attn_full : ScatterMode::scattered;
}

// The communicator compares sizes of process groups, not modes.
std::int64_t group_size(const CommunicatorInput& in, ScatterMode mode) {
  const Sizes& s = in.sizes;
  switch (mode) {
    case ScatterMode::scattered: return 1;
    case ScatterMode::tp_attn_full: return s.attn_tp();
    case ScatterMode::full: return div_floor(s.tp, s.attn_cp);
    case ScatterMode::moe_full: return s.tp;  // reached only where MOE_DP is ATTN_CP itself
  }
  return 1;
}

bool same_size(const CommunicatorInput& in, ScatterMode a, ScatterMode b) {
  return group_size(in, a) == group_size(in, b);
}

BeforeMlp before_mlp(const CommunicatorInput& in, const ScatterModes& modes) {
  if (in.sizes.attn_tp() == 1 && same_size(in, modes.attention, modes.mlp) &&
      same_size(in, modes.input, modes.middle_residual)) {
    return BeforeMlp::simple;
  }
  switch (modes.mlp) {
    case ScatterMode::moe_full: return BeforeMlp::gather_moe;
    case ScatterMode::scattered: return BeforeMlp::reduce_scatter;
    default: return BeforeMlp::gather;
  }
}

AfterMlp after_mlp(const CommunicatorInput& in, const ScatterModes& modes) {
  if (same_size(in, modes.mlp, modes.output) &&
      same_size(in, modes.middle_residual, modes.output)) {
    return AfterMlp::trivial;
  }
  switch (modes.mlp) {
    case ScatterMode::moe_full: return AfterMlp::scatter_moe;
    case ScatterMode::scattered: return AfterMlp::gather;
    default: return AfterMlp::scatter_full;
  }
}

}  // namespace

Transitions transitions_of(const CommunicatorInput& in, const LayerContext& layer) {
  ScatterModes modes;
  modes.input =
      layer.first ? kModelInputOutput : output_mode(in, false, layer.previous_sparse, layer.sparse);
  modes.mlp = mlp_mode(in, layer.sparse);
  modes.middle_residual = middle_residual_mode(modes.mlp);
  modes.output = output_mode(in, layer.last, layer.sparse, layer.next_sparse);

  Transitions out{.modes = modes};
  out.before_attention = same_size(in, modes.input, modes.attention)
                             ? BeforeAttention::trivial
                             : BeforeAttention::scattered_to_tp_attn_full;
  out.before_mlp = before_mlp(in, modes);
  out.after_mlp = after_mlp(in, modes);
  return out;
}

LayerContext context_of(LayerKind kind) {
  switch (kind) {
    case LayerKind::first_dense: return {.first = true};
    case LayerKind::dense_then_dense: return {};
    case LayerKind::dense_then_sparse: return {.next_sparse = true};
    case LayerKind::sparse_after_dense: return {.sparse = true, .next_sparse = true};
    case LayerKind::sparse_after_sparse:
      return {.sparse = true, .previous_sparse = true, .next_sparse = true};
    case LayerKind::last_sparse: return {.last = true, .sparse = true, .previous_sparse = true};
    case LayerKind::last_dense: return {.last = true};
    case LayerKind::first_sparse: return {.first = true, .sparse = true, .next_sparse = true};
  }
  return {};
}

std::string_view name_of(ScatterMode mode) {
  switch (mode) {
    case ScatterMode::scattered: return "SCATTERED";
    case ScatterMode::tp_attn_full: return "TP_ATTN_FULL";
    case ScatterMode::full: return "FULL";
    case ScatterMode::moe_full: return "MOE_FULL";
  }
  return "FULL";
}

std::string_view name_of(LayerKind kind) {
  switch (kind) {
    case LayerKind::first_dense: return "first_dense";
    case LayerKind::dense_then_dense: return "dense_then_dense";
    case LayerKind::dense_then_sparse: return "dense_then_sparse";
    case LayerKind::sparse_after_dense: return "sparse_after_dense";
    case LayerKind::sparse_after_sparse: return "sparse_after_sparse";
    case LayerKind::last_sparse: return "last_sparse";
    case LayerKind::last_dense: return "last_dense";
    case LayerKind::first_sparse: return "first_sparse";
  }
  return "first_dense";
}

std::string_view name_of(BeforeAttention transition) {
  return transition == BeforeAttention::trivial ? "_trivial" : "_scattered_to_tp_attn_full";
}

std::string_view name_of(BeforeMlp transition) {
  switch (transition) {
    case BeforeMlp::simple: return "_simple";
    case BeforeMlp::gather: return "_gather_hidden_states_and_residual";
    case BeforeMlp::gather_moe: return "_gather_hidden_states_and_residual_moe";
    case BeforeMlp::reduce_scatter: return "_scatter_hidden_states_and_residual";
  }
  return "_simple";
}

std::string_view name_of(AfterMlp transition) {
  switch (transition) {
    case AfterMlp::trivial: return "_trivial";
    case AfterMlp::scatter_full: return "_scatter_hidden_states";
    case AfterMlp::gather: return "_gather";
    case AfterMlp::scatter_moe: return "_scatter_hidden_states_moe";
  }
  return "_trivial";
}

}  // namespace capsize::sglang
