// A set of byte ranges of one buffer, kept as disjoint intervals in rising order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace capsize {

class Intervals {
 public:
  using Range = std::pair<std::int64_t, std::int64_t>;  // [first, second)

  void add(Range range) {
    if (range.first >= range.second) return;
    std::vector<Range> out;
    for (const Range& each : ranges_) {
      if (each.second < range.first || each.first > range.second) {
        out.push_back(each);
      } else {
        range = {std::min(range.first, each.first), std::max(range.second, each.second)};
      }
    }
    out.push_back(range);
    std::ranges::sort(out);
    ranges_ = std::move(out);
  }

  void remove(Range range) {
    if (range.first >= range.second) return;
    std::vector<Range> out;
    for (const Range& each : ranges_) {
      if (each.first < range.first)
        out.emplace_back(each.first, std::min(each.second, range.first));
      if (each.second > range.second) {
        out.emplace_back(std::max(each.first, range.second), each.second);
      }
    }
    ranges_ = std::move(out);
  }

  [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }

  // The parts of them in a range.
  [[nodiscard]] std::vector<Range> within(Range range) const {
    std::vector<Range> out;
    for (const Range& each : ranges_) {
      const Range part = {std::max(each.first, range.first), std::min(each.second, range.second)};
      if (part.first < part.second) out.push_back(part);
    }
    return out;
  }

  [[nodiscard]] bool covers(Range range) const {
    if (range.first >= range.second) return true;
    return std::ranges::any_of(ranges_, [&](const Range& each) {
      return each.first <= range.first && range.second <= each.second;
    });
  }

  [[nodiscard]] bool meets(Range range) const {
    if (range.first >= range.second) return false;
    return std::ranges::any_of(ranges_, [&](const Range& each) {
      return each.first < range.second && range.first < each.second;
    });
  }

 private:
  std::vector<Range> ranges_;
};

}  // namespace capsize
