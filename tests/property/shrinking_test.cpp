// A counterexample is worth what it is small: planted faults shrink to the smallest cases that are
// known for them, whatever the seed.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <sstream>

#include "tests/property/sglang_generators.hpp"

namespace capsize::property::shrinking_test {
namespace {

// The counterexample that RapidCheck ends at; empty where it finds none.
template <class Testable>
std::string smallest_case(const Testable& property) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess = 20000;
  const auto result = rc::detail::checkTestable(property, rc::detail::TestMetadata(), params);
  rc::detail::FailureResult failure;
  if (!result.match(failure)) return "";
  return failure.counterExample.back().second;
}

PrefillCase gathered_case(sglang::Version version, std::int64_t sizes_up_to) {
  PrefillCase in{.version = version};
  in.filter = {*generators::power_of_two(16), *generators::power_of_two(16), true};
  in.candidates = *bounded(generators::size_list(sizes_up_to), sizes_up_to);
  return in;
}

// The base of #23972 at its smallest: attention TP 2 and CP 2, where 2 is kept and 4 is stated.
TEST(Shrinking, ABrokenContractShrinksToTwoByTwo) {
  EXPECT_EQ(smallest_case([] {
              const PrefillCase in =
                  *rc::gen::exec([] { return gathered_case(sglang::Version::pr_23972, 512); });
              const Finding finding = finding_of("filter_keeps_contract", plan_of(in));
              RC_ASSERT(finding.verdict != LawVerdict::violation);
            }),
            "23972 attn_tp 2 attn_cp 2 gathered {2} presents 4096");
}

// The crash of the unfiltered list: one row that two ranks are to split.
TEST(Shrinking, AnUnusableSizeShrinksToOneRowOnTwoRanks) {
  EXPECT_EQ(smallest_case([] {
              const PrefillCase in = *rc::gen::exec([] {
                PrefillCase out = gathered_case(sglang::Version::pre_23972, 64);
                out.filter.attn_cp = 1;
                std::erase(out.candidates, 0);
                if (out.candidates.empty()) out.candidates = {1};
                return out;
              });
              const auto step =
                  step_of_layout({.attn_tp = std::min<std::int64_t>(in.filter.attn_tp, 8),
                                  .dense_fully_dp = true,
                                  .model = kMixedModel});
              const Finding finding = finding_of("divisible", plan_of(in, step));
              RC_ASSERT(finding.verdict != LawVerdict::violation);
            }),
            "pre-23972 attn_tp 2 attn_cp 1 gathered {1} presents 4096");
}

// A bisection of an unsorted list: two sizes in the wrong order.
TEST(Shrinking, AnUnsortedListShrinksToTwoSizes) {
  EXPECT_EQ(smallest_case([] {
              const SizeList list = *generators::size_list(600);
              const PlantedPlan plan =
                  plan_of(PrefillCase{.version = sglang::Version::pre_23972, .candidates = list});
              const Finding finding = finding_of("round_is_least_upper_bound", plan);
              RC_ASSERT(finding.verdict != LawVerdict::violation);
            }),
            "[2, 1]");
}

}  // namespace
}  // namespace capsize::property::shrinking_test
