// Ranks for tests of the supervisor and of the mpi backend: a program that is one rank, and does
// what its mode says; or, as `parent`, the process that starts them, so that a test can end that
// one.
//
//   mpi_test_ranks rank BOARD MODE
//   mpi_test_ranks parent MODE RANKS        says where its folder is, and how it ended
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/processes/rank_process.hpp"
#include "runtime/processes/run_folder.hpp"
#include "runtime/processes/supervisor.hpp"
#include "runtime/processes/wavefront.hpp"

namespace capsize::mpi_test_ranks {
namespace {

// ---- groups -------------------------------------------------------------------------------------

// All ranks; the same group again, as a communicator of its own; pairs; and all in the reverse
// order.
Lifecycle plan_of(std::int32_t world) {
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

constexpr std::int64_t kColumns = 3;

// What rank `rank` brings: small integers that every type holds, and so do their sums.
std::int32_t value_of(std::int64_t rank, std::int64_t row, std::int64_t column) {
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

Rows rows_of(std::int64_t rank, ElementType type, std::int64_t count) {
  Rows out(type, count);
  for (std::int64_t row = 0; row < count; ++row) {
    for (std::int64_t column = 0; column < kColumns; ++column) {
      store(type, out.element(row, column), value_of(rank, row, column));
    }
  }
  return out;
}

// ---- the self test ------------------------------------------------------------------------------

class SelfTest {
 public:
  SelfTest(MpiBackend& backend, const Lifecycle& plan) : backend_(backend), plan_(plan) {}

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
  using Expected = std::int64_t (*)(const SelfTest&, std::int64_t row, std::int64_t column);

  void choose(std::int8_t family, ElementType type) {
    const PlanGroups& groups = plan_.families[static_cast<std::size_t>(family)];
    const auto rank = static_cast<std::size_t>(backend_.rank());
    communicator_ = {{family}, groups.group_of[rank], {}};
    communicator_.members = groups.groups[static_cast<std::size_t>(communicator_.group)];
    position_ = groups.position_of[rank];
    size_ = std::ssize(communicator_.members);
    type_ = type;
  }

  Arrived call(PlanOpKind kind, const Rows& in, const Rows& out,
               const std::vector<std::int64_t>& sizes = {}, std::int64_t peer = -1) {
    return backend_.meet({.rank = backend_.rank(),
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
    const Rows in = rows_of(backend_.rank(), type_, size_ * 2);
    const Rows part(type_, 2);
    expect("reduce_scatter", call(PlanOpKind::reduce_scatter, in, part), part, size_ * 2,
           [&](auto row, auto column) { return sum(position_ * 2 + row, column); });
    const Rows all(type_, size_ * 2);
    expect("all_reduce", call(PlanOpKind::all_reduce, in, all), all, size_ * 2,
           [&](auto row, auto column) { return sum(row, column); });
    // In place: MPI allows no operand to lie where it writes.
    const Rows same = rows_of(backend_.rank(), type_, 4);
    expect("all_reduce in place", call(PlanOpKind::all_reduce, same, same), same, 4,
           [&](auto row, auto column) { return sum(row, column); });
  }

  void gather() {
    const Rows in = rows_of(backend_.rank(), type_, 3);
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
    const Rows in = rows_of(backend_.rank(), type_, all);
    const Rows part(type_, own);
    expect("reduce_scatter of sizes", call(PlanOpKind::reduce_scatter, in, part, sizes), part, all,
           [&](auto row, auto column) { return sum(first + row, column); });
    const Rows mine = rows_of(backend_.rank(), type_, own);
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
    const Rows in = rows_of(backend_.rank(), type_, size_ * 2);
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
    const Rows in = rows_of(backend_.rank(), type_, 2);
    expect("send", call(PlanOpKind::send, in, none, {}, member(position_ + 1)), none, 2,
           [](auto, auto) { return 0; });
  }

  // Families with equal groups are two communicators: what is sent over one is not received over
  // the other, though members come to them in another order. Few rows, so that their sender does
  // not wait.
  void cross() {
    const bool sends = backend_.rank() == 0;
    for (const std::int8_t family :
         sends ? std::array<std::int8_t, 2>{0, 1} : std::array<std::int8_t, 2>{1, 0}) {
      choose(family, ElementType::uint32);
      const Rows in = rows_of(backend_.rank() + family, type_, 1);
      const Rows out(type_, 1);
      expect("broadcast in another order", call(PlanOpKind::broadcast, in, out), out, 1,
             [&](auto row, auto column) { return value_of(family, row, column); });
    }
  }

  void complain(const std::string& text) {
    std::fprintf(stderr, "rank %d over %s: %s\n", backend_.rank(),
                 plan_.families[static_cast<std::size_t>(communicator_.family.index)].name.c_str(),
                 text.c_str());
    ++failures_;
  }

  MpiBackend& backend_;
  const Lifecycle& plan_;
  Communicator communicator_{{0}, 0, {}};
  std::int64_t position_ = 0;
  std::int64_t size_ = 1;
  ElementType type_ = ElementType::uint32;
  int failures_ = 0;
};

// ---- one rank, step by step ---------------------------------------------------------------------

// A few steps of one event, posted as the executor posts them.
class Steps {
 public:
  Steps(RankProcess& rank, const Lifecycle& plan)
      : rank_(rank), plan_(plan), watcher_(rank.board()) {
    rank.board().post({.phase = RankPhase::runs, .job = 0});
  }

  bool begin() {
    if (!rank_.backend().begin(plan_)) return false;
    watcher_.begin_event(0, PlanEvent{});
    return true;
  }

  Arrived reduce(std::int64_t rows_out, std::int8_t family = 0) {
    const std::int64_t size = plan_.world;
    const Rows in = rows_of(rank_.backend().rank(), ElementType::fp32, rows_out * size);
    const Rows out(ElementType::fp32, rows_out);
    watcher_.step({.mode = "eager",
                   .rank = rank_.backend().rank(),
                   .layer = 0,
                   .op = op_++,
                   .kind = PlanOpKind::reduce_scatter,
                   .family = {family},
                   .group = 0,
                   .rows_in = rows_out * size,
                   .rows_out = rows_out,
                   .sequence = sequence_++});
    return rank_.backend().meet({.rank = rank_.backend().rank(),
                                 .position = rank_.backend().rank(),
                                 .communicator = {{family}, 0, plan_.families[0].groups[0]},
                                 .kind = PlanOpKind::reduce_scatter,
                                 .checked = false,
                                 .in = in.matrix,
                                 .out = out.matrix});
  }

  // Whether any rank failed; none where the agreement itself did.
  int end(bool failed) {
    auto any = rank_.backend().end_event(failed);
    if (!any) return 2;
    watcher_.end_event({});
    return *any ? 1 : 0;
  }

 private:
  RankProcess& rank_;
  const Lifecycle& plan_;
  BoardWatcher watcher_;
  std::int32_t op_ = 0;
  std::int64_t sequence_ = 0;
};

// Two operations in which all take part, and a third that the mode is about.
int run_steps(RankProcess& process, std::string_view mode) {
  const Lifecycle plan = plan_of(process.backend().size());
  const int rank = process.backend().rank();
  Steps steps(process, plan);
  if (!steps.begin()) return 2;
  for (int i = 0; i < 2; ++i) {
    if (steps.reduce(4).state != Arrived::State::done) return 2;
  }
  if (mode == "skips" && rank == 3) return steps.end(false);
  if (mode == "dies" && rank == 2) (void)kill(getpid(), SIGKILL);
  if (mode == "exits" && rank == 1) _exit(7);
  if (mode == "works" && rank == 1) std::this_thread::sleep_for(std::chrono::seconds(60));
  // One row less: too few for those who send it four.
  const std::int64_t rows = mode == "short" && rank == 3 ? 3 : 4000;
  const Arrived last = steps.reduce(mode == "short" && rank != 3 ? 4 : rows);
  const bool failed = last.state == Arrived::State::failed;
  if (failed) std::fprintf(stderr, "rank %d: %s\n", rank, last.text.c_str());
  if (mode != "short") return steps.end(failed);
  // Whoever failed is told to all, and nothing of it is left in what comes next.
  if (steps.end(failed) != 1) return 3;
  return steps.reduce(4).state == Arrived::State::done ? steps.end(false) : 4;
}

int run_rank(const std::string& board, std::string_view mode) {
  const int number = launched_rank().value_or(-1);
  if (mode == "late" && number == 1) std::this_thread::sleep_for(std::chrono::seconds(60));
  if (mode == "broken" && number == 1) {
    std::fprintf(stderr, "this rank is broken\n");
    return 9;
  }
  auto process = RankProcess::start(board);
  if (!process) {
    std::fprintf(stderr, "%s\n", process.error().text.c_str());
    return 2;
  }
  (*process)->board().post({.phase = RankPhase::runs, .job = 0});
  const int status =
      mode == "self_test"
          ? SelfTest((*process)->backend(), plan_of((*process)->backend().size())).run()
          : run_steps(**process, mode);
  // Leaving MPI in order would wait for the others.
  if (status != 0) _exit(status);
  (*process)->finish();
  return 0;
}

int run_parent(const std::string& program, const std::string& mode, int ranks) {
  auto folder = RunFolder::create();
  auto board = Board::create(ranks);
  if (!folder || !board) return 2;
  std::printf("%s\n", (*folder)->path().c_str());
  std::fflush(stdout);
  const LaunchEnd end = supervise({.ranks = ranks,
                                   .arguments = {program, "rank", board->path(), mode},
                                   .folder = (*folder)->path()},
                                  *board);
  std::printf("%s\n%s", end.text.c_str(), end.output.c_str());
  if (const auto at = standstill_of(end.ranks)) {
    const Lifecycle plan = plan_of(ranks);
    for (const std::string& line : lines_of(hang_of(plan, *at, end.ranks, end.rank).wavefront)) {
      std::printf("%s\n", line.c_str());
    }
  }
  return end.how == LaunchEnd::How::interrupted ? 128 + end.signal : 1;
}

}  // namespace
}  // namespace capsize::mpi_test_ranks

int main(int argc, char** argv) {
  using namespace capsize::mpi_test_ranks;
  const std::vector<std::string> words(argv, argv + argc);
  if (words.size() == 4 && words[1] == "rank") return run_rank(words[2], words[3]);
  if (words.size() == 4 && words[1] == "parent") {
    return run_parent(words[0], words[2], std::atoi(words[3].c_str()));
  }
  return 2;
}
