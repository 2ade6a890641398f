// The options by which a command takes a launch line, and the request that they make together.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/command.hpp"
#include "scenarios/check/check.hpp"
#include "sim/error.hpp"

namespace capsize::cli {

struct LaunchOptions {
  std::string engine = "sglang";
  std::string rules;
  std::string gpu;
  std::string model_config;
  std::string file;  // holds the pasted launch; "-" for standard input
};

void add_launch_options(CLI::App& app, LaunchOptions& options);

// Everything but the launch itself.
[[nodiscard]] Result<CheckRequest> read_settings(const LaunchOptions& options);

// The launch from the words behind "--", or from the file.
[[nodiscard]] Result<LaunchCommand> read_command(const LaunchOptions& options, const Words& words);

// Both.
[[nodiscard]] Result<CheckRequest> read_request(const LaunchOptions& options, const Words& words);
// The same of a launch that has been read already.
[[nodiscard]] Result<CheckRequest> read_pasted(const LaunchOptions& options, std::string_view text);

}  // namespace capsize::cli
