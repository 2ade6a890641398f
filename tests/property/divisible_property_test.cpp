// divisible against a simulation that moves rows one by one: over all small layouts, and on random
// layouts, rules and lists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "sim/engines/sglang/dispatch.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/row_simulation.hpp"
#include "tests/property/sglang_generators.hpp"

namespace capsize::property::divisible_test {
namespace {

constexpr std::int64_t kLargestCount = 26;

LayoutCase layout_of(std::int64_t attn_tp, std::int64_t attn_cp, std::int64_t attn_dp,
                     std::size_t model, unsigned switches) {
  const auto is_on = [switches](unsigned i) { return (switches >> i & 1U) != 0; };
  return {.attn_tp = attn_tp,
          .attn_cp = attn_cp,
          .attn_dp = attn_dp,
          .dense_fully_dp = is_on(0),
          .a2a = is_on(1),
          .two_batch_overlap = is_on(2),
          .splits_context = is_on(3),
          .prefill = is_on(4),
          .width = is_on(5) ? 3 : 1,
          .model = model};
}

std::int64_t each_layout(const std::function<void(const LayoutCase&)>& visit) {
  std::int64_t count = 0;
  for (const std::int64_t attn_tp : {1, 2, 3, 4, 6, 8}) {
    for (const std::int64_t attn_cp : {1, 2, 3, 4}) {
      for (const std::int64_t attn_dp : {1, 2, 3}) {
        for (const std::size_t model : {kDenseModel, kMixedModel, kSparseModel}) {
          for (unsigned switches = 0; switches < 64; ++switches) {
            const LayoutCase in = layout_of(attn_tp, attn_cp, attn_dp, model, switches);
            if (!is_modelled(in)) continue;
            visit(in);
            ++count;
          }
        }
      }
    }
  }
  return count;
}

// A count that the derived set calls usable and that some rank cannot split, or the reverse: the
// fault that crashed servers at 28 tokens on 8 ranks.
TEST(DivisibleProperty, EveryCountOfEverySmallLayout) {
  std::int64_t usable = 0;
  std::int64_t counts = 0;
  const std::int64_t layouts_visited = each_layout([&](const LayoutCase& in) {
    const auto step = step_of_layout(in);
    for (std::int64_t n = 1; n <= kLargestCount; ++n) {
      const std::string stop = stops_at(step->plan, n);
      ++counts;
      usable += stop.empty() ? 1 : 0;
      ASSERT_EQ(step->requirement.usable.contains(n), stop.empty())
          << in.text() << " at " << n << ": " << stop;
    }
  });
  EXPECT_EQ(layouts_visited, 2168);
  EXPECT_EQ(counts, 2168 * kLargestCount);
  visited(counts);
  EXPECT_GT(usable, counts / 4);
  EXPECT_LT(usable, counts * 3 / 4);
}

// The least kept size that does not run, and the first captured one: largest first.
struct Expected {
  std::optional<std::int64_t> smallest;
  std::optional<std::int64_t> first;
};

Expected expected_of(const LayoutCase& layout, const SizeList& kept) {
  Expected out;
  for (const std::int64_t size : kept) {
    if (runs_by_simulation(layout, size)) continue;
    if (!out.smallest || size < *out.smallest) out.smallest = size;
    out.first = size;  // captures go backwards, so the last of the list comes first
  }
  return out;
}

// A verdict on a list that differs from trying each of its sizes; a witness that is not the least;
// a first event that is not the first.
TEST(DivisibleProperty, RandomListsOnRandomLayouts) {
  Histogram seen;
  seen.declare("verdict", {"pass", "violation", "undecided"});
  seen.declare("list", {"ascending", "unsorted", "with zero", "with repeats"});
  EXPECT_TRUE(holds("divisible is what every rank can split", [&seen] {
    const LayoutCase layout = *layouts();
    PrefillCase in = *prefill_cases(bounded(generators::size_list(96), 96));
    in.filter.attn_tp = layout.attn_tp;
    in.filter.attn_cp = layout.attn_cp;
    const PlantedPlan plan = plan_of(in, step_of_layout(layout));
    const Finding finding = finding_of("divisible", plan);
    seen.count("verdict", verdict_text(finding));
    seen.count("list", shape_of_list(in.candidates));
    seen.count("rules", label_of(in.version));
    seen.count("attn_tp", layout.attn_tp);
    seen.count("attn_cp", layout.attn_cp);
    seen.count("attn_dp", layout.attn_dp);
    if (plan.captures.paths.front().kept.empty()) {
      RC_ASSERT(finding.verdict == LawVerdict::undecided);
      return;
    }
    const Expected expected = expected_of(layout, plan.captures.paths.front().kept);
    RC_ASSERT((finding.verdict == LawVerdict::violation) == expected.smallest.has_value());
    if (!expected.smallest) return;
    RC_ASSERT(finding.witness->tokens == *expected.smallest);
    RC_ASSERT(finding.first_in_time->tokens == *expected.first);
    RC_ASSERT(finding.symptom != Symptom::none);
  }));
  seen.print("divisible, captured");
}

// A padding that leaves some eager count unusable beyond the window that was looked at.
TEST(DivisibleProperty, RandomEagerPadding) {
  Histogram seen;
  seen.declare("verdict", {"pass", "violation"});
  EXPECT_TRUE(holds("every eager count is tried once padded", [&seen] {
    const LayoutCase layout = *layouts();
    const sglang::PaddingInput padding{
        .mlp_sync = *generators::coin(), .attn_tp = layout.attn_tp, .attn_cp = layout.attn_cp};
    const auto padded = [padding](std::int64_t n) { return sglang::padded_rows(padding, n); };
    EagerPath path{.name = "eager"};
    path.largest_presented = *generators::evenly(1, 80);
    path.padded = padded;
    path.padding_period = padding.mlp_sync ? layout.attn_tp * layout.attn_cp : 1;
    path.step = step_of_layout(layout);
    PlantedPlan plan;
    plan.captures.eager.push_back(path);
    const Finding finding = finding_of("divisible", plan, true);
    seen.count("verdict", verdict_text(finding));
    seen.count("padded", padding.mlp_sync);
    std::int64_t first = 1;
    while (first <= path.largest_presented && runs_by_simulation(layout, padded(first))) ++first;
    const bool broken = first <= path.largest_presented;
    RC_ASSERT((finding.verdict == LawVerdict::violation) == broken);
    if (broken) RC_ASSERT(finding.witness->tokens == first);
  }));
  seen.print("divisible, eager");
}

// Where no size works at all, changing the list is no way out: the finding says so, and names the
// operation that no count meets. The engine's gathers put n/2 rows a rank into a buffer of n.
TEST(DivisibleProperty, AnEmptyTailIsTold) {
  const LayoutCase layout{.attn_tp = 4,
                          .attn_cp = 2,
                          .dense_fully_dp = true,
                          .a2a = true,
                          .splits_context = true,
                          .model = kSparseModel};
  const PlantedPlan plan = plan_of(PrefillCase{.candidates = {8, 16}}, step_of_layout(layout));
  const Finding finding = finding_of("divisible", plan);
  ASSERT_EQ(finding.verdict, LawVerdict::violation);
  EXPECT_THAT(finding.reason, testing::StartsWith("no count is usable; at "));
  EXPECT_THAT(finding.reason, testing::HasSubstr("all_gather over attn_tp"));
}

// An eager path that presents nothing must not be called sound.
TEST(DivisibleProperty, NothingPresentedIsUndecided) {
  PlantedPlan plan;
  plan.captures.eager.push_back({.name = "eager",
                                 .largest_presented = 0,
                                 .padded = [](std::int64_t n) { return n; },
                                 .step = step_of_layout({})});
  EXPECT_EQ(finding_of("divisible", plan, true).verdict, LawVerdict::undecided);
}

// A count past the evaluated window, where the window is cut off: neither a crash nor a guess.
TEST(DivisibleProperty, CountsPastAnExhaustedWindowAreEvaluated) {
  auto step = std::make_shared<DerivedStep>(
      *step_of_layout({.attn_tp = 8, .dense_fully_dp = true, .model = kMixedModel}));
  step->requirement.usable = UsableSet(1, 4, {0, 0, 0, 0}, Known::exhausted);
  const PlantedPlan sound = plan_of(PrefillCase{.candidates = {8, 16}}, step);
  EXPECT_EQ(finding_of("divisible", sound).verdict, LawVerdict::pass);
  const PlantedPlan unsound = plan_of(PrefillCase{.candidates = {8, 12}}, step);
  EXPECT_EQ(finding_of("divisible", unsound).witness.value().tokens, 12);
}

}  // namespace
}  // namespace capsize::property::divisible_test
