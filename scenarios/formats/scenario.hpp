// A scenario file: one launch, and what must be said of it under one or several points in the
// engine's history; or one plan, as it was before a fix and after it. schemas/scenario.schema.json
// states the format; README.md teaches it.
//
//   auto scenario = read_scenario(text);   // Result<Scenario>, errors carry the field's path
//   write_scenario(*scenario)              // reads back equal
//
// The reader is strict: an unknown field, a duplicate key or a wrong type is refused. Only
// `model_config` may hold fields of its own: that format is HuggingFace's.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "properties/law.hpp"
#include "scenarios/check/check.hpp"
#include "scenarios/formats/request_fields.hpp"
#include "sim/error.hpp"

namespace capsize {

// The families of real defects, C01 to C15, by their long names: folders and test labels too.
[[nodiscard]] std::span<const std::string_view> defect_classes();

// Where the case comes from: a pull request or issue of a repository, a page, or a sweep.
struct ScenarioSource {
  std::string repo;  // "owner/name"; with `number`
  std::optional<std::int64_t> number;
  std::string url;
  std::string universe;  // its name; with `member`
  std::optional<std::int64_t> member;
  std::string note;  // what in the source the case rests on

  friend bool operator==(const ScenarioSource&, const ScenarioSource&) = default;
};

// What is asked of a witness; fields that are left out match anything.
struct WitnessPattern {
  std::optional<std::string> path;
  std::optional<std::int64_t> tokens;
  std::optional<std::int64_t> requests;
  std::optional<std::int64_t> rank;
  std::optional<std::int64_t> layer;
  std::optional<std::string> op;
  std::optional<std::string> group;
  std::optional<std::int64_t> group_size;
  std::optional<std::string> event;
  std::optional<std::string> buffer;
  std::optional<std::string> key;

  friend bool operator==(const WitnessPattern&, const WitnessPattern&) = default;
};

struct FirstInTimePattern {
  std::optional<std::string> event;
  std::optional<std::int64_t> tokens;

  friend bool operator==(const FirstInTimePattern&, const FirstInTimePattern&) = default;
};

struct RefusedPattern {
  std::optional<RefusalStage> stage;
  // Not set: any text. Set to none (null in the file): the engine must die without a message.
  std::optional<std::optional<std::string>> text;

  friend bool operator==(const RefusedPattern&, const RefusedPattern&) = default;
};

// Which plan of a scenario an expectation is about.
enum class PlanSide : std::uint8_t { before, after };
[[nodiscard]] std::string_view name_of(PlanSide side);

// What must be said under one rules label, or of one plan. Everything that is set must hold.
struct Expectation {
  std::string rules;             // of a launch
  std::optional<PlanSide> plan;  // of a plan; not set: before
  Verdict verdict = Verdict::pass;

  // One law's finding. `law_verdict` where it is not that of the whole check.
  std::optional<std::string> law;
  std::optional<LawVerdict> law_verdict;
  std::optional<Known> known;
  std::optional<Symptom> symptom;
  std::optional<WitnessPattern> witness;
  std::optional<FirstInTimePattern> first_in_time;

  // The path of the law's finding (not set: any path) and of the sizes (not set: prefill).
  std::optional<std::string> path;
  std::optional<std::vector<std::int64_t>> kept;     // in the engine's order
  std::optional<std::vector<std::int64_t>> dropped;  // in the order of the candidates
  std::optional<std::int64_t> kept_count;
  std::optional<std::int64_t> lost_count;
  std::optional<std::int64_t> waste_count;

  std::optional<RefusedPattern> refused;

  friend bool operator==(const Expectation&, const Expectation&) = default;
};

struct Scenario {
  std::string id;
  std::string title;
  ScenarioSource source;
  std::string defect_class;            // one of defect_classes()
  std::string engine;                  // empty where the case is a plan
  LaunchSource launch;                 // the same
  std::optional<nlohmann::json> plan;  // a plan file, as it stood in the scenario
  std::optional<nlohmann::json> plan_after;
  std::optional<Gpu> gpu;
  std::optional<nlohmann::json> model_config;  // a HuggingFace config.json, as it stood in the file
  std::vector<Expectation> expect;
  bool hardware = false;  // only execution can show this case

  friend bool operator==(const Scenario&, const Scenario&);
};

[[nodiscard]] Result<Scenario> read_scenario(std::string_view json_text);
[[nodiscard]] std::string write_scenario(const Scenario& scenario);

}  // namespace capsize
