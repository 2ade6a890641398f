// What `capsize run` prints: what it resolved before it runs, the table in the manner of nccl-tests
// behind it, the verdict with its reason, and the same as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/devices.hpp"
#include "cli/run_input.hpp"
#include "runtime/faults.hpp"
#include "runtime/observation.hpp"
#include "runtime/run_options.hpp"

namespace capsize::cli {

struct RunReport {
  const RunInput& input;
  const RunOptions& options;
  const Lifecycle& plan;  // as it is executed, with replays
  std::string backend;
  PlantedRunFault planted;
  std::size_t left_out = 0;  // events above the cap on rows
  std::vector<Predicted> predicted;
  Observation observed;
  std::optional<DeviceUse> device = {};  // where the backend has one
  std::string again;                     // a line to paste

  // Violation where an event failed; undecided where nothing was compared, or where a law says that
  // something fails and nothing did.
  [[nodiscard]] Verdict verdict() const;
};

// Lines that begin with "#".
[[nodiscard]] std::string heading_of(const RunReport& report);
// The table, the verdict, and what belongs to it.
[[nodiscard]] std::string render(const RunReport& report, bool colour);
[[nodiscard]] std::string to_json(const RunReport& report);

}  // namespace capsize::cli
