// Planted faults as data: for every clause of every law a small capture plan that is wrong in that
// clause alone, and its healthy twin. A law that lets its fault pass, or that flags the twin, is
// itself at fault.
//
//   for (const Mutant& mutant : mutants()) {
//     const MutantPair pair = mutant.make();
//     judge(*find_law(mutant.law), pair.faulty.subject());   // must hold a violation
//     judge(pair.healthy.subject());                         // must hold none, of any law
//   }
//
// One fault, one law: no other law flags the faulty plan, except those that `also` names.
#pragma once

#include <span>
#include <string_view>

#include "properties/law.hpp"

namespace capsize {

// A subject that owns what it shows.
struct PlantedPlan {
  CapturePlan captures;
  StartUp start_up;
  bool fail_on_waste = false;

  [[nodiscard]] Subject subject() const { return {captures, start_up, fail_on_waste}; }
};

struct MutantPair {
  PlantedPlan faulty;
  PlantedPlan healthy;
};

struct Mutant {
  std::string_view name;    // "keeps_unusable"
  std::string_view law;     // the law that must flag it
  std::string_view clause;  // the part of the law that it breaks
  MutantPair (*make)() = nullptr;
  std::string_view also;  // another law that cannot but flag it too; empty where there is none
  std::string_view also_because;
};

// All mutants, law by law.
[[nodiscard]] std::span<const Mutant> mutants();

}  // namespace capsize
