// A set of ranks as disjoint ranges in rising order: a thousand ranks that do the same are one
// range. Written "0-3,8".
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace capsize {

struct RankRange {
  std::int64_t first = 0;
  std::int64_t last = 0;  // included
  friend bool operator==(RankRange, RankRange) = default;
};

class RankSet {
 public:
  RankSet() = default;
  RankSet(std::int64_t first, std::int64_t last) : ranges_{{first, last}} {}

  // Adds a range above all others; one that touches the last is joined with it.
  void append(RankRange range) {
    if (!ranges_.empty() && ranges_.back().last + 1 == range.first) {
      ranges_.back().last = range.last;
    } else {
      ranges_.push_back(range);
    }
  }

  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  [[nodiscard]] const std::vector<RankRange>& ranges() const { return ranges_; }
  [[nodiscard]] std::int64_t first() const { return ranges_.front().first; }

  [[nodiscard]] std::int64_t count() const {
    std::int64_t count = 0;
    for (const RankRange& range : ranges_) count += range.last - range.first + 1;
    return count;
  }

  [[nodiscard]] bool contains(std::int64_t rank) const {
    const auto at = std::ranges::lower_bound(ranges_, rank, {}, &RankRange::last);
    return at != ranges_.end() && at->first <= rank;
  }

  // Calls `visit(rank)` in rising order.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const RankRange& range : ranges_) {
      for (std::int64_t rank = range.first; rank <= range.last; ++rank) visit(rank);
    }
  }

  [[nodiscard]] std::string text() const {
    std::string out;
    for (const RankRange& range : ranges_) {
      out.append(out.empty() ? "" : ",").append(std::to_string(range.first));
      if (range.last > range.first) out.append("-").append(std::to_string(range.last));
    }
    return out;
  }

  friend bool operator==(const RankSet&, const RankSet&) = default;

 private:
  std::vector<RankRange> ranges_;
};

// The ranks that are in both.
[[nodiscard]] inline RankSet common(const RankSet& a, const RankSet& b) {
  RankSet out;
  auto y = b.ranges().begin();
  for (auto x = a.ranges().begin(); x != a.ranges().end() && y != b.ranges().end();) {
    const RankRange both{std::max(x->first, y->first), std::min(x->last, y->last)};
    if (both.first <= both.last) out.append(both);
    if (x->last < y->last) {
      ++x;
    } else {
      ++y;
    }
  }
  return out;
}

// The ranks of `a` that are not in `b`.
[[nodiscard]] inline RankSet without(const RankSet& a, const RankSet& b) {
  RankSet out;
  auto y = b.ranges().begin();
  for (const RankRange& x : a.ranges()) {
    std::int64_t next = x.first;
    while (y != b.ranges().end() && y->last < next) ++y;
    for (auto each = y; each != b.ranges().end() && each->first <= x.last; ++each) {
      if (each->first > next) out.append({next, each->first - 1});
      next = std::max(next, each->last + 1);
    }
    if (next <= x.last) out.append({next, x.last});
  }
  return out;
}

}  // namespace capsize
