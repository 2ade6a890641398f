#include "cli/run_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/execution.hpp"
#include "cli/progress.hpp"
#include "cli/sweep_report.hpp"
#include "scenarios/formats/observation.hpp"
#include "scenarios/formats/run_job.hpp"

namespace capsize::cli {
namespace {

constexpr std::size_t kRunLabel = 12;

std::string run_line(std::string_view label, std::string_view text) {
  return fmt::format("{:<{}}{}\n", label, kRunLabel, text);
}

std::string head_line(std::string_view label, std::string_view text) {
  return "# " + run_line(label, text);
}

// ---- before it runs -----------------------------------------------------------------------------

std::string world_text(const Lifecycle& plan) {
  std::string out = fmt::format("{} {}", plan.world, plan.world == 1 ? "rank" : "ranks");
  for (std::size_t i = 0; i < plan.families.size(); ++i) {
    const PlanGroups& family = plan.families[i];
    const std::size_t size = family.groups.empty() ? 0 : family.groups.front().size();
    out += fmt::format("{} {} {}", i == 0 ? "; groups:" : ",", family.name, size);
  }
  return out;
}

std::string layers_text(const Lifecycle& plan) {
  if (plan.layers.empty()) return "not stated";
  std::int64_t count = 0;
  std::string kinds;
  for (const ModelLayers& each : plan.layers) {
    count += each.count;
    kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", each.count, name_of(each.kind));
  }
  return fmt::format("{} ({})", count, kinds);
}

std::string data_text(const RunReport& report) {
  const RunOptions& options = report.options;
  if (report.plan.layers.empty()) {
    return fmt::format("rows of uint32 that differ, seed {}; exact: nothing is rounded",
                       options.seed);
  }
  std::string hidden = fmt::format("{} elements a row", options.hidden);
  if (report.input.model_hidden > 0 && report.input.model_hidden != options.hidden) {
    hidden += fmt::format(" (the model has {}: scaled down)", report.input.model_hidden);
  }
  return fmt::format("{}, {}, seed {}; exact: every sum is, tolerance 0", name_of(options.type),
                     hidden, options.seed);
}

std::string what_fails(const Predicted& each) {
  std::string out = fmt::format("{} {}", each.law, name_of(each.symptom));
  if (!each.path.empty()) out += " on " + each.path;
  return each.tokens > 0 ? out + fmt::format(" at {} tokens", each.tokens) : out;
}

std::string predicted_text(const Predicted& each) {
  return each.blame.empty() ? what_fails(each) : what_fails(each) + ": " + each.blame;
}

// ---- the table ----------------------------------------------------------------------------------

std::string_view mode_of(const EventObservation& event) {
  if (event.kind == PlanEventKind::capture) return "capture";
  return event.kind == PlanEventKind::replay ? "replay" : "eager";
}

// Whether a check looks at the elements of results; the others look at how they came about.
bool looks_at_elements(const Mismatch& mismatch) {
  return mismatch.check != Check::counts && mismatch.check != Check::guards &&
         mismatch.check != Check::address;
}

// Elements that are wrong: of a rank that several checks object to, those of the one that finds
// most.
std::int64_t wrong_of(const EventObservation& event) {
  std::map<std::int64_t, std::map<Check, std::int64_t>> counts;
  for (const Mismatch& each : event.mismatches) {
    if (looks_at_elements(each)) counts[each.place.rank][each.check] += each.count;
  }
  std::int64_t out = 0;
  for (const auto& [rank, checks] : counts) {
    std::int64_t most = 0;
    for (const auto& [check, count] : checks) most = std::max(most, count);
    out += most;
  }
  return out;
}

bool is_shown(const EventObservation& event) {
  return event.operations > 0 || event.skipped || event.symptom != Symptom::none;
}

std::string_view word_of(const EventObservation& event) {
  return dead_rank(event) != nullptr ? "rank died" : name_of(event.symptom);
}

std::string outcome_of(const EventObservation& event) {
  if (event.symptom != Symptom::none) return std::string(word_of(event)) + "  <-";
  return event.skipped ? "skipped: not captured" : "ok";
}

// Nobody was there to count: it was not run, or its ranks were ended from outside.
bool is_measured(const EventObservation& event) {
  return event.operations > 0 || event.nanoseconds > 0;
}

std::string table_of(const Observation& observed) {
  std::vector<std::vector<std::string>> rows = {
      {"#", "at", "event", "path", "tokens", "bucket", "mode", "operations", "bytes", "time",
       "wrong", "outcome"},
      {"#", "", "", "", "(rows)", "(rows)", "", "", "(moved)", "(us)", "(elements)", ""}};
  for (const EventObservation& event : observed.events) {
    if (!is_shown(event)) continue;
    const bool compared =
        event.elements_compared > 0 || std::ranges::any_of(event.mismatches, looks_at_elements);
    const auto measured = [&](std::string text) { return is_measured(event) ? text : "-"; };
    rows.push_back(
        {"", std::to_string(event.event), std::string(name_of(event.kind)),
         event.path.empty() ? "-" : event.path, std::to_string(event.tokens),
         event.bucket == 0 ? "-" : std::to_string(event.bucket), std::string(mode_of(event)),
         measured(std::to_string(event.operations)), measured(std::to_string(event.bytes_moved)),
         measured(fmt::format("{:.1f}", static_cast<double>(event.nanoseconds) / 1000.0)),
         compared ? std::to_string(wrong_of(event)) : "N/A", outcome_of(event)});
  }
  return table(rows, {false, true, false, false, true, true, false, true, true, true, true, false});
}

// ---- the verdict --------------------------------------------------------------------------------

struct Totals {
  std::size_t events = 0;  // that ran
  std::size_t failed = 0;
  std::size_t skipped = 0;
  std::size_t captured = 0;
  std::size_t replays = 0;
  std::int64_t operations = 0;
  std::int64_t collectives = 0;
  std::int64_t compared = 0;
};

Totals totals_of(const Observation& observed) {
  Totals out;
  for (const EventObservation& event : observed.events) {
    if (!is_shown(event)) continue;
    out.skipped += event.skipped ? 1U : 0U;
    if (event.skipped) continue;
    const bool failed = event.symptom != Symptom::none;
    ++out.events;
    out.failed += failed ? 1U : 0U;
    out.captured += !failed && event.kind == PlanEventKind::capture ? 1U : 0U;
    out.replays += !failed && event.kind == PlanEventKind::replay ? 1U : 0U;
    out.operations += event.operations;
    out.collectives += event.collectives;
    out.compared += event.elements_compared;
  }
  return out;
}

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

std::string event_text(const EventObservation& event) {
  std::string out = fmt::format("{} of {} {}", name_of(event.kind), event.tokens,
                                event.tokens == 1 ? "token" : "tokens");
  if (event.bucket != 0 && event.bucket != event.tokens) {
    out += fmt::format(" in {} rows", event.bucket);
  }
  return event.path.empty() ? out : out + " on " + event.path;
}

std::string mismatch_text(const Mismatch& each) {
  std::string out = fmt::format("{}: {}", name_of(each.check), text_of(each.place));
  if (!each.mode.empty()) out += ", " + each.mode;
  if (!looks_at_elements(each)) return each.found.empty() ? out : out + ": " + each.found;
  out += fmt::format(", row {}, element {}", each.row, each.column);
  if (!each.found.empty()) out += ": " + each.found;
  if (!each.expected.empty()) out += " for " + each.expected;
  return out + fmt::format("; {} of {} differ", grouped(static_cast<std::uint64_t>(each.count)),
                           grouped(static_cast<std::uint64_t>(each.of)));
}

constexpr std::size_t kMismatchesShown = 4;
constexpr std::size_t kRanksShown = 64;

std::string wavefront_of(const std::vector<RankState>& wavefront) {
  std::vector<std::vector<std::string>> rows = {{"#", "rank", "state", "operation", "communicator",
                                                 "rows", "sequence", "what its peers did"}};
  for (const RankState& each : wavefront) {
    if (rows.size() > kRanksShown) break;
    const bool placed = !each.place.kind.empty();
    const std::string layer =
        each.place.layer < 0 ? "" : fmt::format(" in layer {}", each.place.layer);
    rows.push_back({"", std::to_string(each.rank), std::string(name_of(each.doing)),
                    placed ? each.place.kind + layer : "-",
                    each.place.group.empty() ? "-" : each.place.group,
                    each.rows < 0 ? "-" : std::to_string(each.rows),
                    each.place.group.empty() ? "-" : std::to_string(each.sequence), each.text});
  }
  std::string out = "\n# where every rank stood\n" +
                    table(rows, {false, true, false, false, false, true, true, false});
  if (wavefront.size() > kRanksShown) {
    out += fmt::format("# and {} more ranks\n", wavefront.size() - kRanksShown);
  }
  return out;
}

bool is_of(const Predicted& predicted, const EventObservation& event) {
  return predicted.path == event.path &&
         (predicted.tokens == event.tokens || predicted.tokens == event.bucket);
}

// What a law says of the place where the first failure was seen: its symptom where a law does.
const Predicted* predicted_at(const RunReport& report, const EventObservation& first) {
  const Predicted* other = nullptr;  // it says something else there
  for (const Predicted& each : report.predicted) {
    if (!is_of(each, first)) continue;
    if (each.symptom == first.symptom) return &each;
    other = &each;
  }
  return other;
}

std::string as_predicted(const RunReport& report, const EventObservation& first) {
  if (dead_rank(first) != nullptr) return "no law speaks of a rank that dies";
  const Predicted* other = predicted_at(report, first);
  if (other == nullptr) return "no law says so";
  if (other->symptom == first.symptom) {
    return fmt::format("{} says so: {} on {} at {} tokens", other->law, name_of(other->symptom),
                       other->path, other->tokens);
  }
  const bool checks = report.options.unguarded && other->symptom == Symptom::clean_error;
  return fmt::format("{} says {} there{}", other->law, name_of(other->symptom),
                     checks ? ", where counts are checked" : "");
}

std::string failure_of(const RunReport& report, const EventObservation& first) {
  std::string out;
  if (first.place) out += run_line("where", text_of(*first.place));
  if (!first.text.empty()) out += run_line("because", first.text);
  for (std::size_t i = 0; i < std::min(first.mismatches.size(), kMismatchesShown); ++i) {
    out += run_line(i == 0 ? "wrong" : "", mismatch_text(first.mismatches[i]));
  }
  if (first.mismatches.size() > kMismatchesShown) {
    out += run_line("", fmt::format("and {} more", first.mismatches.size() - kMismatchesShown));
  }
  std::map<std::string_view, std::size_t> symptoms;
  for (const EventObservation& event : report.observed.events) {
    if (event.symptom != Symptom::none) ++symptoms[word_of(event)];
  }
  std::string observed;
  for (const auto& [symptom, count] : symptoms) {
    observed += fmt::format("{}{} in {}", observed.empty() ? "" : ", ", symptom,
                            counted(count, "event", "events"));
  }
  const std::size_t skipped = totals_of(report.observed).skipped;
  if (skipped > 0) {
    observed += fmt::format("; {} not replayed: their graphs were not captured",
                            counted(skipped, "event", "events"));
  }
  return out + run_line("observed", observed) + run_line("predicted", as_predicted(report, first));
}

std::string law_way_out(const RunReport& report, const EventObservation& first) {
  if (dead_rank(first) != nullptr) return kDeathWayOut;
  const Predicted* at = predicted_at(report, first);
  if (at != nullptr && !at->way_out.empty()) return at->way_out;
  for (const Predicted& each : report.predicted) {
    if (each.symptom == first.symptom && !each.way_out.empty()) return each.way_out;
  }
  // What is predicted of a planted fault says nothing of another failure.
  for (const Predicted& each : report.predicted) {
    if (report.planted.text.empty() && !each.way_out.empty()) return each.way_out;
  }
  return "no law predicts it: report it with the line below";
}

std::string way_out_of(const RunReport& report, const EventObservation& first) {
  const PlantedRunFault& planted = report.planted;
  if (!planted.text.empty() && planted.event == first.event) {
    return "the fault was planted: leave --unguarded out";
  }
  const std::string out = law_way_out(report, first);
  const bool floors = !planted.text.empty() && planted.event < 0;
  return floors ? "leave --unguarded out, and counts are checked; then: " + out : out;
}

// What came of the event with the planted fault, where that is not the first failure.
std::string planted_line(const RunReport& report) {
  const EventObservation* first = report.observed.first_failure();
  const std::int32_t event = report.planted.event;
  if (event < 0 || (first != nullptr && first->event == event)) return "";
  const auto& events = report.observed.events;
  const auto seen = std::ranges::find(events, event, &EventObservation::event);
  if (seen == events.end()) return run_line("planted", "its event was not run");
  const std::string_view outcome = seen->symptom != Symptom::none ? name_of(seen->symptom)
                                   : seen->skipped ? "skipped, its graph was not captured"
                                                   : "nothing failed there";
  return run_line("planted", fmt::format("{}in event {}, the {}: {}",
                                         first == nullptr ? "" : "this is not it: it is ", event,
                                         event_text(*seen), outcome));
}

// Why a prediction did not come true.
std::string why_not_seen(const RunReport& report, const Predicted& each) {
  switch (each.symptom) {
    case Symptom::silent_eager: return "no backend shows it: what runs eagerly comes out right";
    case Symptom::refused: return "no backend shows it: an engine refuses before anything runs";
    case Symptom::none: return "it is nothing that a run fails by";
    default: break;
  }
  const auto ran = [&](const EventObservation& event) {
    return is_shown(event) && !event.skipped && (each.path.empty() || is_of(each, event));
  };
  if (std::ranges::any_of(report.observed.events, ran)) {
    return fmt::format("it ran on {}, and nothing of it showed", report.backend);
  }
  return "no event of that size was run";
}

struct Undecided {
  std::string why;
  std::string way_out;
};

Undecided undecided_of(const RunReport& report) {
  const Totals totals = totals_of(report.observed);
  if (totals.operations == 0 && report.left_out > 0) {
    return {fmt::format("nothing was executed: --rows-max {} leaves no event with operations",
                        *report.options.rows_max),
            "name a larger --rows-max"};
  }
  if (totals.operations == 0) {
    return {"nothing was executed: the plan has no event with operations",
            "give its events programs with operations, or name a launch that captures"};
  }
  const std::string events = counted(totals.events, "event", "events") + " on " + report.backend;
  if (!report.predicted.empty()) {
    const std::string& way_out = report.predicted.front().way_out;
    return {"nothing failed in " + events + ", where a law says that something does",
            way_out.empty() ? "judge it by the law alone: capsize check" : way_out};
  }
  return {events + ": no rank met another, and no rows were compared",
          "give the plan a capture of the step: a graph is compared with its eager run"};
}

std::string undecided_text(const RunReport& report) {
  std::string out;
  for (const Predicted& each : report.predicted) {
    out += fmt::format("predicted, not seen here: {}; {}\n", what_fails(each),
                       why_not_seen(report, each));
  }
  out += planted_line(report);
  return out + run_line("way out", undecided_of(report).way_out) + run_line("again", report.again);
}

// What was compared with what, and nothing else.
std::string pass_text(const RunReport& report, const Totals& totals) {
  const std::string events = counted(totals.events, "event", "events");
  if (totals.compared == 0) {
    return fmt::format(
        "counts and sequences of {} on {}; {}, no rows compared", events, report.backend,
        totals.captured == 0 ? "no graph" : counted(totals.captured, "graph", "graphs"));
  }
  const std::string_view as = report.observed.mathematics ? "as the model computes it"
                              : totals.replays > 0        ? "eager = capture = replay"
                                                          : "eager = capture";
  return fmt::format("{} on {}: {} captured, {}, {} compared, {}, 0 wrong", events, report.backend,
                     counted(totals.captured, "graph", "graphs"),
                     counted(totals.replays, "replay", "replays"),
                     counted(static_cast<std::size_t>(totals.compared), "element", "elements"), as);
}

std::string verdict_line(const RunReport& report, bool colour) {
  const auto painted = [&](std::string_view word, std::string_view code) {
    return colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, word) : std::string(word);
  };
  const Totals totals = totals_of(report.observed);
  switch (report.verdict()) {
    case Verdict::violation: {
      const EventObservation& first = *report.observed.first_failure();
      return fmt::format(
          "{}  {} at the {}; {}\n", painted("VIOLATION", "1;31"),
          dead_rank(first) != nullptr ? "a rank died" : name_of(first.symptom), event_text(first),
          totals.events == 1 ? "no other event ran"
                             : fmt::format("{} of {} events failed", grouped(totals.failed),
                                           grouped(totals.events)));
    }
    case Verdict::pass:
      return fmt::format("{}  {}\n", painted("PASS", "1;32"), pass_text(report, totals));
    default: return fmt::format("{}  {}\n", painted("UNDECIDED", "1;33"), undecided_of(report).why);
  }
}

std::string nonzero_line(const Observation& observed) {
  if (observed.elements == 0) return "";
  return run_line("not zero",
                  fmt::format("{:.1f} % of the elements that the model's mathematics decide",
                              100.0 * static_cast<double>(observed.nonzero) /
                                  static_cast<double>(observed.elements)));
}

void write_predicted(JsonWriter& out, const std::vector<Predicted>& predicted) {
  out.key("predicted").begin_array();
  for (const Predicted& each : predicted) {
    out.begin_object().field("law", std::string_view(each.law));
    out.field("path", std::string_view(each.path)).field("tokens", each.tokens);
    out.field("symptom", name_of(each.symptom)).field("blame", std::string_view(each.blame));
    out.end_object();
  }
  out.end_array();
}

}  // namespace

Verdict RunReport::verdict() const {
  if (observed.first_failure() != nullptr) return Verdict::violation;
  const Totals totals = totals_of(observed);
  const bool compared = totals.compared > 0 || totals.collectives > 0;
  return compared && predicted.empty() ? Verdict::pass : Verdict::undecided;
}

std::string heading_of(const RunReport& report) {
  const CheckResult& checked = report.input.checked;
  std::string out = "# " + program() + "\n";
  out += head_line("executes", report.input.name);
  if (!checked.lifecycle) {
    out += head_line("rules", fmt::format("{} {}", checked.engine, checked.rules));
  }
  out += head_line("world", world_text(report.plan));
  out += head_line("layers", layers_text(report.plan));
  out += head_line("backend", report.backend);
  out += head_line("data", data_text(report));
  out +=
      head_line("checks", checked_for({.mathematics = !report.plan.layers.empty(),
                                       .apart = report.backend == "mpi" && report.plan.world > 1}));
  if (report.options.rows_max) {
    out += head_line(
        "rows", fmt::format("at most {} a rank: {} of the start-up left out",
                            *report.options.rows_max, counted(report.left_out, "event", "events")));
  }
  if (report.options.unguarded) {
    out += head_line("unguarded",
                     fmt::format("{}: {}", name_of(report.options.fault), report.planted.text));
  }
  for (const Predicted& each : report.predicted) {
    out += head_line("predicted", predicted_text(each));
  }
  if (report.predicted.empty()) out += head_line("predicted", "nothing fails");
  return out;
}

std::string render(const RunReport& report, bool colour) {
  std::string out = "#\n" + table_of(report.observed);
  if (report.device) out += head_line("device", report.device->text());
  const std::string verdict = verdict_line(report, colour);
  const EventObservation* first = report.observed.first_failure();
  if (first == nullptr) {
    out += nonzero_line(report.observed) + verdict;
    return report.verdict() == Verdict::undecided ? out + undecided_text(report) : out;
  }
  if (!first->wavefront.empty()) out += wavefront_of(first->wavefront);
  out += "\n" + verdict + failure_of(report, *first);
  return out + planted_line(report) + run_line("way out", way_out_of(report, *first)) +
         run_line("again", report.again);
}

std::string to_json(const RunReport& report) {
  JsonWriter out;
  const CheckResult& checked = report.input.checked;
  out.begin_object().field("schema", std::int64_t{1}).field("verdict", name_of(report.verdict()));
  out.field("backend", std::string_view(report.backend));
  write_device(out, report.device);
  out.field("executes", std::string_view(report.input.name));
  if (!checked.lifecycle) {
    out.field("engine", std::string_view(checked.engine));
    out.field("rules", std::string_view(checked.rules));
  }
  out.key("options");
  write_run_options(out, report.options);
  out.field("model_hidden", report.input.model_hidden);
  out.field("left_out", static_cast<std::int64_t>(report.left_out));
  out.key("planted");
  const std::string& planted = report.planted.text;
  planted.empty() ? out.null() : out.value(std::string_view(planted));
  out.field("planted_event", std::int64_t{report.planted.event}).key("reason");
  const bool open = report.verdict() == Verdict::undecided;
  open ? out.value(std::string_view(undecided_of(report).why)) : out.null();
  write_predicted(out, report.predicted);
  out.key("observed");
  write_observation(out, report.observed, JsonLines::an_event);
  return std::move(out.field("again", std::string_view(report.again)).end_object()).text() + "\n";
}

}  // namespace capsize::cli
