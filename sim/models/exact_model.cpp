#include "sim/models/exact_model.hpp"

#include <algorithm>
#include <cstdlib>

namespace capsize {
namespace {

using Row = std::vector<std::int32_t>;

std::int32_t wrap(std::int32_t value) { return ((value + 128) & 255) - 128; }

std::int32_t integer_root(std::int32_t number) {
  std::int32_t root = 0;
  while ((root + 1) * (root + 1) <= number) ++root;
  return root;
}

void normalize(const Row& row, Row& out) {
  std::int32_t squares = 0;
  for (const std::int32_t element : row) squares += element * element;
  const std::int32_t mean = squares / static_cast<std::int32_t>(row.size());
  const std::int32_t root = std::max(1, integer_root(mean));
  for (std::size_t j = 0; j < row.size(); ++j) {
    const std::int32_t four = 4 * std::abs(row[j]);
    std::int32_t steps = 0;
    for (const std::int32_t odd : {1, 3, 5}) steps += four >= odd * root ? 1 : 0;
    out[j] = row[j] < 0 ? -steps : steps;
  }
}

}  // namespace

std::int64_t ExactModel::layer_count() const {
  std::int64_t count = 0;
  for (const ModelLayers& run : layers) count += run.count;
  return count;
}

LayerMathematics ExactModel::kind_of(std::int64_t layer) const {
  for (const ModelLayers& run : layers) {
    if (layer < run.count) return run.kind;
    layer -= run.count;
  }
  return LayerMathematics::dense;
}

void entry_row(const ExactModel& model, std::uint64_t token, std::uint64_t step,
               std::span<std::int32_t> row) {
  const std::uint64_t place = entry_place(entry_batch(model.seed, step), token);
  std::uint64_t hash = 0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    const auto which = static_cast<int>(j % kEntriesOfHash);
    if (which == 0) hash = entry_hash(place, j / kEntriesOfHash);
    row[j] = entry_element(hash, which);
  }
}

std::int8_t weight_at(const ExactModel& model, std::int64_t layer, LayerPart part, WeightKind kind,
                      std::int64_t expert, std::int64_t unit, std::int64_t column) {
  return exact_weight(model.seed, {.layer = layer,
                                   .part = part,
                                   .kind = kind,
                                   .expert = expert,
                                   .unit = unit,
                                   .column = column});
}

Oracle::Oracle(const ExactModel& model) : model_(model) {
  const std::int64_t layers = model_.layer_count();
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    Layer made;
    made.attention = unit_weights(layer, LayerPart::attention, 0, model_.units);
    if (model_.kind_of(layer) == LayerMathematics::dense) {
      made.feed_forward = {unit_weights(layer, LayerPart::feed_forward, 0, model_.units)};
    } else {
      for (std::int64_t expert = 0; expert < model_.experts; ++expert) {
        made.feed_forward.push_back(
            unit_weights(layer, LayerPart::feed_forward, expert, model_.expert_units));
        for (std::int64_t j = 0; j < model_.hidden; ++j) {
          made.router.push_back(
              weight_at(model_, layer, LayerPart::feed_forward, WeightKind::router, 0, expert, j));
        }
      }
    }
    layers_.push_back(std::move(made));
  }
}

Oracle::UnitWeights Oracle::unit_weights(std::int64_t layer, LayerPart part, std::int64_t expert,
                                         std::int64_t units) const {
  UnitWeights made{.units = units};
  for (std::int64_t unit = 0; unit < units; ++unit) {
    for (std::int64_t j = 0; j < model_.hidden; ++j) {
      made.up.push_back(weight_at(model_, layer, part, WeightKind::up, expert, unit, j));
      made.down.push_back(weight_at(model_, layer, part, WeightKind::down, expert, unit, j));
    }
  }
  return made;
}

void Oracle::add_units(const UnitWeights& weights, const Row& x, Row& out) const {
  const std::size_t hidden = x.size();
  for (std::size_t unit = 0; unit < static_cast<std::size_t>(weights.units); ++unit) {
    const std::int8_t* up = &weights.up[unit * hidden];
    const std::int8_t* down = &weights.down[unit * hidden];
    std::int32_t sum = 0;
    for (std::size_t j = 0; j < hidden; ++j) sum += up[j] * x[j];
    const std::int32_t active = (sum & 3) - 1;
    for (std::size_t j = 0; j < hidden; ++j) out[j] += active * down[j];
  }
}

void Oracle::add_experts(const Layer& layer, const Row& x, Row& out) const {
  const std::size_t hidden = x.size();
  std::vector<std::int32_t> logits(layer.feed_forward.size(), 0);
  for (std::size_t expert = 0; expert < logits.size(); ++expert) {
    for (std::size_t j = 0; j < hidden; ++j) {
      logits[expert] += layer.router[expert * hidden + j] * x[j];
    }
  }
  std::vector<bool> chosen(logits.size(), false);
  for (std::int64_t taken = 0; taken < model_.experts_per_token; ++taken) {
    std::size_t best = logits.size();
    for (std::size_t expert = 0; expert < logits.size(); ++expert) {
      if (chosen[expert]) continue;
      if (best == logits.size() || logits[expert] > logits[best]) best = expert;
    }
    if (best == logits.size()) return;  // fewer experts than a token asks for
    chosen[best] = true;
    add_units(layer.feed_forward[best], x, out);
  }
}

void Oracle::forward(std::span<const std::int32_t> entry, std::span<std::int32_t> output) const {
  forward(entry, output, nullptr);
}

void Oracle::forward(std::span<const std::int32_t> entry, std::span<std::int32_t> output,
                     std::vector<std::vector<std::int32_t>>* residuals) const {
  Row hidden(entry.begin(), entry.end());
  Row residual(hidden.size(), 0);
  Row x(hidden.size(), 0);
  const auto add_and_normalize = [&] {
    for (std::size_t j = 0; j < hidden.size(); ++j) residual[j] = wrap(hidden[j] + residual[j]);
    if (residuals != nullptr) residuals->push_back(residual);
    normalize(residual, x);
    std::ranges::fill(hidden, 0);
  };
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    add_and_normalize();
    add_units(layers_[layer].attention, x, hidden);
    add_and_normalize();
    if (layers_[layer].router.empty()) {
      add_units(layers_[layer].feed_forward.front(), x, hidden);
    } else {
      add_experts(layers_[layer], x, hidden);
    }
  }
  for (std::size_t j = 0; j < hidden.size(); ++j) output[j] = wrap(hidden[j] + residual[j]);
  if (residuals != nullptr) residuals->emplace_back(output.begin(), output.end());
}

void forward(const ExactModel& model, std::span<const std::int32_t> entry,
             std::span<std::int32_t> output) {
  Oracle(model).forward(entry, output);
}

}  // namespace capsize
