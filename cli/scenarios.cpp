// capsize scenarios run: the regression suite, as a table, as JSON and as JUnit XML.
#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

#include "cli/command.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/junit.hpp"
#include "scenarios/formats/write_file.hpp"
#include "scenarios/suite.hpp"

namespace capsize::cli {
namespace {

constexpr const char* kDefaultFolder = "scenarios/cases";

struct SuiteOptions {
  std::vector<std::string> paths;
  std::string junit;
  bool json = false;
};

using Row = std::array<std::string, 6>;

Row row_of(const ScenarioReport& scenario, const ExpectationReport& report) {
  const char* outcome = report.outcome == Outcome::holds   ? "ok"
                        : report.outcome == Outcome::fails ? "FAIL"
                                                           : "skipped";
  const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
  const std::string law =
      report.law.empty() || report.path.empty() ? report.law : report.law + " on " + report.path;
  return {scenario.id, report.rules, or_dash(law), report.expected, or_dash(report.observed),
          outcome};
}

std::string line_of(const Row& row, const std::array<std::size_t, 6>& widths, bool colour) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const bool last = i + 1 == row.size();
    const bool red = colour && last && row[i] == "FAIL";
    line.append(i == 0 ? "" : "  ").append(red ? "\x1b[31m" : "").append(row[i]);
    line.append(red ? "\x1b[0m" : "");
    if (!last) line.append(widths[i] - row[i].size(), ' ');
  }
  return line + "\n";
}

std::string detail_of(const ExpectationReport& report) {
  if (report.outcome == Outcome::holds) return {};
  std::string out = "    " + report.difference + "\n";
  if (report.outcome == Outcome::fails) out += "    again: " + report.again + "\n";
  return out;
}

// The suite for people: a table, the differences under their rows, one verdict line.
std::string rendered(const SuiteReport& report, bool colour) {
  const Row head = {"# scenario", "rules", "law", "expected", "observed", "result"};
  std::array<std::size_t, 6> widths{};
  const auto widen = [&widths](const Row& row) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  };
  widen(head);
  for (const ScenarioReport& scenario : report.scenarios) {
    for (const ExpectationReport& each : scenario.expectations) widen(row_of(scenario, each));
  }
  std::string out;
  for (const ScenarioReport& scenario : report.scenarios) {
    for (const ExpectationReport& each : scenario.expectations) {
      if (out.empty()) out = line_of(head, widths, colour);
      out += line_of(row_of(scenario, each), widths, colour) + detail_of(each);
    }
  }
  return out + summary(report) + "\n";
}

void write_error(JsonWriter& out, const Error& error) {
  out.begin_object().field("where", error.where).field("text", error.text);
  out.field("hint", error.hint).end_object();
}

void write_scenario_report(JsonWriter& out, const ScenarioReport& scenario) {
  out.begin_object().field("file", scenario.file).field("id", scenario.id);
  out.field("class", scenario.defect_class).field("title", scenario.title);
  if (scenario.error) {
    out.key("error");
    write_error(out, *scenario.error);
  }
  out.key("expectations").begin_array();
  for (const ExpectationReport& each : scenario.expectations) {
    out.begin_object().field("rules", each.rules).field("law", each.law);
    out.field("path", each.path).field("expected", each.expected);
    out.field("observed", each.observed).field("outcome", name_of(each.outcome));
    out.field("difference", each.difference).field("again", each.again).end_object();
  }
  out.end_array().end_object();
}

std::string to_json(const SuiteReport& report) {
  JsonWriter out;
  const auto count = [](std::size_t n) { return static_cast<std::int64_t>(n); };
  out.begin_object().field("schema", std::int64_t{1}).field("summary", summary(report));
  out.field("holds", count(report.count(Outcome::holds)));
  out.field("fails", count(report.count(Outcome::fails)));
  out.field("skipped", count(report.count(Outcome::skipped)));
  out.field("unreadable", count(report.unreadable()));
  out.key("scenarios").begin_array();
  for (const ScenarioReport& each : report.scenarios) write_scenario_report(out, each);
  out.end_array().key("errors").begin_array();
  for (const Error& each : report.errors) write_error(out, each);
  out.end_array().end_object();
  return std::move(out).text() + "\n";
}

int run_scenarios(SuiteOptions options) {
  if (options.paths.empty()) {
    std::error_code error;
    if (!std::filesystem::is_directory(kDefaultFolder, error)) {
      return fail({"command line", std::string("no folder ") + kDefaultFolder + " here",
                   "capsize scenarios run PATH..., with scenario files or folders of them"},
                  options.json);
    }
    options.paths.emplace_back(kDefaultFolder);
  }
  const SuiteReport report = run_suite(options.paths);
  if (!options.json) {  // the object holds them
    for (const Error& error : report.errors) (void)fail(error);
    for (const ScenarioReport& scenario : report.scenarios) {
      if (scenario.error) (void)fail(*scenario.error);
    }
  }
  if (!options.junit.empty()) {
    if (auto written = write_file_atomically(options.junit, to_junit(report)); !written) {
      return fail(std::move(written.error()).within("--junit"), options.json);
    }
  }
  const std::string text = options.json ? to_json(report) : rendered(report, colour_wanted());
  return print(text) ? exit_status(report) : kBadInput;
}

}  // namespace

Run add_scenarios(CLI::App& app) {
  auto options = std::make_shared<SuiteOptions>();
  app.require_subcommand(1);
  CLI::App* run = app.add_subcommand("run", "run scenario files and folders of them");
  run->add_option("PATH", options->paths,
                  std::string("files or folders (default: ") + kDefaultFolder + ")");
  run->add_option("--junit", options->junit, "also write the results as JUnit XML to this file");
  run->add_flag("--json", options->json, "one JSON object instead of the table");
  run->footer("exit status: 0 all hold, 1 some fail, 2 a file cannot be read, 4 nothing ran");
  return [options] { return run_scenarios(*options); };
}

}  // namespace capsize::cli
