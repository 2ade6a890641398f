// What every engine offers: a launch in, a Deployment, a CapturePlan and a StartUp out.
// A new engine is one folder beside this file and one line in engine.cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/capture.hpp"
#include "sim/deployment.hpp"
#include "sim/engines/repair.hpp"
#include "sim/error.hpp"
#include "sim/launch/launch_text.hpp"
#include "sim/models/shape.hpp"

namespace capsize {

// The kind of GPU, as far as an engine's rules read it.
struct Gpu {
  std::string name;             // "H100"; empty where only the numbers were given
  std::int64_t memory_mib = 0;  // as the driver reports the total
  int sm = 0;                   // compute capability without the dot: 90, 100
};

// The model of a launch as far as it is known. The shape outlives the plan.
struct ModelChoice {
  const ModelShape* shape = nullptr;
  bool stand_in = false;  // a shape that stands for an unknown model: its weights are not checked
};

struct LaunchRequest {
  std::span<const Word> words;  // what follows the entry point
  std::span<const EnvironmentVariable> environment;
  EntryKind entry = EntryKind::server;
  std::string_view rules;
  Gpu gpu;
  // Finds the model that the line names ("" where it names none that is known).
  std::function<ModelChoice(std::string_view)> find_model;
};

// Everything that an engine's rules make of a launch.
struct EnginePlan {
  Deployment deployment;
  CapturePlan captures;
  StartUp start_up;
  std::optional<Refusal> refusal;  // the engine would not start; what is above may be partial
  std::vector<std::string> ignored_flags;  // given, and cannot matter to sizes or groups
  std::vector<std::string> assumed;        // what was taken for granted
  std::vector<std::string> undecided;      // values that are not known and that everything hangs on
};

// A point in an engine's history that --rules can name.
struct RulesLabel {
  std::string_view name;
  std::string_view what;  // one line for people
};

class MemberPlanner;

struct Engine {
  std::string_view name;
  std::span<const EntryPoint> entry_points;
  std::span<const RulesLabel> labels;  // oldest first
  std::string_view newest;             // the default of --rules
  // The label whose rules hold for the release that an image tag names ("v0.5.11-cu126"): empty
  // where the release is not modelled, none where the tag names no release.
  std::optional<std::string_view> (*label_of_image)(std::string_view tag);
  // Bad input is an Error (a size that capsize cannot hold); a refusal is part of the plan.
  Result<EnginePlan> (*plan)(const LaunchRequest&);
  // The same plans for many launches that share most of what they are (member_planner.hpp).
  std::unique_ptr<MemberPlanner> (*member_planner)();
  // Shapes that stand for an unknown model: between them they take every branch of the rules.
  std::span<const ModelShape> (*stand_ins)();
  // Changes of the line that may mend `law` on `path` (a plan's path name), best first.
  std::vector<RepairProposal> (*repairs)(const EnginePlan&, std::string_view law,
                                         std::string_view path);
  // The words without some options and their values, by the engine's own option table.
  std::vector<Word> (*without)(const LaunchRequest&, std::span<const std::string> options);
};

[[nodiscard]] std::span<const Engine> engines();
[[nodiscard]] const Engine* find_engine(std::string_view name);

}  // namespace capsize
