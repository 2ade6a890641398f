// How a batch finds its captured size, how rows are padded before an eager forward, and what
// happens in which order while a server starts.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "sim/engines/sglang/dispatch.hpp"
#include "tests/support/sglang_launch.hpp"

namespace capsize::sglang::dispatch_test {
namespace {

using test::path_of;
using test::plan_of;
using test::refusal_text;
using Counts = std::vector<std::int64_t>;

constexpr std::string_view kLite = "--model-path deepseek-ai/DeepSeek-V2-Lite ";

// ---- Lookup ---------------------------------------------------------------------------------

constexpr std::int64_t kPastTheEnd = -1;

struct BisectCase {
  SizeList sizes;
  std::int64_t n = 0;
  std::int64_t element = 0;  // sizes[bisect.bisect_left(sizes, n)], by Python
};

// Python 3's own answers, sorted lists and others.
std::vector<BisectCase> python_cases() {
  return {
      BisectCase{{4, 8, 12}, 1, 4},
      BisectCase{{4, 8, 12}, 4, 4},
      BisectCase{{4, 8, 12}, 11, 12},
      BisectCase{{4, 8, 12}, 13, kPastTheEnd},
      BisectCase{{8, 4, 16}, 7, 16},
      BisectCase{{8, 4, 16}, 9, 16},
      BisectCase{{8, 4, 16}, 16, 16},
      BisectCase{{16, 8, 4}, 1, 16},
      BisectCase{{16, 8, 4}, 9, kPastTheEnd},
      BisectCase{{16, 8, 4}, 16, kPastTheEnd},
      BisectCase{{32, 4, 8, 16}, 17, kPastTheEnd},
      BisectCase{{32, 4, 8, 16}, 32, kPastTheEnd},
      BisectCase{{8, 8, 8}, 5, 8},
      BisectCase{{8, 8, 8}, 8, 8},
      BisectCase{{5}, 1, 5},
      BisectCase{{5}, 4, 5},
      BisectCase{{5}, 6, kPastTheEnd},
      BisectCase{{1, 9, 2, 8, 3}, 4, kPastTheEnd},
      BisectCase{{1, 9, 2, 8, 3}, 8, kPastTheEnd},
      BisectCase{{0, 4, 8}, 0, 0},
      BisectCase{{0, 4, 8}, 5, 8},
      BisectCase{{0, 4, 8}, 8, 8},
      BisectCase{{11, 47, 8, 57}, 1, 11},
      BisectCase{{11, 47, 8, 57}, 11, 57},
      BisectCase{{11, 47, 8, 57}, 56, 57},
      BisectCase{{11, 47, 8, 57}, 58, kPastTheEnd},
      BisectCase{{27, 40, 35, 27, 32, 56}, 26, 27},
      BisectCase{{27, 40, 35, 27, 32, 56}, 29, 32},
      BisectCase{{27, 40, 35, 27, 32, 56}, 56, 56},
      BisectCase{{22, 4}, 1, 22},
      BisectCase{{22, 4}, 12, kPastTheEnd},
      BisectCase{{22, 4}, 21, kPastTheEnd},
      BisectCase{{22, 4}, 22, kPastTheEnd},
      BisectCase{{22, 39, 50, 33, 23, 55, 8, 23}, 24, kPastTheEnd},
      BisectCase{{22, 39, 50, 33, 23, 55, 8, 23}, 28, kPastTheEnd},
      BisectCase{{22, 39, 50, 33, 23, 55, 8, 23}, 54, kPastTheEnd},
      BisectCase{{22, 39, 50, 33, 23, 55, 8, 23}, 55, kPastTheEnd},
      BisectCase{{25, 43, 20, 2, 35, 13}, 14, kPastTheEnd},
      BisectCase{{25, 43, 20, 2, 35, 13}, 22, kPastTheEnd},
      BisectCase{{25, 43, 20, 2, 35, 13}, 24, kPastTheEnd},
      BisectCase{{25, 43, 20, 2, 35, 13}, 25, kPastTheEnd},
      BisectCase{{25, 43, 20, 2, 35, 13}, 42, kPastTheEnd},
      BisectCase{{25, 43, 20, 2, 35, 13}, 43, kPastTheEnd},
      BisectCase{{50, 21, 52, 32, 9, 12, 47, 38, 36}, 49, kPastTheEnd},
      BisectCase{{26, 27, 3, 36, 35, 2}, 1, 26},
      BisectCase{{15, 7, 45}, 15, 45},
      BisectCase{{16, 54, 27, 45, 56, 51, 12, 26, 44}, 45, 45},
      BisectCase{{38, 8, 44, 13, 18, 7, 59}, 30, 59},
      BisectCase{{31, 44, 41, 59, 33, 37}, 38, 44},
      BisectCase{{40, 25, 13, 41, 37, 25, 1, 59, 3}, 59, 59},
  };
}

// Catches a search that sorts, scans, or halves an unsorted list in another way than Python does:
// the size that is found then is another one than the engine replays.
TEST(SglangDispatch, BisectsLikePythonOnAnyList) {
  int unsorted = 0;
  int index_errors = 0;
  for (const BisectCase& each : python_cases()) {
    const auto found = bisect_lookup(each.sizes, each.n);
    const std::string text = fmt::format("{} in a list of {}", each.n, each.sizes.size());
    if (each.element == kPastTheEnd) {
      // Above the maximum the runner does not look; below it the engine runs past the end.
      const bool admitted = !each.sizes.empty() && each.n <= std::ranges::max(each.sizes);
      EXPECT_EQ(found, admitted ? std::optional(kLookupFails) : std::nullopt) << text;
      index_errors += admitted;
    } else {
      EXPECT_EQ(found, each.element) << text;
    }
    unsorted += !std::ranges::is_sorted(each.sizes);
  }
  EXPECT_GT(unsorted, 20);
  EXPECT_GT(index_errors, 0) << "a count within the maximum whose bisection passes the end";
}

// Catches a lookup that is not the smallest captured size at or above n.
TEST(SglangDispatch, FindsTheNextSizeOfASortedList) {
  const SizeList sizes{4, 8, 12, 16, 48, 256};
  for (std::int64_t n = 1; n <= 300; ++n) {
    std::optional<std::int64_t> expected;
    for (const std::int64_t size : sizes) {
      if (size >= n && !expected) expected = size;
    }
    ASSERT_EQ(bisect_lookup(sizes, n), expected) << n;
    const bool member = std::ranges::find(sizes, n) != sizes.end();
    ASSERT_EQ(exact_lookup(sizes, n), member ? std::optional(n) : std::nullopt) << n;
  }
  EXPECT_EQ(bisect_lookup({}, 1), std::nullopt);
  EXPECT_EQ(exact_lookup({}, 1), std::nullopt);
}

// Catches --disable-cuda-graph-padding being ignored, or reaching the prefill path.
TEST(SglangDispatch, WithoutPaddingOnlyACapturedBatchSizeIsReplayed) {
  const EnginePlan plan =
      plan_of(std::string(kLite) + "--cuda-graph-bs 2 8 --disable-cuda-graph-padding");
  const CapturePath& decode = path_of(plan, "decode");
  EXPECT_EQ(decode.lookup(decode.kept, 8), 8);
  EXPECT_EQ(decode.lookup(decode.kept, 7), std::nullopt);
  EXPECT_TRUE(decode.exact_match);
  const CapturePath& prefill = path_of(plan, "prefill");
  EXPECT_EQ(prefill.lookup(prefill.kept, 7), 8);
}

// ---- Padding before an eager forward ------------------------------------------------------------

std::int64_t padded(std::int64_t attn_tp, std::int64_t attn_cp, std::int64_t rows) {
  return padded_rows({.mlp_sync = true, .attn_tp = attn_tp, .attn_cp = attn_cp}, rows);
}

// Catches the least common multiple in place of one rounding after the other: the second rounding
// can undo the first.
TEST(SglangDispatch, RowsAreRoundedByTpAndThenByCp) {
  EXPECT_EQ(padded(4, 6, 1), 6);
  EXPECT_EQ(padded(4, 3, 1), 6);
  EXPECT_EQ(padded(2, 3, 1), 3);
  EXPECT_EQ(padded(6, 4, 1), 8);
  EXPECT_EQ(padded(8, 1, 1), 8);
  EXPECT_EQ(padded(8, 1, 8), 8);
  EXPECT_EQ(padded(8, 1, 9), 16);
  EXPECT_EQ(padded(2, 4, 3), 4);
  EXPECT_EQ(padded_rows({.mlp_sync = false, .attn_tp = 8, .attn_cp = 2}, 5), 5);
}

// Catches a claim about divisibility that is too wide: the padded count is always a multiple of
// attention CP; it is one of attention TP for every count just where one divides the other.
TEST(SglangDispatch, PaddingKeepsAttentionTpOnlyWhereOneSizeDividesTheOther) {
  for (std::int64_t attn_tp = 1; attn_tp <= 12; ++attn_tp) {
    for (std::int64_t attn_cp = 1; attn_cp <= 12; ++attn_cp) {
      bool always = true;
      for (std::int64_t n = 1; n <= 2 * attn_tp * attn_cp; ++n) {
        const std::int64_t rows = padded(attn_tp, attn_cp, n);
        ASSERT_GE(rows, n);
        ASSERT_EQ(rows % attn_cp, 0);
        always = always && rows % attn_tp == 0;
      }
      ASSERT_EQ(always, attn_tp % attn_cp == 0 || attn_cp % attn_tp == 0)
          << "attention TP " << attn_tp << ", CP " << attn_cp;
    }
  }
}

// Catches an eager path that pads where the engine does not: without MLP sync counts stay as
// they are.
TEST(SglangDispatch, EagerPathsPadOnlyUnderMlpSync) {
  const EnginePlan plain = plan_of(std::string(kLite) + "--tp-size 8");
  const EnginePlan synced = plan_of(std::string(kLite) + "--tp-size 8 --moe-dense-tp-size 1");
  ASSERT_EQ(plain.captures.eager.size(), 2U);
  ASSERT_EQ(synced.captures.eager.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(plain.captures.eager[i].padded(9), 9);
    EXPECT_EQ(plain.captures.eager[i].padding_period, 1);
    EXPECT_EQ(synced.captures.eager[i].padded(9), 16);
    for (std::int64_t n = 1; n < 40; ++n) {
      const std::int64_t period = synced.captures.eager[i].padding_period;
      ASSERT_EQ(synced.captures.eager[i].padded(n + period),
                synced.captures.eager[i].padded(n) + period);
    }
  }
}

// ---- Order of events ----------------------------------------------------------------------------

std::string story(const EnginePlan& plan) {
  std::string text;
  for (const StartUpEvent& event : plan.start_up.events) {
    const auto& path = plan.captures.paths[event.path];
    text += fmt::format("{}{} {} {}{}", text.empty() ? "" : ", ", path.name, name_of(event.kind),
                        event.size, event.group_capture ? "*" : "");
  }
  return text;
}

// Catches captures in list order, a warm-up at the smallest size, and a list that is sorted on its
// way. A star marks that the groups have changed to their capture transport.
TEST(SglangDispatch, DecodeFirstLargestFirstThenThePrefillListBackwards) {
  const EnginePlan plan =
      plan_of(std::string(kLite) + "--cuda-graph-bs 4 1 2 --piecewise-cuda-graph-tokens 16 8 32");
  ASSERT_EQ(refusal_text(plan), "(starts)");
  EXPECT_EQ(story(plan),
            "decode capture 4*, decode capture 2*, decode capture 1*, "
            "prefill warm_up 16, "
            "prefill compile 32, prefill compile 8, prefill compile 16, "
            "prefill capture 32*, prefill capture 8*, prefill capture 16*");
}

// Catches events of a path that is switched off.
TEST(SglangDispatch, NoEventsOfAPathThatIsOff) {
  const std::string sizes = "--cuda-graph-bs 1 2 --piecewise-cuda-graph-tokens 4 ";
  EXPECT_EQ(story(plan_of(std::string(kLite) + sizes + "--disable-cuda-graph")),
            "prefill warm_up 4, prefill compile 4, prefill capture 4*");
  EXPECT_EQ(story(plan_of(std::string(kLite) + sizes + "--disable-piecewise-cuda-graph")),
            "decode capture 2*, decode capture 1*");
}

// Catches the filter reaching the breakable runner, which takes the sorted list as it is: at tp 8
// with --moe-dense-tp-size 1 the warm-up then runs 4 tokens, which 8 ranks cannot split.
TEST(SglangDispatch, TheBreakableRunnerHasNoFilter) {
  const std::string flags = std::string(kLite) + "--tp-size 8 --moe-dense-tp-size 1 ";
  const EnginePlan breakable = plan_of(flags + "--enable-breakable-cuda-graph");
  const CapturePath& prefill = path_of(breakable, "prefill");
  EXPECT_EQ(prefill.backend, "breakable");
  EXPECT_EQ(prefill.kept, prefill.candidates);
  EXPECT_TRUE(prefill.dropped.empty());
  EXPECT_EQ(prefill.filter.contract_tokens, std::nullopt);
  EXPECT_FALSE(prefill.step->requirement.usable.contains(prefill.kept.front()));
  const auto& events = breakable.start_up.events;
  const auto warm_up = std::ranges::find(events, StartUpKind::warm_up, &StartUpEvent::kind);
  ASSERT_NE(warm_up, events.end());
  EXPECT_EQ(warm_up->size, 4);
  EXPECT_EQ(std::ranges::count(events, StartUpKind::compile, &StartUpEvent::kind), 0);
  const EnginePlan filtered = plan_of(flags);
  const CapturePath& piecewise = path_of(filtered, "prefill");
  EXPECT_EQ(piecewise.kept.front(), 8);
  EXPECT_EQ(piecewise.kept.size(), 38U);

  const EnginePlan unsorted =
      plan_of(flags + "--enable-breakable-cuda-graph --piecewise-cuda-graph-tokens 16 4 8");
  EXPECT_EQ(path_of(unsorted, "prefill").kept, (Counts{4, 8, 16}));
}

}  // namespace
}  // namespace capsize::sglang::dispatch_test
