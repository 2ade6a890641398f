// capsize sweep as a program: threads, shards, ranks, and runs that are killed and taken up again
// end in the same certificate; what it writes as scenarios holds.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/support/child_process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace capsize::sweep_program_test {
namespace {

using test::ChildRun;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// tp and cp of the fault of PR 23972, small lists that can be emptied, two points in history.
constexpr const char* kUniverse = R"({
  "schema": 1, "universe": "small", "title": "Small sizes on few ranks", "engine": "sglang",
  "launch": ["--moe-dense-tp-size", "1"],
  "models": [{"name": "mixed", "model_config": {
    "architectures": ["LayerCommunicatorForCausalLM"], "num_hidden_layers": 4, "hidden_size": 1024,
    "num_attention_heads": 16, "vocab_size": 32000, "intermediate_size": 4096,
    "moe_intermediate_size": 1024, "n_routed_experts": 64, "num_experts_per_tok": 4,
    "first_k_dense_replace": 2}}],
  "sizes": {"tiny": [4, 12], "odd": [1, 3, 5]},
  "axes": [
    {"axis": "tp", "values": {"from": 1, "to": 8}, "words": ["--tp-size", "{}"]},
    {"axis": "attn_cp", "values": [1, 2, 4],
     "words": ["--attn-cp-size", "{}", "--enable-prefill-context-parallel"], "bare": [1]},
    {"axis": "prefill_graphs",
     "values": ["auto", {"name": "enforced", "words": ["--enforce-piecewise-cuda-graph"]}]},
    {"axis": "model", "values": ["mixed"]},
    {"axis": "rules", "values": ["pre-23972", "23972"]},
    {"axis": "prefill_sizes", "values": ["default", "tiny", "odd"],
     "words": ["--piecewise-cuda-graph-tokens", "{sizes}"], "bare": ["default"]}],
  "derived": [{"name": "attn_tp", "value": "tp / attn_cp"}],
  "constraints": [
    {"holds": "tp % attn_cp == 0", "why": "the ranks of attention are cut evenly"}]})";

nlohmann::json json_of(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file, nullptr, false);
}

// What is compared: all but how it came about.
nlohmann::json said(nlohmann::json certificate) {
  certificate.erase("run");
  return certificate;
}

class SweepProgram : public ::testing::Test {
 protected:
  [[nodiscard]] std::string at(const std::string& name) const {
    return folder_.path() + "/" + name;
  }

  [[nodiscard]] ChildRun run(std::vector<std::string> arguments,
                             test::ChildOptions options = {}) const {
    options.arguments = {CAPSIZE_PROGRAM, "sweep"};
    std::ranges::move(arguments, std::back_inserter(options.arguments));
    auto child = test::run_child(options);
    if (!child) {
      ADD_FAILURE() << child.error();
      return {};
    }
    return *std::move(child);
  }

  // The certificate of the small universe, by one thread.
  [[nodiscard]] nlohmann::json whole() const {
    const ChildRun run = this->run({universe_, "--threads", "1", "--json"});
    EXPECT_EQ(run.exit_status, 1) << run.err;
    return said(nlohmann::json::parse(run.out, nullptr, false));
  }

  test::TemporaryFolder folder_;
  std::string universe_ = folder_.write("small.json", kUniverse);
};

// Would catch: members that are in no count, or in two.
TEST_F(SweepProgram, EveryMemberIsCounted) {
  const nlohmann::json certificate = whole();
  ASSERT_TRUE(certificate.is_object());
  EXPECT_EQ(certificate["covered"], 8 * 3 * 2 * 2 * 3);
  const auto& members = certificate["members"];
  EXPECT_EQ(members["removed"].get<int>() + members["judged"].get<int>(), 288);
  EXPECT_EQ(certificate["removed"][0]["why"], "constraint: the ranks of attention are cut evenly");
  EXPECT_EQ(certificate["removed"][0]["members"], 12 * (4 + 6));
}

// Would catch: a certificate that misses the crash of PR 23972 or finds it after the fix.
TEST_F(SweepProgram, FindsTheSeedsCrashBeforeTheFixOnly) {
  const ChildRun run = this->run({universe_, "--where", "attn_cp == 1", "--json"});
  const auto certificate = nlohmann::json::parse(run.out, nullptr, false);
  ASSERT_TRUE(certificate.is_object()) << run.err;
  std::size_t looked_at = 0;
  for (const auto& law : certificate["laws"]) {
    if (law["law"] != "divisible") continue;
    const bool in_prefill_graphs = std::ranges::any_of(
        law["failed_on"], [](const auto& on) { return on["path"] == "prefill"; });
    EXPECT_EQ(in_prefill_graphs, law["rules"] == "pre-23972") << law;
    EXPECT_GT(law["passed"].get<int>(), 0) << law;
    ++looked_at;
  }
  EXPECT_EQ(looked_at, 2U);
}

// Would catch: a result that hangs on threads, or on how the universe was cut.
TEST_F(SweepProgram, ThreadsAndShardsSayTheSame) {
  const nlohmann::json expected = whole();
  const ChildRun two = run({universe_, "--threads", "2", "--json"});
  EXPECT_EQ(said(nlohmann::json::parse(two.out, nullptr, false)), expected);
  for (const char* index : {"1", "2", "3"}) {
    const ChildRun shard = run({universe_, "--shard", std::string(index) + "/3", "--certificate",
                                at(std::string(index) + ".json"), "--quiet"});
    EXPECT_NE(shard.exit_status, 2) << shard.err;
  }
  const ChildRun merged =
      run({"--merge", at("2.json"), at("3.json"), at("1.json"), "--certificate", at("all.json")});
  EXPECT_EQ(merged.exit_status, 1) << merged.err;
  EXPECT_THAT(merged.out, HasSubstr("VIOLATION"));
  EXPECT_EQ(said(json_of(at("all.json"))), expected);

  const ChildRun hole = run({"--merge", at("1.json"), at("3.json")});
  EXPECT_EQ(hole.exit_status, 2);
  EXPECT_THAT(hole.err, HasSubstr("members 96 to 191 are in none"));
  const ChildRun twice = run({"--merge", at("1.json"), at("1.json"), at("2.json"), at("3.json")});
  EXPECT_EQ(twice.exit_status, 2);
  EXPECT_THAT(twice.err, AllOf(HasSubstr("members 0 to 95 are in"), HasSubstr("1.json")));
}

// Would catch: scenarios that do not hold, or a failure that is written for rules under which
// nothing fails.
TEST_F(SweepProgram, WrittenScenariosHold) {
  const ChildRun swept = run({universe_, "--failures", at("found")});
  EXPECT_EQ(swept.exit_status, 1) << swept.err;
  EXPECT_TRUE(std::filesystem::exists(at("found/sweep-small-divisible-pre-23972.json")));
  EXPECT_FALSE(std::filesystem::exists(at("found/sweep-small-filter_is_pure-23972.json")));
  EXPECT_TRUE(std::filesystem::exists(at("found/sweep-small-empty_list-23972.json"))) << swept.out;
  const auto held =
      test::run_child({.arguments = {CAPSIZE_PROGRAM, "scenarios", "run", at("found")}});
  ASSERT_TRUE(held) << held.error();
  EXPECT_EQ(held->exit_status, 0) << held->out << held->err;
  const auto scenario = json_of(at("found/sweep-small-divisible-pre-23972.json"));
  EXPECT_EQ(scenario["source"]["universe"], "small");
  EXPECT_TRUE(scenario["expect"][0].contains("witness")) << scenario;
}

// Would catch: --where that changes what is said of the members that it leaves in.
TEST_F(SweepProgram, WhereLeavesMembersOut) {
  const ChildRun run = this->run({universe_, "--where", "tp == 4 && rules == 23972", "--json"});
  const auto certificate = nlohmann::json::parse(run.out, nullptr, false);
  EXPECT_EQ(certificate["members"]["left_out"], 288 - 3 * 2 * 3) << run.err;
  EXPECT_EQ(certificate["where"], "tp == 4 && rules == 23972");
  const ChildRun none = this->run({universe_, "--where", "tp == 100"});
  EXPECT_EQ(none.exit_status, 4) << none.out;
  EXPECT_THAT(none.out, HasSubstr("UNDECIDED"));
}

// Would catch: progress or terminal codes in a pipe.
TEST_F(SweepProgram, IsQuietInAPipe) {
  const ChildRun run = this->run({universe_});
  EXPECT_EQ(run.err, "");
  EXPECT_THAT(run.out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(run.out, AllOf(HasSubstr("universe   small"), HasSubstr("VIOLATION")));
  const ChildRun quiet = this->run({universe_, "--quiet"});
  EXPECT_TRUE(quiet.out.starts_with("VIOLATION  small: ")) << quiet.out;
}

// Would catch: a report that leaves its verdict to be searched for, names a law's failures once for
// every label, or says of a member another size than its check.
TEST_F(SweepProgram, BeginsAndEndsWithItsVerdict) {
  const ChildRun run = this->run({universe_, "--quiet"});
  const std::size_t last = run.out.rfind('\n', run.out.size() - 2);
  ASSERT_NE(last, std::string::npos) << run.out;
  EXPECT_TRUE(run.out.substr(last + 1).starts_with("VIOLATION  small: ")) << run.out;
  const std::string head = "divisible on eager_prefill under rules pre-23972, 23972\n";
  const std::size_t at = run.out.find(head);
  ASSERT_NE(at, std::string::npos) << run.out;
  EXPECT_EQ(run.out.find("divisible on eager_prefill", at + 1), std::string::npos) << run.out;
  const std::size_t size = run.out.find("    fails   at ", at) + 15;
  const std::string count = run.out.substr(size, run.out.find(' ', size) - size);
  const std::size_t again = run.out.find(" --member ", size) + 10;
  const ChildRun checked = this->run(
      {universe_, "--member", run.out.substr(again, run.out.find('\n', again) - again), "--json"});
  const auto result = nlohmann::json::parse(checked.out, nullptr, false);
  std::size_t found = 0;
  for (const auto& finding : result["laws"]) {
    if (finding["law"] != "divisible" || finding["path"] != "eager_prefill") continue;
    EXPECT_EQ(std::to_string(finding["witness"]["tokens"].get<int>()), count) << finding;
    ++found;
  }
  EXPECT_EQ(found, 1U) << checked.out;
}

// Would catch: scenarios of a sweep before this one that are run as if they had been found now, and
// files of others that are removed with them.
TEST_F(SweepProgram, OldScenariosOfTheUniverseAreRemoved) {
  (void)run({universe_, "--failures", at("found")});
  const std::string crash = at("found/sweep-small-divisible-pre-23972.json");
  ASSERT_TRUE(std::filesystem::exists(crash));
  auto other = json_of(crash);
  other["source"]["universe"] = "small-other";
  other["id"] = "sweep-small-other-divisible";
  std::ofstream(at("found/sweep-small-other-divisible.json")) << other;
  std::ofstream(at("found/sweep-small-notes.txt")) << "mine";
  const ChildRun none = run({universe_, "--where", "tp == 1", "--failures", at("found")});
  EXPECT_THAT(none.out, HasSubstr("of an earlier sweep removed"));
  EXPECT_FALSE(std::filesystem::exists(crash));
  EXPECT_TRUE(std::filesystem::exists(at("found/sweep-small-other-divisible.json")));
  EXPECT_TRUE(std::filesystem::exists(at("found/sweep-small-notes.txt")));
}

// Would catch: a comparison that a machine cannot read.
TEST_F(SweepProgram, ComparisonsTellMachinesToo) {
  const ChildRun run = this->run({universe_, "--compare", "50", "--seed", "7", "--json"});
  EXPECT_EQ(run.exit_status, 0) << run.out << run.err;
  const auto told = nlohmann::json::parse(run.out, nullptr, false);
  ASSERT_TRUE(told.is_object()) << run.out;
  EXPECT_EQ(told["verdict"], "pass");
  EXPECT_EQ(told["universe"], "small");
  EXPECT_EQ(told["members"], 50);
  EXPECT_GT(told["judged"], 0);
  EXPECT_EQ(told["differ"], 0);
  EXPECT_TRUE(told["first"].is_null());
  EXPECT_EQ(told["seed"], 7);
}

// Would catch: a finished checkpoint that is judged again, or that says something else then.
TEST_F(SweepProgram, AFinishedCheckpointIsItsCertificate) {
  const nlohmann::json expected = whole();
  const std::vector<std::string> line = {universe_, "--resume", at("state.json"), "--json"};
  EXPECT_EQ(said(nlohmann::json::parse(run(line).out, nullptr, false)), expected);
  const auto kept = json_of(at("state.json"));
  EXPECT_EQ(said(kept), expected);
  EXPECT_EQ(kept["run"]["members"], 288);
  const auto again = nlohmann::json::parse(run(line).out, nullptr, false);
  EXPECT_EQ(said(again), expected);
  EXPECT_EQ(again["run"]["members"], 0);
}

// Would catch: a line to paste that checks another member than the one that fails.
TEST_F(SweepProgram, OneMemberIsCheckedAgain) {
  for (const auto& law : whole()["laws"]) {
    if (law["first_failure"].is_null()) continue;
    const ChildRun run =
        this->run({universe_, "--member", std::to_string(law["first_failure"]["member"].get<int>()),
                   "--json"});
    EXPECT_EQ(run.exit_status, 1) << run.err;
    const auto result = nlohmann::json::parse(run.out, nullptr, false);
    EXPECT_EQ(result["rules"], law["rules"]);
    EXPECT_TRUE(std::ranges::any_of(result["laws"], [&](const auto& finding) {
      return finding["law"] == law["law"] && finding["verdict"] == "violation";
    })) << law;
  }
  EXPECT_EQ(this->run({universe_, "--member", "288"}).exit_status, 2);
}

// Would catch: a checkpoint that a kill leaves half-written or that holds chunks that were not
// finished, so that the run that goes on says something else than one that was never killed.
TEST_F(SweepProgram, KilledAndResumedSaysTheSame) {
  std::vector<std::string> line;
  // Killed ever later, in ever longer runs, until a checkpoint of a part was left: machines differ.
  const auto leaves_a_part = [&](const std::string& shard, int milliseconds) {
    std::filesystem::remove(at("state.json"));
    line = {"sglang-full", "--threads", "1", "--shard", shard, "--json"};
    std::vector<std::string> killed = line;
    killed.insert(killed.end(), {"--resume", at("state.json")});
    if (!run(killed, {.limit = std::chrono::milliseconds(milliseconds)}).timed_out) return false;
    const auto state = json_of(at("state.json"));
    if (!state.is_object()) return false;
    const auto whole =
        state["universe"]["members"].get<std::int64_t>() / state["shard"]["of"].get<std::int64_t>();
    return state["covered"] > 0 && state["covered"] < whole;
  };
  bool part_left = false;
  for (const char* shard : {"1/200", "1/60", "1/20", "1/6"}) {
    for (int limit = 150; limit <= 1200 && !part_left; limit *= 2) {
      part_left = leaves_a_part(shard, limit);
    }
  }
  ASSERT_TRUE(part_left) << "no run was killed with a part of its members done";
  const auto expected = nlohmann::json::parse(run(line).out, nullptr, false);
  line.insert(line.end(), {"--resume", at("state.json")});
  const auto resumed = nlohmann::json::parse(run(line).out, nullptr, false);
  ASSERT_TRUE(expected.is_object() && resumed.is_object());
  EXPECT_EQ(said(resumed), said(expected));
  EXPECT_LT(resumed["run"]["members"], expected["run"]["members"]) << "nothing was taken up";
  EXPECT_GT(resumed["run"]["members"], 0) << "nothing was left to do";
}

// Would catch: a stop that loses what was done, writes a certificate of a part, or looks like a
// verdict. The sender signals the process and then its group, as launchers do.
TEST_F(SweepProgram, AStoppedRunKeepsItsStateAndIsNoVerdict) {
  const auto stopped = test::run_child(
      {.arguments = {"/usr/bin/env", "timeout", "--preserve-status", "-s", "TERM", "0.5",
                     CAPSIZE_PROGRAM, "sweep", "sglang-full", "--threads", "1", "--resume",
                     at("state.json"), "--certificate", at("c.json"), "--quiet"}});
  ASSERT_TRUE(stopped) << stopped.error();
  EXPECT_EQ(stopped->exit_status, 4) << stopped->err;
  EXPECT_EQ(stopped->out, "");
  EXPECT_THAT(stopped->err, AllOf(HasSubstr("stopped after"), HasSubstr(at("state.json"))));
  EXPECT_FALSE(std::filesystem::exists(at("c.json")));
  const auto state = json_of(at("state.json"));
  ASSERT_TRUE(state.is_object());
  EXPECT_GT(state["covered"], 0);
  EXPECT_EQ(state["complete"], false);
  const auto machine = test::run_child(
      {.arguments = {"/usr/bin/env", "timeout", "--preserve-status", "-s", "TERM", "0.5",
                     CAPSIZE_PROGRAM, "sweep", "sglang-full", "--threads", "1", "--json"}});
  ASSERT_TRUE(machine) << machine.error();
  EXPECT_EQ(machine->exit_status, 4) << machine->err;
  EXPECT_EQ(machine->err, "");
  const auto told = nlohmann::json::parse(machine->out, nullptr, false);
  ASSERT_TRUE(told.is_object()) << machine->out;
  EXPECT_EQ(told["verdict"], "undecided");
  EXPECT_LT(told["done"], told["members"]);
}

// ---- ranks --------------------------------------------------------------------------------------

bool has_mpirun() {
  const auto run = test::run_child({.arguments = {"/usr/bin/env", "mpirun", "--version"}});
  return run && run->exit_status == 0;
}

bool has_module() {
  return std::filesystem::exists(std::filesystem::path(CAPSIZE_PROGRAM).parent_path() /
                                 "capsize_mpi.so");
}

// Two ranks on this machine, whoever runs the test and without a remote shell.
ChildRun as_ranks(std::vector<std::string> arguments,
                  std::vector<std::string> program = {CAPSIZE_PROGRAM, "sweep"}) {
  arguments.insert(arguments.begin(), program.begin(), program.end());
  test::ChildOptions options{
      .arguments = {"/usr/bin/env", "mpirun", "--oversubscribe", "--mca", "plm", "isolated", "-n",
                    "2"},
      .environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}}};
  std::ranges::move(arguments, std::back_inserter(options.arguments));
  auto run = test::run_child(options);
  if (run) return *std::move(run);
  ADD_FAILURE() << run.error();
  return {};
}

// The lines of `text` that begin with `begin`.
std::size_t lines_with(const std::string& text, const std::string& begin) {
  std::istringstream in(text);
  std::size_t count = 0;
  for (std::string line; std::getline(in, line);) count += line.starts_with(begin) ? 1 : 0;
  return count;
}

// Would catch: ranks that each sweep everything, a merge that loses one of them, output of more
// than one rank.
TEST_F(SweepProgram, RanksSayTheSame) {
  if (!has_mpirun() || !has_module()) GTEST_SKIP() << "no mpirun or no MPI module here";
  const ChildRun run = as_ranks({universe_, "--certificate", at("ranks.json")});
  EXPECT_EQ(run.exit_status, 1) << run.out << run.err;
  EXPECT_EQ(lines_with(run.out, "digest "), 1U) << run.out;
  EXPECT_EQ(lines_with(run.out, "VIOLATION"), 2U) << "the first and the last line: " << run.out;
  const auto certificate = json_of(at("ranks.json"));
  ASSERT_TRUE(certificate.is_object()) << run.err;
  EXPECT_EQ(certificate["run"]["ranks"], 2);
  EXPECT_EQ(said(certificate), whole());
}

// Would catch: what one process does, done and told by each.
TEST_F(SweepProgram, OneRankDoesWhatIsNoSweep) {
  if (!has_mpirun() || !has_module()) GTEST_SKIP() << "no mpirun or no MPI module here";
  const ChildRun compared = as_ranks({universe_, "--compare", "20"});
  EXPECT_EQ(lines_with(compared.out, "PASS"), 1U) << compared.out << compared.err;
  const ChildRun member = as_ranks({universe_, "--member", "0"});
  EXPECT_EQ(lines_with(member.out, "member "), 1U) << member.out << member.err;
  const ChildRun merged = as_ranks({"--merge", at("none.json")});
  EXPECT_EQ(merged.exit_status, 2) << merged.out;
  EXPECT_EQ(lines_with(merged.err, "capsize: bad input"), 1U) << merged.err;
}

// Would catch: ranks that judge a whole universe for a reader that has gone away.
TEST_F(SweepProgram, LostOutputEndsAllRanksBeforeTheyJudge) {
  if (!has_mpirun() || !has_module()) GTEST_SKIP() << "no mpirun or no MPI module here";
  const std::string full = "exec \"$0\" sweep \"$@\" > /dev/full";
  const ChildRun run =
      as_ranks({universe_, "--resume", at("state.json")}, {"/bin/sh", "-c", full, CAPSIZE_PROGRAM});
  EXPECT_FALSE(run.timed_out);
  EXPECT_EQ(run.exit_status, 2) << run.err;
  EXPECT_EQ(lines_with(run.err, "capsize: standard output cannot be written"), 1U) << run.err;
  EXPECT_FALSE(std::filesystem::exists(at("state.json.1-of-2")));
  EXPECT_FALSE(std::filesystem::exists(at("state.json.2-of-2")));
}

// Would catch: ranks that wait for one that has ended with an error, and an error from each.
TEST_F(SweepProgram, AnErrorEndsAllRanksAndIsToldOnce) {
  if (!has_mpirun() || !has_module()) GTEST_SKIP() << "no mpirun or no MPI module here";
  const std::vector<std::vector<std::string>> lines = {{universe_, "--where", "nothing == ("},
                                                       {universe_, "--shard", "1/2"}};
  for (const auto& line : lines) {
    const ChildRun run = as_ranks(line);
    EXPECT_FALSE(run.timed_out);
    EXPECT_EQ(run.exit_status, 2) << run.err;
    EXPECT_EQ(lines_with(run.err, "capsize: bad input"), 1U) << run.err;
  }
  // A checkpoint that only the second rank cannot read.
  (void)folder_.write("state.json.2-of-2", "{");
  const ChildRun one = as_ranks({universe_, "--resume", at("state.json")});
  EXPECT_EQ(one.exit_status, 2) << one.err;
  EXPECT_EQ(lines_with(one.err, "capsize: bad input at rank 1"), 1U) << one.err;
}

// Would catch: a launcher without its module, under which every rank sweeps everything.
TEST_F(SweepProgram, ALauncherWithoutTheModuleIsRefused) {
  std::filesystem::copy_file(CAPSIZE_PROGRAM, at("capsize"));
  const auto run = test::run_child({.arguments = {at("capsize"), "sweep", universe_},
                                    .environment = {{"OMPI_COMM_WORLD_SIZE", "2"}}});
  ASSERT_TRUE(run) << run.error();
  EXPECT_EQ(run->exit_status, 2);
  EXPECT_THAT(run->err, AllOf(HasSubstr("OMPI_COMM_WORLD_SIZE"), HasSubstr("capsize_mpi.so"),
                              HasSubstr("--shard")));
  const auto alone = test::run_child({.arguments = {at("capsize"), "sweep", universe_},
                                      .environment = {{"OMPI_COMM_WORLD_SIZE", "1"}}});
  ASSERT_TRUE(alone) << alone.error();
  EXPECT_EQ(alone->exit_status, 1) << alone->err;
}

}  // namespace
}  // namespace capsize::sweep_program_test
