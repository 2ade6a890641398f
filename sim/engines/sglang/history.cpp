#include "sim/engines/sglang/history.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace capsize::sglang {
namespace {

constexpr std::array kLabels = {
    RulesLabel{"pre-23972", "the parent commit of PR #23972 (2026-04-30): no prefill filter"},
    RulesLabel{"23972", "the merge of PR #23972 (2026-04-30): sizes filtered, and an assertion"},
    RulesLabel{"23906", "the runner refactor PR #23906 (2026-06-09): filter and assertion gone"},
    RulesLabel{"33200", "PR #33200 (open) on top of 23906: sizes rounded up to attention TP"},
};

// f(A, C) = A where C divides A, else A * C: both filters compute it this way.
std::int64_t filter_base(const PrefillFilterInput& in) {
  return in.attn_tp % in.attn_cp == 0 ? in.attn_tp : in.attn_tp * in.attn_cp;
}

std::int64_t one(const PrefillFilterInput&) { return 1; }

std::optional<std::int64_t> no_contract(const PrefillFilterInput&) { return std::nullopt; }

FilterResult keep_all(const PrefillFilterInput&, const SizeList& sizes) { return {sizes, {}}; }

FilterResult keep_multiples(const PrefillFilterInput& in, const SizeList& sizes) {
  if (!in.gathered) return {sizes, {}};
  const std::int64_t base = filter_base(in);
  FilterResult result;
  result.kept.reserve(sizes.size());
  std::ranges::copy_if(sizes, std::back_inserter(result.kept),
                       [base](std::int64_t size) { return size % base == 0; });
  if (result.kept.empty()) {
    result.refused =
        "No piecewise CUDA graph capture sizes are multiples of " + std::to_string(base);
  }
  return result;
}

std::int64_t multiples_modulus(const PrefillFilterInput& in) {
  return in.gathered ? filter_base(in) : 1;
}

std::optional<std::int64_t> contract_tp_times_cp(const PrefillFilterInput& in) {
  return in.gathered ? std::optional(in.attn_tp * in.attn_cp) : std::nullopt;
}

FilterResult sort_only(const PrefillFilterInput&, const SizeList& sizes) {
  FilterResult result{sizes, {}};
  std::ranges::sort(result.kept);
  return result;
}

FilterResult round_up(const PrefillFilterInput& in, const SizeList& sizes) {
  FilterResult result{sizes, {}};
  std::ranges::sort(result.kept);
  if (!in.gathered) return result;  // the proposal leaves such configurations as they are
  for (std::int64_t& size : result.kept) size = align_up(size, in.attn_tp);
  const auto repeats = std::ranges::unique(result.kept);
  result.kept.erase(repeats.begin(), repeats.end());
  return result;
}

std::int64_t attn_tp_modulus(const PrefillFilterInput& in) { return in.gathered ? in.attn_tp : 1; }

std::optional<std::int64_t> contract_tp(const PrefillFilterInput& in) {
  return in.gathered ? std::optional(in.attn_tp) : std::nullopt;
}

constexpr std::array kPrefillFilter = {
    PrefillFilterRule{"takes the list as it is", Version::pre_23972, Version::pr_23972,
                      "sgl-project/sglang #10062",
                      "piecewise_cuda_graph_runner.py::PiecewiseCudaGraphRunner.__init__", keep_all,
                      one, no_contract, "", false},
    PrefillFilterRule{"keeps multiples of the attention-TP size, if tokens are gathered",
                      Version::pr_23972, Version::pr_23906, "sgl-project/sglang #23972",
                      "piecewise_cuda_graph_runner.py::PiecewiseCudaGraphRunner.__init__",
                      keep_multiples, multiples_modulus, contract_tp_times_cp,
                      "token counts divisible by attn_tp_size * attn_cp_size", false},
    PrefillFilterRule{"sorts the list and takes all of it", Version::pr_23906, Version::pr_33200,
                      "sgl-project/sglang #23906",
                      "runner/prefill_cuda_graph_runner.py::PrefillCudaGraphRunner.__init__",
                      sort_only, one, no_contract, "", false},
    PrefillFilterRule{"rounds up to the attention-TP size, if tokens are gathered",
                      Version::pr_33200, Version::end, "sgl-project/sglang #33200 (proposal)",
                      "runner/prefill_cuda_graph_runner.py::PrefillCudaGraphRunner.__init__",
                      round_up, attn_tp_modulus, contract_tp,
                      "token buckets aligned to attn_tp_size", true},
};

}  // namespace

std::span<const RulesLabel> labels() { return kLabels; }

std::optional<Version> version_of(std::string_view label) {
  for (std::size_t i = 0; i < kLabels.size(); ++i) {
    if (kLabels[i].name == label) return static_cast<Version>(i);
  }
  return std::nullopt;
}

std::string_view name_of(Version version) {
  return kLabels[static_cast<std::size_t>(version)].name;
}

std::optional<std::string_view> label_of_image(std::string_view tag) {
  if (tag.starts_with('v')) tag.remove_prefix(1);
  std::array<int, 3> parts{};
  for (int& part : parts) {
    const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), part);
    if (error != std::errc{}) return std::nullopt;
    tag.remove_prefix(static_cast<std::size_t>(end - tag.data()));
    if (tag.starts_with('.')) tag.remove_prefix(1);
  }
  if (parts < std::array{0, 5, 11}) return "pre-23972";
  if (parts < std::array{0, 5, 14}) return "23972";
  if (parts < std::array{0, 5, 15}) return "23906";
  return "";
}

std::string_view flag_release(Version version) {
  return version == Version::pre_23972 ? "0.5.10.post1" : "0.5.11";
}

std::span<const PrefillFilterRule> prefill_filter_history() { return kPrefillFilter; }

const PrefillFilterRule& prefill_filter_at(Version version) {
  return *std::ranges::find_if(kPrefillFilter, [version](const PrefillFilterRule& rule) {
    return rule.since <= version && version < rule.until;
  });
}

}  // namespace capsize::sglang
