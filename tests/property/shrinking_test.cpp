// A counterexample is worth what it is small: planted faults shrink to the smallest cases that are
// known for them, whatever the seed.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <utility>

#include "sim/engines/sglang/dispatch.hpp"
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

rc::Gen<SizeList> short_lists() { return bounded(generators::size_list(64), 64); }

// Sizes are drawn as multiples of attention TP, so that a smaller TP makes smaller sizes: on their
// own, neither could shrink without mending the fault.
rc::Gen<PrefillCase> multiples_cases() {
  return rc::gen::apply(
      [](std::int64_t attn_tp, std::int64_t attn_cp, SizeList sizes) {
        for (std::int64_t& size : sizes) size *= attn_tp;
        return PrefillCase{.version = sglang::Version::pr_23972,
                           .filter = {attn_tp, attn_cp, true},
                           .candidates = std::move(sizes)};
      },
      generators::power_of_two(16), generators::power_of_two(16), short_lists());
}

// The base of #23972 at its smallest: attention TP 2 and CP 2, where 2 is kept and 4 is stated.
TEST(Shrinking, ABrokenContractShrinksToTwoByTwo) {
  EXPECT_EQ(smallest_case([] {
              const PrefillCase in = *multiples_cases();
              const Finding finding = finding_of("filter_keeps_contract", plan_of(in));
              RC_ASSERT(finding.verdict != LawVerdict::violation);
            }),
            "23972 attn_tp 2 attn_cp 2 gathered {2} presents 4096");
}

rc::Gen<PrefillCase> unfiltered_cases() {
  return rc::gen::apply(
      [](std::int64_t attn_tp, SizeList sizes) {
        std::ranges::replace(sizes, 0, 1);  // a size of no rows is another fault
        return PrefillCase{.version = sglang::Version::pre_23972,
                           .filter = {attn_tp, 1, true},
                           .candidates = std::move(sizes)};
      },
      generators::power_of_two(8), short_lists());
}

// The crash of the unfiltered list: one row that two ranks are to split.
TEST(Shrinking, AnUnusableSizeShrinksToOneRowOnTwoRanks) {
  EXPECT_EQ(smallest_case([] {
              const PrefillCase in = *unfiltered_cases();
              const auto step = step_of_layout(
                  {.attn_tp = in.filter.attn_tp, .dense_fully_dp = true, .model = kMixedModel});
              const Finding finding = finding_of("divisible", plan_of(in, step));
              RC_ASSERT(finding.verdict != LawVerdict::violation);
            }),
            "pre-23972 attn_tp 2 attn_cp 1 gathered {1} presents 4096");
}

// A bisection of an unsorted list: two sizes in the wrong order.
TEST(Shrinking, AnUnsortedListShrinksToTwoSizes) {
  EXPECT_EQ(smallest_case([] {
              SizeList list = *generators::size_list(600);
              std::erase(list, 0);  // "[1, 0]" is as small
              RC_PRE(!list.empty());
              const PlantedPlan plan =
                  plan_of(PrefillCase{.version = sglang::Version::pre_23972, .candidates = list});
              const Finding finding = finding_of("round_is_least_upper_bound", plan);
              RC_ASSERT(finding.verdict != LawVerdict::violation);
            }),
            "[2, 1]");
}

// ---- planted rules ---------------------------------------------------------------------------

rc::Gen<PrefillCase> rising_multiples() {
  return rc::gen::map(multiples_cases(), [](PrefillCase in) {
    std::ranges::replace(in.candidates, 0, in.filter.attn_tp);
    std::ranges::sort(in.candidates);
    const auto repeats = std::ranges::unique(in.candidates);
    in.candidates.erase(repeats.begin(), repeats.end());
    return in;
  });
}

// A filter's assertion that is left out: the smallest base above 1, and a list of one size.
TEST(Shrinking, AMissingAssertionShrinksToABaseOfTwo) {
  EXPECT_EQ(smallest_case([] {
              PrefillCase in = *rising_multiples();
              in.filter.attn_cp = 1;
              PlantedPlan plan = plan_of(in);
              SizeFilter& filter = plan.captures.paths.front().filter;
              filter.apply = [apply = filter.apply](SizeList& sizes) {
                return FilterResult{apply(sizes).kept, std::nullopt};
              };
              RC_ASSERT(finding_of("filter_refuses_empty", plan).verdict != LawVerdict::violation);
            }),
            "23972 attn_tp 2 attn_cp 1 gathered {2} presents 4096");
}

// Multiples of a product, where the step asks for one of its factors alone.
TEST(Shrinking, AFactorThatNobodyAsksForShrinksToTwo) {
  EXPECT_EQ(
      smallest_case([] {
        const PrefillCase in = *rising_multiples();
        const std::int64_t product = in.filter.attn_tp * in.filter.attn_cp;
        PlantedPlan plan = plan_of(
            in, step_of_layout(
                    {.attn_tp = in.filter.attn_tp, .dense_fully_dp = true, .model = kMixedModel}));
        plan.fail_on_waste = true;
        CapturePath& path = plan.captures.paths.front();
        path.kept = in.candidates;
        std::erase_if(path.kept, [product](std::int64_t size) { return size % product != 0; });
        RC_PRE(!path.kept.empty());
        RC_ASSERT(finding_of("no_needless_drop", plan).verdict != LawVerdict::violation);
      }),
      "23972 attn_tp 1 attn_cp 2 gathered {1, 2} presents 4096");
}

// The largest size, found only by what is smaller: the smallest list is one size.
TEST(Shrinking, ATopThatIsExclusiveShrinksToOneSize) {
  EXPECT_EQ(smallest_case([] {
              SizeList list = *generators::ascending_list(600);
              std::erase(list, 0);
              RC_PRE(!list.empty());
              PlantedPlan plan =
                  plan_of(PrefillCase{.version = sglang::Version::pr_23906, .candidates = list});
              plan.captures.paths.front().lookup = [](const SizeList& sizes, std::int64_t n) {
                return n == sizes.back() ? std::nullopt : sglang::bisect_lookup(sizes, n);
              };
              RC_ASSERT(finding_of("reachable_is_covered", plan).verdict != LawVerdict::violation);
            }),
            "[1]");
}

// A maximum that is one short of what is captured.
TEST(Shrinking, ASizePastItsMaximumShrinksToTwoPastOne) {
  EXPECT_EQ(smallest_case([] {
              const SizeList list = *generators::ascending_list(600);
              const PlantedPlan plan = plan_of(PrefillCase{
                  .version = sglang::Version::pr_23906, .candidates = list, .maximum = 1});
              RC_ASSERT(finding_of("within_capacity", plan).verdict != LawVerdict::violation);
            }),
            "[2]");
}

// A filter that drops the last element: one that leaves something of two sizes.
TEST(Shrinking, AFilterThatDropsItsLastShrinksToTwoSizes) {
  EXPECT_EQ(smallest_case([] {
              SizeList list = *generators::ascending_list(600);
              std::erase(list, 0);
              RC_PRE(!list.empty());
              PlantedPlan plan =
                  plan_of(PrefillCase{.version = sglang::Version::pr_23906, .candidates = list});
              plan.captures.paths.front().filter.apply = [](SizeList& sizes) {
                FilterResult result{sizes, {}};
                if (result.kept.size() > 1) result.kept.pop_back();
                return result;
              };
              RC_ASSERT(finding_of("filter_is_pure", plan).verdict != LawVerdict::violation);
            }),
            "[1, 2]");
}

}  // namespace
}  // namespace capsize::property::shrinking_test
