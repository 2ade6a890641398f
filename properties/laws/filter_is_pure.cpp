// filter_is_pure: filtering twice changes nothing more, the order of the list does not matter, the
// caller's list is not changed in a way that a second reader sees, and cutting the list to its
// maximum commutes with filtering, or the engine declares which comes first.
#include <algorithm>

#include "properties/law.hpp"

namespace capsize {
namespace {

SizeList as_set(SizeList sizes) {
  std::ranges::sort(sizes);
  const auto repeats = std::ranges::unique(sizes);
  sizes.erase(repeats.begin(), repeats.end());
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

// The first clause that does not hold, in words; none where all hold.
std::optional<std::string> fault_of(const CapturePath& path) {
  const SizeFilter& filter = path.filter;
  SizeList list = path.candidates;
  const SizeList once = filter.apply(list).kept;
  if (kept_of(filter, once) != once) return "filtering twice gives another list";

  SizeList reversed = path.candidates;
  std::ranges::reverse(reversed);
  if (as_set(kept_of(filter, reversed)) != as_set(once)) return "the order of the list matters";

  if (filter.read_again && list != path.candidates && kept_of(filter, list) != once) {
    return "the caller's list is changed, and a second reader keeps other sizes";
  }
  if (!path.bounds.empty() && !filter.clamp_order_declared) {
    const std::int64_t maximum =
        path.bounds.front().tokens / std::max<std::int64_t>(path.width.value, 1);
    if (kept_of(filter, clamped(path.candidates, maximum)) != clamped(once, maximum)) {
      return "cutting the list to its maximum before or after filtering gives different lists";
    }
  }
  return std::nullopt;
}

Finding check_path(const Subject&, const CapturePath& path) {
  Finding finding{.known = Known::exhausted};
  const std::optional<std::string> fault = fault_of(path);
  if (!fault) return finding;
  finding.verdict = LawVerdict::violation;
  finding.symptom = Symptom::silent_eager;
  finding.witness = witness_at(path, path.candidates.front());
  finding.blame = *fault;
  finding.rule = path.filter.rule;
  return finding;
}

}  // namespace

extern const Law law_filter_is_pure;
const Law law_filter_is_pure{
    .name = "filter_is_pure",
    .defect_class = "C01",
    .subject = "filter",
    .statement =
        "A filter is idempotent, does not depend on the order of its list, and leaves the "
        "caller's list as a second reader needs it.",
    .formula = "f(f(L)) = f(L); set f(reverse L) = set f(L); f(L after f) = f(L)",
    .check_path = check_path};

}  // namespace capsize
