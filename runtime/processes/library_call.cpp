#include "runtime/processes/library_call.hpp"

#include <algorithm>
#include <numeric>

namespace capsize {
namespace {

std::int64_t sum_of(std::span<const std::int64_t> values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

// The rows of one member's part of a reduce-scatter: an unchecked call goes by what it writes, one
// that divides by itself by what it reads.
std::int64_t share_of(const Arrival& arrival) {
  if (!arrival.floors) return arrival.out.rows;
  return std::min(arrival.in.rows / std::ssize(arrival.communicator.members), arrival.out.rows);
}

bool has_parts(const Arrival& arrival) {
  const bool may =
      arrival.kind == PlanOpKind::reduce_scatter || arrival.kind == PlanOpKind::all_gather;
  return may && !arrival.sizes.empty();
}

// One size a member.
void count_parts(const Arrival& arrival, LibraryCall& out) {
  out.parts.assign(arrival.sizes.begin(), arrival.sizes.end());
  const std::int64_t own = out.parts[static_cast<std::size_t>(arrival.position)];
  const std::int64_t all = sum_of(out.parts);
  const bool scatters = arrival.kind == PlanOpKind::reduce_scatter;
  out.rows = scatters ? own : arrival.in.rows;
  out.reads = scatters ? all : own;
  out.writes = scatters ? own : all;
  out.sent = scatters ? all : arrival.in.rows;
  out.received = out.writes;
}

void count_equal(const Arrival& arrival, LibraryCall& out) {
  const std::int64_t rows = arrival.in.rows;
  const auto same = [&](std::int64_t part, std::int64_t reads, std::int64_t writes) {
    out.rows = part;
    out.reads = out.sent = reads;
    out.writes = out.received = writes;
  };
  switch (arrival.kind) {
    case PlanOpKind::reduce_scatter: {
      const std::int64_t share = share_of(arrival);
      return same(share, share * out.members, share);
    }
    case PlanOpKind::all_gather: return same(rows, rows, rows * out.members);
    case PlanOpKind::all_to_all: {
      const std::int64_t part = rows / out.members;
      return same(part, part * out.members, part * out.members);
    }
    case PlanOpKind::all_reduce:
    case PlanOpKind::broadcast: return same(rows, rows, rows);
    case PlanOpKind::send: return same(rows, rows, 0);
    case PlanOpKind::recv: return same(arrival.out.rows, 0, arrival.out.rows);
    default: return;  // what moves no rows is still a place where all meet
  }
}

}  // namespace

tl::expected<LibraryCall, std::string> library_call_of(const Arrival& arrival) {
  const auto& members = arrival.communicator.members;
  LibraryCall out{.kind = arrival.kind,
                  .type = arrival.kind == PlanOpKind::recv ? arrival.out.type : arrival.in.type,
                  .position = arrival.position,
                  .members = std::ssize(members),
                  .columns = std::max(arrival.in.columns, arrival.out.columns)};
  if (is_point_to_point(arrival.kind)) {
    const auto found = std::ranges::find(members, arrival.peer);
    if (found == members.end())
      return tl::unexpected(std::string("its peer is no rank of the group"));
    out.peer = found - members.begin();
  }
  if (has_parts(arrival)) {
    if (std::ssize(arrival.sizes) != out.members) {
      return tl::unexpected(std::string("there is not one size a member"));
    }
    count_parts(arrival, out);
  } else {
    count_equal(arrival, out);
  }
  return out;
}

std::int64_t asked_by(const Arrival& arrival) {
  constexpr std::int64_t kCall = std::int64_t{1} << 40;
  if (is_point_to_point(arrival.kind)) return 0;
  if (!arrival.sizes.empty()) return kCall + sum_of(arrival.sizes);
  return kCall + (arrival.kind == PlanOpKind::reduce_scatter ? share_of(arrival) : arrival.in.rows);
}

}  // namespace capsize
