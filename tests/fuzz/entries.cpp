#include "tests/fuzz/entries.hpp"

#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "scenarios/check/check.hpp"
#include "scenarios/explain/svg.hpp"
#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/plan.hpp"
#include "sim/engines/engine.hpp"
#include "sim/lowering.hpp"

namespace capsize::fuzz {
namespace {

// An error must say where and what; a person cannot act on it otherwise.
std::optional<std::string> fault_of(const Error& error) {
  if (error.where.empty()) return "an error without a place: " + error.text;
  if (error.text.empty()) return "an error without a text, at " + error.where;
  return std::nullopt;
}

std::optional<std::string> fault_of(const CheckResult& result) {
  if (result.error) {
    if (auto fault = fault_of(*result.error)) return fault;
  }
  const auto json = nlohmann::json::parse(to_json(result), nullptr, false);
  if (!json.is_object()) return "the result is no JSON object";
  if (json.value("verdict", "") != name_of(result.verdict)) return "the JSON has another verdict";
  if (!result.error && cli::render(result, false).empty()) return "the result has no text";
  return std::nullopt;
}

// What is written must be read again, and be written the same way.
std::optional<std::string> fault_of_writing(const Lifecycle& plan) {
  const std::string text = write_plan(plan);
  const auto again = read_plan(text);
  if (!again) {
    return "a written plan is not read: " + again.error().where + ": " + again.error().text;
  }
  if (write_plan(*again) != text) return "a plan that was read again is written in another way";
  return std::nullopt;
}

// The lifecycle of a launch, where it is short: it must be one that a plan file can hold.
std::optional<std::string> fault_of_lowering(const CheckResult& result) {
  constexpr std::size_t kEvents = 64;
  constexpr std::int64_t kRanks = 64;
  const EnginePlan& plan = result.plan;
  const bool has_plan = !result.error && !plan.refusal && plan.undecided.empty() &&
                        plan.deployment.topology != nullptr;
  if (!has_plan || plan.deployment.topology->world > kRanks) return std::nullopt;
  if (plan.start_up.events.size() > kEvents) return std::nullopt;
  return fault_of_writing(lower(plan.deployment, plan.captures, plan.start_up));
}

// Explains the first events that run anything.
std::optional<std::string> fault_of_explaining(const Lifecycle& plan) {
  const Timeline timeline(plan);
  const auto breaches = standing_breaches(timeline);
  int left = 4;
  for (const EventRun& event : timeline.events()) {
    if (event.runnings.empty()) continue;
    if (svg_of(explain(timeline, event, breaches)).empty()) return "an event has no picture";
    if (--left == 0) break;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> try_launch_line(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  const Engine& engine = engines().front();
  const auto label = static_cast<unsigned char>(bytes.front()) % engine.labels.size();
  auto command = read_launch(bytes.substr(1), engine.entry_points);
  if (!command) return fault_of(command.error());
  CheckRequest request;
  request.rules = engine.labels[label].name;
  request.launch = *std::move(command);
  const CheckResult result = check(request);
  if (auto fault = fault_of(result)) return fault;
  return fault_of_lowering(result);
}

std::optional<std::string> try_plan(std::string_view bytes) {
  const auto plan = read_plan(bytes);
  if (!plan) return fault_of(plan.error());
  const CheckResult result = check_plan(*plan, {}, "plan.json");
  for (const Finding& finding : result.findings) {
    if (finding.verdict != LawVerdict::violation) continue;
    if (finding.blame.empty() || !finding.witness) {
      return std::string(finding.law) + " is broken without a witness or a blame";
    }
  }
  if (auto fault = fault_of(result)) return fault;
  if (auto fault = fault_of_explaining(*plan)) return fault;
  return fault_of_writing(*plan);
}

}  // namespace capsize::fuzz
