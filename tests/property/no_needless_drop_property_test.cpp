// no_needless_drop against trying every size of the list: a size that is dropped and that every
// rank could have split is waste, and no other is.
#include <gtest/gtest.h>

#include "properties/coverage.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/sglang_generators.hpp"

namespace capsize::property::needless_test {
namespace {

// Dropped, presentable and runnable sizes, each once, by trying them.
SizeList wasted(const LayoutCase& layout, const CapturePath& path) {
  SizeList out;
  for (const std::int64_t size : path.candidates) {
    const bool kept = std::ranges::find(path.kept, size) != path.kept.end();
    const bool told = std::ranges::find(out, size) != out.end();
    if (kept || told || path.filter.rounds || size > path.largest_presented) continue;
    if (runs_by_simulation(layout, size)) out.push_back(size);
  }
  return out;
}

void compare(const LayoutCase& layout, PlantedPlan plan) {
  const CapturePath& path = plan.captures.paths.front();
  const SizeList waste = wasted(layout, path);
  plan.fail_on_waste = false;
  const Finding lenient = finding_of("no_needless_drop", plan);
  plan.fail_on_waste = true;
  const Finding strict = finding_of("no_needless_drop", plan);
  if (path.kept.empty()) {
    RC_ASSERT(strict.verdict == LawVerdict::undecided);
    return;
  }
  // Waste alone fails nobody who did not ask for it, and is told all the same.
  RC_ASSERT(lenient.verdict == LawVerdict::pass);
  RC_ASSERT(lenient.reason.empty() == waste.empty());
  RC_ASSERT((strict.verdict == LawVerdict::violation) == !waste.empty());
  if (waste.empty()) return;
  RC_ASSERT(strict.witness->requests.value_or(strict.witness->tokens) == std::ranges::min(waste));
  RC_ASSERT(strict.reason.starts_with(std::to_string(waste.size()) + " dropped size"));
}

// A size of a launch that a model of the filter forgets, or calls waste though no rank could take
// it. Every list {a, b} of sizes up to 24, on every attention TP and CP up to 4, gathered or not.
TEST(NoNeedlessDropProperty, EveryPairOfSizes) {
  std::int64_t count = 0;
  std::int64_t wasteful = 0;
  for (const std::int64_t attn_tp : {1, 2, 3, 4}) {
    for (const std::int64_t attn_cp : {1, 2, 3}) {
      for (const bool gathered : {false, true}) {
        const LayoutCase layout{
            .attn_tp = attn_tp, .attn_cp = attn_cp, .dense_fully_dp = true, .model = kMixedModel};
        const auto step = step_of_layout(layout);
        for (std::int64_t a = 1; a <= 24; ++a) {
          for (std::int64_t b = a + 1; b <= 24; ++b) {
            PlantedPlan plan = plan_of(
                PrefillCase{.filter = {attn_tp, attn_cp, gathered}, .candidates = {a, b}}, step);
            plan.fail_on_waste = true;
            const CapturePath& path = plan.captures.paths.front();
            const Finding finding = finding_of("no_needless_drop", plan);
            const bool waste = !path.kept.empty() && !wasted(layout, path).empty();
            ASSERT_EQ(finding.verdict == LawVerdict::violation, waste)
                << layout.text() << " {" << a << ", " << b << "}";
            ++count;
            wasteful += waste ? 1 : 0;
          }
        }
      }
    }
  }
  EXPECT_EQ(count, 4 * 3 * 2 * 276);
  visited(count);
  EXPECT_GT(wasteful, 0);
}

TEST(NoNeedlessDropProperty, RandomPrefillLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "violation", "undecided"});
  EXPECT_TRUE(holds("waste is what was dropped and runs (prefill)", [&seen] {
    const LayoutCase layout = *layouts();
    PrefillCase in = *prefill_cases(bounded(generators::size_list(96), 96));
    in.filter.attn_tp = layout.attn_tp;
    in.filter.attn_cp = layout.attn_cp;
    PlantedPlan plan = plan_of(in, step_of_layout(layout));
    plan.fail_on_waste = true;
    seen.count("verdict", verdict_text(finding_of("no_needless_drop", plan)));
    seen.count("rules", label_of(in.version));
    seen.count("list", shape_of_list(in.candidates));
    compare(layout, plan);
  }));
  seen.print("no_needless_drop, prefill");
}

TEST(NoNeedlessDropProperty, RandomDecodeLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "violation", "undecided"});
  EXPECT_TRUE(holds("waste is what was dropped and runs (decode)", [&seen] {
    LayoutCase layout = *layouts();
    DecodeCase in = *decode_cases(bounded(generators::size_list(96), 96));
    layout.prefill = false;
    layout.splits_context = false;
    in.filter.attn_tp = layout.attn_tp;
    in.filter.attn_cp = layout.attn_cp;
    in.filter.tokens_per_request = layout.width;
    in.filter.two_batch_overlap = layout.two_batch_overlap;
    in.filter.pool = 1 + in.filter.pool % 120;
    PlantedPlan plan = plan_of(in, step_of_layout(layout));
    plan.fail_on_waste = true;
    seen.count("verdict", verdict_text(finding_of("no_needless_drop", plan)));
    seen.count("width", layout.width);
    seen.count("two_batch_overlap", layout.two_batch_overlap);
    compare(layout, plan);
  }));
  seen.print("no_needless_drop, decode");
}

// A size that is listed twice is lost once, whatever the plan says that it dropped.
TEST(NoNeedlessDropProperty, ALostSizeIsToldOnce) {
  PlantedPlan plan = plan_of(PrefillCase{.filter = {8, 1, true}, .candidates = {4, 8, 4, 12}});
  plan.captures.paths.front().dropped.clear();
  const auto lost = lost_sizes(plan.captures.paths.front());
  ASSERT_EQ(lost.size(), 2U);
  EXPECT_EQ(lost[0].size, 4);
  EXPECT_EQ(lost[0].goes_to, 8);
  EXPECT_EQ(lost[0].padded_tokens, 4);
  EXPECT_EQ(lost[1].size, 12);
  EXPECT_EQ(lost[1].goes_to, std::nullopt);
}

}  // namespace
}  // namespace capsize::property::needless_test
