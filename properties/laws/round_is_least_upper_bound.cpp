// round_is_least_upper_bound: a count runs at the least captured size that is enough for it, and
// at none above the largest. A lookup that compares counts with sizes is constant between two
// neighbouring sizes, so both ends of every interval decide all counts.
#include <algorithm>

#include "properties/law.hpp"

namespace capsize {
namespace {

std::optional<std::int64_t> least_enough(const SizeList& ascending, std::int64_t n) {
  const auto found = std::ranges::lower_bound(ascending, n);
  return found == ascending.end() ? std::nullopt : std::optional(*found);
}

std::optional<std::int64_t> expected(const CapturePath& path, const SizeList& ascending,
                                     std::int64_t n) {
  const auto least = least_enough(ascending, n);
  return path.exact_match && least != n ? std::nullopt : least;
}

std::string describe(std::int64_t n, std::optional<std::int64_t> got,
                     std::optional<std::int64_t> want) {
  const auto text = [](std::optional<std::int64_t> size) {
    if (size == kLookupFails) return std::string("an index error");
    return size ? "size " + std::to_string(*size) : std::string("no size");
  };
  return std::to_string(n) + " finds " + text(got) + ", " + text(want) + " is right";
}

Finding check_path(const Subject&, const CapturePath& path) {
  SizeList ascending = path.kept;
  std::ranges::sort(ascending);
  Finding finding{.known = Known::exhausted};
  std::int64_t previous = 0;
  for (const std::int64_t size : ascending) {
    for (const std::int64_t n : {previous + 1, size, size + 1}) {
      if (n < 1 || n <= previous) continue;
      const auto got = path.lookup(path.kept, n);
      const auto want = expected(path, ascending, n);
      if (got == want) continue;
      finding.verdict = LawVerdict::violation;
      finding.witness = witness_at(path, n);
      // Too small a size cuts rows off; a larger one than needed only pads.
      if (want && !got) finding.symptom = Symptom::silent_eager;
      if (got && *got < n) finding.symptom = Symptom::silent_corruption;
      if (got == kLookupFails) finding.symptom = Symptom::clean_error;
      finding.blame = describe(n, got, want);
      finding.rule = path.lookup_rule;
      return finding;
    }
    previous = std::max(previous, size);
  }
  return finding;
}

}  // namespace

extern const Law law_round_is_least_upper_bound;
const Law law_round_is_least_upper_bound{
    .name = "round_is_least_upper_bound",
    .defect_class = "C03",
    .subject = "filter",
    .statement =
        "A count runs at the least captured size that is enough, and at none above the "
        "largest.",
    .formula = "pad(n) = min{b in B(p) : b >= n}",
    .check_path = check_path};

}  // namespace capsize
