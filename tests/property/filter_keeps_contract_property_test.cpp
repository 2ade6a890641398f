// filter_keeps_contract on the real filters: which of them keeps what its source states, and for
// which layouts it does not, by a rule written down here.
#include <gtest/gtest.h>

#include "tests/property/histogram.hpp"
#include "tests/property/sglang_generators.hpp"

namespace capsize::property::contract_test {
namespace {

using sglang::Version;

// The multiple that each version's source states; 0 where it states none.
std::int64_t stated(const PrefillCase& in) {
  if (!in.filter.gathered) return 0;
  if (in.version == Version::pr_23972) return in.filter.attn_tp * in.filter.attn_cp;
  return in.version == Version::pr_33200 ? in.filter.attn_tp : 0;
}

// #23972 multiplies by attention CP only where CP does not divide TP: it keeps less than it states
// exactly where CP > 1 divides TP and some kept size is no multiple of the product.
bool breaks(const PrefillCase& in, const SizeList& kept) {
  const auto [attn_tp, attn_cp, gathered] = in.filter;
  if (in.version != Version::pr_23972 || !gathered) return false;
  if (attn_cp == 1 || attn_tp % attn_cp != 0) return false;
  return std::ranges::any_of(kept, [&in](std::int64_t size) {
    return size % (in.filter.attn_tp * in.filter.attn_cp) != 0;
  });
}

LawVerdict expected(const PrefillCase& in, const SizeList& kept) {
  if (kept.empty()) return LawVerdict::undecided;
  if (stated(in) == 0) return LawVerdict::not_applicable;
  return breaks(in, kept) ? LawVerdict::violation : LawVerdict::pass;
}

// A filter base of the least common multiple where the product is stated: every version, every
// attention TP and CP up to 8, gathered or not, every list of one size up to 64.
TEST(FilterKeepsContractProperty, EverySingleSize) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::uint8_t version = 0; version < static_cast<std::uint8_t>(Version::end); ++version) {
    for (std::int64_t attn_tp = 1; attn_tp <= 8; ++attn_tp) {
      for (std::int64_t attn_cp = 1; attn_cp <= 8; ++attn_cp) {
        for (const bool gathered : {false, true}) {
          for (std::int64_t size = 1; size <= 64; ++size) {
            const PrefillCase in{.version = static_cast<Version>(version),
                                 .filter = {attn_tp, attn_cp, gathered},
                                 .candidates = {size}};
            const PlantedPlan plan = plan_of(in);
            const Finding finding = finding_of("filter_keeps_contract", plan);
            const LawVerdict wanted = expected(in, plan.captures.paths.front().kept);
            ASSERT_EQ(finding.verdict, wanted)
                << label_of(in.version) << " " << attn_tp << " " << attn_cp << " " << size;
            ++count;
            broken += wanted == LawVerdict::violation ? 1 : 0;
          }
        }
      }
    }
  }
  EXPECT_EQ(count, 4 * 8 * 8 * 2 * 64);
  visited(count);
  EXPECT_GT(broken, 0);
}

TEST(FilterKeepsContractProperty, RandomPrefillLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "violation", "not_applicable", "undecided"});
  seen.declare("known", {"proved", "exhausted"});
  EXPECT_TRUE(holds("prefill filters keep what they state", [&seen] {
    const PrefillCase in = *prefill_cases(generators::size_list(2048));
    const PlantedPlan plan = plan_of(in);
    const SizeList& kept = plan.captures.paths.front().kept;
    const Finding finding = finding_of("filter_keeps_contract", plan);
    seen.count("verdict", verdict_text(finding));
    seen.count("rules", label_of(in.version));
    seen.count("attn_tp", in.filter.attn_tp);
    seen.count("attn_cp", in.filter.attn_cp);
    RC_ASSERT(finding.verdict == expected(in, kept));
    if (finding.verdict == LawVerdict::violation) {
      SizeList bad = kept;
      const std::int64_t multiple = stated(in);
      RC_ASSERT(multiple > 0);
      std::erase_if(bad, [multiple](std::int64_t size) { return size % multiple == 0; });
      RC_ASSERT(finding.witness->tokens == std::ranges::min(bad));
      RC_ASSERT(finding.first_in_time->tokens == bad.back());
    }
    if (finding.verdict != LawVerdict::pass) return;
    seen.count("known", std::string(name_of(finding.known)));
    // Proved means for all lists: then no list of one size breaks it either.
    for (std::int64_t size = 1; finding.known == Known::proved && size <= 64; ++size) {
      PrefillCase other = in;
      other.candidates = {size};
      RC_ASSERT(!breaks(other, plan_of(other).captures.paths.front().kept));
    }
  }));
  seen.print("filter_keeps_contract, prefill");
}

// The decode filter states multiples of attention TP in tokens and keeps them at every width.
TEST(FilterKeepsContractProperty, RandomDecodeLists) {
  Histogram seen;
  seen.declare("verdict", {"pass", "not_applicable", "undecided"});
  EXPECT_TRUE(holds("the decode filter keeps what it states", [&seen] {
    const DecodeCase in = *decode_cases(generators::size_list(600));
    const PlantedPlan plan = plan_of(in);
    const SizeList& kept = plan.captures.paths.front().kept;
    const Finding finding = finding_of("filter_keeps_contract", plan);
    seen.count("verdict", verdict_text(finding));
    seen.count("width", in.filter.tokens_per_request);
    if (kept.empty()) {
      RC_ASSERT(finding.verdict == LawVerdict::undecided);
    } else if (!in.filter.gathered || in.filter.two_batch_overlap) {
      RC_ASSERT(finding.verdict == LawVerdict::not_applicable);
    } else {
      RC_ASSERT(finding.verdict == LawVerdict::pass);
      RC_ASSERT(finding.known == Known::proved);
      for (const std::int64_t size : kept) {
        RC_ASSERT(size * in.filter.tokens_per_request % in.filter.attn_tp == 0);
      }
    }
  }));
  seen.print("filter_keeps_contract, decode");
}

}  // namespace
}  // namespace capsize::property::contract_test
