// Faults of what switches the filters and of the sizes that they go by: predicates.cpp, groups.cpp,
// and how layout.cpp and paths.cpp put them
// together.
#include <algorithm>
#include <array>

#include "scenarios/mutants/rule_mutants.hpp"
#include "sim/units.hpp"

namespace capsize {
namespace {

using sglang::PredicateInput;
using sglang::Predicates;
using sglang::predicates_of;

// The predicates of a changed input.
template <void (*Change)(PredicateInput&)>
void asks(RuleSet& rules) {
  rules.predicates = [](const PredicateInput& in) {
    PredicateInput changed = in;
    Change(changed);
    return predicates_of(changed);
  };
}

// The predicates with the two gathers changed; what follows from them follows.
template <void (*Change)(Predicates&, const PredicateInput&)>
void gathers(RuleSet& rules) {
  rules.predicates = [](const PredicateInput& in) {
    Predicates out = predicates_of(in);
    Change(out, in);
    out.gathered_buffer = out.mlp_tp_gather || out.attn_tp_gather;
    out.mlp_sync = in.enable_dp_attention || out.gathered_buffer;
    return out;
  };
}

// The predicates with what follows from the gathers changed.
template <void (*Change)(Predicates&, const PredicateInput&)>
void concludes(RuleSet& rules) {
  rules.predicates = [](const PredicateInput& in) {
    Predicates out = predicates_of(in);
    Change(out, in);
    return out;
  };
}

void forget_the_exchange(PredicateInput& in) { in.a2a = false; }
void forget_dense_one(PredicateInput& in) { in.moe_dense_tp_size.reset(); }
void forget_dp_attention(PredicateInput& in) { in.enable_dp_attention = false; }

// One reason of require_mlp_tp_gather left out.
bool dense_is_one(const PredicateInput& in) { return in.moe_dense_tp_size.has_value(); }
void not_for_want_of_dense_one(Predicates& out, const PredicateInput& in) {
  out.mlp_tp_gather = in.enable_dp_attention && (!in.enable_dp_lm_head || !in.a2a);
}
void not_for_want_of_a_head(Predicates& out, const PredicateInput& in) {
  out.mlp_tp_gather = in.enable_dp_attention && (!dense_is_one(in) || !in.a2a);
}
void not_for_want_of_an_exchange(Predicates& out, const PredicateInput& in) {
  out.mlp_tp_gather = in.enable_dp_attention && (!dense_is_one(in) || !in.enable_dp_lm_head);
}
void without_dp_attention_too(Predicates& out, const PredicateInput& in) {
  out.mlp_tp_gather = !dense_is_one(in) || !in.enable_dp_lm_head || !in.a2a;
}
void with_as_many_replicas_too(Predicates& out, const PredicateInput& in) {
  out.attn_tp_gather = in.a2a || dense_is_one(in);
}
void never_with_replicas(Predicates& out, const PredicateInput& in) {
  out.attn_tp_gather = (in.a2a || dense_is_one(in)) && !in.enable_dp_attention;
}

void of_the_mlp_alone(Predicates& out, const PredicateInput& in) {
  out.gathered_buffer = out.mlp_tp_gather;
  out.mlp_sync = in.enable_dp_attention || out.gathered_buffer;
}
void of_attention_alone(Predicates& out, const PredicateInput& in) {
  out.gathered_buffer = out.attn_tp_gather;
  out.mlp_sync = in.enable_dp_attention || out.gathered_buffer;
}
void sync_under_dp_attention_alone(Predicates& out, const PredicateInput& in) {
  out.mlp_sync = in.enable_dp_attention;
}
void sync_where_gathered_alone(Predicates& out, const PredicateInput&) {
  out.mlp_sync = out.gathered_buffer;
}

// ---- sizes ----------------------------------------------------------------------------------

template <std::int64_t (*Size)(const sglang::Sizes&)>
void attention_of(RuleSet& rules) {
  rules.attn_tp = Size;
}
std::int64_t without_replicas(const sglang::Sizes& s) { return div_floor(s.tp, s.attn_cp); }
std::int64_t without_context(const sglang::Sizes& s) { return div_floor(s.tp, s.attn_dp); }

template <std::int64_t (*Pool)(std::int64_t, std::int64_t)>
void pool_of(RuleSet& rules) {
  rules.pool = Pool;
}
constexpr std::int64_t kMostSlots = 2048;
std::int64_t undivided(std::int64_t max_running, std::int64_t) {
  return std::min(kMostSlots, max_running);
}
std::int64_t rounded_up(std::int64_t max_running, std::int64_t attn_dp) {
  return std::min(kMostSlots, div_ceil(max_running, attn_dp));
}
std::int64_t unbounded(std::int64_t max_running, std::int64_t attn_dp) {
  return div_floor(max_running, attn_dp);
}

// ---- which predicate switches what ----------------------------------------------------------

bool always(const Predicates&) { return true; }
bool never(const Predicates&) { return false; }
bool if_mlp_gathers(const Predicates& p) { return p.mlp_tp_gather; }
bool if_attention_gathers(const Predicates& p) { return p.attn_tp_gather; }

template <bool (*Gate)(const Predicates&)>
void prefill_by(RuleSet& rules) {
  rules.prefill_gate = Gate;
}
template <bool (*Gate)(const Predicates&)>
void decode_by(RuleSet& rules) {
  rules.decode_gate = Gate;
}
template <bool (*Gate)(const Predicates&)>
void padding_by(RuleSet& rules) {
  rules.padding_gate = Gate;
}

constexpr std::string_view kPredicates = "predicates.cpp::predicates_of";
constexpr std::string_view kSizes = "groups.cpp::Sizes::attn_tp";
constexpr std::string_view kPool = "paths.cpp::pool";
constexpr std::string_view kWiring = "layout.cpp, paths.cpp";
constexpr std::string_view kContract = "filter_keeps_contract";
constexpr std::string_view kWaste = "no_needless_drop";

constexpr std::array kMutants = {
    RuleMutant{"no_gather_for_an_exchange", kPredicates, "attention gathers under an all-to-all",
               kContract, asks<forget_the_exchange>},
    RuleMutant{"no_gather_for_dense_one", kPredicates, "attention gathers under moe-dense 1",
               "divisible", asks<forget_dense_one>},
    RuleMutant{"no_gather_for_replicas", kPredicates, "the MLP gathers under DP attention",
               kContract, asks<forget_dp_attention>},
    RuleMutant{"gathers_without_replicas", kPredicates, "the MLP gathers under DP attention only",
               kWaste, gathers<without_dp_attention_too>},
    RuleMutant{"no_gather_without_dense_one", kPredicates, "the MLP gathers without moe-dense 1",
               kConformance, gathers<not_for_want_of_dense_one>},
    RuleMutant{"no_gather_without_a_head", kPredicates, "the MLP gathers without a DP head",
               kConformance, gathers<not_for_want_of_a_head>},
    RuleMutant{"no_gather_without_exchange", kPredicates, "the MLP gathers without an all-to-all",
               kConformance, gathers<not_for_want_of_an_exchange>},
    RuleMutant{"gathers_one_rank_replicas", kPredicates, "attention gathers while dp < tp",
               kConformance, gathers<with_as_many_replicas_too>},
    RuleMutant{"no_attention_gather_in_dp", kPredicates, "attention gathers under DP attention too",
               kContract, gathers<never_with_replicas>},
    RuleMutant{"buffer_of_the_mlp_alone", kPredicates, "a buffer for either gather", kContract,
               concludes<of_the_mlp_alone>},
    RuleMutant{"buffer_of_attention_alone", kPredicates, "a buffer for either gather", kContract,
               concludes<of_attention_alone>},
    RuleMutant{"sync_under_replicas_alone", kPredicates, "in step where tokens are gathered",
               "divisible", concludes<sync_under_dp_attention_alone>},
    RuleMutant{"sync_where_gathered_alone", kPredicates, "in step under DP attention", kConformance,
               concludes<sync_where_gathered_alone>},
    RuleMutant{"replicas_not_divided_out", kSizes, "divided by the replicas", kWaste,
               attention_of<without_replicas>},
    RuleMutant{"context_not_divided_out", kSizes, "divided by context parallelism", kWaste,
               attention_of<without_context>},
    RuleMutant{"pool_not_divided", kPool, "divided by the replicas", "within_capacity",
               pool_of<undivided>},
    RuleMutant{"pool_rounded_up", kPool, "rounded down", "within_capacity", pool_of<rounded_up>},
    RuleMutant{"pool_unbounded", kPool, "no more than the engine takes", "within_capacity",
               pool_of<unbounded>},
    RuleMutant{"prefill_gate_missing", kWiring, "prefill: filtered if tokens are gathered", kWaste,
               prefill_by<always>},
    RuleMutant{"prefill_gate_closed", kWiring, "prefill: filtered if tokens are gathered",
               "divisible", prefill_by<never>},
    RuleMutant{"prefill_gate_of_the_mlp", kWiring, "prefill: filtered if tokens are gathered",
               kContract, prefill_by<if_mlp_gathers>},
    RuleMutant{"decode_gate_missing", kWiring, "decode: filtered if tokens are gathered", kWaste,
               decode_by<always>},
    RuleMutant{"decode_gate_closed", kWiring, "decode: filtered if tokens are gathered", kContract,
               decode_by<never>},
    RuleMutant{"decode_gate_of_attention", kWiring, "decode: filtered if tokens are gathered",
               kContract, decode_by<if_attention_gathers>},
    RuleMutant{"padding_gate_closed", kWiring, "eager: padded if ranks are in step", "divisible",
               padding_by<never>},
    RuleMutant{"padding_gate_of_the_mlp", kWiring, "eager: padded if ranks are in step",
               "divisible", padding_by<if_mlp_gathers>},
};

}  // namespace

std::span<const RuleMutant> gate_mutants() { return kMutants; }

}  // namespace capsize
