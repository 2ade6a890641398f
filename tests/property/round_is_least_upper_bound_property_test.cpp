// round_is_least_upper_bound against looking at every count: the lookup of the engine on every
// small list in every order, and on random lists under all rules.
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "tests/property/histogram.hpp"
#include "tests/property/sglang_generators.hpp"

namespace capsize::property::round_test {
namespace {

constexpr std::string_view kLaw = "round_is_least_upper_bound";

// The least size that is enough, by looking at all of them; with padding off only n itself.
std::optional<std::int64_t> naive(const CapturePath& path, std::int64_t n) {
  std::optional<std::int64_t> best;
  for (const std::int64_t size : path.kept) {
    const bool fits = path.exact_match ? size == n : size >= n;
    if (fits && (!best || size < *best)) best = size;
  }
  return best;
}

// The least count, from 1 to one past the largest size, at which the lookup errs.
std::optional<std::int64_t> first_error(const CapturePath& path) {
  for (std::int64_t n = 1; n <= std::ranges::max(path.kept) + 1; ++n) {
    if (path.lookup(path.kept, n) != naive(path, n)) return n;
  }
  return std::nullopt;
}

// Every ordered list of `length` different sizes from 1 to 6.
void each_list(std::size_t length, SizeList& list,
               const std::function<void(const SizeList&)>& visit) {
  if (list.size() == length) return visit(list);
  for (std::int64_t size = 1; size <= 6; ++size) {
    if (std::ranges::find(list, size) != list.end()) continue;
    list.push_back(size);
    each_list(length, list, visit);
    list.pop_back();
  }
}

// A bisection of a list that no filter sorted; a law that looks only at the sizes themselves.
TEST(RoundProperty, EveryOrderedListOfUpToFiveSizes) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (const bool exact : {false, true}) {
    for (std::size_t length = 1; length <= 5; ++length) {
      SizeList list;
      each_list(length, list, [&](const SizeList& sizes) {
        PlantedPlan plan =
            plan_of(PrefillCase{.version = sglang::Version::pre_23972, .candidates = sizes});
        CapturePath& path = plan.captures.paths.front();
        if (exact)
          path.lookup =
              plan_of(DecodeCase{.filter = {.pool = 9}, .candidates = sizes, .exact_match = true})
                  .captures.paths[0]
                  .lookup;
        path.exact_match = exact;
        const Finding finding = finding_of(kLaw, plan);
        const auto error = first_error(path);
        ASSERT_EQ(finding.verdict == LawVerdict::violation, error.has_value()) << text_of(sizes);
        if (error) {
          ASSERT_EQ(finding.witness.value().tokens, *error) << text_of(sizes);
        }
        ++count;
        broken += error ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(count, 2 * (6 + 30 + 120 + 360 + 720));
  visited(count);
  EXPECT_GT(broken, 0);
}

TEST(RoundProperty, RandomPrefillLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "violation", "undecided"});
  EXPECT_TRUE(holds("a count runs at the least size that is enough (prefill)", [&seen] {
    const PrefillCase in = *prefill_cases(bounded(generators::size_list(300), 300));
    const PlantedPlan plan = plan_of(in);
    const CapturePath& path = plan.captures.paths.front();
    const Finding finding = finding_of(kLaw, plan);
    seen.count("verdict", verdict_text(finding));
    seen.count("rules", label_of(in.version));
    seen.count("list", shape_of_list(in.candidates));
    if (path.kept.empty()) {
      RC_ASSERT(finding.verdict == LawVerdict::undecided);
      return;
    }
    const auto error = first_error(path);
    RC_ASSERT((finding.verdict == LawVerdict::violation) == error.has_value());
    if (error) RC_ASSERT(finding.witness->tokens == *error);
  }));
  seen.print("round_is_least_upper_bound, prefill");
}

// The decode filter sorts its list, so that its lookup never errs, at any pool and width.
TEST(RoundProperty, RandomDecodeLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "undecided"});
  seen.declare("exact", {"no", "yes"});
  EXPECT_TRUE(holds("a count runs at the least size that is enough (decode)", [&seen] {
    const DecodeCase in = *decode_cases(generators::size_list(300));
    const PlantedPlan plan = plan_of(in);
    const CapturePath& path = plan.captures.paths.front();
    const Finding finding = finding_of(kLaw, plan);
    seen.count("verdict", verdict_text(finding));
    seen.count("exact", in.exact_match);
    if (path.kept.empty()) return;
    RC_ASSERT(finding.verdict == LawVerdict::pass);
    RC_ASSERT(!first_error(path));
  }));
  seen.print("round_is_least_upper_bound, decode");
}

// Rounding is monotone and idempotent, which the least upper bound implies: said on its own, for
// every list that the law passes.
TEST(RoundProperty, WhatPassesIsMonotoneAndIdempotent) {
  EXPECT_TRUE(holds("a lookup that passes is monotone and idempotent", [] {
    const PlantedPlan plan = plan_of(*prefill_cases(bounded(generators::size_list(300), 300)));
    const CapturePath& path = plan.captures.paths.front();
    if (finding_of(kLaw, plan).verdict != LawVerdict::pass) return;
    std::int64_t previous = 0;
    for (std::int64_t n = 1; n <= std::ranges::max(path.kept); ++n) {
      const auto size = path.lookup(path.kept, n);
      RC_ASSERT(size.has_value());
      RC_ASSERT(*size >= previous);
      RC_ASSERT(path.lookup(path.kept, *size) == size);
      previous = *size;
    }
  }));
}

}  // namespace
}  // namespace capsize::property::round_test
