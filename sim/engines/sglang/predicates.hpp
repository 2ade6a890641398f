// The gather predicates that gate SGLang's filters and padding (utils/common.py at #23972).
// None of them looks at the model, at context parallelism or at attention TP.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/error.hpp"

namespace capsize::sglang {

struct PredicateInput {
  std::int64_t tp = 1;
  std::int64_t dp = 1;  // --dp-size as it is given, with or without DP attention
  bool enable_dp_attention = false;
  std::optional<std::int64_t> moe_dense_tp_size;
  bool enable_dp_lm_head = false;
  bool a2a = false;  // --moe-a2a-backend is not "none"
};

struct Predicates {
  bool mlp_tp_gather = false;    // require_mlp_tp_gather
  bool attn_tp_gather = false;   // require_attn_tp_gather
  bool gathered_buffer = false;  // require_gathered_buffer: the only gate of the prefill filter
  bool mlp_sync = false;         // require_mlp_sync
  friend bool operator==(const Predicates&, const Predicates&) = default;
};

[[nodiscard]] Predicates predicates_of(const PredicateInput& in);

// The text of the assertion in require_mlp_tp_gather, where it fails; predicates_of takes such an
// input all the same. No server reaches it: with one replica the engine switches DP attention off.
[[nodiscard]] std::optional<std::string_view> predicates_refusal(const PredicateInput& in);

}  // namespace capsize::sglang
