// What one rank computes by itself, on its rows and its part of the weights: the meaning of every
// role (sim/models/exact_model.hpp states the mathematics; this is the sharded form of it, written
// apart from the oracle). And what is done to rows without computing: filling, poisoning, summing,
// comparing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "runtime/rows/element.hpp"
#include "sim/models/exact_model.hpp"
#include "sim/step.hpp"

namespace capsize {

// A contiguous share of units or experts.
struct Share {
  std::int64_t first = 0;
  std::int64_t count = 0;
  friend bool operator==(Share, Share) = default;
};

// Part `position` of `parts`: the first `total` mod `parts` parts hold one more.
[[nodiscard]] Share share_of(std::int64_t total, std::int64_t parts, std::int64_t position);

// Attention, mlp: `units` of the model's units. Experts: all of `experts`, of each the `units`.
struct WeightShare {
  Share units;
  Share experts;
  friend bool operator==(const WeightShare&, const WeightShare&) = default;
};

// The weights of a model, made once for all ranks; shares are views of them. For one thread.
class Weights {
 public:
  explicit Weights(const ExactModel& model);
  ~Weights();
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;
  [[nodiscard]] const ExactModel& model() const;

  // hidden' of attention, mlp or experts: rows of `in` to rows of `out`, which must be as many.
  // Rows that hold poison give rows that hold anything.
  void apply(Role role, std::int64_t layer, const WeightShare& share, ConstMatrix in,
             Matrix out) const;

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

// hidden' = norm(wrap(hidden)), and residual' = wrap(hidden + residual) with hidden' =
// norm(residual').
void norm(ConstMatrix in, Matrix out);
void add_norm(ConstMatrix hidden, ConstMatrix residual, Matrix hidden_out, Matrix residual_out);
// out = wrap(hidden + residual); without `wrap`, the plain sum.
void add(ConstMatrix hidden, ConstMatrix residual, Matrix out, bool wrap);

// to += from, in the element type's own addition.
void sum_into(ConstMatrix from, Matrix to);

// What is put into rows that no real token fills, and into outputs before they are written.
enum class Poison : std::uint8_t { nan, infinity, huge, stale };
inline constexpr int kPoisons = 4;
[[nodiscard]] std::string_view name_of(Poison poison);
// Of a poison that is the same in every element, thus not of `stale`.
[[nodiscard]] std::uint32_t poison_bits(ElementType type, Poison poison);
// The model whose entry rows `stale` fills with.
[[nodiscard]] ExactModel stale_model(std::int64_t columns, std::uint64_t salt);
// `stale` fills with what a step before could have left there: entry rows of another batch.
void poison_rows(Matrix rows, Poison poison, std::uint64_t salt);

// The bits that nothing in a sound run writes: outputs hold them before they are written, and guard
// bands always.
[[nodiscard]] std::uint32_t unwritten_bits(ElementType type);
void fill_unwritten(std::span<std::byte> bytes, ElementType type);
// Every element of `size` bytes becomes the first of `bits`.
void fill_bits(std::span<std::byte> bytes, std::uint32_t bits, std::size_t size);
// Whether all bytes still hold the fill.
[[nodiscard]] bool is_unwritten(std::span<const std::byte> bytes, ElementType type);

// The first row all of which still holds the fill; none where every row was written.
[[nodiscard]] std::optional<std::int64_t> first_unwritten_row(ConstMatrix rows);

// The first element of the rows that is unwritten or holds no integer of magnitude up to `bound`.
struct ElementPlace {
  std::int64_t row = 0;
  std::int64_t column = 0;
};
[[nodiscard]] std::optional<ElementPlace> first_inexact(ConstMatrix rows, std::int64_t bound);

// The bits of two equally large matrices: how many elements differ, and the first of them.
struct Difference {
  std::int64_t count = 0;
  ElementPlace first;
};
[[nodiscard]] Difference compare(ConstMatrix found, ConstMatrix expected);

}  // namespace capsize
