#include "sim/engines/sglang/layers.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace capsize::sglang {
namespace {

constexpr std::string_view kPrepareAttn = "layers/communicator.py::LayerCommunicator.prepare_attn";
constexpr std::string_view kScatteredToFull =
    "layers/communicator.py::CommunicateSimpleFn._scattered_to_tp_attn_full";
constexpr std::string_view kGather =
    "layers/communicator.py::CommunicateWithAllReduceAndLayerNormFn."
    "_gather_hidden_states_and_residual";
constexpr std::string_view kReduceScatter =
    "layers/communicator.py::CommunicateWithAllReduceAndLayerNormFn."
    "_scatter_hidden_states_and_residual";
constexpr std::string_view kScatterFull =
    "layers/communicator.py::CommunicateSummableTensorPairFn._scatter_hidden_states";
constexpr std::string_view kGatherSum =
    "layers/communicator.py::CommunicateSummableTensorPairFn._gather";
constexpr std::string_view kScatterMoe =
    "layers/communicator.py::CommunicateSummableTensorPairFn._scatter_hidden_states_moe";

// Builds the operations of one step, block by block.
class StepBuilder {
 public:
  StepBuilder(std::string_view path, const StepInput& in) : in_(in), sizes_(in.communicator.sizes) {
    step_.path = path;
    step_.topology = in.topology;
    local_.base = step_.exprs.scale(in.width.value, step_.exprs.n());
    set_rows(local_.base);
    step_.entry_rows = shard_;
    sparse_.resize(static_cast<std::size_t>(in.model->num_hidden_layers));
    for (std::size_t i = 0; i < sparse_.size(); ++i) {
      sparse_[i] = is_sparse_layer(*in.model, static_cast<std::int64_t>(i));
    }
    say_layers();
    if (sizes_.attn_dp > 1) step_.entry_layout.push({LayoutKind::scattered, kAttnDp});
    if (splits_context()) step_.entry_layout.push({LayoutKind::scattered, kAttnCp});
  }

  SymbolicStep build() {
    if (!in_.facts.layer_communicator) {
      add_plain_layers();
    } else if (in_.splits_batch) {
      add_overlapped_layers();
    } else {
      add_layers(0, in_.model->num_hidden_layers);
    }
    return std::move(step_);
  }

 private:
  [[nodiscard]] bool splits_context() const { return in_.splits_context && sizes_.attn_cp > 1; }
  [[nodiscard]] bool sparse(std::int64_t layer) const {
    return sparse_[static_cast<std::size_t>(layer)];
  }

  // What the model computes, layer by layer. The two halves of a two-batch overlap are no forward
  // of one batch.
  void say_layers() {
    const bool overlapped = in_.splits_batch && std::ranges::find(sparse_, true) != sparse_.end();
    if (overlapped && in_.facts.layer_communicator) return;
    std::vector<ModelLayers>& layers = step_.layers;
    for (const bool sparse : sparse_) {
      const LayerMathematics kind = sparse && in_.facts.layer_communicator
                                        ? LayerMathematics::sparse
                                        : LayerMathematics::dense;
      if (!layers.empty() && layers.back().kind == kind) {
        ++layers.back().count;
      } else {
        layers.push_back({kind, 1});
      }
    }
  }

  // Rows of this forward: `local_` fills the local buffer (the unsplit count is what the engine
  // publishes), `shard_` is what a rank holds, `global_` what all replicas hold together.
  void set_rows(Expr base) {
    local_.base = base;
    global_.base = step_.exprs.scale(sizes_.attn_dp, base);
    shard_ = local_;
    if (splits_context()) shard_.push({SplitKind::zigzag, kAttnCp, sizes_.attn_cp});
  }

  void add(Op op) { block_->ops.push_back(op); }

  // Llama and its like: no communicator, everything is cut over tp.
  void add_plain_layers() {
    step_.blocks.push_back({.kind = "dense", .repeat = in_.model->num_hidden_layers, .ops = {}});
    block_ = &step_.blocks.back();
    add({.kind = OpKind::add_norm});
    add({.kind = OpKind::attention, .group = kTp});
    add({.kind = OpKind::all_reduce, .group = kTp});
    add({.kind = OpKind::add_norm});
    add({.kind = OpKind::mlp, .group = kTp});
    add({.kind = OpKind::all_reduce, .group = kTp});
  }

  // Two-batch overlap: the layers before the first sparse one see the whole batch, the others two
  // halves, each padded to a multiple of attention TP (batch_overlap/two_batch_overlap.py).
  void add_overlapped_layers() {
    const std::int64_t layers = in_.model->num_hidden_layers;
    std::int64_t first_sparse = 0;
    while (first_sparse < layers && !sparse(first_sparse)) ++first_sparse;
    add_layers(0, first_sparse);
    Exprs& exprs = step_.exprs;
    const Expr half = exprs.floor_div(exprs.n(), 2);
    for (const Expr requests : {half, exprs.subtract(exprs.n(), half)}) {
      set_rows(exprs.align_up(exprs.scale(in_.width.value, requests), sizes_.attn_tp()));
      const std::size_t begin = step_.blocks.size();
      add_layers(first_sparse, layers);
      if (begin < step_.blocks.size()) step_.blocks[begin].enters_with = shard_;
    }
  }

  void add_layers(std::int64_t begin, std::int64_t end) {
    const std::int64_t last = in_.model->num_hidden_layers - 1;
    bool previous = begin > 0 && sparse(begin - 1);
    bool current = begin < end && sparse(begin);
    for (std::int64_t i = begin; i < end; ++i) {
      const bool next = i < last && sparse(i + 1);
      const LayerContext context{.first = i == 0,
                                 .last = i == last,
                                 .sparse = current,
                                 .previous_sparse = previous,
                                 .next_sparse = next};
      previous = std::exchange(current, next);
      if (i > begin && same(context, previous_)) {
        ++step_.blocks.back().repeat;
        continue;
      }
      previous_ = context;
      step_.blocks.push_back({.kind = kind_name(context), .first_layer = i, .ops = {}});
      block_ = &step_.blocks.back();
      add_layer(context);
    }
  }

  static bool same(const LayerContext& a, const LayerContext& b) {
    return a.first == b.first && a.last == b.last && a.sparse == b.sparse &&
           a.previous_sparse == b.previous_sparse && a.next_sparse == b.next_sparse;
  }

  static std::string_view kind_name(const LayerContext& c) {
    if (c.sparse) {
      if (c.last) return name_of(LayerKind::last_sparse);
      if (c.first) return name_of(LayerKind::first_sparse);
      return name_of(c.previous_sparse ? LayerKind::sparse_after_sparse
                                       : LayerKind::sparse_after_dense);
    }
    if (c.last) return name_of(LayerKind::last_dense);
    if (c.first) return name_of(LayerKind::first_dense);
    return name_of(c.next_sparse ? LayerKind::dense_then_sparse : LayerKind::dense_then_dense);
  }

  void add_layer(const LayerContext& context) {
    block_->ops.reserve(16);
    const Transitions t = transitions_of(in_.communicator, context);
    add({.kind = OpKind::add_norm, .rule = kPrepareAttn});
    if (t.before_attention == BeforeAttention::scattered_to_tp_attn_full) {
      gather_local(Slot::hidden, kScatteredToFull);
    }
    add({.kind = OpKind::attention, .group = kAttnTp});
    add_before_mlp(t);
    add_mlp(context, t);
    add_after_mlp(t);
  }

  void gather_local(Slot slot, std::string_view rule) {
    add({.kind = OpKind::all_gather,
         .slot = slot,
         .group = kAttnTp,
         .buffer = in_.facts.buffers_follow_shard ? shard_ : local_,
         .buffer_name = in_.facts.buffers_follow_shard ? "shard" : "local DP buffer",
         .rule = rule});
  }

  void add_before_mlp(const Transitions& t) {
    switch (t.before_mlp) {
      case BeforeMlp::simple: add({.kind = OpKind::add_norm, .rule = kPrepareAttn}); break;
      case BeforeMlp::gather: add_gather(t); break;
      case BeforeMlp::gather_moe:
        add_gather(t);
        add_context_gather();
        break;
      case BeforeMlp::reduce_scatter:
        if (t.modes.input == ScatterMode::tp_attn_full) {
          add({.kind = OpKind::slice,
               .slot = Slot::residual,
               .group = kAttnTp,
               .rule = kReduceScatter});
        }
        add({.kind = OpKind::reduce_scatter, .group = kAttnTp, .rule = kReduceScatter});
        add({.kind = OpKind::add_norm, .rule = kReduceScatter});
        break;
    }
  }

  void add_gather(const Transitions& t) {
    if (t.modes.input == ScatterMode::scattered && sizes_.attn_tp() > 1) {
      gather_local(Slot::residual, kGather);
    }
    if (sizes_.attn_dp == 1) {
      add({.kind = OpKind::all_reduce, .group = kAttnTp, .rule = kGather});
      add({.kind = OpKind::add_norm, .rule = kGather});
      return;
    }
    // Where attention is not cut, the norm works on the few own rows. Elsewhere the gather has to
    // sum first: rank 0 adds the residual, and the norm works on what all replicas hold.
    const bool norm_first = sizes_.attn_tp() == 1;
    add(norm_first ? Op{.kind = OpKind::add_norm, .rule = kGather}
                   : Op{.kind = OpKind::add_first, .group = kAttnTp, .rule = kGather});
    gather_global();
    if (norm_first) return;
    add({.kind = OpKind::keep_own, .group = kAttnDp, .rule = kGather});
    add({.kind = OpKind::local, .role = Role::norm, .rule = kGather});
  }

  // The own rows into the buffer of all replicas.
  void gather_global() {
    const Op into_global{.kind = OpKind::all_gather,
                         .group = kTp,
                         .buffer = global_,
                         .buffer_name = "global DP buffer",
                         .rule = kGather};
    if (in_.dp_padding == DpPadding::sum_len) {
      Op sum = into_global;
      sum.kind = OpKind::sum_into_buffer;
      return add(sum);
    }
    if (sizes_.attn_tp() > 1) {
      add({.kind = OpKind::reduce_scatter, .group = kAttnTp, .rule = kGather});
    }
    add(into_global);
  }

  // MOE_FULL under an active context split: shards padded to the largest, over MOE_DP.
  void add_context_gather() {
    if (!splits_context()) return;
    Exprs& exprs = step_.exprs;
    const std::int64_t cp = sizes_.attn_cp;
    const Expr padded = exprs.scale(cp, exprs.split_part(local_.base, cp, 0));
    const Expr rows = exprs.if_at_least(local_.base, 2 * cp, padded, local_.base);
    add({.kind = OpKind::all_gather_padded,
         .group = kMoeDp,
         .buffer = RankRows{.base = rows},
         .buffer_name = "padded context buffer",
         .rule = kScatterMoe});
  }

  void add_mlp(const LayerContext& context, const Transitions& t) {
    if (t.modes.mlp == ScatterMode::scattered) {
      return add({.kind = OpKind::local, .role = context.sparse ? Role::experts : Role::mlp});
    }
    if (!context.sparse || sizes_.attn_dp > 1) {
      add({.kind = context.sparse ? OpKind::moe : OpKind::mlp, .group = kTp});
      if (sizes_.attn_dp == 1 || in_.dp_padding == DpPadding::sum_len) {
        add({.kind = OpKind::all_reduce, .group = kTp});
      }
      return;
    }
    for (const GroupId group : {kMoeEp, kMoeTp}) add({.kind = OpKind::moe, .group = group});
    for (const GroupId group : {kMoeEp, kMoeTp}) add({.kind = OpKind::all_reduce, .group = group});
  }

  void add_after_mlp(const Transitions& t) {
    switch (t.after_mlp) {
      case AfterMlp::trivial: break;
      case AfterMlp::gather:
        add({.kind = OpKind::add_norm, .role = Role::add, .rule = kGatherSum});
        if (sizes_.attn_tp() > 1) gather_local(Slot::hidden, kGatherSum);
        add({.kind = OpKind::restart_residual, .rule = kGatherSum});
        break;
      case AfterMlp::scatter_moe:
        if (splits_context()) {
          add({.kind = OpKind::take_own, .group = kAttnCp, .buffer = shard_, .rule = kScatterMoe});
        }
        break;
      case AfterMlp::scatter_full: add_scatter_full(); break;
    }
  }

  // Back from all replicas' rows to the own ones: a reduce-scatter over tp (and a gather over
  // attention TP) where every replica holds equally many rows, else a copy.
  void add_scatter_full() {
    if (sizes_.attn_dp == 1) return;
    if (in_.dp_padding == DpPadding::sum_len) {
      add({.kind = OpKind::take_own, .group = kAttnDp, .buffer = local_, .rule = kScatterFull});
      return;
    }
    add({.kind = OpKind::reduce_scatter,
         .group = kTp,
         .axes = {kAttnDp, kAttnTp},
         .rule = kScatterFull});
    if (sizes_.attn_tp() > 1) gather_local(Slot::hidden, kScatterFull);
  }

  const StepInput& in_;
  const Sizes& sizes_;
  SymbolicStep step_;
  RankRows local_;
  RankRows shard_;
  RankRows global_;
  std::vector<bool> sparse_;  // by layer
  LayerContext previous_;
  LayerBlock* block_ = nullptr;
};

}  // namespace

SymbolicStep step_of(std::string_view path, const StepInput& in) {
  return StepBuilder(path, in).build();
}

}  // namespace capsize::sglang
