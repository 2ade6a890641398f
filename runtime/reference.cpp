#include "runtime/reference.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/host_compute.hpp"

namespace capsize {
namespace {

// Rows that fit both ends. Counts that differ between ranks are taken as an unchecked library takes
// them: each rank goes by its own count, what is missing stays as it was, and nothing is written
// past the end of an output. Returns how many rows were moved.
std::int64_t copy_fitting(ConstMatrix from, std::int64_t first, Matrix to, std::int64_t at,
                          std::int64_t rows) {
  rows = std::min({rows, from.rows - first, to.rows - at});
  if (rows <= 0 || first < 0 || at < 0) return 0;
  std::memcpy(to.row(at), from.row(first), static_cast<std::size_t>(rows) * from.row_bytes());
  return rows;
}

// Adds up rows [first, first + rows) of all members into `to`, in the order of their positions.
// Returns how many of them are whole sums.
std::int64_t sum_rows(const std::vector<Arrival>& all, std::int64_t first, Matrix to,
                      std::int64_t rows) {
  rows = std::min(rows, to.rows);
  if (rows <= 0) return 0;
  to.rows = rows;
  bool begun = false;
  std::int64_t whole = rows;
  for (const Arrival& from : all) {
    const std::int64_t there = std::min(rows, from.in.rows - first);
    whole = std::clamp<std::int64_t>(there, 0, whole);
    if (there <= 0) continue;
    ConstMatrix part{from.in.row(first), there, from.in.columns, from.in.type};
    Matrix target = to;
    target.rows = there;
    if (begun) {
      sum_into(part, target);
    } else {
      (void)copy_fitting(part, 0, target, 0, there);
      begun = true;
    }
  }
  return whole;
}

// The first row of a member's part in a variant with one size a member.
std::int64_t offset_of(const Arrival& arrival, std::int64_t position) {
  if (arrival.sizes.empty()) return -1;
  std::int64_t offset = 0;
  for (std::int64_t i = 0; i < position; ++i) offset += arrival.sizes[static_cast<std::size_t>(i)];
  return offset;
}

std::int64_t all_gather(const std::vector<Arrival>& all, const Arrival& to) {
  std::int64_t moved = 0;
  for (const Arrival& from : all) {
    const std::int64_t offset = offset_of(to, from.position);
    const bool sized = offset >= 0;
    moved += copy_fitting(from.in, 0, to.out, sized ? offset : from.position * to.in.rows,
                          sized ? from.in.rows : to.in.rows);
  }
  return moved;
}

std::int64_t reduce_scatter(const std::vector<Arrival>& all, const Arrival& to) {
  const std::int64_t offset = offset_of(to, to.position);
  const auto size = static_cast<std::int64_t>(all.size());
  const std::int64_t rows = offset >= 0 ? to.out.rows : std::min(to.in.rows / size, to.out.rows);
  return sum_rows(all, offset >= 0 ? offset : to.position * rows, to.out, rows);
}

std::int64_t all_to_all(const std::vector<Arrival>& all, const Arrival& to) {
  const auto size = static_cast<std::int64_t>(all.size());
  const std::int64_t rows = to.in.rows / size;
  std::int64_t moved = 0;
  for (const Arrival& from : all) {
    moved += copy_fitting(from.in, to.position * rows, to.out, from.position * rows, rows);
  }
  return moved;
}

std::int64_t move(const std::vector<Arrival>& all, const Arrival& to) {
  switch (to.kind) {
    case PlanOpKind::all_reduce: return sum_rows(all, 0, to.out, to.in.rows);
    case PlanOpKind::reduce_scatter: return reduce_scatter(all, to);
    case PlanOpKind::all_gather: return all_gather(all, to);
    case PlanOpKind::all_to_all: return all_to_all(all, to);
    case PlanOpKind::broadcast: return copy_fitting(all.front().in, 0, to.out, 0, to.in.rows);
    default: return 0;  // a barrier moves nothing
  }
}

// How many rows a member gives to, or takes from, each of the others.
std::int64_t share_of(const Arrival& each) {
  return each.kind == PlanOpKind::reduce_scatter ? each.out.rows : each.in.rows;
}

// A library moves rows in chunks and goes by the number of chunks: a difference that is small
// beside the whole goes unnoticed (NCCL 2.28 returns wrong sums for 513 rows against 512).
constexpr std::int64_t kChunkedRows = 512;
constexpr std::int64_t kChunks = 128;

// Whether the members of a collective move equal shares, or nearly. Else the one that expects more
// than the others bring waits for ever.
bool is_complete(const std::vector<Arrival>& all) {
  const Arrival& first = all.front();
  if (first.one_sided || first.floors || !moves_rows(first.kind)) return true;
  const bool same_sizes = std::ranges::all_of(
      all, [&](const Arrival& each) { return std::ranges::equal(each.sizes, first.sizes); });
  if (!same_sizes) return false;
  if (!first.sizes.empty()) return true;
  const auto [low, high] = std::ranges::minmax_element(all, {}, share_of);
  const std::int64_t least = share_of(*low);
  const std::int64_t most = share_of(*high);
  return least == most || (least >= kChunkedRows && most - least <= most / kChunks);
}

bool makes_one_sum(const Arrival& first, const Arrival& other) {
  return other.kind == PlanOpKind::all_reduce && first.in.rows == other.in.rows &&
         first.out.rows == other.out.rows && first.out.rows == first.in.rows;
}

// Whether one operation's ranges overlap with another rank's, as in place ones may within a rank.
bool in_place(const Arrival& each) {
  const auto begin = [](const auto& matrix) {
    return reinterpret_cast<std::uintptr_t>(matrix.data);
  };
  return each.in.data != nullptr && each.out.data != nullptr &&
         begin(each.in) < begin(each.out) + each.out.bytes() &&
         begin(each.out) < begin(each.in) + each.in.bytes();
}

}  // namespace

std::vector<std::int64_t> ReferenceBackend::ranks(std::int64_t world) const {
  std::vector<std::int64_t> out;
  for (std::int64_t rank = 0; rank < world; ++rank) out.push_back(rank);
  return out;
}

Result<void> ReferenceBackend::begin(const Lifecycle& lifecycle) {
  places_.clear();
  arrived_.assign(static_cast<std::size_t>(lifecycle.world), Arrived{});
  return {};
}

void ReferenceBackend::compute(const Weights* weights, const LocalCall& call) {
  compute_on_host(weights, call);
}

void ReferenceBackend::poison(Matrix rows, Poison poison, std::uint64_t salt) {
  poison_rows(rows, poison, salt);
}

Arrived ReferenceBackend::meet(const Arrival& arrival) {
  Place& place = places_[{arrival.communicator.family.index, arrival.communicator.group}];
  place.waiting.push_back(arrival);
  Arrived& mine = arrived_[static_cast<std::size_t>(arrival.rank)];
  mine = {.state = Arrived::State::waiting};
  if (is_point_to_point(arrival.kind)) {
    (void)pair_up(place.waiting);
    return mine;
  }
  // All members, in one operation. Where another rank waits in another operation, neither ends.
  const auto same = [&](const Arrival& each) {
    return each.kind == arrival.kind && each.recorded == arrival.recorded &&
           each.registered == arrival.registered;
  };
  const auto here = static_cast<std::size_t>(std::ranges::count_if(place.waiting, same));
  if (here == place.waiting.size() && here == arrival.communicator.members.size() &&
      is_complete(place.waiting)) {
    complete(place.waiting);
    place.waiting.clear();
  }
  return mine;
}

Arrived ReferenceBackend::done(std::int64_t rank) {
  return arrived_[static_cast<std::size_t>(rank)];
}

void ReferenceBackend::complete(std::vector<Arrival>& all) {
  std::ranges::sort(all, {}, &Arrival::position);
  // An operation in place reads what another rank's turn has written; operands are kept aside then.
  std::vector<std::vector<std::byte>> kept(all.size());
  std::vector<Arrival> from = all;
  if (std::ranges::any_of(all, in_place)) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      kept[i].assign(all[i].in.data, all[i].in.data + all[i].in.bytes());
      from[i].in.data = kept[i].data();
    }
  }
  std::int64_t moved = 0;
  for (const Arrival& to : from) {
    // The same sum for every rank is made once.
    const bool again = &to != from.data() && makes_one_sum(from.front(), to);
    moved = again ? copy_fitting(from.front().out, 0, to.out, 0, moved) : move(from, to);
    arrived_[static_cast<std::size_t>(to.rank)] = {
        .state = Arrived::State::done, .sent_rows = to.in.rows, .received_rows = moved};
  }
}

// A send and the receive that waits for it end together.
bool ReferenceBackend::pair_up(std::vector<Arrival>& waiting) {
  const Arrival last = waiting.back();
  const auto other = std::ranges::find_if(waiting, [&](const Arrival& each) {
    return each.kind != last.kind && is_point_to_point(each.kind) && each.rank == last.peer &&
           each.peer == last.rank && each.recorded == last.recorded;
  });
  if (other == waiting.end()) return false;
  const Arrival& send = last.kind == PlanOpKind::send ? last : *other;
  const Arrival& receive = last.kind == PlanOpKind::send ? *other : last;
  (void)copy_fitting(send.in, 0, receive.out, 0, receive.out.rows);
  arrived_[static_cast<std::size_t>(send.rank)] = {.sent_rows = send.in.rows};
  arrived_[static_cast<std::size_t>(receive.rank)] = {.received_rows = send.in.rows};
  const std::int64_t peer = other->rank;
  std::erase_if(waiting, [&](const Arrival& each) {
    return (each.rank == last.rank || each.rank == peer) && is_point_to_point(each.kind);
  });
  return true;
}

Result<bool> ReferenceBackend::end_event(bool failed) {
  places_.clear();
  for (Arrived& each : arrived_) each = {};
  return failed;
}

}  // namespace capsize
