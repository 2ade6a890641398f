// Jobs on the mpi backend, through `capsize rank`: what the ranks see is what the reference backend
// sees, and a run goes on behind a hang and a death.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "runtime/executor.hpp"
#include "runtime/faults.hpp"
#include "runtime/reference.hpp"
#include "scenarios/agree/agreement.hpp"
#include "scenarios/agree/members.hpp"
#include "scenarios/run/mpi_run.hpp"
#include "tests/mpi/mpi_here.hpp"
#include "tests/support/sglang_launch.hpp"

namespace capsize::mpi_run_test {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

RunJob job_of_line(std::string_view line, RunOptions options = {}) {
  options.rows_max = 16;
  return job_of(test::plan_of(line), options);
}

// Four ranks whose attention is cut in two: groups of four and of two, gathers and scatters.
RunJob four_ranks(const RunOptions& options = {}) {
  return job_of_line(
      "--model-path Qwen/Qwen3-30B-A3B --tp 4 --dp 2 --enable-dp-attention --cuda-graph-max-bs 8",
      options);
}

Observation on_reference(const RunJob& job) {
  ReferenceBackend backend;
  auto seen = execute(job.plan, job.options, backend);
  if (seen) return *std::move(seen);
  ADD_FAILURE() << seen.error().text;
  return {};
}

void expect_same(const Observation& seen, const Observation& expected) {
  EXPECT_EQ(seen.backend, "mpi");
  EXPECT_EQ(seen.world, expected.world);
  EXPECT_EQ(seen.ranks, expected.ranks);
  EXPECT_EQ(seen.mathematics, expected.mathematics);
  EXPECT_EQ(seen.elements, expected.elements);
  EXPECT_EQ(seen.nonzero, expected.nonzero);
  ASSERT_EQ(seen.events.size(), expected.events.size());
  for (std::size_t i = 0; i < seen.events.size(); ++i) {
    EventObservation mine = seen.events[i];
    mine.nanoseconds = expected.events[i].nanoseconds;
    EXPECT_EQ(mine, expected.events[i]) << "event " << i << ": " << mine.text;
  }
}

class MpiRunTest : public test::RanksTest {
 protected:
  static MpiRun run(const std::vector<RunJob>& jobs, milliseconds deadline = milliseconds(1500),
                    const std::string& program = CAPSIZE_PROGRAM) {
    auto ran = run_on_mpi(jobs, {.program = program, .deadline = deadline});
    if (ran) return *std::move(ran);
    ADD_FAILURE() << ran.error().text;
    return {};
  }
};

// Would catch: a job that is lost or told as another, ranks outside of a job's world that hold the
// others up, an event or a count that does not come back, a type that is not added up as it should
// be.
TEST_F(MpiRunTest, RanksSeeWhatTheReferenceSees) {
  std::vector<RunJob> jobs = {four_ranks(), job_of_line("--model-path Qwen/Qwen3-30B-A3B --tp 2 "
                                                        "--cuda-graph-max-bs 4")};
  for (const ElementType type : {ElementType::fp16, ElementType::fp32, ElementType::uint32}) {
    jobs.push_back(four_ranks({.type = type}));
  }
  const MpiRun ran = run(jobs, milliseconds(5000));
  EXPECT_EQ(ran.starts, 1);
  EXPECT_EQ(ran.interrupted, 0);
  ASSERT_EQ(ran.seen.size(), jobs.size());
  for (std::size_t job = 0; job < jobs.size(); ++job) {
    ASSERT_TRUE(ran.seen[job]) << ran.seen[job].error().text;
    EXPECT_GT(ran.seen[job]->nonzero, 0);
    expect_same(*ran.seen[job], on_reference(jobs[job]));
  }
  expect_nothing_left();
}

// A step that one rank of a group of four does not enter.
RunJob with_idle_rank(std::string& planted) {
  RunJob job = four_ranks({.unguarded = true, .fault = RunFault::idle_rank});
  auto text = plant_fault(job.plan, job.options);
  if (text) planted = text->text;
  return job;
}

// Would catch: a hang that ends the run, that is told of another event or without a wavefront,
// events behind it that are lost, a job behind it that is.
TEST_F(MpiRunTest, ARunGoesOnBehindAHang) {
  std::string planted;
  const std::vector<RunJob> jobs = {with_idle_rank(planted), four_ranks()};
  ASSERT_NE(planted, "");
  const Observation expected = on_reference(jobs[0]);
  ASSERT_NE(expected.first_failure(), nullptr);
  ASSERT_EQ(expected.first_failure()->symptom, Symptom::hang);
  const MpiRun ran = run(jobs);
  EXPECT_EQ(ran.starts, 2);
  ASSERT_EQ(ran.seen.size(), 2U);
  ASSERT_TRUE(ran.seen[0]) << ran.seen[0].error().text;
  const EventObservation* hang = ran.seen[0]->first_failure();
  ASSERT_NE(hang, nullptr);
  EXPECT_EQ(hang->symptom, Symptom::hang);
  EXPECT_EQ(hang->event, expected.first_failure()->event);
  EXPECT_EQ(hang->bucket, expected.first_failure()->bucket);
  EXPECT_EQ(hang->place, expected.first_failure()->place);
  ASSERT_EQ(hang->wavefront.size(), 4U);
  EXPECT_EQ(hang->wavefront[3].doing, RankState::Doing::idle);
  EXPECT_THAT(hang->text, HasSubstr("rank 3, which never entered: it runs nothing in this event"));
  EXPECT_EQ(ran.seen[0]->events.size(), expected.events.size());
  EXPECT_EQ(std::ranges::count(ran.seen[0]->events, Symptom::none, &EventObservation::symptom),
            std::ranges::count(expected.events, Symptom::none, &EventObservation::symptom));
  ASSERT_TRUE(ran.seen[1]) << ran.seen[1].error().text;
  expect_same(*ran.seen[1], on_reference(jobs[1]));
  expect_nothing_left();
}

// Would catch: a dead rank that ends the run, whose event is told as if it had gone well, or as the
// hang that somebody may have predicted there.
TEST_F(MpiRunTest, ARunGoesOnBehindADeath) {
  // Once, rank 1 is killed while the others wait in the event that it does not enter.
  const std::string program = folder() + "/capsize";
  std::ofstream(program) << "#!/bin/sh\n"
                            "if [ $OMPI_COMM_WORLD_RANK = 1 ] && mkdir "
                         << folder()
                         << "/killed 2>&-\n"
                            "then (while ! [ -s $7/rank-1.jsonl ]; do sleep 0.1; done\n"
                            "sleep 0.7; kill -9 $$) & fi\n"
                            "exec "
                         << CAPSIZE_PROGRAM << " \"$@\"\n";
  ASSERT_EQ(chmod(program.c_str(), 0755), 0);
  std::string planted;
  const std::vector<RunJob> jobs = {with_idle_rank(planted)};
  const MpiRun ran = run(jobs, milliseconds(6000), program);
  EXPECT_EQ(ran.starts, 2);
  ASSERT_EQ(ran.seen.size(), 1U);
  ASSERT_TRUE(ran.seen[0]) << ran.seen[0].error().text;
  const EventObservation* death = ran.seen[0]->first_failure();
  ASSERT_NE(death, nullptr);
  EXPECT_EQ(death->symptom, Symptom::clean_error);
  EXPECT_THAT(death->text, StartsWith("rank 1 was ended by signal 9 (Killed); rank 1 died"));
  ASSERT_EQ(death->wavefront.size(), 4U);
  ASSERT_EQ(dead_rank(*death), &death->wavefront[1]);
  // A predicted hang is not borne out by it, nor is it refuted.
  const JobOutcome outcome = outcome_of(ran.seen[0]);
  ASSERT_EQ(std::ranges::count(outcome.sizes, true, &ObservedSize::died), 1);
  std::filesystem::remove(program);
  std::filesystem::remove(folder() + "/killed");
  expect_nothing_left();
}

// Would catch: ranks that say why they cannot start to nobody.
TEST_F(MpiRunTest, WithoutItsModuleItSaysSo) {
  const std::string program = folder() + "/capsize";
  std::filesystem::copy_file(CAPSIZE_PROGRAM, program);
  const auto ran = run_on_mpi(std::vector{four_ranks()}, {.program = program});
  ASSERT_FALSE(ran);
  EXPECT_THAT(ran.error().text, HasSubstr("capsize_mpi.so"));
  std::filesystem::remove(program);
  expect_nothing_left();
}

}  // namespace
}  // namespace capsize::mpi_run_test
