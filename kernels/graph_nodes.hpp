// What a captured graph is made of, read from the graph itself.
#pragma once

#include <cuda_runtime.h>

#include <string>
#include <vector>

#include "kernels/launcher.hpp"

namespace capsize::gpu {

// The names of the nodes, each behind those that it waits for. `launcher` knows which launch a
// kernel belongs to.
[[nodiscard]] std::vector<std::string> node_names(cudaGraph_t graph, const Launcher& launcher);

}  // namespace capsize::gpu
