// Planted faults for one_padded_pair: a batch of thirteen tokens in a graph of sixteen, or three
// requests of five tokens each, and one count that belongs to the other pair.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

using Count = std::optional<std::int64_t>;

// A program's counts; nothing is said where they are left out.
struct Given {
  Count tokens = {};
  Count requests = {};
  Count bucket = {};
  Count padded_requests = {};
  Count width = {};
};

Program counted(const Given& given, std::vector<PlanOp> ops = {}) {
  Program program = graph({0, 1}, given.bucket.value_or(0), std::move(ops));
  program.tokens = given.tokens;
  program.requests = given.requests;
  program.bucket = given.bucket;
  program.padded_requests = given.padded_requests;
  program.width = given.width;
  return program;
}

Lifecycle captures(Program program) {
  Lifecycle plan{.world = 2};
  plan.events = {capture("decode", program.bucket.value_or(0), {std::move(program)})};
  return std::move(finish(plan));
}

// ---- counts of a program --------------------------------------------------------------------

// 15 tokens of 3 requests, padded to 16 rows: a dummy request holds the last.
Lifecycle pads(std::int64_t padded_requests) {
  return captures(counted(
      {.tokens = 15, .requests = 3, .bucket = 16, .padded_requests = padded_requests, .width = 5}));
}
Lifecycle dummy_request_is_missing() { return pads(3); }
Lifecycle dummy_request_holds_the_rest() { return pads(4); }

// The idle rank's requests are padded, its tokens are not.
Lifecycle presents(std::int64_t tokens) {
  return captures(
      counted({.tokens = tokens, .requests = 2, .bucket = 2, .padded_requests = 2, .width = 1}));
}
Lifecycle one_token_of_two_requests() { return presents(1); }
Lifecycle two_tokens_of_two_requests() { return presents(2); }

Lifecycle pads_13_tokens(std::int64_t bucket) {
  return captures(counted({.tokens = 13, .bucket = bucket}));
}
Lifecycle bucket_is_too_small() { return pads_13_tokens(12); }
Lifecycle bucket_is_enough() { return pads_13_tokens(16); }

Lifecycle pads_3_requests(std::int64_t padded) {
  return captures(counted({.requests = 3, .bucket = 16, .padded_requests = padded}));
}
Lifecycle requests_are_cut_off() { return pads_3_requests(2); }
Lifecycle requests_are_padded() { return pads_3_requests(4); }

// ---- operands -------------------------------------------------------------------------------

using Extents = std::vector<std::pair<std::string, std::int64_t>>;

PlanOp attention(Count rows, Extents extents, std::optional<bool> captured = {}) {
  PlanOp operation = op(PlanOpKind::attention);
  if (rows) operation.rows_in = {*rows};
  operation.extents = std::move(extents);
  operation.captured = captured;
  return operation;
}

constexpr Given kPadded13 = {
    .tokens = 13, .requests = 3, .bucket = 16, .padded_requests = 4, .width = {}};

Lifecycle attends(Count rows, Extents extents, std::optional<bool> captured = {}) {
  Program program = counted(kPadded13, {attention(rows, std::move(extents), captured)});
  program.mode = GraphMode::piecewise;
  return captures(std::move(program));
}

Lifecycle slots_are_real() { return attends(16, {{"slot_mapping", 13}}); }
Lifecycle slots_are_padded() { return attends(16, {{"slot_mapping", 16}}); }

// At an eager break everything is narrowed but the positions.
Lifecycle positions_are_padded() {
  return attends(13, {{"out_cache_loc", 13}, {"positions", 16}}, false);
}
Lifecycle positions_are_narrowed() {
  return attends(13, {{"out_cache_loc", 13}, {"positions", 13}}, false);
}

// Rows are not said: a captured operation works on the bucket, an eager one on the tokens.
Lifecycle captured_slots_are_real() { return attends({}, {{"slot_mapping", 13}}); }
Lifecycle captured_slots_are_padded() { return attends({}, {{"slot_mapping", 16}}); }
Lifecycle eager_slots_are_padded() { return attends({}, {{"slot_mapping", 16}}, false); }
Lifecycle eager_slots_are_real() { return attends({}, {{"slot_mapping", 13}}, false); }

Lifecycle bounds_are_real() { return attends(16, {{"kv_indptr", 14}}); }
Lifecycle bounds_are_padded() { return attends(16, {{"kv_indptr", 17}}); }

// One entry a request, of the pair that the operation does not work on.
Lifecycle lengths_are_real() { return attends(16, {{"seq_lens", 3}}); }
Lifecycle lengths_are_padded() { return attends(16, {{"seq_lens", 4}}); }
Lifecycle request_bounds_are_real() { return attends(16, {{"qo_indptr", 4}}); }
Lifecycle request_bounds_are_padded() { return attends(16, {{"qo_indptr", 5}}); }
Lifecycle break_lengths_are_padded() { return attends(13, {{"seq_lens", 4}}, false); }
Lifecycle break_lengths_are_real() { return attends(13, {{"seq_lens", 3}}, false); }

// As many tokens as rows: both pairs fit, a mixture of them does not.
Lifecycle mixes(std::int64_t tables) {
  return captures(
      counted({.tokens = 16, .requests = 3, .bucket = 16, .padded_requests = 4, .width = {}},
              {attention(16, {{"seq_lens", 4}, {"block_tables", tables}})}));
}
Lifecycle requests_of_both_pairs() { return mixes(3); }
Lifecycle requests_of_one_pair() { return mixes(4); }

// Only an array of bounds has one entry more than it bounds.
Lifecycle names_extent(const std::string& name) { return attends(16, {{name, 17}}); }
Lifecycle one_slot_too_many() { return names_extent("slot_mapping"); }
Lifecycle one_bound_more() { return names_extent("cu_seqlens"); }

// ---- replays --------------------------------------------------------------------------------

Lifecycle replays(const Given& replayed) {
  Lifecycle plan{.world = 2};
  const Program captured =
      counted({.bucket = 16, .padded_requests = 4, .width = 4}, {attention(16, {})});
  Program again = counted(replayed);
  again.key = key_of_tokens(16);
  plan.events = {capture("decode", 16, {captured}), replay("decode", 13, {std::move(again)})};
  return std::move(finish(plan));
}
Lifecycle replay_is_padded_elsewhere() { return replays({.tokens = 13, .bucket = 14}); }
Lifecycle replay_has_other_requests() { return replays({.bucket = 16, .padded_requests = 5}); }
Lifecycle replay_has_another_width() { return replays({.bucket = 16, .width = 2}); }
Lifecycle replay_is_padded_alike() {
  return replays({.tokens = 13, .requests = 4, .bucket = 16, .padded_requests = 4, .width = 4});
}

constexpr std::string_view kLaw = "one_padded_pair";

constexpr std::array kMutants = {
    PlanMutant{"dummy_request_is_missing", kLaw, "padded requests hold the padded tokens",
               dummy_request_is_missing, dummy_request_holds_the_rest},
    PlanMutant{"one_token_of_two_requests", kLaw, "requests hold the tokens",
               one_token_of_two_requests, two_tokens_of_two_requests},
    PlanMutant{"bucket_is_too_small", kLaw, "the bucket holds the tokens", bucket_is_too_small,
               bucket_is_enough},
    PlanMutant{"requests_are_cut_off", kLaw, "padded requests are no fewer than the real ones",
               requests_are_cut_off, requests_are_padded},
    PlanMutant{"slots_are_real", kLaw, "side operands have the operation's rows", slots_are_real,
               slots_are_padded},
    PlanMutant{"positions_are_padded", kLaw, "every side operand is asked", positions_are_padded,
               positions_are_narrowed},
    PlanMutant{"captured_slots_are_real", kLaw, "captured operations work on the bucket",
               captured_slots_are_real, captured_slots_are_padded},
    PlanMutant{"eager_slots_are_padded", kLaw, "eager operations work on the tokens",
               eager_slots_are_padded, eager_slots_are_real},
    PlanMutant{"bounds_are_real", kLaw, "bounds of rows are those of the operation's rows",
               bounds_are_real, bounds_are_padded},
    PlanMutant{"one_slot_too_many", kLaw, "bounds alone have one entry more", one_slot_too_many,
               one_bound_more},
    PlanMutant{"lengths_are_real", kLaw, "padded rows come with padded requests", lengths_are_real,
               lengths_are_padded},
    PlanMutant{"request_bounds_are_real", kLaw, "bounds of requests are one more than these",
               request_bounds_are_real, request_bounds_are_padded},
    PlanMutant{"break_lengths_are_padded", kLaw, "real rows come with real requests",
               break_lengths_are_padded, break_lengths_are_real},
    PlanMutant{"requests_of_both_pairs", kLaw, "one operation uses one pair",
               requests_of_both_pairs, requests_of_one_pair},
    PlanMutant{"replay_is_padded_elsewhere", kLaw, "a replay has the bucket of its graph",
               replay_is_padded_elsewhere, replay_is_padded_alike},
    PlanMutant{"replay_has_other_requests", kLaw, "a replay has the padded requests of its graph",
               replay_has_other_requests, replay_is_padded_alike},
    PlanMutant{"replay_has_another_width", kLaw, "a replay has the width of its graph",
               replay_has_another_width, replay_is_padded_alike},
};

}  // namespace

std::span<const PlanMutant> plan_mutants_one_padded_pair();
std::span<const PlanMutant> plan_mutants_one_padded_pair() { return kMutants; }

}  // namespace capsize
