// capsize run as a program: what it prints before and behind a run, its JSON, its files and its
// exit status, on plans that are small enough to know every row of the table.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <thread>

#include "scenarios/formats/observation.hpp"
#include "scenarios/formats/run_trace.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace capsize::run_program_test {
namespace {

using test::ChildRun;
using ::testing::HasSubstr;
using ::testing::Not;

// Two ranks; size 8 can be split, size 3 cannot.
constexpr const char* kPlan = R"({"schema": 1, "world": 2, "groups": {"tp": [[0, 1]]}, "events": [
  {"event": "warm_up", "path": "prefill", "tokens": 4, "programs": [
    {"ranks": "0-1", "bucket": 4, "mode": "eager", "ops": [
      {"op": "reduce_scatter", "group": "tp", "rows_in": 4, "rows_out": 2},
      {"op": "all_gather", "group": "tp", "rows_in": 2, "rows_out": 4}]}]},
  {"event": "capture", "path": "prefill", "tokens": 8, "programs": [
    {"ranks": "0-1", "bucket": 8, "mode": "graph", "key": {"tokens": 8}, "ops": [
      {"op": "reduce_scatter", "group": "tp", "rows_in": 8, "rows_out": 4},
      {"op": "all_gather", "group": "tp", "rows_in": 4, "rows_out": 8}]}]},
  {"event": "capture", "path": "prefill", "tokens": 3, "programs": [
    {"ranks": "0-1", "bucket": 3, "mode": "graph", "key": {"tokens": 3}, "ops": [
      {"op": "reduce_scatter", "group": "tp", "rows_in": 3, "rows_out": 1},
      {"op": "all_gather", "group": "tp", "rows_in": 1, "rows_out": 3}]}]}]})";

// The same without the size that cannot be split.
std::string good_plan() {
  auto plan = nlohmann::json::parse(kPlan);
  plan["events"].erase(2);
  return plan.dump();
}

// What a run says, without what differs from run to run: times, the program's own digest, and how
// wide the column of times is.
std::string masked(const std::string& text, const std::string& file) {
  std::string out = std::regex_replace(text, std::regex(R"(capsize [0-9.]+ \([0-9a-f]+\))"), "P");
  out = std::regex_replace(out, std::regex(R"(\b[0-9]+\.[0-9]\b)"), "T");
  const auto name = [&](std::string_view what, std::string_view word) {
    for (std::size_t at = out.find(what); at != std::string::npos; at = out.find(what)) {
      out.replace(at, what.size(), word);
    }
  };
  name(file, "FILE");
  name(checked_for({}), "CHECKS");
  return std::regex_replace(out, std::regex(" +"), " ");
}

class RunProgram : public ::testing::Test {
 protected:
  [[nodiscard]] std::string written(const std::string& name, const std::string& text) const {
    return folder_.write(name, text);
  }
  static ChildRun run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {CAPSIZE_PROGRAM, "run"});
    auto out = test::run_child({.arguments = std::move(arguments)});
    EXPECT_TRUE(out) << out.error();
    return out ? *out : ChildRun{};
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(path_of(name)).rdbuf();
    return out.str();
  }
  [[nodiscard]] std::string path_of(const std::string& name) const {
    return folder_.path() + "/" + name;
  }

 private:
  test::TemporaryFolder folder_;
};

// Would catch a row that is missing or out of order, a size that is replayed although it was not
// captured, and a verdict without its reason, its way out or the line to paste.
TEST_F(RunProgram, PrintsEveryEventAndWhyOneFailed) {
  const std::string file = written("plan.json", kPlan);
  const ChildRun run_of_it = run({file});
  EXPECT_EQ(run_of_it.exit_status, 1) << run_of_it.err;
  EXPECT_EQ(masked(run_of_it.out, file), R"(# P
# executes plan FILE
# world 2 ranks; groups: tp 2
# layers not stated
# backend reference
# data rows of uint32 that differ, seed 1; exact: nothing is rounded
# checks CHECKS
# predicted divisible clean_error on prefill at 3 tokens: reduce_scatter over tp (2 ranks): 3 rows do not divide into equal parts
#
# at event path tokens bucket mode operations bytes time wrong outcome
# (rows) (rows) (moved) (us) (elements)
 0 warm_up prefill 4 4 eager 6 96 T N/A ok
 1 capture prefill 8 8 capture 12 384 T 0 ok
 2 capture prefill 3 3 capture 0 0 T N/A clean_error <-
 3 replay prefill 8 8 replay 12 384 T 0 ok
 4 replay prefill 3 3 replay - - - N/A skipped: not captured
 5 replay prefill 1 3 replay - - - N/A skipped: not captured
 6 replay prefill 4 8 replay 12 384 T 0 ok
 7 replay prefill 2 3 replay - - - N/A skipped: not captured
 8 replay prefill 6 8 replay 12 384 T 0 ok
 9 replay prefill 3 3 replay - - - N/A skipped: not captured
 10 replay prefill 8 8 replay 12 384 T 0 ok

VIOLATION clean_error at the capture of 3 tokens on prefill; 1 of 7 events failed
where rank 0, reduce_scatter over tp
because of 3 rows each of 2 ranks is to get 1: 2 x 1 is not 3
observed clean_error in 1 event; 4 events not replayed: their graphs were not captured
predicted divisible says so: clean_error on prefill at 3 tokens
way out capture only counts that the group divides, or pad the rows before they are split
again capsize run FILE --backend reference
)");
}

// Would catch a trace that lacks operations or holds some twice, and files that say other than the
// table.
TEST_F(RunProgram, TraceJUnitAndJsonTellOneRun) {
  const ChildRun all = run({written("plan.json", good_plan()), "--json", "--junit",
                            path_of("junit.xml"), "--trace", path_of("trace.jsonl")});
  EXPECT_EQ(all.exit_status, 0) << all.out << all.err;
  const auto told = nlohmann::json::parse(all.out);
  EXPECT_EQ(told["verdict"], "pass");
  EXPECT_EQ(told["predicted"], nlohmann::json::array());
  const auto observed = read_observation(told["observed"].dump());
  ASSERT_TRUE(observed) << observed.error().where << observed.error().text;
  std::int64_t collectives = 0;  // every operation of the plan is one
  for (const EventObservation& event : observed->events) collectives += event.collectives;

  std::istringstream trace(read("trace.jsonl"));
  std::int64_t lines = 0;
  for (std::string line; std::getline(trace, line); ++lines) {
    const auto step = nlohmann::json::parse(line);
    EXPECT_EQ(step["group"], "tp") << line;
    EXPECT_TRUE(step["op"] == "reduce_scatter" || step["op"] == "all_gather") << line;
  }
  EXPECT_GT(lines, 0);
  EXPECT_EQ(lines, collectives);
  EXPECT_FALSE(std::filesystem::exists(path_of("trace.jsonl.part")));
  EXPECT_THAT(read("junit.xml"), HasSubstr("tests=\"" + std::to_string(observed->events.size()) +
                                           "\" failures=\"0\""));
}

// Would catch half of a trace that lies about after Ctrl-C, and a status that hides the signal.
TEST_F(RunProgram, InterruptedItLeavesNoTrace) {
  const std::string trace = path_of("trace.jsonl");
  const std::string unfinished = unfinished_trace(trace);
  const pid_t pid = fork();
  if (pid == 0) {
    (void)std::signal(SIGINT, SIG_DFL);  // a shell's background job ignores it
    (void)std::freopen("/dev/null", "w", stdout);
    execl(CAPSIZE_PROGRAM, CAPSIZE_PROGRAM, "run", "--rules", "23972", "--trace", trace.c_str(),
          "--", "--model-path", "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct",
          "--trust-remote-code", "--tp", "8", "--moe-dense-tp-size", "1", nullptr);
    _exit(127);
  }
  // It runs for many seconds, and has written something.
  std::error_code error;
  const auto is_written = [&] { return std::filesystem::file_size(unfinished, error) + 1 > 1; };
  for (int i = 0; i < 3000 && !is_written(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(is_written());
  EXPECT_EQ(kill(pid, SIGINT), 0);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;
  EXPECT_FALSE(std::filesystem::exists(unfinished));
  EXPECT_FALSE(std::filesystem::exists(trace));
}

// Would catch a planted fault that is not told, a hang without the ranks that wait, and a law that
// does not see the fault in the plan.
TEST_F(RunProgram, APlantedIdleRankIsAHangWithItsWavefront) {
  const ChildRun hang = run({"--unguarded", "idle_rank", written("plan.json", good_plan())});
  EXPECT_EQ(hang.exit_status, 1) << hang.err;
  EXPECT_THAT(hang.out, HasSubstr("idle_rank: rank 1 does not enter the replay of 8 tokens"));
  EXPECT_THAT(hang.out, HasSubstr("VIOLATION  hang at the replay of 8 tokens on prefill"));
  EXPECT_THAT(hang.out, HasSubstr("# where every rank stood"));
  EXPECT_THAT(hang.out, HasSubstr("predicted   same_sequence says so: hang"));
  // "--unguarded FILE": the word behind the option is what is executed.
  const ChildRun floor = run({"--unguarded", written("bad.json", kPlan), "--json"});
  EXPECT_EQ(floor.exit_status, 1) << floor.out << floor.err;
  EXPECT_EQ(nlohmann::json::parse(floor.out)["observed"]["events"][2]["symptom"],
            "silent_corruption");
}

// Would catch exit statuses other than those of the result format.
// A result that depends on where ranks live.
TEST_F(RunProgram, EmulatedRanksShowWhatTheReferenceShows) {
  const std::string plan = written("plan.json", kPlan);
  const auto observed_on = [&](std::vector<std::string> backend) {
    backend.insert(backend.begin(), {plan, "--json", "--backend"});
    const ChildRun ran = run(std::move(backend));
    EXPECT_EQ(ran.exit_status, 1) << ran.err;
    auto json = nlohmann::json::parse(ran.out);
    for (auto& event : json["observed"]["events"]) event.erase("nanoseconds");
    json["observed"].erase("backend");
    return json;
  };
  const auto reference = observed_on({"reference"});
  const auto emulated = observed_on({"emulated", "--device", "host"});
  EXPECT_EQ(reference["observed"], emulated["observed"]);
  EXPECT_TRUE(reference["device"].is_null());
  EXPECT_EQ(emulated["device"]["name"], "host");
  EXPECT_GT(emulated["device"]["launches"], 0);
  EXPECT_THAT(std::string(emulated["again"]), HasSubstr("--backend emulated --device host"));
}

// A machine without a GPU is no bad input, and no pass.
TEST_F(RunProgram, WithoutADeviceNothingIsDecided) {
  const std::string plan = written("plan.json", good_plan());
  const ChildRun gpu = run({plan, "--backend", "emulated"});
  if (gpu.exit_status != 0) {
    EXPECT_EQ(gpu.exit_status, 4) << gpu.err;
    EXPECT_THAT(gpu.out, HasSubstr("UNDECIDED  nothing was executed: --backend emulated: "));
    EXPECT_THAT(gpu.out, HasSubstr("way out     --device host"));
  } else {
    EXPECT_THAT(gpu.out, HasSubstr("# device "));
  }
  EXPECT_EQ(run({plan, "--device", "host"}).exit_status, 2);
}

TEST_F(RunProgram, EndsWithTheStatusOfTheFormats) {
  const std::string empty = written("empty.json", R"({"schema": 1, "world": 2})");
  const ChildRun nothing = run({empty});
  EXPECT_EQ(nothing.exit_status, 4);
  EXPECT_THAT(nothing.out, HasSubstr("UNDECIDED  nothing was executed: the plan has no event"));
  EXPECT_THAT(nothing.out, HasSubstr("\nway out "));
  const ChildRun refused = run({"--", "--model-path", "Qwen/Qwen3-30B-A3B", "--tp", "3"});
  EXPECT_EQ(refused.exit_status, 3) << refused.out;
  EXPECT_THAT(refused.out, HasSubstr("REFUSED"));
}

// Would catch a pass although a law says that something fails, and one where nothing was compared.
TEST_F(RunProgram, ItPassesOnlyWhatItComparedAndNoLawSpeaksAgainst) {
  const auto plan = [&](std::string_view events) {
    return written("some.json",
                   R"({"schema": 1, "world": 2, "groups": {"tp": [[0, 1]]}, "events": [)" +
                       std::string(events) + "]}");
  };
  // Both graphs hold the same sequence; that one rank runs eagerly shows in no result.
  const ChildRun mode = run({plan(R"(
    {"event": "capture", "path": "decode", "tokens": 4, "programs": [{"ranks": "0-1", "bucket": 4,
      "mode": "graph", "key": {"tokens": 4},
      "ops": [{"op": "all_reduce", "group": "tp", "rows_in": 4, "rows_out": 4}]}]},
    {"event": "replay", "path": "decode", "tokens": 4, "programs": [
      {"ranks": "0", "bucket": 4, "mode": "graph", "key": {"tokens": 4}},
      {"ranks": "1", "bucket": 4, "mode": "eager",
       "ops": [{"op": "all_reduce", "group": "tp", "rows_in": 4, "rows_out": 4}]}]})")});
  EXPECT_EQ(mode.exit_status, 4) << mode.out << mode.err;
  EXPECT_THAT(mode.out, HasSubstr("\npredicted, not seen here: same_mode "));
  EXPECT_THAT(mode.out, HasSubstr("UNDECIDED  nothing failed in 2 events on reference"));
  EXPECT_THAT(mode.out, HasSubstr("\nway out "));
  EXPECT_THAT(mode.out, HasSubstr("\nagain "));

  const std::string step = R"({"event": "eager", "tokens": 4, "programs": [{"ranks": "0-1",
    "mode": "eager", "ops": [)";
  const ChildRun meets = run({plan(step + R"({"op": "barrier", "group": "tp"}]}]})")});
  EXPECT_EQ(meets.exit_status, 0) << meets.out << meets.err;
  EXPECT_THAT(meets.out,
              HasSubstr("PASS  counts and sequences of 1 event on reference; no graph, no rows"));
  EXPECT_THAT(meets.out, Not(HasSubstr("0 wrong")));
  const ChildRun alone = run({plan(step + R"({"op": "norm", "rows_in": 4, "rows_out": 4}]}]})")});
  EXPECT_EQ(alone.exit_status, 4) << alone.out << alone.err;
  EXPECT_THAT(alone.out, HasSubstr("UNDECIDED  1 event on reference: no rank met another"));
}

// Would catch a planted fault that is blamed for another event's failure.
TEST_F(RunProgram, AFailureBeforeThePlantedFaultIsNotBlamedOnIt) {
  const ChildRun both = run({"--unguarded", "idle_rank", written("plan.json", kPlan)});
  EXPECT_EQ(both.exit_status, 1) << both.out << both.err;
  EXPECT_THAT(both.out, HasSubstr("VIOLATION  silent_corruption at the capture of 3 tokens"));
  EXPECT_THAT(
      both.out,
      HasSubstr(
          "planted     this is not it: it is in event 3, the replay of 8 tokens on prefill: "));
  EXPECT_THAT(both.out, HasSubstr("way out     capture only counts that the group divides"));
}

// Would catch a line to paste that lacks what was given, or that cannot be pasted.
TEST_F(RunProgram, TheLineToPasteIsWhole) {
  auto piped = test::run_child({.arguments = {CAPSIZE_PROGRAM, "run", "-"}, .input = kPlan});
  ASSERT_TRUE(piped) << piped.error();
  EXPECT_THAT(piped->out, HasSubstr("again       capsize run - --backend reference  # with the "
                                    "same text on standard input"));
}

// Would catch a launch whose model's rows are scaled down in silence, and a cap that is not told.
TEST_F(RunProgram, SaysWhatItScalesDownAndLeavesOut) {
  const ChildRun launch = run({"--rules", "23972", "--rows-max", "8", "--", "--model-path",
                               "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct", "--trust-remote-code",
                               "--tp", "8", "--moe-dense-tp-size", "1"});
  EXPECT_EQ(launch.exit_status, 0) << launch.out << launch.err;
  EXPECT_THAT(launch.out, HasSubstr("16 elements a row (the model has 2048: scaled down)"));
  EXPECT_THAT(launch.out, HasSubstr("27 (1 dense, 26 sparse)"));
  EXPECT_THAT(launch.out, HasSubstr("at most 8 a rank: "));
  EXPECT_THAT(launch.out, HasSubstr("PASS  "));
  EXPECT_THAT(launch.out, Not(HasSubstr("0 graphs captured")));
}

// Would catch --after that runs the plan before the fix.
TEST_F(RunProgram, AScenarioRunsBeforeAndAfterItsFix) {
  auto scenario = nlohmann::json::parse(R"({"schema": 1, "id": "two", "title": "t",
    "source": {"url": "https://example.org"}, "class": "C01-token-divisibility",
    "expect": [{"verdict": "violation"}]})");
  scenario["plan"] = nlohmann::json::parse(kPlan);
  scenario["plan_after"] = nlohmann::json::parse(good_plan());
  const std::string file = written("two.json", scenario.dump());
  EXPECT_EQ(run({file}).exit_status, 1);
  const ChildRun after = run({file, "--after"});
  EXPECT_EQ(after.exit_status, 0) << after.out << after.err;
  EXPECT_THAT(after.out, HasSubstr("# executes    scenario two"));
}

}  // namespace
}  // namespace capsize::run_program_test
