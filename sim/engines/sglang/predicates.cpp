#include "sim/engines/sglang/predicates.hpp"

#include "sim/units.hpp"

namespace capsize::sglang {

Predicates predicates_of(const PredicateInput& in) {
  Predicates out;
  const bool dense_is_one = in.moe_dense_tp_size.has_value();
  if (in.enable_dp_attention) {
    out.mlp_tp_gather = !dense_is_one || !in.enable_dp_lm_head || !in.a2a ||
                        *in.moe_dense_tp_size > div_floor(in.tp, in.dp);
  }
  // "dp_size < tp_size" stands where "attention TP > 1" is meant; they differ under context
  // parallelism.
  out.attn_tp_gather = (in.a2a || dense_is_one) && (!in.enable_dp_attention || in.dp < in.tp);
  out.gathered_buffer = out.mlp_tp_gather || out.attn_tp_gather;
  out.mlp_sync = in.enable_dp_attention || out.gathered_buffer;
  return out;
}

std::optional<std::string_view> predicates_refusal(const PredicateInput& in) {
  if (in.enable_dp_attention && in.dp <= 1) return "dp_size must be greater than 1";
  return std::nullopt;
}

}  // namespace capsize::sglang
