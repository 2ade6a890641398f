// A universe of three axes, and a judge of it whose rule is arithmetic on the member's number: what
// threads, shards, checkpoints and merging do to counts can be tested without any engine.
//
//   const Universe universe = toy_universe(5, 40);     // tp 1 to 5, size 1 to 40, two rules
//   const Tally expected = toy_tally(universe, {0, universe.members});
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "scenarios/sweep/certificate.hpp"
#include "scenarios/sweep/runner.hpp"
#include "sim/content_hash.hpp"

namespace capsize::test {

inline Axis toy_axis(std::string name, std::int64_t values) {
  Axis axis{std::move(name), {}};
  for (std::int64_t i = 1; i <= values; ++i) axis.values.push_back({std::to_string(i), i, {}});
  return axis;
}

inline Universe toy_universe(std::int64_t tp = 5, std::int64_t sizes = 40) {
  Universe out;
  out.name = "toy";
  out.title = "A universe for tests";
  out.engine = "sglang";
  out.axes = {toy_axis("tp", tp), toy_axis("size", sizes)};
  out.axes.push_back({"rules", {{"old", {}, {}}, {"new", {}, {}}}});
  out.members = static_cast<std::uint64_t>(tp) * static_cast<std::uint64_t>(sizes) * 2;
  out.digest = 0xfeedface12345678 + out.members;
  return out;
}

// Every kind of state comes up: left out, two preconditions, all verdicts, both rules.
class ToyJudge : public MemberJudge {
 public:
  void run(std::uint64_t first, std::uint64_t last, Tally& tally) override {
    tally.paths = {"prefill", "decode"};
    for (std::uint64_t n = first; n < last; ++n) judge(n, tally);
  }

 private:
  static void judge(std::uint64_t n, Tally& tally) {
    tally.sums.digest += spread(n + 1);
    if (n % 17 == 3) {
      ++tally.left_out;
      return;
    }
    MemberState state;
    state.rules = static_cast<std::uint16_t>(n % 2);
    if (n % 13 == 5) state.removed = tally.precondition("constraint: no thirteenth");
    if (n % 11 == 7) state.removed = tally.precondition("N is not divisible by N");
    if (state.removed == 0) {
      state.graphs = n % 3 == 0 ? 1 : 2;
      for (std::size_t law = 0; law < sweep_laws().size(); ++law) {
        const bool fails = n % 2 == 0 && n > 20 && (n / 2) % (law + 3) == 1;
        state.paths[0].set(law, fails ? LawVerdict::violation : LawVerdict::pass);
        if (n % 29 == 1) state.paths[1].set(law, LawVerdict::undecided);
      }
      tally.sums.lost += n % 5;
      tally.sums.waste += n % 3;
      tally.sums.padded += n % 100;
      tally.layouts.insert(spread(n % 19));
      tally.triples.insert(spread(n % 53 + 1000));
    }
    tally.count(state, 1, n);
  }
};

inline JudgeFactory toy_factory() {
  return []() -> Result<std::unique_ptr<MemberJudge>> { return std::make_unique<ToyJudge>(); };
}

inline Certificate toy_certificate(const Universe& universe, std::optional<Shard> shard = {}) {
  Certificate out = empty_certificate(universe, std::nullopt, "capsize test");
  out.shard = shard;
  return out;
}

// The members of the certificate's shard, by one thread in one chunk.
inline Certificate swept(const Universe& universe, std::optional<Shard> shard = {}) {
  Certificate out = toy_certificate(universe, shard);
  const MemberRange range = out.range();
  ToyJudge().run(range.first, range.last, out.state.tally);
  (void)out.state.done.add(range);
  out.count_distinct();
  return out;
}

}  // namespace capsize::test
