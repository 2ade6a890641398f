// Plans with mathematics for tests of the runtime: the engine's own steps, lowered, with the events
// that a test wants.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "runtime/device/emulated_backend.hpp"
#include "runtime/device/host_device.hpp"
#include "runtime/executor.hpp"
#include "runtime/reference.hpp"
#include "sim/lowering.hpp"
#include "tests/property/sglang_paths.hpp"

namespace capsize::property {

// A plan of one layout, with one event for each count that is added.
struct ExecutedPlan {
  Lifecycle plan;
  StepLowering lowering;

  explicit ExecutedPlan(const SymbolicStep& step)
      : plan{.world = step.topology->world, .layers = step.layers}, lowering(step, plan) {}

  PlanEvent& add(PlanEventKind kind, std::int64_t n, GraphMode mode = GraphMode::eager) {
    PlanEvent event{.kind = kind, .path = "prefill", .tokens = n};
    event.programs = lowering.programs_at(n);
    for (Program& program : event.programs) {
      program.mode = mode;
      program.bucket = n;
      if (mode != GraphMode::eager) program.key = GraphKey{{"tokens", std::to_string(n)}};
    }
    return plan.events.emplace_back(std::move(event));
  }

  // A replay of `n` real tokens at a size that was captured before.
  void replay(std::int64_t n, std::int64_t size) {
    const auto captured = std::ranges::find_if(plan.events, [size](const PlanEvent& each) {
      return each.kind == PlanEventKind::capture && each.tokens == size;
    });
    PlanEvent event{.kind = PlanEventKind::replay, .path = "prefill", .tokens = n};
    for (const Program& each : captured->programs) {
      event.programs.push_back(
          {.ranks = each.ranks, .tokens = n, .bucket = size, .mode = each.mode, .key = each.key});
    }
    plan.events.push_back(std::move(event));
  }
};

[[nodiscard]] inline std::string told(const Observation& seen) {
  std::string out;
  for (const EventObservation& each : seen.events) {
    if (each.symptom == Symptom::none) continue;
    out += std::string(name_of(each.kind)) + " of " + std::to_string(each.tokens) + ": " +
           std::string(name_of(each.symptom));
    if (each.place) {
      out += " at rank " + std::to_string(each.place->rank) + ", layer " +
             std::to_string(each.place->layer) + ", " + each.place->kind + " " + each.place->group;
    }
    out += ": " + each.text + "\n";
    for (const Mismatch& wrong : each.mismatches) {
      out += "  " + std::string(name_of(wrong.check)) + " rank " +
             std::to_string(wrong.place.rank) + " row " + std::to_string(wrong.row) + " column " +
             std::to_string(wrong.column) + ": " + wrong.found + " for " + wrong.expected + ", " +
             std::to_string(wrong.count) + " of " + std::to_string(wrong.of) + "\n";
    }
  }
  return out;
}

// All ranks on the device that is the host.
struct EmulatedOnHost {
  HostDevice device;
  EmulatedBackend backend{device};
};

}  // namespace capsize::property
