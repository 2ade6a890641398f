// Planted faults for memory_fits: one rank with a budget of 100 bytes that is passed by one byte,
// beside a twin in which it is used up.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

constexpr std::int64_t kBudget = 100;

Lifecycle plan_of(PlanMemory memory) {
  memory.budget_bytes = kBudget;
  Lifecycle plan;
  plan.memory = memory;
  return plan;
}

Lifecycle done(Lifecycle plan) { return std::move(finish(plan)); }

// ---- what is there at the start -------------------------------------------------------------

Lifecycle parts_fill_it() {
  return done(plan_of({.weights_bytes = 50, .activations_bytes = 20, .kv_bytes = 30}));
}
Lifecycle weights_pass() {
  return done(plan_of({.weights_bytes = 51, .activations_bytes = 20, .kv_bytes = 30}));
}
Lifecycle activations_pass() {
  return done(plan_of({.weights_bytes = 50, .activations_bytes = 21, .kv_bytes = 30}));
}
Lifecycle kv_passes() {
  return done(plan_of({.weights_bytes = 50, .activations_bytes = 20, .kv_bytes = 31}));
}
Lifecycle sum_wraps() {
  return done(plan_of({.weights_bytes = INT64_MAX, .activations_bytes = INT64_MAX, .kv_bytes = 9}));
}

// ---- buffers --------------------------------------------------------------------------------

Lifecycle with_buffers(std::vector<PlanBuffer> buffers, std::vector<PlanEvent> events,
                       PlanMemory memory = {}) {
  Lifecycle plan = plan_of(memory);
  plan.world = 2;
  plan.buffers = std::move(buffers);
  plan.events = std::move(events);
  return done(std::move(plan));
}

Lifecycle static_buffers(std::int64_t bytes) {
  return with_buffers({{.name = "a", .bytes = 60}, {.name = "b", .bytes = bytes}}, {});
}
Lifecycle static_buffers_pass() { return static_buffers(41); }
Lifecycle static_buffers_fit() { return static_buffers(40); }

PlanEvent allocate_bytes(std::int32_t buffer, std::int64_t bytes) {
  PlanEvent event = allocate(buffer, 1);
  event.bytes = bytes;
  return event;
}

Lifecycle grows(std::int64_t bytes) {
  return with_buffers({{.name = "a", .bytes = 60}},
                      {allocate(0, 1), free_buffer(0), allocate_bytes(0, bytes)});
}
Lifecycle allocation_passes() { return grows(101); }
Lifecycle allocation_fits() { return grows(100); }

Lifecycle both_live() {
  return with_buffers({{.name = "a", .bytes = 60}, {.name = "b", .bytes = 41}},
                      {allocate(0, 1), allocate(1, 1)});
}
Lifecycle one_is_freed() {
  return with_buffers({{.name = "a", .bytes = 60}, {.name = "b", .bytes = 41}},
                      {allocate(0, 1), free_buffer(0), allocate(1, 1)});
}

Lifecycle owners(RankSet second) {
  return with_buffers({{.name = "a", .bytes = 60, .owner = {0, 0}},
                       {.name = "b", .bytes = 41, .owner = std::move(second)}},
                      {});
}
Lifecycle one_rank_owns_both() { return owners({0, 1}); }
Lifecycle each_owns_one() { return owners({1, 1}); }

// Weights that are told as a sum and as buffers count once; where the sum is not told the buffers
// count.
Lifecycle weights_told(std::int64_t sum) {
  return with_buffers(
      {{.name = "w", .bytes = 60, .kind = BufferKind::weight}, {.name = "b", .bytes = 41}}, {},
      {.weights_bytes = sum});
}
Lifecycle weights_as_buffers() { return weights_told(0); }
Lifecycle weights_as_sum() { return weights_told(59); }

// ---- graphs ---------------------------------------------------------------------------------

Lifecycle with_graphs(std::vector<PlanCapture> captures) {
  Lifecycle plan = plan_of({.weights_bytes = 40});
  plan.captures = std::move(captures);
  return done(std::move(plan));
}
Lifecycle pools_of(std::string second, std::int64_t bytes) {
  return with_graphs({{.path = "prefill", .kept = {8}, .pool = "one", .bytes = 60},
                      {.path = "decode", .kept = {8}, .pool = std::move(second), .bytes = bytes}});
}
Lifecycle two_pools() { return pools_of("two", 1); }
Lifecycle no_pool() { return pools_of("", 1); }
Lifecycle one_pool_too_large() { return pools_of("one", 61); }
Lifecycle one_pool() { return pools_of("one", 60); }

// A buffer makes room before the capture, or does not.
Lifecycle captures_after(bool freed) {
  Lifecycle plan =
      with_graphs({{.path = "decode", .mode = GraphMode::graph, .kept = {8}, .bytes = 50}});
  plan.buffers = {{.name = "a", .bytes = 60}};
  plan.events = {allocate(0, 1), warm_up("decode", 8, {eager_program({0, 0}, 8, {})})};
  if (freed) plan.events.push_back(free_buffer(0));
  plan.events.push_back(capture("decode", 8, {graph({0, 0}, 8)}));
  return done(std::move(plan));
}
Lifecycle captures_beside_a_buffer() { return captures_after(false); }
Lifecycle captures_in_its_room() { return captures_after(true); }

constexpr std::string_view kLaw = "memory_fits";

constexpr std::array kMutants = {
    PlanMutant{"weights_pass", kLaw, "weights", weights_pass, parts_fill_it},
    PlanMutant{"activations_pass", kLaw, "activations", activations_pass, parts_fill_it},
    PlanMutant{"kv_passes", kLaw, "the KV cache", kv_passes, parts_fill_it},
    PlanMutant{"sum_wraps", kLaw, "the sum does not wrap", sum_wraps, parts_fill_it},
    PlanMutant{"static_buffers_pass", kLaw, "buffers that no event allocates", static_buffers_pass,
               static_buffers_fit},
    PlanMutant{"allocation_passes", kLaw, "the size of the latest allocation", allocation_passes,
               allocation_fits},
    PlanMutant{"both_live", kLaw, "buffers until they are freed", both_live, one_is_freed},
    PlanMutant{"one_rank_owns_both", kLaw, "each rank by what it owns", one_rank_owns_both,
               each_owns_one},
    PlanMutant{"weights_as_buffers", kLaw, "weights in buffers where no sum is told",
               weights_as_buffers, weights_as_sum},
    PlanMutant{"two_pools", kLaw, "every pool counts", two_pools, one_pool},
    PlanMutant{"no_pool", kLaw, "graphs without a pool count each", no_pool, one_pool},
    PlanMutant{"one_pool_too_large", kLaw, "a pool counts by its largest", one_pool_too_large,
               one_pool},
    PlanMutant{"captures_beside_a_buffer", kLaw, "graphs from their capture on",
               captures_beside_a_buffer, captures_in_its_room},
};

}  // namespace

std::span<const PlanMutant> plan_mutants_memory_fits();
std::span<const PlanMutant> plan_mutants_memory_fits() { return kMutants; }

}  // namespace capsize
