// Planted faults of captured_together: a rank stays out of a capture, captures less than its
// peers, replays another capture's graph, or captures while its peers still work.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace captured_together_mutants {
namespace {

using namespace parts;

// A graph is captured on demand by those that need it.
Lifecycle captured_by(RankSet ranks) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  plan.events = {warm_up("decode", 8, {eager_program({0, 1}, 8, {all_reduce(tp, 8)})}),
                 capture("decode", 8, {graph(std::move(ranks), 8, {all_reduce(tp, 8)})})};
  return finish(plan);
}
Lifecycle captured_by_one() { return captured_by({0, 0}); }
Lifecycle captured_by_both() { return captured_by({0, 1}); }

// The second group of a family is left half outside. In the twin it is outside as a whole.
Lifecycle second_group(std::int64_t last) {
  Lifecycle plan{.world = 4};
  const GroupId tp = add_group(plan, "attn_tp", {{0, 1}, {2, 3}});
  plan.events = {warm_up("decode", 8, {eager_program({0, 3}, 8, {all_reduce(tp, 8)})}),
                 capture("decode", 8, {graph({0, last}, 8, {all_reduce(tp, 8)})})};
  return finish(plan);
}
Lifecycle half_a_group() { return second_group(2); }
Lifecycle one_whole_group() { return second_group(1); }

// The second sum stays outside the graph's pieces on one rank.
Lifecycle pieces(bool odd_captures) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  const auto program = [tp](RankSet ranks, bool captured) {
    Program out = graph(std::move(ranks), 8, {all_reduce(tp, 8), all_reduce(tp, 8)});
    out.mode = GraphMode::piecewise;
    out.ops[1].captured = captured;
    return out;
  };
  plan.events = {
      warm_up("decode", 8, {eager_program({0, 1}, 8, {all_reduce(tp, 8), all_reduce(tp, 8)})}),
      capture("decode", 8, {program({0, 0}, true), program({1, 1}, odd_captures)})};
  return finish(plan);
}
Lifecycle captured_on_one() { return pieces(false); }
Lifecycle captured_on_both() { return pieces(true); }

// What is summed has one row in every bucket, so that no count differs. Where the ranks capture two
// sizes in opposite order, the graphs that one key finds do not come from one capture.
Lifecycle two_sizes(bool in_step) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  plan.events = {warm_up("decode", 16, {eager_program({0, 1}, 16, {all_reduce(tp, 1)})})};
  for (const std::int64_t bucket : {16, 8}) {
    const std::int64_t other = in_step ? bucket : 24 - bucket;
    plan.events.push_back(capture(
        "decode", bucket,
        {graph({0, 0}, bucket, {all_reduce(tp, 1)}), graph({1, 1}, other, {all_reduce(tp, 1)})}));
  }
  plan.events.push_back(replay("decode", 5, {graph({0, 1}, 8)}));
  return finish(plan);
}
Lifecycle graphs_of_two_captures() { return two_sizes(false); }
Lifecycle graphs_of_one_capture() { return two_sizes(true); }

// An eager step goes on on one stream while a capture begins on another.
Lifecycle pending(bool joined) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  plan.events = {warm_up("decode", 8, {eager_program({0, 1}, 8, {all_reduce(tp, 8)})}),
                 eager("prefill", 40, {eager_program({0, 1}, 40, {all_reduce(tp, 40)})}),
                 capture("decode", 8, {graph({0, 1}, 8, {all_reduce(tp, 8)})})};
  plan.events[1].stream = 1;
  plan.events[2].stream = 0;
  if (joined) plan.events[2].after = {1};
  return finish(plan);
}
Lifecycle work_is_pending() { return pending(false); }
Lifecycle work_has_ended() { return pending(true); }

}  // namespace
}  // namespace captured_together_mutants

std::span<const PlanMutant> plan_mutants_captured_together() {
  using namespace captured_together_mutants;
  constexpr std::string_view kLaw = "captured_together";
  static const std::array kMutants = {
      PlanMutant{"captured_by_one", kLaw, "all ranks of a group take part in a capture",
                 captured_by_one, captured_by_both},
      PlanMutant{"half_a_group", kLaw, "every group of a family", half_a_group, one_whole_group},
      PlanMutant{"captured_on_one", kLaw, "captured or not is uniform", captured_on_one,
                 captured_on_both},
      PlanMutant{"graphs_of_two_captures", kLaw, "graphs come from one capture",
                 graphs_of_two_captures, graphs_of_one_capture},
      // All of a group capture, and all of it run a collective: the ranks cannot but be the same.
      PlanMutant{"work_is_pending", kLaw, "no work is pending when a capture begins",
                 work_is_pending, work_has_ended, "capture_is_legal",
                 "a peer's pending work is also a launch that nothing orders"},
  };
  return kMutants;
}

}  // namespace capsize
