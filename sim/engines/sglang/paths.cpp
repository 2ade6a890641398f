#include "sim/engines/sglang/paths.hpp"

#include <algorithm>
#include <limits>

#include "sim/units.hpp"

namespace capsize::sglang {
namespace {

// The KV pool is sized after the weights are loaded. Where nothing is given the engine takes
// between 2048 and 4096 request slots (model_runner_kv_cache_mixin.py::_resolve_max_num_reqs).
constexpr std::int64_t kLeastPool = 2048;
// What speculation takes where nothing is given (server_args.py, _handle_speculative_decoding).
constexpr std::int64_t kSpeculativeRequests = 48;

// The default of the variable, and the assertion that a larger capture meets: #28914.
constexpr std::string_view kDeepEpRule =
    "layers/moe/token_dispatcher/deepep.py (deep_ep.cpp's assertion; sgl-project/sglang #28914)";

// ---- both paths ------------------------------------------------------------------------------

// Both lists mostly rise, so that one pass over the kept sizes meets every candidate.
void note_dropped(CapturePath& path, const std::string& no_multiple) {
  SizeList kept = path.kept;
  if (!std::ranges::is_sorted(kept)) std::ranges::sort(kept);
  auto next = kept.begin();
  std::int64_t previous = std::numeric_limits<std::int64_t>::min();
  for (const std::int64_t size : path.candidates) {
    if (size < previous) next = std::ranges::lower_bound(kept, size);
    previous = size;
    while (next != kept.end() && *next < size) ++next;
    if (next != kept.end() && *next == size) continue;
    path.dropped.push_back(
        {size, size % path.filter.modulus != 0 ? no_multiple : "more than the request pool holds"});
  }
}

void apply_filter(CapturePath& path) {
  if (path.candidates.empty()) return;
  SizeList list = path.candidates;
  FilterResult result = path.filter.apply(list);
  path.refused = std::move(result.refused);
  path.kept = std::move(result.kept);
  const std::int64_t modulus = path.filter.modulus;
  if (path.filter.rounds) {
    for (const std::int64_t size : path.candidates) {
      const std::int64_t to = align_up(size, modulus);
      if (to != size) path.rounded.push_back({size, to});
    }
    return;
  }
  const std::string_view unit = path.unit == Unit::tokens ? " tokens" : " requests";
  note_dropped(path, "no multiple of " + std::to_string(modulus) + std::string(unit));
}

EagerPath eager_path(std::string_view name, std::int64_t largest, const PaddingInput& padding,
                     std::shared_ptr<const DerivedStep> step) {
  return {.name = name,
          .largest_presented = largest,
          .padded = [padding](std::int64_t n) { return padded_rows(padding, n); },
          .padding_period = padding.mlp_sync ? padding.attn_tp * padding.attn_cp : 1,
          .rule = kPaddingRule,
          .undecided = {},
          .step = std::move(step)};
}

// ---- prefill ---------------------------------------------------------------------------------

// The largest size that a list without sizes of its own is made for.
std::int64_t prefill_max(const PrefillInputs& in, const PrefillLists& lists) {
  if (lists.max_tokens) return *lists.max_tokens;
  return default_prefill_max({in.mla, in.llama_2_path, in.chunk, in.max_total_tokens});
}

SizeList prefill_candidates(const PrefillInputs& in, const PrefillLists& lists) {
  return lists.tokens ? *lists.tokens : prefill_list(prefill_max(in, lists));
}

SizeFilter prefill_filter(const PrefillInputs& in) {
  const PrefillFilterInput filter{
      .attn_tp = in.attn_tp, .attn_cp = in.attn_cp, .gathered = in.gathered};
  // The breakable runner has a list of its own until both runners become one (#23906).
  const bool unfiltered = in.breakable && in.version < Version::pr_23906;
  const PrefillFilterRule& rule = prefill_filter_at(unfiltered ? Version::pr_23906 : in.version);
  return {.apply = [filter, &rule](SizeList& sizes) { return rule.apply(filter, sizes); },
          .rule = unfiltered ? "breakable_cuda_graph_runner.py::BreakableCudaGraphRunner.__init__"
                             : rule.function,
          .modulus = rule.modulus(filter),
          .contract_tokens = rule.contract(filter),
          .contract_text = rule.contract_text,
          .rounds = rule.rounds,
          .clamp_order_declared = rule.rounds};
}

void name_prefill_sizes(CapturePath& path, const PrefillLists& lists) {
  if (lists.tokens) {
    for (const std::int64_t size : *lists.tokens) {
      path.named.push_back({size, "--piecewise-cuda-graph-tokens"});
    }
  } else if (lists.max_tokens) {
    path.named.push_back({*lists.max_tokens, "--piecewise-cuda-graph-max-tokens"});
  }
}

void bound_prefill(CapturePath& path, const PrefillInputs& in, const PrefillLists& lists) {
  if (!lists.tokens) {
    path.bounds.push_back({prefill_max(in, lists),
                           "the maximum that the list was made for "
                           "(--piecewise-cuda-graph-max-tokens)",
                           "server_args.py::ServerArgs._generate_piecewise_cuda_graph_tokens",
                           "none", true});
  }
  if (in.context_length > 0) {
    // A capture presents all its tokens as one request (#22516 and #30206 mend this later).
    path.bounds.push_back({in.context_length,
                           "the context length: a size is captured as one request",
                           "piecewise_cuda_graph_runner.py::PiecewiseCudaGraphRunner."
                           "capture_one_batch_size",
                           "clean_error"});
  }
  if (in.max_total_tokens) {
    path.bounds.push_back({*in.max_total_tokens, "the KV pool (--max-total-tokens)",
                           "model_runner_kv_cache_mixin.py", "clean_error"});
  }
}

// ---- decode ----------------------------------------------------------------------------------

// Request slots of one replica.
std::int64_t pool(const DecodeInputs& in, const DecodeLists& lists) {
  std::int64_t slots = kLeastPool;
  if (lists.max_running_requests || in.speculative) {
    const std::int64_t requests = lists.max_running_requests.value_or(kSpeculativeRequests);
    slots = std::min(slots, div_floor(requests, in.attn_dp));
  } else if (in.max_total_tokens) {
    slots = std::min(slots, div_floor(*in.max_total_tokens, 2));
  }
  return std::max<std::int64_t>(slots, 0);
}

SizeList decode_candidates(const DecodeInputs& in, const DecodeLists& lists) {
  if (lists.bs && !lists.bs->empty()) return *lists.bs;
  return decode_list(lists.max_bs.value_or(in.default_max_bs), in.speculative, in.disable_padding);
}

SizeFilter decode_size_filter(const DecodeInputs& in, const DecodeLists& lists) {
  const DecodeFilterInput filter{.pool = pool(in, lists),
                                 .attn_tp = in.attn_tp,
                                 .attn_cp = in.attn_cp,
                                 .gathered = in.gathered,
                                 .tokens_per_request = in.width.value,
                                 .two_batch_overlap = in.two_batch_overlap};
  SizeFilter out{.apply = [filter](SizeList& sizes) { return decode_filter(filter, sizes); },
                 .rule = kDecodeFilterRule,
                 .modulus = decode_modulus(filter),
                 .read_again = in.draft_runner};
  if (in.gathered && !in.two_batch_overlap) {
    out.contract_tokens = in.attn_tp;
    out.contract_text = "a model input token count that is a multiple of attn_tp_size";
  }
  return out;
}

void name_decode_sizes(CapturePath& path, const DecodeLists& lists) {
  if (lists.bs && !lists.bs->empty()) {
    for (const std::int64_t size : *lists.bs) path.named.push_back({size, "--cuda-graph-bs"});
  } else if (lists.max_bs) {
    path.named.push_back({*lists.max_bs, "--cuda-graph-max-bs"});
  }
}

}  // namespace

bool has_prefill_sizes(const PrefillInputs& in, const PrefillLists& lists) {
  // The generated lists start at 4.
  return lists.tokens ? !lists.tokens->empty() : prefill_max(in, lists) >= 4;
}

CapturePath prefill_path(const PrefillInputs& in, const PrefillLists& lists) {
  CapturePath path{.name = kPathNames[kPrefill], .unit = Unit::tokens};
  path.backend = in.breakable ? "breakable" : "piecewise";
  path.candidates = prefill_candidates(in, lists);
  path.disabled_by = in.off;
  if (path.disabled_by.empty() && path.candidates.empty()) {
    path.disabled_by = "an empty list of sizes (rule 23, the capture size is not set)";
  }
  path.enabled = path.disabled_by.empty();
  path.undecided = in.undecided;
  path.lookup = bisect_lookup;
  path.lookup_rule = kPrefillLookupRule;
  path.step = in.step;
  path.largest_presented = in.largest_presented;
  path.filter = prefill_filter(in);
  if (!path.enabled) return path;
  apply_filter(path);
  name_prefill_sizes(path, lists);
  bound_prefill(path, in, lists);
  return path;
}

CapturePath decode_path(const DecodeInputs& in, const DecodeLists& lists) {
  CapturePath path{.name = kPathNames[kDecode], .unit = Unit::requests, .width = in.width};
  path.backend = "full";
  path.disabled_by = in.off;
  path.enabled = path.disabled_by.empty();
  path.undecided = in.undecided;
  path.candidates = decode_candidates(in, lists);
  path.lookup = in.disable_padding ? exact_lookup : bisect_lookup;
  path.lookup_rule = kDecodeLookupRule;
  path.exact_match = in.disable_padding;
  path.step = in.step;
  path.largest_presented = pool(in, lists);
  path.largest_is_known = lists.max_running_requests.has_value() || in.speculative;
  path.filter = decode_size_filter(in, lists);
  if (!path.enabled) return path;
  apply_filter(path);
  name_decode_sizes(path, lists);
  if (in.dispatch) {
    path.bounds.push_back({in.dispatch->tokens,
                           "what DeepEP dispatches (" + std::to_string(in.dispatch->rows) +
                               " rows a rank, " + std::string(kDeepEpVariable) + ")",
                           kDeepEpRule, "clean_error"});
  }
  return path;
}

EagerPath eager_prefill(const PrefillInputs& in) {
  EagerPath path = eager_path("eager_prefill", in.largest_presented, in.padding, in.step);
  path.undecided = in.eager_undecided;
  return path;
}

std::optional<EagerPath> eager_decode(const DecodeInputs& in, const DecodeLists& lists) {
  if (in.width.value != 1) return std::nullopt;
  EagerPath path = eager_path("eager_decode", pool(in, lists), in.padding, in.step);
  path.undecided = in.undecided;
  return path;
}

std::optional<Refusal> empty_list_refusal(const CapturePath& path) {
  if (!path.refused || !path.undecided.empty()) return std::nullopt;
  return Refusal{RefusalStage::capture, std::string(path.filter.rule), path.refused,
                 std::string("name sizes that are multiples of ") +
                     std::to_string(path.filter.modulus) +
                     (path.unit == Unit::tokens ? " with --piecewise-cuda-graph-tokens, or use "
                                                  "--disable-piecewise-cuda-graph"
                                                : " with --cuda-graph-bs, or use "
                                                  "--disable-cuda-graph")};
}

}  // namespace capsize::sglang
