// filter_keeps_contract: what a filter keeps meets the condition that its own source states,
// whether or not the step needs it.
#include <algorithm>

#include "properties/law.hpp"
#include "properties/set_case.hpp"

namespace capsize {
namespace {

Finding check_path(const Subject& subject, const CapturePath& path) {
  if (!path.filter.contract_tokens) {
    return {.verdict = LawVerdict::not_applicable,
            .reason = "the source states no condition for the sizes of this path"};
  }
  const std::int64_t contract = *path.filter.contract_tokens;
  const auto breaks = [&](std::int64_t size) { return path.tokens_of(size).value % contract != 0; };
  // Where every size that the filter can keep is a multiple, all lists are decided at once.
  const bool for_all_lists = path.tokens_of(path.filter.modulus).value % contract == 0;
  Finding finding{.known = for_all_lists ? Known::proved : Known::exhausted};
  std::optional<std::int64_t> smallest;
  for (const std::int64_t size : path.kept) {
    if (breaks(size) && (!smallest || size < *smallest)) smallest = size;
  }
  if (!smallest) {
    if (!for_all_lists) finding.reason = "kept for this list; other lists can break it";
    return finding;
  }
  finding.verdict = LawVerdict::violation;
  finding.witness = witness_at(path, *smallest);
  if (const auto event = first_event(subject, path, breaks)) {
    finding.first_in_time = FirstInTime{name_of(event->kind), path.tokens_of(event->size).value};
  }
  const bool usable = path.step->requirement.usable.contains(*smallest);
  finding.symptom = usable ? Symptom::none : Symptom::clean_error;
  finding.blame = "keeps multiples of " + std::to_string(path.filter.modulus) + ", states \"" +
                  std::string(path.filter.contract_text) + "\" (" + std::to_string(contract) + ")";
  finding.rule = path.filter.rule;
  if (usable) finding.reason = "the step can split this size all the same";
  return finding;
}

SetFinding check_set(const SetCase& in) {
  if (!in.has_contract) return {LawVerdict::not_applicable};
  return broken_at(in, in.kept - in.contract);
}

}  // namespace

extern const Law law_filter_keeps_contract;
const Law law_filter_keeps_contract{
    .name = "filter_keeps_contract",
    .defect_class = "C01",
    .subject = "filter",
    .statement = "What a filter keeps meets the condition that its own source states.",
    .formula = "for all b in K(p): contract | tokens(b)",
    .check_path = check_path,
    .check_set = check_set};

}  // namespace capsize
