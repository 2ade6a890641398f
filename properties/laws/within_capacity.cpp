// within_capacity: the tokens of every captured size fit every bound of its path.
#include <algorithm>

#include "properties/law.hpp"

namespace capsize {
namespace {

Finding check_path(const Subject& subject, const CapturePath& path) {
  for (const CapacityBound& bound : path.bounds) {
    const auto exceeds = [&](std::int64_t size) {
      return path.tokens_of(size).value > bound.tokens;
    };
    std::optional<std::int64_t> smallest;
    for (const std::int64_t size : path.kept) {
      if (exceeds(size) && (!smallest || size < *smallest)) smallest = size;
    }
    if (!smallest) continue;
    Finding finding{.verdict = LawVerdict::violation, .known = Known::proved};
    finding.symptom = symptom_of(bound.symptom);
    finding.witness = witness_at(path, *smallest);
    if (const auto event = first_event(subject, path, exceeds)) {
      finding.first_in_time = FirstInTime{name_of(event->kind), path.tokens_of(event->size).value};
    }
    finding.blame = std::to_string(path.tokens_of(*smallest).value) + " tokens pass " +
                    std::string(bound.what) + " of " + std::to_string(bound.tokens);
    finding.rule = bound.rule;
    return finding;
  }
  if (path.bounds.empty()) {
    return {.verdict = LawVerdict::not_applicable, .reason = "no bound is known for this path"};
  }
  return {.known = Known::proved};
}

}  // namespace

extern const Law law_within_capacity;
const Law law_within_capacity{
    .name = "within_capacity",
    .defect_class = "C07",
    .subject = "capture plan",
    .statement = "The tokens of every captured size fit every bound of its path.",
    .formula = "for all b in B(p): tokens(b) <= bound",
    .check_path = check_path};

}  // namespace capsize
