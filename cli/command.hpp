// What the commands of the program share: how each is registered, exit statuses, input and output.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/check/check.hpp"
#include "sim/error.hpp"
#include "sim/lifecycle.hpp"

namespace capsize::cli {

// The words behind the first "--", which CLI11 never sees: they belong to the engine.
using Words = std::vector<std::string>;

// A command adds its options to `app` and returns what runs it; the result is the exit status.
using Run = std::function<int()>;
[[nodiscard]] Run add_agree(CLI::App& app);
[[nodiscard]] Run add_check(CLI::App& app, const Words& words);
[[nodiscard]] Run add_explain(CLI::App& app, const Words& words);
[[nodiscard]] Run add_matrix(CLI::App& app);
[[nodiscard]] Run add_model(CLI::App& app);
[[nodiscard]] Run add_mutants(CLI::App& app);
[[nodiscard]] Run add_rank(CLI::App& app);
[[nodiscard]] Run add_run(CLI::App& app, const Words& words);
[[nodiscard]] Run add_scenarios(CLI::App& app);
[[nodiscard]] Run add_sweep(CLI::App& app);

inline constexpr int kBadInput = 2;

// "capsize 0.1.0 (3f2a9c81d0aa)": the version, and a digest of the rules and laws in it.
[[nodiscard]] std::string program();

// Prints an error the same way everywhere (to standard error) and returns kBadInput.
int fail(const Error& error);
// Where a machine reads the output: a result object on standard output, with the verdict bad_input.
int fail(Error error, bool as_json);

// The whole of a file, or of standard input for "-". Refused above `max_bytes`.
[[nodiscard]] Result<std::string> read_input(const std::string& path, std::size_t max_bytes);

// A plan file, or one on standard input for "-".
[[nodiscard]] Result<Lifecycle> read_plan_file(const std::string& path);

// Writes text to standard output, `at_once` or with what comes later; false where the reader has
// gone away or the disk is full, which is then told on standard error, once.
[[nodiscard]] bool print(std::string_view text, bool at_once = true);

// A result for people. `colour` only where a terminal reads it and NO_COLOR is not set.
[[nodiscard]] std::string render(const CheckResult& result, bool colour);
[[nodiscard]] bool colour_wanted();

}  // namespace capsize::cli
