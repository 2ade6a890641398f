#include <algorithm>
#include <unordered_map>

#include "kernels/graph_nodes.hpp"

namespace capsize::gpu {
namespace {

using Node = cudaGraphNode_t;

struct Edges {
  std::vector<Node> from;
  std::vector<Node> to;
};

std::vector<Node> nodes_of(cudaGraph_t graph) {
  std::size_t count = 0;
  (void)cudaGraphGetNodes(graph, nullptr, &count);
  std::vector<Node> nodes(count);
  (void)cudaGraphGetNodes(graph, nodes.data(), &count);
  return nodes;
}

Edges edges_of(cudaGraph_t graph) {
  std::size_t count = 0;
  (void)cudaGraphGetEdges(graph, nullptr, nullptr, nullptr, &count);
  Edges edges{std::vector<Node>(count), std::vector<Node>(count)};
  std::vector<cudaGraphEdgeData> data(count);
  (void)cudaGraphGetEdges(graph, edges.from.data(), edges.to.data(), data.data(), &count);
  return edges;
}

// Whether the nodes stand in the order of a chain already, as those of one stream do.
bool is_chain(const std::vector<Node>& nodes, const Edges& edges) {
  if (edges.from.size() + 1 != nodes.size()) return false;
  for (std::size_t i = 0; i < edges.from.size(); ++i) {
    if (edges.from[i] != nodes[i] || edges.to[i] != nodes[i + 1]) return false;
  }
  return true;
}

std::vector<Node> in_order(const std::vector<Node>& nodes, const Edges& edges) {
  std::unordered_map<Node, std::vector<Node>> behind;
  std::unordered_map<Node, std::size_t> waits;
  behind.reserve(nodes.size());
  waits.reserve(nodes.size());
  for (std::size_t edge = 0; edge < edges.from.size(); ++edge) {
    behind[edges.from[edge]].push_back(edges.to[edge]);
    ++waits[edges.to[edge]];
  }
  std::vector<Node> ordered;
  for (Node node : nodes) {
    if (!waits.contains(node)) ordered.push_back(node);
  }
  for (std::size_t at = 0; at < ordered.size(); ++at) {
    for (Node next : behind[ordered[at]]) {
      if (--waits[next] == 0) ordered.push_back(next);
    }
  }
  return ordered;
}

std::string name_of_kind(cudaGraphNodeType type) {
  switch (type) {
    case cudaGraphNodeTypeKernel: return "kernel";
    case cudaGraphNodeTypeMemcpy: return "copy";
    case cudaGraphNodeTypeMemset: return "fill";
    case cudaGraphNodeTypeHost: return "host call";
    case cudaGraphNodeTypeGraph: return "graph";
    case cudaGraphNodeTypeEmpty: return "nothing";
    case cudaGraphNodeTypeMemAlloc: return "allocation";
    case cudaGraphNodeTypeMemFree: return "release";
    default: break;
  }
  return "node of kind " + std::to_string(static_cast<int>(type));
}

}  // namespace

std::vector<Node> nodes_in_order(cudaGraph_t graph) {
  std::vector<Node> nodes = nodes_of(graph);
  const Edges edges = edges_of(graph);
  return is_chain(nodes, edges) ? nodes : in_order(nodes, edges);
}

std::string name_of(Node node, const Launcher& launcher) {
  cudaGraphNodeType type = cudaGraphNodeTypeEmpty;
  (void)cudaGraphNodeGetType(node, &type);
  if (type == cudaGraphNodeTypeKernel) {
    cudaKernelNodeParams params{};
    if (cudaGraphKernelNodeGetParams(node, &params) == cudaSuccess) {
      const std::string_view name = launcher.name_of_kernel(params.func);
      if (!name.empty()) return std::string(name);
    }
    (void)cudaGetLastError();  // a kernel of somebody else
  }
  return name_of_kind(type);
}

std::vector<std::string> node_names(cudaGraph_t graph, const Launcher& launcher) {
  const std::vector<Node> nodes = nodes_in_order(graph);
  std::vector<std::string> names;
  names.reserve(nodes.size());
  for (Node node : nodes) names.push_back(name_of(node, launcher));
  return names;
}

}  // namespace capsize::gpu
