// The rules of sim/engines/sglang that decide about sizes, as values: each can be replaced by a
// faulty one, and everything that a launch was promised stays as the real rules say. A declared
// grid of launches, smallest first, is where a replaced rule is looked for.
//
//   RuleSet rules;                             // the real ones
//   rules.lookup = rounds_down;                // one of them replaced
//   RuleBench bench;
//   for (const RuleSetup& setup : rule_grid()) judge(law, bench.plan_of(rules, setup).subject());
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "properties/mutants.hpp"
#include "sim/engines/sglang/capture.hpp"
#include "sim/engines/sglang/dispatch.hpp"
#include "sim/engines/sglang/groups.hpp"
#include "sim/engines/sglang/history.hpp"
#include "sim/engines/sglang/predicates.hpp"

namespace capsize {

// The model of a setup. The last is a step of no engine: it cuts an unreduced sum over context
// parallelism, so that a count must be a multiple of that size.
enum class RuleModel : std::uint8_t { dense, sparse, mixed, shares_of_context };
[[nodiscard]] std::string_view name_of(RuleModel model);

struct RuleLayout {
  std::int64_t tp = 1;
  std::int64_t attn_dp = 1;  // above 1: DP attention
  std::int64_t attn_cp = 1;
  bool dense_is_one = false;       // --moe-dense-tp-size 1
  bool a2a = false;                // a --moe-a2a-backend
  bool dp_lm_head = false;         // --enable-dp-lm-head
  bool two_batch_overlap = false;  // --enable-two-batch-overlap
  bool splits_context = false;     // --enable-prefill-context-parallel
  RuleModel model = RuleModel::dense;

  [[nodiscard]] sglang::Sizes sizes() const;
};

// What a launch says of its lists. The path is the one that the lists are for.
struct RuleSizes {
  bool prefill = true;
  sglang::DefaultSizesInput lists{.gpu_memory_mib = 81559};
  std::int64_t width = 1;  // tokens a request of a decode step
  std::int64_t max_running = 2048;
  bool draft_runner = false;
};

struct RuleSetup {
  RuleLayout layout;
  const RuleSizes* sizes = nullptr;
  sglang::Version version = sglang::Version::pr_23972;

  // "tp 4, attn_cp 2, 23972, tokens {1, 2}": what differs from the plainest setup.
  [[nodiscard]] std::string text() const;
};

// Every setup of the grid, smallest first.
[[nodiscard]] std::span<const RuleSetup> rule_grid();

// What a step depends on: what a memory of derived steps is keyed by.
struct StepKey {
  std::int64_t attn_tp = 1;
  std::int64_t attn_cp = 1;
  std::int64_t attn_dp = 1;
  bool dense_is_one = false;
  bool a2a = false;
  bool two_batch_overlap = false;
  bool splits_context = false;
  std::int64_t width = 1;
  RuleModel model = RuleModel::dense;

  friend auto operator<=>(const StepKey&, const StepKey&) = default;
};

// A memory that does not tell keys apart which `forget` makes equal, after all keys of the grid
// went through it, the largest first: it answers with the step that it met first.
[[nodiscard]] std::function<StepKey(const StepKey&)> memory_that_forgets(void (*forget)(StepKey&));

// One row of the prefill filter's history, in a form that a mutant can change.
struct PrefillRow {
  std::function<FilterResult(const sglang::PrefillFilterInput&, const SizeList&)> apply;
  std::function<std::int64_t(const sglang::PrefillFilterInput&)> modulus;
  bool rounds = false;
};

// The rules, real unless replaced.
struct RuleSet {
  RuleSet();

  std::function<sglang::DefaultSizes(const sglang::DefaultSizesInput&)> lists =
      sglang::default_sizes;
  std::function<sglang::Predicates(const sglang::PredicateInput&)> predicates =
      sglang::predicates_of;
  // The attention-TP size that filters and padding go by, and the request slots of one replica.
  std::function<std::int64_t(const sglang::Sizes&)> attn_tp;
  std::function<std::int64_t(std::int64_t max_running, std::int64_t attn_dp)> pool;
  // Which predicate switches what.
  std::function<bool(const sglang::Predicates&)> prefill_gate;
  std::function<bool(const sglang::Predicates&)> decode_gate;
  std::function<bool(const sglang::Predicates&)> padding_gate;
  // What the prefill filter is told, from the real input; two-batch overlap beside it.
  std::function<sglang::PrefillFilterInput(sglang::PrefillFilterInput, bool)> prefill_input;
  std::array<PrefillRow, 4> prefill;  // by Version
  std::function<FilterResult(const sglang::DecodeFilterInput&, SizeList&)> decode =
      sglang::decode_filter;
  std::function<std::int64_t(const sglang::DecodeFilterInput&)> decode_modulus =
      sglang::decode_modulus;
  BucketLookup lookup = sglang::bisect_lookup;
  BucketLookup exact_lookup = sglang::exact_lookup;
  std::function<std::int64_t(const sglang::PaddingInput&, std::int64_t)> padding =
      sglang::padded_rows;
  // Whose step the memory of derived steps answers with.
  std::function<StepKey(const StepKey&)> remembered = [](const StepKey& key) { return key; };

  [[nodiscard]] PrefillRow& row(sglang::Version version) {
    return prefill[static_cast<std::size_t>(version)];
  }
};

// Makes plans of setups, and remembers derived steps.
class RuleBench {
 public:
  // The path of the setup's lists and its eager twin. Where the filter refuses the launch nothing
  // is captured; `refused` then still tells.
  [[nodiscard]] PlantedPlan plan_of(const RuleSet& rules, const RuleSetup& setup);

 private:
  [[nodiscard]] std::shared_ptr<const DerivedStep> step_of(const StepKey& key);

  std::map<StepKey, std::shared_ptr<const DerivedStep>> steps_;
};

}  // namespace capsize
