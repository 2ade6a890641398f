// Planted faults for reachable_is_covered: one entry of captured sizes, no events.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

Lifecycle plan_of(PlanCapture entry) {
  Lifecycle plan;
  entry.path = "decode";
  plan.captures = {std::move(entry)};
  return std::move(finish(plan));
}

Lifecycle names_what_is_kept() { return plan_of({.kept = {4, 8, 16}, .named = {12, 16}}); }

Lifecycle names_more() { return plan_of({.kept = {16, 8, 4}, .named = {4, 17, 16}}); }

Lifecycle keeps_nothing() {
  return plan_of({.mode = GraphMode::piecewise, .kept = {}, .named = {1}});
}

Lifecycle names_requests() {
  return plan_of({.unit = Unit::requests, .kept = {1, 2}, .named = {3}, .width = 2});
}

Lifecycle keeps_requests() {
  return plan_of({.unit = Unit::requests, .kept = {1, 2, 3}, .named = {3}, .width = 2});
}

Lifecycle looks_up_all() {
  return plan_of({.kept = {4, 8, 16}, .admits = std::vector<std::int64_t>{16, 8, 4, 8}});
}

Lifecycle looks_up_less() {
  return plan_of({.kept = {4, 8, 16}, .admits = std::vector<std::int64_t>{4, 16}});
}

Lifecycle looks_up_more() {
  return plan_of({.kept = {4, 8, 16}, .admits = std::vector<std::int64_t>{4, 8, 16, 32}});
}

Lifecycle keeps_multiples() { return plan_of({.kept = {4, 8, 12}, .width = 4}); }

Lifecycle keeps_no_multiple() { return plan_of({.kept = {4, 8, 10}, .width = 4}); }

Lifecycle keeps_zero() { return plan_of({.kept = {0, 4, 8}, .width = 4}); }

constexpr std::string_view kLaw = "reachable_is_covered";

constexpr std::array kMutants = {
    PlanMutant{"names_more", kLaw, "the largest named size rounds to a kept one", names_more,
               names_what_is_kept},
    PlanMutant{"keeps_nothing", kLaw, "a size is kept where one is named", keeps_nothing,
               names_what_is_kept},
    PlanMutant{"names_requests", kLaw, "sizes in requests too", names_requests, keeps_requests},
    PlanMutant{"looks_up_less", kLaw, "what is captured is looked up", looks_up_less, looks_up_all},
    PlanMutant{"looks_up_more", kLaw, "what is looked up is captured", looks_up_more, looks_up_all},
    PlanMutant{"keeps_no_multiple", kLaw, "a kept size is a multiple of the width",
               keeps_no_multiple, keeps_multiples},
    PlanMutant{"keeps_zero", kLaw, "a kept size holds a row", keeps_zero, keeps_multiples},
};

}  // namespace

std::span<const PlanMutant> plan_mutants_reachable_is_covered();
std::span<const PlanMutant> plan_mutants_reachable_is_covered() { return kMutants; }

}  // namespace capsize
