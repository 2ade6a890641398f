// Faults of the memory of derived steps: a key that does not hold a field that the step depends on.
// The memory then answers with the step of another layout, and a size that this layout can split is
// called unsafe (in the other order of asking an unsafe one is called sound).
#include <array>

#include "scenarios/mutants/rule_mutants.hpp"

namespace capsize {
namespace {

template <auto Field>
void forgets(RuleSet& rules) {
  rules.remembered = memory_that_forgets([](StepKey& key) { key.*Field = StepKey{}.*Field; });
}

constexpr std::string_view kKey = "the memory of derived steps";

constexpr std::array kMutants = {
    RuleMutant{"key_without_attn_tp", kKey, "attention TP", "divisible",
               forgets<&StepKey::attn_tp>},
    RuleMutant{"key_without_attn_cp", kKey, "attention CP", "divisible",
               forgets<&StepKey::attn_cp>},
    RuleMutant{"key_without_attn_dp", kKey, "replicas", "divisible", forgets<&StepKey::attn_dp>},
    RuleMutant{"key_without_dense_one", kKey, "moe-dense 1", "divisible",
               forgets<&StepKey::dense_is_one>},
    RuleMutant{"key_without_a2a", kKey, "all-to-all", "divisible", forgets<&StepKey::a2a>},
    RuleMutant{"key_without_two_batches", kKey, "two-batch overlap", "no_needless_drop",
               forgets<&StepKey::two_batch_overlap>},
    RuleMutant{"key_without_context_split", kKey, "whether the context is split", "divisible",
               forgets<&StepKey::splits_context>},
    RuleMutant{"key_without_width", kKey, "tokens a request", "divisible",
               forgets<&StepKey::width>},
    RuleMutant{"key_without_model", kKey, "the kind of model", "divisible",
               forgets<&StepKey::model>},
};

}  // namespace

std::span<const RuleMutant> memory_mutants() { return kMutants; }

}  // namespace capsize
