// What a sweep says of one path of a member, and how it is told: the verdicts with their witnesses
// and costs, the hash that goes into the digest, and the texts of what removes members. Both ways
// of judging (fast_judge.cpp, plain_judge.cpp) end in these.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "properties/coverage.hpp"
#include "properties/law.hpp"
#include "scenarios/sweep/tally.hpp"
#include "sim/content_hash.hpp"
#include "sim/error.hpp"
#include "sim/universe.hpp"

namespace capsize {

// The verdicts of one path (captured or eager), with what the digest is made of.
struct PathRecord {
  PathVerdicts verdicts;
  std::array<std::int64_t, kSweepLaws> witness{};  // the size or count, where a law is broken
  bool graphs = false;
  std::uint64_t lost = 0;
  std::uint64_t waste = 0;
  std::uint64_t padded = 0;

  void set(std::size_t law, LawVerdict verdict, std::int64_t at) {
    verdicts.set(law, verdict);
    witness[law] = verdict == LawVerdict::violation ? at : 0;
  }

  [[nodiscard]] SweepSums costs() const { return {.lost = lost, .waste = waste, .padded = padded}; }

  // `slot` is the path's place in MemberState::paths.
  [[nodiscard]] std::uint64_t hash(std::size_t slot) const {
    ContentHash hash;
    hash.add(slot).add(verdicts.bits()).add(graphs).add(lost).add(waste).add(padded);
    for (std::size_t law = 0; law < sweep_laws().size(); ++law) {
      if (witness[law] != 0) hash.add(law).add(witness[law]);
    }
    return hash.value();
  }
};

constexpr std::size_t kCapturePaths = kSweepPaths / 2;

// Captured paths come first, the eager one beside each behind all of them.
constexpr std::size_t eager_slot(std::size_t path) { return kCapturePaths + path; }

// What the digest takes of a member: its number and the hash of what became of it.
[[nodiscard]] constexpr std::uint64_t member_digest(std::uint64_t number, std::uint64_t what) {
  return spread(spread(number + 1) ^ what);
}

// What became of a member that a precondition removed.
[[nodiscard]] std::uint64_t hash_of_removal(std::string_view precondition);

// A precondition, as it is counted: sizes in the engine's message are left out.
[[nodiscard]] std::string text_of(const Refusal& refusal);
[[nodiscard]] std::string text_of(const Error& error);  // a number that capsize cannot hold
[[nodiscard]] std::string text_of(const Constraint& constraint);

// Writes what a law found, and what a path loses.
void add_finding(PathRecord& record, std::size_t law, const Finding& finding);
void add_lost(PathRecord& record, std::span<const LostSize> lost);

}  // namespace capsize
