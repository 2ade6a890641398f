// Planted faults of same_bucket: ranks that meet in a captured operation replay graphs of
// different sizes, and the operation's rows depend on the size.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace same_bucket_mutants {
namespace {

using namespace parts;

using OpsOf = std::vector<PlanOp> (*)(GroupId, std::int64_t bucket);

// Both ranks capture buckets 16 and 8 of a path.
void add_captures(Lifecycle& plan, const std::string& path, GroupId group, OpsOf ops,
                  GraphMode mode = GraphMode::graph) {
  for (const std::int64_t bucket : {16, 8}) {
    plan.events.push_back(
        warm_up(path, bucket, {eager_program({0, 1}, bucket, ops(group, bucket))}));
    Program program = graph({0, 1}, bucket, ops(group, bucket));
    program.mode = mode;
    plan.events.push_back(capture(path, bucket, {std::move(program)}));
  }
}

// Rank 1 has `odd` tokens' bucket, rank 0 bucket 8.
Lifecycle buckets(std::int64_t odd, OpsOf ops, std::optional<Transport> transport = {},
                  GraphMode mode = GraphMode::graph) {
  Lifecycle plan{.world = 2};
  const GroupId ep = add_group(plan, "ep", {{0, 1}});
  plan.families[0].transport = transport;
  add_captures(plan, "decode", ep, ops, mode);
  if (transport == Transport::peer) plan.events.push_back(register_groups({ep}));
  std::vector<Program> programs = {graph({0, 0}, 8), graph({1, 1}, odd)};
  for (Program& program : programs) program.mode = mode;
  plan.events.push_back(replay("decode", 5, std::move(programs)));
  return finish(plan);
}

std::vector<PlanOp> sums(GroupId group, std::int64_t bucket) { return {all_reduce(group, bucket)}; }
std::vector<PlanOp> exchanges(GroupId group, std::int64_t bucket) {
  return {op(PlanOpKind::all_to_all, group, bucket, bucket)};
}
std::vector<PlanOp> unsaid(GroupId group, std::int64_t) {
  return {op(PlanOpKind::all_reduce, group)};
}
// A vote of fixed size, then what depends on the bucket.
std::vector<PlanOp> vote_first(GroupId group, std::int64_t bucket) {
  PlanOp vote = all_reduce(group, 1);
  vote.dtype = "int32";
  return {op(PlanOpKind::barrier, group), std::move(vote), all_reduce(group, bucket)};
}
// The small graph sums; the large one scatters and gathers.
std::vector<PlanOp> other_route(GroupId group, std::int64_t bucket) {
  if (bucket < 16) return {all_reduce(group, bucket)};
  return {reduce_scatter(group, bucket, bucket / 2), all_gather(group, bucket / 2, bucket)};
}

Lifecycle local_buckets() { return buckets(16, sums); }
Lifecycle one_bucket() { return buckets(8, sums); }
Lifecycle local_exchange() { return buckets(16, exchanges); }
Lifecycle one_exchange() { return buckets(8, exchanges); }
Lifecycle local_among_peers() { return buckets(16, sums, Transport::peer); }
Lifecycle one_among_peers() { return buckets(8, sums, Transport::peer); }
Lifecycle rows_unsaid() { return buckets(16, unsaid); }
Lifecycle rows_unsaid_one_bucket() { return buckets(8, unsaid); }
Lifecycle behind_a_vote() { return buckets(16, vote_first); }
Lifecycle behind_a_vote_one_bucket() { return buckets(8, vote_first); }
Lifecycle by_another_route() { return buckets(16, other_route); }
Lifecycle by_one_route() { return buckets(8, other_route); }
Lifecycle local_pieces() { return buckets(16, sums, {}, GraphMode::piecewise); }
Lifecycle one_piece() { return buckets(8, sums, {}, GraphMode::piecewise); }
// Bucket 12 was never captured.
Lifecycle uncaptured_bucket() { return buckets(12, sums); }

// Both say that they run 16 padded rows; one looks the graph up by its own count.
Lifecycle looked_up(std::int64_t size) {
  Lifecycle plan{.world = 2};
  const GroupId dp = add_group(plan, "dp", {{0, 1}});
  add_captures(plan, "decode", dp, sums);
  Program idle = graph({1, 1}, 16);
  idle.key = key_of_tokens(size);
  plan.events.push_back(replay("decode", 16, {graph({0, 0}, 16), std::move(idle)}));
  return finish(plan);
}
Lifecycle key_of_the_local_count() { return looked_up(8); }
Lifecycle key_of_the_agreed_count() { return looked_up(16); }

// The target model agrees; the draft model's ranks do not.
Lifecycle draft(std::int64_t odd) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  add_captures(plan, "target", tp, sums);
  add_captures(plan, "draft", tp, exchanges);
  plan.events.push_back(replay("target", 16, {graph({0, 1}, 16)}));
  plan.events.push_back(replay("draft", 16, {graph({0, 0}, 16), graph({1, 1}, odd)}));
  return finish(plan);
}
Lifecycle draft_departs() { return draft(8); }
Lifecycle draft_agrees() { return draft(16); }

// Stages of a pipeline choose their bucket each for itself.
Lifecycle stages(std::int64_t second) {
  Lifecycle plan{.world = 2};
  const GroupId pp = add_group(plan, "pp", {{0, 1}});
  const auto stage = [pp](std::int64_t rank, std::int64_t bucket) {
    PlanOp op = parts::op(rank == 0 ? PlanOpKind::send : PlanOpKind::recv, pp, bucket, bucket);
    op.peer = 1 - rank;
    return graph({rank, rank}, bucket, {std::move(op)});
  };
  for (const std::int64_t bucket : {16, 8}) {
    Program first = stage(0, bucket);
    Program next = stage(1, bucket);
    plan.events.push_back(warm_up(
        "decode", bucket,
        {eager_program({0, 0}, bucket, first.ops), eager_program({1, 1}, bucket, next.ops)}));
    plan.events.push_back(capture("decode", bucket, {std::move(first), std::move(next)}));
  }
  plan.events.push_back(replay("decode", 8, {graph({0, 0}, 8), graph({1, 1}, second)}));
  return finish(plan);
}
Lifecycle stages_depart() { return stages(16); }
Lifecycle stages_agree() { return stages(8); }

}  // namespace
}  // namespace same_bucket_mutants

std::span<const PlanMutant> plan_mutants_same_bucket() {
  using namespace same_bucket_mutants;
  constexpr std::string_view kLaw = "same_bucket";
  static const std::array kMutants = {
      PlanMutant{"local_buckets", kLaw, "bucket, where rows depend on it", local_buckets,
                 one_bucket},
      PlanMutant{"local_exchange", kLaw, "an exchange of fixed geometry corrupts", local_exchange,
                 one_exchange},
      PlanMutant{"local_among_peers", kLaw, "peer memory corrupts", local_among_peers,
                 one_among_peers},
      PlanMutant{"rows_unsaid", kLaw, "rows that are not said may depend", rows_unsaid,
                 rows_unsaid_one_bucket},
      PlanMutant{"behind_a_vote", kLaw, "not only the first operation", behind_a_vote,
                 behind_a_vote_one_bucket},
      PlanMutant{"by_another_route", kLaw, "operations that depend on the bucket", by_another_route,
                 by_one_route},
      PlanMutant{"local_pieces", kLaw, "piecewise graphs too", local_pieces, one_piece},
      PlanMutant{"uncaptured_bucket", kLaw, "a missing graph: the others' operations decide",
                 uncaptured_bucket, one_bucket},
      PlanMutant{"key_of_the_local_count", kLaw, "size in the key", key_of_the_local_count,
                 key_of_the_agreed_count},
      PlanMutant{"draft_departs", kLaw, "target and draft models each", draft_departs,
                 draft_agrees},
      PlanMutant{"stages_depart", kLaw, "sends and receives too", stages_depart, stages_agree},
  };
  return kMutants;
}

}  // namespace capsize
