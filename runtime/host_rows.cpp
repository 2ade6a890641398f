#include "runtime/host_rows.hpp"

#include <cassert>
#include <cstring>
#include <utility>

namespace capsize {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::int64_t kMemoryMax = std::int64_t{8} << 30;

// No exact sum of a sound run is larger (sim/models/exact_model.hpp).
constexpr std::int64_t kExactBound = 256;

RowSpace::Answer answer_of(const Difference& difference) {
  return {difference.count, difference.first};
}

}  // namespace

Result<std::span<std::byte>> HostRows::memory(std::size_t bytes, bool /*plain*/) {
  if (memory_.size() < bytes + kLine) memory_.resize(bytes + kLine);
  const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
  const std::size_t skip = (kLine - address % kLine) % kLine;
  return std::span(memory_).subspan(skip, bytes);
}

std::int64_t HostRows::memory_max() const { return kMemoryMax; }

Result<ConstMatrix> HostRows::keep(const KeptKey& /*key*/, ConstMatrix rows) { return rows; }

void HostRows::copy(ConstMatrix from, Matrix to) {
  assert(from.bytes() == to.bytes());
  if (from.bytes() > 0) std::memcpy(to.data, from.data, from.bytes());
}

void HostRows::fill(Matrix rows, std::uint32_t bits) {
  fill_bits({rows.data, rows.bytes()}, bits, bytes_of(rows.type));
}

void HostRows::ask_difference(ConstMatrix found, ConstMatrix expected) {
  answers_.push_back(answer_of(compare(found, expected)));
}

void HostRows::ask_unwritten(ConstMatrix rows) {
  const auto row = first_unwritten_row(rows);
  answers_.push_back(row ? Answer{rows.columns, {*row, 0}} : Answer{});
}

void HostRows::ask_touched(ConstMatrix rows) {
  const bool holds = is_unwritten({rows.data, rows.bytes()}, rows.type);
  answers_.push_back(holds ? Answer{} : Answer{.count = 1});
}

Result<std::vector<RowSpace::Answer>> HostRows::answers() { return std::exchange(answers_, {}); }

Result<ConstMatrix> HostRows::on_host(ConstMatrix rows) { return rows; }

void prepare_on_host(const OutputPlace& output) {
  const Matrix& all = output.with_guards;
  fill_unwritten({all.data, all.bytes()}, all.type);
}

OutputFault look_on_host(const OutputPlace& output) {
  using What = OutputFault::What;
  const Matrix& out = output.rows;
  const Matrix& all = output.with_guards;
  const std::int64_t guards = (all.rows - out.rows) / 2;
  for (std::int64_t guard = 0; guard < guards; ++guard) {
    for (const std::int64_t row : {guard, all.rows - 1 - guard}) {
      if (is_unwritten({all.row(row), all.row_bytes()}, all.type)) continue;
      return {What::outside, {row - guards, 0}};
    }
  }
  if (!output.exact) {
    // Rows may hold anything here, but not what stood there before.
    const auto row = first_unwritten_row(out);
    return row ? OutputFault{What::unwritten, {*row, 0}} : OutputFault{};
  }
  const auto place = first_inexact(out, kExactBound);
  if (!place) return {};
  const std::byte* element =
      out.row(place->row) + static_cast<std::size_t>(place->column) * bytes_of(out.type);
  const bool unwritten = is_unwritten({element, bytes_of(out.type)}, out.type);
  return {unwritten ? What::unwritten : What::inexact, *place};
}

}  // namespace capsize
