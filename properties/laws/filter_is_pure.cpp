// filter_is_pure: filtering twice changes nothing more, the order of the list does not matter, the
// caller's list is not changed in a way that a second reader sees, and cutting the list to its
// maximum commutes with filtering, or the engine declares which comes first.
#include <algorithm>

#include "properties/filter_facts.hpp"
#include "properties/law.hpp"
#include "properties/set_case.hpp"
#include "sim/units.hpp"

namespace capsize {
namespace {

SizeList as_set(SizeList sizes) {
  if (!std::ranges::is_sorted(sizes)) std::ranges::sort(sizes);
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

SizeList kept_of(const SizeFilter& filter, SizeList sizes) {
  if (sizes.empty()) return {};
  return filter.apply(sizes).kept;
}

SizeList clamped(SizeList sizes, std::int64_t maximum) {
  std::erase_if(sizes, [maximum](std::int64_t size) { return size > maximum; });
  return sizes;
}

// The list in other orders: a filter may read its first, its last or its middle element.
std::vector<SizeList> reordered(const SizeList& list) {
  std::vector<SizeList> orders;
  orders.emplace_back(list.rbegin(), list.rend());
  SizeList sorted = list;
  if (!std::ranges::is_sorted(list)) {  // else these two are the list itself and its reverse
    std::ranges::sort(sorted);
    orders.emplace_back(sorted.rbegin(), sorted.rend());
    orders.push_back(sorted);
  }
  std::rotate(sorted.begin(), sorted.begin() + 1, sorted.end());
  orders.push_back(std::move(sorted));
  return orders;
}

// Whether cutting the list to `maximum` first leaves other sizes than cutting what was kept.
bool cut_matters(const SizeFilter& filter, const SizeList& list, std::int64_t maximum) {
  const SizeList once = kept_of(filter, list);
  return kept_of(filter, clamped(list, maximum)) != clamped(once, maximum);
}

}  // namespace

std::optional<std::string> impurity_of(const CapturePath& path) {
  const SizeFilter& filter = path.filter;
  SizeList list = path.candidates;
  const SizeList once = filter.apply(list).kept;
  if (kept_of(filter, once) != once) return "filtering twice gives another list";

  const SizeList kept = as_set(once);
  for (SizeList& other : reordered(path.candidates)) {
    if (as_set(filter.apply(other).kept) != kept) return "the order of the list matters";
  }
  if (filter.read_again && list != path.candidates && kept_of(filter, list) != once) {
    return "the caller's list is changed, and a second reader keeps other sizes";
  }
  if (filter.clamp_order_declared) return std::nullopt;
  for (const CapacityBound& bound : path.bounds) {
    if (!bound.cuts_list) continue;
    const std::int64_t width = std::max<std::int64_t>(path.width.value, 1);
    if (cut_matters(filter, path.candidates, div_floor(bound.tokens, width))) {
      return "cutting the list to its maximum before or after filtering gives different lists";
    }
  }
  return std::nullopt;
}

namespace {

Finding check_path(const Subject&, const CapturePath& path) {
  if (path.candidates.empty()) {
    return {.verdict = LawVerdict::undecided, .reason = "no size was asked for"};
  }
  Finding finding{.known = Known::exhausted};
  const std::optional<std::string> fault = impurity_of(path);
  if (!fault) return finding;
  finding.verdict = LawVerdict::violation;
  finding.symptom = Symptom::silent_eager;
  finding.witness = witness_at(path, path.candidates.front());
  finding.blame = *fault;
  finding.rule = path.filter.rule;
  return finding;
}

SetFinding check_set(const SetCase& in) {
  if (in.candidates.empty()) return {LawVerdict::undecided};
  return in.is_pure ? SetFinding{} : broken_at(in, in.candidates);
}

}  // namespace

extern const Law law_filter_is_pure;
const Law law_filter_is_pure{
    .name = "filter_is_pure",
    .defect_class = "C01",
    .subject = "filter",
    .statement =
        "A filter is idempotent, does not depend on the order of its list, leaves the caller's "
        "list as a second reader needs it, and commutes with cutting the list to its maximum.",
    .formula =
        "f(f(L)) = f(L); set f(pi L) = set f(L); f(L after f) = f(L); "
        "f(cut L) = cut f(L)",
    .check_path = check_path,
    .check_set = check_set};

}  // namespace capsize
