// Members of a universe as scenarios, with what a check says of them.
#include "scenarios/sweep/failures.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>

#include "scenarios/formats/read_file.hpp"
#include "scenarios/formats/write_file.hpp"
#include "scenarios/sweep/member_judge.hpp"
#include "scenarios/sweep/member_scenario.hpp"

namespace capsize {
namespace {

constexpr std::string_view kEmptyList = "filter_refuses_empty";  // the law whose class it is

CheckResult checked(const Universe& universe, std::uint64_t number) {
  CheckRequest request = request_of(universe, number);
  request.try_repairs = false;
  return check(request);
}

std::string at_rules(const std::string& rules) { return rules.empty() ? "" : " at rules " + rules; }

// What a scenario is about: a law that the smallest member of its kind breaks on a path.
struct BrokenLaw {
  const std::string& law;
  const std::string& path;
  const std::string& rules;
  std::uint64_t member = 0;
};

Result<Scenario> scenario_of(const Universe& universe, const BrokenLaw& broken) {
  const CheckResult result = checked(universe, broken.member);
  const auto finding = std::ranges::find_if(result.findings, [&](const Finding& each) {
    return each.law == broken.law && each.path == broken.path &&
           each.verdict == LawVerdict::violation;
  });
  if (finding == result.findings.end()) {
    return tl::unexpected(Error{
        "member " + std::to_string(broken.member),
        "the sweep finds " + broken.law + " broken on " + broken.path + ", a check of it does not",
        "this is a fault of capsize: please report this line: " + result.repro});
  }
  auto out = scenario_of_member(universe, broken.member);
  if (!out) return out;
  out->id = file_name_of(std::string(kSweepPrefix) + universe.name + "-" + broken.law +
                         (broken.rules.empty() ? "" : "-" + broken.rules));
  out->title = broken.law + " is broken on " + broken.path + at_rules(broken.rules) +
               ": the smallest member of " + universe.name + " that shows it";
  out->defect_class = class_of(broken.law);
  out->expect.push_back(expectation_of(result, *finding));
  return out;
}

// A member that the engine refuses because its filter leaves nothing; none where it is refused for
// anything else.
Result<std::optional<Scenario>> empty_list(const Universe& universe, std::uint64_t number,
                                           const std::string& rules) {
  const CheckResult result = checked(universe, number);
  const auto& refusal = result.plan.refusal;
  if (!refusal || refusal->stage != RefusalStage::capture) return std::optional<Scenario>();
  auto out = scenario_of_member(universe, number);
  if (!out) return tl::unexpected(std::move(out.error()));
  out->id = file_name_of(std::string(kSweepPrefix) + universe.name + "-empty_list" +
                         (rules.empty() ? "" : "-" + rules));
  out->title = "No capture size is left and the engine refuses" + at_rules(rules) +
               ": the smallest member of " + universe.name + " that shows it";
  out->defect_class = class_of(kEmptyList);
  Expectation& expected = out->expect.emplace_back();
  expected.rules = result.rules;
  expected.verdict = Verdict::refused;
  expected.refused = RefusedPattern{refusal->stage, refusal->text};
  return *std::move(out);
}

// The first member of every state that a refusal of the engine ends in, by rules, smallest first.
std::map<std::uint16_t, std::vector<std::uint64_t>> refused_members(const Tally& tally) {
  std::map<std::uint16_t, std::vector<std::uint64_t>> out;
  for (const auto& [state, counted] : tally.states) {
    if (state.removed == 0) continue;
    if (tally.preconditions[state.removed - 1U].starts_with("constraint: ")) continue;
    out[state.rules].push_back(counted.first);
  }
  for (auto& [rules, members] : out) std::ranges::sort(members);
  return out;
}

// Scenarios in the folder that an earlier run over this universe wrote and this one did not. A name
// may be that of another universe, whose name goes on where this one's ends: the file itself says.
std::vector<std::string> found_before(const std::string& folder, std::string_view prefix,
                                      const Universe& universe,
                                      const std::vector<std::string>& written) {
  constexpr std::size_t kScenarioBytes = std::size_t{16} << 20;
  const std::string begin = file_name_of(std::string(prefix) + universe.name + "-");
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(begin) || !name.ends_with(".json")) continue;
    std::string path = (std::filesystem::path(folder) / name).string();
    if (std::ranges::find(written, path) != written.end()) continue;
    const auto text = read_file(path, kScenarioBytes, "a scenario file");
    const auto scenario = text.and_then([](const std::string& it) { return read_scenario(it); });
    if (scenario && scenario->source.universe == universe.name) out.push_back(std::move(path));
  }
  return out;
}

}  // namespace

Result<std::vector<Scenario>> failures_of(const Universe& universe,
                                          const Certificate& certificate) {
  const std::vector<std::string> rules = rules_of(certificate.universe);
  std::vector<Scenario> out;
  for (const LawCount& law : summary_of(certificate).laws) {
    bool smallest_told = false;  // it has the name without a path
    for (const PathFailures& on : law.failed_on) {
      auto made =
          scenario_of(universe, {certificate.laws[law.law], on.path, rules[law.rules], on.first});
      if (!made) return tl::unexpected(std::move(made.error()));
      const bool smallest = !smallest_told && on.first == law.first_failure;
      if (!smallest) made->id = file_name_of(made->id + "-" + on.path);
      smallest_told |= smallest;
      out.push_back(*std::move(made));
    }
  }
  for (const auto& [label, members] : refused_members(certificate.state.tally)) {
    for (const std::uint64_t number : members) {
      auto made = empty_list(universe, number, rules[label]);
      if (!made) return tl::unexpected(std::move(made.error()));
      if (!*made) continue;
      out.push_back(**std::move(made));
      break;
    }
  }
  return out;
}

Result<void> make_failures_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error && access(folder.c_str(), W_OK) != 0) {
    error = std::error_code(errno, std::generic_category());
  }
  if (!error) return {};
  return tl::unexpected(
      Error{folder, "cannot be written: " + error.message(), "name a folder that can be written"});
}

Result<WrittenFailures> write_failures(const std::string& folder, std::string_view prefix,
                                       const Universe& universe,
                                       const std::vector<Scenario>& failures) {
  if (auto made = make_failures_folder(folder); !made) return tl::unexpected(made.error());
  WrittenFailures out;
  for (const Scenario& scenario : failures) {
    out.files.push_back((std::filesystem::path(folder) / (scenario.id + ".json")).string());
    auto written = write_file_atomically(out.files.back(), write_scenario(scenario) + "\n");
    if (!written) return tl::unexpected(std::move(written.error()));
  }
  for (const std::string& path : found_before(folder, prefix, universe, out.files)) {
    std::error_code error;
    if (std::filesystem::remove(path, error)) ++out.removed;
    if (error) {
      return tl::unexpected(Error{path, "cannot be removed: " + error.message(),
                                  "an earlier run of this command left it: remove it"});
    }
  }
  return out;
}

}  // namespace capsize
