// within_capacity against comparing every captured size with every bound.
#include <gtest/gtest.h>

#include <array>

#include "sim/units.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/sglang_generators.hpp"

namespace capsize::property::capacity_test {
namespace {

constexpr std::string_view kLaw = "within_capacity";

// How often a number stands below a size's tokens, counted token by token.
bool overflows(const CapturePath& path, const CapacityBound& bound, std::int64_t size) {
  std::int64_t room = bound.tokens;
  for (std::int64_t request = 0; request < size; ++request) {
    room -= path.width.value;
    if (room < 0) return true;
  }
  return false;
}

bool overflows_any(const CapturePath& path, std::int64_t size) {
  return std::ranges::any_of(
      path.bounds, [&](const CapacityBound& bound) { return overflows(path, bound, size); });
}

// Rounding goes past the maximum that the list was made for: every attention TP up to 8, maximum
// up to 40 and size up to the maximum, under the rounding proposal and under the dropping filter.
TEST(WithinCapacityProperty, EveryRoundedSize) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (const auto version : {sglang::Version::pr_23972, sglang::Version::pr_33200}) {
    for (std::int64_t attn_tp = 1; attn_tp <= 8; ++attn_tp) {
      for (std::int64_t maximum = 1; maximum <= 40; ++maximum) {
        for (std::int64_t size = 1; size <= maximum; ++size) {
          const PlantedPlan plan = plan_of(PrefillCase{.version = version,
                                                       .filter = {attn_tp, 1, true},
                                                       .candidates = {size},
                                                       .maximum = maximum});
          const bool wanted =
              version == sglang::Version::pr_33200 && align_up(size, attn_tp) > maximum;
          ASSERT_EQ(finding_of(kLaw, plan).verdict == LawVerdict::violation, wanted)
              << attn_tp << " " << size << " of " << maximum;
          ++count;
          broken += wanted ? 1 : 0;
        }
      }
    }
  }
  EXPECT_EQ(count, 2 * 8 * (40 * 41 / 2));
  visited(count);
  EXPECT_GT(broken, 0);
}

// A bound that is compared in the wrong unit, or that is not looked at because another one holds.
TEST(WithinCapacityProperty, RandomDecodeListsAndBounds) {
  static constexpr std::array<std::string_view, 3> kSymptoms = {"none", "clean_error",
                                                                "silent_corruption"};
  Histogram seen;
  seen.declare("verdict", {"pass", "violation", "not_applicable", "undecided"});
  seen.declare("symptom", {"none", "clean_error", "silent_corruption"});
  EXPECT_TRUE(holds("every size fits every bound", [&seen] {
    const DecodeCase in = *decode_cases(bounded(generators::size_list(200), 200));
    PlantedPlan plan = plan_of(in);
    CapturePath& path = plan.captures.paths.front();
    const std::int64_t bounds = *generators::evenly(0, 4);
    for (std::int64_t i = 0; i < bounds; ++i) {
      const auto which = static_cast<std::size_t>(*generators::evenly(0, 3));
      path.bounds.push_back({.tokens = *generators::evenly(1, 1200),
                             .what = "a bound",
                             .symptom = kSymptoms.at(which)});
    }
    const Finding finding = finding_of(kLaw, plan);
    seen.count("verdict", verdict_text(finding));
    seen.count("bounds", bounds);
    seen.count("width", in.filter.tokens_per_request);
    SizeList bad = path.kept;
    std::erase_if(bad, [&](std::int64_t size) { return !overflows_any(path, size); });
    if (path.kept.empty()) {
      RC_ASSERT(finding.verdict == LawVerdict::undecided);
    } else if (bounds == 0) {
      RC_ASSERT(finding.verdict == LawVerdict::not_applicable);
    } else {
      RC_ASSERT(finding.verdict == (bad.empty() ? LawVerdict::pass : LawVerdict::violation));
    }
    if (finding.verdict != LawVerdict::violation) return;
    seen.count("symptom", std::string(name_of(finding.symptom)));
    RC_ASSERT(finding.witness->requests == std::ranges::min(bad));
    RC_ASSERT(finding.first_in_time->tokens == bad.back() * path.width.value);
    // Whoever passes a harmless bound and a harmful one is harmed.
    const bool harmless = std::ranges::all_of(path.bounds, [&](const CapacityBound& bound) {
      return bound.symptom == "none" || !overflows(path, bound, bad.back());
    });
    RC_ASSERT((finding.symptom == Symptom::none) == harmless);
  }));
  seen.print("within_capacity, decode");
}

TEST(WithinCapacityProperty, RandomPrefillLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "violation", "not_applicable", "undecided"});
  EXPECT_TRUE(holds("every size fits the list's maximum", [&seen] {
    const PrefillCase in = *prefill_cases(bounded(generators::size_list(600), 700));
    const PlantedPlan plan = plan_of(in);
    const CapturePath& path = plan.captures.paths.front();
    const Finding finding = finding_of(kLaw, plan);
    seen.count("verdict", verdict_text(finding));
    seen.count("rules", label_of(in.version));
    if (path.kept.empty() || !in.maximum) return;
    SizeList bad = path.kept;
    std::erase_if(bad, [&in](std::int64_t size) { return size <= *in.maximum; });
    RC_ASSERT(finding.verdict == (bad.empty() ? LawVerdict::pass : LawVerdict::violation));
    if (!bad.empty()) RC_ASSERT(finding.witness->tokens == std::ranges::min(bad));
  }));
  seen.print("within_capacity, prefill");
}

}  // namespace
}  // namespace capsize::property::capacity_test
