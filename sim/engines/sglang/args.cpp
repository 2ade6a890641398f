#include "sim/engines/sglang/args.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <variant>

#include "sim/engines/sglang/capture.hpp"

namespace capsize::sglang {
namespace {

// What hangs on a field.
enum class Affects : std::uint8_t { topology, prefill, prefill_graphs, decode, both, checks };

using TextField = std::string_view ServerArgs::*;
using IntegerField = std::int64_t ServerArgs::*;
using OptionalField = std::optional<std::int64_t> ServerArgs::*;
using ListField = std::optional<SizeList> ServerArgs::*;
using BoolField = bool ServerArgs::*;

struct FieldRow {
  std::string_view name;  // the field that an option ends in
  Affects affects;
  std::variant<TextField, IntegerField, OptionalField, ListField, BoolField> member;
};

using A = ServerArgs;

// In the order of their names, so that a field is found by halving.
template <std::size_t kCount>
constexpr std::array<FieldRow, kCount> by_name(std::array<FieldRow, kCount> rows) {
  std::ranges::sort(rows, {}, &FieldRow::name);
  return rows;
}

constexpr std::array kFields = by_name(std::array{
    FieldRow{"model_path", Affects::checks, &A::model_path},
    FieldRow{"tp_size", Affects::topology, &A::tp_size},
    FieldRow{"pp_size", Affects::topology, &A::pp_size},
    FieldRow{"dp_size", Affects::topology, &A::dp_size},
    FieldRow{"attn_cp_size", Affects::topology, &A::attn_cp_size},
    FieldRow{"moe_dp_size", Affects::topology, &A::moe_dp_size},
    FieldRow{"ep_size", Affects::topology, &A::ep_size},
    FieldRow{"moe_dense_tp_size", Affects::topology, &A::moe_dense_tp_size},
    FieldRow{"moe_a2a_backend", Affects::topology, &A::moe_a2a_backend},
    FieldRow{"enable_dp_attention", Affects::topology, &A::enable_dp_attention},
    FieldRow{"enable_dp_lm_head", Affects::topology, &A::enable_dp_lm_head},
    FieldRow{"moe_runner_backend", Affects::both, &A::moe_runner_backend},
    FieldRow{"quantization", Affects::prefill, &A::quantization},
    FieldRow{"device", Affects::both, &A::device},
    FieldRow{"load_format", Affects::prefill, &A::load_format},
    FieldRow{"speculative_algorithm", Affects::decode, &A::speculative_algorithm},
    FieldRow{"speculative_num_steps", Affects::decode, &A::speculative_num_steps},
    FieldRow{"speculative_eagle_topk", Affects::decode, &A::speculative_eagle_topk},
    FieldRow{"speculative_num_draft_tokens", Affects::decode, &A::speculative_num_draft_tokens},
    FieldRow{"speculative_dflash_block_size", Affects::decode, &A::speculative_dflash_block_size},
    FieldRow{"dllm_algorithm", Affects::both, &A::dllm_algorithm},
    FieldRow{"disaggregation_mode", Affects::both, &A::disaggregation_mode},
    FieldRow{"deepep_mode", Affects::decode, &A::deepep_mode},
    FieldRow{"nsa_prefill_cp_mode", Affects::topology, &A::nsa_prefill_cp_mode},
    FieldRow{"expert_distribution_recorder_mode", Affects::prefill,
             &A::expert_distribution_recorder_mode},
    FieldRow{"elastic_ep_backend", Affects::checks, &A::elastic_ep_backend},
    FieldRow{"nnodes", Affects::checks, &A::nnodes},
    FieldRow{"base_gpu_id", Affects::checks, &A::base_gpu_id},
    FieldRow{"gpu_id_step", Affects::checks, &A::gpu_id_step},
    FieldRow{"tokenizer_worker_num", Affects::checks, &A::tokenizer_worker_num},
    FieldRow{"cpu_offload_gb", Affects::prefill, &A::cpu_offload_gb},
    FieldRow{"max_prefill_tokens", Affects::prefill, &A::max_prefill_tokens},
    FieldRow{"ep_num_redundant_experts", Affects::checks, &A::ep_num_redundant_experts},
    FieldRow{"page_size", Affects::checks, &A::page_size},
    FieldRow{"chunked_prefill_size", Affects::prefill, &A::chunked_prefill_size},
    FieldRow{"max_total_tokens", Affects::both, &A::max_total_tokens},
    FieldRow{"max_running_requests", Affects::decode, &A::max_running_requests},
    FieldRow{"context_length", Affects::prefill, &A::context_length},
    FieldRow{"cuda_graph_max_bs", Affects::decode, &A::cuda_graph_max_bs},
    FieldRow{"cuda_graph_bs", Affects::decode, &A::cuda_graph_bs},
    FieldRow{"piecewise_cuda_graph_max_tokens", Affects::prefill_graphs,
             &A::piecewise_cuda_graph_max_tokens},
    FieldRow{"piecewise_cuda_graph_tokens", Affects::prefill_graphs,
             &A::piecewise_cuda_graph_tokens},
    FieldRow{"pp_max_micro_batch_size", Affects::checks, &A::pp_max_micro_batch_size},
    FieldRow{"enable_two_batch_overlap", Affects::both, &A::enable_two_batch_overlap},
    FieldRow{"enable_single_batch_overlap", Affects::checks, &A::enable_single_batch_overlap},
    FieldRow{"enable_prefill_context_parallel", Affects::prefill,
             &A::enable_prefill_context_parallel},
    FieldRow{"enable_nsa_prefill_context_parallel", Affects::topology,
             &A::enable_nsa_prefill_context_parallel},
    FieldRow{"enable_aiter_allreduce_fusion", Affects::checks, &A::enable_aiter_allreduce_fusion},
    FieldRow{"enable_torch_compile", Affects::prefill, &A::enable_torch_compile},
    FieldRow{"enable_lora", Affects::prefill, &A::enable_lora},
    FieldRow{"lora_paths", Affects::prefill, &A::enable_lora},
    FieldRow{"enable_hierarchical_cache", Affects::prefill, &A::enable_hierarchical_cache},
    FieldRow{"enable_deterministic_inference", Affects::prefill,
             &A::enable_deterministic_inference},
    FieldRow{"rl_on_policy_target", Affects::prefill, &A::rl_on_policy_target},
    FieldRow{"enable_symm_mem", Affects::prefill, &A::enable_symm_mem},
    FieldRow{"enable_eplb", Affects::prefill, &A::enable_eplb},
    FieldRow{"enable_mis", Affects::both, &A::enable_mis},
    FieldRow{"enable_pdmux", Affects::checks, &A::enable_pdmux},
    FieldRow{"enable_mixed_chunk", Affects::checks, &A::enable_mixed_chunk},
    FieldRow{"debug_cuda_graph", Affects::both, &A::debug_cuda_graph},
    FieldRow{"debug_tensor_dump_output_folder", Affects::decode, &A::debug_tensor_dump},
    FieldRow{"msprobe_dump_config", Affects::decode, &A::debug_tensor_dump},
    FieldRow{"disable_overlap_schedule", Affects::checks, &A::disable_overlap_schedule},
    FieldRow{"disable_cuda_graph", Affects::decode, &A::disable_cuda_graph},
    FieldRow{"disable_cuda_graph_padding", Affects::decode, &A::disable_cuda_graph_padding},
    FieldRow{"disable_piecewise_cuda_graph", Affects::prefill_graphs,
             &A::disable_piecewise_cuda_graph},
    FieldRow{"enforce_piecewise_cuda_graph", Affects::prefill_graphs,
             &A::enforce_piecewise_cuda_graph},
    FieldRow{"enable_breakable_cuda_graph", Affects::prefill_graphs,
             &A::enable_breakable_cuda_graph},
    FieldRow{"disable_shared_experts_fusion", Affects::checks, &A::disable_shared_experts_fusion},
    FieldRow{"enforce_shared_experts_fusion", Affects::checks, &A::enforce_shared_experts_fusion},
    FieldRow{"json_model_override_args", Affects::checks, &A::model_override_args},
    FieldRow{"config", Affects::both, &A::config_file},
});

std::string as_given(const GivenFlag& flag) {
  std::string out(flag.spelled);
  for (const std::string_view value : flag.values) out.append(" ").append(value);
  return out;
}

void note_unknown(const GivenFlag& flag, Affects affects, Unknowns& out) {
  if (affects == Affects::checks) return;
  out.topology |= affects == Affects::topology;
  out.eager_prefill |= affects == Affects::prefill || affects == Affects::both;
  out.prefill |= out.eager_prefill || affects == Affects::prefill_graphs;
  out.decode |= affects == Affects::decode || affects == Affects::both;
  out.reasons.push_back(as_given(flag) + ": the value is not known here");
}

// The one number of an option. A real is floored: only its sign matters to the rules that read one.
Result<std::int64_t> number_of(const GivenFlag& flag, std::string_view text) {
  if (flag.row->type == FlagType::real) {
    const std::optional<double> real = real_of(text);
    const double value = real.value_or(0);
    if (!(std::abs(value) < static_cast<double>(kLargestSize))) return kLargestSize;
    return static_cast<std::int64_t>(std::ceil(value));
  }
  const auto value = integer_of(*flag.row, text);
  // Ids and ports may be large; every size that capsize computes with must fit its lists.
  constexpr std::int64_t kLargest = std::int64_t{1} << 40;
  if (!value || *value > kLargest || *value < -kLargest) {
    return tl::unexpected(Error{std::string(flag.spelled),
                                "the number " + std::string(text) + " is too large to work with",
                                "capsize holds sizes up to 1048576 tokens and pools up to 2^40"});
  }
  return *value;
}

Result<SizeList> list_of(const GivenFlag& flag) {
  SizeList out;
  out.reserve(flag.values.size());
  for (const std::string_view text : flag.values) {
    auto value = number_of(flag, text);
    if (!value) return tl::unexpected(std::move(value.error()));
    out.push_back(*value);
  }
  return out;
}

struct Assign {
  ServerArgs& args;
  const GivenFlag& flag;
  std::string_view value() const { return flag.values.empty() ? "" : flag.values.front(); }

  Result<void> operator()(TextField field) const {
    args.*field = value();
    return {};
  }
  Result<void> operator()(BoolField field) const {
    args.*field = !flag.negated;
    return {};
  }
  template <class Field>
  requires std::is_same_v<Field, IntegerField> || std::is_same_v<Field, OptionalField> Result<void>
  operator()(Field field) const {
    auto number = number_of(flag, value());
    if (!number) return tl::unexpected(std::move(number.error()));
    args.*field = *number;
    return {};
  }
  Result<void> operator()(ListField field) const {
    auto list = list_of(flag);
    if (!list) return tl::unexpected(std::move(list.error()));
    args.*field = *std::move(list);
    return {};
  }
};

Result<void> check_size(std::string_view flag, std::int64_t value) {
  if (value <= kLargestSize) return {};
  return tl::unexpected(Error{std::string(flag),
                              std::to_string(value) + " is more than capsize can lay out",
                              "give a size of at most " + std::to_string(kLargestSize)});
}

Result<void> check_length(std::string_view flag, std::int64_t sizes) {
  if (sizes <= kLongestList) return {};
  return tl::unexpected(Error{std::string(flag),
                              std::to_string(sizes) + " capture sizes are more than capsize lists",
                              "give at most " + std::to_string(kLongestList) + " sizes"});
}

// Lists stay short enough to tell of every size. Without padding the engine captures every batch
// size up to the maximum.
Result<void> check_lists(const ServerArgs& args) {
  for (const auto& [flag, list] :
       {std::pair<std::string_view, const std::optional<SizeList>*>{"--cuda-graph-bs",
                                                                    &args.cuda_graph_bs},
        {"--piecewise-cuda-graph-tokens", &args.piecewise_cuda_graph_tokens}}) {
    if (!*list || (*list)->empty()) continue;
    if (auto fits = check_size(flag, std::ranges::max(**list)); !fits) return fits;
    if (auto fits = check_length(flag, std::ssize(**list)); !fits) return fits;
  }
  const bool given = args.cuda_graph_bs && !args.cuda_graph_bs->empty();
  if (!args.disable_cuda_graph_padding || given) return {};
  return check_length("--cuda-graph-max-bs", args.cuda_graph_max_bs.value_or(0));
}

// Sizes that lists or groups are built from must stay small enough to build them.
Result<void> check_sizes(const ServerArgs& args) {
  for (const auto& [flag, value] :
       {std::pair<std::string_view, std::int64_t>{"--tp-size", args.tp_size},
        {"--pp-size", args.pp_size},
        {"--dp-size", args.dp_size},
        {"--attn-cp-size", args.attn_cp_size},
        {"--ep-size", args.ep_size},
        {"--moe-dp-size", args.moe_dp_size},
        {"--speculative-num-draft-tokens", args.speculative_num_draft_tokens.value_or(0)},
        {"--cuda-graph-max-bs", args.cuda_graph_max_bs.value_or(0)},
        {"--chunked-prefill-size", args.chunked_prefill_size.value_or(0)},
        {"--piecewise-cuda-graph-max-tokens", args.piecewise_cuda_graph_max_tokens.value_or(0)}}) {
    if (auto fits = check_size(flag, value); !fits) return fits;
  }
  if (auto fits = check_lists(args); !fits) return fits;
  if (args.tp_size > 0 && args.pp_size > 0 && args.tp_size * args.pp_size > kLargestWorld) {
    return tl::unexpected(
        Error{"--tp-size",
              std::to_string(args.tp_size * args.pp_size) + " ranks are more than capsize lays out",
              "give at most " + std::to_string(kLargestWorld) + " ranks"});
  }
  return {};
}

}  // namespace

Result<ServerArgs> read_args(const ParsedFlags& flags) {
  ServerArgs args;
  for (const GivenFlag& flag : flags.given) {
    const std::string_view field = flag.row->field;
    const auto row = std::ranges::lower_bound(kFields, field, {}, &FieldRow::name);
    if (row == kFields.end() || row->name != field) {
      auto& list = flag.row->affects_layout ? args.unread_flags : args.ignored_flags;
      list.emplace_back(flag.name);
      continue;
    }
    // An earlier giving of the same option is overruled: the last repeat wins.
    if (flags.last(field) != &flag) continue;
    if (!flag.known) {
      note_unknown(flag, row->affects, args.unknowns);
      continue;
    }
    if (auto read = std::visit(Assign{args, flag}, row->member); !read) {
      return tl::unexpected(std::move(read.error()));
    }
  }
  if (args.config_file) {
    args.unknowns.topology = true;
    args.unknowns.reasons.emplace_back(
        "--config: the file is not read here; give its options on the line");
  }
  if (auto fits = check_sizes(args); !fits) return tl::unexpected(std::move(fits.error()));
  return args;
}

}  // namespace capsize::sglang
