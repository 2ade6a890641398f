#include "scenarios/mutants/rule_mutants.hpp"

#include <algorithm>
#include <array>

#include "properties/plan_report.hpp"
#include "scenarios/mutants/recorded_answers.hpp"

namespace capsize {
namespace {

const Finding* violation_in(const std::vector<Finding>& findings) {
  const auto found = std::ranges::find(findings, LawVerdict::violation, &Finding::verdict);
  return found == findings.end() ? nullptr : &*found;
}

// Laws that no launch breaks which captures nothing; to the others a refusal is no better.
bool holds_for_no_sizes(const Law& law) {
  constexpr std::array<std::string_view, 3> kNames = {"divisible", "filter_keeps_contract",
                                                      "within_capacity"};
  return std::ranges::find(kNames, law.name) != kNames.end();
}

// The real rule passes the law on that path, or the engine refuses the launch.
bool real_rule_passes(const Law& law, std::string_view path_name, const RuleSetup& setup,
                      RuleBench& bench) {
  static const RuleSet real;
  const PlantedPlan plan = bench.plan_of(real, setup);
  const CapturePath& path = plan.captures.paths.front();
  for (const Finding& finding : judge(law, plan.subject())) {
    if (finding.path != path_name) continue;
    const bool refused = path.refused && path.name == path_name && holds_for_no_sizes(law);
    return refused || finding.verdict == LawVerdict::pass;
  }
  return false;
}

std::string place_of(const Finding& finding) {
  if (!finding.witness) return "";
  if (finding.witness->requests) return counted(*finding.witness->requests, "request");
  return counted(finding.witness->tokens, "token");
}

}  // namespace

const std::vector<RuleMutant>& rule_mutants() {
  static const std::vector<RuleMutant> all = [] {
    std::vector<RuleMutant> out;
    for (const auto mutants : {list_mutants(), gate_mutants(), prefill_mutants(), decode_mutants(),
                               dispatch_mutants(), memory_mutants()}) {
      out.insert(out.end(), mutants.begin(), mutants.end());
    }
    return out;
  }();
  return all;
}

std::optional<RuleKill> kill_of(const RuleMutant& mutant, RuleBench& bench) {
  return kill_of(mutant, bench, mutant.law);
}

std::optional<RuleKill> kill_of(const RuleMutant& mutant, RuleBench& bench,
                                std::string_view law_name) {
  RuleSet rules;
  mutant.change(rules);
  if (law_name == kConformance) {
    auto answer = unlike_recorded(rules);
    if (!answer) return std::nullopt;
    return RuleKill{.at = *std::move(answer), .blame = "the engine answered otherwise"};
  }
  const Law* law = find_law(law_name);
  if (law == nullptr) return std::nullopt;
  for (const RuleSetup& setup : rule_grid()) {
    const PlantedPlan plan = bench.plan_of(rules, setup);
    const std::vector<Finding> findings = judge(*law, plan.subject());
    const Finding* found = violation_in(findings);
    if (found == nullptr || !real_rule_passes(*law, found->path, setup, bench)) continue;
    return RuleKill{setup, found->path, place_of(*found), found->blame};
  }
  return std::nullopt;
}

}  // namespace capsize
