// capsize explain: where the rows of one forward go, operation by operation and rank by rank, and
// where they break; for a launch, a path and a token count, or for an event of a plan file.
#include "scenarios/explain/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/command.hpp"
#include "cli/launch_options.hpp"
#include "scenarios/explain/svg.hpp"
#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/write_file.hpp"
#include "sim/lowering.hpp"

namespace capsize::cli {
namespace {

struct ExplainOptions {
  LaunchOptions launch;
  std::string path = "prefill";
  std::int64_t tokens = 0;
  std::string plan;
  std::optional<std::int64_t> event;
  std::string svg;
  bool json = false;
};

// A lifecycle with the event to explain.
struct Subject {
  std::shared_ptr<const Lifecycle> plan;
  std::int32_t event = -1;
  std::string headline;  // how a launch's count finds its event; empty for a plan
};

Error no_event(const Lifecycle& plan) {
  return {"--event", "there is no such event with programs",
          "the plan has events 0 to " + std::to_string(std::ssize(plan.events) - 1) +
              "; those of kind warm_up, capture, replay and eager run programs"};
}

// The event that is named, or the first in which a law is broken, or the first that runs anything.
Result<std::int32_t> event_of(const ExplainOptions& options, const Timeline& timeline,
                              const std::vector<StandingBreach>& breaches) {
  const auto runs = [&](std::int64_t event) {
    return event >= 0 && event < std::ssize(timeline.events()) &&
           !timeline.events()[static_cast<std::size_t>(event)].runnings.empty();
  };
  if (options.event) {
    if (!runs(*options.event)) return tl::unexpected(no_event(timeline.lifecycle()));
    return static_cast<std::int32_t>(*options.event);
  }
  std::int32_t first = -1;
  for (const StandingBreach& each : breaches) {
    const std::int32_t at = each.breach.event;
    if (runs(at) && (first < 0 || at < first)) first = at;
  }
  if (first >= 0) return first;
  for (std::int32_t i = 0; i < std::ssize(timeline.events()); ++i) {
    if (runs(i)) return i;
  }
  return tl::unexpected(no_event(timeline.lifecycle()));
}

// One event of a launch: the capture of the size that `tokens` runs at, and its replay where the
// size is larger.
Subject graph_event(const CapturePath& path, std::int64_t size, std::int64_t tokens) {
  auto plan = std::make_shared<Lifecycle>();
  plan->world = path.step->plan.topology->world;
  StepLowering step(path.step->plan, *plan);
  PlanEvent capture = event_at(path, step, size, PlanEventKind::capture, true);
  PlanEvent replay{.kind = PlanEventKind::replay, .path = capture.path, .tokens = tokens};
  for (const Program& program : capture.programs) {
    Program& replayed = replay.programs.emplace_back(program);
    replayed.ops.clear();
    replayed.blocks.clear();
    replayed.tokens = tokens;
  }
  const bool exact = tokens == *capture.tokens;
  Subject subject{.event = exact ? 0 : 1};
  subject.headline = exact
                         ? fmt::format("{} tokens are captured", tokens)
                         : fmt::format("{} tokens run in the graph of {}", tokens, *capture.tokens);
  plan->events.push_back(std::move(capture));
  if (!exact) plan->events.push_back(std::move(replay));
  subject.plan = std::move(plan);
  return subject;
}

Subject eager_event(const EagerPath& path, std::int64_t tokens) {
  auto plan = std::make_shared<Lifecycle>();
  plan->world = path.step->plan.topology->world;
  StepLowering step(path.step->plan, *plan);
  const std::int64_t rows = path.padded(tokens);
  PlanEvent event{.kind = PlanEventKind::eager, .path = std::string(path.name), .tokens = tokens};
  event.programs = step.programs_at(rows);
  for (Program& program : event.programs) {
    program.mode = GraphMode::eager;
    program.tokens = tokens;
    program.bucket = rows;
  }
  plan->events.push_back(std::move(event));
  Subject subject{.plan = std::move(plan), .event = 0};
  subject.headline = rows == tokens
                         ? fmt::format("{} tokens run eager", tokens)
                         : fmt::format("{} tokens run eager, padded to {}", tokens, rows);
  return subject;
}

Result<Subject> eager_subject(const CapturePlan& captures, const std::string& name,
                              std::int64_t tokens) {
  const auto path = std::ranges::find(captures.eager, std::string_view(name), &EagerPath::name);
  if (path == captures.eager.end()) {
    return tl::unexpected(Error{"--path",
                                "no graph serves " + std::to_string(tokens) + " tokens, and \"" +
                                    name + "\" is not modelled",
                                "try another --path or --tokens"});
  }
  if (!path->undecided.empty()) return tl::unexpected(Error{"--path", path->undecided, ""});
  return eager_event(*path, tokens);
}

Result<Subject> launch_subject(const ExplainOptions& options, const CapturePlan& captures) {
  if (options.path.starts_with("eager_")) {
    return eager_subject(captures, options.path, options.tokens);
  }
  const auto path =
      std::ranges::find(captures.paths, std::string_view(options.path), &CapturePath::name);
  if (path == captures.paths.end()) {
    return tl::unexpected(Error{"--path", "there is no path \"" + options.path + "\"",
                                "the paths are prefill, decode, eager_prefill, eager_decode"});
  }
  if (!path->undecided.empty()) return tl::unexpected(Error{"--path", path->undecided, ""});
  if (path->enabled) {
    const std::int64_t size = div_ceil(options.tokens, path->width.value);
    const auto at = path->lookup(path->kept, size);
    if (at && *at != kLookupFails) return graph_event(*path, *at, options.tokens);
  }
  return eager_subject(captures, "eager_" + options.path, options.tokens);
}

// ---- text -----------------------------------------------------------------------------------

std::string rows_text(const ExplainedRows& rows) {
  std::string in;
  for (const std::int64_t each : rows.in) {
    const std::string one = std::to_string(each);
    if (in == one) continue;
    in.append(in.empty() ? "" : " + ").append(one);
  }
  if (rows.out < 0) return in;
  const std::string out = std::to_string(rows.out);
  return in.empty() || in == out ? out : in + " -> " + out;
}

// "28 -> 4" where all classes agree, else "A 28 -> 4, B 28 -> 3"; equal neighbours share a letter
// range.
std::string rows_of(const Explanation& explanation, const ExplainedTrack& track,
                    const ExplainedOp& op) {
  std::string text;
  for (std::size_t i = 0; i < op.rows.size();) {
    std::size_t end = i + 1;
    while (end < op.rows.size() && op.rows[end] == op.rows[i]) ++end;
    if (i == 0 && end == op.rows.size()) return rows_text(op.rows[0]);
    const auto name = [&](std::size_t at) {
      return explanation.classes[static_cast<std::size_t>(track.classes[at])].name;
    };
    text.append(text.empty() ? "" : ", ").append(name(i));
    if (end > i + 1) text.append("-").append(name(end - 1));
    text.append(" ").append(rows_text(op.rows[i]));
    i = end;
  }
  return text;
}

std::string over_text(const ExplainedOp& op) {
  if (!op.peer.empty()) return op.peer;
  return op.group.empty() ? "" : fmt::format("{} ({})", op.group, op.group_size);
}

void add_table(std::string& out, const Explanation& explanation, const ExplainedTrack& track,
               bool colour) {
  std::size_t over = 4;
  std::size_t rows = 4;
  std::size_t name = 9;
  for (const ExplainedBlock& block : track.blocks) {
    for (const ExplainedOp& op : block.ops) {
      name = std::max(name, op.name.size());
      over = std::max(over, over_text(op).size());
      rows = std::max(rows, rows_of(explanation, track, op).size());
    }
  }
  out += fmt::format("    {:<{}}  {:<{}}  {:<{}}  {}\n", "operation", name, "over", over, "rows",
                     rows, "layout");
  for (const ExplainedBlock& block : track.blocks) {
    if (!block.title.empty()) out += fmt::format("  {}\n", block.title);
    for (const ExplainedOp& op : block.ops) {
      std::string line = fmt::format("{:<{}}  {:<{}}  {:<{}}  {}", op.name, name, over_text(op),
                                     over, rows_of(explanation, track, op), rows, op.layout);
      while (line.back() == ' ') line.pop_back();
      std::string marks;
      for (const int each : op.breaches) marks += fmt::format("  [{}]", each);
      if (marks.empty()) {
        out += "    " + line + "\n";
      } else {
        out += colour ? fmt::format("\x1b[31m  x {}{}\x1b[0m\n", line, marks)
                      : fmt::format("  x {}{}\n", line, marks);
      }
    }
  }
}

std::string class_text(const Explanation& explanation, const ExplainedTrack& track) {
  std::string out;
  for (const std::int32_t place : track.classes) {
    const ExplainedClass& each = explanation.classes[static_cast<std::size_t>(place)];
    const std::string name = explanation.classes.size() > 1 ? each.name + "  " : "";
    out += fmt::format("{}{}: {}\n", name, ranks_text(each.ranks), each.runs);
  }
  return out;
}

std::string text_of(const Subject& subject, const Explanation& explanation, bool colour) {
  std::string out = subject.headline.empty() ? "" : subject.headline + "\n";
  out += explanation.headline + "\n";
  for (const ExplainedTrack& track : explanation.tracks) {
    out += "\n" + class_text(explanation, track);
    if (!track.blocks.empty()) add_table(out, explanation, track, colour);
  }
  out += "\n";
  for (const ExplainedBreach& each : explanation.breaches) {
    out +=
        fmt::format("[{}] {} ({}): {}\n", each.number, each.law, name_of(each.symptom), each.text);
  }
  const std::size_t broken = explanation.breaches.size();
  return out + (broken == 0 ? "PASS  nothing breaks in this event\n"
                            : fmt::format("VIOLATION  {} {} in this event\n", broken,
                                          broken == 1 ? "thing breaks" : "things break"));
}

// ---- JSON -----------------------------------------------------------------------------------

void write_op(JsonWriter& out, const ExplainedOp& op) {
  out.begin_object().field("op", op.name);
  if (!op.group.empty()) out.field("group", op.group).field("group_size", op.group_size);
  if (!op.peer.empty()) out.field("peer", op.peer);
  if (!op.layout.empty()) out.field("layout", op.layout);
  out.field("captured", op.captured).key("rows").begin_array();
  for (const ExplainedRows& rows : op.rows) {
    out.begin_object().key("in").array(rows.in).key("out");
    if (rows.out < 0) {
      out.null();
    } else {
      out.value(rows.out);
    }
    out.end_object();
  }
  out.end_array().key("breaches").begin_array();
  for (const int each : op.breaches) out.value(std::int64_t{each});
  out.end_array().end_object();
}

std::string json_of(const Subject& subject, const Explanation& explanation) {
  JsonWriter out;
  out.begin_object().field("schema", std::int64_t{1});
  out.field("verdict", explanation.breaches.empty() ? "pass" : "violation");
  out.field("headline", explanation.headline).field("found_by", subject.headline);
  out.key("classes").begin_array();
  for (const ExplainedClass& each : explanation.classes) {
    out.begin_object().field("name", each.name).field("ranks", each.ranks.text());
    out.field("runs", each.runs).end_object();
  }
  out.end_array().key("tracks").begin_array();
  for (const ExplainedTrack& track : explanation.tracks) {
    out.begin_object().key("classes").begin_array();
    for (const std::int32_t place : track.classes) {
      out.value(explanation.classes[static_cast<std::size_t>(place)].name);
    }
    out.end_array().key("blocks").begin_array();
    for (const ExplainedBlock& block : track.blocks) {
      out.begin_object().field("title", block.title).key("ops").begin_array();
      for (const ExplainedOp& op : block.ops) write_op(out, op);
      out.end_array().end_object();
    }
    out.end_array().end_object();
  }
  out.end_array().key("breaches").begin_array();
  for (const ExplainedBreach& each : explanation.breaches) {
    out.begin_object().field("number", std::int64_t{each.number}).field("law", each.law);
    out.field("symptom", name_of(each.symptom)).field("text", each.text).end_object();
  }
  return std::move(out.end_array().end_object()).text() + "\n";
}

// ---- the command ----------------------------------------------------------------------------

int show(const ExplainOptions& options, Subject subject) {
  const Timeline timeline(*subject.plan);
  const auto breaches = standing_breaches(timeline);
  if (subject.event < 0) {
    auto event = event_of(options, timeline, breaches);
    if (!event) return fail(std::move(event.error()), options.json);
    subject.event = *event;
  }
  const Explanation explanation =
      explain(timeline, timeline.events()[static_cast<std::size_t>(subject.event)], breaches);
  if (!options.svg.empty()) {
    auto written = write_file_atomically(options.svg, svg_of(explanation));
    if (!written) {
      return fail(std::move(written.error()).within("--svg"), options.json);
    }
  }
  const std::string text =
      options.json ? json_of(subject, explanation) : text_of(subject, explanation, colour_wanted());
  if (!print(text)) return kBadInput;
  return exit_status(explanation.breaches.empty() ? Verdict::pass : Verdict::violation);
}

int explain_plan(const ExplainOptions& options, const Words& words) {
  if (!words.empty()) {
    return fail({"--plan", "a plan is explained alone", "leave the launch line out"}, options.json);
  }
  if (options.tokens != 0 || options.path != "prefill") {
    return fail(
        {"--plan", "a plan's events say their own path and tokens", "choose one with --event"},
        options.json);
  }
  auto plan = read_plan_file(options.plan);
  if (!plan) return fail(std::move(plan.error()), options.json);
  return show(options, {.plan = std::make_shared<const Lifecycle>(*std::move(plan))});
}

int explain_launch(const ExplainOptions& options, const Words& words) {
  if (options.event) {
    return fail({"--event", "chooses an event of a plan file", "say --tokens and --path"},
                options.json);
  }
  if (options.tokens < 1) {
    return fail({"--tokens", "says how many tokens the forward presents: a count from 1 on",
                 "capsize explain --tokens 28 -- python -m sglang.launch_server ..."},
                options.json);
  }
  auto request = read_request(options.launch, words);
  if (!request) return fail(std::move(request.error()), options.json);
  request->try_repairs = false;
  const CheckResult result = check(*request);
  const bool judged = !result.error && !result.plan.refusal && result.plan.undecided.empty() &&
                      result.undecided.empty();
  if (!judged) {
    const std::string told =
        options.json ? to_json(result) + "\n" : render(result, colour_wanted());
    return result.error ? fail(*result.error, options.json)
                        : (print(told) ? exit_status(result.verdict) : kBadInput);
  }
  auto subject = launch_subject(options, result.plan.captures);
  if (!subject) return fail(std::move(subject.error()), options.json);
  return show(options, *std::move(subject));
}

}  // namespace

Run add_explain(CLI::App& app, const Words& words) {
  auto options = std::make_shared<ExplainOptions>();
  add_launch_options(app, options->launch);
  app.add_option("--tokens", options->tokens, "tokens that the forward presents");
  app.add_option("--path", options->path, "prefill, decode, eager_prefill or eager_decode");
  app.add_option("--plan", options->plan, "explain an event of a plan file (- for standard input)");
  app.add_option("--event", options->event,
                 "with --plan: which event, from 0 (default: the first that breaks a law)");
  app.add_option("--svg", options->svg, "also draw it into this file");
  app.add_flag("--json", options->json, "one JSON object instead of text");
  app.footer(
      "behind -- stands the launch line: capsize explain --tokens 28 -- python -m "
      "sglang.launch_server ...");
  return [options, &words] {
    return options->plan.empty() ? explain_launch(*options, words) : explain_plan(*options, words);
  };
}

}  // namespace capsize::cli
