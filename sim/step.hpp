// A SymbolicStep: what every rank does in one forward, as typed operations over groups. It is
// written once per path and holds for every token count: row counts are not written down, they
// follow from the operations (rows.hpp walks them). A layer kind is written once, with a repeat
// count.
//
// Data on a rank has a layout. `Scattered(g)`: each rank of g holds its own part. `Partial(g)`:
// each rank of g holds an unreduced sum over all rows. Neither: all ranks hold the same rows.
// Layouts nest; the outermost split comes first.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/expr.hpp"
#include "sim/models/layers.hpp"
#include "sim/topology.hpp"

namespace capsize {

enum class LayoutKind : std::uint8_t { scattered, partial };

struct LayoutPart {
  LayoutKind kind = LayoutKind::scattered;
  GroupId axis;
  friend bool operator==(LayoutPart, LayoutPart) = default;
};

// A short vector: layouts never nest deeper than the axes that split one batch.
struct Layout {
  std::array<LayoutPart, 6> parts{};
  std::uint8_t depth = 0;

  void push(LayoutPart part) { parts.at(depth++) = part; }
  void pop() { --depth; }
  [[nodiscard]] bool empty() const { return depth == 0; }
  [[nodiscard]] LayoutPart back() const { return parts.at(depth - 1U); }
  friend bool operator==(const Layout& a, const Layout& b) {
    if (a.depth != b.depth) return false;
    for (std::uint8_t i = 0; i < a.depth; ++i) {
      if (!(a.parts.at(i) == b.parts.at(i))) return false;
    }
    return true;
  }
};

enum class SplitKind : std::uint8_t {
  parts,   // tensor_split: the first rows mod g parts hold one row more
  zigzag,  // blocks i and 2g-1-i of 2g; inactive (no split) below 2g rows
};

struct Split {
  SplitKind kind = SplitKind::parts;
  GroupId axis;
  std::int64_t ways = 1;
  friend bool operator==(Split, Split) = default;
};

// How many rows each rank holds: `base` rows, split along axes, outermost first.
struct RankRows {
  Expr base;
  std::array<Split, 3> splits{};
  std::uint8_t depth = 0;

  void push(Split split) { splits.at(depth++) = split; }
  friend bool operator==(const RankRows& a, const RankRows& b) {
    if (!(a.base == b.base) || a.depth != b.depth) return false;
    for (std::uint8_t i = 0; i < a.depth; ++i) {
      if (!(a.splits.at(i) == b.splits.at(i))) return false;
    }
    return true;
  }
};

// The two tensors that travel through a layer stack.
enum class Slot : std::uint8_t { hidden, residual };
[[nodiscard]] std::string_view name_of(Slot slot);

enum class OpKind : std::uint8_t {
  attention,       // hidden in full over `group` -> Partial(group); rows unchanged
  mlp,             // the same for a dense MLP whose weights are cut over `group`
  moe,             // the same for experts cut over `group`
  local,           // an MLP, experts or a norm on the rows at hand; rows and layout unchanged
  add_norm,        // hidden + residual, norm: both operands need equal rows on every rank
  add_first,       // the first rank of `group`, whose unreduced sum hidden is, adds residual to it
  reduce_scatter,  // Partial(group) -> Scattered(group)
  all_gather,      // Scattered(group) -> full, into a buffer of `buffer` rows
  all_gather_padded,  // the same for unequal parts, padded to the largest: asks nothing
  sum_into_buffer,    // each rank adds its part at its own place of a buffer that is then summed
  all_reduce,         // Partial(group) -> full
  slice,              // full -> Scattered(group), no communication, uneven parts allowed
  take_own,           // back to the rows that this rank held before a gather; no communication
  keep_own,           // residual := the rows of hidden, on all ranks of `group`, that it had before
  restart_residual,   // residual := hidden
};

[[nodiscard]] std::string_view name_of(OpKind kind);

// What an operation computes on the rows at hand, beside where they go. The mathematics of each
// stands in sim/models/exact_model.hpp; most operations only move, sum or copy rows.
enum class Role : std::uint8_t {
  move,
  attention,  // hidden' = attention(hidden), with the part of the weights that the rank holds
  mlp,        // hidden' = mlp(hidden), likewise
  experts,    // hidden' = the chosen experts' sum, of those that the rank holds
  add_norm,   // residual' = hidden + residual, hidden' = norm(residual')
  add,        // hidden' = hidden + residual
  add_first,  // the same on the first rank of the group that hidden is an unreduced sum of
  norm,       // hidden' = norm(hidden)
  restart,    // residual' = nothing to add, as many rows as hidden has
  keep,       // residual' = rows of hidden (a slice that reads one tensor and writes the other)
};
inline constexpr std::size_t kRoles = 10;
[[nodiscard]] std::string_view name_of(Role role);

struct Op {
  OpKind kind = OpKind::local;
  Slot slot = Slot::hidden;
  GroupId group = {};      // the communicator (or the axis of a slice)
  Role role = Role::move;  // where the kind alone does not say it: see role_of()
  // Axes along which a reduce-scatter leaves its rows split, outermost first, where they are not
  // the group itself: a reduce-scatter over tp leaves rows split over attention dp and tp.
  std::array<GroupId, 2> axes{};
  // all_gather, sum_into_buffer: the rows of the buffer that is filled; take_own: the rows.
  RankRows buffer = {};
  std::string_view buffer_name = {};
  std::string_view rule = {};  // the engine's function that issues it
};

// What the operation computes, by its kind or as it says itself.
[[nodiscard]] Role role_of(const Op& op);
// The tensor that it leaves behind; an add_norm leaves both.
[[nodiscard]] Slot written_by(const Op& op);

// A run of equal layers.
struct LayerBlock {
  std::string_view kind;  // "first_dense", "dense_then_sparse", "sparse_after_sparse", ...
  std::int64_t first_layer = 0;
  std::int64_t repeat = 1;
  std::vector<Op> ops;
  // The block begins with these rows instead of those that the block before left behind (the two
  // halves of a two-batch overlap).
  std::optional<RankRows> enters_with = std::nullopt;
};

struct SymbolicStep {
  std::string path;  // "prefill", "decode"
  Exprs exprs;
  std::shared_ptr<const Topology> topology;
  Layout entry_layout;  // of hidden and residual when the layer stack begins
  RankRows entry_rows;
  std::vector<LayerBlock> blocks;
  // The model's layers, first to last. Empty where the blocks are not one forward of one batch.
  std::vector<ModelLayers> layers = {};
};

}  // namespace capsize
