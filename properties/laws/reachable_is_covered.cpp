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
          .symptom = Symptom::silent_eager,
          .witness = witness_at(path, n),
          .first_in_time = FirstInTime{"eager", path.tokens_of(n).value},
          .blame = std::move(blame),
          .rule = rule};
}

Finding check_path(const Subject&, const CapturePath& path) {
  const std::int64_t top = std::ranges::max(path.kept);
  for (const NamedSize& named : path.named) {
    const std::int64_t n = reachable_part(path, named);
    if (n < 1 || path.lookup(path.kept, n)) continue;
    // With padding the counts above the largest captured size are lost from there on.
    const std::int64_t first = path.exact_match ? n : std::min(n, top + 1);
    return violation(path, first,
                     std::string(named.flag) + " names " + std::to_string(named.size) +
                         ", the largest captured size is " + std::to_string(top),
                     path.filter.rule);
  }
  for (const std::int64_t size : path.kept) {
    if (size < 1 || path.lookup(path.kept, size) == size) continue;
    return violation(path, size, "size " + std::to_string(size) + " is captured and never found",
                     path.lookup_rule);
  }
  return {.known = Known::exhausted};
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
