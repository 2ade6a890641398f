// The two captured paths of SGLang and the eager ones beside them, each made of two things: what a
// layout decides (Inputs) and what the flags decide that shape lists and nothing else (Lists).
// Nothing else is read, so that equal inputs and equal lists make equal paths: a sweep remembers by
// them (members.cpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sim/capture.hpp"
#include "sim/engines/sglang/capture.hpp"
#include "sim/engines/sglang/dispatch.hpp"
#include "sim/engines/sglang/history.hpp"

namespace capsize::sglang {

struct PrefillLists {
  std::optional<std::int64_t> max_tokens;  // --piecewise-cuda-graph-max-tokens
  std::optional<SizeList> tokens;          // --piecewise-cuda-graph-tokens
  friend bool operator==(const PrefillLists&, const PrefillLists&) = default;
};

struct PrefillInputs {
  Version version = Version::pre_23972;
  bool breakable = false;  // --enable-breakable-cuda-graph: another runner takes the list
  bool gathered = false;   // require_gathered_buffer
  bool mla = false;
  bool llama_2_path = false;
  std::int64_t attn_tp = 1;
  std::int64_t attn_cp = 1;
  std::int64_t chunk = 0;              // before replicas share it
  std::int64_t largest_presented = 0;  // tokens of one forward
  std::int64_t context_length = 0;     // 0: not known
  std::optional<std::int64_t> max_total_tokens;
  std::string off;              // the rule that switched the graphs off; empty: they are on
  std::string undecided;        // why captured counts cannot be judged
  std::string eager_undecided;  // why eager counts cannot
  PaddingInput padding;         // of rows, before an eager forward
  std::shared_ptr<const DerivedStep> step;
  friend bool operator==(const PrefillInputs&, const PrefillInputs&) = default;
};

struct DecodeLists {
  std::optional<std::int64_t> max_bs;                // --cuda-graph-max-bs
  std::optional<SizeList> bs;                        // --cuda-graph-bs
  std::optional<std::int64_t> max_running_requests;  // --max-running-requests
  friend bool operator==(const DecodeLists&, const DecodeLists&) = default;
};

// The variable that bounds what DeepEP dispatches.
inline constexpr std::string_view kDeepEpVariable =
    "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK";

// What low-latency DeepEP dispatches.
struct DispatchBound {
  std::int64_t rows = 0;    // a rank
  std::int64_t tokens = 0;  // of one captured size
  friend bool operator==(const DispatchBound&, const DispatchBound&) = default;
};

struct DecodeInputs {
  bool gathered = false;
  bool two_batch_overlap = false;
  bool speculative = false;      // the list of speculative batches, and a pool of 48 by default
  bool draft_runner = false;     // a second runner reads the caller's list
  bool disable_padding = false;  // --disable-cuda-graph-padding
  Width width{1};
  std::int64_t attn_tp = 1;
  std::int64_t attn_cp = 1;
  std::int64_t attn_dp = 1;
  std::int64_t default_max_bs = 0;
  std::optional<std::int64_t> max_total_tokens;
  std::optional<DispatchBound> dispatch;
  std::string off;
  std::string undecided;
  PaddingInput padding;  // of rows, before an eager forward
  std::shared_ptr<const DerivedStep> step;
  friend bool operator==(const DecodeInputs&, const DecodeInputs&) = default;
};

// The paths' places in a plan, and the order in which their graphs are captured.
inline constexpr std::size_t kPrefill = 0;
inline constexpr std::size_t kDecode = 1;
inline constexpr std::array<std::string_view, 2> kPathNames = {"prefill", "decode"};
inline constexpr std::array<std::size_t, 2> kCaptureOrder = {kDecode, kPrefill};

[[nodiscard]] CapturePath prefill_path(const PrefillInputs& in, const PrefillLists& lists);
[[nodiscard]] CapturePath decode_path(const DecodeInputs& in, const DecodeLists& lists);

// Whether prefill has a size to capture: without one its runner is not made.
[[nodiscard]] bool has_prefill_sizes(const PrefillInputs& in, const PrefillLists& lists);

[[nodiscard]] EagerPath eager_prefill(const PrefillInputs& in);
// None with speculation: those batches are padded by their own runners.
[[nodiscard]] std::optional<EagerPath> eager_decode(const DecodeInputs& in,
                                                    const DecodeLists& lists);

// The engine's assertion that a filter left something; none where it did.
[[nodiscard]] std::optional<Refusal> empty_list_refusal(const CapturePath& path);

}  // namespace capsize::sglang
