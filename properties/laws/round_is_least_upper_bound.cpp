// round_is_least_upper_bound: a count runs at the least captured size that is enough for it, and
// at none above the largest. A lookup that compares counts with sizes is constant between two
// neighbouring sizes, so both ends of every interval decide all counts.
#include <algorithm>

#include "properties/law.hpp"
#include "properties/set_case.hpp"

namespace capsize {
namespace {

std::string describe(std::int64_t n, std::optional<std::int64_t> got,
                     std::optional<std::int64_t> want) {
  const auto text = [](std::optional<std::int64_t> size) {
    if (size == kLookupFails) return std::string("an index error");
    return size ? "size " + std::to_string(*size) : std::string("no size");
  };
  return std::to_string(n) + " finds " + text(got) + ", " + text(want) + " is right";
}

// The finding that n gets `got`, where `want` is right.
Finding fault_at(const CapturePath& path, std::int64_t n, std::optional<std::int64_t> got,
                 std::optional<std::int64_t> want) {
  Finding finding{.verdict = LawVerdict::violation, .known = Known::exhausted};
  finding.witness = witness_at(path, n);
  // Too small a size cuts rows off; a larger one than needed only pads.
  if (want && !got) finding.symptom = Symptom::silent_eager;
  if (got && *got < n) finding.symptom = Symptom::silent_corruption;
  if (got == kLookupFails) finding.symptom = Symptom::clean_error;
  finding.blame = describe(n, got, want);
  finding.rule = path.lookup_rule;
  return finding;
}

Finding check_path(const Subject&, const CapturePath& path) {
  SizeList ascending = path.kept;
  if (!std::ranges::is_sorted(ascending)) std::ranges::sort(ascending);
  std::int64_t previous = 0;  // every count up to here is decided
  for (const std::int64_t size : ascending) {
    if (size <= previous) continue;
    // With padding both ends of the interval run at `size`; without it only `size` itself does.
    for (const std::int64_t n : {previous + 1, size}) {
      const auto want = path.exact_match && n != size ? std::nullopt : std::optional(size);
      const auto got = path.lookup(path.kept, n);
      if (got != want) return fault_at(path, n, got, want);
    }
    previous = size;
  }
  if (const auto got = path.lookup(path.kept, previous + 1)) {
    return fault_at(path, previous + 1, got, std::nullopt);
  }
  return {.known = Known::exhausted};
}

// One more than the greatest kept size below `position`: the least count that is not decided yet.
std::int64_t after_next_smaller(const SetCase& in, std::size_t position) {
  const Positions smaller = in.kept & Positions::first_of(position);
  return smaller.empty() ? 1 : std::max<std::int64_t>(in.sizes[smaller.last()], 0) + 1;
}

SetFinding check_set(const SetCase& in) {
  const Positions broken = in.kept - (in.found & in.lowest);
  if (!broken.empty()) {
    const std::size_t at = broken.first();
    return {LawVerdict::violation,
            in.lowest.contains(at) ? in.sizes[at] : after_next_smaller(in, at)};
  }
  if (in.nothing_above) return {};
  return {LawVerdict::violation, after_next_smaller(in, in.sizes.size())};
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
    .check_path = check_path,
    .check_set = check_set};

}  // namespace capsize
