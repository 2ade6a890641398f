// Planted faults of same_mode: one rank of a group is in another mode, or has another key, in an
// event in which the others capture or replay an operation over that group.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace same_mode_mutants {
namespace {

using namespace parts;

Program in_mode(Program program, GraphMode mode) {
  program.mode = mode;
  return program;
}

Program with_key(Program program, NamedValue component) {
  program.key->push_back(std::move(component));
  return program;
}

// Two ranks captured bucket 8; then both replay it, or one does and the other does `odd`.
Lifecycle one_departs(std::optional<Program> odd) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  plan.events = {warm_up("decode", 8, {eager_program({0, 1}, 8, {all_reduce(tp, 8)})}),
                 capture("decode", 8, {graph({0, 1}, 8, {all_reduce(tp, 8)})})};
  if (odd) {
    plan.events.push_back(replay("decode", 5, {graph({0, 0}, 8), std::move(*odd)}));
  } else {
    plan.events.push_back(replay("decode", 5, {graph({0, 1}, 8)}));
  }
  return finish(plan);
}
Lifecycle all_replay() { return one_departs({}); }

Lifecycle idle_rank_is_eager() { return one_departs(eager_program({1, 1}, 0, {})); }
Lifecycle eager_rank_is_in_step() {
  return one_departs(eager_program({1, 1}, 5, {all_reduce(GroupId{0}, 8)}));
}
Lifecycle eager_rank_has_other_rows() {
  return one_departs(eager_program({1, 1}, 5, {all_reduce(GroupId{0}, 5)}));
}

// Graphs of whole steps and of pieces are captured under one key; the later capture is found.
Lifecycle pieces(GraphMode odd) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  plan.events = {
      warm_up("decode", 8, {eager_program({0, 1}, 8, {all_reduce(tp, 8)})}),
      capture("decode", 8, {in_mode(graph({0, 1}, 8, {all_reduce(tp, 8)}), GraphMode::piecewise)}),
      replay("decode", 5,
             {in_mode(graph({0, 0}, 8), GraphMode::piecewise), in_mode(graph({1, 1}, 8), odd)})};
  return finish(plan);
}
Lifecycle whole_beside_pieces() { return pieces(GraphMode::graph); }
Lifecycle all_pieces() { return pieces(GraphMode::piecewise); }

Lifecycle keys(std::string_view odd) {
  const auto step = [](std::vector<PlanOp> ops, RankSet ranks, std::string_view lora) {
    return with_key(graph(std::move(ranks), 8, std::move(ops)), {"lora", std::string(lora)});
  };
  Lifecycle plan{.world = 3};
  const GroupId tp = add_group(plan, "tp", {{0, 1, 2}});
  plan.events = {warm_up("decode", 8, {eager_program({0, 2}, 8, {all_reduce(tp, 8)})}),
                 capture("decode", 8, {step({all_reduce(tp, 8)}, {0, 2}, "false")}),
                 capture("decode", 8, {step({all_reduce(tp, 8)}, {0, 2}, "true")}),
                 replay("decode", 5, {step({}, {0, 1}, "true"), step({}, {2, 2}, odd)})};
  return finish(plan);
}
Lifecycle key_differs() { return keys("false"); }
Lifecycle key_agrees() { return keys("true"); }

Lifecycle captures(bool all) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  std::vector<Program> programs = {graph({0, all ? 1 : 0}, 8, {all_reduce(tp, 8)})};
  if (!all) programs.push_back(eager_program({1, 1}, 8, {all_reduce(tp, 8)}));
  plan.events = {warm_up("decode", 8, {eager_program({0, 1}, 8, {all_reduce(tp, 8)})}),
                 capture("decode", 8, std::move(programs))};
  return finish(plan);
}
Lifecycle eager_beside_a_capture() { return captures(false); }
Lifecycle all_capture() { return captures(true); }

// Two groups of a family; rank 3 of the second falls back to eager while rank 2 replays. In the
// healthy twin its whole group does, which no captured operation crosses.
Lifecycle second_group(RankSet eager_ranks) {
  Lifecycle plan{.world = 4};
  const GroupId tp = add_group(plan, "attn_tp", {{0, 1}, {2, 3}});
  const std::int64_t last = eager_ranks.first() - 1;
  plan.events = {
      warm_up("decode", 8, {eager_program({0, 3}, 8, {all_reduce(tp, 8)})}),
      capture("decode", 8, {graph({0, 3}, 8, {all_reduce(tp, 8)})}),
      replay("decode", 8,
             {graph({0, last}, 8), eager_program(std::move(eager_ranks), 8, {all_reduce(tp, 8)})})};
  return finish(plan);
}
Lifecycle one_of_the_second_group() { return second_group({3, 3}); }
Lifecycle all_of_the_second_group() { return second_group({2, 3}); }

// A stage of a pipeline replays its graph, which holds the receive; the one before it is eager.
Lifecycle stages(bool eager_first) {
  Lifecycle plan{.world = 2};
  const GroupId pp = add_group(plan, "pp", {{0, 1}});
  PlanOp send = op(PlanOpKind::send, pp, 8, 8);
  send.peer = 1;
  PlanOp receive = op(PlanOpKind::recv, pp, 8, 8);
  receive.peer = 0;
  plan.events = {
      warm_up("decode", 8, {eager_program({0, 0}, 8, {send}), eager_program({1, 1}, 8, {receive})}),
      capture("decode", 8, {graph({0, 0}, 8, {send}), graph({1, 1}, 8, {receive})}),
      replay(
          "decode", 8,
          {eager_first ? eager_program({0, 0}, 8, {send}) : graph({0, 0}, 8), graph({1, 1}, 8)})};
  return finish(plan);
}
Lifecycle eager_stage() { return stages(true); }
Lifecycle graph_stages() { return stages(false); }

}  // namespace
}  // namespace same_mode_mutants

std::span<const PlanMutant> plan_mutants_same_mode() {
  using namespace same_mode_mutants;
  constexpr std::string_view kLaw = "same_mode";
  static const std::array kMutants = {
      PlanMutant{"idle_rank_is_eager", kLaw, "mode: an idle rank issues nothing, eagerly",
                 idle_rank_is_eager, all_replay},
      PlanMutant{"eager_rank_is_in_step", kLaw, "mode: equal operations, an eager rank",
                 eager_rank_is_in_step, all_replay},
      PlanMutant{"eager_rank_has_other_rows", kLaw, "mode: an eager rank with rows of its own",
                 eager_rank_has_other_rows, all_replay},
      PlanMutant{"whole_beside_pieces", kLaw, "mode: graph beside piecewise", whole_beside_pieces,
                 all_pieces},
      PlanMutant{"key_differs", kLaw, "key without its size", key_differs, key_agrees},
      PlanMutant{"eager_beside_a_capture", kLaw, "capture itself included", eager_beside_a_capture,
                 all_capture},
      PlanMutant{"one_of_the_second_group", kLaw, "every group of a family",
                 one_of_the_second_group, all_of_the_second_group},
      PlanMutant{"eager_stage", kLaw, "sends and receives too", eager_stage, graph_stages},
  };
  return kMutants;
}

}  // namespace capsize
