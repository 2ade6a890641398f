// capsize run: one plan executed for real, eager, captured and replayed, and what came of it beside
// what the laws predict.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/command.hpp"
#include "cli/execution.hpp"
#include "cli/run_input.hpp"
#include "cli/run_report.hpp"
#include "runtime/faults.hpp"
#include "runtime/replays.hpp"
#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/junit.hpp"
#include "scenarios/formats/write_file.hpp"

namespace capsize::cli {
namespace {

constexpr std::int64_t kHiddenMost = 4096;
constexpr const char* kDefaultFault = "floor_counts";

constexpr const char* kRunFooter =
    "exit status: 0 nothing failed, 1 something did, 2 bad input, 3 refused by the engine, 4 "
    "nothing was compared, or nothing failed where a law says so\n"
    "one launch:  capsize run --rows-max 256 -- python -m sglang.launch_server ...\n"
    "a scenario:  capsize run scenarios/cases/C01-token-divisibility/sglang-23972.json\n"
    "a fault:     capsize run plan.json --unguarded idle_rank --backend mpi";

struct RunCommand {
  LaunchOptions launch;
  ExecutionOptions execution;
  RunOptions options;
  bool after = false;
  std::string dtype = "bf16";
  std::optional<std::string> unguarded;
  std::optional<std::int64_t> fault_rank;
  std::string junit;
  bool json = false;
  // Whether they were given: what is not used is refused.
  const CLI::Option* dtype_given = nullptr;
  const CLI::Option* hidden_given = nullptr;
};

int report(const RunCommand& command, Error error) { return fail(std::move(error), command.json); }

bool looks_like_a_file(const std::string& word) {
  return word == "-" || word.find_first_of("./") != std::string::npos;
}

// "--unguarded plan.json" names no fault: the word behind it may be what is executed.
Result<void> read_unguarded(RunCommand& command) {
  if (!command.unguarded) {
    if (!command.fault_rank) return {};
    return tl::unexpected(Error{"--fault-rank", "no fault is planted",
                                "add --unguarded wrong_bucket, idle_rank or short_count"});
  }
  std::string word = command.unguarded->empty() ? kDefaultFault : *command.unguarded;
  const auto named = [&word](RunFault fault) { return name_of(fault) == word; };
  const auto faults = std::span(kRunFaults).subspan(1);  // the first is none
  if (std::ranges::none_of(faults, named) && command.launch.file.empty() &&
      looks_like_a_file(word)) {
    command.launch.file = std::exchange(word, kDefaultFault);
  }
  const auto fault = std::ranges::find_if(faults, named);
  if (fault == faults.end()) {
    return tl::unexpected(Error{"--unguarded", "no fault \"" + word + "\" is known",
                                "they are: floor_counts, wrong_bucket, idle_rank, short_count"});
  }
  command.options.unguarded = true;
  command.options.fault = *fault;
  command.options.fault_rank = command.fault_rank.value_or(-1);
  return {};
}

// The options that are not their defaults, for the line to paste.
std::string options_text(const RunCommand& command) {
  const RunOptions& options = command.options;
  const RunOptions plain;
  std::string out = " --backend " + command.execution.backend;
  if (!command.execution.device.empty()) out += " --device " + command.execution.device;
  if (options.type != plain.type) out += " --dtype " + command.dtype;
  if (options.hidden != plain.hidden) out += " --hidden " + std::to_string(options.hidden);
  if (options.seed != plain.seed) out += " --seed " + std::to_string(options.seed);
  if (options.rows_max) out += " --rows-max " + std::to_string(*options.rows_max);
  if (options.every_count) out += " --every-count";
  if (options.unguarded) out.append(" --unguarded ").append(name_of(options.fault));
  if (options.fault_rank >= 0) out += " --fault-rank " + std::to_string(options.fault_rank);
  if (command.execution.deadline) out += fmt::format(" --deadline {}", *command.execution.deadline);
  return out;
}

std::string again_of(const RunCommand& command, const RunInput& input) {
  constexpr std::string_view kCheck = "capsize check";
  const std::string& repro = input.checked.repro;  // a launch: with its words behind --
  const bool piped = command.launch.file == "-";
  if ((piped || command.launch.file.empty()) && !input.checked.lifecycle &&
      repro.starts_with(kCheck)) {
    return "capsize run" + options_text(command) + repro.substr(kCheck.size());
  }
  const std::string out = "capsize run" + input.given + options_text(command);
  return piped ? out + "  # with the same text on standard input" : out;
}

// A launch that has no plan is told as a check tells it.
int told_as_check(const RunCommand& command, const CheckResult& result) {
  if (result.error) return report(command, *result.error);
  const std::string text = command.json ? to_json(result) + "\n" : render(result, colour_wanted());
  return print(text) ? exit_status(result.verdict) : kBadInput;
}

std::size_t larger_than(const Lifecycle& plan, std::optional<std::int64_t> rows_max) {
  if (!rows_max) return 0;
  return static_cast<std::size_t>(std::ranges::count_if(plan.events, [&](const PlanEvent& event) {
    return !event.programs.empty() && event.tokens.value_or(0) > *rows_max;
  }));
}

// Options that would do nothing here are refused, and files that cannot be written before it runs.
Result<void> check_options(const RunCommand& command, const RunInput& input) {
  if (auto can = check_execution(command.execution); !can) return can;
  if (!command.junit.empty()) {
    auto can = can_write_file(command.junit);
    if (!can) return tl::unexpected(std::move(can.error()).within("--junit"));
  }
  const auto refused = [](std::string where, std::string text, std::string hint) {
    return tl::unexpected(Error{std::move(where), std::move(text), std::move(hint)});
  };
  for (const CLI::Option* option : {command.dtype_given, command.hidden_given}) {
    if (option->count() == 0 || !input.plan.layers.empty()) continue;
    return refused(option->get_name(), "the layers are not known: rows are uint32 that differ",
                   "leave it out, or name a launch whose model is known");
  }
  if (command.options.rows_max && input.checked.lifecycle) {
    return refused("--rows-max", "a plan says itself which sizes run, and what needs them first",
                   "leave it out, or take events out of the plan");
  }
  if (command.fault_rank && *command.fault_rank >= input.plan.world) {
    return refused("--fault-rank",
                   "the world has " + std::to_string(input.plan.world) + " ranks, numbered from 0",
                   "name one of them");
  }
  return {};
}

// Fails where the backend cannot be used at all; `out` is what came of the plan.
Result<void> execute_plan(const RunCommand& command, const Lifecycle& plan,
                          Result<Observation>& out, std::optional<DeviceUse>& used) {
  const Jobs jobs{.count = 1,
                  .make =
                      [&](std::size_t) {
                        return RunJob{plan, command.options};
                      },
                  .done = [&](std::size_t, const Result<Observation>& seen) { out = seen; },
                  .used = [&](const DeviceUse& use) { used = use; }};
  return execute_jobs(command.execution, jobs);
}

// What the laws say of the plan as it is executed. What they say of the launch knows its options,
// and so a repair: where both speak of one size, that is told.
std::vector<Predicted> predicted_for(const RunReport& told) {
  std::vector<Predicted> of_input = predicted_of(told.input.checked);
  // A fault in the plan is there for the laws to see; one in the counts is what they speak of. Of
  // sizes that are left out nothing is predicted.
  if (told.left_out == 0 && told.planted.event < 0) return of_input;
  std::vector<Predicted> out = predicted_of(check_plan(told.plan, {}, told.input.name));
  for (Predicted& each : out) {
    const auto same = std::ranges::find_if(of_input, [&](const Predicted& other) {
      return other.law == each.law && other.path == each.path && other.tokens == each.tokens;
    });
    if (same != of_input.end()) each = *same;
  }
  return out;
}

int conclude(const RunCommand& command, const RunReport& told) {
  std::optional<Error> wrong;
  if (!command.junit.empty()) {
    auto written = write_file_atomically(command.junit, to_junit(told.observed, told.input.name));
    if (!written) wrong = std::move(written.error()).within("--junit");
  }
  const std::string text = command.json ? to_json(told) : render(told, colour_wanted());
  if (!print(text)) return kBadInput;
  return wrong ? fail(*wrong) : exit_status(told.verdict());
}

int run(RunCommand command, const Words& words) {
  command.options.type = *element_type_of(command.dtype);
  if (auto read = read_unguarded(command); !read) return report(command, std::move(read.error()));
  auto input = read_run_input(command.launch, words, command.after);
  if (!input) return report(command, std::move(input.error()));
  if (!input->has_plan) return told_as_check(command, input->checked);

  if (auto good = check_options(command, *input); !good) {
    return report(command, std::move(good.error()));
  }
  Lifecycle plan = input->plan;
  const std::size_t left_out = larger_than(plan, command.options.rows_max);
  add_replays(plan, command.options);
  auto planted = plant_fault(plan, command.options);
  if (!planted) return report(command, std::move(planted.error()));
  RunReport told{.input = *input,
                 .options = command.options,
                 .plan = plan,
                 .backend = command.execution.backend,
                 .planted = *std::move(planted),
                 .left_out = left_out,
                 .again = again_of(command, *input)};
  told.predicted = predicted_for(told);
  if (!command.json && !print(heading_of(told))) return kBadInput;
  Result<Observation> observed;
  if (auto ran = execute_plan(command, plan, observed, told.device); !ran) {
    // A plan is no bad input because there is no device here.
    if (command.execution.backend == "emulated") {
      return tell_not_executed(command.execution, ran.error(), command.json);
    }
    return report(command, std::move(ran.error()));
  }
  // Nothing failed and nothing went well: the plan is none that can be executed here.
  if (!observed) return tell_not_executed(command.execution, observed.error(), command.json);
  told.observed = *std::move(observed);
  return conclude(command, told);
}

}  // namespace

Run add_run(CLI::App& app, const Words& words) {
  auto command = std::make_shared<RunCommand>();
  add_launch_options(app, command->launch);
  app.get_option("FILE")->description(
      "a scenario, a plan, or a pasted launch (- for standard input)");
  app.add_flag("--after", command->after, "of a scenario with two plans, the repaired one");
  add_execution_options(app, command->execution);
  command->dtype_given =
      app.add_option("--dtype", command->dtype, "bf16, fp16, fp32 or uint32 (default bf16)")
          ->check(CLI::IsMember({"bf16", "fp16", "fp32", "uint32"}));
  RunOptions& options = command->options;
  command->hidden_given = app.add_option("--hidden", options.hidden, "elements a row (default 16)")
                              ->check(CLI::Range(std::int64_t{1}, kHiddenMost));
  app.add_option("--seed", options.seed, "of weights and tokens (default 1)");
  app.add_option("--rows-max", options.rows_max,
                 "of a launch, leave sizes above this many rows a rank out")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 32));
  app.add_flag("--every-count", options.every_count, "replay every count, not the edges alone");
  app.add_option("--unguarded", command->unguarded,
                 "without checks of counts, and with a fault: floor_counts (default), "
                 "wrong_bucket, idle_rank, short_count")
      ->expected(0, 1);
  app.add_option("--fault-rank", command->fault_rank, "whose fault it is (default: the last rank)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{65535}));
  app.add_flag("--json", command->json, "one JSON object instead of the table");
  app.add_option("--junit", command->junit, "also write the events as JUnit XML to this file");
  app.add_option("--trace", command->execution.trace,
                 "write a JSON line for every operation of every rank to this file");
  app.footer(kRunFooter);
  return [command, &words] { return run(*command, words); };
}

}  // namespace capsize::cli
