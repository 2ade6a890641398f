#include "scenarios/mutants/kill_table.hpp"

#include <algorithm>
#include <optional>

#include "properties/mutants.hpp"
#include "properties/plan_mutants.hpp"
#include "properties/plan_report.hpp"
#include "scenarios/mutants/rule_mutants.hpp"

namespace capsize {
namespace {

using LawNames = std::vector<std::string_view>;

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::vector<PlantedFault> collected() {
  std::vector<PlantedFault> out;
  for (std::size_t i = 0; i < mutants().size(); ++i) {
    const Mutant& mutant = mutants()[i];
    out.push_back(
        {mutant.law, mutant.name, std::string(mutant.clause), FaultSource::capture_plan, i});
  }
  for (std::size_t i = 0; i < plan_mutants().size(); ++i) {
    const PlanMutant& mutant = plan_mutants()[i];
    out.push_back({mutant.law, mutant.name, std::string(mutant.clause), FaultSource::lifecycle, i});
  }
  for (std::size_t i = 0; i < rule_mutants().size(); ++i) {
    const RuleMutant& mutant = rule_mutants()[i];
    std::string where(mutant.rule);
    where.append(": ").append(mutant.clause);
    out.push_back({mutant.law, mutant.name, std::move(where), FaultSource::rule, i});
  }
  // What no law judges comes last.
  std::ranges::stable_sort(out, {}, [](const PlantedFault& fault) {
    const auto found =
        std::ranges::find(laws(), fault.law, [](const Law* law) { return law->name; });
    return found - laws().begin();
  });
  return out;
}

LawNames violated(const std::vector<Finding>& findings) {
  LawNames out;
  for (const Finding& finding : findings) {
    if (finding.verdict != LawVerdict::violation) continue;
    if (!contains(out, finding.law)) out.push_back(finding.law);
  }
  return out;
}

// "replay, 4 tokens, rank 1" or "4 requests".
std::string place_of(const Witness& witness) {
  std::string text(witness.event);
  const auto add = [&text](const std::string& part) {
    text.append(text.empty() ? "" : ", ").append(part);
  };
  if (witness.requests) {
    add(counted(*witness.requests, "request"));
  } else if (witness.tokens != 0 || witness.event.empty()) {
    add(counted(witness.tokens, "token"));
  }
  if (witness.rank) add("rank " + std::to_string(*witness.rank));
  if (!witness.buffer.empty()) add(std::string(witness.buffer));
  return text;
}

std::string joined(const LawNames& names) {
  std::string out;
  for (const std::string_view name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

// The laws that flag a plan and its healthy twin, against what the mutant names.
void compare(KillRow& row, const std::vector<Finding>& faulty, const std::vector<Finding>& healthy,
             std::string_view also) {
  const std::string_view law = row.fault->law;
  row.killed_by = violated(faulty);
  for (const Finding& finding : faulty) {
    if (finding.law != law || finding.verdict != LawVerdict::violation) continue;
    if (finding.witness) row.smallest = place_of(*finding.witness);
    row.blame = finding.blame;
    break;
  }
  const LawNames twin = violated(healthy);
  const bool by_others = std::ranges::any_of(
      row.killed_by, [&](std::string_view name) { return name != law && name != also; });
  if (!contains(row.killed_by, law)) {
    row.wrong = row.killed_by.empty() ? "it lives" : "killed by " + joined(row.killed_by);
  } else if (by_others) {
    row.wrong = "killed by " + joined(row.killed_by);
  } else if (!twin.empty()) {
    row.wrong = "its healthy twin is flagged by " + joined(twin);
  }
  row.killed = row.wrong.empty();
}

std::vector<Finding> without_laws(std::vector<Finding> findings,
                                  std::span<const std::string_view> without) {
  std::erase_if(findings, [&](const Finding& finding) { return contains(without, finding.law); });
  return findings;
}

void try_capture_plan(KillRow& row, std::span<const std::string_view> without) {
  const Mutant& mutant = mutants()[row.fault->index];
  const MutantPair pair = mutant.make();
  compare(row, without_laws(judge(pair.faulty.subject()), without),
          without_laws(judge(pair.healthy.subject()), without), mutant.also);
}

void try_lifecycle(KillRow& row, std::span<const std::string_view> without) {
  const PlanMutant& mutant = plan_mutants()[row.fault->index];
  const Lifecycle faulty = mutant.faulty();
  const Lifecycle healthy = mutant.healthy();
  compare(row, judge_plan(Timeline(faulty), without), judge_plan(Timeline(healthy), without),
          mutant.also);
}

void try_rule(KillRow& row, RuleBench& bench, std::span<const std::string_view> without) {
  const RuleMutant& mutant = rule_mutants()[row.fault->index];
  const auto kill = contains(without, mutant.law) ? std::nullopt : kill_of(mutant, bench);
  row.killed = kill.has_value();
  if (!kill) {
    row.wrong = "it lives";
    return;
  }
  row.killed_by = {mutant.law};
  row.smallest = kill->setup
                     ? kill->setup->text() + ": " + std::string(kill->path) + " of " + kill->at
                     : kill->at;
  row.blame = kill->blame;
}

}  // namespace

std::string_view name_of(FaultSource source) {
  switch (source) {
    case FaultSource::capture_plan: return "capture_plan";
    case FaultSource::lifecycle: return "lifecycle";
    case FaultSource::rule: return "rule";
  }
  return "rule";
}

const std::vector<PlantedFault>& all_mutants() {
  static const std::vector<PlantedFault> all = collected();
  return all;
}

KillRow try_fault(const PlantedFault& fault, RuleBench& bench,
                  std::span<const std::string_view> without) {
  KillRow row{.fault = &fault};
  switch (fault.source) {
    case FaultSource::capture_plan: try_capture_plan(row, without); break;
    case FaultSource::lifecycle: try_lifecycle(row, without); break;
    case FaultSource::rule: try_rule(row, bench, without); break;
  }
  return row;
}

std::vector<KillRow> kill_table(std::string_view law) {
  std::vector<KillRow> rows;
  RuleBench bench;
  for (const PlantedFault& fault : all_mutants()) {
    if (law.empty() || fault.law == law) rows.push_back(try_fault(fault, bench));
  }
  return rows;
}

std::string summary(std::span<const KillRow> rows) {
  const auto alive = std::ranges::count(rows, false, &KillRow::killed);
  const auto by_answers = std::ranges::count_if(
      rows, [](const KillRow& row) { return row.killed && row.fault->law == kConformance; });
  const std::string faults = counted(std::ssize(rows), "planted fault");
  if (alive > 0) return faults + ", " + std::to_string(alive) + " not killed as named";
  if (by_answers == 0) return faults + ", all killed, each by the law that it names";
  const auto by_laws = std::ssize(rows) - by_answers;
  return faults + ", all killed: " + std::to_string(by_laws) + " by the law that each names, " +
         std::to_string(by_answers) + " by the engine's own answers (no law can judge them)";
}

}  // namespace capsize
