// reachable_is_covered against walking over every count that a batch can have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/property/histogram.hpp"
#include "tests/property/sglang_generators.hpp"

namespace capsize::property::reachable_test {
namespace {

constexpr std::string_view kLaw = "reachable_is_covered";

bool is_served(const CapturePath& path, std::int64_t n) {
  return std::ranges::any_of(
      path.kept, [&](std::int64_t size) { return path.exact_match ? size == n : size >= n; });
}

// The least count that runs eager although a named size covers it: all counts up to the named one
// where a batch is padded, the named one alone where it is not.
std::optional<std::int64_t> first_lost(const CapturePath& path) {
  std::int64_t last = 0;
  for (const NamedSize& named : path.named) {
    last = std::max(last, std::min(named.size, path.largest_presented));
  }
  for (std::int64_t n = 1; n <= last; ++n) {
    const bool promised =
        !path.exact_match || std::ranges::any_of(path.named, [&](const NamedSize& named) {
          return std::min(named.size, path.largest_presented) == n;
        });
    if (promised && !is_served(path, n)) return n;
  }
  return std::nullopt;
}

// Compares on lists in the order that the lookup needs; every captured size is found there.
void compare(const PlantedPlan& plan, const Finding& finding) {
  const CapturePath& path = plan.captures.paths.front();
  if (path.kept.empty()) {
    RC_ASSERT(finding.verdict == LawVerdict::undecided);
    return;
  }
  const auto lost = first_lost(path);
  RC_ASSERT((finding.verdict == LawVerdict::violation) == lost.has_value());
  if (!lost) return;
  RC_ASSERT(finding.witness->tokens == path.tokens_of(*lost).value);
  RC_ASSERT(finding.symptom == Symptom::silent_eager);
}

// A named maximum that the filter drops without a word: every layout up to 8 by 4, every maximum
// and largest batch up to 24, with the list {4, 8, 12, 16, 20, maximum}.
TEST(ReachableIsCoveredProperty, EveryMaximum) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::int64_t attn_tp = 1; attn_tp <= 8; ++attn_tp) {
    for (std::int64_t attn_cp = 1; attn_cp <= 4; ++attn_cp) {
      for (std::int64_t maximum = 1; maximum <= 24; ++maximum) {
        for (std::int64_t largest = 1; largest <= 24; ++largest) {
          SizeList sizes = {4, 8, 12, 16, 20, maximum};
          std::erase_if(sizes, [maximum](std::int64_t size) { return size > maximum; });
          const PlantedPlan plan = plan_of(PrefillCase{.filter = {attn_tp, attn_cp, true},
                                                       .candidates = sizes,
                                                       .largest_presented = largest,
                                                       .maximum = maximum});
          const CapturePath& path = plan.captures.paths.front();
          const Finding finding = finding_of(kLaw, plan);
          const auto lost = path.kept.empty() ? std::nullopt : first_lost(path);
          ASSERT_EQ(finding.verdict == LawVerdict::violation, lost.has_value())
              << attn_tp << " " << attn_cp << " " << maximum << " of " << largest;
          if (lost) {
            ASSERT_EQ(finding.witness.value().tokens, *lost);
          }
          ++count;
          broken += lost ? 1 : 0;
        }
      }
    }
  }
  EXPECT_EQ(count, 8 * 4 * 24 * 24);
  visited(count);
  EXPECT_GT(broken, 0);
}

TEST(ReachableIsCoveredProperty, RandomPrefillLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "violation", "undecided"});
  EXPECT_TRUE(holds("a named maximum is captured (prefill)", [&seen] {
    const PlantedPlan plan = plan_of(*prefill_cases(generators::ascending_list(600)));
    const Finding finding = finding_of(kLaw, plan);
    seen.count("verdict", verdict_text(finding));
    compare(plan, finding);
  }));
  seen.print("reachable_is_covered, prefill");
}

TEST(ReachableIsCoveredProperty, RandomDecodeLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "violation", "undecided"});
  seen.declare("exact", {"no", "yes"});
  EXPECT_TRUE(holds("a named size is captured (decode)", [&seen] {
    const DecodeCase in = *decode_cases(generators::size_list(600));
    const PlantedPlan plan = plan_of(in);
    const Finding finding = finding_of(kLaw, plan);
    seen.count("verdict", verdict_text(finding));
    seen.count("exact", in.exact_match);
    seen.count("width", in.filter.tokens_per_request);
    compare(plan, finding);
  }));
  seen.print("reachable_is_covered, decode");
}

// The order in which sizes were named must not choose the witness.
TEST(ReachableIsCoveredProperty, TheLeastNamedSizeIsTheWitness) {
  const PlantedPlan plan =
      plan_of(DecodeCase{.filter = {.pool = 64, .attn_tp = 4, .gathered = true},
                         .candidates = {22, 8, 6},
                         .exact_match = true,
                         .named = true});
  EXPECT_EQ(finding_of(kLaw, plan).witness.value().tokens, 6);
}

// A bisection of an unsorted list misses captured sizes: the least of them is told.
TEST(ReachableIsCoveredProperty, UnsortedListsHideTheirSizes) {
  const PlantedPlan plan =
      plan_of(PrefillCase{.version = sglang::Version::pre_23972, .candidates = {32, 16, 8, 4}});
  const Finding finding = finding_of(kLaw, plan);
  EXPECT_EQ(finding.verdict, LawVerdict::violation);
  EXPECT_EQ(finding.witness.value().tokens, 4);
  const PlantedPlan sorted =
      plan_of(PrefillCase{.version = sglang::Version::pr_23906, .candidates = {32, 16, 8, 4}});
  EXPECT_EQ(finding_of(kLaw, sorted).verdict, LawVerdict::pass);
}

// A bisection that runs past the end of an unsorted list: the named maximum crashes, it is not
// served.
TEST(ReachableIsCoveredProperty, AnIndexErrorServesNobody) {
  const PlantedPlan plan = plan_of(
      PrefillCase{.version = sglang::Version::pre_23972, .candidates = {16, 8, 4}, .maximum = 16});
  const CapturePath& path = plan.captures.paths.front();
  ASSERT_EQ(path.lookup(path.kept, 16), kLookupFails);
  const Finding finding = finding_of(kLaw, plan);
  ASSERT_EQ(finding.verdict, LawVerdict::violation);
  EXPECT_EQ(finding.witness.value().tokens, 16);
  EXPECT_EQ(finding.symptom, Symptom::clean_error);
  EXPECT_THAT(finding.blame, testing::HasSubstr("--piecewise-cuda-graph-max-tokens"));
}

}  // namespace
}  // namespace capsize::property::reachable_test
