#include "properties/coverage.hpp"

#include <algorithm>

#include "sim/units.hpp"

namespace capsize {

namespace {

// Where a candidate is captured: at itself, or at what a rounding filter makes of it.
bool is_captured(const CapturePath& path, std::int64_t size) {
  const std::int64_t at = path.filter.rounds ? align_up(size, path.filter.modulus) : size;
  return std::ranges::find(path.kept, at) != path.kept.end();
}

std::string why_dropped(const CapturePath& path, std::int64_t size) {
  const auto told = std::ranges::find(path.dropped, size, &DroppedSize::size);
  return told == path.dropped.end() ? "" : told->why;
}

}  // namespace

// From the two lists themselves: what the plan says that it dropped explains, and decides nothing.
std::vector<LostSize> lost_sizes(const CapturePath& path) {
  std::vector<LostSize> lost;
  for (const std::int64_t size : path.candidates) {
    if (is_captured(path, size)) continue;
    if (std::ranges::find(lost, size, &LostSize::size) != lost.end()) continue;
    LostSize one{.size = size, .why = why_dropped(path, size)};
    const bool reachable = size <= path.largest_presented;
    one.usable = reachable && path.step->requirement.usable.contains(size);
    one.goes_to = size >= 1 ? path.lookup(path.kept, size) : std::nullopt;
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
