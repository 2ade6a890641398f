// Argument resolution in the engine's order: defaults, every rule that switches a graph off, every
// refusal with the engine's own text (server_args.py::ServerArgs.__post_init__ and
// check_server_args at #23972; the order matters, since rules read fields that later steps change).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/engines/engine.hpp"
#include "sim/engines/sglang/args.hpp"
#include "sim/engines/sglang/capture.hpp"
#include "sim/engines/sglang/groups.hpp"
#include "sim/engines/sglang/history.hpp"
#include "sim/engines/sglang/predicates.hpp"
#include "sim/engines/sglang/weights.hpp"

namespace capsize::sglang {

struct ResolveInput {
  ServerArgs args;  // as read; resolution changes its copy
  const ModelShape* model = nullptr;
  ArchitectureFacts facts;
  Gpu gpu;
};

// The arguments after resolution, and what follows from them before a process group is made.
struct Resolved {
  ServerArgs args;
  Sizes sizes;
  Predicates predicates;
  std::int64_t chunk = 0;           // --chunked-prefill-size before replicas share it
  std::int64_t default_max_bs = 0;  // of the decode list, where nothing names one
  bool llama_2_path = false;        // "llama-2" in the model path
  Width decode_width{1};
  // Why a graph is off: the rule that switched it off first, in the engine's order; empty: it is
  // on.
  std::string prefill_off;
  std::string decode_off;
  bool breakable = false;  // --enable-breakable-cuda-graph: another runner takes the prefill list
  std::optional<Refusal> refusal;
};

[[nodiscard]] Resolved resolve(const ResolveInput& in);

}  // namespace capsize::sglang
