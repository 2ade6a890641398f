#include "runtime/host_compute.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/rows/mix.hpp"

namespace capsize {
namespace {

void copy_rows(ConstMatrix from, std::int64_t first, Matrix to, std::int64_t at,
               std::int64_t rows) {
  if (rows <= 0) return;
  std::memcpy(to.row(at), from.row(first), static_cast<std::size_t>(rows) * from.row_bytes());
}

void clear_rows(Matrix to, std::int64_t first, std::int64_t last) {
  if (first >= last) return;
  std::memset(to.row(first), 0, static_cast<std::size_t>(last - first) * to.row_bytes());
}

}  // namespace

void place_rows(ConstMatrix in, std::int64_t at, Matrix out, bool clears) {
  const std::int64_t first = std::min(at, out.rows);
  const std::int64_t rows = std::min(in.rows, out.rows - first);
  if (clears) clear_rows(out, 0, first);
  copy_rows(in, 0, out, first, rows);
  if (clears) clear_rows(out, first + rows, out.rows);
}

void mix_rows(std::span<const ConstMatrix> inputs, std::uint32_t salt, Matrix out) {
  if (inputs.size() == 1 && inputs.front().rows == out.rows) {
    const std::uint32_t first = mixed(salt);
    const std::byte* from = inputs.front().data;
    for (std::size_t at = 0; at < out.bytes(); at += sizeof(std::uint32_t)) {
      std::uint32_t element = 0;
      std::memcpy(&element, from + at, sizeof element);
      element = mixed(first ^ element);
      std::memcpy(out.data + at, &element, sizeof element);
    }
    return;
  }
  const std::int64_t again = std::max<std::int64_t>(1, inputs.empty() ? 1 : inputs.front().rows);
  for (std::int64_t row = 0; row < out.rows; ++row) {
    const std::uint32_t first = mixed(salt + static_cast<std::uint32_t>(row / again));
    for (std::int64_t column = 0; column < out.columns; ++column) {
      const std::size_t at = static_cast<std::size_t>(column) * sizeof(std::uint32_t);
      std::uint32_t value = first;
      for (const ConstMatrix& in : inputs) {
        if (in.rows == 0) continue;
        std::uint32_t element = 0;
        std::memcpy(&element, in.row(row % in.rows) + at, sizeof element);
        value = mixed(value ^ element);
      }
      std::memcpy(out.row(row) + at, &value, sizeof value);
    }
  }
}

void compute_on_host(const Weights* weights, const LocalCall& call) {
  const Matrix out = call.out.front();
  switch (call.role) {
    case Role::attention:
    case Role::mlp:
    case Role::experts: return weights->apply(call.role, call.layer, call.share, call.in[0], out);
    case Role::add_norm: return add_norm(call.in[0], call.in[1], out, call.out[1]);
    case Role::add: return add(call.in[0], call.in[1], out, true);
    case Role::add_first:
      if (call.adds) return add(call.in[0], call.in[1], out, false);
      return copy_rows(call.in[0], 0, out, 0, out.rows);
    case Role::norm: return norm(call.in[0], out);
    case Role::restart: return clear_rows(out, 0, out.rows);
    case Role::keep:
    case Role::move: break;
  }
  if (call.kind == PlanOpKind::slice) return copy_rows(call.in[0], call.from_row, out, 0, out.rows);
  if (call.kind == PlanOpKind::copy && !call.in.empty()) {
    return place_rows(call.in[0], call.to_row, out, true);
  }
  // With mathematics, an operation that says nothing of what it computes passes its rows on.
  if (weights != nullptr) return place_rows(call.in[0], 0, out, true);
  mix_rows(call.in, static_cast<std::uint32_t>(call.salt ^ (call.salt >> 32U)), out);
}

}  // namespace capsize
