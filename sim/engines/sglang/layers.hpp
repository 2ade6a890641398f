// Which operations SGLang's layers make: the transitions of communicator.hpp written out as the
// typed operations of a SymbolicStep, with the buffers that the engine fills.
#pragma once

#include <memory>
#include <string_view>

#include "sim/capture.hpp"
#include "sim/engines/sglang/communicator.hpp"
#include "sim/engines/sglang/weights.hpp"
#include "sim/models/shape.hpp"

namespace capsize::sglang {

// How the rows of all data-parallel replicas meet in one buffer (ForwardBatch's padding mode).
enum class DpPadding : std::uint8_t { max_len, sum_len };

struct StepInput {
  CommunicatorInput communicator;
  std::shared_ptr<const Topology> topology;  // topology_of(communicator.sizes)
  const ModelShape* model = nullptr;
  ArchitectureFacts facts;
  Width width{1};               // tokens that one unit of n stands for
  bool splits_context = false;  // a prefill whose rows are cut over attention CP
  bool splits_batch = false;    // two-batch overlap from the first sparse layer on
  DpPadding dp_padding = DpPadding::max_len;
  friend bool operator==(const StepInput&, const StepInput&) = default;
};

// The step of one forward of n units on every rank, all ranks in step: every data-parallel replica
// presents the same number of rows. `path` names it in reports.
[[nodiscard]] SymbolicStep step_of(std::string_view path, const StepInput& in);

}  // namespace capsize::sglang
