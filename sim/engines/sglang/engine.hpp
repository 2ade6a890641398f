// SGLang as an Engine. The folder's README.md says which file holds which rule.
#pragma once

#include "sim/engines/engine.hpp"
#include "sim/engines/member_planner.hpp"

namespace capsize::sglang {

[[nodiscard]] Engine engine();

// See members.cpp.
[[nodiscard]] std::unique_ptr<MemberPlanner> member_planner();

// See stand_ins.cpp.
[[nodiscard]] std::span<const ModelShape> stand_ins();

// See repairs.cpp.
[[nodiscard]] std::vector<RepairProposal> repairs(const EnginePlan& plan, std::string_view law,
                                                  std::string_view path);
[[nodiscard]] std::vector<Word> without(const LaunchRequest& request,
                                        std::span<const std::string> options);

}  // namespace capsize::sglang
