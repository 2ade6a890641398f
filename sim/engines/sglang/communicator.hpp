// SGLang's layer communicator as a state machine (layers/communicator.py at #23972): the scatter
// mode of every tensor of a layer, and the transition functions that follow from the modes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/engines/sglang/groups.hpp"

namespace capsize::sglang {

enum class ScatterMode : std::uint8_t { scattered, tp_attn_full, full, moe_full };
[[nodiscard]] std::string_view name_of(ScatterMode mode);

// The layer kinds whose transitions can differ: own sparsity, the neighbours', the position.
enum class LayerKind : std::uint8_t {
  first_dense,
  dense_then_dense,
  dense_then_sparse,
  sparse_after_dense,
  sparse_after_sparse,
  last_sparse,
  last_dense,
  first_sparse,
};
inline constexpr std::array kLayerKinds = {
    LayerKind::first_dense,        LayerKind::dense_then_dense,    LayerKind::dense_then_sparse,
    LayerKind::sparse_after_dense, LayerKind::sparse_after_sparse, LayerKind::last_sparse,
    LayerKind::last_dense,         LayerKind::first_sparse};
[[nodiscard]] std::string_view name_of(LayerKind kind);

// What the modes of a layer depend on.
struct LayerContext {
  bool first = false;
  bool last = false;
  bool sparse = false;
  bool previous_sparse = false;
  bool next_sparse = false;
};
// The context that a kind stands for (its representative in the communicator's own table).
[[nodiscard]] LayerContext context_of(LayerKind kind);

struct CommunicatorInput {
  Sizes sizes;
  bool dense_fully_dp = false;  // moe_dense_tp_size is 1
  bool a2a = false;
  bool two_batch_overlap = false;
  friend bool operator==(const CommunicatorInput&, const CommunicatorInput&) = default;
};

struct ScatterModes {
  ScatterMode input = ScatterMode::tp_attn_full;
  ScatterMode attention = ScatterMode::tp_attn_full;
  ScatterMode mlp = ScatterMode::full;
  ScatterMode middle_residual = ScatterMode::tp_attn_full;
  ScatterMode output = ScatterMode::tp_attn_full;
};

// Before attention, before the MLP, after the MLP. Names of the engine's functions: name_of().
enum class BeforeAttention : std::uint8_t { trivial, scattered_to_tp_attn_full };
enum class BeforeMlp : std::uint8_t { simple, gather, gather_moe, reduce_scatter };
enum class AfterMlp : std::uint8_t { trivial, scatter_full, gather, scatter_moe };
[[nodiscard]] std::string_view name_of(BeforeAttention transition);
[[nodiscard]] std::string_view name_of(BeforeMlp transition);
[[nodiscard]] std::string_view name_of(AfterMlp transition);

struct Transitions {
  ScatterModes modes;
  BeforeAttention before_attention = BeforeAttention::trivial;
  BeforeMlp before_mlp = BeforeMlp::simple;
  AfterMlp after_mlp = AfterMlp::trivial;
};

[[nodiscard]] Transitions transitions_of(const CommunicatorInput& in, const LayerContext& layer);

}  // namespace capsize::sglang
