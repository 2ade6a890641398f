// One check, from a launch to a verdict: the engine's rules, the laws, what is lost, and repairs
// that were tried before they are told; or from a plan, where the laws are all there is to ask.
// Knows no file format and prints nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "properties/coverage.hpp"
#include "properties/law.hpp"
#include "sim/engines/engine.hpp"
#include "sim/launch/launch_text.hpp"

namespace capsize {

enum class Verdict : std::uint8_t { pass, violation, bad_input, refused, undecided };
[[nodiscard]] std::string_view name_of(Verdict verdict);
[[nodiscard]] int exit_status(Verdict verdict);  // 0, 1, 2, 3, 4

struct CheckRequest {
  std::string engine = "sglang";
  std::string rules;  // empty: the engine's newest
  LaunchCommand launch;
  std::optional<Gpu> gpu;                  // none: an H100, which is then listed under `assumed`
  std::optional<ModelShape> model_config;  // overrules the model that the line names
  std::string model_config_name;           // how it was given, for the line to paste
  bool fail_on_waste = false;
  bool try_repairs = true;
};

// What a path loses: sizes that were asked for, and counts that run eager.
struct PathLoss {
  std::string_view path;
  Unit unit = Unit::tokens;
  std::vector<LostSize> lost;
  std::vector<EagerInterval> eager;
};

struct CheckResult {
  Verdict verdict = Verdict::pass;
  std::string engine;
  std::string rules;
  std::optional<Error> error;  // with bad_input
  EnginePlan plan;
  std::vector<Finding> findings;
  std::vector<PathLoss> losses;
  std::vector<std::string> undecided;  // what the verdict hangs on, with what would settle it
  std::vector<std::string> notes;      // how the launch text was read
  std::vector<std::string> launch_words;
  std::string repro;                           // a line to paste
  std::shared_ptr<const ModelShape> model;     // keeps a shape alive that was read for this check
  std::shared_ptr<const Lifecycle> lifecycle;  // of a plan; engine, rules and plan are empty then
  std::vector<std::string_view> without;       // laws that were switched off (of a plan)
};

[[nodiscard]] CheckResult check(const CheckRequest& request);

// The laws that judge lifecycles on one that an engine dumped or a person wrote. `without` names
// laws that are switched off; `name` is how the plan was given, for the line to paste.
[[nodiscard]] CheckResult check_plan(Lifecycle plan, std::vector<std::string_view> without,
                                     std::string_view name);

// The result of input that could not be read.
[[nodiscard]] CheckResult bad_input(std::string engine, std::string rules, Error error);

// The GPUs that --gpu knows by name, and "memory_mib=81559,sm=90".
[[nodiscard]] Result<Gpu> gpu_of(std::string_view text);

// Words as a shell reads them back.
[[nodiscard]] std::string shell_quoted(std::string_view word);

}  // namespace capsize
