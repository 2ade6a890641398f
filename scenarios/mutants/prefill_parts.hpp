// Two rows of the prefill filter's history, spelled out part by part: unchanged they are the real
// rows (tests/property/rule_mutants_test.cpp compares them), and a mutant is one part exchanged.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "scenarios/mutants/sglang_rules.hpp"
#include "sim/units.hpp"

namespace capsize {

// The row of #23972: keeps multiples of a base, if tokens are gathered, and refuses to keep none.
struct PrefillParts {
  std::int64_t (*base)(std::int64_t attn_tp, std::int64_t attn_cp) = [](std::int64_t attn_tp,
                                                                        std::int64_t attn_cp) {
    return attn_tp % attn_cp == 0 ? attn_tp : attn_tp * attn_cp;
  };
  // The base where nothing is gathered.
  std::int64_t (*ungated)(std::int64_t attn_tp, std::int64_t attn_cp) =
      [](std::int64_t, std::int64_t) { return std::int64_t{1}; };
  bool (*keeps)(std::int64_t size, std::int64_t base) =
      [](std::int64_t size, std::int64_t divisor) { return size % divisor == 0; };
  void (*finish)(SizeList& kept, std::int64_t base) = nullptr;
  std::optional<std::string> (*refuses)(const SizeList& list, const SizeList& kept,
                                        std::int64_t base) =
      [](const SizeList&, const SizeList& kept,
         std::int64_t divisor) -> std::optional<std::string> {
    if (!kept.empty()) return std::nullopt;
    return "No piecewise CUDA graph capture sizes are multiples of " + std::to_string(divisor);
  };
};

// The row of #33200: sorts, and rounds up to attention TP, if tokens are gathered.
struct RoundingParts {
  bool (*gated)(const sglang::PrefillFilterInput&) = [](const sglang::PrefillFilterInput& in) {
    return in.gathered;
  };
  void (*order)(SizeList&) = [](SizeList& sizes) { std::ranges::sort(sizes); };
  std::int64_t (*rounded)(std::int64_t size, const sglang::PrefillFilterInput&) =
      [](std::int64_t size, const sglang::PrefillFilterInput& in) {
        return align_up(size, in.attn_tp);
      };
  void (*finish)(SizeList& kept, const SizeList& list) = nullptr;
  bool declares_order = true;
};

[[nodiscard]] PrefillRow row_of(const PrefillParts& parts);
[[nodiscard]] PrefillRow row_of(const RoundingParts& parts);

}  // namespace capsize
