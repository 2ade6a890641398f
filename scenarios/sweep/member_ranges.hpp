// Which members of a universe are done: ranges of numbers, ascending and apart.
//
//   MemberRanges done;
//   done.add({0, 100});
//   done.missing({0, 300})      // {{100, 300}}
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace capsize {

// The members first, first + 1, ... up to and without `last`.
struct MemberRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  [[nodiscard]] std::uint64_t count() const { return last - first; }
  friend bool operator==(const MemberRange&, const MemberRange&) = default;
};

// "members 100 to 199", "member 7".
[[nodiscard]] std::string text_of(const MemberRange& range);

class MemberRanges {
 public:
  // Adds a range. False, and nothing is added, where a member of it is there already.
  [[nodiscard]] bool add(const MemberRange& range);
  [[nodiscard]] std::span<const MemberRange> all() const { return ranges_; }
  [[nodiscard]] std::uint64_t count() const;
  // The parts of `whole` that are not here.
  [[nodiscard]] std::vector<MemberRange> missing(const MemberRange& whole) const;
  // The first part of `range` that is here.
  [[nodiscard]] std::optional<MemberRange> shared_with(const MemberRange& range) const;
  [[nodiscard]] bool within(const MemberRange& whole) const;
  friend bool operator==(const MemberRanges&, const MemberRanges&) = default;

 private:
  std::vector<MemberRange> ranges_;  // ascending; none is empty, no two touch
};

// Shard `index` of `of`, counted from 1: one of `of` parts of nearly equal length.
struct Shard {
  std::uint64_t index = 1;
  std::uint64_t of = 1;
  friend bool operator==(const Shard&, const Shard&) = default;
};

// Part of [0, members); the parts of all shards are apart and cover it.
[[nodiscard]] MemberRange range_of(const Shard& shard, std::uint64_t members);

}  // namespace capsize
