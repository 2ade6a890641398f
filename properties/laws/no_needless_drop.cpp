// no_needless_drop: no requested size is dropped that every collective could split. Waste is
// reported with its cost and leaves the verdict at pass, unless the caller asks to fail on it.
#include "properties/coverage.hpp"
#include "properties/law.hpp"
#include "properties/set_case.hpp"

namespace capsize {
namespace {

// What the path loses: as the caller found it, or found here and kept in `storage`.
std::span<const LostSize> lost_of(const Subject& subject, const CapturePath& path,
                                  std::vector<LostSize>& storage) {
  if (!subject.lost.empty()) {
    return subject.lost[static_cast<std::size_t>(&path - subject.captures.paths.data())];
  }
  storage = lost_sizes(path);
  return storage;
}

Finding check_path(const Subject& subject, const CapturePath& path) {
  Finding finding{.known = path.step->requirement.usable.known()};
  std::int64_t wasted = 0;
  std::int64_t padding = 0;
  std::optional<std::int64_t> smallest;
  std::vector<LostSize> storage;
  for (const LostSize& lost : lost_of(subject, path, storage)) {
    if (!lost.usable) continue;
    ++wasted;
    padding += lost.padded_tokens;
    if (!smallest || lost.size < *smallest) smallest = lost.size;
  }
  if (wasted == 0) return finding;
  finding.reason = std::to_string(wasted) + (wasted == 1 ? " dropped size" : " dropped sizes") +
                   " could be split by every collective; a batch of each size carries " +
                   std::to_string(padding) + " padded tokens in all, or runs eager";
  if (!subject.fail_on_waste) return finding;
  finding.verdict = LawVerdict::violation;
  const auto goes_to = path.lookup(path.kept, *smallest);
  finding.symptom = goes_to ? Symptom::none : Symptom::silent_eager;
  if (goes_to == kLookupFails) finding.symptom = Symptom::clean_error;
  finding.witness = witness_at(path, *smallest);
  finding.blame = "drops a size that every collective could split";
  finding.rule = path.filter.rule;
  return finding;
}

SetFinding check_set(const SetCase& in) {
  return in.fail_on_waste ? broken_at(in, wasted(in)) : SetFinding{};
}

}  // namespace

extern const Law law_no_needless_drop;
const Law law_no_needless_drop{
    .name = "no_needless_drop",
    .defect_class = "C01",
    .subject = "capture plan",
    .statement = "No requested size is dropped that every collective could split.",
    .formula = "(R(p) \\ K(p)) and U = {}",
    .check_path = check_path,
    .check_set = check_set};

}  // namespace capsize
