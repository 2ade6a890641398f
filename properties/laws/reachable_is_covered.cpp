// reachable_is_covered: a maximum or a size that the caller named runs at a captured size, and
// every captured size is found by the dispatch. Other counts that run eager are listed as lost.
#include <algorithm>

#include "properties/law.hpp"

namespace capsize {
namespace {

// A count as large as named, but no larger than a batch of the path can be.
std::int64_t reachable_part(const CapturePath& path, const NamedSize& named) {
  return std::min(named.size, path.largest_presented);
}

Finding violation(const CapturePath& path, std::int64_t n, std::string blame,
                  std::string_view rule) {
  return {.verdict = LawVerdict::violation,
          .known = Known::exhausted,
          .symptom = path.lookup(path.kept, n) == kLookupFails ? Symptom::clean_error
                                                               : Symptom::silent_eager,
          .witness = witness_at(path, n),
          .first_in_time = FirstInTime{"eager", path.tokens_of(n).value},
          .blame = std::move(blame),
          .rule = rule};
}

// Whether a batch of n runs at a captured size; a search that ends in an error serves nobody.
bool is_served(const CapturePath& path, std::int64_t n) {
  const auto at = path.lookup(path.kept, n);
  return at && *at != kLookupFails;
}

// The first count that no captured size serves because `named` is not captured; none where it is.
std::optional<std::int64_t> lost_from(const CapturePath& path, const NamedSize& named) {
  const std::int64_t n = reachable_part(path, named);
  if (n < 1 || is_served(path, n)) return std::nullopt;
  // With padding the counts above the largest captured size are lost from there on.
  return path.exact_match ? n : std::min(n, std::ranges::max(path.kept) + 1);
}

Finding check_path(const Subject&, const CapturePath& path) {
  const NamedSize* lost = nullptr;
  std::int64_t first = 0;
  for (const NamedSize& named : path.named) {
    const auto from = lost_from(path, named);
    if (!from || (lost != nullptr && *from >= first)) continue;
    lost = &named;
    first = *from;
  }
  if (lost != nullptr && first <= std::ranges::max(path.kept) && !path.exact_match) {
    return violation(path, first,
                     std::string(lost->flag) + " names " + std::to_string(lost->size) +
                         ": as large a size is captured, but the search for " +
                         std::to_string(first) + " ends without one: the list does not rise",
                     path.lookup_rule);
  }
  if (lost != nullptr) {
    return violation(path, first,
                     std::string(lost->flag) + " names " + std::to_string(lost->size) +
                         ", the largest captured size is " +
                         std::to_string(std::ranges::max(path.kept)),
                     path.filter.rule);
  }
  std::optional<std::int64_t> unfound;
  for (const std::int64_t size : path.kept) {
    if (size < 1 || path.lookup(path.kept, size) == size) continue;
    if (!unfound || size < *unfound) unfound = size;
  }
  if (!unfound) return {.known = Known::exhausted};
  return violation(path, *unfound,
                   "size " + std::to_string(*unfound) + " is captured and never found",
                   path.lookup_rule);
}

}  // namespace

extern const Law law_reachable_is_covered;
const Law law_reachable_is_covered{
    .name = "reachable_is_covered",
    .defect_class = "C06",
    .subject = "capture plan",
    .statement =
        "A maximum or size that the caller named runs at a captured size, and every "
        "captured size is found.",
    .formula = "for all named m: pad(min(m, max T(p))) exists; for all b in B(p): pad(b) = b",
    .check_path = check_path};

}  // namespace capsize
