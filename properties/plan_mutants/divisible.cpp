// Planted faults for divisible: eight ranks whose collective meets 28 rows, and weights that are
// cut in the middle of a block.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

constexpr std::int64_t kRanks = 8;
constexpr GroupId kGroup{0};

Lifecycle eight_ranks() {
  Lifecycle plan{.world = kRanks};
  add_group(plan, "attn_tp", {{0, 1, 2, 3, 4, 5, 6, 7}});
  return plan;
}

// Graphs of these operations, warmed up, captured and replayed by all ranks.
Lifecycle captured(Lifecycle plan, std::int64_t rows, const std::vector<PlanOp>& ops) {
  plan.events = {create(kGroup), warm_up("prefill", rows, {eager_program({0, 7}, rows, ops)}),
                 capture("prefill", rows, {graph({0, 7}, rows, ops)}),
                 replay("prefill", rows - 1, {graph({0, 7}, rows)})};
  return std::move(finish(plan));
}

Lifecycle scatters(std::int64_t rows) {
  return captured(eight_ranks(), rows, {reduce_scatter(kGroup, rows, rows / kRanks)});
}
Lifecycle scatters_28_rows() { return scatters(28); }
Lifecycle scatters_32_rows() { return scatters(32); }

// The rows that are read are not said, as in a dump of output shapes.
Lifecycle gathers(std::int64_t rows) {
  PlanOp gather = op(PlanOpKind::all_gather, kGroup);
  gather.rows_out = rows;
  return captured(eight_ranks(), rows, {gather});
}
Lifecycle gathers_into_28_rows() { return gathers(28); }
Lifecycle gathers_into_32_rows() { return gathers(32); }

// One operation over two tensors: the second is odd.
Lifecycle scatters_two(std::int64_t second) {
  PlanOp scatter = op(PlanOpKind::reduce_scatter, kGroup);
  scatter.rows_in = {32, second};
  return captured(eight_ranks(), 32, {scatter});
}
Lifecycle second_operand_is_odd() { return scatters_two(28); }
Lifecycle both_operands_divide() { return scatters_two(40); }

// A warm-up at a count that was never aligned, before sound captures.
Lifecycle warms_up(std::int64_t rows) {
  Lifecycle plan = scatters(32);
  plan.events[1] = warm_up(
      "prefill", rows,
      {eager_program({0, 7}, rows, {reduce_scatter(kGroup, rows, (rows + kRanks - 1) / kRanks)})});
  return std::move(finish(plan));
}
Lifecycle warms_up_7_rows() { return warms_up(7); }
Lifecycle warms_up_8_rows() { return warms_up(8); }

// Groups of two sizes in one class: 12 rows suit the groups of two and not that of eight.
Lifecycle unequal_groups(std::int64_t rows) {
  Lifecycle plan{.world = 12};
  add_group(plan, "attn_tp", {{0, 1}, {2, 3}, {4, 5, 6, 7, 8, 9, 10, 11}});
  PlanOp scatter = op(PlanOpKind::reduce_scatter, kGroup);
  scatter.rows_in = {rows};
  plan.events = {create(kGroup),
                 warm_up("prefill", rows, {eager_program({0, 11}, rows, {scatter})})};
  return std::move(finish(plan));
}
Lifecycle the_larger_group_cannot() { return unequal_groups(12); }
Lifecycle both_groups_can() { return unequal_groups(16); }

// A reduce-scatter that says how many rows each rank gets may share as it likes.
Lifecycle scatters_without_sizes() { return scatters(28); }
Lifecycle scatters_with_sizes() {
  PlanOp scatter = op(PlanOpKind::reduce_scatter, kGroup);
  scatter.rows_in = {28};
  scatter.sizes = {4, 4, 4, 4, 3, 3, 3, 3};
  PlanOp even = reduce_scatter(kGroup, 32, 4);
  return captured(eight_ranks(), 32, {scatter, op(PlanOpKind::copy), even});
}

Lifecycle weight(std::int64_t dim, std::int64_t block) {
  Lifecycle plan = eight_ranks();
  plan.weights = {{.name = "down_proj", .dim = dim, .group = kGroup, .block = block}};
  return std::move(finish(plan));
}
Lifecycle weight_has_no_equal_parts() { return weight(18436, 1); }
Lifecycle weight_has_equal_parts() { return weight(18432, 1); }
Lifecycle weight_is_cut_in_a_block() { return weight(1408 * 4, 128); }
Lifecycle weight_is_cut_between_blocks() { return weight(2048 * 4, 128); }

constexpr std::string_view kLaw = "divisible";

constexpr std::array kMutants = {
    PlanMutant{"scatters_28_rows", kLaw, "a reduce-scatter reads equal shares", scatters_28_rows,
               scatters_32_rows},
    PlanMutant{"gathers_into_28_rows", kLaw, "an all-gather leaves equal shares",
               gathers_into_28_rows, gathers_into_32_rows},
    PlanMutant{"second_operand_is_odd", kLaw, "every operand is shared", second_operand_is_odd,
               both_operands_divide},
    PlanMutant{"warms_up_7_rows", kLaw, "every event counts, not captures alone", warms_up_7_rows,
               warms_up_8_rows},
    PlanMutant{"the_larger_group_cannot", kLaw, "every group size in a class is asked",
               the_larger_group_cannot, both_groups_can},
    PlanMutant{"scatters_without_sizes", kLaw, "sizes, where given, replace equal shares",
               scatters_without_sizes, scatters_with_sizes},
    PlanMutant{"weight_has_no_equal_parts", kLaw, "a weight divides by its group",
               weight_has_no_equal_parts, weight_has_equal_parts},
    PlanMutant{"weight_is_cut_in_a_block", kLaw, "a weight's parts are whole blocks",
               weight_is_cut_in_a_block, weight_is_cut_between_blocks},
};

}  // namespace

std::span<const PlanMutant> plan_mutants_divisible();
std::span<const PlanMutant> plan_mutants_divisible() { return kMutants; }

}  // namespace capsize
