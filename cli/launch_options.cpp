#include "cli/launch_options.hpp"

#include "scenarios/formats/model_config.hpp"

namespace capsize::cli {
namespace {

constexpr std::size_t kLaunchBytes = std::size_t{1} << 20;
constexpr std::size_t kConfigBytes = std::size_t{16} << 20;

Result<const Engine*> engine_of(const LaunchOptions& options) {
  if (const Engine* engine = find_engine(options.engine)) return engine;
  return tl::unexpected(
      Error{"--engine", "unknown engine \"" + options.engine + "\"", "known: sglang"});
}

}  // namespace

void add_launch_options(CLI::App& app, LaunchOptions& options) {
  app.add_option("FILE", options.file,
                 "a file that holds the pasted launch (- for standard input)");
  app.add_option("--rules", options.rules, "the engine's rules: pre-23972, 23972, 23906, 33200");
  app.add_option("--engine", options.engine, "the engine (sglang)");
  app.add_option("--gpu", options.gpu, "H100, A100, ... or memory_mib=81559,sm=90");
  app.add_option("--model-config", options.model_config, "a HuggingFace config.json");
}

Result<CheckRequest> read_settings(const LaunchOptions& options) {
  CheckRequest request;
  request.engine = options.engine;
  request.rules = options.rules;
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

Result<LaunchCommand> read_command(const LaunchOptions& options, const Words& words) {
  const auto engine = engine_of(options);
  if (!engine) return tl::unexpected(engine.error());
  if (!words.empty()) return read_launch_words(words, (*engine)->entry_points);
  if (options.file.empty()) {
    return tl::unexpected(Error{"command line", "no launch line was given",
                                "put it behind --: -- python -m sglang.launch_server ...; or name "
                                "a file that holds it (- for standard input)"});
  }
  auto text = read_input(options.file, kLaunchBytes);
  if (!text) return tl::unexpected(std::move(text.error()));
  return read_launch(*text, (*engine)->entry_points);
}

Result<CheckRequest> read_request(const LaunchOptions& options, const Words& words) {
  auto request = read_settings(options);
  if (!request) return request;
  auto command = read_command(options, words);
  if (!command) return tl::unexpected(std::move(command.error()));
  request->launch = *std::move(command);
  return request;
}

Result<CheckRequest> read_pasted(const LaunchOptions& options, std::string_view text) {
  auto request = read_settings(options);
  if (!request) return request;
  const auto engine = engine_of(options);
  if (!engine) return tl::unexpected(engine.error());
  auto command = read_launch(text, (*engine)->entry_points);
  if (!command) return tl::unexpected(std::move(command.error()));
  request->launch = *std::move(command);
  return request;
}

}  // namespace capsize::cli
