// Random inputs of the real rules, shared by the property runs; how they print in a counterexample.
#pragma once

#include <rapidcheck.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>

#include "properties/generators.hpp"
#include "tests/property/sglang_paths.hpp"

namespace capsize::property {

inline std::string text_of(const SizeList& sizes) {
  std::string text = "{";
  for (const std::int64_t size : sizes) {
    text.append(text.size() > 1 ? ", " : "").append(std::to_string(size));
  }
  return text + "}";
}

inline void showValue(const LayoutCase& in, std::ostream& out) { out << in.text(); }

inline void showValue(const PrefillCase& in, std::ostream& out) {
  out << label_of(in.version) << " attn_tp " << in.filter.attn_tp << " attn_cp "
      << in.filter.attn_cp << (in.filter.gathered ? " gathered " : " ") << text_of(in.candidates)
      << " presents " << in.largest_presented;
  if (in.maximum) out << " maximum " << *in.maximum;
}

inline void showValue(const DecodeCase& in, std::ostream& out) {
  out << "attn_tp " << in.filter.attn_tp << " attn_cp " << in.filter.attn_cp << " pool "
      << in.filter.pool << " width " << in.filter.tokens_per_request
      << (in.filter.gathered ? " gathered" : "")
      << (in.filter.two_batch_overlap ? " two_batch_overlap" : "")
      << (in.exact_match ? " exact " : " ") << text_of(in.candidates);
}

inline rc::Gen<sglang::Version> versions() {
  using sglang::Version;
  return generators::one_of<Version>(
      {Version::pr_23972, Version::pre_23972, Version::pr_23906, Version::pr_33200});
}

inline rc::Gen<std::int64_t> parallel_sizes() {
  return generators::one_of<std::int64_t>({1, 2, 4, 8, 3, 6, 16});
}

// Built with gen::apply, not gen::exec: exec never goes back to a value once a later one has
// shrunk, and so ends at larger cases.
inline rc::Gen<PrefillCase> prefill_cases(const rc::Gen<SizeList>& lists) {
  return rc::gen::apply(
      [](sglang::Version version, std::int64_t attn_tp, std::int64_t attn_cp, bool gathered,
         SizeList candidates, std::int64_t largest, bool has_maximum, std::int64_t maximum) {
        PrefillCase in{.version = version,
                       .filter = {attn_tp, attn_cp, gathered},
                       .candidates = std::move(candidates),
                       .largest_presented = largest};
        if (has_maximum) in.maximum = maximum;
        return in;
      },
      versions(), parallel_sizes(), parallel_sizes(), generators::coin(), lists,
      generators::evenly(1, 600), generators::coin(), generators::evenly(1, 600));
}

inline rc::Gen<DecodeCase> decode_cases(const rc::Gen<SizeList>& lists) {
  const auto filters = rc::gen::apply(
      [](std::int64_t pool, std::int64_t attn_tp, std::int64_t attn_cp, bool gathered,
         std::int64_t width, bool two_batch_overlap) {
        return sglang::DecodeFilterInput{pool,     attn_tp, attn_cp,
                                         gathered, width,   two_batch_overlap};
      },
      generators::evenly(1, 600), parallel_sizes(), parallel_sizes(), generators::coin(),
      generators::evenly(1, 9), generators::coin());
  return rc::gen::apply(
      [](const sglang::DecodeFilterInput& filter, SizeList candidates, bool exact_match,
         bool draft_runner, bool named) {
        return DecodeCase{filter, std::move(candidates), exact_match, draft_runner, named};
      },
      filters, lists, generators::coin(), generators::coin(), generators::coin());
}

// Layouts of up to twelve ranks whose steps are modelled: without a layer communicator there are
// no replicas and no overlap; only the sparse stand-in splits its context, and in a prefill alone.
inline bool is_modelled(const LayoutCase& in) {
  if (in.attn_tp * in.attn_cp * in.attn_dp > 12) return false;
  if (in.model == kDenseModel && (in.attn_dp > 1 || in.two_batch_overlap)) return false;
  if (in.splits_context && (in.attn_cp == 1 || !in.prefill || in.model != kSparseModel)) {
    return false;
  }
  return in.width == 1 || !in.prefill;
}

// A random layout, brought back into what is modelled.
inline LayoutCase modelled(LayoutCase in) {
  if (in.attn_tp * in.attn_cp > 12) in.attn_cp = 1;
  if (in.attn_tp * in.attn_cp * in.attn_dp > 12 || in.model == kDenseModel) in.attn_dp = 1;
  if (in.model == kDenseModel) in.two_batch_overlap = false;
  if (in.attn_cp == 1 || !in.prefill || in.model != kSparseModel) in.splits_context = false;
  if (in.prefill) in.width = 1;
  return in;
}

inline rc::Gen<LayoutCase> layouts() {
  using generators::coin;
  using generators::one_of;
  return rc::gen::apply(
      [](std::int64_t attn_tp, std::int64_t attn_cp, std::int64_t attn_dp, bool dense_fully_dp,
         bool a2a, bool two_batch_overlap, bool splits_context, bool prefill, std::int64_t width,
         std::size_t model) {
        return modelled({attn_tp, attn_cp, attn_dp, dense_fully_dp, a2a, two_batch_overlap,
                         splits_context, prefill, width, model});
      },
      one_of<std::int64_t>({1, 2, 3, 4, 6, 8}), one_of<std::int64_t>({1, 2, 3, 4}),
      one_of<std::int64_t>({1, 2, 3}), coin(), coin(), coin(), coin(), coin(),
      one_of<std::int64_t>({1, 3}), one_of<std::size_t>({kDenseModel, kMixedModel, kSparseModel}));
}

// Lists without the sizes that no batch can reach.
inline rc::Gen<SizeList> bounded(const rc::Gen<SizeList>& lists, std::int64_t largest) {
  return rc::gen::map(lists, [largest](SizeList sizes) {
    for (std::int64_t& size : sizes) size = std::min(size, largest);
    return sizes;
  });
}

inline std::string shape_of_list(const SizeList& sizes) {
  if (std::ranges::find(sizes, 0) != sizes.end()) return "with zero";
  if (!std::ranges::is_sorted(sizes)) return "unsorted";
  return std::ranges::adjacent_find(sizes) != sizes.end() ? "with repeats" : "ascending";
}

inline std::string verdict_text(const Finding& finding) {
  return std::string(name_of(finding.verdict));
}

}  // namespace capsize::property
