// The supervisor against ranks that hang, die, or never come up, and against its own end: each is
// told rightly and soon, and nothing is left of it.
#include "runtime/processes/supervisor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>

#include "runtime/processes/run_folder.hpp"
#include "runtime/processes/wavefront.hpp"
#include "tests/mpi/mpi_here.hpp"

namespace capsize::supervisor_test {
namespace {

using ::testing::HasSubstr;
using How = LaunchEnd::How;
using std::chrono::milliseconds;

constexpr int kRanks = 4;

// The groups of mpi_test_ranks, as far as its steps use them.
Lifecycle plan_of_steps() {
  Lifecycle out{.world = kRanks};
  out.families = {{.name = "all", .groups = {{0, 1, 2, 3}}}};
  out.events.emplace_back();
  index_groups(out);
  return out;
}

class Supervisor : public test::RanksTest {
 protected:
  LaunchEnd run(const std::string& mode, milliseconds deadline = milliseconds(1000),
                milliseconds start_deadline = milliseconds(8000)) {
    const auto begin = std::chrono::steady_clock::now();
    LaunchEnd end;
    {
      auto folder = RunFolder::create();
      auto board = Board::create(kRanks);
      if (!folder || !board) {
        ADD_FAILURE() << "no folder or no board";
        return end;
      }
      end = supervise({.ranks = kRanks,
                       .arguments = {CAPSIZE_TEST_RANKS, "rank", board->path(), mode},
                       .folder = (*folder)->path(),
                       .deadline = deadline,
                       .start_deadline = start_deadline},
                      *board);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10)) << mode;
    expect_nothing_left();
    return end;
  }

  static std::vector<std::string> lines(const LaunchEnd& end) {
    const auto at = standstill_of(end.ranks);
    if (!at) return {};
    return lines_of(hang_of(plan_of_steps(), *at, end.ranks, end.rank).wavefront);
  }
};

// Would catch: any collective that moves other rows, adds up other numbers or orders members in
// another way than their list, for one of the types or one of the communicators; a communicator
// that two equal families share.
TEST_F(Supervisor, EveryCollectiveIsThePlainSum) {
  const LaunchEnd end = run("self_test", milliseconds(5000));
  EXPECT_EQ(end.how, How::finished) << end.text << "\n" << end.output;
  // What a rank says is that a sum is wrong. A machine without /sys makes hwloc talk, which is no
  // rank's word.
  EXPECT_EQ(end.output.find("rank "), std::string::npos) << end.output;
}

// Would catch: a hang that is not seen, one that is told without saying who never came, and ranks
// that are left waiting.
TEST_F(Supervisor, ARankThatDoesNotEnterIsNamed) {
  const LaunchEnd end = run("skips");
  ASSERT_EQ(end.how, How::hang) << end.text << "\n" << end.output;
  const auto told = lines(end);
  ASSERT_EQ(told.size(), kRanks);
  EXPECT_EQ(
      told[0],
      "rank 0 waits in reduce_scatter over all (layer 0, operation 2, 16000 rows, 2 before it): "
      "it waits for rank 3, which never entered: it has ended its step, and its last operation "
      "was reduce_scatter over all (layer 0, operation 1)");
  EXPECT_EQ(told[3],
            "rank 3 has ended its step, and its last operation was reduce_scatter over all "
            "(layer 0, operation 1)");
}

// Would catch: a death that is told as a hang, a death of the wrong rank (the launcher ends the
// others right behind it), a lost signal.
TEST_F(Supervisor, AKilledRankIsNamed) {
  const LaunchEnd end = run("dies");
  ASSERT_EQ(end.how, How::died) << end.text << "\n" << end.output;
  EXPECT_EQ(end.rank, 2);
  EXPECT_EQ(end.signal, SIGKILL);
  EXPECT_THAT(end.text, HasSubstr("rank 2 was ended by signal 9"));
  const auto told = lines(end);
  ASSERT_EQ(told.size(), kRanks);
  EXPECT_THAT(told[2],
              HasSubstr("rank 2 died in or behind reduce_scatter over all (layer 0, oper"));
}

// Would catch: a status that is lost, or taken for a signal.
TEST_F(Supervisor, ARankThatEndsByItselfIsNamed) {
  const LaunchEnd end = run("exits");
  ASSERT_EQ(end.how, How::died) << end.text << "\n" << end.output;
  EXPECT_EQ(end.rank, 1);
  EXPECT_EQ(end.status, 7);
}

// MPI shows a count one short as an error on one rank or two, while others wait or have gone on.
// Would catch: an error of MPI that ends the program, one without MPI's own words, ranks that wait
// for the failed one for ever, messages of a failed event in the next one.
TEST_F(Supervisor, ACountOneShortIsAnErrorOrAHang) {
  const LaunchEnd end = run("short");
  EXPECT_THAT(end.output, HasSubstr("MPI_ERR_TRUNCATE"));
  if (end.how == How::finished) return;
  ASSERT_EQ(end.how, How::hang) << end.text << "\n" << end.output;
  EXPECT_THAT(lines(end), ::testing::Contains(HasSubstr(" failed in reduce_scatter over all")));
}

// Would catch: a start that is waited for without end, a rank that is left because it has not
// reported.
TEST_F(Supervisor, ARankThatNeverReportsIsNamed) {
  const LaunchEnd end = run("late", milliseconds(1000), milliseconds(2500));
  ASSERT_EQ(end.how, How::not_started) << end.text << "\n" << end.output;
  EXPECT_EQ(end.rank, 1);
  EXPECT_EQ(end.text, "rank 1 has not come up within 2.5 s");
}

// Would catch: a reason that is lost, because the rank says it on its standard error.
TEST_F(Supervisor, WhatARankSaysBeforeItEndsIsTold) {
  const LaunchEnd end = run("broken");
  EXPECT_EQ(end.how, How::not_started) << end.text;
  EXPECT_THAT(end.output, HasSubstr("this rank is broken"));
}

// Would catch: a crash where there is no launcher.
TEST_F(Supervisor, WithoutALauncherItSaysHowToGetOne) {
  const std::string path = getenv("PATH");
  setenv("PATH", folder().c_str(), 1);
  const LaunchEnd end = run("self_test");
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(end.how, How::not_started);
  EXPECT_THAT(end.text, HasSubstr("mpirun"));
  EXPECT_THAT(end.hint, HasSubstr("openmpi-bin"));
}

// ---- the end of the parent ----------------------------------------------------------------------

class Parent : public test::RanksTest {
 protected:
  // A process that supervises ranks of which one does not go on, with its whole output unread.
  void start() {
    parent_ = fork();
    if (parent_ == 0) {
      execl(CAPSIZE_TEST_RANKS, CAPSIZE_TEST_RANKS, "parent", "works", "4", nullptr);
      _exit(127);
    }
    // The parent, the keeper, mpirun and four ranks; and the ranks have begun to work.
    for (int i = 0; i < 600 && processes().size() < 7; ++i) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    EXPECT_EQ(processes().size(), 7U);
    std::this_thread::sleep_for(milliseconds(400));
    expect_files_in_the_folder();
  }

  int end_with(int signal) const {
    EXPECT_EQ(kill(parent_, signal), 0);
    int status = 0;
    EXPECT_EQ(waitpid(parent_, &status, 0), parent_);
    return status;
  }

 private:
  // Shared memory that would outlive the run lies in its own folder.
  void expect_files_in_the_folder() const {
    for (const pid_t pid : processes()) {
      std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
      for (std::string line; std::getline(maps, line);) {
        if (line.find(" /dev/shm/") == std::string::npos) continue;
        EXPECT_TRUE(line.ends_with("(deleted)")) << line;
      }
    }
  }

  pid_t parent_ = -1;
};

// Would catch: Ctrl-C that ends the parent alone, or with another status than a shell expects.
TEST_F(Parent, InterruptedItEndsItsRanks) {
  start();
  const int status = end_with(SIGINT);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  expect_nothing_left();
}

// Would catch: ranks and files that outlive a parent that could do nothing any more.
TEST_F(Parent, KilledItLeavesNothing) {
  start();
  const int status = end_with(SIGKILL);
  ASSERT_TRUE(WIFSIGNALED(status));
  expect_nothing_left();
}

}  // namespace
}  // namespace capsize::supervisor_test
