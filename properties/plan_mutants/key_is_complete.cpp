// Planted faults of key_is_complete: two ranks, one captured path.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

RankSet both() { return {0, 1}; }

Lifecycle two_ranks() {
  Lifecycle plan{.world = 2};
  add_group(plan, "tp", {{0, 1}});
  return plan;
}
constexpr GroupId kTp{0};

// A graph of 16 rows; the look-up sums one part more than the store did.
Lifecycle looked_up_under(std::int64_t stored, std::int64_t wanted) {
  Lifecycle plan = two_ranks();
  PlanEvent captured = capture("decode", 24, {graph(both(), 24, {all_reduce(kTp, 24)})});
  captured.programs[0].key = key_of_tokens(stored);
  PlanEvent replayed = replay("decode", 24, {graph(both(), 24)});
  replayed.programs[0].key = key_of_tokens(wanted);
  plan.captures = {{.path = "decode", .kept = {24}}};
  plan.events = {std::move(captured), std::move(replayed)};
  return finish(plan);
}
Lifecycle stored_under_two_thirds() { return looked_up_under(16, 24); }
Lifecycle stored_as_looked_up() { return looked_up_under(24, 24); }

// A size that is in no list and in no capture; the twin's is in the list, though its capture is
// not written down.
Lifecycle replays(std::int64_t size) {
  Lifecycle plan = two_ranks();
  plan.captures = {{.path = "decode", .kept = {8, 16}}};
  plan.events = {capture("decode", 16, {graph(both(), 16, {all_reduce(kTp, 16)})}),
                 replay("decode", size, {graph(both(), size)})};
  return finish(plan);
}
Lifecycle never_captured() { return replays(12); }
Lifecycle captured_unseen() { return replays(8); }

// The longest key of a batch is a constant of the captured kernel.
Lifecycle launches_with(std::string longest, bool in_key) {
  Lifecycle plan = two_ranks();
  PlanOp attention = op(PlanOpKind::attention);
  attention.launch = {{"max_seqlen_k", "128"}};
  PlanEvent captured = capture("decode", 8, {graph(both(), 8, {attention})});
  attention.launch = {{"max_seqlen_k", longest}};
  attention.captured = true;
  PlanEvent replayed = replay("decode", 8, {graph(both(), 8, {attention})});
  if (in_key) {
    PlanEvent second = captured;
    second.programs[0].ops[0].launch = {{"max_seqlen_k", longest}};
    captured.programs[0].key->emplace_back("max_seqlen_k", "128");
    second.programs[0].key->emplace_back("max_seqlen_k", longest);
    replayed.programs[0].key->emplace_back("max_seqlen_k", longest);
    plan.events = {std::move(captured), std::move(second), std::move(replayed)};
  } else {
    plan.events = {std::move(captured), std::move(replayed)};
  }
  return finish(plan);
}
Lifecycle constant_beside_the_key() { return launches_with("512", false); }
Lifecycle constant_in_the_key() { return launches_with("512", true); }

// The step would launch one operation more than the graph holds.
Lifecycle restates(std::size_t count) {
  Lifecycle plan = two_ranks();
  PlanOp kernel = op(PlanOpKind::kernel);
  plan.events = {capture("decode", 8, {graph(both(), 8, {kernel})})};
  kernel.captured = true;
  plan.events.push_back(
      replay("decode", 8, {graph(both(), 8, std::vector<PlanOp>(count, kernel))}));
  return finish(plan);
}
Lifecycle launches_one_more() { return restates(2); }
Lifecycle launches_as_captured() { return restates(1); }

Lifecycle admits(Admission admission, std::int64_t width = 1) {
  Lifecycle plan = two_ranks();
  add_group(plan, "attn_dp", {{0, 1}});
  plan.captures = {
      {.path = "decode", .unit = Unit::requests, .kept = {8, 160}, .admission = admission}};
  if (width > 1) plan.captures[0].width = width;
  return finish(plan);
}
Lifecycle admits_by_sum() { return admits({Unit::requests, AdmissionScope::sum, 160}); }
Lifecycle admits_by_rank() { return admits({Unit::requests, AdmissionScope::rank, 160}); }
Lifecycle admits_by_tokens() { return admits({Unit::tokens, AdmissionScope::rank, 160}, 4); }
Lifecycle admits_by_requests() { return admits({Unit::requests, AdmissionScope::rank, 160}, 4); }
Lifecycle admits_above() { return admits({Unit::requests, AdmissionScope::rank, 161}); }

// Two ranks of 8 rows each: a bucket for both, on each.
Lifecycle pads_to(std::int64_t bucket) {
  Lifecycle plan = two_ranks();
  plan.captures = {{.path = "decode", .kept = {8, 16}}};
  PlanEvent replayed = replay("decode", 8, {graph(both(), bucket)});
  replayed.programs[0].tokens = 8;
  plan.events = {capture("decode", 16, {graph(both(), 16, {all_reduce(kTp, 16)})}),
                 capture("decode", 8, {graph(both(), 8, {all_reduce(kTp, 8)})}),
                 std::move(replayed)};
  return finish(plan);
}
Lifecycle pads_to_the_sum() { return pads_to(16); }
Lifecycle pads_to_its_own() { return pads_to(8); }

// Two replicas of two ranks, each with 8 tokens: 16 in all.
Lifecycle replicas_pad_to(std::int64_t bucket) {
  Lifecycle plan{.world = 4};
  const RankSet all(0, 3);
  add_group(plan, "tp", {{0, 1}, {2, 3}});
  add_group(plan, "dp", {{0, 2}, {1, 3}});
  plan.captures = {{.path = "decode", .kept = {8, 16, 32}}};
  for (const std::int64_t size : {16, 8}) {
    plan.events.push_back(capture("decode", size, {graph(all, size, {all_reduce(kTp, size)})}));
  }
  plan.events.push_back(replay("decode", 8, {graph(all, bucket)}));
  plan.events.back().programs[0].tokens = 8;
  return finish(plan);
}
Lifecycle replicas_pad_to_the_sum() { return replicas_pad_to(16); }
Lifecycle replicas_pad_to_their_own() { return replicas_pad_to(8); }

constexpr std::string_view kLaw = "key_is_complete";

}  // namespace

std::span<const PlanMutant> plan_mutants_key_is_complete() {
  static constexpr std::array kMutants = {
      PlanMutant{"stores_part_of_the_key", kLaw, "store key = look-up key", stored_under_two_thirds,
                 stored_as_looked_up},
      PlanMutant{"replays_what_is_not_captured", kLaw, "every look-up finds a graph",
                 never_captured, captured_unseen},
      PlanMutant{"constant_beside_the_key", kLaw, "the key determines every launch constant",
                 constant_beside_the_key, constant_in_the_key},
      PlanMutant{"launches_one_more", kLaw, "the key determines what is launched",
                 launches_one_more, launches_as_captured},
      PlanMutant{"admits_by_sum", kLaw, "admission in the key's scope", admits_by_sum,
                 admits_by_rank},
      PlanMutant{"admits_by_tokens", kLaw, "admission in the key's unit", admits_by_tokens,
                 admits_by_requests},
      PlanMutant{"admits_above", kLaw, "what is admitted has a graph", admits_above,
                 admits_by_rank},
      PlanMutant{"pads_to_the_sum", kLaw, "the key counts rows of a rank", pads_to_the_sum,
                 pads_to_its_own},
      PlanMutant{"replicas_pad_to_the_sum", kLaw, "ranks of a replica hold the same tokens",
                 replicas_pad_to_the_sum, replicas_pad_to_their_own},
  };
  return kMutants;
}

}  // namespace capsize
