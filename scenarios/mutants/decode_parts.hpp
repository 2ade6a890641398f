// The decode filter, spelled out part by part: unchanged it is the real one
// (tests/property/rule_mutants_test.cpp compares them), and a mutant is one part exchanged.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "scenarios/mutants/sglang_rules.hpp"
#include "sim/units.hpp"

namespace capsize {

// What a size is compared with.
struct DecodeTerms {
  std::int64_t alignment = 1;  // in tokens; in requests under two-batch overlap
  std::int64_t width = 1;
  std::int64_t slots = 0;
};

struct DecodeParts {
  std::int64_t (*alignment)(const sglang::DecodeFilterInput&) = sglang::decode_alignment;
  std::int64_t (*width)(const sglang::DecodeFilterInput&) =
      [](const sglang::DecodeFilterInput& in) {
        return in.two_batch_overlap ? std::int64_t{1} : in.tokens_per_request;
      };
  std::int64_t (*slots)(std::int64_t pool, std::int64_t alignment) = align_up;
  // What is done to the list before its largest size is looked at.
  void (*prepare)(SizeList& sizes, std::int64_t slots) = nullptr;
  std::int64_t (*largest)(const SizeList&) = [](const SizeList& sizes) {
    return std::ranges::max(sizes);
  };
  bool appends = true;
  std::int64_t (*appended)(std::int64_t pool, std::int64_t slots) =
      [](std::int64_t, std::int64_t aligned) { return aligned; };
  bool (*keeps)(std::int64_t size, const DecodeTerms&) = [](std::int64_t size,
                                                            const DecodeTerms& in) {
    return size * in.width % in.alignment == 0 && size <= in.slots;
  };
  bool sorts = true;
  bool drops_repeats = true;
  // What is done to the caller's list at the end.
  void (*leaves)(SizeList& sizes, const SizeList& kept) = nullptr;
  bool (*refuses)(const SizeList& sizes, const SizeList& kept) =
      [](const SizeList&, const SizeList& kept) { return kept.empty() || kept.front() <= 0; };
  std::string (*text)(const SizeList& kept) = [](const SizeList& kept) {
    std::string out = "capture_bs=[";
    for (const std::int64_t size : kept) {
      out.append(out.back() == '[' ? "" : ", ").append(std::to_string(size));
    }
    return out + "]";
  };
};

[[nodiscard]] FilterResult decode_by(const DecodeParts& parts, const sglang::DecodeFilterInput& in,
                                     SizeList& sizes);

}  // namespace capsize
