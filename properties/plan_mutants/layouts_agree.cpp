// Planted faults for layouts_agree: four ranks, as two stages of two or as a grid of two axes, and
// one edge, one operand or one group that is wrong.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

constexpr GroupId kTp{0};     // all four ranks
constexpr GroupId kOuter{1};  // {0, 2} and {1, 3}
constexpr GroupId kInner{2};  // {0, 1} and {2, 3}: kTp counts through kOuter, then kInner
constexpr GroupId kAlone{3};  // a rank each
constexpr GroupId kSame{4};   // the ranks of kTp under another name

Lifecycle grid() {
  Lifecycle plan{.world = 4};
  add_group(plan, "tp", {{0, 1, 2, 3}});
  add_group(plan, "outer", {{0, 2}, {1, 3}});
  add_group(plan, "inner", {{0, 1}, {2, 3}});
  add_group(plan, "alone", {{0}, {1}, {2}, {3}});
  add_group(plan, "same", {{0, 1, 2, 3}});
  return plan;
}

Layout nested(const std::vector<LayoutPart>& parts) {
  Layout layout;
  for (const LayoutPart part : parts) layout.push(part);
  return layout;
}
LayoutPart cut(GroupId axis) { return {LayoutKind::scattered, axis}; }
LayoutPart sum(GroupId axis) { return {LayoutKind::partial, axis}; }

PlanOp with(PlanOp operation, std::vector<Layout> in, std::optional<Layout> out = {}) {
  operation.in = std::move(in);
  operation.out = out;
  return operation;
}

// One eager event of these operations, run by all ranks `repeat` times.
Lifecycle runs(std::vector<PlanOp> ops, std::int64_t repeat = 1) {
  Lifecycle plan = grid();
  Program program = eager_program({0, 3}, 16, std::move(ops));
  program.repeat = repeat;
  plan.events = {create(kTp),    create(kOuter), create(kInner),
                 create(kAlone), create(kSame),  eager("prefill", 16, {std::move(program)})};
  return std::move(finish(plan));
}

// ---- rows of an edge ------------------------------------------------------------------------

// A reduce-scatter leaves 4 rows, the gather that follows is sized for the rows before it.
Lifecycle gathers_after_scatter(std::int64_t rows) {
  return runs({reduce_scatter(kTp, 16, 4), all_gather(kTp, rows, 4 * rows)});
}
Lifecycle gathers_rows_of_before() { return gathers_after_scatter(16); }
Lifecycle gathers_rows_of_after() { return gathers_after_scatter(4); }

// A host call between two operations holds no data.
Lifecycle waits_between(std::int64_t rows) {
  return runs({reduce_scatter(kTp, 16, 4), op(PlanOpKind::wait), all_gather(kTp, rows, 4 * rows)});
}
Lifecycle a_wait_hides_nothing() { return waits_between(16); }
Lifecycle a_wait_passes_rows_on() { return waits_between(4); }

// So does a vote, which is no part of the rows; what is of their type is.
Lifecycle counts_between(std::string dtype) {
  PlanOp vote = all_reduce(kTp, 1);
  vote.dtype = std::move(dtype);
  return runs({reduce_scatter(kTp, 16, 4), vote, all_gather(kTp, 4, 16)});
}
Lifecycle reads_what_is_reduced() { return counts_between("bf16"); }
Lifecycle reads_past_a_vote() { return counts_between("int32"); }

// The second operand is named, and comes from further back.
Lifecycle names(std::vector<std::int32_t> from) {
  PlanOp joined = op(PlanOpKind::all_to_all, kTp, 4, 4);
  joined.from = std::move(from);
  return runs({op(PlanOpKind::kernel, {}, 4, 4), reduce_scatter(kTp, 4, 1), joined});
}
Lifecycle reads_what_it_does_not_name() { return names({1}); }
Lifecycle reads_what_it_names() { return names({0}); }

// The last operation of a layer feeds the first of the next.
Lifecycle layers(std::int64_t left) {
  return runs({op(PlanOpKind::norm, {}, 4, 4), op(PlanOpKind::kernel, {}, 4, left)}, 3);
}
Lifecycle layer_leaves_more() { return layers(16); }
Lifecycle layer_leaves_what_it_read() { return layers(4); }

// The same where a block is repeated and not the program.
Lifecycle blocks(std::int64_t left) {
  Lifecycle plan = layers(left);
  Program& program = plan.events.back().programs[0];
  program.repeat = 1;
  program.blocks = {{0, 2, 5, 1}};
  return plan;
}
Lifecycle block_leaves_more() { return blocks(16); }
Lifecycle block_leaves_what_it_read() { return blocks(4); }

// Captured operations never work on fewer rows than they are given; an eager break may.
Lifecycle narrows(std::optional<bool> captured) {
  Lifecycle plan = grid();
  PlanOp attention = op(PlanOpKind::attention, {}, 3, 5);
  attention.captured = captured;
  Program program = graph(
      {0, 3}, 5, {op(PlanOpKind::kernel, {}, 5, 5), attention, op(PlanOpKind::norm, {}, 5, 5)});
  program.mode = GraphMode::piecewise;
  program.tokens = 3;
  plan.events = {capture("prefill", 5, {std::move(program)})};
  return std::move(finish(plan));
}
Lifecycle captured_attention_narrows() { return narrows({}); }
Lifecycle eager_break_narrows() { return narrows(false); }

// What a replay restates has edges of its own.
Lifecycle restates(std::int64_t rows) {
  Lifecycle plan = grid();
  std::vector<PlanOp> restated = {op(PlanOpKind::kernel, {}, 16, 16),
                                  op(PlanOpKind::norm, {}, rows, rows)};
  for (PlanOp& each : restated) each.captured = true;
  // The capture states kinds alone.
  plan.events = {
      capture("decode", 16, {graph({0, 3}, 16, {op(PlanOpKind::kernel), op(PlanOpKind::norm)})}),
      replay("decode", 16, {graph({0, 3}, 16, std::move(restated))})};
  return std::move(finish(plan));
}
Lifecycle restated_edge_breaks() { return restates(4); }
Lifecycle restated_edge_holds() { return restates(16); }

// ---- layouts --------------------------------------------------------------------------------

// Rows that agree by accident, in another layout.
Lifecycle edge(const Layout& out, const Layout& in) {
  PlanOp first = op(PlanOpKind::kernel, {}, 4, 4);
  first.out = out;
  return runs({first, with(op(PlanOpKind::norm, {}, 4, 4), {in})});
}
Lifecycle scattered_is_taken_for_whole() { return edge(scattered(kTp), replicated()); }
Lifecycle scattered_is_scattered() { return edge(scattered(kTp), scattered(kSame)); }
Lifecycle other_axis_of_that_size() { return edge(scattered(kInner), scattered(kOuter)); }
Lifecycle same_axis() { return edge(scattered(kInner), nested({cut(kAlone), cut(kInner)})); }
Lifecycle nested_the_wrong_way() {
  return edge(scattered(kTp), nested({cut(kInner), cut(kOuter)}));
}
Lifecycle nested_as_it_counts() { return edge(scattered(kTp), nested({cut(kOuter), cut(kInner)})); }

Lifecycle reads_sum(PlanOpKind kind, const Layout& layout) {
  return runs({with(op(kind, {}, 16, 16), {layout})});
}
Lifecycle norm_of_an_open_sum() { return reads_sum(PlanOpKind::norm, partial(kTp)); }
Lifecycle norm_of_a_sum() { return reads_sum(PlanOpKind::norm, partial(kAlone)); }
Lifecycle router_on_an_open_sum() { return reads_sum(PlanOpKind::router, partial(kTp)); }
Lifecycle router_on_a_sum() { return reads_sum(PlanOpKind::router, partial(kAlone)); }

// The operand says nothing: it is what the operation before it leaves.
Lifecycle leaves_sum(const std::optional<Layout>& out) {
  return runs({with(op(PlanOpKind::matmul, {}, 16, 16), {}, out), op(PlanOpKind::norm)});
}
Lifecycle norm_after_an_open_sum() { return leaves_sum(partial(kTp)); }
Lifecycle norm_after_a_sum() { return leaves_sum(replicated()); }

// ---- operands -------------------------------------------------------------------------------

Lifecycle adds(std::vector<std::int64_t> rows) {
  PlanOp operation = op(PlanOpKind::add);
  operation.rows_in = std::move(rows);
  return runs({operation});
}
Lifecycle adds_8_to_32() { return adds({8, 32}); }
Lifecycle adds_8_to_8() { return adds({8, 8}); }

Lifecycle adds_layouts(const Layout& first, const Layout& second) {
  return runs({with(op(PlanOpKind::add), {first, second})});
}
Lifecycle adds_cut_to_whole() { return adds_layouts(scattered(kTp), replicated()); }
Lifecycle adds_cut_to_cut() { return adds_layouts(scattered(kTp), scattered(kSame)); }

// Hidden states are scattered a second time, the residual is not: nothing but the producers says
// so.
Lifecycle adds_named(bool slices_both) {
  PlanOp hidden = op(PlanOpKind::copy);
  hidden.rows_out = 32;
  PlanOp joined = op(PlanOpKind::add);
  joined.from = {2, slices_both ? 3 : 1};
  PlanOp second = op(PlanOpKind::slice, kTp, 32, 8);
  second.from = {1};
  return runs({hidden, op(PlanOpKind::kernel, {}, 32, 32), op(PlanOpKind::slice, kTp, 32, 8),
               second, joined});
}
Lifecycle residual_is_not_scattered() { return adds_named(false); }
Lifecycle residual_is_scattered() { return adds_named(true); }

// ---- groups ---------------------------------------------------------------------------------

Lifecycle collective(PlanOpKind kind, GroupId group, const Layout& in,
                     const std::optional<Layout>& out) {
  return runs({with(op(kind, group), {in}, out)});
}
Lifecycle scatters_over_other_ranks() {
  return collective(PlanOpKind::reduce_scatter, kOuter, partial(kInner), {});
}
Lifecycle scatters_over_its_ranks() {
  return collective(PlanOpKind::reduce_scatter, kInner, partial(kInner), scattered(kInner));
}
Lifecycle scatters_into_other_parts() {
  return collective(PlanOpKind::reduce_scatter, kInner, partial(kInner), scattered(kOuter));
}
Lifecycle reduces_what_is_no_sum() {
  return collective(PlanOpKind::all_reduce, kTp, replicated(), {});
}
Lifecycle reduces_a_sum() {
  return collective(PlanOpKind::all_reduce, kTp, nested({sum(kInner), sum(kOuter)}), replicated());
}
Lifecycle leaves_the_sum_open() {
  return collective(PlanOpKind::all_reduce, kTp, partial(kTp), partial(kTp));
}
Lifecycle gathers_a_part() {
  return collective(PlanOpKind::all_gather, kTp, scattered(kInner), {});
}
Lifecycle gathers_nested_parts() {
  return collective(PlanOpKind::all_gather, kTp, nested({cut(kOuter), cut(kInner)}), replicated());
}
Lifecycle gathers_the_outer_parts() {
  return collective(PlanOpKind::all_gather, kOuter, nested({cut(kOuter), cut(kInner)}), {});
}
Lifecycle gathers_the_inner_parts() {
  return collective(PlanOpKind::all_gather, kInner, nested({cut(kOuter), cut(kInner)}),
                    scattered(kOuter));
}
// A new axis was added, and the code still asks for the one that has shrunk to one rank.
Lifecycle gathers_over_one_rank() {
  return collective(PlanOpKind::all_gather, kAlone, scattered(kTp), {});
}
Lifecycle gathers_what_one_rank_holds() {
  return collective(PlanOpKind::all_gather, kAlone, nested({cut(kTp), cut(kAlone)}),
                    scattered(kTp));
}
Lifecycle slices_twice() { return collective(PlanOpKind::slice, kTp, scattered(kTp), {}); }
Lifecycle slices_once() { return collective(PlanOpKind::slice, kTp, replicated(), scattered(kTp)); }

// ---- pipelines ------------------------------------------------------------------------------

// Ranks 0 and 1 send to ranks 2 and 3.
Lifecycle stages(PlanOp sends, PlanOp receives, PlanOp before) {
  Lifecycle plan = grid();
  sends.kind = PlanOpKind::send;
  receives.kind = PlanOpKind::recv;
  sends.group = receives.group = kOuter;
  sends.peer = 2;
  receives.peer = 0;
  plan.events = {create(kOuter), eager("decode", 32,
                                       {eager_program({0, 1}, 32, {std::move(before), sends}),
                                        eager_program({2, 3}, 32, {receives})})};
  return std::move(finish(plan));
}
PlanOp leaves(std::int64_t rows, const Layout& layout) {
  PlanOp operation = op(PlanOpKind::kernel, {}, rows, rows);
  operation.out = layout;
  return operation;
}
PlanOp receives(std::int64_t rows, const Layout& layout) { return leaves(rows, layout); }

// The placeholders of the second stage hold all rows, what arrives is scattered.
Lifecycle receives_into_all_rows() {
  return stages({}, receives(32, scattered(kInner)), leaves(16, scattered(kInner)));
}
Lifecycle receives_into_scattered_rows() {
  return stages({}, receives(16, scattered(kInner)), leaves(16, scattered(kInner)));
}
Lifecycle receives_another_layout() {
  PlanOp sends = op(PlanOpKind::send);
  sends.rows_in = {16};
  sends.in = {scattered(kInner)};
  return stages(sends, receives(16, replicated()), leaves(16, scattered(kInner)));
}

constexpr std::string_view kLaw = "layouts_agree";

constexpr std::array kMutants = {
    PlanMutant{"gathers_rows_of_before", kLaw, "rows of an edge are equal", gathers_rows_of_before,
               gathers_rows_of_after},
    PlanMutant{"a_wait_hides_nothing", kLaw, "what holds no data is passed over",
               a_wait_hides_nothing, a_wait_passes_rows_on},
    PlanMutant{"reads_what_is_reduced", kLaw, "votes and counts are no part of the rows",
               reads_what_is_reduced, reads_past_a_vote},
    PlanMutant{"reads_what_it_does_not_name", kLaw, "a named producer is the one that is read",
               reads_what_it_does_not_name, reads_what_it_names},
    PlanMutant{"layer_leaves_more", kLaw, "a repeated program reads its own end", layer_leaves_more,
               layer_leaves_what_it_read},
    PlanMutant{"block_leaves_more", kLaw, "a repeated block reads its own end", block_leaves_more,
               block_leaves_what_it_read},
    PlanMutant{"captured_attention_narrows", kLaw, "eager breaks alone work on real rows",
               captured_attention_narrows, eager_break_narrows},
    PlanMutant{"restated_edge_breaks", kLaw, "restated operations have edges", restated_edge_breaks,
               restated_edge_holds},
    PlanMutant{"scattered_is_taken_for_whole", kLaw, "layouts of an edge are equal",
               scattered_is_taken_for_whole, scattered_is_scattered},
    PlanMutant{"other_axis_of_that_size", kLaw, "an axis is its ranks, not its size",
               other_axis_of_that_size, same_axis},
    PlanMutant{"nested_the_wrong_way", kLaw, "the outermost axis comes first", nested_the_wrong_way,
               nested_as_it_counts},
    PlanMutant{"norm_of_an_open_sum", kLaw, "a norm reads no part of a sum", norm_of_an_open_sum,
               norm_of_a_sum},
    PlanMutant{"router_on_an_open_sum", kLaw, "a router reads no part of a sum",
               router_on_an_open_sum, router_on_a_sum},
    PlanMutant{"norm_after_an_open_sum", kLaw, "an operand that says nothing is its producer's",
               norm_after_an_open_sum, norm_after_a_sum},
    PlanMutant{"adds_8_to_32", kLaw, "operands have equal rows", adds_8_to_32, adds_8_to_8},
    PlanMutant{"adds_cut_to_whole", kLaw, "operands have one layout", adds_cut_to_whole,
               adds_cut_to_cut},
    PlanMutant{"residual_is_not_scattered", kLaw,
               "operands of a sum are what their producers leave", residual_is_not_scattered,
               residual_is_scattered},
    PlanMutant{"scatters_over_other_ranks", kLaw, "a reduce-scatter closes the sum of its group",
               scatters_over_other_ranks, scatters_over_its_ranks},
    PlanMutant{"scatters_into_other_parts", kLaw, "a reduce-scatter leaves parts of its group",
               scatters_into_other_parts, scatters_over_its_ranks},
    PlanMutant{"reduces_what_is_no_sum", kLaw, "an all-reduce closes the sum of its group",
               reduces_what_is_no_sum, reduces_a_sum},
    PlanMutant{"leaves_the_sum_open", kLaw, "an all-reduce leaves the whole sum",
               leaves_the_sum_open, reduces_a_sum},
    PlanMutant{"gathers_a_part", kLaw, "a gather joins the parts of its group", gathers_a_part,
               gathers_nested_parts},
    PlanMutant{"gathers_the_outer_parts", kLaw, "a gather joins the innermost parts",
               gathers_the_outer_parts, gathers_the_inner_parts},
    PlanMutant{"gathers_over_one_rank", kLaw, "a group of one rank joins no parts",
               gathers_over_one_rank, gathers_what_one_rank_holds},
    PlanMutant{"slices_twice", kLaw, "rows are cut once along an axis", slices_twice, slices_once},
    PlanMutant{"receives_into_all_rows", kLaw, "rows sent are the rows received",
               receives_into_all_rows, receives_into_scattered_rows},
    PlanMutant{"receives_another_layout", kLaw, "the layout sent is the layout received",
               receives_another_layout, receives_into_scattered_rows},
};

}  // namespace

std::span<const PlanMutant> plan_mutants_layouts_agree();
std::span<const PlanMutant> plan_mutants_layouts_agree() { return kMutants; }

}  // namespace capsize
