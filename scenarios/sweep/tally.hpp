// What a sweep counts. A member ends in a state: removed by a precondition, or a verdict of every
// law on every path. A tally holds each distinct state once, with how many members ended there and
// the first of them; everything that a certificate says is read from it. Tallies of disjoint parts
// of a universe add up in any order to the same tally.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "properties/law.hpp"

namespace capsize {

// At most this many laws judge capture paths, and an engine plans at most this many paths.
inline constexpr std::size_t kSweepLaws = 16;
inline constexpr std::size_t kSweepPaths = 4;

// The verdicts of all laws on one path, two bits a law in the order of sweep_laws().
class PathVerdicts {
 public:
  [[nodiscard]] LawVerdict of(std::size_t law) const {
    return static_cast<LawVerdict>(bits_ >> (2 * law) & 3);
  }
  void set(std::size_t law, LawVerdict verdict) {
    bits_ &= ~(std::uint32_t{3} << (2 * law));
    bits_ |= static_cast<std::uint32_t>(verdict) << (2 * law);
  }
  [[nodiscard]] std::uint32_t bits() const { return bits_; }
  [[nodiscard]] static PathVerdicts from_bits(std::uint32_t bits) {
    PathVerdicts out;
    out.bits_ = bits;
    return out;
  }
  friend auto operator<=>(PathVerdicts, PathVerdicts) = default;

 private:
  std::uint32_t bits_ = 0xaaaaaaaa;  // not_applicable everywhere
};

// The laws that judge capture paths or eager ones, by name: the columns of every sweep.
[[nodiscard]] std::span<const Law* const> sweep_laws();

// Where a member ends. `removed` indexes Tally::preconditions, from 1; 0: it was judged.
struct MemberState {
  std::uint16_t rules = 0;  // index on the axis `rules`; 0 where there is none
  std::uint32_t removed = 0;
  std::uint32_t graphs = 0;  // bit p: path p has graphs
  std::array<PathVerdicts, kSweepPaths> paths{};
  friend auto operator<=>(const MemberState&, const MemberState&) = default;
};

struct StateCount {
  std::uint64_t members = 0;
  std::uint64_t first = 0;  // the least number of a member in this state
};

// What is summed over members beside their states.
struct SweepSums {
  std::uint64_t lost = 0;    // requested sizes that are not captured, over all paths
  std::uint64_t waste = 0;   // those of them that every collective could split
  std::uint64_t padded = 0;  // padded tokens that the lost sizes carry at the size they run at
  std::uint64_t digest = 0;  // sum over members of a hash of (number, state, witnesses, costs)

  SweepSums& operator+=(const SweepSums& other) {
    lost += other.lost;
    waste += other.waste;
    padded += other.padded;
    digest += other.digest;
    return *this;
  }
  friend bool operator==(const SweepSums&, const SweepSums&) = default;
};

struct Tally {
  // What removes members: "constraint: ...", or the engine's own words with numbers as N. The order
  // is that of the first member met; equal tallies may hold them in different orders.
  std::vector<std::string> preconditions;
  // The names of the paths in the order of MemberState::paths, as far as they are known: a judge
  // sets them, and they are the same in every part of a sweep.
  std::vector<std::string> paths;
  std::map<MemberState, StateCount> states;
  SweepSums sums;
  std::uint64_t left_out = 0;  // members that --where leaves out: in no state
  // Content hashes of what was met: steps (layout keys), and (list, filter, usable set) triples.
  std::set<std::uint64_t> layouts;
  std::set<std::uint64_t> triples;

  [[nodiscard]] std::uint32_t precondition(std::string_view text);  // its index + 1; added if new
  void count(const MemberState& state, std::uint64_t members, std::uint64_t first);
  // Adds the tally of another part; preconditions are matched by their text.
  void add(const Tally& other);
  [[nodiscard]] std::uint64_t members() const;  // in a state; without left_out
};

// Whether two tallies say the same, whatever the order of their preconditions.
[[nodiscard]] bool same(const Tally& a, const Tally& b);

}  // namespace capsize
