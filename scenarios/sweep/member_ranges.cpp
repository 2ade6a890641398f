// Ranges of member numbers, and how a universe is cut into shards.
#include "scenarios/sweep/member_ranges.hpp"

#include <algorithm>

namespace capsize {

std::string text_of(const MemberRange& range) {
  if (range.count() == 1) return "member " + std::to_string(range.first);
  return "members " + std::to_string(range.first) + " to " + std::to_string(range.last - 1);
}

bool MemberRanges::add(const MemberRange& range) {
  if (range.first >= range.last) return range.first == range.last;
  auto next = std::ranges::lower_bound(ranges_, range.first, {}, &MemberRange::first);
  if (next != ranges_.end() && next->first < range.last) return false;
  const bool has_before = next != ranges_.begin();
  if (has_before && std::prev(next)->last > range.first) return false;
  const bool joins_next = next != ranges_.end() && next->first == range.last;
  if (has_before && std::prev(next)->last == range.first) {
    std::prev(next)->last = joins_next ? next->last : range.last;
    if (joins_next) ranges_.erase(next);
  } else if (joins_next) {
    next->first = range.first;
  } else {
    ranges_.insert(next, range);
  }
  return true;
}

std::uint64_t MemberRanges::count() const {
  std::uint64_t sum = 0;
  for (const MemberRange& range : ranges_) sum += range.count();
  return sum;
}

std::vector<MemberRange> MemberRanges::missing(const MemberRange& whole) const {
  std::vector<MemberRange> out;
  std::uint64_t at = whole.first;
  for (const MemberRange& range : ranges_) {
    if (range.last <= at) continue;
    if (range.first >= whole.last) break;
    if (range.first > at) out.push_back({at, range.first});
    at = range.last;
  }
  if (at < whole.last) out.push_back({at, whole.last});
  return out;
}

std::optional<MemberRange> MemberRanges::shared_with(const MemberRange& range) const {
  for (const MemberRange& each : ranges_) {
    const MemberRange shared{std::max(each.first, range.first), std::min(each.last, range.last)};
    if (shared.first < shared.last) return shared;
  }
  return std::nullopt;
}

bool MemberRanges::within(const MemberRange& whole) const {
  return ranges_.empty() ||
         (ranges_.front().first >= whole.first && ranges_.back().last <= whole.last);
}

MemberRange range_of(const Shard& shard, std::uint64_t members) {
  // The first `members % of` shards hold one member more.
  const std::uint64_t length = members / shard.of;
  const std::uint64_t longer = members % shard.of;
  const auto begin = [&](std::uint64_t before) {
    return before * length + std::min(before, longer);
  };
  return {begin(shard.index - 1), begin(shard.index)};
}

}  // namespace capsize
