// A model that is small enough for one core and real enough to be wrong: residual stream, norm,
// attention and MLP stand-ins with weights that can be cut, a router with experts. All of it is
// integer arithmetic whose sums are exact in every element type, so that any number of ranks, any
// order of addition and any launch mode must give the same bits.
//
// One layer, of one token (x is the row that the norm leaves, `wrap` folds into [-128, 127]):
//
//   residual = wrap(hidden + residual);  x = norm(residual);  hidden = attention(x)
//   residual = wrap(hidden + residual);  x = norm(residual);  hidden = mlp(x), or experts(x)
//
// and behind the last layer: output = wrap(hidden + residual). At the first layer hidden is the
// token's entry row and residual is zero.
//
//   norm(r)[j]      = sign(r[j]) * ((4|r[j]| >= q) + (4|r[j]| >= 3q) + (4|r[j]| >= 5q))
//                     with q = max(1, isqrt(floor(sum r^2 / hidden))): round(2 r / rms), cut at 3
//   attention, mlp  : unit k: a[k] = ((sum over j of up[k][j] x[j]) & 3) - 1, in {-1, 0, 1, 2};
//                     out[j] = sum over k of a[k] down[k][j]; the units are what ranks share
//   experts(x)      : logit[e] = sum over j of router[e][j] x[j]; the experts_per_token largest
//                     (the smaller index where they tie) each add their own MLP of expert_units
//
// Weights are -1 or 1 (down, router) and -1, 0 or 1 (up). With the sizes below sums stay within
// 2^8, which bf16 holds exactly: 64 units, or two experts of 32, of at most 2 give 128, and a
// residual on top of an unreduced sum another 128 (laws: exact data have a condition).
//
// `Oracle` knows no plan, no rank and no collective.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/models/exact_data.hpp"
#include "sim/models/layers.hpp"

namespace capsize {

struct ExactModel {
  std::vector<ModelLayers> layers;  // first to last
  std::int64_t hidden = 16;         // elements of a row
  std::int64_t units = 64;          // inner units of attention and of an MLP
  std::int64_t experts = 8;
  std::int64_t experts_per_token = 2;
  std::int64_t expert_units = 32;
  std::uint64_t seed = 1;

  friend bool operator==(const ExactModel&, const ExactModel&) = default;

  [[nodiscard]] std::int64_t layer_count() const;
  [[nodiscard]] LayerMathematics kind_of(std::int64_t layer) const;
};

// The row that a token enters the layers with: `model.hidden` integers in [-127, 127], a pure
// function of (seed, token, step). Another `step` is another batch.
void entry_row(const ExactModel& model, std::uint64_t token, std::uint64_t step,
               std::span<std::int32_t> row);

// The weights as pure functions of the seed and their place (exact_data.hpp).
[[nodiscard]] std::int8_t weight_at(const ExactModel& model, std::int64_t layer, LayerPart part,
                                    WeightKind kind, std::int64_t expert, std::int64_t unit,
                                    std::int64_t column);

// The oracle with its weights written out once, for many tokens: the output row of one, in plain
// loops.
class Oracle {
 public:
  explicit Oracle(const ExactModel& model);
  void forward(std::span<const std::int32_t> entry, std::span<std::int32_t> output) const;
  // The same; `residuals` is given what the residual stream holds behind each addition: two rows a
  // layer, then the output.
  void forward(std::span<const std::int32_t> entry, std::span<std::int32_t> output,
               std::vector<std::vector<std::int32_t>>* residuals) const;

 private:
  struct UnitWeights {
    std::int64_t units = 0;
    std::vector<std::int8_t> up;  // unit by unit, `hidden` of each
    std::vector<std::int8_t> down;
  };
  struct Layer {
    UnitWeights attention;
    std::vector<UnitWeights> feed_forward;  // the MLP, or one an expert
    std::vector<std::int8_t> router;        // expert by expert; empty where there are none
  };
  [[nodiscard]] UnitWeights unit_weights(std::int64_t layer, LayerPart part, std::int64_t expert,
                                         std::int64_t units) const;
  void add_units(const UnitWeights& weights, const std::vector<std::int32_t>& x,
                 std::vector<std::int32_t>& out) const;
  void add_experts(const Layer& layer, const std::vector<std::int32_t>& x,
                   std::vector<std::int32_t>& out) const;

  ExactModel model_;
  std::vector<Layer> layers_;
};

// The same of one token alone.
void forward(const ExactModel& model, std::span<const std::int32_t> entry,
             std::span<std::int32_t> output);

}  // namespace capsize
