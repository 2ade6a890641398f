// filter_refuses_empty: every real filter refuses what it empties and nothing else; and with its
// refusal taken away, blanked or spread, the law notices exactly where that can matter.
#include <gtest/gtest.h>

#include <functional>

#include "tests/property/histogram.hpp"
#include "tests/property/sglang_generators.hpp"

namespace capsize::property::refuses_test {
namespace {

using sglang::Version;

constexpr std::string_view kLaw = "filter_refuses_empty";

// The step that the prefill filter of a version keeps multiples of, counted up from TP.
std::int64_t least_kept(const PrefillCase& in) {
  if (in.version != Version::pr_23972 || !in.filter.gathered) return 1;
  std::int64_t step = in.filter.attn_tp;
  while (step % in.filter.attn_cp != 0) step += in.filter.attn_tp;
  // A * C is kept where the two have a common part: more than the least common multiple.
  return in.filter.attn_tp % in.filter.attn_cp == 0 ? step : in.filter.attn_tp * in.filter.attn_cp;
}

bool empties(const PrefillCase& in) {
  return std::ranges::none_of(in.candidates,
                              [&in](std::int64_t size) { return size % least_kept(in) == 0; });
}

enum class Damage { none, silent, without_text, always };

void damage(CapturePath& path, Damage how) {
  path.filter.apply = [apply = path.filter.apply, how](SizeList& sizes) {
    FilterResult result = apply(sizes);
    if (how == Damage::silent) result.refused.reset();
    if (how == Damage::without_text && result.refused) result.refused = "";
    if (how == Damage::always && !result.refused) result.refused = "not today";
    return result;
  };
}

// A size that the law does not probe: each version, layout and list of one size, with each damage.
TEST(FilterRefusesEmptyProperty, EverySingleSizeAndDamage) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::uint8_t version = 0; version < static_cast<std::uint8_t>(Version::end); ++version) {
    for (std::int64_t attn_tp = 1; attn_tp <= 6; ++attn_tp) {
      for (std::int64_t attn_cp = 1; attn_cp <= 6; ++attn_cp) {
        for (std::int64_t size = 1; size <= 24; ++size) {
          const PrefillCase in{.version = static_cast<Version>(version),
                               .filter = {attn_tp, attn_cp, true},
                               .candidates = {size}};
          PlantedPlan plan = plan_of(in);
          for (const Damage how :
               {Damage::none, Damage::silent, Damage::without_text, Damage::always}) {
            PlantedPlan damaged = plan;
            damage(damaged.captures.paths.front(), how);
            // What is lost without its refusal can be lost at all; what is kept can be refused
            // where some list of the domain keeps something: the size at hand.
            const bool can_empty = least_kept(in) > 1;
            const bool wanted =
                how == Damage::always ? !empties(in) : how != Damage::none && can_empty;
            ASSERT_EQ(finding_of(kLaw, damaged).verdict == LawVerdict::violation, wanted)
                << label_of(in.version) << " " << attn_tp << " " << attn_cp << " {" << size << "}";
            ++count;
            broken += wanted ? 1 : 0;
          }
        }
      }
    }
  }
  EXPECT_EQ(count, 4 * 6 * 6 * 24 * 4);
  visited(count);
  EXPECT_GT(broken, 0);
}

TEST(FilterRefusesEmptyProperty, RandomPrefillLists) {
  Histogram seen;
  seen.declare("empties", {"no", "yes"});
  seen.declare("silent", {"pass", "violation"});
  EXPECT_TRUE(holds("prefill filters refuse what they empty", [&seen] {
    const PrefillCase in = *prefill_cases(generators::size_list(2048));
    PlantedPlan plan = plan_of(in);
    CapturePath& path = plan.captures.paths.front();
    seen.count("empties", empties(in));
    seen.count("rules", label_of(in.version));
    seen.count("list", shape_of_list(in.candidates));
    RC_ASSERT(path.kept.empty() == empties(in));
    RC_ASSERT(path.refused.has_value() == empties(in));
    RC_ASSERT(finding_of(kLaw, plan).verdict == LawVerdict::pass);
    damage(path, Damage::silent);
    const Finding silent = finding_of(kLaw, plan);
    seen.count("silent", verdict_text(silent));
    RC_ASSERT((silent.verdict == LawVerdict::violation) == (least_kept(in) > 1));
  }));
  seen.print("filter_refuses_empty, prefill");
}

TEST(FilterRefusesEmptyProperty, RandomDecodeLists) {
  Histogram seen;
  seen.declare("refused", {"no", "yes"});
  EXPECT_TRUE(holds("the decode filter refuses what it empties", [&seen] {
    const DecodeCase in = *decode_cases(generators::size_list(600));
    PlantedPlan plan = plan_of(in);
    CapturePath& path = plan.captures.paths.front();
    seen.count("refused", path.refused.has_value());
    // A list that holds nothing but 0 is refused as well.
    RC_ASSERT(path.refused.has_value() == (path.kept.empty() || std::ranges::min(path.kept) == 0));
    RC_ASSERT(finding_of(kLaw, plan).verdict == LawVerdict::pass);
    const bool empty = path.kept.empty();
    damage(path, Damage::silent);
    if (empty) RC_ASSERT(finding_of(kLaw, plan).verdict == LawVerdict::violation);
  }));
  seen.print("filter_refuses_empty, decode");
}

// A list that was empty before the filter shows nothing.
TEST(FilterRefusesEmptyProperty, NoListIsUndecided) {
  PlantedPlan plan = plan_of(PrefillCase{.candidates = {8}});
  plan.captures.paths.front().candidates.clear();
  plan.captures.paths.front().kept.clear();
  EXPECT_EQ(finding_of(kLaw, plan).verdict, LawVerdict::undecided);
}

}  // namespace
}  // namespace capsize::property::refuses_test
