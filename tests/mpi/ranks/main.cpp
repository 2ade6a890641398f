// Ranks for tests of the supervisor and of the mpi backend: a program that is one rank, and does
// what its mode says; or, as `parent`, the process that starts them, so that a test can end that
// one.
//
//   mpi_test_ranks rank BOARD MODE
//   mpi_test_ranks parent MODE RANKS        says where its folder is, and how it ended
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/processes/rank_process.hpp"
#include "runtime/processes/run_folder.hpp"
#include "runtime/processes/supervisor.hpp"
#include "runtime/processes/wavefront.hpp"
#include "tests/support/collective_self_test.hpp"

namespace capsize::mpi_test_ranks {
namespace {

using test::plan_of_ranks;

// Two operations in which all take part, and a third that the mode is about.
int run_steps(RankProcess& process, std::string_view mode) {
  const Lifecycle plan = plan_of_ranks(process.backend().size());
  const int rank = process.backend().rank();
  test::RankSteps steps(process.backend(), process.board(), rank, plan);
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
  const int status = mode == "self_test"
                         ? test::CollectiveSelfTest((*process)->backend(), number,
                                                    plan_of_ranks((*process)->backend().size()))
                               .run()
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
    const Lifecycle plan = plan_of_ranks(ranks);
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
