// captured_together against a simulation: every rank keeps the event in which each of its graphs
// was captured, and a clock says which events may still be running when another begins.
#include <gtest/gtest.h>

#include <map>

#include "tests/property/histogram.hpp"
#include "tests/property/rank_stories.hpp"

namespace capsize::captured_together_test {
namespace {

using namespace property::stories;
using property::Histogram;
using property::report_of;

constexpr std::string_view kLaw = "captured_together";

// What a rank does: nothing, an eager step, or the graph of a size. Of three operations over the
// family the graph captures those whose bit is set.
struct Does {
  enum class What : std::uint8_t { nothing, eager, graph } what = What::graph;
  std::int64_t size = 8;
  unsigned captured = 7;
  friend auto operator<=>(const Does&, const Does&) = default;
};
using What = Does::What;

struct Happens {
  PlanEventKind kind = PlanEventKind::capture;  // or replay, or eager
  std::vector<Does> ranks;
  std::int64_t stream = -1;  // -1: none
  std::int64_t after = -1;   // an earlier event; -1: none
  std::optional<CaptureMode> mode = std::nullopt;
};

struct Story {
  std::int8_t family = 0;
  std::optional<Transport> transport;
  std::vector<Happens> events;
};

constexpr unsigned kOps = 3;
bool bit(unsigned bits, unsigned at) { return ((bits >> at) & 1U) != 0; }

// All of one kind, so that every position is compared.
std::vector<PlanOp> operations_of(GroupId family, unsigned captured) {
  std::vector<PlanOp> out;
  for (unsigned i = 0; i < kOps; ++i) {
    out.push_back(parts::all_reduce(family, 1));
    out.back().captured = bit(captured, i);
  }
  return out;
}

Lifecycle build(const Story& story) {
  Lifecycle plan{.world = kRanks};
  for (const Groups& groups : family_groups()) {
    parts::add_group(plan, "f" + std::to_string(plan.families.size()), groups);
    plan.families.back().transport = story.transport;
  }
  const GroupId family{story.family};
  for (const Happens& happens : story.events) {
    PlanEvent event = parts::run(happens.kind, "decode", 8, {});
    if (happens.stream >= 0) event.stream = happens.stream;
    if (happens.after >= 0) event.after = {static_cast<std::int32_t>(happens.after)};
    event.capture_mode = happens.mode;
    for (std::int64_t rank = 0; rank < kRanks; ++rank) {
      const Does& does = happens.ranks.at(static_cast<std::size_t>(rank));
      if (does.what == What::nothing) continue;
      Program program = does.what == What::eager
                            ? parts::eager_program({rank, rank}, 8, operations_of(family, 0))
                            : parts::graph({rank, rank}, does.size);
      program.mode = does.what == What::eager ? GraphMode::eager : GraphMode::piecewise;
      if (does.what == What::graph && happens.kind == PlanEventKind::capture) {
        program.ops = operations_of(family, does.captured);
      }
      event.programs.push_back(std::move(program));
    }
    plan.events.push_back(std::move(event));
  }
  return std::move(parts::finish(plan));
}

// What a rank runs in an event: whether each operation is captured; none where it is not known.
struct Runs {
  bool runs = false;
  bool eager = false;
  std::int64_t size = 0;
  std::optional<unsigned> captured;
  std::int64_t capture_event = -1;
};

class Simulation {
 public:
  explicit Simulation(const Story& story) : story_(story), stored_(kRanks) {}

  Places run() {
    for (std::int32_t e = 0; e < std::ssize(story_.events); ++e) {
      for (std::int32_t rank = 0; rank < kRanks; ++rank) step(e, rank);
      for (const auto& group : family_groups().at(static_cast<std::size_t>(story_.family))) {
        if (group.size() > 1 && uses(e, group) && broken(e, group)) {
          out_.emplace(e, story_.family);
        }
      }
    }
    return out_;
  }

 private:
  const Happens& event(std::int32_t e) const { return story_.events[static_cast<std::size_t>(e)]; }
  const Runs& at(std::int32_t e, std::int32_t rank) const { return runs_.at({e, rank}); }

  void step(std::int32_t e, std::int32_t rank) {
    const Does& does = event(e).ranks.at(static_cast<std::size_t>(rank));
    Runs runs{
        .runs = does.what != What::nothing, .eager = does.what == What::eager, .size = does.size};
    if (runs.eager) runs.captured = 0;
    auto& stored = stored_.at(static_cast<std::size_t>(rank));
    if (does.what == What::graph && event(e).kind == PlanEventKind::capture) {
      runs.captured = does.captured;
      stored[does.size] = {does.captured, e};
    } else if (does.what == What::graph && stored.contains(does.size)) {
      std::tie(runs.captured, runs.capture_event) = stored[does.size];
    }
    runs_[{e, rank}] = runs;
  }

  bool uses(std::int32_t e, const std::vector<std::int32_t>& group) const {
    return std::ranges::any_of(
        group, [&](std::int32_t rank) { return at(e, rank).captured.value_or(0) != 0; });
  }

  bool broken(std::int32_t e, const std::vector<std::int32_t>& group) const {
    const bool capture = event(e).kind == PlanEventKind::capture;
    for (const std::int32_t a : group) {
      if (capture && !at(e, a).runs) return true;
      for (const std::int32_t b : group) {
        const Runs& x = at(e, a);
        const Runs& y = at(e, b);
        if (x.captured && y.captured && x.eager == y.eager && *x.captured != *y.captured)
          return true;
        const bool nccl = story_.transport != Transport::peer && x.captured.value_or(0) != 0 &&
                          y.captured.value_or(0) != 0;
        if (nccl && x.size == y.size && x.capture_event >= 0 && y.capture_event >= 0 &&
            x.capture_event != y.capture_event) {
          return true;
        }
      }
    }
    return capture && pending(e, group);
  }

  // Whether a rank of the group may still be working over it when a capture begins.
  bool pending(std::int32_t e, const std::vector<std::int32_t>& group) const {
    const auto mode = event(e).mode;
    if (mode == CaptureMode::relaxed || mode == CaptureMode::thread_local_mode) return false;
    for (std::int32_t earlier = 0; earlier < e; ++earlier) {
      if (ended(earlier, e)) continue;
      for (const std::int32_t rank : group) {
        const auto& captured = at(earlier, rank).captured;
        if (!captured) continue;
        // Of a capture only what it leaves out is run.
        const bool all = event(earlier).kind == PlanEventKind::capture && *captured == 7;
        if (!all) return true;
      }
    }
    return false;
  }

  // Whether event a has ended when b begins: reachability over the steps that wait for one another.
  bool ended(std::int32_t a, std::int32_t b) const {
    if (a == b) return true;
    for (std::int32_t before = a; before < b; ++before) {
      const Happens& x = event(before);
      const Happens& y = event(b);
      const bool waits = x.stream < 0 || y.stream < 0 || x.stream == y.stream || y.after == before;
      if (waits && ended(a, before)) return true;
    }
    return false;
  }

  const Story& story_;
  std::vector<std::map<std::int64_t, std::pair<unsigned, std::int64_t>>> stored_;
  std::map<std::pair<std::int32_t, std::int32_t>, Runs> runs_;
  Places out_;
};

std::vector<Does> spell(std::size_t code, const std::vector<Does>& choices) {
  std::vector<Does> out;
  for (std::int64_t rank = 0; rank < kRanks; ++rank, code /= choices.size()) {
    out.push_back(choices[code % choices.size()]);
  }
  return out;
}

// A rank that stays away and is not missed, one that captures less, one-rank groups that are
// flagged: every way in which four ranks are absent, eager, or capture some of three operations.
TEST(CapturedTogetherProperty, EveryCaptureOfFourRanks) {
  const std::vector<Does> choices = {{.what = What::nothing}, {.what = What::eager},
                                     {.captured = 7},         {.captured = 0},
                                     {.captured = 3},         {.captured = 5}};
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::int8_t family = 0; family < 5; ++family) {
    for (std::size_t code = 0; code < 6 * 6 * 6 * 6; ++code) {
      const Story story{.family = family, .events = {{.ranks = spell(code, choices)}}};
      const Places places = Simulation(story).run();
      ASSERT_EQ(places_of(report_of(kLaw, build(story))), places) << int{family} << " " << code;
      ++count;
      broken += places.empty() ? 0 : 1;
    }
  }
  EXPECT_EQ(count, 5 * 6 * 6 * 6 * 6);
  property::visited(count);
  EXPECT_GT(broken, 1000);
  EXPECT_GT(count - broken, 1000);
}

// Graphs of other captures that pass for one's own: sizes 8 and 16 are captured by all, some ranks
// capture 8 again, and every rank then replays either, or a size that nobody captured.
TEST(CapturedTogetherProperty, EveryReplayAfterEveryRecapture) {
  const std::vector<Does> recaptures = {{.what = What::nothing}, {}};
  const std::vector<Does> replays = {{}, {.size = 16}, {.size = 32}, {.what = What::nothing}};
  std::int64_t count = 0;
  for (const auto transport : {Transport::raw, Transport::peer}) {
    for (const std::int8_t family : std::array<std::int8_t, 3>{0, 1, 3}) {
      for (std::size_t again = 0; again < 16; ++again) {
        for (std::size_t code = 0; code < 256; ++code) {
          const Story story{
              .family = family,
              .transport = transport,
              .events = {{.ranks = spell(0, {{.size = 16}})},
                         {.ranks = spell(0, {{}})},
                         {.ranks = spell(again, recaptures)},
                         {.kind = PlanEventKind::replay, .ranks = spell(code, replays)}}};
          ASSERT_EQ(places_of(report_of(kLaw, build(story))), Simulation(story).run())
              << int{family} << " " << again << " " << code;
          ++count;
        }
      }
    }
  }
  EXPECT_EQ(count, 2 * 3 * 16 * 256);
  property::visited(count);
}

rc::Gen<Does> does() {
  using generators::one_of;
  return rc::gen::build<Does>(
      rc::gen::set(&Does::what, one_of<What>({What::graph, What::graph, What::graph, What::graph,
                                              What::eager, What::nothing})),
      rc::gen::set(&Does::size, one_of<std::int64_t>({8, 8, 16})),
      rc::gen::set(&Does::captured, one_of<unsigned>({7, 7, 7, 7, 6, 5, 0})));
}

// Most ranks do what the first does.
rc::Gen<std::vector<Does>> all_ranks() {
  return rc::gen::apply(
      [](const Does& common, const std::vector<std::pair<bool, Does>>& own) {
        std::vector<Does> out;
        for (const auto& [departs, does] : own) out.push_back(departs ? does : common);
        return out;
      },
      does(),
      rc::gen::container<std::vector<std::pair<bool, Does>>>(
          kRanks,
          rc::gen::pair(generators::one_of<bool>({false, false, false, false, true}), does())));
}

rc::Gen<Happens> happens() {
  using generators::one_of;
  return rc::gen::build<Happens>(
      rc::gen::set(&Happens::kind,
                   one_of<PlanEventKind>(
                       {PlanEventKind::capture, PlanEventKind::replay, PlanEventKind::eager})),
      rc::gen::set(&Happens::ranks, all_ranks()),
      rc::gen::set(&Happens::stream, one_of<std::int64_t>({-1, 0, 1, 2})),
      rc::gen::set(&Happens::after, generators::evenly(-1, 6)),
      rc::gen::set(&Happens::mode, one_of<std::optional<CaptureMode>>(
                                       {std::nullopt, CaptureMode::global,
                                        CaptureMode::thread_local_mode, CaptureMode::relaxed})));
}

// Work that is pending on another stream, joined or not, over whole lives of a server.
TEST(CapturedTogetherProperty, RandomLives) {
  Histogram seen;
  seen.declare("broken", {"yes", "no"});
  seen.declare("events", {"0", "1", "2", "3", "4", "5", "6"});
  EXPECT_TRUE(property::holds("every broken event is told, and no other", [&seen] {
    Story story;
    story.family = static_cast<std::int8_t>(*generators::evenly(0, 5));
    story.transport = *generators::one_of<std::optional<Transport>>(
        {std::nullopt, Transport::raw, Transport::peer});
    const auto events = static_cast<std::size_t>(*generators::evenly(0, 7));
    story.events = *rc::gen::container<std::vector<Happens>>(events, happens());
    for (std::size_t e = 0; e < story.events.size(); ++e) {
      Happens& each = story.events[e];
      if (each.after >= static_cast<std::int64_t>(e)) each.after = -1;
      for (Does& rank : each.ranks) {
        const bool replays = each.kind != PlanEventKind::eager;
        if (!replays && rank.what == What::graph) rank.what = What::eager;
      }
    }
    const Places places = Simulation(story).run();
    seen.count("broken", !places.empty());
    seen.count("events", static_cast<std::int64_t>(events));
    RC_ASSERT(places_of(report_of(kLaw, build(story))) == places);
  }));
  seen.print("captured_together");
}

}  // namespace
}  // namespace capsize::captured_together_test
