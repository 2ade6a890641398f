// The laws over sets of positions against the laws over whole paths: the same verdict, the same
// witness, the same cost of what is lost. Over a declared domain of the real rules, on random
// lists, filters and steps, and on the planted faults of properties/mutants.hpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <set>

#include "properties/coverage.hpp"
#include "properties/set_case.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/sglang_generators.hpp"
#include "tests/support/set_tables.hpp"

namespace capsize::property::set_case_test {
namespace {

using SetJudge = std::function<void(const SetCase&, std::span<SetFinding>)>;

std::string text_of(const SetFinding& finding) {
  std::string text(name_of(finding.verdict));
  return finding.verdict == LawVerdict::violation ? text + " at " + std::to_string(finding.size)
                                                  : text;
}

std::string text_of(const Finding& finding) {
  std::string text(name_of(finding.verdict));
  if (!finding.witness) return text;
  return text + " at " +
         std::to_string(finding.witness->requests.value_or(finding.witness->tokens));
}

bool agree(const CapturePath& path, const Finding& finding, const SetFinding& set) {
  if (finding.verdict != set.verdict) return false;
  if (finding.verdict != LawVerdict::violation) return set.size == 0;
  const Witness witness = witness_at(path, set.size);
  return finding.witness && finding.witness->tokens == witness.tokens &&
         finding.witness->requests == witness.requests;
}

// Where the sets say something else than lost_sizes; empty where they agree.
std::string difference_of_costs(const CapturePath& path, const SetCase& in) {
  SizeList lost;
  SizeList waste;
  std::int64_t padded = 0;
  if (in.standing == LawVerdict::pass) {
    for (const LostSize& one : lost_sizes(path)) {
      lost.push_back(one.size);
      if (one.usable) waste.push_back(one.size);
      padded += one.padded_tokens;
    }
  }
  const auto sizes_at = [&in](Positions positions) {
    SizeList out;
    for (std::size_t at = 0; at < in.sizes.size(); ++at) {
      if (positions.contains(at)) out.push_back(in.sizes[at]);
    }
    return out;
  };
  if (sizes_at(in.lost) != lost) return "the lost sizes differ";
  if (sizes_at(wasted(in)) != waste) return "the wasted sizes differ";
  if (padded_tokens(in) != padded) {
    return "padded tokens: " + std::to_string(padded) + ", as sets " +
           std::to_string(padded_tokens(in));
  }
  return "";
}

// Where the two forms differ on the first path of a plan; empty where they agree in everything.
std::string difference(const PlantedPlan& plan, const SetCase& in, const SetJudge& judge_as_sets) {
  const CapturePath& path = plan.captures.paths.front();
  std::vector<SetFinding> sets(set_laws().size());
  judge_as_sets(in, sets);
  const Subject subject = plan.subject();
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const Law& law = *set_laws()[i];
    const auto none = not_judged(law, path);
    const Finding finding = none ? *none : law.check_path(subject, path);
    if (agree(path, finding, sets[i])) continue;
    return std::string(law.name) + ": " + text_of(finding) + ", as sets " + text_of(sets[i]);
  }
  return difference_of_costs(path, in);
}

// ---- the declared domain ----------------------------------------------------------------------

// What steps ask: nothing; multiples of 8; 2, 4 and 6 alone; no count; and multiples of 4, known
// up to 16.
std::vector<std::shared_ptr<const DerivedStep>> steps() {
  const auto fours = step_of_layout({.attn_tp = 4, .dense_fully_dp = true, .model = kMixedModel});
  auto cut_off = std::make_shared<DerivedStep>(*fours);
  std::vector<std::uint8_t> members;
  for (std::int64_t n = 1; n <= 16; ++n) {
    members.push_back(fours->requirement.usable.contains(n) ? 1 : 0);
  }
  cut_off->requirement.usable = UsableSet(1, 16, std::move(members), Known::exhausted);
  return {
      nullptr, step_of_layout({.attn_tp = 8, .dense_fully_dp = true, .model = kMixedModel}),
      step_of_layout(
          {.attn_tp = 2, .attn_cp = 4, .a2a = true, .splits_context = true, .model = kSparseModel}),
      step_of_layout({.attn_tp = 4,
                      .attn_cp = 2,
                      .dense_fully_dp = true,
                      .a2a = true,
                      .splits_context = true,
                      .model = kSparseModel}),
      cut_off};
}

std::vector<SizeList> lists() {
  SizeList every(64);
  std::iota(every.begin(), every.end(), 1);
  SizeList spread;  // positions on both sides of 64
  for (std::int64_t size = 4; spread.size() < 80; size += size < 72 ? 2 : 24) {
    spread.push_back(size);
  }
  return {{4, 8, 12, 16, 20, 24, 28}, {0, 4, 8, 16}, {3},   {6, 10}, {-8, 8},
          {1, 2, 4, 6, 9, 16},        every,         spread};
}

struct Counts {
  std::int64_t paths = 0;
  std::int64_t fitting = 0;
  std::map<std::string, std::set<LawVerdict>> verdicts;  // by law
  std::int64_t wasteful = 0;
  std::int64_t padded = 0;
};

// Both forms on one plan; only a set that was cut off may keep a path of the domain from fitting.
void visit(const PlantedPlan& plan, Counts& counts) {
  const CapturePath& path = plan.captures.paths.front();
  ++counts.paths;
  SetStorage storage;
  const auto in = set_case_of(path, storage, plan.fail_on_waste);
  const bool cut_off = path.step->requirement.usable.known() != Known::proved;
  const bool inside =
      std::ranges::max(path.candidates) <= 16 && (path.kept.empty() || path.kept.back() <= 16);
  ASSERT_EQ(in.has_value(), !cut_off || inside);
  if (!in) return;
  ++counts.fitting;
  ASSERT_EQ(difference(plan, *in, judge_sets), "");
  std::vector<SetFinding> findings(set_laws().size());
  judge_sets(*in, findings);
  for (std::size_t i = 0; i < findings.size(); ++i) {
    counts.verdicts[std::string(set_laws()[i]->name)].insert(findings[i].verdict);
  }
  counts.wasteful += wasted(*in).empty() ? 0 : 1;
  counts.padded += padded_tokens(*in) > 0 ? 1 : 0;
}

void each_prefill(Counts& counts) {
  using sglang::Version;
  const auto all_steps = steps();
  for (const Version version :
       {Version::pre_23972, Version::pr_23972, Version::pr_23906, Version::pr_33200}) {
    for (const std::int64_t attn_tp : {1, 2, 3, 4, 6, 8}) {
      for (const std::int64_t attn_cp : {1, 2, 3, 4}) {
        for (const bool gathered : {false, true}) {
          for (const SizeList& list : lists()) {
            for (const std::int64_t maximum : {0, 14, 28}) {
              for (const std::int64_t largest : {0, 9, 4096}) {
                for (const auto& step : all_steps) {
                  PrefillCase in{.version = version,
                                 .filter = {attn_tp, attn_cp, gathered},
                                 .candidates = list,
                                 .largest_presented = largest};
                  if (maximum > 0) in.maximum = maximum;
                  PlantedPlan plan = plan_of(in, step);
                  plan.fail_on_waste = counts.paths % 2 == 0;
                  ASSERT_NO_FATAL_FAILURE(visit(plan, counts))
                      << label_of(version) << " attn_tp " << attn_tp << " attn_cp " << attn_cp
                      << " gathered " << gathered << " " << property::text_of(list) << " maximum "
                      << maximum << " presents " << largest;
                }
              }
            }
          }
        }
      }
    }
  }
}

void each_decode(Counts& counts) {
  const auto all_steps = steps();
  for (const std::int64_t attn_tp : {1, 2, 3, 4, 6, 8}) {
    for (const std::int64_t attn_cp : {1, 2, 3, 4}) {
      for (unsigned switches = 0; switches < 8; ++switches) {
        for (const SizeList& list : lists()) {
          for (const std::int64_t pool : {0, 1, 6, 40}) {
            for (const std::int64_t width : {1, 2, 3}) {
              for (const auto& step : all_steps) {
                PlantedPlan plan =
                    plan_of(DecodeCase{.filter = {.pool = pool,
                                                  .attn_tp = attn_tp,
                                                  .attn_cp = attn_cp,
                                                  .gathered = (switches & 1) != 0,
                                                  .tokens_per_request = width,
                                                  .two_batch_overlap = (switches & 2) != 0},
                                       .candidates = list,
                                       .draft_runner = width > 1,
                                       .named = (switches & 4) != 0},
                            step);
                plan.fail_on_waste = counts.paths % 2 == 0;
                ASSERT_NO_FATAL_FAILURE(visit(plan, counts))
                    << "attn_tp " << attn_tp << " attn_cp " << attn_cp << " switches " << switches
                    << " " << property::text_of(list) << " pool " << pool << " width " << width;
              }
            }
          }
        }
      }
    }
  }
}

// A law over sets that forgets a clause, reads the wrong set or names another size; a word of 64
// bits taken for the other.
TEST(SetCaseProperty, EveryPathOfTheDomain) {
  Counts counts;
  ASSERT_NO_FATAL_FAILURE(each_prefill(counts));
  ASSERT_NO_FATAL_FAILURE(each_decode(counts));
  std::printf("# %lld paths, %lld as sets; %lld with waste, %lld with padding\n",
              static_cast<long long>(counts.paths), static_cast<long long>(counts.fitting),
              static_cast<long long>(counts.wasteful), static_cast<long long>(counts.padded));
  for (const auto& [law, verdicts] : counts.verdicts) {
    std::printf("#   %s:", law.c_str());
    for (const LawVerdict v : verdicts) std::printf(" %s", std::string(name_of(v)).c_str());
    std::printf("\n");
  }
  EXPECT_EQ(counts.paths, 4 * 6 * 4 * 2 * 8 * 3 * 3 * 5 + 6 * 4 * 8 * 8 * 4 * 3 * 5);
  EXPECT_EQ(counts.fitting, 149040);
  EXPECT_GT(counts.wasteful, 0);
  EXPECT_GT(counts.padded, 0);
  for (const std::string law : {"divisible", "filter_keeps_contract", "no_needless_drop",
                                "reachable_is_covered", "within_capacity"}) {
    EXPECT_TRUE(counts.verdicts[law].contains(LawVerdict::violation)) << law;
  }
}

// ---- random paths -----------------------------------------------------------------------------

// Lists as the engines make them, and lists as people write them: in any order, with repeats.
rc::Gen<SizeList> lists_of_both_kinds() {
  return rc::gen::oneOf(generators::ascending_list(600), generators::ascending_list(64),
                        generators::size_list(64));
}

void compare_random(PlantedPlan plan, bool fail_on_waste, Histogram& seen) {
  plan.fail_on_waste = fail_on_waste;
  const CapturePath& path = plan.captures.paths.front();
  SetStorage storage;
  const auto in = set_case_of(path, storage, fail_on_waste);
  seen.count("list", shape_of_list(path.candidates));
  seen.count("fits", in.has_value());
  if (path.exact_match) RC_ASSERT(!in.has_value());
  if (!in) return;
  const std::string found = difference(plan, *in, judge_sets);
  if (!found.empty()) RC_FAIL(found);
  seen.count("waste", !wasted(*in).empty());
  seen.count("kept", !in->kept.empty());
}

// The same faults in lists that nobody thought of; a list that must not become a set case.
TEST(SetCaseProperty, RandomPrefillPaths) {
  Histogram seen;
  seen.declare("fits", {"no", "yes"});
  seen.declare("waste", {"no", "yes"});
  seen.declare("kept", {"no", "yes"});
  EXPECT_TRUE(holds("laws over sets are the laws (prefill)", [&seen] {
    const PrefillCase in = *prefill_cases(lists_of_both_kinds());
    const LayoutCase layout = *layouts();
    compare_random(plan_of(in, step_of_layout(layout)), *generators::coin(), seen);
  }));
  seen.print("set cases, prefill");
}

TEST(SetCaseProperty, RandomDecodePaths) {
  Histogram seen;
  seen.declare("fits", {"no", "yes"});
  seen.declare("waste", {"no", "yes"});
  seen.declare("kept", {"no", "yes"});
  EXPECT_TRUE(holds("laws over sets are the laws (decode)", [&seen] {
    const DecodeCase in = *decode_cases(lists_of_both_kinds());
    const LayoutCase layout = *layouts();
    compare_random(plan_of(in, step_of_layout(layout)), *generators::coin(), seen);
  }));
  seen.print("set cases, decode");
}

// ---- planted faults ---------------------------------------------------------------------------

std::set<std::string> violated_as_sets(const PlantedPlan& plan, const SetCase& in) {
  EXPECT_EQ(difference(plan, in, judge_sets), "");
  std::vector<SetFinding> findings(set_laws().size());
  judge_sets(in, findings);
  std::set<std::string> out;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    if (findings[i].verdict == LawVerdict::violation) out.emplace(set_laws()[i]->name);
  }
  return out;
}

// A fault that the law over sets sleeps over, or that wakes another one.
TEST(SetCaseProperty, PlantedFaultsAreFlaggedByTheirLawAlone) {
  std::vector<std::string_view> not_as_sets;
  for (const Mutant& mutant : mutants()) {
    SCOPED_TRACE(mutant.name);
    const MutantPair pair = mutant.make();
    SetStorage storage;
    const auto twin =
        set_case_of(pair.healthy.captures.paths.front(), storage, pair.healthy.fail_on_waste);
    if (twin) {
      EXPECT_THAT(violated_as_sets(pair.healthy, *twin), testing::IsEmpty());
    }
    const auto faulty =
        set_case_of(pair.faulty.captures.paths.front(), storage, pair.faulty.fail_on_waste);
    if (!faulty || !pair.faulty.captures.eager.empty()) {
      not_as_sets.push_back(mutant.name);
      continue;
    }
    std::set<std::string> expected = {std::string(mutant.law)};
    if (!mutant.also.empty()) expected.emplace(mutant.also);
    EXPECT_EQ(violated_as_sets(pair.faulty, *faulty), expected);
  }
  // An eager path, two paths without padding and a list that does not rise.
  EXPECT_THAT(not_as_sets,
              testing::UnorderedElementsAre("pads_eager_short", "pads_where_padding_is_off",
                                            "loses_a_named_size", "bisects_an_unsorted_list"));
}

// Whether some planted fault shows that `judge_as_sets` is not the laws.
bool is_seen(const SetJudge& judge_as_sets) {
  return std::ranges::any_of(mutants(), [&](const Mutant& mutant) {
    const PlantedPlan plan = mutant.make().faulty;
    SetStorage storage;
    const auto in = set_case_of(plan.captures.paths.front(), storage, plan.fail_on_waste);
    return in && !difference(plan, *in, judge_as_sets).empty();
  });
}

// A comparison that sees no difference: each law over sets in turn is broken in a copy, so that it
// sleeps over every fault, names the size beside the right one, or cries at every path.
TEST(SetCaseProperty, TheComparisonSeesABrokenLaw) {
  EXPECT_FALSE(is_seen(judge_sets));
  const std::vector<std::function<void(SetFinding&)>> breaks = {
      [](SetFinding& finding) { finding = {LawVerdict::pass}; },
      [](SetFinding& finding) { finding.size += 1; },
      [](SetFinding& finding) {
        finding = {LawVerdict::violation, 4};
      }};
  for (std::size_t law = 0; law < set_laws().size(); ++law) {
    for (std::size_t i = 0; i < breaks.size(); ++i) {
      EXPECT_TRUE(is_seen([&](const SetCase& in, std::span<SetFinding> out) {
        judge_sets(in, out);
        breaks[i](out[law]);
      })) << set_laws()[law]->name
          << ", broken in way " << i;
    }
  }
}

// ---- what fits, and what is not judged --------------------------------------------------------

bool fits(const PlantedPlan& plan) {
  SetStorage storage;
  return set_case_of(plan.captures.paths.front(), storage, false).has_value();
}

PlantedPlan plan_with(const SizeList& candidates) {
  return plan_of(PrefillCase{.candidates = candidates});
}

// A path forced into a form that cannot say what the laws say.
TEST(SetCaseProperty, PathsThatDoNotFit) {
  EXPECT_TRUE(fits(plan_with({4, 8})));
  EXPECT_FALSE(fits(plan_with({8, 4})));
  EXPECT_FALSE(fits(plan_with({4, 4, 8})));
  SizeList long_list(129);
  std::iota(long_list.begin(), long_list.end(), 1);
  EXPECT_FALSE(fits(plan_with(long_list)));
  long_list.pop_back();
  EXPECT_TRUE(fits(plan_with(long_list)));
  EXPECT_FALSE(
      fits(plan_of(DecodeCase{.filter = {.pool = 8}, .candidates = {4}, .exact_match = true})));

  PlantedPlan other = plan_with({4, 8});
  other.captures.paths.front().kept = {8};  // its filter keeps 4 too
  EXPECT_FALSE(fits(other));
  PlantedPlan refusing = plan_with({4, 8});
  refusing.captures.paths.front().refused = "no";
  EXPECT_FALSE(fits(refusing));

  // Dispatch that finds the largest size for all counts, also for one that was lost or named.
  PlantedPlan lost =
      plan_of(PrefillCase{.filter = {.attn_tp = 4, .gathered = true}, .candidates = {3, 4, 8}});
  EXPECT_TRUE(fits(lost));
  const auto largest = [](const SizeList& sizes, std::int64_t) {
    return std::optional(sizes.back());
  };
  lost.captures.paths.front().lookup = largest;
  EXPECT_FALSE(fits(lost));
  PlantedPlan named = plan_with({4, 8});
  named.captures.paths.front().named = {{12, "--max"}};
  EXPECT_TRUE(fits(named));
  named.captures.paths.front().lookup = largest;
  EXPECT_FALSE(fits(named));
}

// A path without graphs that is judged all the same, or a reason that is lost.
TEST(SetCaseProperty, PathsThatAreNotJudged) {
  PlantedPlan off = plan_with({4, 8});
  off.captures.paths.front().enabled = false;
  off.captures.paths.front().filter.apply = nullptr;  // nothing may ask it
  PlantedPlan unknown = plan_with({4, 8});
  unknown.captures.paths.front().undecided = "not modelled";
  PlantedPlan off_and_unknown = off;
  off_and_unknown.captures.paths.front().undecided = "not modelled";
  PlantedPlan nothing = plan_with({4, 8});
  nothing.captures.paths.front().candidates.clear();
  nothing.captures.paths.front().kept.clear();
  PlantedPlan not_asked_for = plan_with({4, 8});
  not_asked_for.captures.paths.front().candidates.clear();
  for (const PlantedPlan* plan : {&off, &unknown, &off_and_unknown, &nothing, &not_asked_for}) {
    SetStorage storage;
    const auto in = set_case_of(plan->captures.paths.front(), storage, true);
    ASSERT_TRUE(in.has_value());
    EXPECT_EQ(difference(*plan, *in, judge_sets), "");
  }
}

// A law that judges whole paths and is forgotten where sets are judged.
TEST(SetCaseProperty, EveryLawOfPathsHasBothForms) {
  for (const Law* law : laws()) {
    EXPECT_EQ(law->check_path != nullptr, law->check_set != nullptr) << law->name;
  }
  EXPECT_EQ(set_laws().size(), 8U);
}

// ---- tables -----------------------------------------------------------------------------------

std::vector<SetFinding> judged(const SetCase& in) {
  std::vector<SetFinding> findings(set_laws().size());
  judge_sets(in, findings);
  return findings;
}

// A mask of another list or another set; a part that is taken for one that was met before.
TEST(SetTables, CasesByNumberAreTheCasesOfTheirPaths) {
  test::SetTables tables;
  const std::vector<std::int64_t> attn_tps = {1, 2, 3, 4, 6, 8};
  auto all_steps = steps();
  all_steps.front() = step_of_layout({});  // asks nothing
  EXPECT_FALSE(tables.usable(all_steps.back()->requirement.usable).has_value());
  all_steps.pop_back();
  const auto path_of = [&](const SizeList& list, std::size_t filter, std::size_t step) {
    return plan_of(PrefillCase{.version = filter % 2 == 0 ? sglang::Version::pr_23972
                                                          : sglang::Version::pr_33200,
                               .filter = {attn_tps[filter / 2], 1, true},
                               .candidates = list,
                               .largest_presented = 100,
                               .maximum = 28},
                   all_steps[step]);
  };
  const auto usable_id = [&](std::size_t step) {
    return tables.usable(all_steps[step]->requirement.usable).value();
  };
  usable_id(0);
  usable_id(1);  // the others come after the paths
  const std::size_t filters = 2 * attn_tps.size();
  for (const SizeList& list : lists()) {
    const auto id = tables.list(list);
    EXPECT_EQ(tables.list(list), id);
    for (std::size_t filter = 0; filter < filters; ++filter) {
      const PlantedPlan plan = path_of(list, filter, 0);
      ASSERT_TRUE(tables.remember(id, static_cast<test::SetTables::Id>(filter),
                                  plan.captures.paths.front(), true));
    }
  }
  EXPECT_FALSE(
      tables.remember(tables.list({8, 4}), 0, path_of({8, 4}, 0, 0).captures.paths.front(), true));
  for (std::size_t step = 0; step < all_steps.size(); ++step) {
    const auto usable = usable_id(step);
    EXPECT_EQ(usable, step);
    for (const SizeList& list : lists()) {
      for (std::size_t filter = 0; filter < filters; ++filter) {
        const PlantedPlan plan = path_of(list, filter, step);
        SetStorage storage;
        const SetCase expected = set_case_of(plan.captures.paths.front(), storage, true).value();
        const auto at = static_cast<test::SetTables::Id>(filter);
        const SetCase found = tables.case_of(tables.list(list), at, usable);
        ASSERT_EQ(judged(found), judged(expected)) << step << " " << filter;
        ASSERT_EQ(wasted(found), wasted(expected));
        ASSERT_EQ(tables.padded_of(tables.list(list), at), padded_tokens(expected));
      }
    }
  }
}

}  // namespace
}  // namespace capsize::property::set_case_test
