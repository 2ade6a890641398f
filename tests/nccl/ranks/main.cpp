// A rank of a test of the nccl backend: it meets the others through the fake library, with the host
// as its device, and does what its mode says.
//
//   nccl_test_ranks rank BOARD MODE
//
// The environment names the library (CAPSIZE_NCCL_LIBRARY), its folder (tests/nccl/fake), and for
// the mode "execute" a file of jobs (NCCL_TEST_JOBS).
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/device/host_device.hpp"
#include "runtime/executor.hpp"
#include "runtime/nccl/nccl_backend.hpp"
#include "runtime/processes/rank_process.hpp"
#include "scenarios/formats/run_job.hpp"
#include "tests/support/collective_self_test.hpp"

namespace capsize::nccl_test_ranks {
namespace {

using test::plan_of_ranks;

int tell(const Error& error, int status) {
  std::fprintf(stderr, "%s: %s\n", error.where.c_str(), error.text.c_str());
  return status;
}

Arrival arrival_of(RankLife& life, const Lifecycle& plan, std::int8_t family, PlanOpKind kind) {
  const PlanGroups& groups = plan.families[static_cast<std::size_t>(family)];
  const auto rank = static_cast<std::size_t>(life.rank());
  const std::int32_t group = groups.group_of[rank];
  return {.rank = life.rank(),
          .position = groups.position_of[rank],
          .communicator = {{family}, group, groups.groups[static_cast<std::size_t>(group)]},
          .kind = kind,
          .checked = false};
}

// Counts that ask for more rows than an operand holds, or for more than an output has room for:
// nothing beside them is read or written, and what they hold is moved.
bool keeps_within(NcclBackend& nccl, RankLife& life, const Lifecycle& plan) {
  const std::int64_t size = life.ranks();
  test::Rows in = test::rows_of(life.rank(), ElementType::fp32, 2 * size);
  const test::Rows out(ElementType::fp32, 2 * size);
  Arrival gather = arrival_of(life, plan, 0, PlanOpKind::all_gather);
  gather.in = {in.matrix.data, 2, in.matrix.columns, in.matrix.type};
  gather.out = out.matrix;
  gather.out.rows = 2 * size - 1;
  if (nccl.meet(gather).state != Arrived::State::done) return false;
  for (std::int64_t row = 0; row < 2 * size; ++row) {
    const std::int32_t brought = row == 2 * size - 1 ? 0 : test::value_of(row / 2, row % 2, 1);
    if (load(ElementType::fp32, out.element(row, 1)) != brought) return false;
  }
  Arrival reduce = arrival_of(life, plan, 0, PlanOpKind::reduce_scatter);
  reduce.in = in.matrix;
  reduce.in.rows = 2 * size - 1;
  reduce.out = {out.matrix.data, 2, out.matrix.columns, out.matrix.type};
  if (nccl.meet(reduce).state != Arrived::State::done) return false;
  std::int32_t sum = 0;
  for (std::int64_t rank = 0; rank < size; ++rank) {
    sum += test::value_of(rank, 2 * life.rank() + 1, 1);
  }
  // The row that nobody brought is no sum.
  const bool right = load(ElementType::fp32, out.element(1, 1)) == sum;
  return right == (life.rank() + 1 < size);
}

// The members of a pair bring different counts.
bool differs(NcclBackend& nccl, RankLife& life, const Lifecycle& plan) {
  const test::Rows rows(ElementType::fp32, 8);
  Arrival gather = arrival_of(life, plan, 2, PlanOpKind::all_gather);
  gather.in = {rows.matrix.data, 1 + life.rank() % 2, rows.matrix.columns, rows.matrix.type};
  gather.out = {rows.matrix.row(4), 4, rows.matrix.columns, rows.matrix.type};
  return nccl.meet(gather).state == Arrived::State::done;
}

// Every operation; then plans of other worlds and the first one again, which finds all it needs.
int run_self_test(NcclBackend& nccl, RankLife& life) {
  const Lifecycle plan = plan_of_ranks(life.ranks());
  const Lifecycle half = plan_of_ranks(life.ranks() / 2);
  if (const int wrong = test::CollectiveSelfTest(nccl, life.rank(), plan).run(); wrong != 0) {
    return wrong;
  }
  if (!keeps_within(nccl, life, plan)) return 3;
  for (int again = 0; again < 2; ++again) {
    if (life.rank() < half.world) {
      if (auto begun = nccl.begin(half); !begun) return tell(begun.error(), 2);
    }
    if (auto begun = nccl.begin(plan); !begun) return tell(begun.error(), 2);
  }
  // One rank's failure is told to all; what may be left in a group is left behind with it.
  if (!differs(nccl, life, plan)) return 4;
  auto any = nccl.end_event(life.rank() == 1);
  if (!any || !*any) return 5;
  any = nccl.end_event(false);
  if (!any || *any) return 6;
  if (auto left = nccl.leave(); !left) return tell(left.error(), 7);
  return 0;
}

// Two operations in which all take part, and a third that the mode is about.
int run_steps(NcclBackend& nccl, RankLife& life, std::string_view mode) {
  const Lifecycle plan = plan_of_ranks(life.ranks());
  if (mode == "late" && life.rank() == 1) {
    life.finish();
    std::this_thread::sleep_for(std::chrono::seconds(60));
  }
  test::RankSteps steps(nccl, life.board(), life.rank(), plan);
  if (auto begun = nccl.begin(plan); !begun) return tell(begun.error(), 7);
  if (!steps.begin()) return 2;
  for (int i = 0; i < 2; ++i) {
    if (steps.reduce(4).state != Arrived::State::done) return 2;
  }
  if (mode == "skips" && life.rank() == 3) return steps.end(false);
  if (mode == "error" && life.rank() == 2) setenv("FAKE_NCCL_FAULT", "reduce_scatter", 1);
  nccl.begin_run({.stepwise = true});
  const Arrived last = steps.reduce(4);
  const auto ended = nccl.end_run(last.state == Arrived::State::failed);
  if (!ended) std::fprintf(stderr, "rank %d: %s\n", life.rank(), ended.error().text.c_str());
  return steps.end(!ended);
}

// An abort waits for graphs that use a communicator, and they go on a thread of their own.
int run_abort(const NcclLibrary& nccl, RankLife& life) {
  NcclCommunicators communicators(nccl, {.rank = life.rank(), .folder = std::getenv("TMPDIR")});
  const Lifecycle plan = plan_of_ranks(life.ranks());
  if (auto joined = communicators.join(plan); !joined) return tell(joined.error(), 2);
  void* library = dlopen(std::getenv("CAPSIZE_NCCL_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  auto* graphs = reinterpret_cast<void (*)(int)>(dlsym(library, "fake_nccl_graphs"));
  if (graphs == nullptr) return 3;
  graphs(1);
  std::atomic<bool> destroyed = false;
  auto aborted = communicators.abort([&] {
    graphs(-1);
    destroyed = true;
  });
  if (!aborted) return tell(aborted.error(), 4);
  return destroyed && communicators.world() == nullptr ? 0 : 5;
}

// Plans, on the host as a device; says how many of their events went wrong.
int run_jobs(NcclBackend& nccl, RankLife& life) {
  std::ifstream jobs(std::getenv("NCCL_TEST_JOBS"));
  BoardWatcher watcher(life.board());
  std::size_t events = 0;
  std::size_t wrong = 0;
  std::int64_t elements = 0;
  for (std::string line; std::getline(jobs, line);) {
    const auto job = read_run_job(line);
    if (!job) return tell(job.error(), 2);
    const auto seen = execute(job->plan, job->options, nccl, &watcher);
    if (!seen) return tell(seen.error(), 3);
    for (const EventObservation& event : seen->events) {
      if (event.symptom != Symptom::none) ++wrong;
    }
    events += seen->events.size();
    elements += seen->elements;
  }
  if (auto left = nccl.leave(); !left) return tell(left.error(), 5);
  std::printf("%zu events %zu wrong %lld elements\n", events, wrong,
              static_cast<long long>(elements));
  return 0;
}

int run_rank(const std::string& board, std::string_view mode) {
  auto life = RankLife::start(board);
  if (!life) return tell(life.error(), 2);
  RankLife& rank = **life;
  rank.board().post({.phase = RankPhase::runs, .job = 0});
  setenv("FAKE_NCCL_RANK", std::to_string(rank.rank()).c_str(), 1);
  if (mode == "init" && rank.rank() == 2) setenv("FAKE_NCCL_FAULT", "init", 1);
  auto library = NcclLibrary::open();
  if (!library) return tell(library.error(), 6);
  HostDevice device;
  NcclBackend nccl(*library, device, {.rank = rank.rank(), .folder = std::getenv("TMPDIR")},
                   &rank.board());
  const int status = mode == "self_test" ? run_self_test(nccl, rank)
                     : mode == "abort"   ? run_abort(*library, rank)
                     : mode == "execute" ? run_jobs(nccl, rank)
                                         : run_steps(nccl, rank, mode);
  if (status != 0) return status;
  rank.finish();
  return 0;
}

}  // namespace
}  // namespace capsize::nccl_test_ranks

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  if (words.size() != 4 || words[1] != "rank") return 2;
  return capsize::nccl_test_ranks::run_rank(words[2], words[3]);
}
