// `capsize check --batch`: one request a line, one result a line, in the same order. A bad line
// gives a result with verdict bad_input; the rest go on.
#pragma once

#include <string>
#include <string_view>

#include "scenarios/check/check.hpp"

namespace capsize {

// Defaults of the command line for fields that a request leaves out.
struct BatchDefaults {
  std::string rules;
  std::optional<Gpu> gpu;
  bool fail_on_waste = false;
};

struct BatchAnswer {
  std::string json;
  Verdict verdict = Verdict::bad_input;
};

// Answers one request line: {"id": ..., "engine": "sglang", "rules": "23972",
// "launch": ["--tp", "8"] or "as pasted", "gpu": "H100" or {"memory_mib": 81559, "sm": 90},
// "model_config": {...}}. Unknown fields and duplicate keys are refused with their path.
[[nodiscard]] BatchAnswer answer_batch_line(std::string_view line, const BatchDefaults& defaults);

}  // namespace capsize
