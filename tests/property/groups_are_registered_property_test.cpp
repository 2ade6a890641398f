// groups_are_registered against a machine that walks forward through the events and keeps, for
// every capture, who has exchanged what since. Short schedules are tried one by one, longer ones
// at random; paths, places and memory of operands against tables.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <ostream>
#include <set>
#include <string>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/plan_laws.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::groups_are_registered_test {
namespace {

using namespace parts;
using Mask = std::uint32_t;  // bit r: rank r, or family r

struct Judged {
  std::vector<Breach> breaches;
  bool looked = false;
};

Judged judge(const Lifecycle& plan) {
  const Timeline timeline(plan);
  PlanReport report;
  find_law("groups_are_registered")->check_plan(timeline, report);
  return {report.breaches(), !report.paths().empty()};
}

// ---- schedules -------------------------------------------------------------------------------

enum class Act : std::uint8_t { capture, enter, enter_in_program, replay };

struct Step {
  Act act = Act::capture;
  Mask families = 1;  // captured: those that it reaches; enter: those that are registered
  Mask ranks = 1;
  std::int64_t size = 8;
};

std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << "{act " << static_cast<int>(step.act) << " families " << step.families << " ranks "
             << step.ranks << " size " << step.size << "}";
}

struct World {
  std::int64_t ranks = 2;
  std::vector<std::vector<std::vector<std::int32_t>>> families;
  std::vector<bool> window;  // of each family: a library's window, not peer memory
};

bool holds(Mask mask, std::int64_t bit) { return (mask >> bit & 1U) != 0; }

PlanEvent event_of(const World& world, const Step& step) {
  std::vector<GroupId> groups;
  std::vector<PlanOp> reaches;
  std::vector<PlanOp> enters;
  for (std::size_t f = 0; f < world.families.size(); ++f) {
    if (!holds(step.families, static_cast<std::int64_t>(f))) continue;
    const GroupId group{static_cast<std::int8_t>(f)};
    groups.push_back(group);
    reaches.push_back(all_reduce(group, step.size));
    if (world.window[f]) reaches.back().registered = true;
    enters.push_back(op(PlanOpKind::register_group, group));
  }
  const RankSet ranks = property::ranks_of(step.ranks);
  switch (step.act) {
    case Act::enter: return register_groups(groups, ranks);
    case Act::enter_in_program: return eager("p", 1, {eager_program(ranks, 1, enters)});
    case Act::replay: return replay("p", step.size, {graph(ranks, step.size)});
    case Act::capture: break;
  }
  return capture("p", step.size, {graph(ranks, step.size, reaches)});
}

Lifecycle plan_of(const World& world, const std::vector<Step>& steps) {
  Lifecycle plan{.world = world.ranks};
  for (std::size_t f = 0; f < world.families.size(); ++f) {
    add_group(plan, "g" + std::to_string(f), world.families[f]);
    plan.families[f].transport = world.window[f] ? Transport::raw : Transport::peer;
  }
  for (const Step& step : steps) plan.events.push_back(event_of(world, step));
  return finish(plan);
}

// The ranks that have not exchanged, by event and family.
using Found = std::map<std::pair<std::int32_t, std::int64_t>, std::set<std::int64_t>>;

class Machine {
 public:
  explicit Machine(const World& world) : world_(world), ever_(world.families.size()) {}

  void step(const Step& step) {
    if (step.act == Act::capture) {
      since_[now_].resize(world_.families.size());
      reached_[now_] = step.families;
      for (std::int64_t rank = 0; rank < world_.ranks; ++rank) {
        if (holds(step.ranks, rank)) graphs_[{rank, step.size}] = now_;
      }
    } else if (step.act == Act::replay) {
      for (std::int64_t rank = 0; rank < world_.ranks; ++rank) {
        if (holds(step.ranks, rank)) replay(step, rank);
      }
    } else {
      for (std::size_t f = 0; f < world_.families.size(); ++f) {
        if (!holds(step.families, static_cast<std::int64_t>(f))) continue;
        ever_[f] |= step.ranks;
        for (auto& [capture, families] : since_) families[f] |= step.ranks;
      }
    }
    ++now_;
  }
  [[nodiscard]] const Found& found() const { return found_; }

 private:
  void replay(const Step& step, std::int64_t rank) {
    const auto graph = graphs_.find({rank, step.size});
    if (graph == graphs_.end()) return;
    for (std::size_t f = 0; f < world_.families.size(); ++f) {
      if (!holds(reached_[graph->second], static_cast<std::int64_t>(f))) continue;
      for (const auto& group : world_.families[f]) {
        if (group.size() < 2 || std::ranges::find(group, rank) == group.end()) continue;
        for (const std::int32_t member : group) {
          const auto own = graphs_.find({member, step.size});
          const bool replays = holds(step.ranks, member) && own != graphs_.end();
          const std::int32_t capture = replays ? own->second : graph->second;
          const bool done =
              holds(since_[capture][f], member) || (world_.window[f] && holds(ever_[f], member));
          if (!done) found_[{now_, static_cast<std::int64_t>(f)}].insert(member);
        }
      }
    }
  }

  const World& world_;
  std::int32_t now_ = 0;
  std::map<std::int32_t, std::vector<Mask>> since_;  // of each capture: who entered since
  std::map<std::int32_t, Mask> reached_;             // of each capture
  std::vector<Mask> ever_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::int32_t> graphs_;
  Found found_;
};

// Every broken replay and family is told, by its first rank, and no rank that is right.
std::string difference(const World& world, const std::vector<Step>& steps, bool& broken) {
  Machine machine(world);
  for (const Step& step : steps) machine.step(step);
  Found got;
  for (const Breach& breach : judge(plan_of(world, steps)).breaches) {
    if (breach.symptom != Symptom::silent_corruption) return "another symptom: " + breach.blame;
    got[{breach.event, breach.group.index}].insert(*breach.rank);
  }
  broken = !machine.found().empty();
  for (const auto& [key, ranks] : machine.found()) {
    const auto at = got.find(key);
    const std::string where =
        "event " + std::to_string(key.first) + " family " + std::to_string(key.second);
    if (at == got.end()) return "not found: " + where;
    if (*at->second.begin() != *ranks.begin()) return "another first rank: " + where;
    if (!std::ranges::includes(ranks, at->second)) return "a rank that is right: " + where;
    got.erase(at);
  }
  if (got.empty()) return "";
  return "found without cause: event " + std::to_string(got.begin()->first.first);
}

// Five events of two ranks, who capture, register and replay together or alone: a registration
// that counts for a later capture, for another rank, for another group or for an earlier replay.
TEST(GroupsAreRegisteredProperty, EveryScheduleOfFiveEvents) {
  const World world{2, {{{0, 1}}, {{0, 1}}}, {false, false}};
  const std::array<Step, 10> alphabet = {{
      {.act = Act::capture, .ranks = 3},
      {.act = Act::capture, .ranks = 1},
      {.act = Act::capture, .ranks = 2},
      {.act = Act::enter, .ranks = 3},
      {.act = Act::enter, .ranks = 1},
      {.act = Act::enter, .ranks = 2},
      {.act = Act::enter, .families = 2, .ranks = 3},
      {.act = Act::enter_in_program, .ranks = 2},
      {.act = Act::replay, .ranks = 3},
      {.act = Act::replay, .ranks = 2},
  }};
  std::int64_t broken_count = 0;
  for (std::size_t what = 0; what < 100000; ++what) {
    std::vector<Step> steps;
    for (std::size_t rest = what, i = 0; i < 5; ++i, rest /= 10) {
      steps.push_back(alphabet.at(rest % 10));
    }
    bool broken = false;
    ASSERT_EQ(difference(world, steps, broken), "")
        << steps[0] << steps[1] << steps[2] << steps[3] << steps[4];
    broken_count += broken ? 1 : 0;
  }
  EXPECT_GT(broken_count, 10000);
  EXPECT_LT(broken_count, 90000);
}

rc::Gen<Step> any_step(const World& world) {
  using generators::evenly;
  const auto mask_of = [](std::int64_t bits) {
    return rc::gen::map(evenly(1, std::int64_t{1} << bits),
                        [](std::int64_t mask) { return static_cast<Mask>(mask); });
  };
  return rc::gen::build<Step>(
      rc::gen::set(&Step::act,
                   rc::gen::map(evenly(0, 4), [](std::int64_t i) { return static_cast<Act>(i); })),
      rc::gen::set(&Step::families, mask_of(std::ssize(world.families))),
      // Mostly all ranks: else nothing is ever registered in full.
      rc::gen::set(&Step::ranks, rc::gen::oneOf(rc::gen::just((Mask{1} << world.ranks) - 1U),
                                                rc::gen::just((Mask{1} << world.ranks) - 1U),
                                                mask_of(world.ranks))),
      rc::gen::set(&Step::size, generators::one_of<std::int64_t>({8, 16})));
}

// Six ranks, four families, of which one is a window and in one some ranks are alone.
TEST(GroupsAreRegisteredProperty, RandomSchedules) {
  EXPECT_TRUE(property::holds("random schedules", [] {
    static const World world{6,
                             {{{0, 1, 2, 3, 4, 5}},
                              {{0, 1}, {2}, {3, 4, 5}},
                              {{0, 2, 4}, {1, 3, 5}},
                              {{0, 1, 2}, {3, 4, 5}}},
                             {false, false, false, true}};
    const auto steps = *rc::gen::resize(16, rc::gen::container<std::vector<Step>>(any_step(world)));
    bool broken = false;
    const std::string wrong = difference(world, steps, broken);
    RC_CLASSIFY(broken, "broken");
    if (!wrong.empty()) RC_FAIL(wrong);
  }));
}

// ---- order across streams --------------------------------------------------------------------

// Capture, registration and replay on all streams under every set of joins.
TEST(GroupsAreRegisteredProperty, EveryOrderOfThreeEvents) {
  const std::array<std::optional<std::int64_t>, 3> streams = {std::nullopt, 0, 1};
  std::int64_t broken = 0;
  for (std::size_t what = 0; what < 27 * 8; ++what) {
    Lifecycle plan{.world = 2};
    const GroupId tp = add_group(plan, "tp", {{0, 1}});
    plan.families[0].transport = Transport::peer;
    plan.events = {capture("p", 8, {graph({0, 1}, 8, {all_reduce(tp, 8)})}), register_groups({tp}),
                   replay("p", 8, {graph({0, 1}, 8)})};
    for (std::size_t rest = what % 27, e = 0; e < 3; ++e, rest /= 3) {
      plan.events[e].stream = streams.at(rest % 3);
    }
    const std::size_t joins = what / 27;
    if (joins % 2 == 1) plan.events[1].after.push_back(0);
    if (joins / 2 % 2 == 1) plan.events[2].after.push_back(0);
    if (joins / 4 == 1) plan.events[2].after.push_back(1);
    const auto joined = [&](std::size_t a, bool after) {
      const auto& first = plan.events[a].stream;
      const auto& second = plan.events[a + 1].stream;
      return after || !first || !second || *first == *second;
    };
    const bool wanted = !joined(0, joins % 2 == 1) || !joined(1, joins / 4 == 1);
    broken += wanted ? 1 : 0;
    ASSERT_EQ(judge(finish(plan)).breaches.size(), wanted ? 1U : 0U) << what;
  }
  EXPECT_GT(broken, 0);
}

// A registration within the program of the capture counts behind the captured region only, within
// that of the replay always: its own operations come before the graph.
TEST(GroupsAreRegisteredProperty, RegisteredWithinThePrograms) {
  enum class Where { nowhere, before, inside, behind, at_replay };
  for (const Where where :
       {Where::nowhere, Where::before, Where::inside, Where::behind, Where::at_replay}) {
    Lifecycle plan{.world = 2};
    const GroupId tp = add_group(plan, "tp", {{0, 1}});
    plan.families[0].transport = Transport::peer;
    PlanOp enters = op(PlanOpKind::register_group, tp);
    enters.captured = where == Where::inside;
    std::vector<PlanOp> ops = {all_reduce(tp, 8)};
    if (where == Where::before) ops.insert(ops.begin(), enters);
    if (where == Where::inside || where == Where::behind) ops.push_back(enters);
    std::vector<PlanOp> at_replay;
    if (where == Where::at_replay) at_replay = {enters};
    plan.events = {capture("p", 8, {graph({0, 1}, 8, ops)}),
                   replay("p", 8, {graph({0, 1}, 8, at_replay)})};
    const bool wanted = where != Where::behind && where != Where::at_replay;
    EXPECT_EQ(judge(finish(plan)).breaches.size(), wanted ? 1U : 0U) << static_cast<int>(where);
  }
}

// A registration at the start of a capture's program counts for graphs that were captured before.
TEST(GroupsAreRegisteredProperty, RegisteredBeforeTheNextCapture) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  plan.families[0].transport = Transport::peer;
  PlanOp enters = op(PlanOpKind::register_group, tp);
  enters.captured = false;
  plan.events = {capture("p", 8, {graph({0, 1}, 8, {all_reduce(tp, 8)})}),
                 capture("p", 4, {graph({0, 1}, 4, {enters, all_reduce(tp, 4)})}),
                 replay("p", 8, {graph({0, 1}, 8)}), replay("p", 4, {graph({0, 1}, 4)})};
  const auto breaches = judge(finish(plan)).breaches;
  ASSERT_EQ(breaches.size(), 1U);
  EXPECT_EQ(breaches[0].event, 3);
  EXPECT_EQ(breaches[0].key, "{tokens: 4}");
}

// ---- one path on all ranks -------------------------------------------------------------------

// Two ranks, up to two operations each, of two kinds and every statement, on every transport, in a
// capture and eagerly: a path that is compared across kinds or that forgets what peer memory does
// when nothing is said.
TEST(GroupsAreRegisteredProperty, EveryPairOfPaths) {
  const std::array<std::optional<bool>, 3> stated = {std::nullopt, true, false};
  std::vector<std::vector<std::int32_t>> programs = {{}};
  for (std::int32_t a = 0; a < 6; ++a) {
    programs.push_back({a});
    for (std::int32_t b = 0; b < 6; ++b) programs.push_back({a, b});
  }
  std::int64_t broken = 0;
  for (const auto& first : programs) {
    for (const auto& second : programs) {
      for (const Transport transport : {Transport::peer, Transport::raw}) {
        for (const bool captured : {true, false}) {
          Lifecycle plan{.world = 2};
          const GroupId tp = add_group(plan, "tp", {{0, 1}});
          plan.families[0].transport = transport;
          const auto ops_of = [&](const std::vector<std::int32_t>& codes) {
            std::vector<PlanOp> ops;
            for (const std::int32_t code : codes) {
              ops.push_back(code < 3 ? all_reduce(tp, 8) : op(PlanOpKind::barrier, tp));
              ops.back().registered = stated.at(static_cast<std::size_t>(code % 3));
            }
            return ops;
          };
          plan.events = {captured ? capture("p", 8,
                                            {graph({0, 0}, 8, ops_of(first)),
                                             graph({1, 1}, 8, ops_of(second))})
                                  : eager("p", 8,
                                          {eager_program({0, 0}, 8, ops_of(first)),
                                           eager_program({1, 1}, 8, ops_of(second))})};
          bool wanted = false;
          for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
            if (first[i] / 3 != second[i] / 3) break;
            const auto path = [&](std::int32_t code) {
              return code % 3 == 1 || (code % 3 == 0 && transport == Transport::peer);
            };
            wanted = wanted || path(first[i]) != path(second[i]);
          }
          broken += wanted ? 1 : 0;
          const auto breaches = judge(finish(plan)).breaches;
          ASSERT_EQ(breaches.size(), wanted ? 1U : 0U);
          for (const Breach& breach : breaches) ASSERT_EQ(breach.symptom, Symptom::hang);
        }
      }
    }
  }
  EXPECT_GT(broken, 0);
}

// Repeats written out on one rank and folded on the other, with a difference in the last layer.
TEST(GroupsAreRegisteredProperty, RepeatsAreWrittenOut) {
  for (std::int64_t layers = 2; layers <= 6; ++layers) {
    for (const bool differs : {false, true}) {
      Lifecycle plan{.world = 2};
      const GroupId tp = add_group(plan, "tp", {{0, 1}});
      PlanOp plain = all_reduce(tp, 8);
      plain.registered = false;
      Program folded = graph({0, 0}, 8, {plain, op(PlanOpKind::norm)});
      folded.repeat = layers;
      Program written =
          graph({1, 1}, 8, std::vector<PlanOp>(static_cast<std::size_t>(layers), plain));
      if (differs) written.ops.back().registered = true;
      plan.events = {capture("p", 8, {folded, written})};
      const auto breaches = judge(finish(plan)).breaches;
      ASSERT_EQ(breaches.size(), differs ? 1U : 0U) << layers;
      for (const Breach& breach : breaches) {
        EXPECT_EQ(breach.at, &plan.events[0].programs[1].ops.back());
      }
    }
  }
}

// Ranks that were captured at different times meet with different paths only in the replay.
TEST(GroupsAreRegisteredProperty, PathsOfSeparateCaptures) {
  for (const bool plain : {false, true}) {
    Lifecycle plan{.world = 2};
    const GroupId tp = add_group(plan, "tp", {{0, 1}});
    plan.families[0].transport = Transport::peer;
    PlanOp other = all_reduce(tp, 8);
    if (plain) other.registered = false;
    plan.events = {capture("p", 8, {graph({0, 0}, 8, {all_reduce(tp, 8)})}),
                   capture("p", 8, {graph({1, 1}, 8, {other})}), register_groups({tp}),
                   replay("p", 8, {graph({0, 1}, 8)})};
    const auto breaches = judge(finish(plan)).breaches;
    ASSERT_EQ(breaches.size(), plain ? 1U : 0U);
    for (const Breach& breach : breaches) EXPECT_EQ(breach.event, 3);
  }
}

// ---- operands --------------------------------------------------------------------------------

// One operand on each of two ranks in every place, direction, path and transport: symmetric memory
// that is compared where nobody asks for it, or by buffer alone.
TEST(GroupsAreRegisteredProperty, EveryPairOfPlaces) {
  std::int64_t broken = 0;
  for (std::int64_t what = 0; what < 5 * 5 * 2 * 2 * 3; ++what) {
    std::int64_t rest = what;
    const auto draw = [&rest](std::int64_t count) {
      const std::int64_t value = rest % count;
      rest /= count;
      return value;
    };
    Lifecycle plan{.world = 2};
    const GroupId tp = add_group(plan, "tp", {{0, 1}});
    const std::array<std::int32_t, 2> buffers = {add_buffer(plan, {.name = "a"}),
                                                 add_buffer(plan, {.name = "b"})};
    const std::array<std::int64_t, 2> places = {draw(5), draw(5)};  // 0: not said
    const bool writes = draw(2) == 1;
    const bool registered = draw(2) == 1;
    plan.families[0].transport = std::array{Transport::peer, Transport::raw, Transport::checked}.at(
        static_cast<std::size_t>(draw(3)));
    std::vector<Program> programs;
    for (std::int64_t rank = 0; rank < 2; ++rank) {
      PlanOp reduce = all_reduce(tp, 8);
      reduce.registered = registered;
      const std::int64_t place = places.at(static_cast<std::size_t>(rank));
      if (place > 0) {
        (writes ? reduce.writes : reduce.reads) = {
            {buffers.at(static_cast<std::size_t>(place - 1) % 2), (place - 1) / 2 * 64, 64}};
      }
      programs.push_back(graph({rank, rank}, 8, {reduce}));
    }
    plan.events = {capture("p", 8, programs)};
    const bool wanted = registered && plan.families[0].transport != Transport::peer &&
                        places[0] > 0 && places[1] > 0 && places[0] != places[1];
    broken += wanted ? 1 : 0;
    const auto breaches = judge(finish(plan)).breaches;
    ASSERT_EQ(breaches.size(), wanted ? 1U : 0U) << what;
    if (!wanted) continue;
    EXPECT_EQ(breaches[0].symptom, Symptom::silent_corruption);
    EXPECT_EQ(breaches[0].buffer, (places[1] - 1) % 2 == 0 ? "a" : "b");
  }
  EXPECT_GT(broken, 0);
}

// A gather or scatter in place, where every rank's own slice lies elsewhere by design; the same
// slice outside of the whole is a fault.
TEST(GroupsAreRegisteredProperty, OwnSliceInPlace) {
  for (const PlanOpKind kind : {PlanOpKind::all_gather, PlanOpKind::reduce_scatter}) {
    for (const bool in_place : {true, false}) {
      Lifecycle plan{.world = 2};
      const GroupId tp = add_group(plan, "tp", {{0, 1}});
      plan.families[0].transport = Transport::raw;
      const std::int32_t pool = add_buffer(plan, {.name = "pool", .bytes = 512});
      std::vector<Program> programs;
      for (std::int64_t rank = 0; rank < 2; ++rank) {
        PlanOp each = op(kind, tp);
        each.registered = true;
        const std::vector<BufferRange> whole = {{pool, 0, 128}};
        const std::vector<BufferRange> own = {{pool, rank * 64 + (in_place ? 0 : 256), 64}};
        each.reads = kind == PlanOpKind::all_gather ? own : whole;
        each.writes = kind == PlanOpKind::all_gather ? whole : own;
        programs.push_back(graph({rank, rank}, 8, {each}));
      }
      plan.events = {capture("p", 8, programs)};
      EXPECT_EQ(judge(finish(plan)).breaches.size(), in_place ? 0U : 1U);
    }
  }
}

// Every memory, direction, path, transport and group size, captured or not, with a replay behind
// the capture, before it, or none.
TEST(GroupsAreRegisteredProperty, EveryVirtualOperand) {
  std::int64_t broken = 0;
  for (std::int64_t what = 0; what < 2 * 2 * 3 * 3 * 2 * 2 * 3; ++what) {
    std::int64_t rest = what;
    const auto draw = [&rest](std::int64_t count) {
      const std::int64_t value = rest % count;
      rest /= count;
      return value;
    };
    const bool is_virtual = draw(2) == 1;
    const bool writes = draw(2) == 1;
    const std::int64_t stated = draw(3);  // not said, registered, plain
    const std::int64_t transport = draw(3);
    const bool alone = draw(2) == 1;
    const bool captured = draw(2) == 1;
    const std::int64_t replays = draw(3);  // none, behind the capture, before it
    Lifecycle plan{.world = 2};
    const GroupId tp = add_group(plan, "tp",
                                 alone ? std::vector<std::vector<std::int32_t>>{{0}, {1}}
                                       : std::vector<std::vector<std::int32_t>>{{0, 1}});
    plan.families[0].transport = std::array{Transport::peer, Transport::raw, Transport::checked}.at(
        static_cast<std::size_t>(transport));
    const std::int32_t buffer = add_buffer(
        plan,
        {.name = "ws", .memory = is_virtual ? MemoryKind::virtual_memory : MemoryKind::runtime});
    PlanOp reduce = all_reduce(tp, 8);
    if (stated > 0) reduce.registered = stated == 1;
    (writes ? reduce.writes : reduce.reads) = {{buffer, 0, 64}};
    reduce.captured = captured;
    plan.events = {capture("p", 8, {graph({0, 1}, 8, {reduce})}), register_groups({tp})};
    if (replays == 1) plan.events.push_back(replay("p", 8, {graph({0, 1}, 8)}));
    if (replays == 2) plan.events.insert(plan.events.begin(), replay("p", 8, {graph({0, 1}, 8)}));
    const bool registered = stated == 1 || (stated == 0 && transport == 0);
    const bool peer_memory = registered && captured && !alone;
    const bool wanted = is_virtual && peer_memory;
    broken += wanted ? 1 : 0;
    const Judged judged = judge(finish(plan));
    EXPECT_EQ(judged.looked, peer_memory) << what;
    ASSERT_EQ(judged.breaches.size(), wanted ? 1U : 0U) << what;
    if (!wanted) continue;
    EXPECT_EQ(judged.breaches[0].event, replays == 1 ? 2 : replays == 2 ? 1 : 0);
    EXPECT_EQ(judged.breaches[0].symptom, Symptom::clean_error);
    EXPECT_EQ(judged.breaches[0].buffer, "ws");
  }
  EXPECT_GT(broken, 0);
}

// ---- what stays silent, and what is said -----------------------------------------------------

// Peer memory that is used eagerly only, a library without windows, a replay whose graph the plan
// does not hold: nothing to judge.
TEST(GroupsAreRegisteredProperty, NothingToJudge) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  const GroupId dp = add_group(plan, "dp", {{0, 1}});
  plan.families[0].transport = Transport::peer;
  PlanOp restated = all_reduce(tp, 8);
  restated.captured = true;
  plan.events = {eager("p", 8, {eager_program({0, 1}, 8, {all_reduce(tp, 8)})}),
                 capture("p", 8, {graph({0, 1}, 8, {all_reduce(dp, 8)})}),
                 replay("p", 8, {graph({0, 1}, 8)}),
                 replay("p", 4, {graph({0, 1}, 4, {restated})})};
  const Judged judged = judge(finish(plan));
  EXPECT_TRUE(judged.breaches.empty());
  EXPECT_FALSE(judged.looked);
}

// The blame names what is missing: another group's registration, one that came too early, too
// late, or for other ranks.
TEST(GroupsAreRegisteredProperty, BlameNamesWhatIsMissing) {
  const auto blame = [](const std::vector<PlanEvent>& before, const std::vector<PlanEvent>& between,
                        const std::vector<PlanEvent>& behind) {
    Lifecycle plan{.world = 2};
    const GroupId tp = add_group(plan, "tp", {{0, 1}});
    add_group(plan, "moe_tp", {{0, 1}});
    plan.families[0].transport = Transport::peer;
    plan.events = before;
    plan.events.push_back(capture("p", 16, {graph({0, 1}, 16, {all_reduce(tp, 16)})}));
    plan.events.insert(plan.events.end(), between.begin(), between.end());
    plan.events.push_back(replay("p", 16, {graph({0, 1}, 16)}));
    plan.events.insert(plan.events.end(), behind.begin(), behind.end());
    const auto breaches = judge(finish(plan)).breaches;
    return breaches.size() == 1 ? breaches[0].blame
                                : "breaches: " + std::to_string(breaches.size());
  };
  const GroupId tp{0};
  const GroupId moe_tp{1};
  const auto ends = [](const std::string& text, std::string_view end) {
    return text.ends_with(end) ? std::string() : text;
  };
  EXPECT_EQ(ends(blame({}, {}, {}), ": no group is registered between them"), "");
  EXPECT_EQ(ends(blame({}, {register_groups({moe_tp})}, {}),
                 ": moe_tp is among the registered groups, tp is not"),
            "");
  EXPECT_EQ(ends(blame({register_groups({tp})}, {}, {}),
                 ": tp is registered before the capture of 16 and not after it"),
            "");
  EXPECT_EQ(
      ends(blame({}, {}, {register_groups({tp})}), ": tp is registered only after this replay"),
      "");
  EXPECT_EQ(
      ends(blame({}, {register_groups({tp}, {1, 1})}, {}), ": tp is registered for rank 1 only"),
      "");
}

}  // namespace
}  // namespace capsize::groups_are_registered_test
