// Faults of how a batch finds its captured size and of how eager rows are padded: dispatch.cpp.
#include <algorithm>
#include <array>

#include "scenarios/mutants/rule_mutants.hpp"
#include "sim/units.hpp"

namespace capsize {
namespace {

using Found = std::optional<std::int64_t>;
using sglang::bisect_lookup;
using sglang::PaddingInput;

template <Found (*Lookup)(const SizeList&, std::int64_t)>
void looks_up(RuleSet& rules) {
  rules.lookup = Lookup;
}
template <Found (*Lookup)(const SizeList&, std::int64_t)>
void looks_up_exactly(RuleSet& rules) {
  rules.exact_lookup = Lookup;
}

// The first size above n: bisect_right where bisect_left is meant.
Found bisects_to_the_right(const SizeList& sizes, std::int64_t n) {
  return bisect_lookup(sizes, n + 1);
}
Found top_exclusive(const SizeList& sizes, std::int64_t n) {
  return !sizes.empty() && n == std::ranges::max(sizes) ? std::nullopt : bisect_lookup(sizes, n);
}
Found top_and_one(const SizeList& sizes, std::int64_t n) {
  const bool one_past = !sizes.empty() && n == std::ranges::max(sizes) + 1;
  return bisect_lookup(sizes, one_past ? n - 1 : n);
}
Found exactly(const SizeList& sizes, std::int64_t n) {
  return std::ranges::find(sizes, n) == sizes.end() ? std::nullopt : Found(n);
}
Found greatest_below(const SizeList& sizes, std::int64_t n) {
  Found found;
  for (const std::int64_t size : sizes) {
    if (size <= n && (!found || size > *found)) found = size;
  }
  return found && bisect_lookup(sizes, n) ? found : bisect_lookup(sizes, n);
}
Found largest(const SizeList& sizes, std::int64_t n) {
  const Found found = bisect_lookup(sizes, n);
  return found ? Found(std::ranges::max(sizes)) : found;
}
Found clamped(const SizeList& sizes, std::int64_t n) {
  return sizes.empty() ? std::nullopt : bisect_lookup(sizes, std::min(n, std::ranges::max(sizes)));
}
// No question whether n is above the maximum: the search ends past the list.
Found error_above(const SizeList& sizes, std::int64_t n) {
  const bool above = !sizes.empty() && n > std::ranges::max(sizes);
  return above ? Found(kLookupFails) : bisect_lookup(sizes, n);
}
Found eager_below_the_first(const SizeList& sizes, std::int64_t n) {
  const bool below = !sizes.empty() && n < std::ranges::min(sizes);
  return below ? std::nullopt : bisect_lookup(sizes, n);
}
Found pads(const SizeList& sizes, std::int64_t n) { return bisect_lookup(sizes, n); }
Found nothing(const SizeList&, std::int64_t) { return std::nullopt; }
Found not_the_top(const SizeList& sizes, std::int64_t n) {
  return !sizes.empty() && n == sizes.back() ? std::nullopt : exactly(sizes, n);
}

template <std::int64_t (*Padded)(const PaddingInput&, std::int64_t)>
void pads_to(RuleSet& rules) {
  rules.padding = [](const PaddingInput& in, std::int64_t rows) {
    return in.mlp_sync ? Padded(in, rows) : rows;
  };
}
std::int64_t attention_alone(const PaddingInput& in, std::int64_t rows) {
  return align_up(rows, in.attn_tp);
}
std::int64_t context_alone(const PaddingInput& in, std::int64_t rows) {
  return align_up(rows, in.attn_cp);
}
std::int64_t context_then_attention(const PaddingInput& in, std::int64_t rows) {
  return align_up(align_up(rows, in.attn_cp), in.attn_tp);
}
std::int64_t rounded_down(const PaddingInput& in, std::int64_t rows) {
  const std::int64_t down = rows / in.attn_tp * in.attn_tp;
  return align_up(down, in.attn_cp);
}
std::int64_t down_to_context(const PaddingInput& in, std::int64_t rows) {
  return align_up(rows, in.attn_tp) / in.attn_cp * in.attn_cp;
}
std::int64_t as_they_are(const PaddingInput&, std::int64_t rows) { return rows; }

constexpr std::string_view kLookup = "dispatch.cpp::bisect_lookup";
constexpr std::string_view kExact = "dispatch.cpp::exact_lookup";
constexpr std::string_view kPadding = "dispatch.cpp::padded_rows";
constexpr std::string_view kLeast = "round_is_least_upper_bound";
constexpr std::string_view kCovered = "reachable_is_covered";
constexpr std::string_view kDivisible = "divisible";

constexpr std::array kMutants = {
    RuleMutant{"bisects_to_the_right", kLookup, "a captured size finds itself", kCovered,
               looks_up<bisects_to_the_right>},
    RuleMutant{"top_bucket_exclusive", kLookup, "the largest size is found", kCovered,
               looks_up<top_exclusive>},
    RuleMutant{"top_bucket_and_one", kLookup, "eager above the largest", kLeast,
               looks_up<top_and_one>},
    RuleMutant{"clamps_to_the_top", kLookup, "eager above the largest", kLeast, looks_up<clamped>},
    RuleMutant{"error_above_the_top", kLookup, "eager above the largest", kLeast,
               looks_up<error_above>},
    RuleMutant{"exact_for_least_upper", kLookup, "a larger size serves", kLeast, looks_up<exactly>},
    RuleMutant{"greatest_lower_for_least", kLookup, "a size is large enough", kLeast,
               looks_up<greatest_below>},
    RuleMutant{"largest_for_least", kLookup, "no smaller size is enough", kLeast,
               looks_up<largest>},
    RuleMutant{"eager_below_every_size", kLookup, "the first size serves what is below", kLeast,
               looks_up<eager_below_the_first>},
    RuleMutant{"pads_though_off", kExact, "a size itself", kLeast, looks_up_exactly<pads>},
    RuleMutant{"never_found", kExact, "a captured size is found", kCovered,
               looks_up_exactly<nothing>},
    RuleMutant{"exact_top_exclusive", kExact, "the largest size is found", kCovered,
               looks_up_exactly<not_the_top>},
    RuleMutant{"not_padded", kPadding, "to attention TP", kDivisible, pads_to<as_they_are>},
    RuleMutant{"padded_to_context_alone", kPadding, "to attention TP", kDivisible,
               pads_to<context_alone>},
    RuleMutant{"padded_to_attention_alone", kPadding, "to attention CP", kDivisible,
               pads_to<attention_alone>},
    RuleMutant{"context_then_attention", kPadding, "one after the other", kDivisible,
               pads_to<context_then_attention>},
    RuleMutant{"padding_rounded_down", kPadding, "up, not down", kDivisible, pads_to<rounded_down>},
    RuleMutant{"padding_down_to_context", kPadding, "up, not down", kDivisible,
               pads_to<down_to_context>},
};

}  // namespace

std::span<const RuleMutant> dispatch_mutants() { return kMutants; }

}  // namespace capsize
