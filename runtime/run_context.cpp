#include "runtime/run_context.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace capsize {
namespace {

// Elements of rows and layers from which on another thread is worth its start.
constexpr std::int64_t kWorkOfAThread = std::int64_t{1} << 18;

// Tokens of different coordinates never share a number.
std::uint64_t token_of(std::int64_t coordinate, std::int64_t index) {
  return (static_cast<std::uint64_t>(coordinate) << 32U) | static_cast<std::uint64_t>(index);
}

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

ModelData::ModelData(const ExactModel& model, ElementType type)
    : weights_(model), oracle_(model), type_(type), id_(next_id()) {}

ModelData::Rows ModelData::rows(std::int64_t coordinate, std::uint64_t batch, std::int64_t count) {
  Batch& known = batch_of(coordinate, batch);
  if (known.count < count) grow(known, count);
  const std::int64_t columns = weights_.model().hidden;
  return {{known.entry.data(), count, columns, type_},
          {known.expected.data(), count, columns, type_},
          count > 0 ? known.nonzero[static_cast<std::size_t>(count - 1)] : 0};
}

ModelData::Batch& ModelData::batch_of(std::int64_t coordinate, std::uint64_t batch) {
  const auto known = std::ranges::find_if(batches_, [&](const Batch& each) {
    return each.coordinate == coordinate && each.batch == batch;
  });
  if (known != batches_.end()) return *known;
  return batches_.emplace_back(Batch{.coordinate = coordinate, .batch = batch});
}

// The oracle's loops are plain and long where rows are: all processors share the new rows.
void ModelData::grow(Batch& batch, std::int64_t count) {
  const ExactModel& model = weights_.model();
  const std::int64_t columns = model.hidden;
  const std::int64_t first = batch.count;
  batch.entry.resize(static_cast<std::size_t>(count * columns) * bytes_of(type_));
  batch.expected.resize(batch.entry.size());
  batch.nonzero.resize(static_cast<std::size_t>(count));
  const auto fill = [&](std::int64_t from, std::int64_t step) {
    for (std::int64_t row = from; row < count; row += step) fill_row(batch, row);
  };
  const std::int64_t work = (count - first) * columns * model.layer_count();
  const auto threads = std::clamp<std::int64_t>(work / kWorkOfAThread, 1,
                                                std::max(1U, std::thread::hardware_concurrency()));
  std::vector<std::thread> others;
  for (std::int64_t i = 1; i < threads; ++i) others.emplace_back(fill, first + i, threads);
  fill(first, threads);
  for (std::thread& each : others) each.join();
  for (std::int64_t row = std::max<std::int64_t>(first, 1); row < count; ++row) {
    const auto at = static_cast<std::size_t>(row);
    batch.nonzero[at] += batch.nonzero[at - 1];
  }
  batch.count = count;
}

void ModelData::fill_row(Batch& batch, std::int64_t row) const {
  const ExactModel& model = weights_.model();
  const auto columns = static_cast<std::size_t>(model.hidden);
  std::vector<std::int32_t> entry(columns);
  std::vector<std::int32_t> output(columns);
  entry_row(model, token_of(batch.coordinate, row), batch.batch, entry);
  oracle_.forward(entry, output);
  const std::size_t element = bytes_of(type_);
  const std::size_t at = static_cast<std::size_t>(row) * columns * element;
  for (std::size_t j = 0; j < columns; ++j) {
    store(type_, batch.entry.data() + at + j * element, entry[j]);
    store(type_, batch.expected.data() + at + j * element, output[j]);
  }
  batch.nonzero[static_cast<std::size_t>(row)] =
      static_cast<std::int64_t>(columns) - std::ranges::count(output, 0);
}

std::vector<std::vector<std::int32_t>> ModelData::residuals(std::int64_t coordinate,
                                                            std::uint64_t batch,
                                                            std::int64_t token) const {
  const auto columns = static_cast<std::size_t>(weights_.model().hidden);
  std::vector<std::int32_t> entry(columns);
  std::vector<std::int32_t> output(columns);
  std::vector<std::vector<std::int32_t>> out;
  entry_row(weights_.model(), token_of(coordinate, token), batch, entry);
  oracle_.forward(entry, output, &out);
  return out;
}

ModelData& RunContext::model(const ExactModel& model, ElementType type) {
  for (const auto& each : models_) {
    if (each->type() == type && each->weights().model() == model) return *each;
  }
  return *models_.emplace_back(std::make_unique<ModelData>(model, type));
}

}  // namespace capsize
