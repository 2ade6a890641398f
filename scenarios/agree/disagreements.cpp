#include "scenarios/agree/disagreements.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "scenarios/sweep/member_judge.hpp"
#include "scenarios/sweep/member_scenario.hpp"

namespace capsize {
namespace {

Result<Scenario> scenario_of(const Universe& universe, const Disagreement& what,
                             const std::string& rules, std::string_view backend) {
  auto out = scenario_of_member(universe, what.member);
  if (!out) return out;
  const PredictedSize& size = what.predicted;
  const std::string predicted = word_of(size.symptom);
  const std::string observed = word_of(what.observed);
  out->id = file_name_of(std::string(kAgreePrefix) + universe.name + "-" + size.path + "-" +
                         predicted + "-" + observed + (rules.empty() ? "" : "-" + rules));
  out->title = size.path + " at size " + std::to_string(size.size) + ": predicted " + predicted +
               ", observed " + observed + " on " + std::string(backend);
  if (!what.text.empty()) out->source.note += "; " + what.text;
  out->defect_class = class_of("divisible");
  CheckRequest request = request_of(universe, what.member);
  request.try_repairs = false;
  const CheckResult result = check(request);
  for (const Finding& finding : result.findings) {
    if (finding.law == "divisible" && finding.path == size.path) {
      out->expect.push_back(expectation_of(result, finding));
    }
  }
  if (out->expect.empty())
    out->expect.push_back({.rules = result.rules, .verdict = result.verdict});
  return out;
}

}  // namespace

Result<std::vector<Scenario>> scenarios_of(const Universe& universe, const Agreement& agreement,
                                           std::string_view backend) {
  std::map<std::tuple<std::string, std::string, Symptom, Symptom>, const Disagreement*> first;
  for (const Disagreement& each : agreement.disagreements) {
    const std::string rules = request_of(universe, each.member).rules;
    const auto [known, is_new] = first.try_emplace(
        {rules, each.predicted.path, each.predicted.symptom, each.observed}, &each);
    const auto order = [](const Disagreement& what) {
      return std::pair(what.member, what.predicted.size);
    };
    if (!is_new && order(each) < order(*known->second)) known->second = &each;
  }
  std::vector<Scenario> out;
  for (const auto& [key, each] : first) {
    auto made = scenario_of(universe, *each, std::get<0>(key), backend);
    if (!made) return tl::unexpected(std::move(made.error()));
    out.push_back(*std::move(made));
  }
  return out;
}

}  // namespace capsize
