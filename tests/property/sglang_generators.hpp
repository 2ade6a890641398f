// Random inputs of the real rules, shared by the property runs; how they print in a counterexample.
#pragma once

#include <rapidcheck.h>

#include <algorithm>
#include <ostream>
#include <string>

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

inline rc::Gen<PrefillCase> prefill_cases(const rc::Gen<SizeList>& lists) {
  return rc::gen::exec([lists] {
    PrefillCase in;
    in.version = *versions();
    in.filter.attn_tp = *parallel_sizes();
    in.filter.attn_cp = *parallel_sizes();
    in.filter.gathered = *generators::coin();
    in.candidates = *lists;
    in.largest_presented = *generators::evenly(1, 600);
    if (*generators::coin()) in.maximum = *generators::evenly(1, 600);
    return in;
  });
}

inline rc::Gen<DecodeCase> decode_cases(const rc::Gen<SizeList>& lists) {
  return rc::gen::exec([lists] {
    DecodeCase in;
    in.filter.pool = *generators::evenly(1, 600);
    in.filter.attn_tp = *parallel_sizes();
    in.filter.attn_cp = *parallel_sizes();
    in.filter.gathered = *generators::coin();
    in.filter.tokens_per_request = *generators::evenly(1, 9);
    in.filter.two_batch_overlap = *generators::coin();
    in.exact_match = *generators::coin();
    in.draft_runner = *generators::coin();
    in.named = *generators::coin();
    in.candidates = *lists;
    return in;
  });
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
inline rc::Gen<LayoutCase> layouts() {
  return rc::gen::exec([] {
    LayoutCase in;
    in.attn_tp = *generators::one_of<std::int64_t>({1, 2, 3, 4, 6, 8});
    in.attn_cp = *generators::one_of<std::int64_t>({1, 2, 3, 4});
    in.attn_dp = *generators::one_of<std::int64_t>({1, 2, 3});
    in.model = *generators::one_of<std::size_t>({kDenseModel, kMixedModel, kSparseModel});
    in.dense_fully_dp = *generators::coin();
    in.a2a = *generators::coin();
    in.two_batch_overlap = *generators::coin();
    in.prefill = *generators::coin();
    in.splits_context = *generators::coin();
    in.width = *generators::one_of<std::int64_t>({1, 3});
    if (in.attn_tp * in.attn_cp > 12) in.attn_cp = 1;
    if (in.attn_tp * in.attn_cp * in.attn_dp > 12 || in.model == kDenseModel) in.attn_dp = 1;
    if (in.model == kDenseModel) in.two_batch_overlap = false;
    if (in.attn_cp == 1 || !in.prefill || in.model != kSparseModel) in.splits_context = false;
    if (in.prefill) in.width = 1;
    return in;
  });
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
