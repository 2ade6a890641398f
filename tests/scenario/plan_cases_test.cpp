// The written plans as a whole: every class of defects has at least two, each fails for its own
// reason alone (with its law switched off, and those that point to it, nothing is left), and each
// passes after the fix.
#include "tests/support/plan_cases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "scenarios/check/check.hpp"
#include "scenarios/formats/plan.hpp"
#include "scenarios/formats/scenario.hpp"

namespace capsize::plan_cases_test {
namespace {

using test::law_of;
using test::plan_cases;

CheckResult judged(const nlohmann::json& plan, std::vector<std::string_view> without = {}) {
  auto read = read_plan(JsonField(plan));
  if (!read) return bad_input("", "", std::move(read.error()));
  return check_plan(*std::move(read), std::move(without), "case");
}

std::string broken(const CheckResult& result) {
  std::string out;
  for (const Finding& finding : result.findings) {
    if (finding.verdict != LawVerdict::violation) continue;
    out.append(finding.law).append(": ").append(finding.blame).append("\n");
  }
  return out;
}

// A class that nothing states, or too few legal plans to keep the laws quiet where they must be.
TEST(PlanCases, CoverEveryClass) {
  std::map<std::string, int> defects;
  int legal = 0;
  for (const Scenario& scenario : plan_cases()) {
    if (law_of(scenario).empty()) {
      ++legal;
    } else {
      EXPECT_TRUE(scenario.plan_after.has_value()) << scenario.id;
      ++defects[scenario.defect_class];
    }
  }
  for (const std::string_view name : defect_classes().first(14)) {
    EXPECT_GE(defects[std::string(name)], 2) << name;
  }
  EXPECT_GE(legal, 10);
}

// A plan that fails for another reason than its own, or a fault that two laws claim.
TEST(PlanCases, FailForTheirOwnReason) {
  for (const Scenario& scenario : plan_cases()) {
    const std::string law = law_of(scenario);
    if (law.empty()) continue;
    const CheckResult before = judged(*scenario.plan);
    ASSERT_EQ(before.verdict, Verdict::violation) << scenario.id;
    std::vector<std::string_view> off = {find_law(law)->name};
    for (const Finding& finding : before.findings) {
      if (finding.verdict == LawVerdict::violation && finding.law != law) {
        // The one law that looks at no value stands beside those that do.
        EXPECT_EQ(finding.law, "decisions_are_shared") << scenario.id << "\n" << broken(before);
        EXPECT_THAT(finding.see, testing::Contains(law)) << scenario.id << "\n" << broken(before);
      }
      if (std::ranges::find(finding.see, law) != finding.see.end()) off.push_back(finding.law);
    }
    const CheckResult without = judged(*scenario.plan, off);
    EXPECT_NE(without.verdict, Verdict::violation) << scenario.id << "\n" << broken(without);
    const CheckResult after = judged(*scenario.plan_after);
    EXPECT_EQ(after.verdict, Verdict::pass) << scenario.id << "\n" << broken(after);
  }
}

}  // namespace
}  // namespace capsize::plan_cases_test
