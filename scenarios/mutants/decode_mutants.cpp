// Faults of the decode filter (capture.cpp::decode_filter), part by part (decode_parts.hpp).
#include <array>
#include <numeric>

#include "scenarios/mutants/decode_parts.hpp"
#include "scenarios/mutants/rule_mutants.hpp"

namespace capsize {

FilterResult decode_by(const DecodeParts& parts, const sglang::DecodeFilterInput& in,
                       SizeList& sizes) {
  DecodeTerms terms{.alignment = parts.alignment(in), .width = parts.width(in)};
  terms.slots = parts.slots(in.pool, terms.alignment);
  if (parts.prepare != nullptr) parts.prepare(sizes, terms.slots);
  if (parts.appends && !sizes.empty() && parts.largest(sizes) > terms.slots) {
    sizes.push_back(parts.appended(in.pool, terms.slots));
  }
  FilterResult out;
  for (const std::int64_t size : sizes) {
    if (parts.keeps(size, terms)) out.kept.push_back(size);
  }
  if (parts.sorts) std::ranges::sort(out.kept);
  if (parts.drops_repeats) {
    out.kept.erase(std::unique(out.kept.begin(), out.kept.end()), out.kept.end());
  }
  if (parts.refuses(sizes, out.kept)) out.refused = parts.text(out.kept);
  if (parts.leaves != nullptr) parts.leaves(sizes, out.kept);
  return out;
}

namespace {

using sglang::DecodeFilterInput;

template <void (*Change)(DecodeParts&)>
void filters(RuleSet& rules) {
  DecodeParts parts;
  Change(parts);
  rules.decode = [parts](const DecodeFilterInput& in, SizeList& sizes) {
    return decode_by(parts, in, sizes);
  };
  rules.decode_modulus = [parts](const DecodeFilterInput& in) {
    const std::int64_t alignment = parts.alignment(in);
    return alignment / std::gcd(alignment, parts.width(in));
  };
}

// ---- the alignment --------------------------------------------------------------------------

template <std::int64_t (*Alignment)(const DecodeFilterInput&)>
void aligned(DecodeParts& parts) {
  parts.alignment = Alignment;
}
template <void (*Change)(DecodeFilterInput&)>
std::int64_t of_changed(const DecodeFilterInput& in) {
  DecodeFilterInput changed = in;
  Change(changed);
  return sglang::decode_alignment(changed);
}
void forget_attention(DecodeFilterInput& in) { in.attn_tp = 1; }
void forget_the_gate(DecodeFilterInput& in) { in.gathered = true; }
void forget_context(DecodeFilterInput& in) { in.attn_cp = 1; }
void forget_two_batches(DecodeFilterInput& in) { in.two_batch_overlap = false; }
std::int64_t context_in_the_gate(const DecodeFilterInput& in) {
  DecodeFilterInput changed = in;
  if (!in.gathered) changed.attn_cp = 1;
  return sglang::decode_alignment(changed);
}
std::int64_t always_times_context(const DecodeFilterInput& in) {
  return of_changed<forget_context>(in) * in.attn_cp;
}
std::int64_t maximum(const DecodeFilterInput& in) {
  return std::max(of_changed<forget_context>(in), in.attn_cp);
}
std::int64_t two_batches_after_context(const DecodeFilterInput& in) {
  return of_changed<forget_two_batches>(in) * (in.two_batch_overlap ? 2 : 1);
}
std::int64_t two_batches_absorbed(const DecodeFilterInput& in) {
  const std::int64_t one = of_changed<forget_two_batches>(in);
  return in.two_batch_overlap ? std::lcm(std::int64_t{2}, one) : one;
}
std::int64_t always_two_batches(const DecodeFilterInput& in) {
  DecodeFilterInput changed = in;
  changed.two_batch_overlap = true;
  return sglang::decode_alignment(changed);
}

// ---- the width ------------------------------------------------------------------------------

template <std::int64_t (*Width)(const DecodeFilterInput&)>
void wide(DecodeParts& parts) {
  parts.width = Width;
}
std::int64_t of_one_token(const DecodeFilterInput&) { return 1; }
std::int64_t of_the_draft_step(const DecodeFilterInput& in) {
  return in.two_batch_overlap ? 1 : std::max<std::int64_t>(in.tokens_per_request - 1, 1);
}
std::int64_t in_two_batches_too(const DecodeFilterInput& in) { return in.tokens_per_request; }

// ---- the pool -------------------------------------------------------------------------------

template <std::int64_t (*Slots)(std::int64_t, std::int64_t)>
void slotted(DecodeParts& parts) {
  parts.slots = Slots;
}
std::int64_t unaligned(std::int64_t pool, std::int64_t) { return pool; }
std::int64_t aligned_down(std::int64_t pool, std::int64_t m) { return pool / m * m; }
std::int64_t aligned_past(std::int64_t pool, std::int64_t m) { return (pool / m + 1) * m; }
void no_append(DecodeParts& parts) { parts.appends = false; }
void append_the_pool(DecodeParts& parts) {
  parts.appended = [](std::int64_t pool, std::int64_t) { return pool; };
}
void append_half(DecodeParts& parts) {
  parts.appended = [](std::int64_t, std::int64_t slots) { return slots / 2; };
}
void look_at_the_last(DecodeParts& parts) {
  parts.largest = [](const SizeList& sizes) { return sizes.back(); };
}
void look_at_the_smallest(DecodeParts& parts) {
  parts.largest = [](const SizeList& sizes) { return std::ranges::min(sizes); };
}
void clamp_before_filter(DecodeParts& parts) {
  parts.prepare = [](SizeList& sizes, std::int64_t slots) {
    std::erase_if(sizes, [slots](std::int64_t size) { return size > slots; });
  };
}

// ---- what is kept ---------------------------------------------------------------------------

template <bool (*Keeps)(std::int64_t, const DecodeTerms&)>
void keeping(DecodeParts& parts) {
  parts.keeps = Keeps;
}
bool below_the_slots(std::int64_t size, const DecodeTerms& in) {
  return size * in.width % in.alignment == 0 && size < in.slots;
}
bool past_the_slots(std::int64_t size, const DecodeTerms& in) {
  return size * in.width % in.alignment == 0;
}
bool tokens_within_slots(std::int64_t size, const DecodeTerms& in) {
  return size * in.width % in.alignment == 0 && size * in.width <= in.slots;
}
bool without_remainder_unasked(std::int64_t size, const DecodeTerms& in) {
  return size * in.width >= in.alignment && size <= in.slots;
}
void leave_unsorted(DecodeParts& parts) { parts.sorts = false; }
void refuse_nothing(DecodeParts& parts) {
  parts.refuses = [](const SizeList&, const SizeList&) { return false; };
}
void refuse_before_filter(DecodeParts& parts) {
  parts.refuses = [](const SizeList& sizes, const SizeList&) { return sizes.empty(); };
}
void refuse_without_text(DecodeParts& parts) {
  parts.text = [](const SizeList&) { return std::string(); };
}
void refuse_one_size(DecodeParts& parts) {
  parts.refuses = [](const SizeList&, const SizeList& kept) { return kept.size() <= 1; };
}
void take_zero(DecodeParts& parts) {
  parts.refuses = [](const SizeList&, const SizeList& kept) { return kept.empty(); };
}

// ---- the caller's list ----------------------------------------------------------------------

void empty_the_list(DecodeParts& parts) {
  parts.leaves = [](SizeList& sizes, const SizeList&) { sizes.clear(); };
}
void leave_the_largest_out(DecodeParts& parts) {
  parts.leaves = [](SizeList& sizes, const SizeList& kept) {
    sizes = kept;
    if (sizes.size() > 1) sizes.pop_back();
  };
}

constexpr std::string_view kFilter = "capture.cpp::decode_filter";
constexpr std::string_view kAlignment = "capture.cpp::decode_alignment";
constexpr std::string_view kContract = "filter_keeps_contract";
constexpr std::string_view kWaste = "no_needless_drop";
constexpr std::string_view kCovered = "reachable_is_covered";
constexpr std::string_view kWithin = "within_capacity";
constexpr std::string_view kRefuses = "filter_refuses_empty";
constexpr std::string_view kPure = "filter_is_pure";

constexpr std::string_view kTwo = "a factor 2 under two-batch overlap";
constexpr std::string_view kContext = "context parallelism where it does not divide";
constexpr std::string_view kAligned = "slots: the pool, aligned up";
constexpr std::string_view kAppends = "the slots are appended where the list passes them";
constexpr std::string_view kWidth = "the width of a request";

constexpr std::array kMutants = {
    RuleMutant{"decode_attention_ignored", kAlignment, "attention TP, if tokens are gathered",
               kContract, filters<aligned<of_changed<forget_attention>>>},
    RuleMutant{"decode_attention_ungated", kAlignment, "attention TP, if tokens are gathered",
               kWaste, filters<aligned<of_changed<forget_the_gate>>>},
    RuleMutant{"decode_context_ignored", kAlignment, kContext, "divisible",
               filters<aligned<of_changed<forget_context>>>},
    RuleMutant{"decode_context_in_the_gate", kAlignment, "context outside the gate", "divisible",
               filters<aligned<context_in_the_gate>>},
    RuleMutant{"decode_always_times_context", kAlignment, kContext, kWaste,
               filters<aligned<always_times_context>>},
    RuleMutant{"decode_maximum_for_product", kAlignment, kContext, kContract,
               filters<aligned<maximum>>},
    RuleMutant{"two_batches_after_context", kAlignment, kTwo, kWaste,
               filters<aligned<two_batches_after_context>>},
    RuleMutant{"two_batches_absorbed", kAlignment, kTwo, "divisible",
               filters<aligned<two_batches_absorbed>>},
    RuleMutant{"two_batches_ignored", kAlignment, kTwo, "divisible",
               filters<aligned<of_changed<forget_two_batches>>>},
    RuleMutant{"two_batches_always", kAlignment, kTwo, kWaste,
               filters<aligned<always_two_batches>>},
    RuleMutant{"width_not_multiplied", kFilter, kWidth, kWaste, filters<wide<of_one_token>>},
    RuleMutant{"width_of_the_draft_step", kFilter, kWidth, kContract,
               filters<wide<of_the_draft_step>>},
    RuleMutant{"width_in_two_batches", kFilter, "no width under two-batch overlap", "divisible",
               filters<wide<in_two_batches_too>>},
    RuleMutant{"slots_not_aligned", kFilter, kAligned, kCovered, filters<slotted<unaligned>>},
    RuleMutant{"floor_for_ceil", kFilter, kAligned, kCovered, filters<slotted<aligned_down>>},
    RuleMutant{"slots_aligned_past", kFilter, kAligned, kWithin, filters<slotted<aligned_past>>},
    RuleMutant{"slots_not_appended", kFilter, kAppends, kCovered, filters<no_append>},
    RuleMutant{"appends_the_bare_pool", kFilter, kAppends, kCovered, filters<append_the_pool>},
    RuleMutant{"appends_half_the_slots", kFilter, kAppends, kCovered, filters<append_half>},
    RuleMutant{"last_for_largest", kFilter, "whatever the order of the list", kPure,
               filters<look_at_the_last>},
    RuleMutant{"smallest_for_largest", kFilter, kAppends, kCovered, filters<look_at_the_smallest>},
    RuleMutant{"clamp_before_filter", kFilter, "cut to the slots after the append", kCovered,
               filters<clamp_before_filter>},
    RuleMutant{"off_by_one_at_the_top", kFilter, "the slots themselves are kept", kCovered,
               filters<keeping<below_the_slots>>},
    RuleMutant{"pool_ignored", kFilter, "nothing above the slots", kWithin,
               filters<keeping<past_the_slots>>},
    RuleMutant{"tokens_for_requests", kFilter, "slots are requests", kCovered,
               filters<keeping<tokens_within_slots>>},
    RuleMutant{"keeps_no_multiples", kFilter, "what the alignment divides", kContract,
               filters<keeping<without_remainder_unasked>>},
    RuleMutant{"decode_unsorted", kFilter, "sorts", "round_is_least_upper_bound",
               filters<leave_unsorted>},
    RuleMutant{"empties_the_callers_list", kFilter, "leaves the list to a second reader", kPure,
               filters<empty_the_list>},
    RuleMutant{"aliases_the_callers_list", kFilter, "leaves the list to a second reader", kPure,
               filters<leave_the_largest_out>},
    RuleMutant{"decode_no_assertion", kFilter, "refuses an empty list", kRefuses,
               filters<refuse_nothing>},
    RuleMutant{"decode_assertion_before", kFilter, "refuses an empty list", kRefuses,
               filters<refuse_before_filter>},
    RuleMutant{"decode_assertion_without_text", kFilter, "says why", kRefuses,
               filters<refuse_without_text>},
    RuleMutant{"decode_refuses_one_size", kFilter, "refuses only an empty list", kRefuses,
               filters<refuse_one_size>},
    RuleMutant{"decode_takes_zero", kFilter, "refuses a size of no rows", "divisible",
               filters<take_zero>},
};

}  // namespace

std::span<const RuleMutant> decode_mutants() { return kMutants; }

}  // namespace capsize
