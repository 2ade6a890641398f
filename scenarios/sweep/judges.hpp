// The two ways of judging, for MemberJudge::make; and what both read of a universe.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/sweep/member_judge.hpp"
#include "sim/engines/member_planner.hpp"

namespace capsize {

[[nodiscard]] std::unique_ptr<MemberJudge> fast_judge(const Universe& universe,
                                                      const Engine& engine,
                                                      std::optional<Condition> where);
[[nodiscard]] std::unique_ptr<MemberJudge> plain_judge(const Universe& universe,
                                                       const Engine& engine,
                                                       std::optional<Condition> where);

// The rules that a member is judged by: its value on the axis `rules`, or the engine's newest.
[[nodiscard]] std::string rules_of(const Universe& universe, std::span<const std::int32_t> choices);
// A model that the universe brings along; none of this name.
[[nodiscard]] const UniverseModel* model_of(const Universe& universe, std::string_view name);
// Captured paths, then the eager one beside each: the order of MemberState::paths.
[[nodiscard]] std::vector<std::string> names_of_paths(const MemberPlanner& planner);

}  // namespace capsize
