// The few recorded answers that `capsize mutants` carries along are rows of the recorded data, and
// the real rules give them.
#include "scenarios/mutants/recorded_answers.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace capsize::recorded_answers_test {
namespace {

using nlohmann::json;

std::vector<json> cases_of(const std::string& name) {
  std::ifstream file(std::string(CAPSIZE_TEST_DATA) + "/oracle/sglang-" + name + ".json");
  const json document = json::parse(file, nullptr, false);
  EXPECT_FALSE(document.is_discarded()) << name;
  return document.value("cases", std::vector<json>());
}

json or_null(const std::optional<std::int64_t>& value) { return value ? json(*value) : json(); }

// A row that nobody recorded.
TEST(RecordedAnswers, AreRowsOfTheRecordedDefaultSizes) {
  const std::vector<json> cases = cases_of("default-sizes");
  for (const RecordedLists& row : recorded_lists()) {
    json wanted = {{"gpu_mem_mib", or_null(row.asked.gpu_memory_mib)},
                   {"tp", row.asked.tp},
                   {"speculative", row.asked.speculative ? json("EAGLE") : json()},
                   {"mla", row.asked.mla},
                   {"chunked_prefill_size", or_null(row.asked.chunked_prefill_size)},
                   {"cuda_graph_max_bs", or_null(row.asked.cuda_graph_max_bs)},
                   {"piecewise_max_tokens", or_null(row.asked.piecewise_max_tokens)}};
    wanted["out"] = {{"chunked_prefill_size", row.answer.chunked_prefill_size},
                     {"cuda_graph_max_bs", row.answer.cuda_graph_max_bs},
                     {"cuda_graph_bs", row.answer.cuda_graph_bs},
                     {"piecewise_max_tokens", row.answer.piecewise_max_tokens},
                     {"piecewise_tokens", row.answer.piecewise_tokens}};
    EXPECT_THAT(cases, testing::Contains(wanted));
  }
}

TEST(RecordedAnswers, AreRowsOfTheRecordedPredicates) {
  const std::vector<json> cases = cases_of("predicates");
  for (const RecordedPredicates& row : recorded_predicates()) {
    const json wanted = {{"tp", row.asked.tp},
                         {"dp", row.asked.dp},
                         {"enable_dp_attention", row.asked.enable_dp_attention},
                         {"moe_dense_tp_size", or_null(row.asked.moe_dense_tp_size)},
                         {"enable_dp_lm_head", row.asked.enable_dp_lm_head},
                         {"moe_a2a_backend", row.asked.a2a ? "deepep" : "none"},
                         {"require_mlp_tp_gather", row.answer.mlp_tp_gather},
                         {"require_attn_tp_gather", row.answer.attn_tp_gather},
                         {"require_gathered_buffer", row.answer.gathered_buffer},
                         {"require_mlp_sync", row.answer.mlp_sync}};
    EXPECT_THAT(cases, testing::Contains(wanted));
  }
}

// A real rule that the recorded answers reject would kill every fault.
TEST(RecordedAnswers, AreThoseOfTheRealRules) {
  EXPECT_EQ(unlike_recorded(RuleSet{}), std::nullopt);
}

}  // namespace
}  // namespace capsize::recorded_answers_test
