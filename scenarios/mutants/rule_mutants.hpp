// Planted faults of an engine's rules about sizes: one rule of sim/engines/sglang replaced by a
// faulty one, which nothing in the engine's code knows of. A fault is killed where the law that it
// names flags it on some launch of the grid on which the real rule passes. What no law can judge
// (another table of defaults is as lawful as the engine's) is compared with answers that the
// engine itself gave; the table says so.
//
//   const std::optional<RuleKill> kill = kill_of(mutant, bench);      // none: it lives
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/mutants/sglang_rules.hpp"

namespace capsize {

// In place of a law: an answer of the engine itself.
inline constexpr std::string_view kConformance = "conformance";

struct RuleMutant {
  std::string_view name;
  std::string_view rule;    // file and function in sim/engines/sglang
  std::string_view clause;  // the part of the rule that it breaks
  std::string_view law;     // the law that must kill it, or kConformance
  void (*change)(RuleSet&) = nullptr;
};

// All of them, rule by rule.
[[nodiscard]] const std::vector<RuleMutant>& rule_mutants();

struct RuleKill {
  std::optional<RuleSetup> setup;  // the smallest of the grid; none where an answer differs
  std::string_view path;
  std::string at;  // "2 tokens", or which answer differs
  std::string blame;
};

// Whether `law` (by default the one that it names) kills the mutant.
[[nodiscard]] std::optional<RuleKill> kill_of(const RuleMutant& mutant, RuleBench& bench);
[[nodiscard]] std::optional<RuleKill> kill_of(const RuleMutant& mutant, RuleBench& bench,
                                              std::string_view law);

// The mutants of one file each.
[[nodiscard]] std::span<const RuleMutant> list_mutants();
[[nodiscard]] std::span<const RuleMutant> gate_mutants();
[[nodiscard]] std::span<const RuleMutant> prefill_mutants();
[[nodiscard]] std::span<const RuleMutant> decode_mutants();
[[nodiscard]] std::span<const RuleMutant> dispatch_mutants();
[[nodiscard]] std::span<const RuleMutant> memory_mutants();

}  // namespace capsize
