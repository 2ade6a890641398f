// within_capacity: the tokens of every captured size fit every bound of its path. The witness is
// the least size that passes any bound; the symptom is that of the first event that does.
#include <algorithm>

#include "properties/law.hpp"

namespace capsize {
namespace {

bool exceeds(const CapturePath& path, const CapacityBound& bound, std::int64_t size) {
  return path.tokens_of(size).value > bound.tokens;
}

// The bounds that a size passes, in the order of the plan.
std::vector<const CapacityBound*> passed_bounds(const CapturePath& path, std::int64_t size) {
  std::vector<const CapacityBound*> out;
  for (const CapacityBound& bound : path.bounds) {
    if (exceeds(path, bound, size)) out.push_back(&bound);
  }
  return out;
}

std::string describe(const CapturePath& path, const CapacityBound& bound, std::int64_t size) {
  return std::to_string(path.tokens_of(size).value) + " tokens pass " + std::string(bound.what) +
         " of " + std::to_string(bound.tokens);
}

// What is known to follow of passing these bounds: the first that does more than waste memory.
Symptom symptom_of_bounds(const std::vector<const CapacityBound*>& passed) {
  for (const CapacityBound* bound : passed) {
    if (symptom_of(bound->symptom) != Symptom::none) return symptom_of(bound->symptom);
  }
  return Symptom::none;
}

Finding check_path(const Subject& subject, const CapturePath& path) {
  if (path.bounds.empty()) {
    return {.verdict = LawVerdict::not_applicable, .reason = "no bound is known for this path"};
  }
  const auto passes = [&path](std::int64_t size) { return !passed_bounds(path, size).empty(); };
  Finding finding{.known = Known::proved};
  std::optional<std::int64_t> smallest;
  for (const std::int64_t size : path.kept) {
    if (passes(size) && (!smallest || size < *smallest)) smallest = size;
  }
  if (!smallest) return finding;

  const CapacityBound& least = *passed_bounds(path, *smallest).front();
  finding.verdict = LawVerdict::violation;
  finding.witness = witness_at(path, *smallest);
  finding.blame = describe(path, least, *smallest);
  finding.rule = least.rule;
  finding.symptom = symptom_of(least.symptom);
  if (const auto event = first_event(subject, path, passes)) {
    finding.first_in_time = FirstInTime{name_of(event->kind), path.tokens_of(event->size).value};
    const auto passed = passed_bounds(path, event->size);
    finding.symptom = symptom_of_bounds(passed);
    for (const CapacityBound* bound : passed) {
      if (bound == &least) continue;
      finding.reason.append(finding.reason.empty() ? "" : "; ");
      finding.reason += describe(path, *bound, event->size);
    }
  }
  return finding;
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
