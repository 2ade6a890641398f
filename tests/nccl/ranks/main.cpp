// A rank of a test of the NCCL parts: it meets the others through the fake library, on the host's
// memory, and does what its mode says.
//
//   nccl_test_ranks rank BOARD MODE
//
// The environment names the library (CAPSIZE_NCCL_LIBRARY) and its folder (tests/nccl/fake).
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/nccl/collectives.hpp"
#include "runtime/nccl/communicators.hpp"
#include "runtime/processes/rank_process.hpp"
#include "tests/support/collective_self_test.hpp"

namespace capsize::nccl_test_ranks {
namespace {

using test::plan_of_ranks;

// Ranks whose rows lie in the host's memory, where the fake moves them.
class HostNccl {
 public:
  HostNccl(const NcclLibrary& library, RankLife& life)
      : library_(library),
        life_(life),
        communicators_(library, {.rank = life.rank(), .folder = std::getenv("TMPDIR")}) {}

  Result<void> begin(const Lifecycle& plan) {
    life_.board().enter(RankPhase::meets);
    auto joined = communicators_.join(plan);
    life_.board().enter(RankPhase::runs);
    return joined;
  }

  Arrived meet(const Arrival& arrival) {
    const auto call = library_call_of(arrival);
    NcclCommunicator* over = communicators_.of(arrival);
    if (!call || over == nullptr) return {.state = Arrived::State::failed, .text = "no call"};
    Arrived out =
        issue(library_, *call,
              {.in = arrival.in.data, .out = arrival.out.data, .meeting = meeting_.data()}, over,
              nullptr);
    life_.board().enter(RankPhase::runs);
    return out;
  }

  Result<bool> end_event(bool failed) {
    life_.board().enter(failed ? RankPhase::failed : RankPhase::ends);
    std::uint32_t any = failed ? 1 : 0;
    auto told = largest(library_, &any, 1, communicators_.world(), nullptr);
    if (!told) return tl::unexpected(std::move(told.error()));
    life_.board().enter(RankPhase::runs);
    return any != 0;
  }

  [[nodiscard]] NcclCommunicators& communicators() { return communicators_; }

 private:
  const NcclLibrary& library_;
  RankLife& life_;
  NcclCommunicators communicators_;
  std::array<std::byte, 4> meeting_{};
};

int tell(const Error& error, int status) {
  std::fprintf(stderr, "%s: %s\n", error.where.c_str(), error.text.c_str());
  return status;
}

// Every operation; then plans of other worlds and the first one again, which finds all it needs.
int run_self_test(HostNccl& nccl, RankLife& life) {
  const Lifecycle plan = plan_of_ranks(life.ranks());
  const Lifecycle half = plan_of_ranks(life.ranks() / 2);
  if (const int wrong = test::CollectiveSelfTest(nccl, life.rank(), plan).run(); wrong != 0) {
    return wrong;
  }
  for (int again = 0; again < 2; ++again) {
    if (life.rank() < half.world) {
      if (auto begun = nccl.begin(half); !begun) return tell(begun.error(), 2);
    }
    if (auto begun = nccl.begin(plan); !begun) return tell(begun.error(), 2);
  }
  auto any = nccl.end_event(life.rank() == 1);
  if (!any || !*any) return 3;
  // What may be left in a group is left behind; the others stay.
  nccl.communicators().forget(2);
  if (auto begun = nccl.begin(plan); !begun) return tell(begun.error(), 4);
  if (auto left = nccl.communicators().leave(); !left) return tell(left.error(), 5);
  return 0;
}

// Two operations in which all take part, and a third that the mode is about.
int run_steps(HostNccl& nccl, RankLife& life, std::string_view mode) {
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
  const Arrived last = steps.reduce(4);
  if (last.state == Arrived::State::failed) {
    std::fprintf(stderr, "rank %d: %s\n", life.rank(), last.text.c_str());
  }
  return steps.end(last.state == Arrived::State::failed);
}

// An abort waits for graphs that use a communicator, and they go on a thread of their own.
int run_abort(HostNccl& nccl, RankLife& life) {
  if (auto begun = nccl.begin(plan_of_ranks(life.ranks())); !begun) return tell(begun.error(), 2);
  void* library = dlopen(std::getenv("CAPSIZE_NCCL_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  auto* graphs = reinterpret_cast<void (*)(int)>(dlsym(library, "fake_nccl_graphs"));
  if (graphs == nullptr) return 3;
  graphs(1);
  std::atomic<bool> destroyed = false;
  auto aborted = nccl.communicators().abort([&] {
    graphs(-1);
    destroyed = true;
  });
  if (!aborted) return tell(aborted.error(), 4);
  return destroyed && nccl.communicators().world() == nullptr ? 0 : 5;
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
  HostNccl nccl(*library, rank);
  const int status = mode == "self_test" ? run_self_test(nccl, rank)
                     : mode == "abort"   ? run_abort(nccl, rank)
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
