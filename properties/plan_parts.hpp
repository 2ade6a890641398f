// Parts from which lifecycles are put together in code: planted faults, generators, tests and
// benchmarks. Everything that is not said stays empty, as in a plan file.
//
//   Lifecycle plan{.world = 2};
//   const GroupId tp = add_group(plan, "tp", {{0, 1}});
//   plan.events = {create(tp), warm_up("decode", 8, {{.ranks = {0, 1}, .ops = {all_reduce(tp,
//   8)}}}),
//                  capture("decode", 8, {graph({0, 1}, 8, {all_reduce(tp, 8)})}),
//                  replay("decode", 5, {graph({0, 1}, 8)})};
//   const Timeline timeline(finish(plan));
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sim/lifecycle.hpp"

namespace capsize::parts {

inline GroupId add_group(Lifecycle& plan, std::string name,
                         std::vector<std::vector<std::int32_t>> groups) {
  plan.families.push_back({.name = std::move(name), .groups = std::move(groups)});
  return GroupId{static_cast<std::int8_t>(plan.families.size() - 1)};
}

inline std::int32_t add_buffer(Lifecycle& plan, PlanBuffer buffer) {
  plan.buffers.push_back(std::move(buffer));
  return static_cast<std::int32_t>(plan.buffers.size()) - 1;
}

inline Layout replicated() { return {}; }
inline Layout scattered(GroupId group) {
  Layout layout;
  layout.push({LayoutKind::scattered, group});
  return layout;
}
inline Layout partial(GroupId group) {
  Layout layout;
  layout.push({LayoutKind::partial, group});
  return layout;
}

inline PlanOp op(PlanOpKind kind, GroupId group = {}) { return {.kind = kind, .group = group}; }
inline PlanOp op(PlanOpKind kind, GroupId group, std::int64_t rows_in, std::int64_t rows_out) {
  return {.kind = kind, .group = group, .rows_in = {rows_in}, .rows_out = rows_out};
}
inline PlanOp all_reduce(GroupId group, std::int64_t rows) {
  return op(PlanOpKind::all_reduce, group, rows, rows);
}
inline PlanOp reduce_scatter(GroupId group, std::int64_t rows_in, std::int64_t rows_out) {
  return op(PlanOpKind::reduce_scatter, group, rows_in, rows_out);
}
inline PlanOp all_gather(GroupId group, std::int64_t rows_in, std::int64_t rows_out) {
  return op(PlanOpKind::all_gather, group, rows_in, rows_out);
}

inline GraphKey key_of_tokens(std::int64_t tokens) { return {{"tokens", std::to_string(tokens)}}; }

// A program that runs eagerly, and one that is captured or replayed under the key {tokens: bucket}.
inline Program eager_program(RankSet ranks, std::int64_t tokens, std::vector<PlanOp> ops) {
  return {
      .ranks = std::move(ranks), .tokens = tokens, .mode = GraphMode::eager, .ops = std::move(ops)};
}
inline Program graph(RankSet ranks, std::int64_t bucket, std::vector<PlanOp> ops = {}) {
  return {.ranks = std::move(ranks),
          .bucket = bucket,
          .mode = GraphMode::graph,
          .key = key_of_tokens(bucket),
          .ops = std::move(ops)};
}

inline PlanEvent run(PlanEventKind kind, std::string path, std::int64_t tokens,
                     std::vector<Program> programs) {
  return {.kind = kind, .path = std::move(path), .tokens = tokens, .programs = std::move(programs)};
}
inline PlanEvent warm_up(std::string path, std::int64_t tokens, std::vector<Program> programs) {
  return run(PlanEventKind::warm_up, std::move(path), tokens, std::move(programs));
}
inline PlanEvent capture(std::string path, std::int64_t tokens, std::vector<Program> programs) {
  return run(PlanEventKind::capture, std::move(path), tokens, std::move(programs));
}
inline PlanEvent replay(std::string path, std::int64_t tokens, std::vector<Program> programs) {
  return run(PlanEventKind::replay, std::move(path), tokens, std::move(programs));
}
inline PlanEvent eager(std::string path, std::int64_t tokens, std::vector<Program> programs) {
  return run(PlanEventKind::eager, std::move(path), tokens, std::move(programs));
}
inline PlanEvent create(GroupId group) {
  return {.kind = PlanEventKind::create_group, .groups = {group}};
}
inline PlanEvent register_groups(std::vector<GroupId> groups, RankSet ranks = {}) {
  return {.kind = PlanEventKind::register_groups,
          .groups = std::move(groups),
          .ranks = std::move(ranks)};
}
inline PlanEvent allocate(std::int32_t buffer, std::int64_t generation) {
  return {.kind = PlanEventKind::allocate, .buffer = buffer, .generation = generation};
}
inline PlanEvent free_buffer(std::int32_t buffer) {
  return {.kind = PlanEventKind::free, .buffer = buffer};
}

// Fills what follows from the rest: blocks, sorted keys, the index of the groups.
inline Lifecycle& finish(Lifecycle& plan) {
  for (PlanEvent& event : plan.events) {
    for (Program& program : event.programs) {
      if (program.blocks.empty() && !program.ops.empty()) {
        program.blocks = {{0, static_cast<std::int32_t>(program.ops.size()), 1, {}}};
      }
      if (program.key) std::ranges::sort(*program.key);
    }
  }
  index_groups(plan);
  return plan;
}

}  // namespace capsize::parts
