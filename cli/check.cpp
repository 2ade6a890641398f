// capsize check: one launch line, a plan file, or a batch of requests, to verdicts.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "cli/command.hpp"
#include "cli/launch_options.hpp"
#include "scenarios/formats/batch.hpp"
#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/plan.hpp"
#include "sim/lowering.hpp"

namespace capsize::cli {
namespace {

struct CheckOptions {
  LaunchOptions launch;
  std::string batch;
  std::string fail_on;
  std::string plan;
  std::vector<std::string> without;
  bool emit_plan = false;
  bool json = false;
};

// What was given, as JSON or as text; a bad input has its place in the JSON too.
int report(const CheckOptions& options, const CheckResult& result) {
  if (!options.json && result.error) return fail(*result.error);
  const std::string text = options.json ? to_json(result) + "\n" : render(result, colour_wanted());
  return print(text) ? exit_status(result.verdict) : kBadInput;
}

int report(const CheckOptions& options, Error error) {
  return report(options, bad_input(options.launch.engine, options.launch.rules, std::move(error)));
}

// The laws that --without names, as the registry spells them.
Result<std::vector<std::string_view>> laws_without(const CheckOptions& options) {
  std::vector<std::string_view> out;
  for (const std::string& name : options.without) {
    const Law* law = find_law(name);
    if (law == nullptr || law->check_plan == nullptr) {
      std::string known;
      for (const Law* each : laws()) {
        if (each->check_plan == nullptr) continue;
        known.append(known.empty() ? "" : ", ").append(each->name);
      }
      return tl::unexpected(
          Error{"--without", "no law \"" + name + "\" judges plans", "they are: " + known});
    }
    out.push_back(law->name);
  }
  return out;
}

int check_plan_file(const CheckOptions& options, const Words& words) {
  if (!words.empty() || !options.launch.file.empty() || !options.batch.empty()) {
    return report(options, Error{"--plan", "a plan is judged alone",
                                 "leave the launch line and --batch out"});
  }
  const LaunchOptions& launch = options.launch;
  if (options.emit_plan || !launch.rules.empty() || !launch.gpu.empty() ||
      !launch.model_config.empty() || !options.fail_on.empty()) {
    return report(options, Error{"--plan", "a plan says all that is judged",
                                 "leave --rules, --gpu, --model-config, --fail-on and --emit-plan "
                                 "to launch lines"});
  }
  auto without = laws_without(options);
  if (!without) return report(options, std::move(without.error()));
  auto plan = read_plan_file(options.plan);
  if (!plan) return report(options, std::move(plan.error()));
  return report(options, check_plan(*std::move(plan), *std::move(without), options.plan));
}

// Writes the lifecycle that the engine's rules make of a launch, as a plan file. A launch that has
// none is reported as by a plain check.
int emit_plan(const CheckOptions& options, const CheckResult& result) {
  const bool has_plan = !result.error && !result.plan.refusal && result.plan.undecided.empty() &&
                        result.plan.deployment.topology != nullptr;
  if (!has_plan) return report(options, result);
  const Lifecycle plan = lower(result.plan.deployment, result.plan.captures, result.plan.start_up);
  return print(write_plan(plan)) ? 0 : kBadInput;
}

int check_one(const CheckOptions& options, const Words& words) {
  auto request = read_request(options.launch, words);
  if (!request) return report(options, std::move(request.error()));
  request->fail_on_waste = options.fail_on == "waste";
  const CheckResult result = check(*request);
  return options.emit_plan ? emit_plan(options, result) : report(options, result);
}

// Reads one line of any length; false at the end of the input.
bool read_line(std::FILE* file, std::string& line) {
  line.clear();
  int c = 0;
  while ((c = std::getc(file)) != EOF && c != '\n') line += static_cast<char>(c);
  return c != EOF || !line.empty();
}

// The verdict that a batch ends with is its worst.
Verdict worse(Verdict a, Verdict b) {
  const auto weight = [](Verdict verdict) {
    switch (verdict) {
      case Verdict::pass: return 0;
      case Verdict::undecided: return 1;
      case Verdict::violation: return 2;
      case Verdict::refused: return 3;
      case Verdict::bad_input: return 4;
    }
    return 4;
  };
  return weight(a) < weight(b) ? b : a;
}

// Every line is answered in its place. Nothing to answer is nothing checked.
int answer_lines(std::FILE* file, const BatchDefaults& defaults, const std::string& name) {
  std::string line;
  std::optional<Verdict> verdict;
  while (read_line(file, line)) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    BatchAnswer answer = answer_batch_line(line, defaults);
    verdict = worse(verdict.value_or(answer.verdict), answer.verdict);
    answer.json.push_back('\n');
    if (!print(answer.json, false)) return kBadInput;
  }
  if (std::ferror(file) != 0) return fail({name, "cannot be read", "name a file, not a folder"});
  if (!print("")) return kBadInput;
  return exit_status(verdict.value_or(Verdict::undecided));
}

int check_batch(const CheckOptions& options) {
  const auto base = read_settings(options.launch);
  if (!base) return fail(base.error());
  const BatchDefaults defaults{options.launch.rules, base->gpu, options.fail_on == "waste"};
  if (options.batch == "-") return answer_lines(stdin, defaults, "standard input");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(options.batch.c_str(), "rb"), [](std::FILE* f) { return std::fclose(f); });
  if (file == nullptr) {
    return fail({options.batch, std::strerror(errno), "name a file of JSON lines, or -"});
  }
  return answer_lines(file.get(), defaults, options.batch);
}

}  // namespace

Run add_check(CLI::App& app, const Words& words) {
  auto options = std::make_shared<CheckOptions>();
  add_launch_options(app, options->launch);
  app.add_option("--batch", options->batch, "requests as JSON lines (- for standard input)");
  app.add_option("--fail-on", options->fail_on, "waste: exit 1 if a usable size is dropped")
      ->check(CLI::IsMember({"waste"}));
  app.add_option("--plan", options->plan,
                 "judge a plan file (- for standard input) instead of a launch");
  app.add_option("--without", options->without, "with --plan: laws that are switched off")
      ->delimiter(',');
  app.add_flag("--emit-plan", options->emit_plan,
               "write the plan that the engine's rules make of the launch");
  app.add_flag("--json", options->json, "one JSON object instead of text");
  app.footer(
      "behind -- stands the launch line: capsize check -- python -m sglang.launch_server ...");
  return [options, &words] {
    if (!options->plan.empty()) return check_plan_file(*options, words);
    return options->batch.empty() ? check_one(*options, words) : check_batch(*options);
  };
}

}  // namespace capsize::cli
