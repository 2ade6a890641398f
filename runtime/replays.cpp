#include "runtime/replays.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace capsize {
namespace {

// One captured graph, and the counts that it is replayed at.
struct Graph {
  const PlanEvent* capture = nullptr;
  std::int64_t size = 0;    // tokens
  std::int64_t before = 0;  // the next smaller size of its path
};

std::int64_t size_of(const PlanEvent& event) { return event.tokens.value_or(0); }

bool too_large(const PlanEvent& event, const RunOptions& options) {
  const bool sized = event.kind == PlanEventKind::capture || event.kind == PlanEventKind::warm_up ||
                     event.kind == PlanEventKind::replay || event.kind == PlanEventKind::eager;
  return sized && options.rows_max && size_of(event) > *options.rows_max;
}

// Leaves out the events of large sizes; what others name stays in place.
void leave_out_large(Lifecycle& plan, const RunOptions& options) {
  std::vector<std::int32_t> moved(plan.events.size(), -1);
  std::vector<PlanEvent> kept;
  for (std::size_t i = 0; i < plan.events.size(); ++i) {
    if (too_large(plan.events[i], options)) continue;
    moved[i] = static_cast<std::int32_t>(kept.size());
    kept.push_back(std::move(plan.events[i]));
  }
  for (PlanEvent& event : kept) {
    for (std::int32_t& each : event.after) each = moved[static_cast<std::size_t>(each)];
    std::erase(event.after, -1);
  }
  plan.events = std::move(kept);
}

// Graphs of one path, ascending.
std::map<std::string, std::vector<Graph>> graphs_of(const Lifecycle& plan) {
  std::map<std::string, std::vector<Graph>> out;
  for (const PlanEvent& event : plan.events) {
    if (event.kind != PlanEventKind::capture || event.programs.empty()) continue;
    out[event.path].push_back({&event, size_of(event)});
  }
  for (auto& [path, graphs] : out) {
    std::ranges::stable_sort(graphs, {}, &Graph::size);
    for (std::size_t i = 1; i < graphs.size(); ++i) {
      const bool same = graphs[i].size == graphs[i - 1].size;
      graphs[i].before = same ? graphs[i - 1].before : graphs[i - 1].size;
    }
  }
  return out;
}

PlanEvent replay_of(const Graph& graph, std::int64_t tokens) {
  PlanEvent out{.kind = PlanEventKind::replay, .path = graph.capture->path, .tokens = tokens};
  for (const Program& captured : graph.capture->programs) {
    if (captured.mode == GraphMode::eager) continue;
    Program& program = out.programs.emplace_back();
    program.ranks = captured.ranks;
    program.tokens = tokens;
    program.width = captured.width;
    program.padded_requests = captured.padded_requests;
    if (captured.width) program.requests = div_ceil(tokens, *captured.width);
    program.bucket = captured.bucket;
    program.mode = captured.mode;
    program.key = captured.key;
  }
  return out;
}

// The counts of a graph between the size before it and its own, in whole requests.
std::vector<std::int64_t> counts_of(const Graph& graph, bool every) {
  const std::int64_t width = graph.capture->programs.front().width.value_or(1);
  const std::int64_t least = graph.before + width;
  const std::int64_t middle = least + (graph.size - least) / width / 2 * width;
  if (!every) return {graph.size, std::min(least, graph.size), std::min(middle, graph.size)};
  std::vector<std::int64_t> out;
  for (std::int64_t n = least; n <= graph.size; n += width) out.push_back(n);
  return out;
}

// From both ends of a list to its middle.
std::vector<Graph> from_both_ends(const std::vector<Graph>& graphs) {
  std::vector<Graph> out;
  for (std::size_t low = 0, high = graphs.size(); low < high;) {
    out.push_back(graphs[low++]);
    if (low < high) out.push_back(graphs[--high]);
  }
  return out;
}

void add_path(std::vector<PlanEvent>& events, const std::vector<Graph>& graphs, bool every) {
  if (every) {
    for (const Graph& graph : graphs) {
      for (const std::int64_t n : counts_of(graph, true)) events.push_back(replay_of(graph, n));
    }
    return;
  }
  std::vector<Graph> falling(graphs.rbegin(), graphs.rend());
  const auto round = [&](const std::vector<Graph>& order, std::size_t which) {
    for (const Graph& each : order) {
      const std::vector<std::int64_t> counts = counts_of(each, false);
      // A count that another round has replayed already says nothing new.
      const auto first = std::ranges::find(counts, counts[which]);
      if (static_cast<std::size_t>(first - counts.begin()) < which) continue;
      events.push_back(replay_of(each, counts[which]));
    }
  };
  round(falling, 0);
  round(graphs, 1);
  round(from_both_ends(graphs), 2);
  round(graphs, 0);
}

}  // namespace

void add_replays(Lifecycle& plan, const RunOptions& options) {
  leave_out_large(plan, options);
  const auto is_replay = [](const PlanEvent& each) { return each.kind == PlanEventKind::replay; };
  if (std::ranges::any_of(plan.events, is_replay)) return;
  std::vector<PlanEvent> replays;
  for (const auto& [path, graphs] : graphs_of(plan)) {
    add_path(replays, graphs, options.every_count);
  }
  plan.events.insert(plan.events.end(), std::make_move_iterator(replays.begin()),
                     std::make_move_iterator(replays.end()));
}

}  // namespace capsize
