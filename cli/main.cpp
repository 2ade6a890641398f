// The capsize program: reads the command line and runs one command. Each command is a file here.
#include <algorithm>
#include <csignal>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.hpp"

namespace capsize::cli {
namespace {

constexpr const char* kProgramFooter =
    "exit status: 0 pass, 1 violation, 2 bad input, 3 refused by the engine, 4 undecided\n"
    "example: capsize check -- python -m sglang.launch_server --model-path "
    "Qwen/Qwen3-30B-A3B --tp 8";

int run(int argc, char** argv) {
  std::vector<std::string> own;
  Words words;
  bool behind = false;
  for (int i = 1; i < argc; ++i) {
    if (!behind && std::string_view(argv[i]) == "--") {
      behind = true;
      continue;
    }
    (behind ? words : own).emplace_back(argv[i]);
  }

  CLI::App app("Does a parallel layout fit its CUDA graph capture sizes?", "capsize");
  app.set_version_flag("--version", program());
  app.require_subcommand(1);
  app.footer(kProgramFooter);
  const std::pair<CLI::App*, Run> commands[] = {
      [&] {
        CLI::App* agree =
            app.add_subcommand("agree", "predicted against observed, over a universe");
        return std::pair{agree, add_agree(*agree)};
      }(),
      [&] {
        CLI::App* check = app.add_subcommand("check", "judge a launch line or a plan file");
        return std::pair{check, add_check(*check, words)};
      }(),
      [&] {
        CLI::App* explain =
            app.add_subcommand("explain", "where the rows of one forward go, and where they break");
        return std::pair{explain, add_explain(*explain, words)};
      }(),
      [&] {
        CLI::App* matrix = app.add_subcommand("matrix", "few members that cover a universe");
        return std::pair{matrix, add_matrix(*matrix)};
      }(),
      [&] {
        CLI::App* model = app.add_subcommand("model", "answer the model protocol (JSON lines)");
        return std::pair{model, add_model(*model)};
      }(),
      [&] {
        CLI::App* mutants =
            app.add_subcommand("mutants", "planted faults, and the law that kills each");
        return std::pair{mutants, add_mutants(*mutants)};
      }(),
      [&] {
        CLI::App* rank = app.add_subcommand("rank", "one rank of a run; started by the program");
        return std::pair{rank, add_rank(*rank)};
      }(),
      [&] {
        CLI::App* execution =
            app.add_subcommand("run", "execute for real: eager, captured, replayed");
        return std::pair{execution, add_run(*execution, words)};
      }(),
      [&] {
        CLI::App* suite = app.add_subcommand("scenarios", "run the regression suite");
        return std::pair{suite, add_scenarios(*suite)};
      }(),
      [&] {
        CLI::App* sweep =
            app.add_subcommand("sweep", "judge every member of a universe; a certificate");
        return std::pair{sweep, add_sweep(*sweep)};
      }(),
  };

  // CLI11 would only say that a command is missing.
  if (!own.empty() && !own.front().starts_with('-') &&
      std::ranges::none_of(commands,
                           [&](const auto& c) { return c.first->get_name() == own[0]; })) {
    return fail(
        {"command line", "unknown command \"" + own.front() + "\"",
         "the commands are agree, check, explain, matrix, model, mutants, run, scenarios and "
         "sweep"});
  }
  const bool json = std::ranges::find(own, "--json") != own.end();
  std::reverse(own.begin(), own.end());  // CLI11 takes its words from the back
  try {
    app.parse(own);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      std::ostringstream help;
      (void)app.exit(error, help, help);
      return print(help.str()) ? 0 : kBadInput;
    }
    Error told{"command line", error.what(), "capsize --help lists the commands and options"};
    return fail(std::move(told), json);
  }
  for (const auto& [command, body] : commands) {
    if (command->parsed()) return body();
  }
  return kBadInput;
}

}  // namespace
}  // namespace capsize::cli

int main(int argc, char** argv) {
  // A reader that goes away shows as a failed write, not as a signal.
  std::signal(SIGPIPE, SIG_IGN);
  return capsize::cli::run(argc, argv);
}
