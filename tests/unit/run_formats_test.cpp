// Observations and jobs between processes: what is written reads back equal, and what a process
// that died half way through wrote is refused with its place.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "scenarios/formats/observation.hpp"
#include "scenarios/formats/plan.hpp"
#include "scenarios/formats/run_job.hpp"

namespace capsize::run_formats_test {
namespace {

// Every field differs from its default, and from its neighbours.
Observation full_observation() {
  const OpPlace place{.rank = 3, .layer = 2, .op = 5, .kind = "reduce_scatter", .group = "attn_tp"};
  EventObservation failed{.event = 7, .kind = PlanEventKind::capture, .path = "prefill"};
  failed.tokens = 4;
  failed.bucket = 8;
  failed.symptom = Symptom::hang;
  failed.skipped = true;
  failed.place = place;
  failed.text = "a line\nand \"another\"";
  failed.mismatches.push_back({.check = Check::padding,
                               .place = place,
                               .mode = "replay",
                               .row = 1,
                               .column = 6,
                               .count = 9,
                               .of = 64,
                               .expected = "0x3f80 (1)",
                               .found = "0x4000 (2)"});
  failed.wavefront.push_back({.rank = 1,
                              .doing = RankState::Doing::dead,
                              .place = place,
                              .sequence = 12,
                              .rows = 13,
                              .text = "ranks 0-2 wait here"});
  failed.operations = 21;
  failed.collectives = 22;
  failed.bytes_moved = 23;
  failed.elements_compared = 24;
  failed.nanoseconds = 25;
  Observation out{.backend = "mpi", .world = 8, .ranks = {3, 4}, .mathematics = true};
  out.events = {failed, {.event = 9, .kind = PlanEventKind::eager}};
  out.elements = 31;
  out.nonzero = 17;
  return out;
}

bool same(const Observation& a, const Observation& b) {
  return a.backend == b.backend && a.world == b.world && a.ranks == b.ranks &&
         a.mathematics == b.mathematics && a.events == b.events && a.elements == b.elements &&
         a.nonzero == b.nonzero;
}

// Would catch a field that the writer forgets, the reader drops, or that two fields share.
TEST(RunFormats, AnObservationReadsBackEqual) {
  const Observation whole = full_observation();
  for (const JsonLines lines : {JsonLines::one, JsonLines::an_event}) {
    const std::string text = write_observation(whole, lines);
    EXPECT_EQ(text.find('\n') == std::string::npos, lines == JsonLines::one);
    const auto again = read_observation(text);
    ASSERT_TRUE(again) << again.error().where << ": " << again.error().text;
    EXPECT_TRUE(same(*again, whole)) << write_observation(*again, lines) << "\n" << text;
  }
}

// A rank that dies while it writes leaves half a line: would catch a reader that takes one.
TEST(RunFormats, HalfAnObservationIsRefused) {
  const std::string text = write_observation(full_observation(), JsonLines::one);
  for (std::size_t length = 0; length < text.size(); ++length) {
    ASSERT_FALSE(read_observation(text.substr(0, length))) << length;
  }
}

// Would catch values that are read without their bounds, and errors without a path.
TEST(RunFormats, WrongObservationsAreRefusedWithTheirPlace) {
  const auto where = [](std::string_view pointer, const nlohmann::json& value) {
    auto document = nlohmann::json::parse(write_observation(full_observation()));
    document[nlohmann::json::json_pointer(std::string(pointer))] = value;
    const auto read = read_observation(document.dump());
    return read ? "read" : read.error().where;
  };
  EXPECT_EQ(where("/world", 0), "$.world");
  EXPECT_EQ(where("/ranks/1", 8), "$.ranks[1]");
  EXPECT_EQ(where("/events/0/kind", "dance"), "$.events[0].kind");
  EXPECT_EQ(where("/events/0/nanoseconds", -1), "$.events[0].nanoseconds");
  EXPECT_EQ(where("/events/0/place/at", std::int64_t{1} << 40), "$.events[0].place.at");
  EXPECT_EQ(where("/events/0/wavefront/0/rank", -2), "$.events[0].wavefront[0].rank");
  EXPECT_EQ(where("/events/0/mismatches/0/check", 1), "$.events[0].mismatches[0].check");
  EXPECT_EQ(where("/events/1/more", 1), "$.events[1].more");
}

constexpr std::string_view kPlan = R"({"schema": 1, "world": 2, "groups": {"tp": [[0, 1]]},
  "events": [{"event": "eager", "path": "prefill", "tokens": 2, "programs": [
    {"ranks": "0-1", "ops": [{"op": "all_reduce", "group": "tp", "rows_in": 2, "rows_out": 2}]}]}]})";

// Would catch an option that does not reach the ranks, and a job that is more than a line.
TEST(RunFormats, AJobIsOneLineAndReadsBackEqual) {
  RunJob job{.plan = read_plan(kPlan).value()};
  job.options = {.type = ElementType::fp16, .hidden = 48, .seed = 0xFEDCBA9876543210U};
  job.options.unguarded = true;
  job.options.fault = RunFault::idle_rank;
  job.options.fault_rank = 1;
  job.options.rows_max = 256;
  job.options.every_count = true;
  const std::string line = write_run_job(job);
  EXPECT_EQ(std::ranges::count(line, '\n'), 0);
  const auto again = read_run_job(line);
  ASSERT_TRUE(again) << again.error().where << ": " << again.error().text;
  EXPECT_EQ(write_plan(again->plan), write_plan(job.plan));
  EXPECT_EQ(again->options, job.options);
  const auto plain = read_run_job(write_run_job({.plan = job.plan}));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->options, RunOptions{});
}

// Would catch a job whose plan is not read with the plan reader's rules, or at a wrong path.
TEST(RunFormats, AWrongJobIsRefusedWithItsPlace) {
  const auto where = [](std::string_view from, std::string_view to) {
    std::string line = write_run_job({.plan = read_plan(kPlan).value()});
    line.replace(line.find(from), from.size(), to);
    const auto read = read_run_job(line);
    return read ? "read" : read.error().where;
  };
  EXPECT_EQ(where("\"world\":2", "\"world\":0"), "$.plan.world");
  EXPECT_EQ(where("\"bf16\"", "\"fp8\""), "$.options.dtype");
  EXPECT_EQ(where("\"hidden\":16", "\"hidden\":0"), "$.options.hidden");
  EXPECT_EQ(where("\"options\"", "\"option\""), "$.option");
}

}  // namespace
}  // namespace capsize::run_formats_test
