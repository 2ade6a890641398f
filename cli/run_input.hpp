// What `capsize run` executes: a plan of its own, that of a scenario, or the start-up that an
// engine's rules make of a launch line; and what the laws say of it before it runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/launch_options.hpp"
#include "runtime/run_options.hpp"
#include "scenarios/check/check.hpp"
#include "sim/error.hpp"
#include "sim/lifecycle.hpp"

namespace capsize::cli {

struct RunInput {
  std::string name;     // "plan plan.json", "scenario sglang-23972", "launch"
  std::string given;    // the words that name it on a command line, for the line to paste
  CheckResult checked;  // of the launch or the plan
  Lifecycle plan;       // without replays that are added; empty where there is none to execute
  bool has_plan = false;
  std::int64_t model_hidden = 0;  // elements of a row as the model has them; 0: not known
};

// `after`: the repaired plan of a scenario.
[[nodiscard]] Result<RunInput> read_run_input(const LaunchOptions& options, const Words& words,
                                              bool after);

// A law that is predicted to be broken when the plan is executed.
struct Predicted {
  std::string law;
  std::string path;
  std::int64_t tokens = 0;
  Symptom symptom = Symptom::none;
  std::string blame;
  std::string way_out;
};
[[nodiscard]] std::vector<Predicted> predicted_of(const CheckResult& result);

}  // namespace capsize::cli
