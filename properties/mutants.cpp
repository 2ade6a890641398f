// Every mutant starts from one healthy path: four ranks, a step whose reduce-scatter asks for
// multiples of 4, a filter that keeps them, and a dispatch that finds the least size that is
// enough. A mutant changes one part of it.
#include "properties/mutants.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "sim/units.hpp"

namespace capsize {
namespace {

constexpr std::int64_t kRanks = 4;
constexpr GroupId kGroup{0};

// ---- steps ----------------------------------------------------------------------------------

std::shared_ptr<const Topology> four_ranks() {
  GroupFamily group;
  group.name = "group";
  group.size = kRanks;
  group.groups = {{0, 1, kRanks}};
  Topology topology;
  topology.world = kRanks;
  topology.families = {std::move(group)};
  return std::make_shared<const Topology>(std::move(topology));
}

std::shared_ptr<const DerivedStep> step_of(std::vector<Op> ops) {
  auto step = std::make_shared<DerivedStep>();
  step->plan.path = "synthetic";
  step->plan.topology = four_ranks();
  step->plan.entry_rows.base = step->plan.exprs.n();
  step->plan.blocks = {{.kind = "layer", .repeat = 1, .ops = std::move(ops)}};
  step->requirement = derive(step->plan, 1024);
  return step;
}

RankRows all_rows() { return {.base = Expr{0}}; }

// An MLP cut over the group whose sum is scattered and gathered: usable are the multiples of 4.
std::shared_ptr<const DerivedStep> scattering_step() {
  return step_of({{.kind = OpKind::mlp, .group = kGroup},
                  {.kind = OpKind::reduce_scatter, .group = kGroup},
                  {.kind = OpKind::all_gather, .group = kGroup, .buffer = all_rows()}});
}

// The same MLP whose sum stays whole: every count is usable.
std::shared_ptr<const DerivedStep> reducing_step() {
  return step_of(
      {{.kind = OpKind::mlp, .group = kGroup}, {.kind = OpKind::all_reduce, .group = kGroup}});
}

// Uneven parts, gathered by an operation that does or does not pad them.
std::shared_ptr<const DerivedStep> slicing_step(OpKind gather) {
  return step_of({{.kind = OpKind::slice, .group = kGroup},
                  {.kind = gather, .group = kGroup, .buffer = all_rows()}});
}

// ---- filters and lookups --------------------------------------------------------------------

using Keeps = std::function<bool(std::int64_t)>;

FilterResult drop_others(const SizeList& sizes, const Keeps& keeps) {
  FilterResult result;
  std::ranges::copy_if(sizes, std::back_inserter(result.kept), keeps);
  if (result.kept.empty()) result.refused = "no capture size is left";
  return result;
}

SizeFilter keep_if(const Keeps& keeps, std::int64_t modulus) {
  return {.apply = [keeps](SizeList& sizes) { return drop_others(sizes, keeps); },
          .rule = "synthetic filter",
          .modulus = modulus};
}

SizeFilter keep_multiples(std::int64_t modulus) {
  return keep_if([modulus](std::int64_t size) { return size > 0 && size % modulus == 0; }, modulus);
}

SizeFilter round_up_to(std::int64_t multiple, bool order_declared) {
  SizeFilter filter{.rule = "synthetic filter", .modulus = multiple, .rounds = true};
  filter.clamp_order_declared = order_declared;
  filter.apply = [multiple](SizeList& sizes) {
    FilterResult result{sizes, {}};
    for (std::int64_t& size : result.kept) size = align_up(size, multiple);
    result.kept.erase(std::unique(result.kept.begin(), result.kept.end()), result.kept.end());
    return result;
  };
  return filter;
}

std::optional<std::int64_t> least_enough(const SizeList& sizes, std::int64_t n) {
  std::optional<std::int64_t> least;
  for (const std::int64_t size : sizes) {
    if (size >= n && (!least || size < *least)) least = size;
  }
  return least;
}

std::optional<std::int64_t> only_itself(const SizeList& sizes, std::int64_t n) {
  return std::ranges::find(sizes, n) == sizes.end() ? std::nullopt : std::optional(n);
}

// Bisects whatever order the list has.
std::optional<std::int64_t> bisected(const SizeList& sizes, std::int64_t n) {
  const auto found = std::lower_bound(sizes.begin(), sizes.end(), n);
  return found == sizes.end() ? std::nullopt : std::optional(*found);
}

// ---- plans ----------------------------------------------------------------------------------

// What a plan is made of; a mutant changes one member.
struct Parts {
  SizeList candidates = {4, 8, 16};
  SizeFilter filter = keep_multiples(kRanks);
  BucketLookup lookup = least_enough;
  std::vector<NamedSize> named;
  std::vector<CapacityBound> bounds;
  std::shared_ptr<const DerivedStep> step = scattering_step();
  Unit unit = Unit::tokens;
  Width width{1};
  bool exact_match = false;
  std::int64_t largest_presented = 32;
  bool fail_on_waste = false;
};

CapturePath path_of(Parts parts) {
  CapturePath path{.name = "synthetic", .unit = parts.unit, .width = parts.width, .enabled = true};
  path.candidates = parts.candidates;
  SizeList list = std::move(parts.candidates);
  FilterResult result = parts.filter.apply(list);
  path.kept = std::move(result.kept);
  path.refused = std::move(result.refused);
  path.filter = std::move(parts.filter);
  path.named = std::move(parts.named);
  path.bounds = std::move(parts.bounds);
  path.lookup = std::move(parts.lookup);
  path.lookup_rule = "synthetic lookup";
  path.exact_match = parts.exact_match;
  path.largest_presented = parts.largest_presented;
  path.step = std::move(parts.step);
  return path;
}

PlantedPlan plan_of(Parts parts) {
  PlantedPlan plan;
  plan.fail_on_waste = parts.fail_on_waste;
  plan.captures.paths.push_back(path_of(std::move(parts)));
  const SizeList& kept = plan.captures.paths.front().kept;
  for (auto size = kept.rbegin(); size != kept.rend(); ++size) {
    plan.start_up.events.push_back({StartUpKind::capture, 0, true, *size});
  }
  return plan;
}

// The pair of plans that differ in what `change` does to the parts of the faulty one.
template <class Change>
MutantPair changed(const Parts& healthy, const Change& change) {
  Parts faulty = healthy;
  change(faulty);
  return {plan_of(std::move(faulty)), plan_of(healthy)};
}

// ---- divisible ------------------------------------------------------------------------------

MutantPair keeps_unusable() {
  return changed({.candidates = {4, 6, 8}}, [](Parts& p) { p.filter = keep_multiples(2); });
}

MutantPair keeps_zero() {
  return changed({.candidates = {0, 4, 8}}, [](Parts& p) {
    p.filter = keep_if([](std::int64_t size) { return size % kRanks == 0; }, kRanks);
  });
}

MutantPair gathers_uneven_parts() {
  const Parts padded{.candidates = {4, 6},
                     .filter = keep_multiples(2),
                     .step = slicing_step(OpKind::all_gather_padded)};
  return changed(padded, [](Parts& p) { p.step = slicing_step(OpKind::all_gather); });
}

// Scatters rows that are no unreduced sum: no count makes that right.
MutantPair scatters_a_whole() {
  return changed({}, [](Parts& p) {
    p.step = step_of({{.kind = OpKind::reduce_scatter, .group = kGroup},
                      {.kind = OpKind::all_gather, .group = kGroup, .buffer = all_rows()}});
  });
}

MutantPair pads_eager_short() {
  const auto with_padding = [](std::int64_t multiple) {
    PlantedPlan plan = plan_of({});
    plan.captures.eager.push_back(
        {.name = "eager",
         .largest_presented = 32,
         .padded = [multiple](std::int64_t n) { return align_up(n, multiple); },
         .padding_period = multiple,
         .rule = "synthetic padding",
         .step = scattering_step()});
    return plan;
  };
  return {with_padding(2), with_padding(kRanks)};
}

// ---- no_needless_drop -----------------------------------------------------------------------

MutantPair drops_usable() {
  return changed({.fail_on_waste = true}, [](Parts& p) { p.filter = keep_multiples(8); });
}

// Rounds up and then drops a size that it rounded to itself.
MutantPair rounds_and_drops() {
  const Parts healthy{.candidates = {4, 6, 16},
                      .filter = round_up_to(kRanks, true),
                      .step = reducing_step(),
                      .fail_on_waste = true};
  return changed(healthy, [](Parts& p) {
    p.filter.apply = [](SizeList& sizes) {
      FilterResult result = round_up_to(kRanks, true).apply(sizes);
      std::erase(result.kept, 4);
      if (result.kept.empty()) result.refused = "no capture size is left";
      return result;
    };
  });
}

// ---- filter_keeps_contract ------------------------------------------------------------------

// The source states the product of two sizes (4 and 2), the filter keeps multiples of their least
// common multiple. The step asks for 4, so nothing breaks.
MutantPair least_common_multiple() {
  Parts healthy{.filter = keep_multiples(8)};
  healthy.filter.contract_tokens = 8;
  healthy.filter.contract_text = "divisible by the product of both sizes";
  return changed(healthy, [](Parts& p) {
    p.filter.apply = keep_multiples(4).apply;
    p.filter.modulus = 4;
  });
}

// The source states tokens, and a request brings 2. The filter takes it to bring 4, as in the
// step of another runner.
MutantPair width_of_another_step() {
  const auto keeps = [](std::int64_t width) {
    SizeFilter filter = keep_if(
        [width](std::int64_t size) { return size > 0 && size * width % 8 == 0; }, 8 / width);
    filter.contract_tokens = 8;
    filter.contract_text = "a token count divisible by 8";
    return filter;
  };
  const Parts healthy{.candidates = {2, 4, 8},
                      .filter = keeps(2),
                      .step = reducing_step(),
                      .unit = Unit::requests,
                      .width = Width(2)};
  return changed(healthy, [&keeps](Parts& p) { p.filter = keeps(4); });
}

// ---- filter_refuses_empty -------------------------------------------------------------------

SizeFilter refusing(const std::function<void(FilterResult&, const SizeList&)>& change) {
  SizeFilter filter = keep_multiples(kRanks);
  filter.apply = [change](SizeList& sizes) {
    FilterResult result = keep_multiples(kRanks).apply(sizes);
    change(result, sizes);
    return result;
  };
  return filter;
}

// The list of this very launch becomes empty without a word.
MutantPair empties_this_list() {
  const Parts healthy{.candidates = {6, 10}};
  return changed(healthy, [](Parts& p) {
    p.filter = refusing([](FilterResult& result, const SizeList&) { result.refused.reset(); });
  });
}

// This list keeps a size; another one would become empty without a word.
MutantPair empties_other_lists() {
  return changed({}, [](Parts& p) {
    p.filter = refusing([](FilterResult& result, const SizeList&) { result.refused.reset(); });
  });
}

MutantPair refuses_without_text() {
  return changed({}, [](Parts& p) {
    p.filter = refusing([](FilterResult& result, const SizeList&) {
      if (result.refused) result.refused = "";
    });
  });
}

// Refuses as soon as any size was dropped.
MutantPair refuses_with_sizes_left() {
  return changed({.candidates = {4, 6, 8}}, [](Parts& p) {
    p.filter = refusing([](FilterResult& result, const SizeList& sizes) {
      if (result.kept.size() < sizes.size()) result.refused = "some sizes do not fit";
    });
  });
}

// ---- filter_is_pure -------------------------------------------------------------------------

// Keeps all but the largest, every time it is asked.
MutantPair drops_the_largest() {
  return changed({}, [](Parts& p) {
    p.filter.apply = [](SizeList& sizes) {
      const std::int64_t top = std::ranges::max(sizes);
      return drop_others(sizes,
                         [top](std::int64_t size) { return size % kRanks == 0 && size < top; });
    };
  });
}

// Keeps a size only where it passes all before it.
MutantPair keeps_ascending_run() {
  return changed({}, [](Parts& p) {
    p.filter.apply = [](SizeList& sizes) {
      std::int64_t top = 0;
      return drop_others(sizes, [&top](std::int64_t size) {
        const bool passes = size % kRanks == 0 && size > top;
        top = std::max(top, size);
        return passes;
      });
    };
  });
}

// Takes the larger end of the list for its maximum: right for sorted lists in either direction.
MutantPair trusts_the_ends() {
  return changed({}, [](Parts& p) {
    p.filter.apply = [](SizeList& sizes) {
      const std::int64_t top = std::max(sizes.front(), sizes.back());
      return drop_others(sizes,
                         [top](std::int64_t size) { return size % kRanks == 0 && size <= top; });
    };
  });
}

// Halves the caller's list while it reads it, and a draft runner reads the list afterwards.
MutantPair changes_the_callers_list() {
  Parts healthy;
  healthy.filter.read_again = true;
  return changed(healthy, [](Parts& p) {
    p.filter.apply = [](SizeList& sizes) {
      FilterResult result = keep_multiples(kRanks).apply(sizes);
      sizes.resize((sizes.size() + 1) / 2);
      return result;
    };
  });
}

// Captures the pool's size (12) where the list reaches past it; cutting the list to 16 first
// removes what reaches past it. Every size fits either way.
MutantPair appends_the_pool() {
  const auto fits = [](std::int64_t size) { return size > 0 && size % kRanks == 0 && size <= 12; };
  const CapacityBound maximum{
      .tokens = 16, .what = "the list's maximum", .symptom = "none", .cuts_list = true};
  const Parts healthy{
      .candidates = {4, 8, 24}, .filter = keep_if(fits, kRanks), .bounds = {maximum}};
  return changed(healthy, [&fits](Parts& p) {
    p.filter.apply = [fits](SizeList& sizes) {
      SizeList with_pool = sizes;
      if (std::ranges::max(sizes) > 12) with_pool.push_back(12);
      return drop_others(with_pool, fits);
    };
  });
}

// ---- round_is_least_upper_bound -------------------------------------------------------------

MutantPair with_lookup(BucketLookup lookup) {
  return changed({}, [&lookup](Parts& p) { p.lookup = std::move(lookup); });
}

// Rounds down from the first size on.
MutantPair rounds_down() {
  return with_lookup([](const SizeList& sizes, std::int64_t n) {
    std::optional<std::int64_t> found = least_enough(sizes, n);
    for (const std::int64_t size : sizes) {
      if (found && size <= n && (*found > n || size > *found)) found = size;
    }
    return found;
  });
}

// Finds a captured size, and for every other count the size after the least that is enough.
MutantPair skips_a_size() {
  return with_lookup([](const SizeList& sizes, std::int64_t n) {
    const auto least = least_enough(sizes, n);
    if (!least || *least == n) return least;
    const auto next = least_enough(sizes, *least + 1);
    return next ? next : least;
  });
}

// Replays the largest graph for a batch that does not fit into it.
MutantPair clamps_above_the_top() {
  return with_lookup([](const SizeList& sizes, std::int64_t n) {
    const auto least = least_enough(sizes, n);
    return least ? least : std::optional(std::ranges::max(sizes));
  });
}

// Runs eager what is smaller than every size.
MutantPair eager_below_the_first() {
  return with_lookup([](const SizeList& sizes, std::int64_t n) {
    return n < std::ranges::min(sizes) ? std::nullopt : least_enough(sizes, n);
  });
}

// Rounds to a multiple of 4 that nobody captured.
MutantPair rounds_to_no_member() {
  return with_lookup([](const SizeList& sizes, std::int64_t n) {
    return least_enough(sizes, n) ? std::optional(align_up(n, kRanks)) : std::nullopt;
  });
}

// The largest size for the smallest counts, the right one for the others.
MutantPair is_not_monotone() {
  return with_lookup([](const SizeList& sizes, std::int64_t n) {
    return n < std::ranges::min(sizes) ? std::optional(std::ranges::max(sizes))
                                       : least_enough(sizes, n);
  });
}

// Padding is off, and the lookup pads all the same.
MutantPair pads_where_padding_is_off() {
  return changed({.lookup = only_itself, .exact_match = true},
                 [](Parts& p) { p.lookup = least_enough; });
}

MutantPair bisects_an_unsorted_list() {
  return changed({.candidates = {16, 4, 8}}, [](Parts& p) { p.lookup = bisected; });
}

// ---- reachable_is_covered -------------------------------------------------------------------

// The largest size that the caller asked for falls to the filter.
MutantPair loses_the_named_maximum() {
  const auto with_maximum = [](std::int64_t maximum) {
    return plan_of({.candidates = {4, 8, 16, maximum}, .named = {{maximum, "--max-size"}}});
  };
  return {with_maximum(18), with_maximum(20)};
}

// Padding is off, and a size in the middle of the list falls to the filter.
MutantPair loses_a_named_size() {
  const auto with_sizes = [](const SizeList& sizes) {
    Parts parts{.candidates = sizes, .lookup = only_itself, .exact_match = true};
    for (const std::int64_t size : sizes) parts.named.push_back({size, "--sizes"});
    return plan_of(std::move(parts));
  };
  return {with_sizes({4, 6, 8}), with_sizes({4, 8})};
}

// Compares with "greater than" where "at least" is meant.
MutantPair never_finds_a_captured_size() {
  return with_lookup([](const SizeList& sizes, std::int64_t n) {
    const auto next = least_enough(sizes, n + 1);
    return next ? next : least_enough(sizes, n);
  });
}

// ---- within_capacity ------------------------------------------------------------------------

MutantPair passes_the_pool() {
  const auto bounded = [](std::int64_t pool) {
    return plan_of({.bounds = {{.tokens = pool, .what = "the pool", .symptom = "clean_error"}}});
  };
  return {bounded(12), bounded(16)};
}

// The first bound holds; one that comes after it does not.
MutantPair passes_the_second_bound() {
  const auto bounded = [](std::int64_t rows) {
    return plan_of(
        {.bounds = {
             {.tokens = 16, .what = "the list's maximum", .symptom = "none"},
             {.tokens = 16, .what = "the pool", .symptom = "clean_error"},
             {.tokens = rows, .what = "the rows of an exchange", .symptom = "clean_error"}}});
  };
  return {bounded(15), bounded(16)};
}

MutantPair rounds_past_the_maximum() {
  const auto with_maximum = [](std::int64_t maximum) {
    return plan_of({.candidates = {4, 8, maximum},
                    .filter = round_up_to(kRanks, true),
                    .bounds = {{.tokens = maximum,
                                .what = "the list's maximum",
                                .symptom = "none",
                                .cuts_list = true}}});
  };
  return {with_maximum(14), with_maximum(16)};
}

// A bound in tokens, compared with sizes in requests of 2 tokens.
MutantPair takes_requests_for_tokens() {
  const auto keeps_up_to = [](std::int64_t requests) {
    return plan_of({.candidates = {4, 8, 16},
                    .filter = keep_if(
                        [requests](std::int64_t size) {
                          return size > 0 && size % kRanks == 0 && size <= requests;
                        },
                        kRanks),
                    .bounds = {{.tokens = 16, .what = "the pool", .symptom = "clean_error"}},
                    .unit = Unit::requests,
                    .width = Width(2)});
  };
  return {keeps_up_to(16), keeps_up_to(8)};
}

constexpr std::string_view kRound = "round_is_least_upper_bound";

constexpr std::array kMutants = {
    Mutant{"keeps_unusable", "divisible", "a kept size is usable", keeps_unusable},
    Mutant{"keeps_zero", "divisible", "a kept size holds rows", keeps_zero},
    Mutant{"gathers_uneven_parts", "divisible", "gathered parts fill their buffer",
           gathers_uneven_parts},
    Mutant{"scatters_a_whole", "divisible", "an operation takes the layout it is given",
           scatters_a_whole},
    Mutant{"pads_eager_short", "divisible", "an eager count is usable once padded",
           pads_eager_short},
    Mutant{"drops_usable", "no_needless_drop", "a usable size is not dropped", drops_usable},
    Mutant{"rounds_and_drops", "no_needless_drop", "a rounding filter loses no size",
           rounds_and_drops},
    Mutant{"least_common_multiple", "filter_keeps_contract", "the stated multiple is kept",
           least_common_multiple},
    Mutant{"width_of_another_step", "filter_keeps_contract", "the multiple is one of tokens",
           width_of_another_step},
    Mutant{"empties_this_list", "filter_refuses_empty", "an empty list is refused",
           empties_this_list},
    Mutant{"empties_other_lists", "filter_refuses_empty", "an empty list is refused",
           empties_other_lists},
    Mutant{"refuses_without_text", "filter_refuses_empty", "a refusal says why",
           refuses_without_text},
    Mutant{"refuses_with_sizes_left", "filter_refuses_empty", "only an empty list is refused",
           refuses_with_sizes_left},
    Mutant{"drops_the_largest", "filter_is_pure", "idempotent", drops_the_largest},
    Mutant{"keeps_ascending_run", "filter_is_pure", "order does not matter", keeps_ascending_run},
    Mutant{"trusts_the_ends", "filter_is_pure", "order does not matter", trusts_the_ends},
    Mutant{"changes_the_callers_list", "filter_is_pure", "a second reader keeps the same",
           changes_the_callers_list},
    Mutant{"appends_the_pool", "filter_is_pure", "cutting and filtering commute", appends_the_pool},
    Mutant{"rounds_down", kRound, "the size is enough", rounds_down},
    Mutant{"skips_a_size", kRound, "no smaller size is enough", skips_a_size},
    Mutant{"clamps_above_the_top", kRound, "nothing is found above the largest",
           clamps_above_the_top},
    Mutant{"eager_below_the_first", kRound, "a size is found where one is enough",
           eager_below_the_first},
    Mutant{"rounds_to_no_member", kRound, "the size is a captured one", rounds_to_no_member},
    Mutant{"is_not_monotone", kRound, "monotone", is_not_monotone},
    Mutant{"pads_where_padding_is_off", kRound, "without padding only a size itself",
           pads_where_padding_is_off},
    Mutant{"bisects_an_unsorted_list", kRound, "the order of the list does not matter",
           bisects_an_unsorted_list, "reachable_is_covered",
           "a bisection that errs on an unsorted list misses one of its elements"},
    Mutant{"loses_the_named_maximum", "reachable_is_covered", "a named maximum is captured",
           loses_the_named_maximum},
    Mutant{"loses_a_named_size", "reachable_is_covered", "a named size is captured",
           loses_a_named_size},
    Mutant{"never_finds_a_captured_size", "reachable_is_covered", "a captured size is found",
           never_finds_a_captured_size, kRound, "a captured size is its own least upper bound"},
    Mutant{"passes_the_pool", "within_capacity", "a size fits its bound", passes_the_pool},
    Mutant{"passes_the_second_bound", "within_capacity", "a size fits every bound",
           passes_the_second_bound},
    Mutant{"rounds_past_the_maximum", "within_capacity", "rounding stays below the maximum",
           rounds_past_the_maximum},
    Mutant{"takes_requests_for_tokens", "within_capacity", "a bound is one of tokens",
           takes_requests_for_tokens},
};

}  // namespace

std::span<const Mutant> mutants() { return kMutants; }

}  // namespace capsize
