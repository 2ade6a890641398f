// capsize agree: few members of a universe that cover it, executed for real; what was predicted of
// every captured size beside what was observed, as a confusion matrix.
#include <fmt/format.h>

#include <chrono>
#include <memory>

#include "cli/command.hpp"
#include "cli/execution.hpp"
#include "cli/progress.hpp"
#include "cli/ranks.hpp"
#include "cli/sweep_report.hpp"
#include "scenarios/agree/agreement.hpp"
#include "scenarios/agree/disagreements.hpp"
#include "scenarios/agree/parts.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/universe.hpp"
#include "scenarios/sweep/failures.hpp"

namespace capsize::cli {
namespace {

constexpr unsigned kAgreeThreadsMax = 1024;
constexpr std::size_t kAgreeLabel = 13;
constexpr std::size_t kDisagreementsShown = 8;

constexpr const char* kAgreeFooter =
    "exit status: 0 all sizes agree, of both signs; 1 some do not; 2 bad input; 4 nothing ran, or "
    "one sign is missing\n"
    "example: capsize agree pr23972 --strength 2 --rows-max 64\n"
    "         capsize agree pr23972 --strength 2 --backend mpi --where \"tp <= 8\" --rows-max 256";

struct AgreeCommand {
  std::string universe;
  CoveringRequest covering;
  std::string where;
  std::string part_text;
  AgreePart part;
  ExecutionOptions execution;
  RunOptions run;
  std::string failures;
  bool json = false;
};

struct Told {
  const AgreeCommand& command;
  const Universe& universe;
  Agreement agreement;
  WrittenFailures written;
  std::optional<DeviceUse> device;  // where the backend has one
  double seconds = 0;
};

std::string agree_line(std::string_view label, std::string_view text) {
  return fmt::format("{:<{}}{}\n", label, kAgreeLabel, text);
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string again_of(const AgreeCommand& command) {
  std::string out = "capsize agree " + shell_quoted(command.universe) + " --strength " +
                    std::to_string(command.covering.strength) + " --backend " +
                    command.execution.backend;
  if (!command.execution.device.empty()) out += " --device " + command.execution.device;
  if (!command.where.empty()) out += " --where " + shell_quoted(command.where);
  if (command.run.rows_max) out += " --rows-max " + std::to_string(*command.run.rows_max);
  if (!command.part_text.empty()) out += " --part " + command.part_text;
  const RankBounds& ranks = command.part.ranks;
  if (ranks.at_least > 0) out += " --ranks-min " + std::to_string(ranks.at_least);
  if (ranks.at_most) out += " --ranks-max " + std::to_string(*ranks.at_most);
  return out;
}

bool is_part(const AgreeCommand& command) {
  const RankBounds& ranks = command.part.ranks;
  return command.part.of > 1 || ranks.at_least > 0 || ranks.at_most;
}

std::string part_of(const AgreeCommand& command) {
  const RankBounds& ranks = command.part.ranks;
  std::string out = fmt::format("{} of {}", command.part.number, command.part.of);
  if (ranks.at_least > 0) out += fmt::format(", of {} ranks or more", ranks.at_least);
  if (ranks.at_most) out += fmt::format(", of {} ranks or less", *ranks.at_most);
  return out;
}

std::string heading_of(const AgreeCommand& command, const Universe& universe, std::size_t rows) {
  const auto line = [](std::string_view label, std::string_view text) {
    return "# " + agree_line(label, text);
  };
  std::string out = "# " + program() + "\n";
  out += line("universe", universe.name + ": " + universe.title);
  if (!command.where.empty()) out += line("where", command.where);
  out += line("members", fmt::format("{} that hold every combination of any {}", grouped(rows),
                                     command.covering.strength == 1
                                         ? "axis"
                                         : fmt::format("{} axes", command.covering.strength)));
  if (is_part(command)) out += line("part", part_of(command));
  out += line("backend", command.execution.backend);
  out += line("data", fmt::format("{}, {} elements a row, seed {}; exact: tolerance 0",
                                  name_of(command.run.type), command.run.hidden, command.run.seed));
  if (command.run.rows_max) {
    out += line("rows", fmt::format("sizes above {} a rank are left out", *command.run.rows_max));
  }
  return out;
}

// ---- the result ---------------------------------------------------------------------------------

// Symptoms that were predicted or observed, "ok" first.
std::vector<Symptom> symptoms_of(const Agreement& agreement) {
  std::vector<Symptom> out;
  for (std::size_t i = 0; i < kSymptomCount; ++i) {
    const auto symptom = static_cast<Symptom>(i);
    std::uint64_t sizes = 0;
    for (std::size_t j = 0; j < kSymptomCount; ++j) {
      const auto other = static_cast<Symptom>(j);
      sizes += agreement.count(symptom, other) + agreement.count(other, symptom);
    }
    if (sizes > 0 || symptom == Symptom::none) out.push_back(symptom);
  }
  return out;
}

std::string signs_of(const Agreement& agreement) {
  const std::uint64_t both_fit = agreement.count(Symptom::none, Symptom::none);
  const std::uint64_t both_fail = agreement.agreed_on_fit() - both_fit;
  return table(
      {{"#", "predicted", "observed ok", "observed fails"},
       {"", "ok", grouped(both_fit), grouped(agreement.predicted_to_fit() - both_fit)},
       {"", "fails", grouped(agreement.predicted_to_fail() - both_fail), grouped(both_fail)}},
      {false, false, true, true});
}

std::string matrix_of(const Agreement& agreement) {
  const std::vector<Symptom> symptoms = symptoms_of(agreement);
  std::vector<std::vector<std::string>> rows = {{"#", "predicted"}};
  std::vector<bool> right = {false, false};
  for (const Symptom observed : symptoms) {
    rows.front().push_back("observed " + word_of(observed));
    right.push_back(true);
  }
  for (const Symptom predicted : symptoms) {
    auto& row = rows.emplace_back(std::vector<std::string>{"", word_of(predicted)});
    for (const Symptom observed : symptoms)
      row.push_back(grouped(agreement.count(predicted, observed)));
  }
  return "# captured sizes, by whether they fit\n" + signs_of(agreement) +
         "# and by how they fail: the first failure of each size\n" + table(rows, right);
}

std::string members_of(const Agreement& a) {
  return fmt::format(
      "{}: {} executed ({} that differ), {} refused, {} undecided, {} capture "
      "nothing within the cap",
      grouped(a.members), grouped(a.executed), grouped(a.jobs), grouped(a.refused),
      grouped(a.undecided), grouped(a.without_graphs));
}

std::string disagreements_of(const Told& told) {
  std::string out;
  const auto& all = told.agreement.disagreements;
  for (std::size_t i = 0; i < std::min(all.size(), kDisagreementsShown); ++i) {
    const Disagreement& each = all[i];
    out += agree_line(
        i == 0 ? "disagree" : "",
        fmt::format("member {}, {} at size {}: predicted {}, observed {}{}", each.member,
                    each.predicted.path, each.predicted.size, word_of(each.predicted.symptom),
                    word_of(each.observed), each.text.empty() ? "" : " (" + each.text + ")"));
  }
  if (all.size() > kDisagreementsShown) {
    out += agree_line("", fmt::format("and {} more", all.size() - kDisagreementsShown));
  }
  const auto& errors = told.agreement.errors;
  if (!errors.empty()) {
    const auto& [member, error] = errors.front();
    out += agree_line("not run", fmt::format("{} members; member {}: {}: {}", errors.size(), member,
                                             error.where, error.text));
  }
  if (told.agreement.died > 0) {
    out += agree_line("died", fmt::format("a rank, in {} sizes; {}", grouped(told.agreement.died),
                                          told.agreement.death));
    out += agree_line("way out", kDeathWayOut);
  }
  return out;
}

std::string verdict_line(const Told& told, bool colour) {
  const Agreement& a = told.agreement;
  const auto line = [&](std::string_view word, std::string_view code, const std::string& text) {
    const std::string painted =
        colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, word) : std::string(word);
    return fmt::format("{}  {} on {}: {}\n", painted, told.universe.name,
                       told.command.execution.backend, text);
  };
  switch (verdict_of(a)) {
    case Verdict::pass:
      return line("PASS", "1;32",
                  fmt::format("what was predicted is what was observed of {} sizes: {} fit, {} do "
                              "not",
                              grouped(a.compared()), grouped(a.predicted_to_fit()),
                              grouped(a.predicted_to_fail())));
    case Verdict::violation:
      return line("VIOLATION", "1;31",
                  fmt::format("{} of {} sizes do not do what was predicted",
                              grouped(a.compared() - a.agreed()), grouped(a.compared())));
    default: break;
  }
  std::string why = "nothing was executed";
  if (!a.errors.empty()) {
    why = fmt::format("{} members could not be executed", grouped(a.errors.size()));
  } else if (a.unseen > 0) {
    why = fmt::format("{} sizes were not observed", grouped(a.unseen));
  } else if (a.died > 0) {
    why = fmt::format("a rank died in {} sizes, which decides nothing", grouped(a.died));
  } else if (a.compared() > 0) {
    why = a.predicted_to_fit() == 0 ? "no size fits: one sign alone decides nothing"
                                    : "every size fits: one sign alone decides nothing";
  }
  return line("UNDECIDED", "1;33", why);
}

std::string rendered(const Told& told, bool colour) {
  const Agreement& a = told.agreement;
  std::string out = "#\n" + matrix_of(a) + "\n";
  out += agree_line("members", members_of(a));
  std::string sizes = fmt::format("{} executed", grouped(a.compared()));
  if (told.command.run.rows_max) {
    sizes += fmt::format("; {} above {} rows a rank left out", grouped(a.left_out),
                         *told.command.run.rows_max);
  }
  if (a.unjudged > 0) sizes += fmt::format("; of {} nothing is predicted", grouped(a.unjudged));
  out += agree_line("sizes", sizes);
  out +=
      agree_line("events", fmt::format("{}, of them {} replays; {} operations", grouped(a.events),
                                       grouped(a.replays), grouped(a.operations)));
  out += agree_line(
      "agreement",
      fmt::format("{:.2f} % on whether they fit, {:.2f} % on how they fail: {} "
                  "predicted to fit, {} to fail",
                  percent(a.agreed_on_fit(), a.compared()), percent(a.agreed(), a.compared()),
                  grouped(a.predicted_to_fit()), grouped(a.predicted_to_fail())));
  if (told.device) out += agree_line("device", told.device->text());
  out += agree_line("time", fmt::format("{:.1f} s", told.seconds));
  out += disagreements_of(told);
  if (!told.written.files.empty()) {
    out += agree_line("scenarios",
                      fmt::format("{} written; again: capsize run {}", told.written.files.size(),
                                  shell_quoted(told.written.files.front())));
  }
  if (verdict_of(a) != Verdict::pass) out += agree_line("again", again_of(told.command));
  return out + verdict_line(told, colour);
}

void write_matrix(JsonWriter& out, const Agreement& agreement) {
  out.key("sizes").begin_array();
  for (std::size_t i = 0; i < kSymptomCount; ++i) {
    for (std::size_t j = 0; j < kSymptomCount; ++j) {
      if (agreement.sizes[i][j] == 0) continue;
      out.next_line().begin_object().field("predicted", name_of(static_cast<Symptom>(i)));
      out.field("observed", name_of(static_cast<Symptom>(j)));
      out.field("count", static_cast<std::int64_t>(agreement.sizes[i][j])).end_object();
    }
  }
  out.end_array();
}

std::string to_json(const Told& told) {
  const Agreement& a = told.agreement;
  const auto number = [](auto count) { return static_cast<std::int64_t>(count); };
  JsonWriter out;
  out.begin_object().field("schema", std::int64_t{1}).field("verdict", name_of(verdict_of(a)));
  out.field("universe", std::string_view(told.universe.name));
  out.field("backend", std::string_view(told.command.execution.backend));
  write_device(out, told.device);
  out.field("strength", number(told.command.covering.strength)).key("where");
  told.command.where.empty() ? out.null() : out.value(std::string_view(told.command.where));
  out.key("part");
  is_part(told.command) ? out.value(part_of(told.command)) : out.null();
  out.key("options");
  write_run_options(out, told.command.run);
  out.key("members").begin_object().field("all", number(a.members));
  out.field("executed", number(a.executed)).field("distinct", number(a.jobs));
  out.field("refused", number(a.refused)).field("undecided", number(a.undecided));
  out.field("without_graphs", number(a.without_graphs)).field("not_run", number(a.errors.size()));
  out.end_object();
  write_matrix(out, a);
  out.field("compared", number(a.compared())).field("agreed", number(a.agreed()));
  out.field("agreed_on_fit", number(a.agreed_on_fit()));
  out.field("predicted_to_fit", number(a.predicted_to_fit()));
  out.field("predicted_to_fail", number(a.predicted_to_fail()));
  out.field("left_out", number(a.left_out)).field("unseen", number(a.unseen));
  out.field("unjudged", number(a.unjudged)).field("died", number(a.died));
  out.field("events", number(a.events)).field("replays", number(a.replays));
  out.field("operations", number(a.operations));
  out.field("milliseconds", static_cast<std::int64_t>(told.seconds * 1000));
  out.key("disagreements").begin_array();
  for (const Disagreement& each : a.disagreements) {
    out.next_line().begin_object().field("member", std::string_view(std::to_string(each.member)));
    out.field("path", std::string_view(each.predicted.path)).field("size", each.predicted.size);
    out.field("predicted", name_of(each.predicted.symptom))
        .field("observed", name_of(each.observed));
    out.field("text", std::string_view(each.text)).end_object();
  }
  out.end_array().key("scenarios").array(told.written.files);
  return std::move(out.field("again", std::string_view(again_of(told.command))).end_object())
             .text() +
         "\n";
}

// ---- the work -----------------------------------------------------------------------------------

Result<Universe> universe_of(AgreeCommand& command) {
  auto universe = find_universe(command.universe);
  if (!universe || command.where.empty()) return universe;
  auto where = Condition::parse(command.where, universe->axes, universe->derived);
  if (!where) return tl::unexpected(std::move(where.error()).within("--where"));
  command.covering.where = *std::move(where);
  return universe;
}

Result<Agreement> agree(const AgreeCommand& command, const Universe& universe,
                        std::span<const MemberChoices> rows, std::optional<DeviceUse>& used) {
  AgreeOptions options{.run = command.run};
  options.threads =
      command.execution.threads != 0 ? command.execution.threads : default_threads(nullptr);
  AgreePlan plan = plan_agreement(universe, rows, options);
  if (is_part(command)) keep_part(plan, command.part);
  std::vector<JobOutcome> outcomes(plan.jobs.size());
  Progress progress(!command.json, plan.jobs.size());
  const auto make = [&](std::size_t job) {
    return job_of_member(universe, plan.members[plan.jobs[job]].number, command.run);
  };
  const auto done = [&](std::size_t job, const Result<Observation>& seen) {
    outcomes[job] = outcome_of(seen);
  };
  const auto show = [&](std::size_t through) { progress.show(through, through); };
  const Jobs jobs{.count = plan.jobs.size(),
                  .make = make,
                  .done = done,
                  .progress = show,
                  .used = [&](const DeviceUse& use) { used = use; },
                  .smaller = "--where \"tp <= 8\""};
  if (auto ran = execute_jobs(command.execution, jobs); !ran) {
    return tl::unexpected(std::move(ran.error()));
  }
  Agreement agreement = agreement_of(plan, outcomes);
  agreement.whole = !is_part(command);
  return agreement;
}

Result<WrittenFailures> write_scenarios(const AgreeCommand& command, const Universe& universe,
                                        const Agreement& agreement) {
  if (command.failures.empty()) return WrittenFailures{};
  auto scenarios = scenarios_of(universe, agreement, command.execution.backend);
  if (!scenarios) return tl::unexpected(std::move(scenarios.error()));
  auto written = write_failures(command.failures, kAgreePrefix, universe, *scenarios);
  if (!written) return tl::unexpected(std::move(written.error()).within("--failures"));
  return written;
}

int run(AgreeCommand command) {
  if (!command.part_text.empty()) {
    const auto part = parse_part(command.part_text);
    if (!part) return fail(part.error(), command.json);
    command.part.number = part->number;
    command.part.of = part->of;
  }
  if (auto can = check_execution(command.execution); !can) {
    return fail(std::move(can.error()), command.json);
  }
  auto universe = universe_of(command);
  if (!universe) return fail(std::move(universe.error()), command.json);
  const auto array = covering_array(*universe, command.covering);
  if (!array) return fail(array.error(), command.json);
  if (!command.failures.empty()) {
    if (auto made = make_failures_folder(command.failures); !made) {
      return fail(std::move(made.error()).within("--failures"), command.json);
    }
  }
  if (!command.json && !print(heading_of(command, *universe, array->rows.size()))) {
    return kBadInput;
  }
  const auto begin = std::chrono::steady_clock::now();
  std::optional<DeviceUse> used;
  auto agreement = agree(command, *universe, array->rows, used);
  if (!agreement) {
    return command.execution.backend == "emulated"
               ? tell_not_executed(command.execution, agreement.error(), command.json)
               : fail(std::move(agreement.error()), command.json);
  }
  Told told{command, *universe, *std::move(agreement)};
  const auto took = std::chrono::steady_clock::now() - begin;
  told.device = used;
  told.seconds = std::chrono::duration<double>(took).count();
  auto written = write_scenarios(command, *universe, told.agreement);
  if (written) told.written = *written;
  if (!print(command.json ? to_json(told) : rendered(told, colour_wanted()))) return kBadInput;
  return written ? exit_status(verdict_of(told.agreement)) : fail(written.error());
}

}  // namespace

Run add_agree(CLI::App& app) {
  auto command = std::make_shared<AgreeCommand>();
  app.add_option("UNIVERSE", command->universe, "a universe of capsize, or a file")->required();
  app.add_option("--strength", command->covering.strength,
                 "t: every combination of values of any t axes is executed (default 2)");
  app.add_option("--where", command->where, "only members for which this holds: \"tp <= 8\"");
  app.add_option("--part", command->part_text,
                 "K/N: one of N parts of about equal work (capsize matrix --gpus counts them)");
  app.add_option("--ranks-min", command->part.ranks.at_least,
                 "only members whose launch has this many ranks or more")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 32));
  app.add_option("--ranks-max", command->part.ranks.at_most,
                 "only members whose launch has this many ranks or less")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 32));
  add_execution_options(app, command->execution);
  app.add_option("--rows-max", command->run.rows_max, "leave sizes above this many rows a rank out")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 32));
  app.add_option("--threads", command->execution.threads,
                 "reference, emulated: members at once (default: one a processor; of a GPU 4)")
      ->check(CLI::Range(1U, kAgreeThreadsMax));
  app.add_option("--failures", command->failures,
                 "write disagreements as scenario files to this folder");
  app.add_flag("--json", command->json, "one JSON object instead of the tables");
  app.footer(kAgreeFooter);
  return [command] { return run(*command); };
}

}  // namespace capsize::cli
