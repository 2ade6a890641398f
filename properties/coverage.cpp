#include "properties/coverage.hpp"

#include <algorithm>

namespace capsize {

std::vector<LostSize> lost_sizes(const CapturePath& path) {
  std::vector<LostSize> lost;
  lost.reserve(path.dropped.size());
  for (const DroppedSize& dropped : path.dropped) {
    LostSize one{.size = dropped.size, .why = dropped.why};
    const bool reachable = dropped.size <= path.largest_presented;
    one.usable = reachable && path.step->requirement.usable.contains(dropped.size);
    one.goes_to = dropped.size >= 1 ? path.lookup(path.kept, dropped.size) : std::nullopt;
    if (one.goes_to) one.padded_tokens = path.tokens_of(*one.goes_to - dropped.size).value;
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
  SizeList sorted = path.kept;
  std::ranges::sort(sorted);
  std::int64_t next = 1;
  for (const std::int64_t size : sorted) {
    if (size > path.largest_presented) break;
    if (size > next) out.push_back({next, size - 1});
    next = std::max(next, size + 1);
  }
  if (next <= path.largest_presented) out.push_back({next, path.largest_presented});
  return out;
}

}  // namespace capsize
