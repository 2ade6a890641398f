// NCCL as the runtime uses it, on the fake library: how it is loaded, which communicators are made,
// what is asked of them and in which order, and what the supervisor tells when one does not come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/executor.hpp"
#include "runtime/faults.hpp"
#include "runtime/nccl/table.hpp"
#include "runtime/processes/library_call.hpp"
#include "runtime/processes/run_folder.hpp"
#include "runtime/processes/supervisor.hpp"
#include "runtime/processes/wavefront.hpp"
#include "runtime/reference.hpp"
#include "scenarios/agree/members.hpp"
#include "tests/support/collective_self_test.hpp"
#include "tests/support/leftovers_test.hpp"
#include "tests/support/sglang_launch.hpp"

namespace capsize::nccl_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using How = LaunchEnd::How;
using std::chrono::milliseconds;

// A variable of the environment, as long as one of these lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

// ---- the library --------------------------------------------------------------------------------

// Would catch: a library that is not looked for where the variable says, a version that is misread.
TEST(NcclLibrary, IsOpenedByItsPath) {
  const Variable path("CAPSIZE_NCCL_LIBRARY", FAKE_NCCL);
  const auto library = NcclLibrary::open();
  ASSERT_TRUE(library) << library.error().text;
  EXPECT_EQ(library->version(), 22809);
  EXPECT_EQ(nccl_version_text(22809), "2.28.9");
  EXPECT_EQ(nccl_version_text(2804), "2.8.4");
  EXPECT_NE(library->calls().split, nullptr);
}

// Would catch: an optional function that is asked for, a needed one that is called though it is not
// there, an old library that is taken, a message without the way out.
TEST(NcclLibrary, WhatIsMissingIsTold) {
  const auto without_split = NcclLibrary::open(FAKE_NCCL_WITHOUT_SPLIT);
  ASSERT_TRUE(without_split) << without_split.error().text;
  EXPECT_EQ(without_split->calls().split, nullptr);
  EXPECT_NE(without_split->calls().revoke, nullptr);

  const auto without_send = NcclLibrary::open(FAKE_NCCL_WITHOUT_SEND);
  ASSERT_FALSE(without_send);
  EXPECT_EQ(without_send.error().text, std::string(FAKE_NCCL_WITHOUT_SEND) + " has no ncclSend");

  const auto nowhere = NcclLibrary::open("/nowhere/libnccl.so.2");
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().text, HasSubstr("/nowhere/libnccl.so.2"));
  EXPECT_THAT(nowhere.error().hint, HasSubstr("CAPSIZE_NCCL_LIBRARY"));

  const Variable version("FAKE_NCCL_VERSION", "21705");
  const auto old = NcclLibrary::open(FAKE_NCCL);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().text, std::string(FAKE_NCCL) + " is NCCL 2.17.5, older than 2.18.0");
}

// ---- counts -------------------------------------------------------------------------------------

// Would catch: a count that a library would take from another operand than an unchecked one does.
TEST(LibraryCall, CountsAreThoseOfAnUncheckedLibrary) {
  const std::vector<std::int32_t> members = {4, 5, 6};
  const auto call = [&](PlanOpKind kind, std::int64_t in, std::int64_t out, bool floors = false,
                        std::vector<std::int64_t> sizes = {}, std::int64_t peer = -1) {
    const Arrival arrival{.rank = 5,
                          .position = 1,
                          .communicator = {{0}, 0, members},
                          .kind = kind,
                          .floors = floors,
                          .peer = peer,
                          .sizes = sizes,
                          .in = {nullptr, in, 2, ElementType::fp16},
                          .out = {nullptr, out, 2, ElementType::fp16}};
    const auto made = library_call_of(arrival);
    if (!made) return std::vector<std::int64_t>{};
    return std::vector{made->rows, made->reads, made->writes, made->sent, made->received};
  };
  EXPECT_THAT(call(PlanOpKind::reduce_scatter, 7, 3), ElementsAre(3, 9, 3, 9, 3));
  EXPECT_THAT(call(PlanOpKind::reduce_scatter, 7, 3, true), ElementsAre(2, 6, 2, 6, 2));
  EXPECT_THAT(call(PlanOpKind::reduce_scatter, 6, 2, false, {1, 2, 3}), ElementsAre(2, 6, 2, 6, 2));
  EXPECT_THAT(call(PlanOpKind::all_gather, 2, 5), ElementsAre(2, 2, 6, 2, 6));
  EXPECT_THAT(call(PlanOpKind::all_gather, 1, 6, false, {1, 2, 3}), ElementsAre(1, 2, 6, 1, 6));
  EXPECT_THAT(call(PlanOpKind::all_to_all, 7, 7), ElementsAre(2, 6, 6, 6, 6));
  EXPECT_THAT(call(PlanOpKind::recv, 0, 4, false, {}, 6), ElementsAre(4, 0, 4, 0, 4));
  EXPECT_TRUE(call(PlanOpKind::send, 4, 0, false, {}, 3).empty());
  EXPECT_TRUE(call(PlanOpKind::all_gather, 1, 6, false, {1, 5}).empty());
}

// ---- ranks --------------------------------------------------------------------------------------

constexpr int kRanks = 4;

// What a process asked of the library, call by call.
using Calls = std::vector<std::string>;

Calls those_with(const Calls& calls, std::string_view word) {
  Calls out;
  std::ranges::copy_if(calls, std::back_inserter(out),
                       [&](const std::string& each) { return each.starts_with(word); });
  return out;
}

// "all_reduce u0-0 count 4 type 7": the communicator.
std::string communicator_of(const std::string& call) {
  const std::size_t begin = call.find(' ') + 1;
  return call.substr(begin, call.find(' ', begin) - begin);
}

class NcclRanks : public test::LeftoversTest {
 protected:
  LaunchEnd run(const std::string& mode, const std::string& library = FAKE_NCCL,
                milliseconds deadline = milliseconds(4000)) {
    const test::TemporaryFolder shared;
    const Variable path("CAPSIZE_NCCL_LIBRARY", library);
    const Variable folder("FAKE_NCCL_FOLDER", shared.path());
    LaunchEnd end;
    {
      auto of_run = RunFolder::create();
      auto board = Board::create(kRanks);
      if (!of_run || !board) {
        ADD_FAILURE() << "no folder or no board";
        return end;
      }
      end = supervise({.ranks = kRanks,
                       .arguments = {CAPSIZE_TEST_RANKS, "rank", board->path(), mode},
                       .folder = (*of_run)->path(),
                       .through = LaunchThrough::own,
                       .deadline = deadline,
                       .work_deadline = milliseconds(8000)},
                      *board);
    }
    for (int rank = 0; rank < kRanks; ++rank) {
      std::ifstream file(shared.path() + "/calls-" + std::to_string(rank));
      for (std::string line; std::getline(file, line);) calls_.at(rank).push_back(line);
    }
    return end;
  }

  static std::vector<std::string> lines(const LaunchEnd& end) {
    const auto at = standstill_of(end.ranks);
    if (!at) return {};
    Lifecycle plan = test::plan_of_ranks(kRanks);
    plan.events.emplace_back();
    return lines_of(hang_of(plan, *at, end.ranks, end.rank).wavefront);
  }

  // Each rank made as many communicators as it left, in the reverse order, and its members asked
  // each of them for the same, in one order.
  void expect_order() const {
    std::map<std::string, std::map<int, Calls>> by_communicator;
    for (int rank = 0; rank < kRanks; ++rank) {
      const Calls& calls = calls_.at(rank);
      const Calls ends = those_with(calls, "finalize");
      ASSERT_GT(ends.size(), 4U);
      EXPECT_EQ(those_with(calls, "destroy").size(), ends.size());
      EXPECT_EQ(communicator_of(ends.back()), communicator_of(calls.at(rank == 0 ? 1 : 0)));
      for (const std::string& call : calls) {
        if (call.find(" count ") == std::string::npos) continue;
        if (call.starts_with("send") || call.starts_with("receive")) continue;
        by_communicator[communicator_of(call)][rank].push_back(call);
      }
    }
    EXPECT_GE(by_communicator.size(), 5U);
    for (auto& [name, ranks] : by_communicator) {
      for (auto& [rank, calls] : ranks) {
        // The last over the pairs is the one whose counts differ.
        if (calls.front().find("count 6 ") != std::string::npos) calls.pop_back();
        EXPECT_EQ(calls, ranks.begin()->second) << name;
      }
    }
  }

  std::vector<Calls> calls_ = std::vector<Calls>(kRanks);
};

// Would catch: rows that go elsewhere or are added up otherwise, for one of the types or one of the
// groups; a communicator that two equal families share; one that is made again for a plan that has
// come before, or for a plan of another world in an order that its ranks do not share; a rank that
// is not in a split that all must enter; rows beside an operand or an output that NCCL reads or
// writes; a group that is used again though something may be left in it; members that leave in
// different orders.
TEST_F(NcclRanks, EveryCollectiveIsThePlainSum) {
  const LaunchEnd end = run("self_test");
  EXPECT_EQ(end.how, How::finished) << end.text << "\n" << end.output;
  EXPECT_EQ(end.output, "");
  // A unique id a world; a split a family, and one for the pairs that were left behind.
  EXPECT_EQ(those_with(calls_[0], "unique_id").size(), 2U);
  EXPECT_EQ(those_with(calls_[0], "init").size(), 2U);
  EXPECT_EQ(those_with(calls_[0], "split").size(), 4U + 4U + 1U);
  EXPECT_EQ(those_with(calls_[3], "unique_id").size(), 0U);
  EXPECT_THAT(those_with(calls_[3], "split"),
              ElementsAre("split u0-0 color 0 key 3", "split u0-0 color 0 key 3",
                          "split u0-0 color 1 key 0", "split u0-0 color 0 key 0",
                          "split u0-0 color 1 key 0"));
  expect_order();
  expect_nothing_left();
}

// Would catch: a function that is called though the library has none, ids that members of two
// groups take from each other.
TEST_F(NcclRanks, WithoutSplitsEachGroupHasAnId) {
  const LaunchEnd end = run("self_test", FAKE_NCCL_WITHOUT_SPLIT);
  EXPECT_EQ(end.how, How::finished) << end.text << "\n" << end.output;
  for (const Calls& calls : calls_) EXPECT_TRUE(those_with(calls, "split").empty());
  // The world, "all", "again" and "reverse" of four; "pairs" twice.
  EXPECT_EQ(those_with(calls_[3], "init").size(), 4U + 2U);
  EXPECT_EQ(those_with(calls_[3], "unique_id").size(), 3U);
  expect_order();
}

// Would catch: a hang that is not seen, one that is told without saying who never came, and ranks
// that are left waiting.
TEST_F(NcclRanks, ARankThatDoesNotEnterIsNamed) {
  const LaunchEnd end = run("skips", FAKE_NCCL, milliseconds(500));
  ASSERT_EQ(end.how, How::hang) << end.text << "\n" << end.output;
  const auto told = lines(end);
  ASSERT_EQ(told.size(), kRanks);
  EXPECT_THAT(told[0], HasSubstr("waits in reduce_scatter over all (layer 0, operation 2"));
  EXPECT_THAT(told[0], HasSubstr("rank 3, which never entered: it has ended its step"));
  expect_nothing_left();
}

// Would catch: a wait for a communicator that no deadline ends.
TEST_F(NcclRanks, ARankThatNeverJoinsIsAHang) {
  const LaunchEnd end = run("late", FAKE_NCCL, milliseconds(500));
  ASSERT_EQ(end.how, How::hang) << end.text << "\n" << end.output;
  EXPECT_THAT(lines(end)[0], HasSubstr("rank 0 waits for the groups to be made"));
  expect_nothing_left();
}

// Would catch: a failure that is taken for a wait, told without NCCL's words, or of another rank.
TEST_F(NcclRanks, ACommunicatorThatCannotBeMadeIsTold) {
  const LaunchEnd end = run("init");
  ASSERT_EQ(end.how, How::died) << end.text << "\n" << end.output;
  EXPECT_EQ(end.rank, 2);
  EXPECT_EQ(end.status, 7);
  EXPECT_THAT(end.output, HasSubstr("communicator of ranks 0 1 2 3: nccl: remote process exited or "
                                    "there was a network error: no device answers"));
  expect_nothing_left();
}

// Would catch: an error that a communicator tells behind a call that went well.
TEST_F(NcclRanks, AnErrorBehindACallIsTold) {
  const LaunchEnd end = run("error", FAKE_NCCL, milliseconds(500));
  EXPECT_NE(end.how, How::finished);
  EXPECT_THAT(end.output, HasSubstr("rank 2: remote process exited or there was a network error: a "
                                    "peer has closed its connection"));
}

// Would catch: graphs that are destroyed behind the abort, which waits for them for ever.
TEST_F(NcclRanks, AnAbortEndsWhileGraphsGo) {
  const LaunchEnd end = run("abort", FAKE_NCCL, milliseconds(1000));
  EXPECT_EQ(end.how, How::finished) << end.text << "\n" << end.output;
  // The world's last, in every rank.
  for (const Calls& calls : calls_) EXPECT_EQ(those_with(calls, "abort").back(), "abort u0-0");
}

// ---- the backend --------------------------------------------------------------------------------

// Four ranks whose attention is cut in two: groups of four and of two, gathers and scatters.
constexpr std::string_view kCutInTwo =
    "--model-path Qwen/Qwen3-30B-A3B --tp 4 --dp 2 --enable-dp-attention --cuda-graph-max-bs 8";

RunJob job_of_line(std::string_view line, RunOptions options = {}) {
  options.rows_max = 4;
  return job_of(test::plan_of(line), options);
}

class NcclBackendTest : public NcclRanks {
 protected:
  // What a rank says of its jobs, in any order of ranks.
  struct Told {
    std::size_t events = 0;
    std::size_t wrong = 0;
    std::int64_t elements = 0;
  };
  static std::vector<Told> told_in(const std::string& output) {
    std::istringstream in(output);
    std::vector<Told> out;
    std::string word;
    for (Told each; in >> each.events >> word >> each.wrong >> word >> each.elements >> word;) {
      out.push_back(each);
    }
    EXPECT_EQ(out.size(), kRanks) << output;
    return out;
  }

  LaunchEnd execute_on_ranks(const std::vector<RunJob>& jobs,
                             milliseconds deadline = milliseconds(4000)) {
    const test::TemporaryFolder of_jobs;
    std::string lines_of_jobs;
    for (const RunJob& job : jobs) lines_of_jobs += write_run_job(job) + "\n";
    const Variable file("NCCL_TEST_JOBS", of_jobs.write("jobs", lines_of_jobs));
    return run("execute", FAKE_NCCL, deadline);
  }
};

// Would catch: a row that is issued in another order than its rank's own work, a graph that leaves
// NCCL's part out or repeats it with old rows, a count, a type, a group that is not the plan's.
TEST_F(NcclBackendTest, AllChecksPassEagerCapturedAndReplayed) {
  const std::vector<RunJob> jobs = {job_of_line(kCutInTwo),
                                    job_of_line(kCutInTwo, {.type = ElementType::uint32})};
  const LaunchEnd end = execute_on_ranks(jobs);
  EXPECT_EQ(end.how, How::finished) << end.text << "\n" << end.output;
  std::size_t events = 0;
  std::int64_t elements = 0;
  for (const RunJob& job : jobs) {
    ReferenceBackend reference;
    const auto seen = execute(job.plan, job.options, reference);
    ASSERT_TRUE(seen) << seen.error().text;
    events += seen->events.size();
    elements += seen->elements;
  }
  ASSERT_GT(events, 10U);
  std::int64_t elements_told = 0;
  for (const Told& rank : told_in(end.output)) {
    EXPECT_EQ(rank.events, events);
    EXPECT_EQ(rank.wrong, 0U);
    elements_told += rank.elements;
  }
  EXPECT_EQ(elements_told, elements);
  expect_nothing_left();
}

// Would catch: a wait for the device that no deadline ends, because its rank says that it works.
TEST_F(NcclBackendTest, AnIdleRankIsAHang) {
  RunJob job = job_of_line(kCutInTwo, {.unguarded = true, .fault = RunFault::idle_rank});
  ASSERT_TRUE(plant_fault(job.plan, job.options));
  const LaunchEnd end = execute_on_ranks({job}, milliseconds(500));
  EXPECT_EQ(end.how, How::hang) << end.text << "\n" << end.output;
  expect_nothing_left();
}

}  // namespace
}  // namespace capsize::nccl_test
