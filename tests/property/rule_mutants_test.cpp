// Planted faults of an engine's rules: each is killed by the law that it names, on a launch on
// which the real rule passes; without that law it lives; every clause of every rule has one. What
// faults are planted into (rules spelled out part by part, launches put together from real paths)
// is compared with the engine's own code.
#include "scenarios/mutants/rule_mutants.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "scenarios/mutants/decode_parts.hpp"
#include "scenarios/mutants/kill_table.hpp"
#include "scenarios/mutants/prefill_parts.hpp"
#include "tests/support/sglang_launch.hpp"

namespace capsize::rule_mutants_test {
namespace {

std::vector<std::string> laws_named() {
  std::set<std::string> names;
  for (const RuleMutant& mutant : rule_mutants()) names.emplace(mutant.law);
  return {names.begin(), names.end()};
}

bool is_broken(const Law& law, const PlantedPlan& plan, std::string_view path) {
  const std::vector<Finding> findings = judge(law, plan.subject());
  return std::ranges::any_of(findings, [&](const Finding& finding) {
    return finding.path == path && finding.verdict == LawVerdict::violation;
  });
}

class RuleMutants : public testing::TestWithParam<std::string> {};

// A law that sleeps over a faulty rule; a launch on which the real rule is at fault as well.
TEST_P(RuleMutants, AreKilledWhereTheRealRulePasses) {
  RuleBench bench;
  for (const RuleMutant& mutant : rule_mutants()) {
    if (mutant.law != GetParam()) continue;
    SCOPED_TRACE(std::string(mutant.name));
    const auto kill = kill_of(mutant, bench);
    ASSERT_TRUE(kill.has_value());
    EXPECT_FALSE(kill->blame.empty());
    EXPECT_FALSE(kill->at.empty());
    if (mutant.law == kConformance) continue;
    RuleSet faulty;
    mutant.change(faulty);
    const Law& law = *find_law(mutant.law);
    EXPECT_TRUE(is_broken(law, bench.plan_of(faulty, *kill->setup), kill->path));
    EXPECT_FALSE(is_broken(law, bench.plan_of(RuleSet{}, *kill->setup), kill->path));
  }
}

INSTANTIATE_TEST_SUITE_P(Named, RuleMutants, testing::ValuesIn(laws_named()),
                         [](const testing::TestParamInfo<std::string>& at) { return at.param; });

// A table that calls a fault killed whoever is asked: with the law switched off every fault lives.
TEST(KillTable, NothingDiesWithoutItsLaw) {
  RuleBench bench;
  for (const PlantedFault& fault : all_mutants()) {
    const std::string_view off[] = {fault.law};
    EXPECT_FALSE(try_fault(fault, bench, off).killed) << fault.law << " " << fault.name;
  }
}

// A fault that is not killed, a law without a fault, two faults of one name.
TEST(KillTable, HoldsEveryLawAndKillsAll) {
  const std::vector<KillRow> rows = kill_table();
  std::set<std::string> names;
  std::set<std::string_view> laws_hit;
  for (const KillRow& row : rows) {
    EXPECT_TRUE(row.killed) << row.fault->law << " " << row.fault->name << ": " << row.wrong;
    EXPECT_THAT(row.killed_by, testing::Contains(row.fault->law));
    EXPECT_FALSE(row.smallest.empty()) << row.fault->name;
    names.insert(std::string(row.fault->law) + "/" + std::string(row.fault->name));
    laws_hit.insert(row.fault->law);
  }
  EXPECT_EQ(names.size(), rows.size());
  for (const Law* law : laws()) EXPECT_TRUE(laws_hit.contains(law->name)) << law->name;
  EXPECT_THAT(summary(rows),
              testing::StartsWith(std::to_string(rows.size()) + " planted faults, all killed: "));
}

// A row that fails must show: in its words and in the line that ends the table.
TEST(KillTable, SaysWhatLives) {
  RuleBench bench;
  const auto fault =
      std::ranges::find(all_mutants(), std::string_view("lcm_for_product"), &PlantedFault::name);
  ASSERT_NE(fault, all_mutants().end());
  const std::string_view off[] = {fault->law};
  const std::vector<KillRow> rows = {try_fault(*fault, bench), try_fault(*fault, bench, off)};
  EXPECT_TRUE(rows[0].killed);
  EXPECT_EQ(rows[1].wrong, "it lives");
  EXPECT_EQ(summary(rows), "2 planted faults, 1 not killed as named");
}

// A search that does not start at the smallest launch: at attention TP 1 and CP 2 a base without CP
// keeps 1 where 2 is stated; 4 keeps where 2 times 4 is stated, and 3 where 3 times 2 is.
TEST(KillTable, FindsTheKnownSmallestLaunch) {
  RuleBench bench;
  const auto smallest = [&bench](std::string_view name) {
    const auto mutant = std::ranges::find(rule_mutants(), name, &RuleMutant::name);
    return kill_of(*mutant, bench)->setup->text();
  };
  EXPECT_EQ(smallest("context_ignored"), "tp 2, attn_cp 2, moe_dense 1, 23972, tokens 1");
  EXPECT_EQ(smallest("lcm_for_product"), "tp 8, attn_cp 4, moe_dense 1, 23972, tokens 2 4");
  EXPECT_EQ(smallest("maximum_for_product"), "tp 6, attn_cp 2, moe_dense 1, 23972, tokens 1 to 16");
  EXPECT_EQ(smallest("slots_not_appended"), "tp 1, requests 1 8, pool 4");
  EXPECT_EQ(smallest("top_bucket_exclusive"), "tp 1, pre-23972, tokens 1");
}

// ---- every clause ----------------------------------------------------------------------------

// The clauses of the rules, read off the engine's code; an entry that no mutant breaks, or a mutant
// of a clause that is not here, fails.
const std::map<std::string_view, std::set<std::string_view>>& clauses() {
  static const std::map<std::string_view, std::set<std::string_view>> all = {
      {"capture.cpp::memory_row",
       {"the row below whose bound the memory lies", "a row of its own where nothing is known"}},
      {"capture.cpp::default_sizes",
       {"other maxima from tp 4 on", "a chunk that is given", "a decode maximum that is given",
        "a decode list that is given", "a prefill maximum that is given",
        "a prefill list that is given"}},
      {"capture.cpp::default_prefill_max",
       {"2048 under latent attention", "no more than the KV pool", "no more than 4096 for llama-2",
        "a named maximum is not cut"}},
      {"capture.cpp::decode_list",
       {"the maximum is appended", "finer steps under speculation",
        "every size where padding is off", "the steps of the ranges"}},
      {"capture.cpp::prefill_list",
       {"the maximum is part of its range", "no size passes the maximum", "4 to 32 by 4",
        "48 to 256 by 16", "288 to 512 by 32", "576 to 1024 by 64", "1280 to 4096 by 256",
        "4608 on by 512"}},
      {"predicates.cpp::predicates_of",
       {"attention gathers under an all-to-all", "attention gathers under moe-dense 1",
        "attention gathers while dp < tp", "attention gathers under DP attention too",
        "the MLP gathers under DP attention", "the MLP gathers under DP attention only",
        "the MLP gathers without moe-dense 1", "the MLP gathers without a DP head",
        "the MLP gathers without an all-to-all", "a buffer for either gather",
        "in step where tokens are gathered", "in step under DP attention"}},
      {"groups.cpp::Sizes::attn_tp", {"divided by the replicas", "divided by context parallelism"}},
      {"paths.cpp::pool",
       {"divided by the replicas", "rounded down", "no more than the engine takes"}},
      {"layout.cpp, paths.cpp",
       {"prefill: filtered if tokens are gathered", "decode: filtered if tokens are gathered",
        "eager: padded if ranks are in step"}},
      {"history.cpp::filter_base (23972)",
       {"context parallelism as a factor where it does not divide",
        "attention TP alone where context divides it", "a multiple of attention TP"}},
      {"history.cpp::keep_multiples (23972)",
       {"what the base divides", "only where tokens are gathered", "refuses an empty list",
        "says why", "refuses only an empty list"}},
      {"history.cpp::keep_all (pre-23972)", {"takes every size"}},
      {"history.cpp::sort_only (23906)", {"sorts", "rises", "takes every size"}},
      {"history.cpp::round_up (33200)",
       {"up, not down", "a multiple stays", "to attention TP", "only where tokens are gathered",
        "where tokens are gathered", "sorts", "a size stays above 0",
        "cut to the maximum, then rounded", "says that it is cut first"}},
      {"capture.cpp::decode_alignment",
       {"attention TP, if tokens are gathered", "context parallelism where it does not divide",
        "context outside the gate", "a factor 2 under two-batch overlap"}},
      {"capture.cpp::decode_filter",
       {"the width of a request", "no width under two-batch overlap", "slots: the pool, aligned up",
        "the slots are appended where the list passes them", "whatever the order of the list",
        "cut to the slots after the append", "the slots themselves are kept",
        "nothing above the slots", "slots are requests", "what the alignment divides", "sorts",
        "leaves the list to a second reader", "refuses an empty list", "says why",
        "refuses only an empty list", "refuses a size of no rows"}},
      {"dispatch.cpp::bisect_lookup",
       {"a captured size finds itself", "the largest size is found", "eager above the largest",
        "a larger size serves", "a size is large enough", "no smaller size is enough",
        "the first size serves what is below"}},
      {"dispatch.cpp::exact_lookup",
       {"a size itself", "a captured size is found", "the largest size is found"}},
      {"dispatch.cpp::padded_rows",
       {"to attention TP", "to attention CP", "one after the other", "up, not down"}},
      {"the memory of derived steps",
       {"attention TP", "attention CP", "replicas", "moe-dense 1", "all-to-all",
        "two-batch overlap", "whether the context is split", "tokens a request",
        "the kind of model"}},
  };
  return all;
}

TEST(RuleClauses, HaveAMutantEach) {
  std::map<std::string_view, std::set<std::string_view>> planted;
  for (const RuleMutant& mutant : rule_mutants()) planted[mutant.rule].insert(mutant.clause);
  EXPECT_EQ(planted, clauses());
}

// ---- what faults are planted into ------------------------------------------------------------

// Rules spelled out part by part that are not the engine's: a mutant would then differ in more than
// the part that it exchanges.
TEST(SpelledOutRules, AreTheEnginesOwn) {
  const PrefillRow multiples = row_of(PrefillParts{});
  const PrefillRow rounding = row_of(RoundingParts{});
  RuleSet real;
  std::int64_t compared = 0;
  const SizeList list = {12, 1, 2, 3, 4, 4, 6, 24, 48};
  for (std::int64_t attn_tp = 1; attn_tp <= 8; ++attn_tp) {
    for (std::int64_t attn_cp = 1; attn_cp <= 6; ++attn_cp) {
      for (const bool gathered : {false, true}) {
        const sglang::PrefillFilterInput in{attn_tp, attn_cp, gathered};
        for (const auto& [row, version] : {std::pair(&multiples, sglang::Version::pr_23972),
                                           std::pair(&rounding, sglang::Version::pr_33200)}) {
          const FilterResult got = row->apply(in, list);
          const FilterResult want = real.row(version).apply(in, list);
          EXPECT_EQ(got.kept, want.kept);
          EXPECT_EQ(got.refused, want.refused);
          EXPECT_EQ(row->modulus(in), real.row(version).modulus(in));
          EXPECT_EQ(row->rounds, real.row(version).rounds);
          ++compared;
        }
      }
    }
  }
  EXPECT_EQ(compared, 8 * 6 * 2 * 2);
}

TEST(SpelledOutRules, AreTheEnginesDecodeFilter) {
  std::int64_t refused = 0;
  for (std::int64_t attn_tp = 1; attn_tp <= 4; ++attn_tp) {
    for (std::int64_t attn_cp = 1; attn_cp <= 4; ++attn_cp) {
      for (std::int64_t pool = 1; pool <= 12; ++pool) {
        for (unsigned switches = 0; switches < 12; ++switches) {
          const sglang::DecodeFilterInput in{pool,
                                             attn_tp,
                                             attn_cp,
                                             (switches & 1U) != 0,
                                             static_cast<std::int64_t>(switches / 4 + 1),
                                             (switches & 2U) != 0};
          SizeList list = {9, 0, 4, 4, 2, 16, 1};
          SizeList same_list = list;
          const FilterResult got = decode_by(DecodeParts{}, in, list);
          const FilterResult want = sglang::decode_filter(in, same_list);
          ASSERT_EQ(got.kept, want.kept);
          ASSERT_EQ(got.refused, want.refused);
          ASSERT_EQ(list, same_list);
          refused += got.refused ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(refused, 0);
}

std::string line_of(const RuleSetup& setup) {
  const RuleLayout& layout = setup.layout;
  std::string line = "--model-path m --tp-size " + std::to_string(layout.tp);
  const auto add = [&line](std::string_view flag, std::optional<std::int64_t> value) {
    if (value) line.append(" ").append(flag).append(" ").append(std::to_string(*value));
  };
  const auto add_list = [&line](std::string_view flag, const std::optional<SizeList>& sizes) {
    if (!sizes) return;
    line.append(" ").append(flag);
    for (const std::int64_t size : *sizes) line.append(" ").append(std::to_string(size));
  };
  if (layout.attn_dp > 1) {
    add("--dp-size", layout.attn_dp);
    line += " --enable-dp-attention";
  }
  add("--attn-cp-size", layout.attn_cp);
  if (layout.dense_is_one) line += " --moe-dense-tp-size 1";
  if (layout.dp_lm_head) line += " --enable-dp-lm-head";
  if (setup.sizes->prefill) line += " --enforce-piecewise-cuda-graph";
  const sglang::DefaultSizesInput& lists = setup.sizes->lists;
  add("--piecewise-cuda-graph-max-tokens", lists.piecewise_max_tokens);
  add("--cuda-graph-max-bs", lists.cuda_graph_max_bs);
  add("--chunked-prefill-size", lists.chunked_prefill_size);
  add("--max-total-tokens", lists.max_total_tokens);
  add("--max-running-requests", setup.sizes->max_running);
  add_list("--piecewise-cuda-graph-tokens", lists.piecewise_tokens);
  add_list("--cuda-graph-bs", lists.cuda_graph_bs);
  if (lists.disable_padding) line += " --disable-cuda-graph-padding";
  return line;
}

// A bench whose launches are not launches: the paths of the real rules, against those that the
// engine plans for the same command line.
TEST(RuleBench, PlansWhatTheEnginePlans) {
  RuleBench bench;
  const RuleSet real;
  std::int64_t compared = 0;
  std::int64_t at = 0;
  for (const RuleSetup& setup : rule_grid()) {
    const RuleLayout& layout = setup.layout;
    const RuleSizes& sizes = *setup.sizes;
    const bool plain = layout.model == RuleModel::dense && sizes.width == 1 &&
                       !layout.splits_context && !sizes.lists.mla && !sizes.lists.llama_2_path &&
                       !sizes.draft_runner;
    if (!plain || ++at % 7 != 0) continue;
    const EnginePlan plan =
        test::plan_of(line_of(setup), {.rules = sglang::name_of(setup.version),
                                       .model = &test::shape_of("meta-llama/Llama-3.1-70B")});
    if (plan.captures.paths.empty()) continue;  // refused before any path is made
    const CapturePath& theirs = plan.captures.paths[sizes.prefill ? 0 : 1];
    const PlantedPlan own = bench.plan_of(real, setup);
    const CapturePath& ours = own.captures.paths.front();
    if (!theirs.enabled) continue;
    SCOPED_TRACE(setup.text() + ": " + line_of(setup));
    ASSERT_EQ(ours.candidates, theirs.candidates);
    ASSERT_EQ(ours.refused, theirs.refused);
    if (!ours.refused) {
      ASSERT_EQ(ours.kept, theirs.kept);
    }
    ASSERT_EQ(ours.filter.modulus, theirs.filter.modulus);
    ASSERT_EQ(ours.filter.contract_tokens, theirs.filter.contract_tokens);
    ASSERT_EQ(ours.largest_presented, theirs.largest_presented);
    ++compared;
  }
  EXPECT_GT(compared, 200);
}

}  // namespace
}  // namespace capsize::rule_mutants_test
