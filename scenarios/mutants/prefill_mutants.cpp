// Faults of the rows of the prefill filter's history (history.cpp). A row is spelled out part by
// part, so that one of its parts can be another (prefill_parts.hpp).
#include <algorithm>
#include <array>
#include <numeric>

#include "scenarios/mutants/prefill_parts.hpp"
#include "scenarios/mutants/rule_mutants.hpp"
#include "sim/units.hpp"

namespace capsize {
namespace {

using sglang::PrefillFilterInput;
using sglang::Version;

std::int64_t cut(const PrefillFilterInput& in, std::int64_t base) { return in.gathered ? base : 1; }

// ---- the row of #23972 ----------------------------------------------------------------------

template <void (*Change)(PrefillParts&)>
void filters(RuleSet& rules) {
  PrefillParts parts;
  Change(parts);
  rules.row(Version::pr_23972) = row_of(parts);
}

template <std::int64_t (*Base)(std::int64_t attn_tp, std::int64_t attn_cp)>
void by(PrefillParts& parts) {
  parts.base = Base;
}
std::int64_t least_common_multiple(std::int64_t a, std::int64_t c) { return std::lcm(a, c); }
std::int64_t product(std::int64_t a, std::int64_t c) { return a * c; }
std::int64_t maximum(std::int64_t a, std::int64_t c) { return std::max(a, c); }
std::int64_t sum(std::int64_t a, std::int64_t c) { return a + c; }
std::int64_t greatest_common_divisor(std::int64_t a, std::int64_t c) { return std::gcd(a, c); }
std::int64_t attention_alone(std::int64_t a, std::int64_t) { return a; }
std::int64_t context_alone(std::int64_t, std::int64_t c) { return c; }
std::int64_t divides_the_other_way(std::int64_t a, std::int64_t c) {
  return c % a == 0 ? a : a * c;
}
std::int64_t twice(std::int64_t a, std::int64_t c) { return 2 * (a % c == 0 ? a : a * c); }

template <bool (*Keeps)(std::int64_t size, std::int64_t base)>
void keeping(PrefillParts& parts) {
  parts.keeps = Keeps;
}
bool from_base_on(std::int64_t size, std::int64_t base) { return size >= base; }
bool above_base(std::int64_t size, std::int64_t base) { return size > base && size % base == 0; }
bool divisors(std::int64_t size, std::int64_t base) { return size > 0 && base % size == 0; }

void context_outside_the_gate(PrefillParts& parts) {
  parts.ungated = [](std::int64_t, std::int64_t c) { return c; };
}

template <std::optional<std::string> (*Refuses)(const SizeList&, const SizeList&, std::int64_t)>
void refusing(PrefillParts& parts) {
  parts.refuses = Refuses;
}
std::optional<std::string> nothing(const SizeList&, const SizeList&, std::int64_t) { return {}; }
std::optional<std::string> what_was_empty_before(const SizeList& list, const SizeList&,
                                                 std::int64_t) {
  return list.empty() ? std::optional<std::string>("no capture sizes") : std::nullopt;
}
std::optional<std::string> without_a_word(const SizeList&, const SizeList& kept, std::int64_t) {
  return kept.empty() ? std::optional<std::string>("") : std::nullopt;
}
std::optional<std::string> any_loss(const SizeList& list, const SizeList& kept, std::int64_t) {
  return kept.size() < list.size() ? std::optional<std::string>("some sizes are no multiples")
                                   : std::nullopt;
}

void drop_the_last(PrefillParts& parts) {
  parts.finish = [](SizeList& kept, std::int64_t) {
    if (kept.size() > 1) kept.pop_back();
  };
}

// Two-batch overlap doubles the attention size before context parallelism is looked at.
void two_batches_absorb_context(RuleSet& rules) {
  rules.prefill_input = [](PrefillFilterInput in, bool two_batch_overlap) {
    if (two_batch_overlap) in.attn_tp *= 2;
    return in;
  };
}

void other_sizes(RuleSet& rules, std::int64_t PrefillFilterInput::*from,
                 std::int64_t PrefillFilterInput::*to) {
  rules.prefill_input = [from, to](PrefillFilterInput in, bool) {
    in.*to = in.*from;
    return in;
  };
}
void context_for_attention(RuleSet& rules) {
  other_sizes(rules, &PrefillFilterInput::attn_cp, &PrefillFilterInput::attn_tp);
}

// ---- the rows that take all -----------------------------------------------------------------

template <Version At, void (*Change)(SizeList&)>
void takes(RuleSet& rules) {
  PrefillRow& row = rules.row(At);
  row.apply = [real = row.apply](const PrefillFilterInput& in, const SizeList& sizes) {
    FilterResult result = real(in, sizes);
    Change(result.kept);
    return result;
  };
}
void no_last(SizeList& kept) {
  if (kept.size() > 1) kept.pop_back();
}
void odd_sizes_out(SizeList& kept) {
  const SizeList all = kept;
  std::erase_if(kept, [](std::int64_t size) { return size % 2 != 0; });
  if (kept.empty()) kept = all;
}
void falling(SizeList& kept) { std::ranges::sort(kept, std::greater<>()); }
void as_it_came(RuleSet& rules) {
  rules.row(Version::pr_23906).apply = [](const PrefillFilterInput&, const SizeList& sizes) {
    return FilterResult{sizes, {}};
  };
}

// ---- the proposal that rounds ---------------------------------------------------------------

template <void (*Change)(RoundingParts&)>
void rounds(RuleSet& rules) {
  RoundingParts parts;
  Change(parts);
  rules.row(Version::pr_33200) = row_of(parts);
}
void round_down(RoundingParts& parts) {
  parts.rounded = [](std::int64_t size, const PrefillFilterInput& in) {
    return std::max(in.attn_tp, size / in.attn_tp * in.attn_tp);
  };
}
void round_to_the_next(RoundingParts& parts) {
  parts.rounded = [](std::int64_t size, const PrefillFilterInput& in) {
    return (size / in.attn_tp + 1) * in.attn_tp;
  };
}
void round_to_the_nearest(RoundingParts& parts) {
  parts.rounded = [](std::int64_t size, const PrefillFilterInput& in) {
    return std::max(in.attn_tp, (size + in.attn_tp / 2) / in.attn_tp * in.attn_tp);
  };
}
void round_to_context_too(RoundingParts& parts) {
  parts.rounded = [](std::int64_t size, const PrefillFilterInput& in) {
    return align_up(size, in.attn_tp * in.attn_cp);
  };
}
void round_to_context_alone(RoundingParts& parts) {
  parts.rounded = [](std::int64_t size, const PrefillFilterInput& in) {
    return align_up(size, in.attn_cp);
  };
}
void round_ungathered(RoundingParts& parts) {
  parts.gated = [](const PrefillFilterInput&) { return true; };
}
void never_round(RoundingParts& parts) {
  parts.gated = [](const PrefillFilterInput&) { return false; };
}
void leave_unsorted(RoundingParts& parts) {
  parts.order = [](SizeList&) {};
}
void declare_no_order(RoundingParts& parts) { parts.declares_order = false; }
void drop_what_rounds(RoundingParts& parts) {
  parts.rounded = [](std::int64_t size, const PrefillFilterInput& in) {
    return size % in.attn_tp == 0 ? size : 0;
  };
}
// The list is cut to its largest size once more after it was rounded.
void clamp_after_rounding(RoundingParts& parts) {
  parts.finish = [](SizeList& kept, const SizeList& list) {
    const std::int64_t most = std::ranges::max(list);
    std::erase_if(kept, [most](std::int64_t size) { return size > most; });
  };
}

constexpr std::string_view kFilter = "history.cpp::keep_multiples (23972)";
constexpr std::string_view kBase = "history.cpp::filter_base (23972)";
constexpr std::string_view kAll = "history.cpp::keep_all (pre-23972)";
constexpr std::string_view kSort = "history.cpp::sort_only (23906)";
constexpr std::string_view kRound = "history.cpp::round_up (33200)";
constexpr std::string_view kContract = "filter_keeps_contract";
constexpr std::string_view kWaste = "no_needless_drop";
constexpr std::string_view kRefuses = "filter_refuses_empty";
constexpr std::string_view kPure = "filter_is_pure";
constexpr std::string_view kLeast = "round_is_least_upper_bound";
constexpr std::string_view kWithin = "within_capacity";
constexpr std::string_view kCovered = "reachable_is_covered";

constexpr std::string_view kFactor = "context parallelism as a factor where it does not divide";

constexpr std::array kMutants = {
    RuleMutant{"lcm_for_product", kBase, kFactor, kContract, filters<by<least_common_multiple>>},
    RuleMutant{"maximum_for_product", kBase, kFactor, kContract, filters<by<maximum>>},
    RuleMutant{"sum_for_product", kBase, kFactor, kContract, filters<by<sum>>},
    RuleMutant{"gcd_for_product", kBase, kFactor, "divisible",
               filters<by<greatest_common_divisor>>},
    RuleMutant{"context_ignored", kBase, kFactor, kContract, filters<by<attention_alone>>},
    RuleMutant{"two_batches_absorb_context", kBase, kFactor, kContract, two_batches_absorb_context},
    RuleMutant{"product_for_maximum", kBase, "attention TP alone where context divides it", kWaste,
               filters<by<product>>},
    RuleMutant{"divides_the_other_way", kBase, "attention TP alone where context divides it",
               kContract, filters<by<divides_the_other_way>>},
    RuleMutant{"attention_ignored", kBase, "a multiple of attention TP", "divisible",
               filters<by<context_alone>>},
    RuleMutant{"context_for_attention", kBase, "a multiple of attention TP", "divisible",
               context_for_attention},
    RuleMutant{"base_doubled", kBase, "a multiple of attention TP", kWaste, filters<by<twice>>},
    RuleMutant{"keeps_from_the_base_on", kFilter, "what the base divides", "divisible",
               filters<keeping<from_base_on>>},
    RuleMutant{"drops_the_base", kFilter, "what the base divides", kWaste,
               filters<keeping<above_base>>},
    RuleMutant{"keeps_divisors", kFilter, "what the base divides", "divisible",
               filters<keeping<divisors>>},
    RuleMutant{"drops_the_largest_multiple", kFilter, "what the base divides", kPure,
               filters<drop_the_last>},
    RuleMutant{"context_outside_the_gate", kFilter, "only where tokens are gathered", kWaste,
               filters<context_outside_the_gate>},
    RuleMutant{"no_assertion", kFilter, "refuses an empty list", kRefuses,
               filters<refusing<nothing>>},
    RuleMutant{"assertion_before_filter", kFilter, "refuses an empty list", kRefuses,
               filters<refusing<what_was_empty_before>>},
    RuleMutant{"assertion_without_text", kFilter, "says why", kRefuses,
               filters<refusing<without_a_word>>},
    RuleMutant{"assertion_on_any_loss", kFilter, "refuses only an empty list", kRefuses,
               filters<refusing<any_loss>>},
    RuleMutant{"takes_all_but_the_last", kAll, "takes every size", kPure,
               takes<Version::pre_23972, no_last>},
    RuleMutant{"takes_even_sizes", kAll, "takes every size", kWaste,
               takes<Version::pre_23972, odd_sizes_out>},
    RuleMutant{"sorted_list_assumed", kSort, "sorts", kLeast, as_it_came},
    RuleMutant{"sorts_falling", kSort, "rises", kLeast, takes<Version::pr_23906, falling>},
    RuleMutant{"sorts_and_drops_the_largest", kSort, "takes every size", kPure,
               takes<Version::pr_23906, no_last>},
    RuleMutant{"rounds_down", kRound, "up, not down", kCovered, rounds<round_down>},
    RuleMutant{"rounds_to_the_nearest", kRound, "up, not down", kWaste,
               rounds<round_to_the_nearest>},
    RuleMutant{"rounds_a_multiple_on", kRound, "a multiple stays", kPure,
               rounds<round_to_the_next>},
    RuleMutant{"rounds_to_context_too", kRound, "to attention TP", kWithin,
               rounds<round_to_context_too>},
    RuleMutant{"rounds_to_context_alone", kRound, "to attention TP", "divisible",
               rounds<round_to_context_alone>},
    RuleMutant{"rounds_ungathered", kRound, "only where tokens are gathered", kWithin,
               rounds<round_ungathered>},
    RuleMutant{"never_rounds", kRound, "where tokens are gathered", "divisible",
               rounds<never_round>},
    RuleMutant{"rounds_unsorted", kRound, "sorts", kLeast, rounds<leave_unsorted>},
    RuleMutant{"rounds_to_no_rows", kRound, "a size stays above 0", "divisible",
               rounds<drop_what_rounds>},
    RuleMutant{"filter_before_clamp", kRound, "cut to the maximum, then rounded", kCovered,
               rounds<clamp_after_rounding>},
    RuleMutant{"clamp_order_undeclared", kRound, "says that it is cut first", kPure,
               rounds<declare_no_order>},
};

}  // namespace

// The parts, put together as the engine does.
PrefillRow row_of(const PrefillParts& parts) {
  const auto divisor = [parts](const PrefillFilterInput& in) {
    return (in.gathered ? parts.base : parts.ungated)(in.attn_tp, in.attn_cp);
  };
  PrefillRow row;
  row.modulus = divisor;
  row.apply = [parts, divisor](const PrefillFilterInput& in, const SizeList& sizes) {
    const std::int64_t base = divisor(in);
    if (!in.gathered && base == 1) return FilterResult{sizes, {}};
    FilterResult result;
    std::ranges::copy_if(sizes, std::back_inserter(result.kept),
                         [&](std::int64_t size) { return parts.keeps(size, base); });
    if (parts.finish != nullptr) parts.finish(result.kept, base);
    result.refused = parts.refuses(sizes, result.kept, base);
    return result;
  };
  return row;
}

PrefillRow row_of(const RoundingParts& parts) {
  PrefillRow row;
  row.rounds = parts.declares_order;
  row.modulus = [parts](const PrefillFilterInput& in) {
    return parts.gated(in) ? cut(in, in.attn_tp) : 1;
  };
  row.apply = [parts](const PrefillFilterInput& in, const SizeList& sizes) {
    FilterResult result{sizes, {}};
    parts.order(result.kept);
    if (!parts.gated(in)) return result;
    for (std::int64_t& size : result.kept) size = parts.rounded(size, in);
    result.kept.erase(std::unique(result.kept.begin(), result.kept.end()), result.kept.end());
    if (parts.finish != nullptr) parts.finish(result.kept, sizes);
    return result;
  };
  return row;
}

std::span<const RuleMutant> prefill_mutants() { return kMutants; }

}  // namespace capsize
