#include "runtime/meetings.hpp"

#include <algorithm>
#include <array>

namespace capsize {
namespace {

ConstMatrix part_of(ConstMatrix rows, std::int64_t first, std::int64_t count) {
  return {rows.row(first), count, rows.columns, rows.type};
}

Matrix part_of(Matrix rows, std::int64_t first, std::int64_t count) {
  return {rows.row(first), count, rows.columns, rows.type};
}

// Rows that fit both ends; how many they are.
std::int64_t add_copy(ConstMatrix from, std::int64_t first, Matrix to, std::int64_t at,
                      std::int64_t rows, Moves& out) {
  rows = std::min({rows, from.rows - first, to.rows - at});
  if (rows <= 0 || first < 0 || at < 0) return 0;
  out.moves.push_back({.to = part_of(to, at, rows), .first = out.sources.size(), .count = 1});
  out.sources.push_back(part_of(from, first, rows));
  return rows;
}

// Rows [begin, end) of `to` are the sum of those who bring them.
void add_sum(std::span<const Arrival> all, std::int64_t first, Matrix to, std::int64_t begin,
             std::int64_t end, Moves& out) {
  Moves::Move move{.to = part_of(to, begin, end - begin), .first = out.sources.size()};
  for (const Arrival& each : all) {
    if (each.in.rows - first < end) continue;
    out.sources.push_back(part_of(each.in, first + begin, end - begin));
    ++move.count;
  }
  out.moves.push_back(move);
}

// Adds up rows [first, first + rows) of all members into `to`. How many of them are whole sums.
std::int64_t add_sums(std::span<const Arrival> all, std::int64_t first, Matrix to,
                      std::int64_t rows, Moves& out) {
  rows = std::min(rows, to.rows);
  if (rows <= 0) return 0;
  std::int64_t whole = rows;
  for (const Arrival& each : all) {
    whole = std::clamp<std::int64_t>(each.in.rows - first, 0, whole);
  }
  // Where members bring different counts, each row is the sum of fewer and fewer.
  for (std::int64_t begin = 0; begin < rows;) {
    std::int64_t end = 0;
    for (const Arrival& each : all) {
      const std::int64_t there = std::min(rows, each.in.rows - first);
      if (there > begin && (end == 0 || there < end)) end = there;
    }
    if (end == 0) break;
    add_sum(all, first, to, begin, end, out);
    begin = end;
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

std::int64_t add_all_gather(std::span<const Arrival> all, const Arrival& to, Moves& out) {
  std::int64_t moved = 0;
  for (const Arrival& from : all) {
    const std::int64_t offset = offset_of(to, from.position);
    const bool sized = offset >= 0;
    moved += add_copy(from.in, 0, to.out, sized ? offset : from.position * to.in.rows,
                      sized ? from.in.rows : to.in.rows, out);
  }
  return moved;
}

std::int64_t add_reduce_scatter(std::span<const Arrival> all, const Arrival& to, Moves& out) {
  const std::int64_t offset = offset_of(to, to.position);
  const auto size = static_cast<std::int64_t>(all.size());
  const std::int64_t rows = offset >= 0 ? to.out.rows : std::min(to.in.rows / size, to.out.rows);
  return add_sums(all, offset >= 0 ? offset : to.position * rows, to.out, rows, out);
}

std::int64_t add_all_to_all(std::span<const Arrival> all, const Arrival& to, Moves& out) {
  const auto size = static_cast<std::int64_t>(all.size());
  const std::int64_t rows = to.in.rows / size;
  std::int64_t moved = 0;
  for (const Arrival& from : all) {
    moved += add_copy(from.in, to.position * rows, to.out, from.position * rows, rows, out);
  }
  return moved;
}

std::int64_t add_moves_to(std::span<const Arrival> all, const Arrival& to, Moves& out) {
  switch (to.kind) {
    case PlanOpKind::all_reduce: return add_sums(all, 0, to.out, to.in.rows, out);
    case PlanOpKind::reduce_scatter: return add_reduce_scatter(all, to, out);
    case PlanOpKind::all_gather: return add_all_gather(all, to, out);
    case PlanOpKind::all_to_all: return add_all_to_all(all, to, out);
    case PlanOpKind::broadcast: return add_copy(all.front().in, 0, to.out, 0, to.in.rows, out);
    default: return 0;  // a barrier moves nothing
  }
}

bool makes_one_sum(const Arrival& first, const Arrival& other) {
  return other.kind == PlanOpKind::all_reduce && first.in.rows == other.in.rows &&
         first.out.rows == other.out.rows && first.out.rows == first.in.rows;
}

// What the first member gets, at another one.
void add_again(const Arrival& first, std::size_t moves, const Arrival& to, Moves& out) {
  for (std::size_t i = 0; i < moves; ++i) {
    Moves::Move move = out.moves[i];
    move.to.data = to.out.data + (move.to.data - first.out.data);
    move.same_as = static_cast<std::ptrdiff_t>(i);
    out.moves.push_back(move);
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

// Whether every rank's shares fill the whole, and all ranks' are alike.
bool is_regular(std::span<const Arrival> all) {
  const Arrival& first = all.front();
  const auto size = static_cast<std::int64_t>(all.size());
  const std::int64_t in = first.in.rows;
  const std::int64_t out = first.out.rows;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Arrival& each = all[i];
    if (each.in.rows != in || each.out.rows != out || !each.sizes.empty()) return false;
    // Two members that claim one place (a fault) leave another to nobody.
    if (each.position != static_cast<std::int64_t>(i)) return false;
  }
  switch (first.kind) {
    case PlanOpKind::reduce_scatter: return in == size * out;
    case PlanOpKind::all_gather: return out == size * in;
    case PlanOpKind::all_to_all: return in == out && in % size == 0;
    case PlanOpKind::all_reduce:
    case PlanOpKind::broadcast: return in == out;
    default: return false;
  }
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

void Moves::clear() {
  sources.clear();
  moves.clear();
  received.clear();
}

void add_moves(std::span<const Arrival> members, Moves& out) {
  std::size_t of_first = 0;
  for (const Arrival& to : members) {
    // The same sum for every rank is made once.
    const bool again = &to != members.data() && makes_one_sum(members.front(), to);
    if (again) {
      add_again(members.front(), of_first, to, out);
      out.received.push_back(out.received.front());
      continue;
    }
    out.received.push_back(add_moves_to(members, to, out));
    if (&to == members.data()) of_first = out.moves.size();
  }
}

void Meetings::begin(std::int64_t world) {
  waiting_.clear();
  arrived_.assign(static_cast<std::size_t>(world), Arrived{});
}

void Meetings::clear() {
  waiting_.clear();
  for (Arrived& each : arrived_) each = {};
}

Arrived Meetings::meet(const Arrival& arrival) {
  std::vector<Arrival>& waiting =
      waiting_[{arrival.communicator.family.index, arrival.communicator.group}];
  waiting.push_back(arrival);
  Arrived& mine = arrived(arrival.rank);
  mine = {.state = Arrived::State::waiting};
  if (is_point_to_point(arrival.kind)) {
    pair_up(waiting);
    return mine;
  }
  // All members, in one operation. Where another rank waits in another operation, neither ends.
  const auto same = [&](const Arrival& each) {
    return each.kind == arrival.kind && each.recorded == arrival.recorded &&
           each.registered == arrival.registered;
  };
  const auto here = static_cast<std::size_t>(std::ranges::count_if(waiting, same));
  if (here == waiting.size() && here == arrival.communicator.members.size() &&
      is_complete(waiting)) {
    complete(waiting);
    waiting.clear();
  }
  return mine;
}

Arrived Meetings::done(std::int64_t rank) const { return arrived_[static_cast<std::size_t>(rank)]; }

void Meetings::complete(std::vector<Arrival>& all) {
  std::ranges::sort(all, {}, &Arrival::position);
  const bool any_in_place = std::ranges::any_of(all, in_place);
  for (Arrival& each : all) {
    if (each.in.data != nullptr) each.in = handler_.operand(each, any_in_place);
  }
  meeting_.members = all;
  meeting_.regular = is_regular(all);
  meeting_.moves.clear();
  if (!meeting_.regular || handler_.wants_moves()) add_moves(all, meeting_.moves);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Arrival& each = all[i];
    const bool told = i < meeting_.moves.received.size();
    arrived(each.rank) = {.state = Arrived::State::done,
                          .sent_rows = each.in.rows,
                          .received_rows = told ? meeting_.moves.received[i] : each.out.rows};
  }
  handler_.complete(meeting_);
}

// A send and the receive that waits for it end together.
void Meetings::pair_up(std::vector<Arrival>& waiting) {
  const Arrival last = waiting.back();
  const auto other = std::ranges::find_if(waiting, [&](const Arrival& each) {
    return each.kind != last.kind && is_point_to_point(each.kind) && each.rank == last.peer &&
           each.peer == last.rank && each.recorded == last.recorded;
  });
  if (other == waiting.end()) return;
  std::array<Arrival, 2> pair = {*other, last};
  if (last.kind == PlanOpKind::send) std::swap(pair[0], pair[1]);
  auto& [send, receive] = pair;
  send.in = handler_.operand(send, false);
  meeting_.members = pair;
  meeting_.regular = false;
  meeting_.moves.clear();
  (void)add_copy(send.in, 0, receive.out, 0, receive.out.rows, meeting_.moves);
  arrived(send.rank) = {.sent_rows = send.in.rows};
  arrived(receive.rank) = {.received_rows = send.in.rows};
  handler_.complete(meeting_);
  std::erase_if(waiting, [&](const Arrival& each) {
    return (each.rank == send.rank || each.rank == receive.rank) && is_point_to_point(each.kind);
  });
}

}  // namespace capsize
