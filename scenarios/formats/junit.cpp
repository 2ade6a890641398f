#include "scenarios/formats/junit.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace capsize {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// The length of the UTF-8 sequence at `text[at]` that XML 1.0 has a character for; 0 for none.
std::size_t xml_character(std::string_view text, std::size_t at) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return lead >= 0x20 || lead == '\t' || lead == '\n' || lead == '\r' ? 1 : 0;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || at + length > text.size()) return 0;
  std::uint32_t code = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) return 0;
    code = code << 6U | (byte(at + i) & 0x3FU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  const bool exists =
      code >= kLeast[length] && code <= 0x10FFFF && code != 0xFFFE && code != 0xFFFF;
  return exists && !surrogate ? length : 0;
}

void attribute(std::string& out, std::string_view name, std::string_view value) {
  out.append(" ").append(name).append("=\"").append(xml_escaped(value)).append("\"");
}

void attribute(std::string& out, std::string_view name, std::size_t value) {
  attribute(out, name, std::to_string(value));
}

void seconds(std::string& out, double value) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "%.6f", value);
  attribute(out, "time", std::string_view(text));
}

// Named by its place in the file, so that two expectations of one scenario never share a name.
std::string case_name(const ExpectationReport& report, std::size_t index) {
  std::string name = "expect[" + std::to_string(index) + "] ";
  name += (report.rules.starts_with("plan ") ? "" : "rules ") + report.rules + ": ";
  name += report.expected;
  if (!report.law.empty()) name += " " + report.law;
  if (!report.path.empty()) name += " on " + report.path;
  return name;
}

void write_case(std::string& out, const ScenarioReport& scenario, std::size_t index) {
  const ExpectationReport& report = scenario.expectations[index];
  out += "    <testcase";
  attribute(out, "classname", scenario.defect_class + "." + scenario.id);
  attribute(out, "name", case_name(report, index));
  attribute(out, "file", scenario.file);
  seconds(out, report.seconds);
  if (report.outcome == Outcome::holds) {
    out += "/>\n";
    return;
  }
  const bool failed = report.outcome == Outcome::fails;
  out.append(">\n      <").append(failed ? "failure" : "skipped");
  attribute(out, "message", report.difference);
  if (failed) {
    attribute(out, "type", "difference");
    out.append(">").append(xml_escaped(report.difference + "\n" + report.again));
    out += "</failure>\n";
  } else {
    out += "/>\n";
  }
  out += "    </testcase>\n";
}

void write_error_case(std::string& out, const Error& error) {
  out += "    <testcase";
  attribute(out, "classname", "unreadable");
  attribute(out, "name", error.where);
  out += ">\n      <error";
  attribute(out, "message", error.where + ": " + error.text);
  attribute(out, "type", "bad_input");
  out.append(">").append(xml_escaped("way out: " + error.hint)).append("</error>\n");
  out += "    </testcase>\n";
}

// Events without operations (groups that are made, buffers) are no cases.
bool is_case(const EventObservation& event) {
  return event.operations > 0 || event.skipped || event.symptom != Symptom::none;
}

void write_case(std::string& out, std::string_view name, const EventObservation& event) {
  out += "    <testcase";
  attribute(out, "classname", name);
  attribute(out, "name",
            std::to_string(event.event) + " " + std::string(name_of(event.kind)) + " of " +
                std::to_string(event.tokens) + (event.path.empty() ? "" : " on " + event.path));
  seconds(out, static_cast<double>(event.nanoseconds) * 1e-9);
  if (event.symptom == Symptom::none && !event.skipped) {
    out += "/>\n";
    return;
  }
  const bool failed = event.symptom != Symptom::none;
  out.append(">\n      <").append(failed ? "failure" : "skipped");
  const std::string where = event.place ? text_of(*event.place) + ": " : std::string();
  attribute(out, "message", failed ? where + event.text : "its graph was not captured");
  if (failed) attribute(out, "type", name_of(event.symptom));
  out += "/>\n    </testcase>\n";
}

struct Totals {
  std::size_t tests = 0;
  std::size_t failures = 0;
  std::size_t errors = 0;
  std::size_t skipped = 0;
  double time = 0;
};

Totals totals_of(const ScenarioReport& scenario) {
  Totals totals;
  totals.errors = scenario.error ? 1 : 0;
  totals.tests = scenario.expectations.size() + totals.errors;
  for (const ExpectationReport& each : scenario.expectations) {
    totals.failures += each.outcome == Outcome::fails ? 1 : 0;
    totals.skipped += each.outcome == Outcome::skipped ? 1 : 0;
    totals.time += each.seconds;
  }
  return totals;
}

void open_suite(std::string& out, std::string_view tag, std::string_view name,
                const Totals& totals) {
  out.append("<").append(tag);
  attribute(out, "name", name);
  attribute(out, "tests", totals.tests);
  attribute(out, "failures", totals.failures);
  attribute(out, "errors", totals.errors);
  attribute(out, "skipped", totals.skipped);
  seconds(out, totals.time);
  out += ">\n";
}

Totals totals_of(const Observation& observed) {
  Totals totals;
  for (const EventObservation& event : observed.events) {
    if (!is_case(event)) continue;
    ++totals.tests;
    totals.failures += event.symptom != Symptom::none ? 1 : 0;
    totals.skipped += event.symptom == Symptom::none && event.skipped ? 1 : 0;
    totals.time += static_cast<double>(event.nanoseconds) * 1e-9;
  }
  return totals;
}

}  // namespace

std::string xml_escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = xml_character(text, at);
    if (length == 0) {
      out += kReplacement;
      ++at;
      continue;
    }
    switch (text[at]) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&apos;"; break;
      // As they stand, a reader would turn these into blanks in an attribute.
      case '\t': out += "&#9;"; break;
      case '\n': out += "&#10;"; break;
      case '\r': out += "&#13;"; break;
      default: out.append(text.substr(at, length));
    }
    at += length;
  }
  return out;
}

std::string to_junit(const SuiteReport& report) {
  Totals all;
  all.tests = all.errors = report.errors.size();
  std::string suites;
  for (const ScenarioReport& scenario : report.scenarios) {
    const Totals totals = totals_of(scenario);
    all.tests += totals.tests;
    all.failures += totals.failures;
    all.errors += totals.errors;
    all.skipped += totals.skipped;
    all.time += totals.time;
    suites += "  ";
    open_suite(suites, "testsuite", scenario.id.empty() ? scenario.file : scenario.id, totals);
    for (std::size_t i = 0; i < scenario.expectations.size(); ++i) write_case(suites, scenario, i);
    if (scenario.error) write_error_case(suites, *scenario.error);
    suites += "  </testsuite>\n";
  }
  if (!report.errors.empty()) {
    Totals totals;
    totals.tests = totals.errors = report.errors.size();
    suites += "  ";
    open_suite(suites, "testsuite", "unreadable paths", totals);
    for (const Error& error : report.errors) write_error_case(suites, error);
    suites += "  </testsuite>\n";
  }
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  open_suite(out, "testsuites", "capsize scenarios", all);
  return out + suites + "</testsuites>\n";
}

std::string to_junit(const Observation& observed, std::string_view name) {
  const Totals totals = totals_of(observed);
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  open_suite(out, "testsuites", "capsize run", totals);
  out += "  ";
  open_suite(out, "testsuite", std::string(name) + " on " + observed.backend, totals);
  for (const EventObservation& event : observed.events) {
    if (is_case(event)) write_case(out, name, event);
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

}  // namespace capsize
