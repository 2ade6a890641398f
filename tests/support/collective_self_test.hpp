// Every operation of every element type, by one of several ranks, over several groups, against sums
// that are made here: what a backend whose ranks are processes must do.
//
//   const Lifecycle plan = plan_of_ranks(4);
//   return CollectiveSelfTest(backend, rank, plan).run();   // 0: all is right
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/processes/board.hpp"

namespace capsize::test {

// ---- groups -------------------------------------------------------------------------------------

// All ranks; the same group again, as a communicator of its own; pairs; and all in the reverse
// order.
inline Lifecycle plan_of_ranks(std::int32_t world) {
  Lifecycle out{.world = world};
  std::vector<std::int32_t> all(static_cast<std::size_t>(world));
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::vector<std::int32_t>> pairs;
  for (std::int32_t rank = 0; rank + 1 < world; rank += 2) pairs.push_back({rank + 1, rank});
  out.families = {{.name = "all", .groups = {all}},
                  {.name = "again", .groups = {all}},
                  {.name = "pairs", .groups = pairs},
                  {.name = "reverse", .groups = {{all.rbegin(), all.rend()}}}};
  index_groups(out);
  return out;
}

// ---- rows ---------------------------------------------------------------------------------------

inline constexpr std::int64_t kColumns = 3;

// What rank `rank` brings: small integers that every type holds, and so do their sums.
inline std::int32_t value_of(std::int64_t rank, std::int64_t row, std::int64_t column) {
  return static_cast<std::int32_t>((rank * 5 + row * 3 + column) % 11) + 1;
}

struct Rows {
  std::vector<std::byte> bytes;
  Matrix matrix;

  Rows(ElementType type, std::int64_t rows)
      : bytes(static_cast<std::size_t>(rows * kColumns) * bytes_of(type)),
        matrix{bytes.data(), rows, kColumns, type} {}

  [[nodiscard]] std::byte* element(std::int64_t row, std::int64_t column) const {
    return matrix.row(row) + static_cast<std::size_t>(column) * bytes_of(matrix.type);
  }
};

inline Rows rows_of(std::int64_t rank, ElementType type, std::int64_t count) {
  Rows out(type, count);
  for (std::int64_t row = 0; row < count; ++row) {
    for (std::int64_t column = 0; column < kColumns; ++column) {
      store(type, out.element(row, column), value_of(rank, row, column));
    }
  }
  return out;
}

// ---- the self test ------------------------------------------------------------------------------

// `Meets` has begin, meet and end_event as a Backend has them.
template <class Meets>
class CollectiveSelfTest {
 public:
  CollectiveSelfTest(Meets& backend, std::int32_t rank, const Lifecycle& plan)
      : backend_(backend), rank_(rank), plan_(plan) {}

  // Every operation of every type over every family, against sums that are made here.
  int run() {
    if (auto begun = backend_.begin(plan_); !begun) return complain(begun.error().text), 1;
    for (const ElementType type :
         {ElementType::bf16, ElementType::fp16, ElementType::fp32, ElementType::uint32}) {
      for (std::size_t family = 0; family < plan_.families.size(); ++family) {
        choose(static_cast<std::int8_t>(family), type);
        reduce();
        gather();
        parts();
        others();
        pass_on();
      }
    }
    cross();
    auto ended = backend_.end_event(failures_ > 0);
    if (!ended || *ended != (failures_ > 0)) complain("end of the event");
    return failures_ > 0 ? 1 : 0;
  }

 private:
  using Expected = std::int64_t (*)(const CollectiveSelfTest&, std::int64_t row,
                                    std::int64_t column);

  void choose(std::int8_t family, ElementType type) {
    const PlanGroups& groups = plan_.families[static_cast<std::size_t>(family)];
    const auto rank = static_cast<std::size_t>(rank_);
    communicator_ = {{family}, groups.group_of[rank], {}};
    communicator_.members = groups.groups[static_cast<std::size_t>(communicator_.group)];
    position_ = groups.position_of[rank];
    size_ = std::ssize(communicator_.members);
    type_ = type;
  }

  Arrived call(PlanOpKind kind, const Rows& in, const Rows& out,
               const std::vector<std::int64_t>& sizes = {}, std::int64_t peer = -1) {
    return backend_.meet({.rank = rank_,
                          .position = position_,
                          .communicator = communicator_,
                          .kind = kind,
                          .checked = false,
                          .peer = peer,
                          .sizes = sizes,
                          .in = in.matrix,
                          .out = out.matrix});
  }

  // The sum over all members of one element.
  [[nodiscard]] std::int64_t sum(std::int64_t row, std::int64_t column) const {
    std::int64_t out = 0;
    for (const std::int32_t member : communicator_.members) out += value_of(member, row, column);
    return out;
  }

  template <class Value>
  void expect(const char* what, const Arrived& arrived, const Rows& found, std::int64_t sent,
              const Value& value) {
    if (arrived.state != Arrived::State::done) return complain(what + (": " + arrived.text));
    if (arrived.sent_rows != sent || arrived.received_rows != found.matrix.rows) {
      return complain(std::string(what) + ": wrong counts");
    }
    for (std::int64_t row = 0; row < found.matrix.rows; ++row) {
      for (std::int64_t column = 0; column < kColumns; ++column) {
        const std::int64_t is = load(type_, found.element(row, column));
        if (is == value(row, column)) continue;
        return complain(std::string(what) + ": row " + std::to_string(row) + " holds " +
                        std::to_string(is) + ", not " + std::to_string(value(row, column)));
      }
    }
  }

  void reduce() {
    const Rows in = rows_of(rank_, type_, size_ * 2);
    const Rows part(type_, 2);
    expect("reduce_scatter", call(PlanOpKind::reduce_scatter, in, part), part, size_ * 2,
           [&](auto row, auto column) { return sum(position_ * 2 + row, column); });
    const Rows all(type_, size_ * 2);
    expect("all_reduce", call(PlanOpKind::all_reduce, in, all), all, size_ * 2,
           [&](auto row, auto column) { return sum(row, column); });
    // In place: MPI allows no operand to lie where it writes.
    const Rows same = rows_of(rank_, type_, 4);
    expect("all_reduce in place", call(PlanOpKind::all_reduce, same, same), same, 4,
           [&](auto row, auto column) { return sum(row, column); });
  }

  void gather() {
    const Rows in = rows_of(rank_, type_, 3);
    const Rows out(type_, size_ * 3);
    expect("all_gather", call(PlanOpKind::all_gather, in, out), out, 3,
           [&](auto row, auto column) { return value_of(member(row / 3), row % 3, column); });
  }

  [[nodiscard]] std::int64_t member(std::int64_t position) const {
    return communicator_.members[static_cast<std::size_t>(position)];
  }

  // One size a member: 1, 2, 3, ... rows.
  void parts() {
    std::vector<std::int64_t> sizes(static_cast<std::size_t>(size_));
    std::iota(sizes.begin(), sizes.end(), 1);
    const std::int64_t all = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
    const std::int64_t own = position_ + 1;
    const std::int64_t first = position_ * (position_ + 1) / 2;
    const Rows in = rows_of(rank_, type_, all);
    const Rows part(type_, own);
    expect("reduce_scatter of sizes", call(PlanOpKind::reduce_scatter, in, part, sizes), part, all,
           [&](auto row, auto column) { return sum(first + row, column); });
    const Rows mine = rows_of(rank_, type_, own);
    const Rows out(type_, all);
    expect("all_gather of sizes", call(PlanOpKind::all_gather, mine, out, sizes), out, own,
           [&](auto row, auto column) {
             std::int64_t position = 0;
             std::int64_t at = row;
             while (at > position) at -= ++position;
             return value_of(member(position), at, column);
           });
  }

  void others() {
    const Rows in = rows_of(rank_, type_, size_ * 2);
    const Rows out(type_, size_ * 2);
    expect("all_to_all", call(PlanOpKind::all_to_all, in, out), out, size_ * 2,
           [&](auto row, auto column) {
             return value_of(member(row / 2), position_ * 2 + row % 2, column);
           });
    const Rows told(type_, size_ * 2);
    expect("broadcast", call(PlanOpKind::broadcast, in, told), told, size_ * 2,
           [&](auto row, auto column) { return value_of(member(0), row, column); });
    const Rows none(type_, 0);
    expect("barrier", call(PlanOpKind::barrier, none, none), none, 0, [](auto, auto) { return 0; });
  }

  // From position 0 on to the last, one after the other.
  void pass_on() {
    const Rows none(type_, 0);
    const Rows out(type_, 2);
    if (position_ > 0) {
      expect("recv", call(PlanOpKind::recv, none, out, {}, member(position_ - 1)), out, 0,
             [&](auto row, auto column) { return value_of(member(position_ - 1), row, column); });
    }
    if (position_ + 1 == size_) return;
    const Rows in = rows_of(rank_, type_, 2);
    expect("send", call(PlanOpKind::send, in, none, {}, member(position_ + 1)), none, 2,
           [](auto, auto) { return 0; });
  }

  // Families with equal groups are two communicators: what is sent over one is not received over
  // the other, though members come to them in another order. Few rows, so that their sender does
  // not wait.
  void cross() {
    const bool sends = rank_ == 0;
    for (const std::int8_t family :
         sends ? std::array<std::int8_t, 2>{0, 1} : std::array<std::int8_t, 2>{1, 0}) {
      choose(family, ElementType::uint32);
      const Rows in = rows_of(rank_ + family, type_, 1);
      const Rows out(type_, 1);
      expect("broadcast in another order", call(PlanOpKind::broadcast, in, out), out, 1,
             [&](auto row, auto column) { return value_of(family, row, column); });
    }
  }

  void complain(const std::string& text) {
    std::fprintf(stderr, "rank %d over %s: %s\n", rank_,
                 plan_.families[static_cast<std::size_t>(communicator_.family.index)].name.c_str(),
                 text.c_str());
    ++failures_;
  }

  Meets& backend_;
  std::int32_t rank_;
  const Lifecycle& plan_;
  Communicator communicator_{{0}, 0, {}};
  std::int64_t position_ = 0;
  std::int64_t size_ = 1;
  ElementType type_ = ElementType::uint32;
  int failures_ = 0;
};

// ---- one rank, step by step ---------------------------------------------------------------------

// A few steps of one event, posted as the executor posts them.
template <class Meets>
class RankSteps {
 public:
  RankSteps(Meets& backend, BoardWriter& board, std::int32_t rank, const Lifecycle& plan)
      : backend_(backend), rank_(rank), plan_(plan), watcher_(board) {
    board.post({.phase = RankPhase::runs, .job = 0});
  }

  bool begin() {
    if (!backend_.begin(plan_)) return false;
    watcher_.begin_event(0, PlanEvent{});
    return true;
  }

  Arrived reduce(std::int64_t rows_out, std::int8_t family = 0) {
    const std::int64_t size = plan_.world;
    const Rows in = rows_of(rank_, ElementType::fp32, rows_out * size);
    const Rows out(ElementType::fp32, rows_out);
    watcher_.step({.mode = "eager",
                   .rank = rank_,
                   .layer = 0,
                   .op = op_++,
                   .kind = PlanOpKind::reduce_scatter,
                   .family = {family},
                   .group = 0,
                   .rows_in = rows_out * size,
                   .rows_out = rows_out,
                   .sequence = sequence_++});
    return backend_.meet({.rank = rank_,
                          .position = rank_,
                          .communicator = {{family}, 0, plan_.families[0].groups[0]},
                          .kind = PlanOpKind::reduce_scatter,
                          .checked = false,
                          .in = in.matrix,
                          .out = out.matrix});
  }

  // Whether any rank failed; none where the agreement itself did.
  int end(bool failed) {
    auto any = backend_.end_event(failed);
    if (!any) return 2;
    watcher_.end_event({});
    return *any ? 1 : 0;
  }

 private:
  Meets& backend_;
  std::int32_t rank_;
  const Lifecycle& plan_;
  BoardWatcher watcher_;
  std::int32_t op_ = 0;
  std::int64_t sequence_ = 0;
};

}  // namespace capsize::test
