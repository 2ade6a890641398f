// All planted faults in one table: those of laws that judge capture plans (properties/mutants.hpp)
// and lifecycles (properties/plan_mutants.hpp), and those of an engine's rules (rule_mutants.hpp);
// and whether each is killed by the law that it names.
//
//   KillTable table;
//   for (const PlantedFault& fault : all_mutants()) table.rows.push_back(try_fault(fault, bench));
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/mutants/sglang_rules.hpp"

namespace capsize {

enum class FaultSource : std::uint8_t { capture_plan, lifecycle, rule };
[[nodiscard]] std::string_view name_of(FaultSource source);

struct PlantedFault {
  std::string_view law;  // that must kill it
  std::string_view name;
  std::string where;  // the clause of the law, or the rule and its clause
  FaultSource source = FaultSource::capture_plan;
  std::size_t index = 0;  // in the list that it comes from
};

// Law by law, in the order of the registry.
[[nodiscard]] const std::vector<PlantedFault>& all_mutants();

struct KillRow {
  const PlantedFault* fault = nullptr;
  bool killed = false;                      // by the law that it names, and its twin passes
  std::vector<std::string_view> killed_by;  // laws that flag it; of a rule's fault the named one
  std::string smallest;                     // the smallest case: a launch, or where in the plan
  std::string blame;                        // what the law says there
  std::string wrong;                        // why it does not count as killed
};

// `without` names laws that are switched off.
[[nodiscard]] KillRow try_fault(const PlantedFault& fault, RuleBench& bench,
                                std::span<const std::string_view> without = {});

// Every fault, or those that `law` must kill.
[[nodiscard]] std::vector<KillRow> kill_table(std::string_view law = {});

// "389 planted faults, all killed, each by the law that it names".
[[nodiscard]] std::string summary(std::span<const KillRow> rows);

}  // namespace capsize
