// Capture paths built from the real rules of sim/engines/sglang, with everything that a property
// run varies as a plain field. The plan of a whole launch is made elsewhere; here a filter, a
// lookup, a padding and a step are put together freely, also where no command line leads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "properties/mutants.hpp"
#include "sim/engines/sglang/capture.hpp"
#include "sim/engines/sglang/history.hpp"

namespace capsize::property {

// The layout of a step. The model is an index into the engine's stand-ins.
struct LayoutCase {
  std::int64_t attn_tp = 1;
  std::int64_t attn_cp = 1;
  std::int64_t attn_dp = 1;
  bool dense_fully_dp = false;
  bool a2a = false;
  bool two_batch_overlap = false;
  bool splits_context = false;
  bool prefill = true;
  std::int64_t width = 1;
  std::size_t model = 0;

  [[nodiscard]] std::string text() const;
};

inline constexpr std::size_t kDenseModel = 0;   // no layer communicator
inline constexpr std::size_t kMixedModel = 1;   // dense layers, then sparse ones
inline constexpr std::size_t kSparseModel = 3;  // sparse layers alone

// The engine's step, derived; the same object for the same layout.
[[nodiscard]] std::shared_ptr<const DerivedStep> step_of_layout(const LayoutCase& layout);

// Whether the step can run n units, by the row simulation; remembered.
[[nodiscard]] bool runs_by_simulation(const LayoutCase& layout, std::int64_t n);

struct PrefillCase {
  sglang::Version version = sglang::Version::pr_23972;
  sglang::PrefillFilterInput filter;
  SizeList candidates;
  std::int64_t largest_presented = 4096;
  std::optional<std::int64_t> maximum;  // the list's own maximum, as a bound and as a named size
};

struct DecodeCase {
  sglang::DecodeFilterInput filter;
  SizeList candidates;
  bool exact_match = false;  // padding is off
  bool draft_runner = false;
  bool named = false;  // the caller named every candidate
};

// One path each, with the events that capture it. `step` none: a step that asks nothing.
[[nodiscard]] PlantedPlan plan_of(const PrefillCase& in,
                                  std::shared_ptr<const DerivedStep> step = nullptr);
[[nodiscard]] PlantedPlan plan_of(const DecodeCase& in,
                                  std::shared_ptr<const DerivedStep> step = nullptr);

// What one law says of the first path (or of the first eager path, where `eager`).
[[nodiscard]] Finding finding_of(std::string_view law, const PlantedPlan& plan, bool eager = false);

// The label of a version, for histograms.
[[nodiscard]] std::string label_of(sglang::Version version);

}  // namespace capsize::property
