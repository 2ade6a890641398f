// What the tests of laws that judge lifecycles share: one law's report on one plan, and sets of
// ranks as bits.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "properties/plan_report.hpp"

namespace capsize::property {

inline PlanReport report_of(std::string_view law, const Lifecycle& plan) {
  const Timeline timeline(plan);
  PlanReport report;
  find_law(law)->check_plan(timeline, report);
  return report;
}

inline std::vector<Breach> breaches_of(std::string_view law, const Lifecycle& plan) {
  return report_of(law, plan).breaches();
}

// Bit r: rank r.
using RankMask = std::uint32_t;

inline RankSet ranks_of(RankMask mask) {
  RankSet out;
  for (std::int64_t rank = 0; rank < 32; ++rank) {
    if ((mask >> rank & 1U) != 0) out.append({rank, rank});
  }
  return out;
}

}  // namespace capsize::property
