#include "properties/coverage.hpp"

#include <algorithm>
#include <span>

#include "sim/units.hpp"

namespace capsize {

namespace {

// The list in ascending order without repeats; most lists are that already, and are not copied.
std::span<const std::int64_t> ascending(const SizeList& sizes, SizeList& storage) {
  bool rises = true;
  for (std::size_t i = 1; i < sizes.size(); ++i) rises &= sizes[i - 1] < sizes[i];
  if (rises) return sizes;
  storage = sizes;
  std::ranges::sort(storage);
  const auto repeats = std::ranges::unique(storage);
  storage.erase(repeats.begin(), repeats.end());
  return storage;
}

// Where a candidate is captured: at itself, or at what a rounding filter makes of it.
std::int64_t captured_at(const CapturePath& path, std::int64_t size) {
  return path.filter.rounds ? align_up(size, path.filter.modulus) : size;
}

// What the plan says of its dropped sizes, by size.
std::vector<const DroppedSize*> reasons_by_size(const CapturePath& path) {
  std::vector<const DroppedSize*> reasons;
  for (const DroppedSize& dropped : path.dropped) reasons.push_back(&dropped);
  std::ranges::stable_sort(reasons, {}, &DroppedSize::size);
  return reasons;
}

std::string why_dropped(const std::vector<const DroppedSize*>& reasons, std::int64_t size) {
  const auto told = std::ranges::lower_bound(reasons, size, {}, &DroppedSize::size);
  return told == reasons.end() || (*told)->size != size ? "" : (*told)->why;
}

}  // namespace

// From the two lists themselves: what the plan says that it dropped explains, and decides nothing.
std::vector<LostSize> lost_sizes(const CapturePath& path) {
  SizeList storage_of_kept;
  SizeList storage;
  const auto kept = ascending(path.kept, storage_of_kept);
  std::vector<LostSize> lost;
  std::vector<const DroppedSize*> reasons;
  auto next = kept.begin();  // both lists rise, and so do the places of the candidates
  for (const std::int64_t size : ascending(path.candidates, storage)) {
    const std::int64_t at = captured_at(path, size);
    while (next != kept.end() && *next < at) ++next;
    if (next != kept.end() && *next == at) continue;
    if (lost.empty()) reasons = reasons_by_size(path);
    LostSize one{.size = size, .why = why_dropped(reasons, size)};
    const bool reachable = size <= path.largest_presented;
    one.usable = reachable && path.step->requirement.usable.contains(size);
    one.goes_to = size >= 1 ? path.lookup(path.kept, size) : std::nullopt;
    if (one.goes_to == kLookupFails) one.goes_to.reset();
    if (one.goes_to) one.padded_tokens = path.tokens_of(*one.goes_to - size).value;
    lost.push_back(std::move(one));
  }
  return lost;
}

std::vector<EagerInterval> eager_intervals(const CapturePath& path) {
  std::vector<EagerInterval> out;
  if (!path.enabled || path.kept.empty()) return out;
  if (!path.exact_match) {
    const std::int64_t top = std::ranges::max(path.kept);
    if (top < path.largest_presented) out.push_back({top + 1, path.largest_presented});
    return out;
  }
  SizeList storage;
  std::int64_t next = 1;
  for (const std::int64_t size : ascending(path.kept, storage)) {
    if (size > path.largest_presented) break;
    if (size > next) out.push_back({next, size - 1});
    next = std::max(next, size + 1);
  }
  if (next <= path.largest_presented) out.push_back({next, path.largest_presented});
  return out;
}

}  // namespace capsize
