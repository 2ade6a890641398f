// Enumerations whose words stand in several documents, for word() of object_reader.hpp.
#pragma once

#include <array>

#include "sim/lifecycle.hpp"
#include "sim/symptom.hpp"

namespace capsize {

inline constexpr std::array kSymptoms = {Symptom::none,    Symptom::clean_error,
                                         Symptom::hang,    Symptom::silent_corruption,
                                         Symptom::refused, Symptom::silent_eager};

inline constexpr std::array kPlanEventKinds = {
    PlanEventKind::create_group, PlanEventKind::register_groups,
    PlanEventKind::allocate,     PlanEventKind::free,
    PlanEventKind::warm_up,      PlanEventKind::capture,
    PlanEventKind::replay,       PlanEventKind::eager};

}  // namespace capsize
