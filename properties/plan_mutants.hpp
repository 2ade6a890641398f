// Planted faults in lifecycles: for every clause of every law that judges them, a small plan that
// is wrong in that clause alone, and its healthy twin. One file a law in plan_mutants/, which
// defines `std::span<const PlanMutant> plan_mutants_<law>()`; the table of all is made from the
// file names.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "sim/lifecycle.hpp"

namespace capsize {

struct PlanMutant {
  std::string_view name;    // "odd_rank_skips"
  std::string_view law;     // the law that must flag it
  std::string_view clause;  // the part of the law that it breaks
  // Both are finished lifecycles (plan_parts.hpp). No other law flags the faulty one; laws that
  // `see` this one may be not_applicable.
  Lifecycle (*faulty)() = nullptr;
  Lifecycle (*healthy)() = nullptr;
  std::string_view also = {};  // another law that cannot but flag it too
  std::string_view also_because = {};
};

// All of them, law by law.
[[nodiscard]] const std::vector<PlanMutant>& plan_mutants();

}  // namespace capsize
