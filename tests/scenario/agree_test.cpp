// capsize agree: a small universe of which some sizes fit and some do not, and what becomes of a
// prediction that an execution falsifies.
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/executor.hpp"
#include "runtime/reference.hpp"
#include "scenarios/agree/agreement.hpp"
#include "scenarios/agree/disagreements.hpp"
#include "scenarios/agree/parts.hpp"
#include "scenarios/formats/universe.hpp"
#include "scenarios/suite.hpp"
#include "scenarios/sweep/failures.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace capsize::agree_test {
namespace {

using test::ChildRun;
using ::testing::HasSubstr;

// The fault of PR 23972 on few ranks: 4 and 12 tokens over 8 of them.
constexpr const char* kUniverse = R"({
  "schema": 1, "universe": "tiny", "title": "Few sizes on few ranks", "engine": "sglang",
  "launch": ["--moe-dense-tp-size", "1", "--disable-cuda-graph-padding"],
  "models": [{"name": "mixed", "model_config": {
    "architectures": ["LayerCommunicatorForCausalLM"], "num_hidden_layers": 2, "hidden_size": 1024,
    "num_attention_heads": 16, "vocab_size": 32000, "intermediate_size": 4096,
    "moe_intermediate_size": 1024, "n_routed_experts": 64, "num_experts_per_tok": 4,
    "first_k_dense_replace": 1}}],
  "sizes": {"tiny": [4, 8, 12]},
  "axes": [
    {"axis": "tp", "values": [2, 8], "words": ["--tp-size", "{}"]},
    {"axis": "model", "values": ["mixed"]},
    {"axis": "rules", "values": ["pre-23972", "23972"]},
    {"axis": "prefill_sizes", "values": ["tiny"],
     "words": ["--enforce-piecewise-cuda-graph", "--piecewise-cuda-graph-tokens", "{sizes}"]}]})";

// Context shards of different lengths meet in one sum over all ranks: 8 rows are 4, 2 and 2 of
// three ranks, 2048 are 683, 683 and 682. No library compares the counts of ranks.
constexpr const char* kUneven = R"({
  "schema": 1, "universe": "uneven", "title": "Uneven shards in one sum", "engine": "sglang",
  "launch": ["--attn-cp-size", "3", "--enable-prefill-context-parallel", "--disable-cuda-graph"],
  "models": [{"name": "dense", "model_config": {
    "architectures": ["LayerCommunicatorForCausalLM"], "num_hidden_layers": 2, "hidden_size": 1024,
    "num_attention_heads": 16, "vocab_size": 32000, "intermediate_size": 4096}}],
  "sizes": {"few": [6, 8, 1539, 2048]},
  "axes": [
    {"axis": "tp", "values": [3, 6], "words": ["--tp-size", "{}"]},
    {"axis": "model", "values": ["dense"]},
    {"axis": "rules", "values": ["23906"]},
    {"axis": "prefill_sizes", "values": ["few"],
     "words": ["--enforce-piecewise-cuda-graph", "--piecewise-cuda-graph-tokens", "{sizes}"]}]})";

std::vector<MemberChoices> all_members(const Universe& universe) {
  std::vector<MemberChoices> out;
  for (std::uint64_t number = 0; number < universe.members; ++number) {
    universe.unrank(number, out.emplace_back(universe.axes.size()));
  }
  return out;
}

Agreement agreement_on(const Universe& universe, const AgreeOptions& options) {
  const AgreePlan plan = plan_agreement(universe, all_members(universe), options);
  std::vector<JobOutcome> outcomes;
  for (const std::size_t place : plan.jobs) {
    const RunJob job = job_of_member(universe, plan.members[place].number, options.run);
    ReferenceBackend backend;
    outcomes.push_back(outcome_of(execute(job.plan, job.options, backend)));
  }
  return agreement_of(plan, outcomes);
}

class AgreeProgram : public ::testing::Test {
 protected:
  [[nodiscard]] std::string universe_file() const { return folder_.write("tiny.json", kUniverse); }
  static ChildRun run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), CAPSIZE_PROGRAM);
    auto out = test::run_child({.arguments = std::move(arguments)});
    EXPECT_TRUE(out) << out.error();
    return out ? *out : ChildRun{};
  }
  [[nodiscard]] std::string path_of(const std::string& name) const {
    return folder_.path() + "/" + name;
  }

 private:
  test::TemporaryFolder folder_;
};

// Would catch sizes that are not counted, a matrix whose diagonal is not the agreement, and a pass
// that a single sign was enough for.
TEST_F(AgreeProgram, AgreesOnBothSignsAndOnNoLess) {
  const std::string file = universe_file();
  const ChildRun both = run({"agree", file, "--strength", "2", "--rows-max", "16", "--json"});
  ASSERT_EQ(both.exit_status, 0) << both.out << both.err;
  const auto told = nlohmann::json::parse(both.out);
  EXPECT_EQ(told["verdict"], "pass");
  EXPECT_EQ(told["compared"], told["agreed"]);
  EXPECT_GE(told["predicted_to_fit"], 8);
  EXPECT_GE(told["predicted_to_fail"], 2);
  EXPECT_GT(told["left_out"], 0);
  std::int64_t sum = 0;
  for (const auto& cell : told["sizes"]) {
    EXPECT_EQ(cell["predicted"], cell["observed"]);
    sum += cell["count"].get<std::int64_t>();
  }
  EXPECT_EQ(sum, told["compared"]);

  const ChildRun one = run({"agree", file, "--where", "tp == 2", "--rows-max", "16"});
  EXPECT_EQ(one.exit_status, 4) << one.out;
  EXPECT_THAT(one.out, HasSubstr("every size fits: one sign alone decides nothing"));
  EXPECT_THAT(one.out, HasSubstr("100.00 %"));
}

// Would catch an execution that is made once for members that differ in what they run, or a size
// whose outcome is taken from another member.
TEST_F(AgreeProgram, MembersThatRunTheSameShareAnExecution) {
  const auto universe = read_universe(kUniverse);
  ASSERT_TRUE(universe) << universe.error().where << universe.error().text;
  AgreeOptions options{.run = {.rows_max = 12}};
  const AgreePlan plan = plan_agreement(*universe, all_members(*universe), options);
  ASSERT_EQ(plan.members.size(), 4U);
  // On two ranks both points in history keep all sizes; on eight they do not.
  EXPECT_EQ(plan.members[0].job, plan.members[1].job);
  EXPECT_NE(plan.members[2].job, plan.members[3].job);
  EXPECT_EQ(plan.jobs.size(), 3U);
}

// Would catch a wrong prediction that passes, or that leaves nothing to look at behind.
TEST_F(AgreeProgram, AFalsifiedPredictionIsAViolationAndAScenario) {
  const auto universe = read_universe(kUniverse);
  ASSERT_TRUE(universe);
  AgreeOptions options{.run = {.rows_max = 16}};
  // A judge that takes 4 tokens for a size that every layout can split.
  options.judge = [](const Subject& subject, const CapturePath& path) {
    if (path.name == "prefill" && path.kept.front() == 4) return Finding{};
    return find_law("divisible")->check_path(subject, path);
  };
  const Agreement agreement = agreement_on(*universe, options);
  EXPECT_EQ(verdict_of(agreement), Verdict::violation);
  ASSERT_EQ(agreement.disagreements.size(), 1U);
  EXPECT_EQ(agreement.disagreements[0].predicted.size, 4);
  EXPECT_EQ(agreement.disagreements[0].observed, Symptom::clean_error);
  EXPECT_EQ(exit_status(verdict_of(agreement)), 1);

  const auto scenarios = scenarios_of(*universe, agreement, "reference");
  ASSERT_TRUE(scenarios) << scenarios.error().text;
  ASSERT_EQ(scenarios->size(), 1U);
  const auto written = write_failures(path_of("found"), kAgreePrefix, *universe, *scenarios);
  ASSERT_TRUE(written) << written.error().text;
  ASSERT_EQ(written->files.size(), 1U);
  EXPECT_THAT(written->files[0], HasSubstr("agree-tiny-prefill-ok-clean_error-pre-23972.json"));
  // The file is a scenario that holds, and one that can be executed again.
  EXPECT_EQ(exit_status(run_suite({path_of("found")})), 0);
  const ChildRun again = run({"run", written->files[0], "--rows-max", "16"});
  EXPECT_EQ(again.exit_status, 1) << again.out << again.err;
  EXPECT_THAT(again.out, HasSubstr("warm_up of 4 tokens on prefill"));
}

// Would catch a clean error that is predicted where no library looks, and a hang where chunks of
// nearly as many rows end with wrong sums.
TEST(Agreement, CountsThatDifferBetweenRanksShowAsPredicted) {
  const auto universe = read_universe(kUneven);
  ASSERT_TRUE(universe) << universe.error().where << universe.error().text;
  const Agreement agreement = agreement_on(*universe, {});
  for (const Disagreement& each : agreement.disagreements) {
    ADD_FAILURE() << each.predicted.size << ": " << each.text;
  }
  EXPECT_EQ(agreement.count(Symptom::hang, Symptom::hang), 2U);
  EXPECT_EQ(agreement.count(Symptom::silent_corruption, Symptom::silent_corruption), 6U);
}

// Would catch members that could not be executed, or sizes that nobody saw, behind a pass.
TEST(Agreement, APassNeedsEverySizeSeen) {
  AgreePlan plan;
  AgreeMember& member = plan.members.emplace_back();
  member.sizes = {{"prefill", 8, 8, Symptom::none}, {"prefill", 3, 3, Symptom::hang}};
  plan.jobs = {0};
  JobOutcome outcome{
      .sizes = {{"prefill", 8, Symptom::none, ""}, {"prefill", 3, Symptom::hang, ""}}};
  EXPECT_EQ(verdict_of(agreement_of(plan, {outcome})), Verdict::pass);
  JobOutcome half = outcome;
  half.sizes.pop_back();
  EXPECT_EQ(verdict_of(agreement_of(plan, {half})), Verdict::undecided);
  JobOutcome broken{.error = Error{"plan", "needs more memory", ""}};
  EXPECT_EQ(verdict_of(agreement_of(plan, {broken})), Verdict::undecided);
  outcome.sizes[1].symptom = Symptom::clean_error;  // it fails, but otherwise than predicted
  const Agreement other = agreement_of(plan, {outcome});
  EXPECT_EQ(verdict_of(other), Verdict::violation);
  EXPECT_EQ(other.agreed(), 1U);
  EXPECT_EQ(other.agreed_on_fit(), 2U);
}

// Would catch a rank's death that is taken for the failure that was predicted there, or against it,
// and a pass over sizes that nobody saw to the end.
TEST(Agreement, ADeadRankDecidesNothing) {
  Observation seen;
  for (const std::int64_t bucket : {8, 3}) {
    EventObservation& event = seen.events.emplace_back();
    event.kind = PlanEventKind::capture;
    event.path = "prefill";
    event.bucket = bucket;
    event.symptom = bucket == 3 ? Symptom::clean_error : Symptom::none;
  }
  seen.events[1].wavefront = {{.rank = 1, .doing = RankState::Doing::dead}};
  AgreePlan plan;
  plan.jobs = {0};
  AgreeMember& member = plan.members.emplace_back();
  for (const Symptom predicted : {Symptom::clean_error, Symptom::hang, Symptom::none}) {
    member.sizes = {{"prefill", 8, 8, Symptom::none}, {"prefill", 3, 3, predicted}};
    const Agreement agreement = agreement_of(plan, {outcome_of(seen)});
    EXPECT_EQ(agreement.died, 1U);
    EXPECT_EQ(agreement.compared(), 1U);
    EXPECT_TRUE(agreement.disagreements.empty());
    EXPECT_EQ(verdict_of(agreement), Verdict::undecided);
  }
}

// Would catch "it fits" said of a size that the law could not judge, and a launch that cannot be
// read taken for one that the engine refuses.
TEST(Agreement, OnlyAPassPredictsThatASizeFits) {
  const auto universe = read_universe(kUniverse);
  ASSERT_TRUE(universe);
  AgreeOptions options{.run = {.rows_max = 16}};
  const AgreePlan judged = plan_agreement(*universe, all_members(*universe), options);
  options.judge = [](const Subject& subject, const CapturePath& path) {
    Finding out = find_law("divisible")->check_path(subject, path);
    if (path.name == "prefill" && path.kept.front() == 4) out.verdict = LawVerdict::undecided;
    if (path.name == "prefill" && path.kept.front() == 8) out.verdict = LawVerdict::not_applicable;
    return out;
  };
  const AgreePlan plan = plan_agreement(*universe, all_members(*universe), options);
  ASSERT_EQ(plan.members[0].fate, MemberFate::executed);
  EXPECT_EQ(judged.members[0].unjudged, 0U);
  EXPECT_EQ(plan.members[0].unjudged, 2U);
  EXPECT_EQ(plan.members[0].sizes.size() + 2, judged.members[0].sizes.size());

  AgreePlan broken;
  broken.members.push_back(
      {.number = 7, .fate = MemberFate::broken, .error = Error{"--tp-size", "is no number", ""}});
  const Agreement agreement = agreement_of(broken, {});
  EXPECT_EQ(agreement.refused, 0U);
  ASSERT_EQ(agreement.errors.size(), 1U);
  EXPECT_EQ(agreement.errors[0].first, 7U);
}

// Would catch an event that decides for a size although an earlier one failed otherwise, and a
// replay that was skipped taken for one that went well or badly.
TEST(Agreement, ASizeIsWhatItsFirstFailureShowed) {
  Observation seen;
  const auto event = [&](PlanEventKind kind, std::int64_t bucket, Symptom symptom, bool skipped) {
    EventObservation& each = seen.events.emplace_back();
    each.kind = kind;
    each.path = "prefill";
    each.bucket = bucket;
    each.symptom = symptom;
    each.skipped = skipped;
  };
  event(PlanEventKind::warm_up, 4, Symptom::clean_error, false);
  event(PlanEventKind::capture, 4, Symptom::hang, false);
  event(PlanEventKind::capture, 8, Symptom::none, false);
  event(PlanEventKind::replay, 4, Symptom::none, true);
  event(PlanEventKind::replay, 8, Symptom::silent_corruption, false);
  const JobOutcome outcome = outcome_of(seen);
  ASSERT_EQ(outcome.sizes.size(), 2U);
  EXPECT_EQ(outcome.sizes[0].symptom, Symptom::clean_error);
  EXPECT_EQ(outcome.sizes[1].symptom, Symptom::silent_corruption);
  EXPECT_EQ(outcome.events, 4U);
  EXPECT_EQ(outcome.replays, 1U);
}

// ---- parts --------------------------------------------------------------------------------------

// A plan of members that weigh 1, 2, 3 ...: each third is refused, each fifth runs what its
// predecessor runs.
AgreePlan weighted_plan(std::size_t members) {
  AgreePlan out;
  for (std::size_t i = 0; i < members; ++i) {
    AgreeMember& member = out.members.emplace_back();
    member.number = i;
    if (i % 3 == 2) {
      member.fate = MemberFate::refused;
      continue;
    }
    member.ranks = std::int64_t{1} << (i % 5);
    member.weight = i + 1;
    if (i % 5 == 4 && i % 3 == 1) {
      member = out.members[i - 1];
      member.number = i;
      continue;
    }
    member.job = out.jobs.size();
    out.jobs.push_back(i);
  }
  return out;
}

// Would catch a member that no part runs or that two run, a lifecycle that two parts execute, and
// parts of which one has most of the work.
TEST(AgreeParts, EachMemberIsInOneAndTheyWeighTheSame) {
  for (const std::size_t count : {1, 2, 3, 7, 40}) {
    const AgreePlan plan = weighted_plan(40);
    std::vector<int> seen(plan.members.size(), 0);
    std::uint64_t total = 0;
    std::uint64_t jobs = 0;
    std::vector<std::uint64_t> weights;
    for (std::size_t number = 1; number <= count; ++number) {
      AgreePlan part = plan;
      keep_part(part, {.number = number, .of = count});
      std::uint64_t weight = 0;
      for (const std::size_t place : part.jobs) weight += part.members[place].weight;
      for (const AgreeMember& member : part.members) {
        ++seen[member.number];
        if (member.fate != MemberFate::executed) continue;
        ASSERT_LT(member.job, part.jobs.size());
        EXPECT_EQ(part.members[part.jobs[member.job]].weight, member.weight);
      }
      jobs += part.jobs.size();
      total += weight;
      weights.push_back(weight);
    }
    EXPECT_THAT(seen, ::testing::Each(1)) << count << " parts";
    EXPECT_EQ(jobs, plan.jobs.size());
    const std::uint64_t heaviest = *std::ranges::max_element(weights);
    EXPECT_LE(heaviest, total / count + 2 * plan.members.size()) << count << " parts";
  }
}

// Would catch a launch that neither real nor emulated ranks execute, or both.
TEST(AgreeParts, BoundsOnRanksSplitThePlan) {
  const AgreePlan plan = weighted_plan(40);
  const RankBounds few{.at_most = 4};
  const RankBounds many{.at_least = 5};
  std::size_t real = 0;
  for (const AgreeMember& member : plan.members) {
    EXPECT_NE(few.hold(member), many.hold(member)) << member.number;
    if (few.hold(member)) ++real;
  }
  EXPECT_GT(real, 0U);
  EXPECT_LT(real, plan.members.size());
}

// Would catch jobs that are not those whose parts `agree` runs, an id that changes from call to
// call, and a number of GPUs that nobody has.
TEST_F(AgreeProgram, TheMatrixNamesPartsThatAgreeRuns) {
  const std::string file = universe_file();
  const std::vector<std::string> asked = {"matrix", file,     "--strength", "2",          "--gpus",
                                          "1",      "--jobs", "2",          "--rows-max", "16"};
  const ChildRun matrix = run(asked);
  ASSERT_EQ(matrix.exit_status, 0) << matrix.out << matrix.err;
  EXPECT_EQ(run(asked).out, matrix.out);
  const auto jobs = nlohmann::json::parse(matrix.out)["include"];
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0]["id"], "tiny-t2-emulated-1-of-2");
  std::int64_t members = 0;
  std::int64_t executed = 0;
  for (const auto& job : jobs) {
    auto arguments = job["arguments"].get<std::vector<std::string>>();
    std::ranges::replace(arguments, "emulated", "reference");
    arguments.emplace_back("--json");
    const ChildRun part = run(arguments);
    EXPECT_EQ(part.exit_status, 0) << part.out << part.err;
    const auto told = nlohmann::json::parse(part.out);
    EXPECT_EQ(told["members"]["all"], job["members"]);
    EXPECT_EQ(told["members"]["executed"], job["executed"]);
    members += job["members"].get<std::int64_t>();
    executed += told["members"]["executed"].get<std::int64_t>();
  }
  EXPECT_EQ(members, 4);
  EXPECT_EQ(executed, 4);
  const auto two = nlohmann::json::parse(
      run({"matrix", file, "--strength", "2", "--gpus", "2", "--rows-max", "16"}).out)["include"];
  ASSERT_GE(two.size(), 2U);
  EXPECT_THAT(two.front()["id"].get<std::string>(), HasSubstr("nccl"));
  EXPECT_THAT(two.back()["id"].get<std::string>(), HasSubstr("emulated"));
}

// Would catch a part or a number of GPUs that is taken for another.
TEST_F(AgreeProgram, APartThatIsNoneIsBadInput) {
  const std::string file = universe_file();
  for (const char* const part : {"0/2", "3/2", "1", "1/", "/2", "a/b", "1/2/3", "-1/2", "1/0"}) {
    const ChildRun seen = run({"agree", file, "--part", part});
    EXPECT_EQ(seen.exit_status, 2) << part << seen.out;
    EXPECT_THAT(seen.err, HasSubstr("names no part")) << part;
  }
  for (const char* const gpus : {"0", "-1", "many", "99999"}) {
    EXPECT_EQ(run({"matrix", file, "--gpus", gpus}).exit_status, 2) << gpus;
  }
}

}  // namespace
}  // namespace capsize::agree_test
