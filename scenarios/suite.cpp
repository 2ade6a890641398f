#include "scenarios/suite.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "scenarios/check/check.hpp"
#include "scenarios/formats/model_config.hpp"
#include "scenarios/formats/plan.hpp"
#include "scenarios/formats/read_file.hpp"

namespace capsize {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kScenarioBytes = std::size_t{16} << 20;

std::string number(std::int64_t value) { return std::to_string(value); }

std::string listed(const std::vector<std::int64_t>& values) {
  constexpr std::size_t kShown = 12;
  std::string out = "[";
  for (std::size_t i = 0; i < std::min(values.size(), kShown); ++i) {
    out.append(i == 0 ? "" : ", ").append(number(values[i]));
  }
  if (values.size() > kShown) out += ", ... " + std::to_string(values.size()) + " in all";
  return out + "]";
}

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

// Collects what differs; the first difference is the one that is told.
class Differences {
 public:
  void add(std::string_view what, std::string_view expected, std::string_view observed) {
    if (!first_.empty()) return;
    first_.append(what).append(": expected ").append(expected);
    first_.append(", observed ").append(observed);
  }
  template <class T>
  void number_differs(std::string_view what, const std::optional<T>& expected,
                      const std::optional<std::int64_t>& observed) {
    if (!expected || observed == *expected) return;
    add(what, number(*expected), observed ? number(*observed) : "none");
  }
  void word_differs(std::string_view what, const std::optional<std::string>& expected,
                    std::string_view observed) {
    if (!expected || *expected == observed) return;
    add(what, *expected, observed.empty() ? "none" : observed);
  }
  [[nodiscard]] bool none() const { return first_.empty(); }
  [[nodiscard]] std::string first() && { return std::move(first_); }

 private:
  std::string first_;
};

void compare_witness(const WitnessPattern& expected, const Finding& finding, Differences& out) {
  if (!finding.witness) return out.add("witness", "one", "none");
  const Witness& seen = *finding.witness;
  const bool in_group = !seen.group.empty();
  out.word_differs("witness.path", expected.path, finding.path);
  out.number_differs("witness.tokens", expected.tokens, seen.tokens);
  out.number_differs("witness.requests", expected.requests, seen.requests);
  out.number_differs("witness.rank", expected.rank, seen.rank);
  out.number_differs("witness.layer", expected.layer, seen.layer);
  out.word_differs("witness.op", expected.op, seen.op);
  out.word_differs("witness.group", expected.group, seen.group);
  out.number_differs("witness.group_size", expected.group_size,
                     in_group ? std::optional(seen.group_size) : std::nullopt);
  out.word_differs("witness.event", expected.event, seen.event);
  out.word_differs("witness.buffer", expected.buffer, seen.buffer);
  out.word_differs("witness.key", expected.key, seen.key);
}

void compare_finding(const Expectation& expected, LawVerdict verdict, const Finding& finding,
                     Differences& out) {
  if (finding.verdict != verdict) {
    out.add(*expected.law + " on " + std::string(finding.path), name_of(verdict),
            name_of(finding.verdict));
  }
  if (expected.known && *expected.known != finding.known) {
    out.add("known", name_of(*expected.known), name_of(finding.known));
  }
  if (expected.symptom && *expected.symptom != finding.symptom) {
    out.add("symptom", name_of(*expected.symptom), name_of(finding.symptom));
  }
  if (expected.witness) compare_witness(*expected.witness, finding, out);
  if (expected.first_in_time) {
    if (!finding.first_in_time) return out.add("first_in_time", "one", "none");
    out.word_differs("first_in_time.event", expected.first_in_time->event,
                     finding.first_in_time->event);
    out.number_differs("first_in_time.tokens", expected.first_in_time->tokens,
                       finding.first_in_time->tokens);
  }
}

// The verdict that the law must have: its own, or that of the whole check.
LawVerdict law_verdict_of(const Expectation& expected) {
  if (expected.law_verdict) return *expected.law_verdict;
  switch (expected.verdict) {
    case Verdict::violation: return LawVerdict::violation;
    case Verdict::undecided: return LawVerdict::undecided;
    default: return LawVerdict::pass;
  }
}

// Any finding of the law, on the named path where one is named, may meet the expectation. Where
// none does, the difference told is that of the finding whose verdict is right, else of the first.
void compare_law(const Expectation& expected, const CheckResult& observed, Differences& out) {
  const LawVerdict verdict = law_verdict_of(expected);
  std::optional<Differences> closest;
  bool closest_has_verdict = false;
  for (const Finding& finding : observed.findings) {
    if (finding.law != *expected.law) continue;
    if (expected.path && finding.path != *expected.path) continue;
    Differences differences;
    compare_finding(expected, verdict, finding, differences);
    if (differences.none()) return;
    const bool has_verdict = finding.verdict == verdict;
    if (closest && (closest_has_verdict || !has_verdict)) continue;
    closest = std::move(differences);
    closest_has_verdict = has_verdict;
  }
  if (closest) {
    out = *std::move(closest);
  } else {
    out.add(*expected.law + (expected.path ? " on " + *expected.path : std::string()),
            name_of(verdict), "not judged");
  }
}

void compare_list(std::string_view what, const std::optional<std::vector<std::int64_t>>& expected,
                  const std::vector<std::int64_t>& observed, Differences& out) {
  if (expected && *expected != observed) out.add(what, listed(*expected), listed(observed));
}

// A plan says what is kept; what was asked for and dropped is not in it.
void compare_plan_sizes(const Expectation& expected, const Lifecycle& plan, const std::string& path,
                        Differences& out) {
  const auto found = std::ranges::find(plan.captures, path, &PlanCapture::path);
  if (found == plan.captures.end()) return out.add("path " + path, "captured", "no such path");
  compare_list("kept on " + path, expected.kept, found->kept, out);
  out.number_differs("kept_count on " + path, expected.kept_count, std::ssize(found->kept));
  if (expected.dropped || expected.lost_count || expected.waste_count) {
    out.add("dropped, lost or waste on " + path, "a number", "nothing: a plan does not say");
  }
}

void compare_sizes(const Expectation& expected, const CheckResult& observed, Differences& out) {
  const bool asked = expected.kept || expected.dropped || expected.kept_count ||
                     expected.lost_count || expected.waste_count;
  if (!asked) return;
  const std::string path = expected.path.value_or("prefill");
  if (observed.lifecycle) return compare_plan_sizes(expected, *observed.lifecycle, path, out);
  const auto& paths = observed.plan.captures.paths;
  const auto found = std::ranges::find(paths, std::string_view(path), &CapturePath::name);
  if (found == paths.end()) return out.add("path " + path, "captured", "no such path");
  std::vector<std::int64_t> dropped;
  for (const DroppedSize& each : found->dropped) dropped.push_back(each.size);
  std::int64_t lost = 0;
  std::int64_t waste = 0;
  for (const PathLoss& loss : observed.losses) {
    if (loss.path != path) continue;
    lost = std::ssize(loss.lost);
    waste = std::ranges::count_if(loss.lost, &LostSize::usable);
  }
  compare_list("kept on " + path, expected.kept, found->kept, out);
  compare_list("dropped on " + path, expected.dropped, dropped, out);
  out.number_differs("kept_count on " + path, expected.kept_count, std::ssize(found->kept));
  out.number_differs("lost_count on " + path, expected.lost_count, lost);
  out.number_differs("waste_count on " + path, expected.waste_count, waste);
}

void compare_refusal(const RefusedPattern& expected, const CheckResult& observed,
                     Differences& out) {
  const Refusal& refusal = *observed.plan.refusal;
  if (expected.stage && *expected.stage != refusal.stage) {
    out.add("refused.stage", name_of(*expected.stage), name_of(refusal.stage));
  }
  if (expected.text && *expected.text != refusal.text) {
    const auto shown = [](const std::optional<std::string>& text) {
      return text ? in_quotes(*text) : std::string("no message");
    };
    out.add("refused.text", shown(*expected.text), shown(refusal.text));
  }
}

// The observed verdict with what brought it about, so that a wrong one explains itself.
std::string explained(const CheckResult& result) {
  std::string out(name_of(result.verdict));
  if (result.error) return out + " (" + result.error->where + ": " + result.error->text + ")";
  if (result.plan.refusal) {
    return out + " (" + result.plan.refusal->text.value_or(result.plan.refusal->rule) + ")";
  }
  for (const Finding& finding : result.findings) {
    if (finding.verdict != LawVerdict::violation) continue;
    return out.append(" (").append(finding.law).append(" on ").append(finding.path).append(")");
  }
  if (!result.undecided.empty()) return out + " (" + result.undecided.front() + ")";
  if (!result.plan.undecided.empty()) return out + " (" + result.plan.undecided.front() + ")";
  return out;
}

ExpectationReport named(const Expectation& expected) {
  ExpectationReport report;
  report.rules = expected.rules.empty()
                     ? "plan " + std::string(name_of(expected.plan.value_or(PlanSide::before)))
                     : expected.rules;
  report.law = expected.law.value_or("");
  report.path = expected.path.value_or("");
  report.expected = name_of(expected.verdict);
  return report;
}

// The checks of one scenario: one a rules label (or plan), however many expectations ask for it.
class Checks {
 public:
  Checks(const Scenario& scenario, const std::string& file) : scenario_(scenario), file_(file) {
    if (scenario.plan) return;
    auto request = request_of(scenario);
    if (request) {
      request_ = *std::move(request);
    } else {
      unreadable_ = std::move(request.error());
    }
  }

  const CheckResult& of(const Expectation& expected) {
    const std::string label = named(expected).rules;
    const auto known = results_.find(label);
    if (known != results_.end()) return known->second;
    CheckResult result = scenario_.plan ? of_plan(expected) : under(expected.rules);
    return results_.emplace(label, std::move(result)).first->second;
  }

 private:
  CheckResult under(const std::string& rules) {
    request_.rules = rules;
    return unreadable_ ? bad_input(scenario_.engine, rules, *unreadable_) : check(request_);
  }

  CheckResult of_plan(const Expectation& expected) {
    const bool after = expected.plan == PlanSide::after;
    // Read once before, with the file.
    auto plan = read_plan(JsonField(after ? *scenario_.plan_after : *scenario_.plan));
    if (!plan) return bad_input("", "", std::move(plan.error()));
    return check_plan(*std::move(plan), {}, file_);
  }

  const Scenario& scenario_;
  const std::string& file_;
  CheckRequest request_;
  std::optional<Error> unreadable_;
  std::map<std::string, CheckResult> results_;
};

// A repaired plan passes, whether or not the file says so.
std::vector<Expectation> expectations_of(const Scenario& scenario) {
  std::vector<Expectation> all = scenario.expect;
  const auto after = [](const Expectation& each) { return each.plan == PlanSide::after; };
  if (scenario.plan_after && std::ranges::none_of(all, after)) {
    all.push_back({.plan = PlanSide::after, .verdict = Verdict::pass});
  }
  return all;
}

// The *.json files under `folder`, or the file itself.
Result<std::vector<std::string>> files_of(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return tl::unexpected(Error{path, "no such file or folder", "name scenario files or folders"});
  }
  if (!fs::is_directory(status)) return std::vector{path};
  std::vector<std::string> files;
  fs::recursive_directory_iterator at(path, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code gone;
    if (at->path().extension() == ".json" && at->is_regular_file(gone)) {
      files.push_back(at->path().string());
    }
  }
  if (error) return tl::unexpected(Error{path, error.message(), "name a folder that can be read"});
  std::ranges::sort(files);
  return files;
}

// In a class folder the folder and the file's name say what the file says.
Result<void> stands_where_it_says(const Scenario& scenario, const std::string& file) {
  const fs::path path(file);
  const std::string folder = path.parent_path().filename().string();
  const auto classes = defect_classes();
  if (std::ranges::find(classes, std::string_view(folder)) == classes.end()) return {};
  if (folder != scenario.defect_class) {
    return tl::unexpected(Error{"$.class", "is " + scenario.defect_class + " in folder " + folder,
                                "move the file, or change its class"});
  }
  if (path.stem().string() != scenario.id) {
    return tl::unexpected(Error{"$.id",
                                "is " + in_quotes(scenario.id) + " in a file of another name",
                                "name the file " + scenario.id + ".json"});
  }
  return {};
}

ScenarioReport run_file(const std::string& file, std::map<std::string, std::string>& ids) {
  ScenarioReport failed{.file = file};
  auto text = read_file(file, kScenarioBytes, "a scenario file or a folder");
  if (!text) {
    failed.error = std::move(text.error());
    return failed;
  }
  auto scenario = read_scenario(*text);
  Result<void> sound =
      scenario ? stands_where_it_says(*scenario, file) : tl::unexpected(scenario.error());
  if (sound) {
    const auto [first, added] = ids.emplace(scenario->id, file);
    if (added) return run_scenario(*scenario, file);
    sound = tl::unexpected(Error{"$.id",
                                 in_quotes(scenario->id) + " is also the id of " + first->second,
                                 "give every scenario its own id"});
  }
  failed.error = std::move(sound.error()).within(file);
  return failed;
}

std::string plural(std::size_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::holds: return "holds";
    case Outcome::fails: return "fails";
    case Outcome::skipped: return "skipped";
  }
  return "fails";
}

std::size_t SuiteReport::count(Outcome outcome) const {
  std::size_t count = 0;
  for (const ScenarioReport& scenario : scenarios) {
    count += static_cast<std::size_t>(
        std::ranges::count(scenario.expectations, outcome, &ExpectationReport::outcome));
  }
  return count;
}

std::size_t SuiteReport::unreadable() const {
  const auto broken = [](const ScenarioReport& s) { return s.error.has_value(); };
  return errors.size() + static_cast<std::size_t>(std::ranges::count_if(scenarios, broken));
}

Result<CheckRequest> request_of(const Scenario& scenario) {
  CheckRequest request;
  request.engine = scenario.engine;
  request.gpu = scenario.gpu;
  request.try_repairs = false;  // no expectation is about repairs
  if (scenario.model_config) {
    // Read once before, with the file: it cannot fail here.
    auto shape = read_model_config(JsonField(*scenario.model_config), scenario.id);
    if (shape) request.model_config = *std::move(shape);
    request.model_config_name = "config.json";
  }
  auto launch = read_launch_source(scenario.launch, *find_engine(scenario.engine));
  if (!launch) return tl::unexpected(std::move(launch.error()));
  request.launch = *std::move(launch);
  return request;
}

ExpectationReport compare(const Expectation& expected, const CheckResult& observed) {
  ExpectationReport report = named(expected);
  report.observed = name_of(observed.verdict);
  report.again = observed.repro;
  Differences differences;
  if (observed.verdict != expected.verdict) {
    differences.add("verdict", report.expected, explained(observed));
  } else {
    if (expected.law) compare_law(expected, observed, differences);
    compare_sizes(expected, observed, differences);
    if (expected.refused) compare_refusal(*expected.refused, observed, differences);
  }
  if (!differences.none()) {
    report.outcome = Outcome::fails;
    report.difference = std::move(differences).first();
  }
  return report;
}

ScenarioReport run_scenario(const Scenario& scenario, const std::string& file) {
  using Clock = std::chrono::steady_clock;
  ScenarioReport report{.file = file,
                        .id = scenario.id,
                        .title = scenario.title,
                        .defect_class = scenario.defect_class};
  const std::string again = "capsize scenarios run " + shell_quoted(file);
  Checks checks(scenario, file);
  for (const Expectation& expected : expectations_of(scenario)) {
    if (scenario.hardware) {
      ExpectationReport skipped = named(expected);
      skipped.outcome = Outcome::skipped;
      skipped.difference = "only execution on hardware can show it";
      skipped.again = again;
      report.expectations.push_back(std::move(skipped));
      continue;
    }
    const auto begin = Clock::now();
    ExpectationReport judged = compare(expected, checks.of(expected));
    judged.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    // What stands in the file itself has no name that a check could be given.
    if (scenario.model_config || scenario.plan || judged.again.empty()) judged.again = again;
    report.expectations.push_back(std::move(judged));
  }
  return report;
}

SuiteReport run_suite(const std::vector<std::string>& paths) {
  SuiteReport report;
  std::set<fs::path> seen;
  std::map<std::string, std::string> ids;
  for (const std::string& path : paths) {
    auto files = files_of(path);
    if (!files) {
      report.errors.push_back(std::move(files.error()));
      continue;
    }
    for (const std::string& file : *files) {
      std::error_code error;
      const fs::path place = fs::weakly_canonical(file, error);
      if (!seen.insert(error ? fs::path(file) : place).second) continue;
      report.scenarios.push_back(run_file(file, ids));
    }
  }
  return report;
}

int exit_status(const SuiteReport& report) {
  if (report.unreadable() > 0) return 2;
  if (report.count(Outcome::fails) > 0) return 1;
  return report.count(Outcome::holds) == 0 ? 4 : 0;
}

std::string summary(const SuiteReport& report) {
  const std::size_t fails = report.count(Outcome::fails);
  const std::size_t skipped = report.count(Outcome::skipped);
  const std::size_t ran = report.count(Outcome::holds) + fails;
  std::string out = plural(report.scenarios.size(), "scenario") + ", " +
                    plural(ran + skipped, "expectation") + ": ";
  if (ran == 0) {
    out += "nothing ran";
  } else if (fails == 0) {
    out += "all hold";
  } else {
    out += std::to_string(fails) + (fails == 1 ? " fails" : " fail");
  }
  if (skipped > 0) out += ", " + std::to_string(skipped) + " skipped (needs hardware)";
  if (const std::size_t broken = report.unreadable(); broken > 0) {
    out += ", " + std::to_string(broken) + " cannot be read";
  }
  return out;
}

}  // namespace capsize
