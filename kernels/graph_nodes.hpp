// What a captured graph is made of, read from the graph itself.
#pragma once

#include <cuda_runtime.h>

#include <string>
#include <vector>

#include "kernels/launcher.hpp"

namespace capsize::gpu {

// The nodes, each behind those that it waits for.
[[nodiscard]] std::vector<cudaGraphNode_t> nodes_in_order(cudaGraph_t graph);
// `launcher` knows which launch a kernel belongs to; that of a library is "kernel".
[[nodiscard]] std::string name_of(cudaGraphNode_t node, const Launcher& launcher);
// The names of all nodes, in their order.
[[nodiscard]] std::vector<std::string> node_names(cudaGraph_t graph, const Launcher& launcher);

}  // namespace capsize::gpu
