// filter_is_pure: the four prefill rules and the decode filter are pure; a rounding filter that
// does not say which comes first, the cut or the rounding, is not, exactly where a size rounds
// past the cut.
#include <gtest/gtest.h>

#include "sim/units.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/sglang_generators.hpp"

namespace capsize::property::pure_test {
namespace {

using sglang::Version;

constexpr std::string_view kLaw = "filter_is_pure";

// Some size fits the maximum and is rounded past it.
bool rounds_past(const PrefillCase& in) {
  if (!in.filter.gathered) return false;
  return std::ranges::any_of(in.candidates, [&in](std::int64_t size) {
    return size <= *in.maximum && align_up(size, in.filter.attn_tp) > *in.maximum;
  });
}

// A filter whose second run, or whose answer to the reversed list, differs: every version, layout
// and ordered list of two sizes; rounding with and without its declaration, cut at every maximum.
TEST(FilterIsPureProperty, EveryOrderedPairAndMaximum) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::uint8_t version = 0; version < static_cast<std::uint8_t>(Version::end); ++version) {
    for (const std::int64_t attn_tp : {1, 2, 4}) {
      for (const std::int64_t attn_cp : {1, 2}) {
        for (std::int64_t a = 0; a <= 9; ++a) {
          for (std::int64_t b = 0; b <= 9; ++b) {
            for (std::int64_t maximum = 1; maximum <= 9; ++maximum) {
              const PrefillCase in{.version = static_cast<Version>(version),
                                   .filter = {attn_tp, attn_cp, true},
                                   .candidates = {a, b},
                                   .maximum = maximum};
              PlantedPlan plan = plan_of(in);
              if (plan.captures.paths.front().kept.empty()) continue;
              ASSERT_EQ(finding_of(kLaw, plan).verdict, LawVerdict::pass);
              plan.captures.paths.front().filter.clamp_order_declared = false;
              const bool wanted = in.version == Version::pr_33200 && rounds_past(in);
              ASSERT_EQ(finding_of(kLaw, plan).verdict == LawVerdict::violation, wanted)
                  << attn_tp << " {" << a << ", " << b << "} cut at " << maximum;
              ++count;
              broken += wanted ? 1 : 0;
            }
          }
        }
      }
    }
  }
  // Three versions keep a size of every list; #23972 empties those without a multiple of TP.
  EXPECT_EQ(count, 9 * (3 * 600 + 100 + 3 * 75 + 2 * 51));
  visited(count);
  EXPECT_GT(broken, 0);
}

TEST(FilterIsPureProperty, RandomPrefillLists) {
  Histogram seen;
  seen.declare("undeclared", {"pass", "violation", "undecided"});
  seen.declare("list", {"ascending", "unsorted", "with zero", "with repeats"});
  EXPECT_TRUE(holds("prefill filters are pure", [&seen] {
    PrefillCase in = *prefill_cases(generators::size_list(700));
    // A maximum just above or below a size is what rounding trips over.
    if (in.maximum) {
      in.maximum = std::max<std::int64_t>(1, in.candidates.front() + *generators::evenly(-2, 6));
    }
    PlantedPlan plan = plan_of(in);
    const bool empty = plan.captures.paths.front().kept.empty();
    const LawVerdict wanted = empty ? LawVerdict::undecided : LawVerdict::pass;
    seen.count("rules", label_of(in.version));
    seen.count("list", shape_of_list(in.candidates));
    RC_ASSERT(finding_of(kLaw, plan).verdict == wanted);
    plan.captures.paths.front().filter.clamp_order_declared = false;
    const Finding undeclared = finding_of(kLaw, plan);
    seen.count("undeclared", verdict_text(undeclared));
    const bool broken = in.version == Version::pr_33200 && in.maximum && rounds_past(in);
    RC_ASSERT(undeclared.verdict == (broken ? LawVerdict::violation : wanted));
  }));
  seen.print("filter_is_pure, prefill");
}

// The decode filter appends the pool's size to the caller's own list. A second reader with the
// same pool keeps the same; a bound that does not cut the list is no business of this law.
TEST(FilterIsPureProperty, RandomDecodeLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "undecided"});
  seen.declare("list changed", {"no", "yes"});
  EXPECT_TRUE(holds("the decode filter is pure", [&seen] {
    const DecodeCase in = *decode_cases(generators::size_list(600));
    PlantedPlan plan = plan_of(in);
    CapturePath& path = plan.captures.paths.front();
    path.bounds.push_back({.tokens = *generators::evenly(1, 1200), .what = "rows"});
    SizeList list = in.candidates;
    path.filter.apply(list);
    const Finding finding = finding_of(kLaw, plan);
    seen.count("verdict", verdict_text(finding));
    seen.count("list changed", list != in.candidates);
    seen.count("draft runner", in.draft_runner);
    RC_ASSERT(finding.verdict == (path.kept.empty() ? LawVerdict::undecided : LawVerdict::pass));
  }));
  seen.print("filter_is_pure, decode");
}

}  // namespace
}  // namespace capsize::property::pure_test
