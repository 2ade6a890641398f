// The laws that judge lifecycles are tested with planted faults: every mutant is killed by its law
// and by no other, with that law switched off (and those that point to it) it passes, every healthy
// twin passes, and every law has at least one mutant. Prints the kill table.
#include "properties/plan_mutants.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>

#include "properties/law.hpp"

namespace capsize::plan_mutants_test {
namespace {

using Names = std::set<std::string>;

Names violated(const std::vector<Finding>& findings) {
  Names laws;
  for (const Finding& finding : findings) {
    if (finding.verdict == LawVerdict::violation) laws.emplace(finding.law);
  }
  return laws;
}

// For the message of a failure: what every flagged law says.
std::string told(const std::vector<Finding>& findings) {
  std::string out;
  for (const Finding& finding : findings) {
    if (finding.verdict != LawVerdict::violation) continue;
    out.append(finding.law).append(": ").append(finding.blame).append("\n");
  }
  return out;
}

class PlanMutants : public testing::TestWithParam<PlanMutant> {};

// A law that sleeps over a fault, or that another law's fault wakes.
TEST_P(PlanMutants, AreKilledByTheirLawAlone) {
  const PlanMutant& mutant = GetParam();
  const Lifecycle faulty = mutant.faulty();
  const auto findings = judge_plan(Timeline(faulty));
  Names expected = {std::string(mutant.law)};
  if (!mutant.also.empty()) expected.emplace(mutant.also);
  EXPECT_EQ(violated(findings), expected) << told(findings);
  EXPECT_EQ(mutant.also.empty(), mutant.also_because.empty());
}

// A plan that fails for another reason than the one it was planted for.
TEST_P(PlanMutants, PassWithoutTheirLaw) {
  const PlanMutant& mutant = GetParam();
  const Lifecycle faulty = mutant.faulty();
  const Timeline timeline(faulty);
  std::vector<std::string_view> off = {mutant.law};
  if (!mutant.also.empty()) off.push_back(mutant.also);
  for (const Finding& finding : judge_plan(timeline)) {
    if (std::ranges::find(finding.see, mutant.law) != finding.see.end()) off.push_back(finding.law);
  }
  const auto findings = judge_plan(timeline, off);
  EXPECT_THAT(violated(findings), testing::IsEmpty()) << told(findings);
}

// A law that flags what is right; or a twin that the law does not look at.
TEST_P(PlanMutants, HaveATwinThatPasses) {
  const PlanMutant& mutant = GetParam();
  const Lifecycle healthy = mutant.healthy();
  const auto findings = judge_plan(Timeline(healthy));
  EXPECT_THAT(violated(findings), testing::IsEmpty()) << told(findings);
  EXPECT_TRUE(std::ranges::any_of(findings, [&](const Finding& finding) {
    return finding.law == mutant.law && finding.verdict == LawVerdict::pass;
  }));
}

// A verdict without its witness, its symptom or its blame cannot be acted on.
TEST_P(PlanMutants, AreBlamedInWords) {
  const PlanMutant& mutant = GetParam();
  const Lifecycle faulty = mutant.faulty();
  for (const Finding& finding : judge_plan(Timeline(faulty))) {
    if (finding.verdict != LawVerdict::violation) continue;
    EXPECT_TRUE(finding.witness.has_value());
    EXPECT_FALSE(finding.blame.empty());
    EXPECT_NE(finding.symptom, Symptom::none) << finding.law;
  }
}

INSTANTIATE_TEST_SUITE_P(Planted, PlanMutants,
                         testing::ValuesIn(plan_mutants().begin(), plan_mutants().end()),
                         [](const testing::TestParamInfo<PlanMutant>& at) {
                           return std::string(at.param.law) + "_" + std::string(at.param.name);
                         });

// A law without a planted fault; two mutants of one name in one law.
TEST(PlanMutantTable, HoldsEveryLawThatJudgesLifecycles) {
  Names hit;
  Names names;
  std::printf("# %-24s %-28s %s\n", "law", "mutant", "clause");
  for (const PlanMutant& mutant : plan_mutants()) {
    const Law* law = find_law(mutant.law);
    ASSERT_NE(law, nullptr) << mutant.law;
    EXPECT_NE(law->check_plan, nullptr) << mutant.law;
    hit.emplace(mutant.law);
    names.insert(std::string(mutant.law) + "/" + std::string(mutant.name));
    std::printf("  %-24s %-28s %s\n", std::string(mutant.law).c_str(),
                std::string(mutant.name).c_str(), std::string(mutant.clause).c_str());
  }
  EXPECT_EQ(names.size(), plan_mutants().size());
  Names judging;
  for (const Law* law : laws()) {
    if (law->check_plan != nullptr) judging.emplace(law->name);
  }
  EXPECT_EQ(hit, judging);
}

}  // namespace
}  // namespace capsize::plan_mutants_test
