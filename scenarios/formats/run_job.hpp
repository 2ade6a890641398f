// What a process is told to execute: one JSON line, {"plan": ..., "options": {...}}. The plan is a
// plan file; options that have their default are left out. "given_up" lists events not to be run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/run_options.hpp"
#include "scenarios/formats/json_reader.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "sim/lifecycle.hpp"

namespace capsize {

struct RunJob {
  Lifecycle plan;
  RunOptions options;
  // Events that are not run (given_up.hpp): in an earlier start their ranks did not end.
  std::vector<std::int32_t> given_up = {};
};

[[nodiscard]] std::string write_run_job(const RunJob& job);
[[nodiscard]] Result<RunJob> read_run_job(std::string_view line);

// The options alone, as a value inside another document.
void write_run_options(JsonWriter& out, const RunOptions& options);
[[nodiscard]] Result<RunOptions> read_run_options(const JsonField& field);

}  // namespace capsize
