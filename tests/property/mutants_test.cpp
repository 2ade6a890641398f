// The laws are tested with planted faults: every mutant is killed by its law and by no other, every
// healthy twin passes, and every law has at least one mutant. Prints the kill table.
#include "properties/mutants.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>

namespace capsize::mutants_test {
namespace {

std::set<std::string> violated(const PlantedPlan& plan) {
  std::set<std::string> laws;
  for (const Finding& finding : judge(plan.subject())) {
    if (finding.verdict == LawVerdict::violation) laws.emplace(finding.law);
  }
  return laws;
}

bool some_path_passes(const PlantedPlan& plan, std::string_view law) {
  const std::vector<Finding> findings = judge(*find_law(law), plan.subject());
  return std::ranges::any_of(findings,
                             [](const Finding& f) { return f.verdict == LawVerdict::pass; });
}

class Mutants : public testing::TestWithParam<Mutant> {};

// A law that sleeps over a fault, or that another law's fault wakes.
TEST_P(Mutants, AreKilledByTheirLawAlone) {
  const Mutant& mutant = GetParam();
  const MutantPair pair = mutant.make();
  std::set<std::string> expected = {std::string(mutant.law)};
  if (!mutant.also.empty()) expected.emplace(mutant.also);
  EXPECT_EQ(violated(pair.faulty), expected);
  EXPECT_EQ(mutant.also.empty(), mutant.also_because.empty());
}

// A law that flags what is right; or a twin that the law does not look at.
TEST_P(Mutants, HaveATwinThatPasses) {
  const Mutant& mutant = GetParam();
  const MutantPair pair = mutant.make();
  EXPECT_THAT(violated(pair.healthy), testing::IsEmpty());
  EXPECT_TRUE(some_path_passes(pair.healthy, mutant.law));
}

// A verdict without its witness, its symptom or its blame cannot be acted on.
TEST_P(Mutants, AreBlamedInWords) {
  const Mutant& mutant = GetParam();
  const MutantPair pair = mutant.make();
  for (const Finding& finding : judge(*find_law(mutant.law), pair.faulty.subject())) {
    if (finding.verdict != LawVerdict::violation) continue;
    EXPECT_TRUE(finding.witness.has_value());
    EXPECT_FALSE(finding.blame.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Planted, Mutants, testing::ValuesIn(mutants().begin(), mutants().end()),
                         [](const testing::TestParamInfo<Mutant>& at) {
                           return std::string(at.param.law) + "_" + std::string(at.param.name);
                         });

// A new law without a planted fault; two mutants of one name.
TEST(MutantTable, HoldsEveryLaw) {
  std::set<std::string_view> laws_hit;
  std::set<std::string_view> names;
  std::printf("# %-28s %-28s %-44s %s\n", "mutant", "law", "clause", "killed by");
  for (const Mutant& mutant : mutants()) {
    ASSERT_NE(find_law(mutant.law), nullptr) << mutant.law;
    laws_hit.insert(mutant.law);
    names.insert(mutant.name);
    std::string killers;
    for (const std::string& law : violated(mutant.make().faulty)) {
      killers.append(killers.empty() ? "" : ", ").append(law);
    }
    std::printf("  %-28s %-28s %-44s %s\n", std::string(mutant.name).c_str(),
                std::string(mutant.law).c_str(), std::string(mutant.clause).c_str(),
                killers.c_str());
  }
  EXPECT_EQ(names.size(), mutants().size());
  const auto judges_captures = [](const Law* law) {
    return law->check_path != nullptr || law->check_eager != nullptr;
  };
  EXPECT_EQ(std::ssize(laws_hit), std::ranges::count_if(laws(), judges_captures));
  EXPECT_EQ(mutants().size(), 33U);
}

}  // namespace
}  // namespace capsize::mutants_test
