// Planted faults for padding_is_inert: two ranks, five tokens in a bucket of eight, one operation
// that says what the three rows of padding hold.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

constexpr std::int64_t kTokens = 5;
constexpr std::int64_t kBucket = 8;
constexpr GroupId kGroup{0};

// The operation with its padding, run by both ranks in one event.
Lifecycle runs(PlanOp operation, Padding padding, std::int64_t tokens = kTokens) {
  Lifecycle plan{.world = 2};
  add_group(plan, "tp", {{0, 1}});
  const auto kv = add_buffer(plan, {.name = "kv", .kind = BufferKind::kv});
  for (BufferRange& range : operation.writes) range.buffer = kv;
  operation.padding = padding;
  Program program = eager_program({0, 1}, tokens, {std::move(operation)});
  program.bucket = kBucket;
  plan.events = {create(kGroup), warm_up("decode", tokens, {std::move(program)})};
  return std::move(finish(plan));
}

Lifecycle routes_live_rows() { return runs(op(PlanOpKind::router), Padding::live); }
Lifecycle routes_masked_rows() { return runs(op(PlanOpKind::router), Padding::masked); }
Lifecycle routes_real_rows() { return runs(op(PlanOpKind::router), Padding::live, kBucket); }

Lifecycle sums_live_rows() { return runs(all_reduce(kGroup, kBucket), Padding::live); }
Lifecycle sums_zero_rows() { return runs(all_reduce(kGroup, kBucket), Padding::zero); }

Lifecycle scatters_live_rows() {
  return runs(reduce_scatter(kGroup, kBucket, kBucket / 2), Padding::live);
}
Lifecycle scatters_zero_rows() {
  return runs(reduce_scatter(kGroup, kBucket, kBucket / 2), Padding::zero);
}

PlanOp kv_write() {
  PlanOp kernel = op(PlanOpKind::kernel);
  kernel.writes = {{}};
  return kernel;
}
Lifecycle stores_live_rows() { return runs(kv_write(), Padding::live); }
Lifecycle stores_masked_rows() { return runs(kv_write(), Padding::masked); }

// Captured where the bucket is full, replayed with fewer tokens.
Lifecycle replays(Padding padding, std::int64_t tokens) {
  Lifecycle plan = runs(op(PlanOpKind::router), padding, kBucket);
  const PlanOp router = plan.events[1].programs[0].ops[0];
  plan.events.push_back(capture("decode", kBucket, {graph({0, 1}, kBucket, {router})}));
  plan.events.push_back(replay("decode", tokens, {graph({0, 1}, kBucket)}));
  return std::move(finish(plan));
}
Lifecycle replays_fewer_tokens() { return replays(Padding::live, kTokens); }
Lifecycle replays_all_tokens() { return replays(Padding::live, kBucket); }

// One rank of a replay has fewer tokens than the event tells.
Lifecycle one_rank_is_short() {
  Lifecycle plan = replays_all_tokens();
  plan.events.back().programs = {graph({0, 0}, kBucket), graph({1, 1}, kBucket)};
  plan.events.back().programs[1].tokens = kTokens;
  return std::move(finish(plan));
}

constexpr std::string_view kLaw = "padding_is_inert";

constexpr std::array kMutants = {
    PlanMutant{"routes_live_rows", kLaw, "padding goes to no expert", routes_live_rows,
               routes_masked_rows},
    PlanMutant{"routes_padding", kLaw, "rows beyond the real ones alone are judged",
               routes_live_rows, routes_real_rows},
    PlanMutant{"sums_live_rows", kLaw, "padding is zero at an all-reduce", sums_live_rows,
               sums_zero_rows},
    PlanMutant{"scatters_live_rows", kLaw, "padding is zero at a reduce-scatter",
               scatters_live_rows, scatters_zero_rows},
    PlanMutant{"stores_live_rows", kLaw, "padding is not written to the KV cache", stores_live_rows,
               stores_masked_rows},
    PlanMutant{"replays_fewer_tokens", kLaw, "a replay brings its own count", replays_fewer_tokens,
               replays_all_tokens},
    PlanMutant{"one_rank_is_short", kLaw, "a program's count comes before the event's",
               one_rank_is_short, replays_all_tokens},
};

}  // namespace

std::span<const PlanMutant> plan_mutants_padding_is_inert();
std::span<const PlanMutant> plan_mutants_padding_is_inert() { return kMutants; }

}  // namespace capsize
