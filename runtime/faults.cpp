#include "runtime/faults.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace capsize {
namespace {

std::string text_of_rank(std::int64_t rank) { return "rank " + std::to_string(rank); }

PlantedRunFault planted_in(const Lifecycle& plan, const PlanEvent& event, std::string text) {
  return {std::move(text), static_cast<std::int32_t>(&event - plan.events.data())};
}

// A program of its own for one rank of an event; none where the rank runs nothing there.
Program* single_out(PlanEvent& event, std::int64_t rank) {
  for (std::size_t i = 0; i < event.programs.size(); ++i) {
    if (!event.programs[i].ranks.contains(rank)) continue;
    if (event.programs[i].ranks.count() == 1) return &event.programs[i];
    Program own = event.programs[i];
    event.programs[i].ranks = without(event.programs[i].ranks, RankSet(rank, rank));
    own.ranks = RankSet(rank, rank);
    return &event.programs.emplace_back(std::move(own));
  }
  return nullptr;
}

bool is_step(const PlanEvent& event) {
  return event.kind == PlanEventKind::replay || event.kind == PlanEventKind::eager ||
         event.kind == PlanEventKind::warm_up;
}

// The next captured size of the path: the capture event that has it.
const PlanEvent* next_larger(const Lifecycle& plan, const PlanEvent& replay) {
  const auto bucket = [](const PlanEvent& event) {
    return event.programs.empty() ? 0 : event.programs.front().bucket.value_or(0);
  };
  const PlanEvent* out = nullptr;
  for (const PlanEvent& event : plan.events) {
    if (event.kind != PlanEventKind::capture || event.path != replay.path) continue;
    if (bucket(event) <= bucket(replay)) continue;
    if (out == nullptr || bucket(event) < bucket(*out)) out = &event;
  }
  return out;
}

Error no_place(std::string_view fault, std::string_view why, std::string_view hint) {
  return {"--unguarded", std::string(fault) + ": " + std::string(why), std::string(hint)};
}

Result<PlantedRunFault> plant_wrong_bucket(Lifecycle& plan, std::int64_t rank) {
  for (PlanEvent& event : plan.events) {
    if (event.kind != PlanEventKind::replay) continue;
    const PlanEvent* larger = next_larger(plan, event);
    if (larger == nullptr) continue;
    Program* own = single_out(event, rank);
    if (own == nullptr) continue;
    const Program& graph = larger->programs.front();
    own->bucket = graph.bucket;
    own->key = graph.key;
    own->padded_requests = graph.padded_requests;
    return planted_in(plan, event,
                      text_of_rank(rank) + " replays size " +
                          std::to_string(graph.bucket.value_or(0)) + " where the others replay " +
                          std::to_string(event.programs.front().bucket.value_or(0)));
  }
  return tl::unexpected(no_place("wrong_bucket", "no replay has a larger captured size",
                                 "take a plan with two captured sizes"));
}

Result<PlantedRunFault> plant_idle_rank(Lifecycle& plan, std::int64_t rank) {
  // A step of a server that runs: the first replay, else the first eager one.
  for (const bool replays : {true, false}) {
    for (PlanEvent& event : plan.events) {
      if (!is_step(event) || (event.kind == PlanEventKind::replay) != replays) continue;
      if (single_out(event, rank) == nullptr) continue;
      std::erase_if(event.programs,
                    [&](const Program& each) { return each.ranks == RankSet(rank, rank); });
      return planted_in(plan, event,
                        text_of_rank(rank) + " does not enter the " +
                            std::string(name_of(event.kind)) + " of " +
                            std::to_string(event.tokens.value_or(0)) + " tokens");
    }
  }
  return tl::unexpected(
      no_place("idle_rank", "the rank runs in no step", "name another with --fault-rank"));
}

Result<PlantedRunFault> plant_short_count(Lifecycle& plan, std::int64_t rank) {
  for (PlanEvent& event : plan.events) {
    if (!is_step(event) || event.kind == PlanEventKind::replay) continue;
    const auto moves = [](const PlanOp& op) {
      return op.kind == PlanOpKind::all_reduce && op.rows_out.value_or(0) > 1;
    };
    Program* own = single_out(event, rank);
    if (own == nullptr) continue;
    const auto op = std::ranges::find_if(own->ops, moves);
    if (op == own->ops.end()) continue;
    const std::int64_t rows = *op->rows_out - 1;
    op->rows_in = {rows};
    return planted_in(plan, event,
                      text_of_rank(rank) + " brings " + std::to_string(rows) + " of " +
                          std::to_string(rows + 1) + " rows to " + std::string(name_of(op->kind)) +
                          " in the " + std::string(name_of(event.kind)) + " of " +
                          std::to_string(event.tokens.value_or(0)) + " tokens");
  }
  return tl::unexpected(no_place("short_count", "the plan has no all-reduce of several rows",
                                 "take a plan with one"));
}

}  // namespace

Result<PlantedRunFault> plant_fault(Lifecycle& plan, const RunOptions& options) {
  const std::int64_t rank = options.fault_rank < 0 ? plan.world - 1 : options.fault_rank;
  switch (options.fault) {
    case RunFault::none: return PlantedRunFault{};
    case RunFault::floor_counts:
      return PlantedRunFault{"counts that do not divide are rounded down"};
    case RunFault::wrong_bucket: return plant_wrong_bucket(plan, rank);
    case RunFault::idle_rank: return plant_idle_rank(plan, rank);
    case RunFault::short_count: return plant_short_count(plan, rank);
  }
  return PlantedRunFault{};
}

}  // namespace capsize
