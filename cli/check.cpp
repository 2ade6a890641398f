// capsize check: one launch line, or a batch of requests, to verdicts.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "cli/command.hpp"
#include "scenarios/formats/batch.hpp"
#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/model_config.hpp"

namespace capsize::cli {
namespace {

constexpr std::size_t kLaunchBytes = std::size_t{1} << 20;
constexpr std::size_t kConfigBytes = std::size_t{16} << 20;

struct CheckOptions {
  std::string engine = "sglang";
  std::string rules;
  std::string gpu;
  std::string model_config;
  std::string batch;
  std::string file;
  std::string fail_on;
  bool json = false;
};

// What was given, as JSON or as text; a bad input has its place in the JSON too.
int report(const CheckOptions& options, const CheckResult& result) {
  if (!options.json && result.error) return fail(*result.error);
  const std::string text = options.json ? to_json(result) + "\n" : render(result, colour_wanted());
  return print(text) ? exit_status(result.verdict) : kBadInput;
}

int report(const CheckOptions& options, Error error) {
  return report(options, bad_input(options.engine, options.rules, std::move(error)));
}

Result<CheckRequest> read_options(const CheckOptions& options) {
  CheckRequest request;
  request.engine = options.engine;
  request.rules = options.rules;
  request.fail_on_waste = options.fail_on == "waste";
  if (!options.gpu.empty()) {
    auto gpu = gpu_of(options.gpu);
    if (!gpu) return tl::unexpected(std::move(gpu.error()));
    request.gpu = *std::move(gpu);
  }
  if (!options.model_config.empty()) {
    auto text = read_input(options.model_config, kConfigBytes);
    if (!text) return tl::unexpected(std::move(text.error()).within("--model-config"));
    auto model = read_model_config(*text, options.model_config);
    if (!model) return tl::unexpected(std::move(model.error()).within(options.model_config));
    request.model_config = *std::move(model);
    request.model_config_name = options.model_config;
  }
  return request;
}

Result<LaunchCommand> read_command(const CheckOptions& options, const Words& words,
                                   const Engine& engine) {
  if (!words.empty()) return read_launch_words(words, engine.entry_points);
  if (options.file.empty()) {
    return tl::unexpected(Error{"command line", "no launch line was given",
                                "capsize check -- python -m sglang.launch_server ...; or "
                                "capsize check FILE (- for standard input)"});
  }
  auto text = read_input(options.file, kLaunchBytes);
  if (!text) return tl::unexpected(std::move(text.error()));
  return read_launch(*text, engine.entry_points);
}

int check_one(const CheckOptions& options, const Words& words) {
  const Engine* engine = find_engine(options.engine);
  if (engine == nullptr) {
    return report(options,
                  Error{"--engine", "unknown engine \"" + options.engine + "\"", "known: sglang"});
  }
  auto request = read_options(options);
  if (!request) return report(options, std::move(request.error()));
  auto command = read_command(options, words, *engine);
  if (!command) return report(options, std::move(command.error()));
  request->launch = *std::move(command);
  return report(options, check(*request));
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
    if (std::fwrite(answer.json.data(), 1, answer.json.size(), stdout) != answer.json.size()) {
      return kBadInput;
    }
  }
  if (std::ferror(file) != 0) return fail({name, "cannot be read", "name a file, not a folder"});
  if (std::fflush(stdout) != 0) return kBadInput;
  return exit_status(verdict.value_or(Verdict::undecided));
}

int check_batch(const CheckOptions& options) {
  const auto base = read_options(options);
  if (!base) return fail(base.error());
  const BatchDefaults defaults{options.rules, base->gpu, base->fail_on_waste};
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
  app.add_option("FILE", options->file,
                 "a file that holds the pasted launch (- for standard input)");
  app.add_option("--rules", options->rules, "the engine's rules: pre-23972, 23972, 23906, 33200");
  app.add_option("--engine", options->engine, "the engine (sglang)");
  app.add_option("--gpu", options->gpu, "H100, A100, ... or memory_mib=81559,sm=90");
  app.add_option("--model-config", options->model_config, "a HuggingFace config.json");
  app.add_option("--batch", options->batch, "requests as JSON lines (- for standard input)");
  app.add_option("--fail-on", options->fail_on, "waste: exit 1 if a usable size is dropped")
      ->check(CLI::IsMember({"waste"}));
  app.add_flag("--json", options->json, "one JSON object instead of text");
  app.footer(
      "behind -- stands the launch line: capsize check -- python -m sglang.launch_server ...");
  return [options, &words] {
    return options->batch.empty() ? check_one(*options, words) : check_batch(*options);
  };
}

}  // namespace capsize::cli
