// Planted faults for counts_match: one count, type or range is wrong in each.
#include <array>
#include <span>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

constexpr GroupId kTp{0};

// Two ranks in one group, and one event with the programs given.
Lifecycle two_ranks(std::vector<Program> programs) {
  Lifecycle plan{.world = 2};
  add_group(plan, "tp", {{0, 1}});
  add_buffer(plan, {.name = "rows", .bytes = 64});
  plan.events = {eager("decode", 8, std::move(programs))};
  return finish(plan);
}

Lifecycle together(PlanOp op) { return two_ranks({eager_program({0, 1}, 8, {std::move(op)})}); }

Lifecycle apart(PlanOp first, PlanOp second) {
  return two_ranks({eager_program({0, 0}, 8, {std::move(first)}),
                    eager_program({1, 1}, 8, {std::move(second)})});
}

PlanOp listed(PlanOpKind kind, std::int64_t in, std::int64_t out, std::vector<std::int64_t> sizes) {
  PlanOp of = op(kind, kTp, in, out);
  of.sizes = std::move(sizes);
  return of;
}

// A gather of 3 rows of rank 0 and 5 of rank 1, as each of them states it.
Lifecycle gather_listed(std::int64_t second_in, std::int64_t second_out,
                        std::vector<std::int64_t> second_sizes) {
  return apart(listed(PlanOpKind::all_gather, 3, 8, {3, 5}),
               listed(PlanOpKind::all_gather, second_in, second_out, std::move(second_sizes)));
}
Lifecycle gather_listed_right() { return gather_listed(5, 8, {3, 5}); }

Lifecycle scatter_listed(std::int64_t second_in, std::int64_t second_out) {
  return apart(listed(PlanOpKind::reduce_scatter, 8, 3, {3, 5}),
               listed(PlanOpKind::reduce_scatter, second_in, second_out, {3, 5}));
}

// Each rank sends lists of its own.
Lifecycle exchange_listed(std::int64_t second_in) {
  PlanOp first = listed(PlanOpKind::all_to_all, 8, 0, {3, 5});
  PlanOp second = listed(PlanOpKind::all_to_all, second_in, 0, {1, 1});
  first.rows_out.reset();
  second.rows_out.reset();
  return apart(first, second);
}

PlanOp typed(PlanOp of, std::string dtype) {
  of.dtype = std::move(dtype);
  return of;
}

PlanOp swap_rows(std::int64_t rows) {
  PlanOp of = op(PlanOpKind::all_to_all, kTp);
  of.rows_in = {rows};
  return of;
}

Lifecycle send_and_receive(const std::string& type) {
  PlanOp sends = typed(op(PlanOpKind::send, kTp), "bf16");
  PlanOp receives = typed(op(PlanOpKind::recv, kTp), type);
  sends.peer = 1;
  receives.peer = 0;
  return apart(sends, receives);
}

PlanOp in_place(PlanOpKind kind, BufferRange read, BufferRange write) {
  PlanOp of = op(kind, kTp);
  of.reads = {read};
  of.writes = {write};
  return of;
}

// All 64 bytes are reduced; each rank keeps 32 of them, rank 1 from `second` on.
Lifecycle scatter_in_place(std::int64_t second, std::int64_t bytes) {
  return apart(in_place(PlanOpKind::reduce_scatter, {0, 0, -1}, {0, 0, 32}),
               in_place(PlanOpKind::reduce_scatter, {0, 0, -1}, {0, second, bytes}));
}
Lifecycle gather_in_place(std::int64_t second) {
  return apart(in_place(PlanOpKind::all_gather, {0, 0, 32}, {0, 0, 64}),
               in_place(PlanOpKind::all_gather, {0, second, 32}, {0, 0, 64}));
}
Lifecycle one_program_in_place(bool apart_from_it) {
  return together(in_place(PlanOpKind::all_gather, {0, 0, 16}, {0, apart_from_it ? 16 : 0, 32}));
}
Lifecycle overlaps(PlanOpKind kind, std::int64_t written) {
  return together(in_place(kind, {0, 0, 32}, {0, written, 32}));
}

constexpr std::string_view kLaw = "counts_match";

constexpr std::array<PlanMutant, 23> kMutants = {{
    {"scatters_too_few", kLaw, "a reduce-scatter gives 1/|G| of its rows",
     [] { return together(reduce_scatter(kTp, 8, 3)); },
     [] { return together(reduce_scatter(kTp, 8, 4)); }},
    {"gathers_too_few", kLaw, "an all-gather gives |G| times its rows",
     [] { return together(all_gather(kTp, 3, 8)); },
     [] { return together(all_gather(kTp, 4, 8)); }},
    {"reduces_into_fewer", kLaw, "an all-reduce gives as many rows as it takes",
     [] { return together(op(PlanOpKind::all_reduce, kTp, 8, 7)); },
     [] { return together(all_reduce(kTp, 7)); }},
    {"broadcasts_into_fewer", kLaw, "a broadcast gives as many rows as it takes",
     [] { return together(op(PlanOpKind::broadcast, kTp, 8, 7)); },
     [] { return together(op(PlanOpKind::broadcast, kTp, 7, 7)); }},
    {"lists_one_size", kLaw, "one size for each member",
     [] { return together(listed(PlanOpKind::all_gather, 3, 3, {3})); },
     [] {
       return together(listed(PlanOpKind::all_gather, 3, 6, {3, 3}));
     }},
    {"gathers_beside_the_list", kLaw, "a member gathers its size",
     [] {
       return gather_listed(4, 8, {3, 5});
     },
     gather_listed_right},
    {"takes_beside_the_list", kLaw, "a gather gives the sum of the sizes",
     [] {
       return gather_listed(5, 9, {3, 5});
     },
     gather_listed_right},
    {"scatters_beside_the_list", kLaw, "a scatter takes the sum of the sizes",
     [] { return scatter_listed(9, 5); }, [] { return scatter_listed(8, 5); }},
    {"keeps_beside_the_list", kLaw, "a scatter gives a member its size",
     [] { return scatter_listed(8, 4); }, [] { return scatter_listed(8, 5); }},
    {"sends_beside_the_list", kLaw, "an all-to-all takes the sum of the sizes",
     [] { return exchange_listed(3); }, [] { return exchange_listed(2); }},
    {"one_program_for_unequal_sizes", kLaw, "each rank has its place in the sizes",
     [] {
       return together(listed(PlanOpKind::all_gather, 3, 8, {3, 5}));
     },
     [] {
       return together(listed(PlanOpKind::all_gather, 4, 8, {4, 4}));
     }},
    {"ranks_reduce_other_counts", kLaw, "counts are equal on all members",
     [] { return apart(all_reduce(kTp, 512), all_reduce(kTp, 513)); },
     [] { return apart(all_reduce(kTp, 512), all_reduce(kTp, 512)); }},
    {"ranks_swap_other_counts", kLaw, "counts of an all-to-all without sizes are equal",
     [] { return apart(swap_rows(8), swap_rows(6)); },
     [] { return apart(swap_rows(8), swap_rows(8)); }},
    {"ranks_list_other_sizes", kLaw, "sizes are equal on all members",
     [] {
       return gather_listed(5, 9, {4, 5});
     },
     gather_listed_right},
    {"ranks_reduce_other_types", kLaw, "types are equal on all members",
     [] { return apart(typed(all_reduce(kTp, 8), "bf16"), typed(all_reduce(kTp, 8), "fp32")); },
     [] { return apart(typed(all_reduce(kTp, 8), "bf16"), typed(all_reduce(kTp, 8), "bf16")); }},
    {"receives_another_type", kLaw, "sent and received types are equal",
     [] { return send_and_receive("fp16"); }, [] { return send_and_receive("bf16"); }},
    {"scatters_at_the_buffers_start", kLaw, "a reduce-scatter in place writes the rank's slice",
     [] { return scatter_in_place(0, 32); }, [] { return scatter_in_place(32, 32); }},
    {"scatters_half_a_slice", kLaw, "the written slice is 1/|G| of what is read",
     [] { return scatter_in_place(32, 16); }, [] { return scatter_in_place(32, 32); }},
    {"gathers_from_the_start", kLaw, "an all-gather in place reads the rank's slice",
     [] { return gather_in_place(0); }, [] { return gather_in_place(32); }},
    {"one_program_in_place", kLaw, "one offset is right for one position",
     [] { return one_program_in_place(false); }, [] { return one_program_in_place(true); }},
    {"reduces_half_beside", kLaw, "an all-reduce in place writes what it reads",
     [] { return overlaps(PlanOpKind::all_reduce, 16); },
     [] { return overlaps(PlanOpKind::all_reduce, 0); }},
    {"broadcasts_half_beside", kLaw, "a broadcast in place writes what it reads",
     [] { return overlaps(PlanOpKind::broadcast, 16); },
     [] { return overlaps(PlanOpKind::broadcast, 32); }},
    {"swaps_in_place", kLaw, "an all-to-all has no place of its own",
     [] { return overlaps(PlanOpKind::all_to_all, 0); },
     [] { return overlaps(PlanOpKind::all_to_all, 32); }},
}};

}  // namespace

std::span<const PlanMutant> plan_mutants_counts_match();
std::span<const PlanMutant> plan_mutants_counts_match() { return kMutants; }

}  // namespace capsize
