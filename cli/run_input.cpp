#include "cli/run_input.hpp"

#include <algorithm>
#include <utility>

#include "scenarios/formats/plan.hpp"
#include "scenarios/formats/scenario.hpp"
#include "scenarios/suite.hpp"
#include "sim/lowering.hpp"
#include "sim/models/shape.hpp"

namespace capsize::cli {
namespace {

constexpr std::size_t kFileBytes = std::size_t{16} << 20;

// The row of the model that the words of a launch name, where it is a known one.
std::int64_t hidden_of(const CheckRequest& request, const CheckResult& result) {
  if (request.model_config) return request.model_config->hidden_size;
  if (result.model) return result.model->hidden_size;
  const std::vector<std::string>& words = result.launch_words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (const std::string_view option : {"--model-path", "--model"}) {
      std::string_view named;
      if (words[i] == option && i + 1 < words.size()) named = words[i + 1];
      if (words[i].starts_with(std::string(option) + "=")) {
        named = std::string_view(words[i]).substr(option.size() + 1);
      }
      const ModelShape* shape = named.empty() ? nullptr : find_model(named);
      if (shape != nullptr) return shape->hidden_size;
    }
  }
  return 0;
}

RunInput of_launch(std::string name, const CheckRequest& request) {
  RunInput out{.name = std::move(name), .checked = check(request)};
  const CheckResult& result = out.checked;
  out.has_plan = !result.error && !result.plan.refusal && result.plan.undecided.empty() &&
                 result.plan.deployment.topology != nullptr;
  if (!out.has_plan) return out;
  out.plan = lower(result.plan.deployment, result.plan.captures, result.plan.start_up);
  out.model_hidden = hidden_of(request, result);
  return out;
}

// A launch in a file, for the line to paste.
std::string settings_text(const LaunchOptions& options, const CheckResult& result) {
  std::string out = " --rules " + result.rules;
  if (!options.gpu.empty()) out += " --gpu " + shell_quoted(options.gpu);
  if (!options.model_config.empty()) {
    out += " --model-config " + shell_quoted(options.model_config);
  }
  return out;
}

RunInput of_plan(std::string name, Lifecycle plan, const std::string& file) {
  RunInput out{.name = std::move(name)};
  out.checked = check_plan(plan, {}, file);
  out.plan = std::move(plan);
  out.has_plan = true;
  return out;
}

Result<RunInput> of_scenario(const std::string& text, const LaunchOptions& options, bool after) {
  auto scenario = read_scenario(text);
  if (!scenario) return tl::unexpected(std::move(scenario.error()).within(options.file));
  const std::string name = "scenario " + scenario->id;
  if (scenario->plan) {
    if (after && !scenario->plan_after) {
      return tl::unexpected(Error{"--after", name + " holds no plan_after", "leave --after out"});
    }
    const nlohmann::json& stated = after ? *scenario->plan_after : *scenario->plan;
    auto plan = read_plan(JsonField(stated, after ? "$.plan_after" : "$.plan"));
    if (!plan) return tl::unexpected(std::move(plan.error()).within(options.file));
    RunInput out = of_plan(name, *std::move(plan), options.file);
    if (after) out.given = " --after";
    return out;
  }
  if (after) {
    return tl::unexpected(
        Error{"--after", name + " holds a launch, no plan", "name its repaired rules: --rules"});
  }
  auto request = request_of(*scenario);
  if (!request) return tl::unexpected(std::move(request.error()).within(options.file));
  request->rules = options.rules;
  // A scenario's first expectation names the rules that it is about.
  if (options.rules.empty()) request->rules = scenario->expect.front().rules;
  return of_launch(name, *request);
}

// A file is a plan or a scenario where it is a JSON object, and a pasted launch else.
Result<RunInput> of_file(const LaunchOptions& options, bool after) {
  auto text = read_input(options.file, kFileBytes);
  if (!text) return tl::unexpected(std::move(text.error()));
  const std::size_t first = text->find_first_not_of(" \t\r\n");
  if (first == std::string::npos || (*text)[first] != '{') {
    if (after) {
      return tl::unexpected(Error{"--after", "is for a scenario that holds two plans",
                                  "name a scenario file with a plan_after"});
    }
    auto request = read_pasted(options, *text);
    if (!request) return tl::unexpected(std::move(request.error()));
    return of_launch("launch in " + options.file, *request);
  }
  auto document = parse_json(*text);
  if (!document) return tl::unexpected(std::move(document.error()).within(options.file));
  if (document->contains("expect") || document->contains("launch")) {
    return of_scenario(*text, options, after);
  }
  auto plan = read_plan(JsonField(*document));
  if (!plan) return tl::unexpected(std::move(plan.error()).within(options.file));
  if (after || !options.rules.empty()) {
    return tl::unexpected(Error{after ? "--after" : "--rules", "a plan says all that is executed",
                                "leave it out, or name a scenario"});
  }
  return of_plan("plan " + options.file, *std::move(plan), options.file);
}

std::string way_out_of(const Finding& finding) {
  if (!finding.repair.empty()) return finding.repair.front();
  const Law* law = find_law(finding.law);
  return law == nullptr ? std::string() : std::string(law->way_out);
}

}  // namespace

Result<RunInput> read_run_input(const LaunchOptions& options, const Words& words, bool after) {
  if (!words.empty() && (after || !options.file.empty())) {
    return tl::unexpected(Error{"command line", "a file and a launch are given",
                                "name a file, or put a launch behind --"});
  }
  if (words.empty() && !options.file.empty()) {
    auto out = of_file(options, after);
    if (!out) return out;
    out->given = " " + shell_quoted(options.file) + out->given;
    if (!out->checked.lifecycle) out->given += settings_text(options, out->checked);
    return out;
  }
  auto request = read_request(options, words);
  if (!request) return tl::unexpected(std::move(request.error()));
  return of_launch("launch", *request);
}

std::vector<Predicted> predicted_of(const CheckResult& result) {
  std::vector<Predicted> out;
  for (const Finding& finding : result.findings) {
    if (finding.verdict != LawVerdict::violation) continue;
    Predicted each{.law = std::string(finding.law), .path = std::string(finding.path)};
    if (finding.first_in_time) {
      each.tokens = finding.first_in_time->tokens;
    } else if (finding.witness) {
      each.tokens = finding.witness->tokens;
    }
    each.symptom = finding.symptom;
    each.blame = finding.blame;
    each.way_out = way_out_of(finding);
    out.push_back(std::move(each));
  }
  return out;
}

}  // namespace capsize::cli
