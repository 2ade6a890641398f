// Planted faults of decisions_are_shared: all ranks do the same in every event, but one input of
// what they decide is not known to all who meet in a captured operation.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace decisions_are_shared_mutants {
namespace {

using namespace parts;

// Four ranks: tp holds them all, attn_tp their halves.
struct Groups {
  GroupId tp;
  GroupId attn_tp;
};

// The operation runs over `group` in a graph that is captured and replayed; what decides is said
// at the replay, or at the capture.
Lifecycle decided(bool over_tp, std::vector<Decision> decides, bool at_capture = false,
                  RankSet deciding = {0, 3}) {
  Lifecycle plan{.world = 4};
  add_group(plan, "tp", {{0, 1, 2, 3}});
  add_group(plan, "attn_tp", {{0, 1}, {2, 3}});
  const GroupId group{static_cast<std::int8_t>(over_tp ? 0 : 1)};
  std::vector<Program> captured = {graph({0, 3}, 8, {all_reduce(group, 8)})};
  std::vector<Program> replayed;
  if (deciding.first() > 0) replayed.push_back(graph({0, deciding.first() - 1}, 8));
  replayed.push_back(graph(std::move(deciding), 8));
  (at_capture ? captured : replayed).back().decides = std::move(decides);
  plan.events = {warm_up("decode", 8, {eager_program({0, 3}, 8, {all_reduce(group, 8)})}),
                 capture("decode", 8, std::move(captured)),
                 replay("decode", 5, std::move(replayed))};
  return finish(plan);
}

constexpr GroupId kTp{0};
constexpr GroupId kAttnTp{1};

DecisionInput from(std::string input, DecisionSource source, GroupId group = {}) {
  return {std::move(input), source, group};
}

using enum DecisionSource;

Lifecycle local_bucket() { return decided(true, {{"bucket", {from("local_batch", rank_local)}}}); }
Lifecycle voted_bucket() {
  return decided(true, {{"bucket", {from("largest_batch", voted, kTp)}}});
}
Lifecycle local_second_input() {
  return decided(true, {{"mode", {from("flags", configuration), from("has_lora", rank_local)}}});
}
Lifecycle shared_inputs() {
  return decided(true, {{"mode", {from("flags", configuration), from("has_lora", broadcast)}}});
}
Lifecycle local_second_decision() {
  return decided(true, {{"bucket", {from("largest_batch", voted, kTp)}},
                        {"run", {from("has_requests", rank_local)}}});
}
Lifecycle two_decisions() {
  return decided(true, {{"bucket", {from("largest_batch", voted, kTp)}},
                        {"run", {from("has_requests", voted, kTp)}}});
}
Lifecycle vote_too_small() {
  return decided(true, {{"bucket", {from("largest_batch", voted, kAttnTp)}}});
}
Lifecycle vote_large_enough() {
  return decided(false, {{"bucket", {from("largest_batch", voted, kTp)}}});
}
Lifecycle broadcast_too_small() {
  return decided(true, {{"split", {from("plan", broadcast, kAttnTp)}}});
}
Lifecycle broadcast_large_enough() {
  return decided(false, {{"split", {from("plan", broadcast, kAttnTp)}}});
}
Lifecycle local_at_capture() {
  return decided(true, {{"run", {from("free_memory", rank_local)}}}, true);
}
Lifecycle voted_at_capture() {
  return decided(true, {{"run", {from("free_memory", voted)}}}, true);
}
Lifecycle last_rank_decides() {
  return decided(false, {{"mode", {from("local_batch", rank_local)}}}, false, {3, 3});
}
Lifecycle last_rank_is_told() {
  return decided(false, {{"mode", {from("local_batch", voted, kAttnTp)}}}, false, {3, 3});
}

// A stage of a pipeline decides by what it alone knows; its graph holds the receive.
Lifecycle stages(DecisionSource source) {
  Lifecycle plan{.world = 2};
  const GroupId pp = add_group(plan, "pp", {{0, 1}});
  PlanOp send = op(PlanOpKind::send, pp, 8, 8);
  send.peer = 1;
  PlanOp receive = op(PlanOpKind::recv, pp, 8, 8);
  receive.peer = 0;
  Program last = graph({1, 1}, 8);
  last.decides = {{"mode", {from("calibrates", source, source == voted ? pp : GroupId{})}}};
  plan.events = {
      warm_up("decode", 8, {eager_program({0, 0}, 8, {send}), eager_program({1, 1}, 8, {receive})}),
      capture("decode", 8, {graph({0, 0}, 8, {send}), graph({1, 1}, 8, {receive})}),
      replay("decode", 8, {graph({0, 0}, 8), std::move(last)})};
  return finish(plan);
}
Lifecycle local_stage() { return stages(rank_local); }
Lifecycle voted_stage() { return stages(voted); }

}  // namespace
}  // namespace decisions_are_shared_mutants

std::span<const PlanMutant> plan_mutants_decisions_are_shared() {
  using namespace decisions_are_shared_mutants;
  constexpr std::string_view kLaw = "decisions_are_shared";
  static const std::array kMutants = {
      PlanMutant{"local_bucket", kLaw, "an input is local to a rank", local_bucket, voted_bucket},
      PlanMutant{"local_second_input", kLaw, "every input of a decision", local_second_input,
                 shared_inputs},
      PlanMutant{"local_second_decision", kLaw, "every decision", local_second_decision,
                 two_decisions},
      PlanMutant{"vote_too_small", kLaw, "voted in a group that the collective leaves",
                 vote_too_small, vote_large_enough},
      PlanMutant{"broadcast_too_small", kLaw, "broadcast in a group that the collective leaves",
                 broadcast_too_small, broadcast_large_enough},
      PlanMutant{"local_at_capture", kLaw, "captures are decided too", local_at_capture,
                 voted_at_capture},
      PlanMutant{"last_rank_decides", kLaw, "every group of a family", last_rank_decides,
                 last_rank_is_told},
      PlanMutant{"local_stage", kLaw, "sends and receives too", local_stage, voted_stage},
  };
  return kMutants;
}

}  // namespace capsize
