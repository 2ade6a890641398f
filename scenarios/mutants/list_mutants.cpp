// Faults of the lists before any filter: capture.cpp::default_sizes and what it is made of.
#include <algorithm>
#include <array>
#include <limits>

#include "scenarios/mutants/rule_mutants.hpp"

namespace capsize {
namespace {

using sglang::default_sizes;
using sglang::DefaultSizes;
using sglang::DefaultSizesInput;

// What the real rule makes of a changed input.
template <void (*Change)(DefaultSizesInput&)>
void asks(RuleSet& rules) {
  rules.lists = [](const DefaultSizesInput& in) {
    DefaultSizesInput changed = in;
    Change(changed);
    return default_sizes(changed);
  };
}

// What the real rule makes of the input, changed.
template <void (*Change)(DefaultSizes&, const DefaultSizesInput&)>
void answers(RuleSet& rules) {
  rules.lists = [](const DefaultSizesInput& in) {
    DefaultSizes out = default_sizes(in);
    Change(out, in);
    return out;
  };
}

void forget_tp(DefaultSizesInput& in) { in.tp = in.tp == 4 ? 3 : in.tp; }
void take_the_next_row(DefaultSizesInput& in) {
  constexpr std::int64_t kSixteenGib = 16 * 1024;
  if (in.gpu_memory_mib) *in.gpu_memory_mib += kSixteenGib;
}
void take_unknown_memory_for_none(DefaultSizesInput& in) {
  if (!in.gpu_memory_mib) in.gpu_memory_mib = 0;
}
void forget_the_chunk(DefaultSizesInput& in) { in.chunked_prefill_size.reset(); }
void forget_the_most_requests(DefaultSizesInput& in) { in.cuda_graph_max_bs.reset(); }
void forget_the_requests(DefaultSizesInput& in) { in.cuda_graph_bs.reset(); }
void forget_the_most_tokens(DefaultSizesInput& in) { in.piecewise_max_tokens.reset(); }
void forget_the_tokens(DefaultSizesInput& in) { in.piecewise_tokens.reset(); }
void forget_latent_attention(DefaultSizesInput& in) { in.mla = false; }
void forget_the_pool(DefaultSizesInput& in) { in.max_total_tokens.reset(); }
void forget_llama_2(DefaultSizesInput& in) { in.llama_2_path = false; }
void forget_speculation(DefaultSizesInput& in) { in.speculative = false; }
void forget_that_padding_is_off(DefaultSizesInput& in) { in.disable_padding = false; }
void cut_a_named_maximum(DefaultSizesInput& in) {
  if (in.piecewise_max_tokens && in.max_total_tokens) {
    in.piecewise_max_tokens = std::min(*in.piecewise_max_tokens, *in.max_total_tokens);
  }
}
void run_past_the_maximum(DefaultSizesInput& in) {
  constexpr std::int64_t kOneStepMore = 512;
  if (in.piecewise_max_tokens) *in.piecewise_max_tokens += kOneStepMore;
}

// A maximum that no range holds is in the list because it is appended.
void append_no_maximum(DefaultSizes& out, const DefaultSizesInput& in) {
  if (in.cuda_graph_bs || in.disable_padding) return;
  DefaultSizesInput larger = in;
  larger.cuda_graph_max_bs = out.cuda_graph_max_bs + 1024;
  const SizeList ranges = default_sizes(larger).cuda_graph_bs;
  if (std::ranges::find(ranges, out.cuda_graph_max_bs) == ranges.end()) {
    out.cuda_graph_bs.pop_back();
  }
}
void end_before_the_maximum(DefaultSizes& out, const DefaultSizesInput& in) {
  if (!in.piecewise_tokens) std::erase(out.piecewise_tokens, out.piecewise_max_tokens);
}
void double_a_step(DefaultSizes& out, const DefaultSizesInput& in) {
  if (in.cuda_graph_bs || in.disable_padding) return;
  std::erase_if(out.cuda_graph_bs,
                [](std::int64_t size) { return size > 16 && size <= 256 && size % 16 != 0; });
}

// Every range of the prefill list holds its own end: without the range a maximum there is lost.
template <std::int64_t From, std::int64_t To>
void leave_a_range_out(DefaultSizes& out, const DefaultSizesInput& in) {
  if (in.piecewise_tokens) return;
  std::erase_if(out.piecewise_tokens, [](std::int64_t size) { return size >= From && size <= To; });
}
constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();

constexpr std::string_view kDefaults = "capture.cpp::default_sizes";
constexpr std::string_view kTable = "capture.cpp::memory_row";
constexpr std::string_view kDecode = "capture.cpp::decode_list";
constexpr std::string_view kPrefill = "capture.cpp::prefill_list";
constexpr std::string_view kMaximum = "capture.cpp::default_prefill_max";
constexpr std::string_view kCovered = "reachable_is_covered";
constexpr std::string_view kWithin = "within_capacity";

constexpr std::array kMutants = {
    RuleMutant{"row_of_a_larger_gpu", kTable, "the row below whose bound the memory lies",
               kConformance, asks<take_the_next_row>},
    RuleMutant{"unknown_memory_is_none", kTable, "a row of its own where nothing is known",
               kConformance, asks<take_unknown_memory_for_none>},
    RuleMutant{"four_ranks_count_as_fewer", kDefaults, "other maxima from tp 4 on", kConformance,
               asks<forget_tp>},
    RuleMutant{"chunk_flag_ignored", kDefaults, "a chunk that is given", kWithin,
               asks<forget_the_chunk>},
    RuleMutant{"decode_maximum_ignored", kDefaults, "a decode maximum that is given", kCovered,
               asks<forget_the_most_requests>},
    RuleMutant{"decode_list_ignored", kDefaults, "a decode list that is given", kCovered,
               asks<forget_the_requests>},
    RuleMutant{"prefill_maximum_ignored", kDefaults, "a prefill maximum that is given", kWithin,
               asks<forget_the_most_tokens>},
    RuleMutant{"prefill_list_ignored", kDefaults, "a prefill list that is given", kCovered,
               asks<forget_the_tokens>},
    RuleMutant{"latent_attention_ignored", kMaximum, "2048 under latent attention", kWithin,
               asks<forget_latent_attention>},
    RuleMutant{"token_pool_ignored", kMaximum, "no more than the KV pool", kWithin,
               asks<forget_the_pool>},
    RuleMutant{"llama_2_ignored", kMaximum, "no more than 4096 for llama-2", kWithin,
               asks<forget_llama_2>},
    RuleMutant{"named_maximum_cut", kMaximum, "a named maximum is not cut", kCovered,
               asks<cut_a_named_maximum>},
    RuleMutant{"maximum_not_appended", kDecode, "the maximum is appended", kCovered,
               answers<append_no_maximum>},
    RuleMutant{"speculation_ignored", kDecode, "finer steps under speculation", kConformance,
               asks<forget_speculation>},
    RuleMutant{"padding_off_ignored", kDecode, "every size where padding is off", kCovered,
               asks<forget_that_padding_is_off>},
    RuleMutant{"step_doubled", kDecode, "the steps of the ranges", kConformance,
               answers<double_a_step>},
    RuleMutant{"ends_before_the_maximum", kPrefill, "the maximum is part of its range", kCovered,
               answers<end_before_the_maximum>},
    RuleMutant{"runs_past_the_maximum", kPrefill, "no size passes the maximum", kWithin,
               asks<run_past_the_maximum>},
    RuleMutant{"range_to_32_ends_at_28", kPrefill, "4 to 32 by 4", kCovered,
               answers<leave_a_range_out<29, 32>>},
    RuleMutant{"no_range_to_256", kPrefill, "48 to 256 by 16", kCovered,
               answers<leave_a_range_out<48, 256>>},
    RuleMutant{"no_range_to_512", kPrefill, "288 to 512 by 32", kCovered,
               answers<leave_a_range_out<288, 512>>},
    RuleMutant{"no_range_to_1024", kPrefill, "576 to 1024 by 64", kCovered,
               answers<leave_a_range_out<576, 1024>>},
    RuleMutant{"no_range_to_4096", kPrefill, "1280 to 4096 by 256", kCovered,
               answers<leave_a_range_out<1280, 4096>>},
    RuleMutant{"no_range_from_4608", kPrefill, "4608 on by 512", kCovered,
               answers<leave_a_range_out<4608, kEnd>>},
};

}  // namespace

std::span<const RuleMutant> list_mutants() { return kMutants; }

}  // namespace capsize
