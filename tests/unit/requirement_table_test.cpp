// What SGLang's layers ask of a token count, configuration by configuration: the derived set
// against a table that says in words which rows run a reduce-scatter or a gather over attention TP.
//
//   D, C, A   attention data, context and tensor parallel sizes; M the MoE's data parallel size
//   scattered MLP   its rows are cut over attention TP: sparse layers under an all-to-all, dense
//                   layers under --moe-dense-tp-size 1
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/engines/sglang/layers.hpp"
#include "sim/usable.hpp"

namespace capsize::sglang::requirement_table_test {
namespace {

constexpr std::int64_t kCounts = 200;
constexpr std::array<std::int64_t, 8> kTpSizes = {1, 2, 3, 4, 6, 8, 12, 16};

enum class Kind { all_dense, dense_then_sparse, all_sparse, llama };
constexpr std::array kKinds = {Kind::all_dense, Kind::dense_then_sparse, Kind::all_sparse,
                               Kind::llama};

std::string_view name_of_kind(Kind kind) {
  constexpr std::array<std::string_view, 4> kNames = {"all dense", "dense, then sparse",
                                                      "all sparse", "Llama"};
  return kNames[static_cast<std::size_t>(kind)];
}

ModelShape model_of(Kind kind) {
  ModelShape shape;
  shape.num_hidden_layers = 8;
  switch (kind) {
    case Kind::all_dense: shape.architecture = "Qwen3ForCausalLM"; break;
    case Kind::dense_then_sparse:
      shape.architecture = "DeepseekV2ForCausalLM";
      shape.first_k_dense_replace = 3;
      shape.n_routed_experts = 64;
      break;
    case Kind::all_sparse:
      shape.architecture = "Qwen3MoeForCausalLM";
      shape.n_routed_experts = 64;
      break;
    case Kind::llama: shape.architecture = "LlamaForCausalLM"; break;
  }
  return shape;
}

// One configuration of the table.
struct Row {
  Sizes sizes;
  Kind kind = Kind::all_dense;
  bool dense_fully_dp = false;
  bool a2a = false;
  bool splits_context = false;
  DpPadding padding = DpPadding::max_len;

  std::int64_t attn_tp() const { return sizes.attn_tp(); }
  bool has_dense() const { return kind != Kind::all_sparse; }
  bool has_sparse() const { return kind == Kind::dense_then_sparse || kind == Kind::all_sparse; }
  // Some layer's MLP runs on rows that are cut over attention TP.
  bool some_scattered() const {
    return kind != Kind::llama && ((dense_fully_dp && has_dense()) || (a2a && has_sparse()));
  }
  // Some layer's MLP runs on whole rows.
  bool some_full() const { return (has_dense() && !dense_fully_dp) || (has_sparse() && !a2a); }
  std::string text() const {
    return fmt::format("tp {} D {} C {} M {} E {}, {}{}{}{}{}", sizes.tp, sizes.attn_dp,
                       sizes.attn_cp, sizes.moe_dp, sizes.ep, name_of_kind(kind),
                       dense_fully_dp ? ", dense fully dp" : "", a2a ? ", a2a" : "",
                       splits_context ? ", context split" : "",
                       padding == DpPadding::sum_len ? ", SUM_LEN" : "");
  }
};

UsableSet derived(const Row& row) {
  const ModelShape model = model_of(row.kind);
  StepInput in{
      .communicator = {.sizes = row.sizes, .dense_fully_dp = row.dense_fully_dp, .a2a = row.a2a},
      .topology = std::make_shared<const Topology>(topology_of(row.sizes)),
      .model = &model,
      .facts = facts_of(model)};
  in.splits_context = row.splits_context;
  in.dp_padding = row.padding;
  SymbolicStep step = step_of("prefill", in);
  return derive(step, 1 << 20).usable;
}

// Expected sets, as the table states them.
struct Expected {
  std::string_view row;      // the letter of the table
  std::int64_t modulus = 1;  // of the tail; 0: no large count is usable
  std::function<bool(std::int64_t)> usable;
};

Expected everything(std::string_view row) {
  return {row, 1, [](std::int64_t) { return true; }};
}
Expected multiples(std::string_view row, std::int64_t modulus) {
  return {row, modulus, [modulus](std::int64_t n) { return n % modulus == 0; }};
}
Expected nothing(std::string_view row) {
  return {row, 0, [](std::int64_t) { return false; }};
}
Expected multiples_below(std::string_view row, std::int64_t modulus, std::int64_t end) {
  return {row, 0, [=](std::int64_t n) { return n < end && n % modulus == 0; }};
}

void expect_set(const Row& row, const Expected& expected) {
  const UsableSet set = derived(row);
  const std::string label = fmt::format("row {}: {}", expected.row, row.text());
  EXPECT_EQ(set.known(), Known::proved) << label;
  EXPECT_EQ(set.empty_tail(), expected.modulus == 0) << label;
  if (expected.modulus > 0) {
    EXPECT_EQ(set.modulus(), expected.modulus) << label;
  }
  for (std::int64_t n = 1; n <= kCounts; ++n) {
    ASSERT_EQ(set.contains(n), expected.usable(n)) << label << " at " << n;
  }
}

std::vector<std::int64_t> divisors(std::int64_t number) {
  std::vector<std::int64_t> out;
  for (std::int64_t d = 1; d <= number; ++d) {
    if (number % d == 0) out.push_back(d);
  }
  return out;
}

// The expert-parallel sizes that go with a layout: an all-to-all takes them all; with M above 1
// either none or all of one copy.
std::vector<std::int64_t> expert_sizes(std::int64_t tp, std::int64_t moe_dp, bool a2a) {
  if (a2a) return {tp};
  if (tp == moe_dp) return {1};
  return {1, tp / moe_dp};
}

// C and M of one replica: M is 1 or C.
std::vector<std::pair<std::int64_t, std::int64_t>> context_layouts(std::int64_t tp) {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  for (const std::int64_t attn_cp : divisors(tp)) {
    out.emplace_back(attn_cp, 1);
    if (attn_cp > 1) out.emplace_back(attn_cp, attn_cp);
  }
  return out;
}

// Calls `body` with every configuration of one replica (D = 1).
template <class Body>
void each_single_replica(std::int64_t tp, Body body) {
  for (const Kind kind : kKinds) {
    for (const bool dense_fully_dp : {false, true}) {
      for (const bool a2a : {false, true}) {
        for (const auto& [attn_cp, moe_dp] : context_layouts(tp)) {
          if (a2a && moe_dp > 1) continue;  // experts over all of tp leave no second copy
          for (const std::int64_t ep : expert_sizes(tp, moe_dp, a2a)) {
            body(Row{.sizes = {.tp = tp, .attn_cp = attn_cp, .ep = ep, .moe_dp = moe_dp},
                     .kind = kind,
                     .dense_fully_dp = dense_fully_dp,
                     .a2a = a2a});
          }
        }
      }
    }
  }
}

class RequirementTable : public testing::TestWithParam<std::int64_t> {};

// Rows a, b, c, d, g, and m for C above 1 (a decode step splits nothing over context parallel).
Expected single_replica(const Row& row) {
  const bool decode = row.sizes.attn_cp > 1;
  if (!row.some_scattered()) return everything(decode ? "m" : row.dense_fully_dp ? "c" : "a");
  if (row.attn_tp() == 1) return everything(decode ? "m" : "g");
  return multiples(decode ? "m" : row.a2a ? "d" : "b", row.attn_tp());
}

// Catches a reduce-scatter or a gather that is left out of a layer kind, or put into one that has
// none: over-asking shows as much as under-asking.
TEST_P(RequirementTable, OneReplicaWithoutASplitContext) {
  int rows = 0;
  each_single_replica(GetParam(), [&](const Row& row) {
    expect_set(row, single_replica(row));
    ++rows;
  });
  EXPECT_GE(rows, 16);
}

// Rows k and l. Layers on whole rows are looked at where the model is all sparse: no model splits
// its context and has dense layers that are cut over tp.
Expected split_context(const Row& row) {
  if (!row.some_scattered()) return everything("k");
  if (row.attn_tp() == 1) return everything("g");
  return multiples_below("l", row.attn_tp(), 2 * row.sizes.attn_cp);
}

// Catches a gather whose buffer is taken to follow the shard, a guard that is not seen, and a
// context gather that asks for equal shards although it pads.
TEST_P(RequirementTable, OneReplicaWithASplitContext) {
  int rows = 0;
  each_single_replica(GetParam(), [&](Row row) {
    if (row.sizes.attn_cp == 1 || row.kind == Kind::llama) return;
    if (row.has_dense() && !row.dense_fully_dp) return;
    row.splits_context = true;
    expect_set(row, split_context(row));
    ++rows;
  });
  EXPECT_EQ(rows > 0, GetParam() > 1);
}

// Calls `body` with every layout of more than one replica.
template <class Body>
void each_replicated(std::int64_t tp, Body body) {
  for (const std::int64_t attn_dp : divisors(tp)) {
    if (attn_dp == 1) continue;
    for (const std::int64_t attn_cp : divisors(tp / attn_dp)) {
      for (const Kind kind : {Kind::all_dense, Kind::dense_then_sparse, Kind::all_sparse}) {
        for (const bool dense_fully_dp : {false, true}) {
          for (const bool a2a : {false, true}) {
            body(
                Row{.sizes = {.tp = tp, .attn_dp = attn_dp, .attn_cp = attn_cp, .ep = a2a ? tp : 1},
                    .kind = kind,
                    .dense_fully_dp = dense_fully_dp,
                    .a2a = a2a});
          }
        }
      }
    }
  }
}

// Rows e and n under MAX_LEN; a model that has scattered layers only is row b or d once a replica.
Expected max_len(const Row& row) {
  if (row.sizes.attn_cp > 1 && row.some_full()) return nothing("n");
  if (row.attn_tp() == 1) return everything("g");
  return multiples("e", row.attn_tp());
}

// Catches a global buffer of the wrong length (C copies of D * n rows do not fit D * n), and the
// reduce-scatter inside a gather over all replicas being forgotten.
TEST_P(RequirementTable, ReplicasThatPadToTheLongest) {
  each_replicated(GetParam(), [](const Row& row) { expect_set(row, max_len(row)); });
}

// Rows f and n under SUM_LEN: copies into a summed buffer ask nothing, unless C copies of the same
// rows are added up. Scattered layers ask what they ask in one replica.
Expected sum_len(const Row& row) {
  if (row.sizes.attn_cp > 1 && row.some_full()) return nothing("n");
  if (row.attn_tp() == 1 || !row.some_scattered()) return everything("f");
  return multiples("f and scattered", row.attn_tp());
}

// Catches a divisibility that only MAX_LEN asks, and a sum over copies that passes.
TEST_P(RequirementTable, ReplicasThatAreSummed) {
  each_replicated(GetParam(), [](Row row) {
    row.padding = DpPadding::sum_len;
    expect_set(row, sum_len(row));
  });
}

INSTANTIATE_TEST_SUITE_P(Tp, RequirementTable, testing::ValuesIn(kTpSizes),
                         [](const auto& tp) { return "tp" + std::to_string(tp.param); });

// Catches a width that is not multiplied in: with speculative decoding n counts requests.
TEST(RequirementTableWidth, CountsRequestsOfSeveralTokens) {
  const ModelShape model = model_of(Kind::dense_then_sparse);
  const Sizes sizes{.tp = 8};
  StepInput in{.communicator = {.sizes = sizes, .dense_fully_dp = true},
               .topology = std::make_shared<const Topology>(topology_of(sizes)),
               .model = &model,
               .facts = facts_of(model),
               .width = Width(4)};
  SymbolicStep step = step_of("decode", in);
  const UsableSet set = derive(step, 1 << 20).usable;
  for (std::int64_t n = 1; n <= kCounts; ++n) ASSERT_EQ(set.contains(n), n * 4 % 8 == 0) << n;
  EXPECT_EQ(set.modulus(), 2);
}

}  // namespace
}  // namespace capsize::sglang::requirement_table_test
