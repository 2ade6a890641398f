// A few answers that SGLang's own functions gave when they were called (the merge of PR #23972),
// for the parts of its rules that no law can judge: another table of defaults is as lawful as the
// engine's. They are rows of tests/data/oracle, where a test looks for each of them.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "scenarios/mutants/sglang_rules.hpp"

namespace capsize {

struct RecordedLists {
  sglang::DefaultSizesInput asked;
  sglang::DefaultSizes answer;
};

struct RecordedPredicates {
  sglang::PredicateInput asked;
  sglang::Predicates answer;
};

[[nodiscard]] std::span<const RecordedLists> recorded_lists();
[[nodiscard]] std::span<const RecordedPredicates> recorded_predicates();

// The first recorded answer that the rules do not give, in words; none where they give all.
[[nodiscard]] std::optional<std::string> unlike_recorded(const RuleSet& rules);

}  // namespace capsize
