#include "scenarios/sweep/member_scenario.hpp"

#include <algorithm>
#include <optional>

#include "scenarios/formats/json_reader.hpp"
#include "scenarios/sweep/member_judge.hpp"

namespace capsize {
namespace {

std::optional<std::string> unless_empty(std::string_view text) {
  return text.empty() ? std::nullopt : std::optional(std::string(text));
}

WitnessPattern pattern_of(const Witness& witness, std::string_view path) {
  WitnessPattern out;
  out.path = path;
  out.tokens = witness.tokens;
  out.requests = witness.requests;
  out.rank = witness.rank;
  out.layer = witness.layer;
  out.op = unless_empty(witness.op);
  out.group = unless_empty(witness.group);
  if (out.group) out.group_size = witness.group_size;
  out.event = unless_empty(witness.event);
  out.buffer = unless_empty(witness.buffer);
  out.key = unless_empty(witness.key);
  return out;
}

}  // namespace

std::string class_of(std::string_view law_name) {
  const Law* law = find_law(law_name);
  for (const std::string_view name : defect_classes()) {
    if (law != nullptr && name.starts_with(law->defect_class)) return std::string(name);
  }
  return std::string(defect_classes().front());
}

std::string file_name_of(std::string text) {
  for (char& c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain) c = '-';
  }
  return text;
}

Result<Scenario> scenario_of_member(const Universe& universe, std::uint64_t number) {
  std::vector<std::int32_t> choices(universe.axes.size());
  universe.unrank(number, choices);
  Scenario out;
  out.engine = universe.engine;
  out.launch = universe.words_of(choices);
  const CheckRequest request = request_of(universe, number);
  out.gpu = request.gpu;
  out.source.universe = universe.name;
  out.source.member = static_cast<std::int64_t>(number);
  out.source.note = universe.text_of(choices);
  if (!request.model_config) return out;
  // The request has read the configuration; a scenario keeps its text.
  const auto model = std::ranges::find_if(universe.models, [&](const UniverseModel& each) {
    return each.name + ".json" == request.model_config_name;
  });
  if (model == universe.models.end()) return out;
  auto config = parse_json(model->config);
  if (!config) return tl::unexpected(std::move(config.error()).within("model " + model->name));
  out.model_config = *std::move(config);
  return out;
}

Expectation expectation_of(const CheckResult& result, const Finding& finding) {
  Expectation out;
  out.rules = result.rules;
  out.verdict = result.verdict;
  out.law = finding.law;
  if (result.verdict != Verdict::violation) out.law_verdict = finding.verdict;
  out.known = finding.known;
  out.symptom = finding.symptom;
  out.path = finding.path;
  if (finding.witness) out.witness = pattern_of(*finding.witness, finding.path);
  if (finding.first_in_time) {
    out.first_in_time = FirstInTimePattern{std::string(finding.first_in_time->event),
                                           finding.first_in_time->tokens};
  }
  return out;
}

}  // namespace capsize
