// filter_refuses_empty: a filter that leaves nothing refuses the launch, says why, and does so
// before the list is used; a filter that leaves something does not refuse.
#include <algorithm>

#include "properties/filter_facts.hpp"
#include "properties/law.hpp"
#include "properties/set_case.hpp"

namespace capsize {
namespace {

std::optional<std::string> fault_on(const SizeFilter& filter, SizeList sizes) {
  const FilterResult result = filter.apply(sizes);
  if (result.kept.empty() && !result.refused) return "leaves an empty list without refusing";
  if (result.kept.empty() && result.refused->empty()) return "refuses without saying why";
  // A list whose smallest size is 0 or less may be refused too: it holds no rows.
  if (!result.kept.empty() && result.refused && std::ranges::min(result.kept) > 0) {
    return "refuses a list that is not empty";
  }
  return std::nullopt;
}

}  // namespace

// Of the sizes that a filter of this modulus cannot keep: the least and the greatest below it.
std::optional<NotRefused> not_refused_by(const SizeFilter& filter) {
  for (const std::int64_t size : {std::int64_t{1}, filter.modulus - 1}) {
    if (size < 1 || size >= filter.modulus) continue;
    if (auto fault = fault_on(filter, {size})) return NotRefused{size, *std::move(fault)};
  }
  return std::nullopt;
}

namespace {

// The list of this launch, and lists of one size.
Finding check_path(const Subject&, const CapturePath& path) {
  Finding finding{.known = Known::exhausted};
  if (path.candidates.empty()) {
    return {.verdict = LawVerdict::undecided, .reason = "no size was asked for"};
  }
  std::optional<std::string> fault = fault_on(path.filter, path.candidates);
  std::int64_t at = path.candidates.front();
  if (!fault) {
    if (auto other = not_refused_by(path.filter)) {
      fault = std::move(other->fault);
      at = other->size;
    }
  }
  if (!fault) return finding;
  finding.verdict = LawVerdict::violation;
  finding.symptom = Symptom::silent_eager;
  finding.witness = witness_at(path, at);
  finding.blame = *fault;
  finding.rule = path.filter.rule;
  return finding;
}

SetFinding check_set(const SetCase& in) {
  if (in.candidates.empty()) return {LawVerdict::undecided};
  const bool holds_rows = !in.kept.empty() && in.sizes[in.kept.first()] > 0;
  const bool right = in.kept.empty() ? in.refused && in.says_why : !(in.refused && holds_rows);
  if (!right) return broken_at(in, in.candidates);
  if (in.not_refused == 0) return {};
  return {LawVerdict::violation, in.not_refused};
}

}  // namespace

extern const Law law_filter_refuses_empty;
const Law law_filter_refuses_empty{
    .name = "filter_refuses_empty",
    .defect_class = "C01",
    .subject = "filter",
    .statement = "A filter that leaves nothing refuses the launch and says why.",
    .formula = "K = {} implies refused with a text; K != {} implies not refused",
    .check_path = check_path,
    .check_set = check_set,
    .judges_empty_lists = true};

}  // namespace capsize
