// The rules that changed, as rows: {what, since, until, source, function}. A version is a point in
// time; two versions share every row that did not change between them.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "sim/capture.hpp"
#include "sim/engines/engine.hpp"

namespace capsize::sglang {

// Points in time, oldest first. 33200 is a proposal (open when read) on top of 23906.
enum class Version : std::uint8_t { pre_23972, pr_23972, pr_23906, pr_33200, end };

[[nodiscard]] std::span<const RulesLabel> labels();
[[nodiscard]] std::optional<Version> version_of(std::string_view label);
[[nodiscard]] std::string_view name_of(Version version);

// The label whose prefill rules hold for the release in an image tag: the filter is in 0.5.11 to
// 0.5.13.post1, and gone in 0.5.14. Later releases have other runners: none of the labels fits.
[[nodiscard]] std::optional<std::string_view> label_of_image(std::string_view tag);

// The release whose command line goes with a version.
[[nodiscard]] std::string_view flag_release(Version version);

// The prefill list on its way into the runner.
struct PrefillFilterInput {
  std::int64_t attn_tp = 1;
  std::int64_t attn_cp = 1;
  bool gathered = false;  // require_gathered_buffer
};

struct PrefillFilterRule {
  std::string_view what;    // "keeps multiples of the attention-TP size, if gathered"
  Version since;            // inclusive
  Version until;            // exclusive
  std::string_view source;  // repository, pull request
  std::string_view function;
  FilterResult (*apply)(const PrefillFilterInput&, const SizeList&);
  // The least step of the sizes that it keeps, 1 where it takes all.
  std::int64_t (*modulus)(const PrefillFilterInput&);
  // The multiple that the source states for what it keeps; none where it states nothing.
  std::optional<std::int64_t> (*contract)(const PrefillFilterInput&);
  std::string_view contract_text;
  bool rounds;
};

[[nodiscard]] std::span<const PrefillFilterRule> prefill_filter_history();
[[nodiscard]] const PrefillFilterRule& prefill_filter_at(Version version);

}  // namespace capsize::sglang
