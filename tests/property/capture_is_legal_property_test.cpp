// capture_is_legal against facts written out rank by rank: who launches over which communicator in
// which event, what was created, used, waited for and ordered before. Short schedules are tried
// one by one, longer ones at random.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <tuple>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/plan_laws.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::capture_is_legal_test {
namespace {

using namespace parts;
using Ranks = std::uint32_t;  // bit r: rank r

// ---- schedules -------------------------------------------------------------------------------

enum class Act : std::uint8_t {
  create,
  enter,  // registers
  run,
  run_then_wait,
  wait_then_run,
  capture,
  capture_globally,
  replay,
};
constexpr std::int64_t kActs = 8;

struct Step {
  Act act = Act::run;
  std::int64_t family = 0;
  Ranks ranks = 1;
  std::int64_t stream = -1;  // -1: none
  std::uint32_t after = 0;   // bit e: event e
};

struct World {
  std::int64_t ranks = 2;
  std::vector<std::vector<std::vector<std::int32_t>>> families;
  std::vector<Transport> transports;
};

std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << "{act " << static_cast<int>(step.act) << " family " << step.family << " ranks "
             << step.ranks << " stream " << step.stream << " after " << step.after << "}";
}

bool captures(const Step& step) {
  return step.act == Act::capture || step.act == Act::capture_globally;
}
bool runs(const Step& step) {
  return step.act == Act::run || step.act == Act::run_then_wait || step.act == Act::wait_then_run;
}

PlanEvent event_of(const Step& step) {
  const GroupId group{static_cast<std::int8_t>(step.family)};
  const std::int64_t rows = 8 + step.family;
  const RankSet ranks = property::ranks_of(step.ranks);
  std::vector<PlanOp> ops = {all_reduce(group, rows)};
  switch (step.act) {
    case Act::create: {
      PlanEvent event = create(group);
      event.ranks = ranks;
      return event;
    }
    case Act::enter: return register_groups({group}, ranks);
    case Act::run_then_wait: ops.push_back(op(PlanOpKind::host_wait)); break;
    case Act::wait_then_run: ops.insert(ops.begin(), op(PlanOpKind::host_wait)); break;
    case Act::capture:
    case Act::capture_globally: {
      PlanEvent event = capture("p", rows, {graph(ranks, rows, ops)});
      if (step.act == Act::capture_globally) event.capture_mode = CaptureMode::global;
      return event;
    }
    case Act::replay: return replay("p", rows, {graph(ranks, rows)});
    case Act::run: break;
  }
  return eager("p", rows, {eager_program(ranks, rows, ops)});
}

Lifecycle plan_of(const World& world, const std::vector<Step>& steps) {
  Lifecycle plan{.world = world.ranks};
  for (std::size_t i = 0; i < world.families.size(); ++i) {
    add_group(plan, "g" + std::to_string(i), world.families[i]);
    plan.families.back().transport = world.transports[i];
  }
  for (std::size_t e = 0; e < steps.size(); ++e) {
    PlanEvent event = event_of(steps[e]);
    if (steps[e].stream >= 0) event.stream = steps[e].stream;
    for (std::size_t j = 0; j < e; ++j) {
      if ((steps[e].after >> j & 1U) != 0) event.after.push_back(static_cast<std::int32_t>(j));
    }
    plan.events.push_back(std::move(event));
  }
  return finish(plan);
}

// ---- what must be found ----------------------------------------------------------------------

enum class Clause : std::uint8_t { created, used, set_up, launched, pending, watched, other };
using Key = std::tuple<Clause, std::int32_t, std::int64_t>;  // event; family, or -1
using Found = std::map<Key, std::set<std::int64_t>>;         // the ranks that break it

Clause clause_of(const Breach& breach) {
  const auto says = [&](std::string_view text) {
    return breach.blame.find(text) != std::string::npos;
  };
  if (says("created only")) return Clause::created;
  if (says("before it ran anything")) return Clause::used;
  if (says("launches over")) return Clause::launched;
  if (says("watchdog")) return Clause::watched;
  if (says("is pending on")) return Clause::pending;
  return says("nothing orders the two") ? Clause::set_up : Clause::other;
}

Found found_in(const std::vector<Breach>& breaches) {
  Found out;
  for (const Breach& breach : breaches) {
    const Clause clause = clause_of(breach);
    const std::int64_t family = clause == Clause::watched ? -1 : breach.group.index;
    out[{clause, breach.event, family}].insert(*breach.rank);
    const bool hangs = clause == Clause::launched;
    EXPECT_EQ(breach.symptom, hangs ? Symptom::hang : Symptom::clean_error) << breach.blame;
  }
  return out;
}

class Facts {
 public:
  Facts(const World& world, const std::vector<Step>& steps) : world_(world), steps_(steps) {
    const std::size_t count = steps.size();
    ended_.assign(count, std::vector<bool>(count, false));
    for (std::size_t b = 0; b < count; ++b) {
      for (std::size_t a = 0; a < b; ++a) {
        ended_[a][b] = steps[a].stream < 0 || steps[b].stream < 0 ||
                       steps[a].stream == steps[b].stream || (steps[b].after >> a & 1U) != 0;
      }
    }
    // The transitive closure, over every event between.
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b < count; ++b) {
          if (ended_[a][k] && ended_[k][b]) ended_[a][b] = true;
        }
      }
    }
  }

  Found expected() {
    for (std::size_t e = 0; e < steps_.size(); ++e) {
      for (std::int64_t rank = 0; rank < world_.ranks; ++rank) {
        if (in(steps_[e], rank)) judge(e, rank);
      }
    }
    return std::move(found_);
  }

 private:
  [[nodiscard]] static bool in(const Step& step, std::int64_t rank) {
    return (step.ranks >> rank & 1U) != 0;
  }
  [[nodiscard]] bool has_peers(std::int64_t family, std::int64_t rank) const {
    for (const auto& group : world_.families[static_cast<std::size_t>(family)]) {
      if (std::ranges::find(group, rank) != group.end()) return group.size() > 1;
    }
    return false;
  }
  // Whether a rank launches over the family of an event in it.
  [[nodiscard]] bool launches(std::size_t e, std::int64_t rank) const {
    const Step& step = steps_[e];
    if (!in(step, rank) || !has_peers(step.family, rank)) return false;
    if (step.act != Act::replay) return runs(step) || captures(step);
    for (std::size_t j = 0; j < e; ++j) {
      const bool same = captures(steps_[j]) && steps_[j].family == step.family;
      if (same && in(steps_[j], rank)) return true;
    }
    return false;
  }
  void find(Clause clause, std::size_t event, std::int64_t family, std::int64_t rank) {
    found_[{clause, static_cast<std::int32_t>(event), family}].insert(rank);
  }
  void judge(std::size_t e, std::int64_t rank);
  void judge_beside(std::size_t e, std::int64_t rank);
  void judge_watched(std::size_t e, std::int64_t rank);

  const World& world_;
  const std::vector<Step>& steps_;
  std::vector<std::vector<bool>> ended_;  // [a][b]: a has ended when b begins
  Found found_;
};

void Facts::judge(std::size_t e, std::int64_t rank) {
  const Step& step = steps_[e];
  bool created = false;
  bool created_later = false;
  bool in_plan = false;
  bool used = false;
  for (std::size_t j = 0; j < steps_.size(); ++j) {
    if (steps_[j].family != step.family) continue;
    if (steps_[j].act == Act::create) {
      in_plan = true;
      if (in(steps_[j], rank)) (j < e ? created : created_later) = true;
    }
    if (j < e && runs(steps_[j]) && launches(j, rank) && ended_[j][e]) used = true;
  }
  const bool enters = step.act == Act::enter && has_peers(step.family, rank);
  if ((launches(e, rank) || enters) && !created && created_later) {
    find(Clause::created, e, step.family, rank);
  }
  if (captures(step) && launches(e, rank) && in_plan && !used) {
    find(Clause::used, e, step.family, rank);
  }
  judge_beside(e, rank);
  if (step.act == Act::capture_globally) judge_watched(e, rank);
}

void Facts::judge_beside(std::size_t e, std::int64_t rank) {
  const Step& step = steps_[e];
  for (std::size_t j = 0; j < steps_.size(); ++j) {
    const Step& other = steps_[j];
    if (j == e || !in(other, rank) || (j < e ? ended_[j][e] : ended_[e][j])) continue;
    const bool sets_up = other.act == Act::create || other.act == Act::enter;
    if (captures(step) && sets_up) find(Clause::set_up, e, other.family, rank);
    if (j > e) continue;
    const bool graph =
        step.act == Act::replay || other.act == Act::replay || captures(step) || captures(other);
    const bool both = launches(e, rank) && launches(j, rank) && other.family == step.family;
    if (graph && both) find(Clause::launched, e, step.family, rank);
    if (step.act == Act::capture_globally && launches(j, rank)) {
      find(Clause::pending, e, other.family, rank);
    }
  }
}

// Backwards to the last host wait of the rank.
void Facts::judge_watched(std::size_t e, std::int64_t rank) {
  for (std::size_t j = e; j-- > 0;) {
    const Step& before = steps_[j];
    if (!in(before, rank) || !runs(before)) continue;
    if (before.act == Act::run_then_wait) return;
    const bool checked =
        world_.transports[static_cast<std::size_t>(before.family)] == Transport::checked;
    if (checked && launches(j, rank)) return find(Clause::watched, e, -1, rank);
    if (before.act == Act::wait_then_run) return;
  }
}

// Every broken event and family is told, by its first rank, and no rank that is right.
std::string difference(const Found& got, const Found& expected) {
  for (const auto& [key, ranks] : expected) {
    const auto at = got.find(key);
    const std::string where = "clause " + std::to_string(static_cast<int>(std::get<0>(key))) +
                              " event " + std::to_string(std::get<1>(key)) + " family " +
                              std::to_string(std::get<2>(key));
    if (at == got.end()) return "not found: " + where;
    if (*at->second.begin() != *ranks.begin()) return "another first rank: " + where;
    if (!std::ranges::includes(ranks, at->second)) return "a rank that is right: " + where;
  }
  for (const auto& [key, ranks] : got) {
    if (expected.contains(key)) continue;
    return "found without cause: clause " + std::to_string(static_cast<int>(std::get<0>(key))) +
           " event " + std::to_string(std::get<1>(key)) + " rank " + std::to_string(*ranks.begin());
  }
  return "";
}

std::string difference(const World& world, const std::vector<Step>& steps) {
  const Found expected = Facts(world, steps).expected();
  return difference(found_in(property::breaches_of("capture_is_legal", plan_of(world, steps))),
                    expected);
}

const World& pair_world() {
  static const World world{2, {{{0, 1}}}, {Transport::checked}};
  return world;
}

// Three events of every kind, by every subset of two ranks, on no stream or one of two. A use that
// counts although it is not over, a creation that counts for ranks that it left out, an event that
// is compared with itself.
TEST(CaptureIsLegalProperty, EveryScheduleOfThreeEvents) {
  std::vector<Step> steps(3);
  std::int64_t count = 0;
  std::int64_t broken = 0;
  constexpr std::int64_t kSteps = kActs * 3 * 3;
  const auto step_at = [](std::int64_t i) {
    return Step{.act = static_cast<Act>(i % kActs),
                .ranks = static_cast<Ranks>(1 + i / kActs % 3),
                .stream = i / kActs / 3 - 1};
  };
  for (std::int64_t a = 0; a < kSteps; ++a) {
    for (std::int64_t b = 0; b < kSteps; ++b) {
      for (std::int64_t c = 0; c < kSteps; ++c) {
        steps = {step_at(a), step_at(b), step_at(c)};
        const Found got =
            found_in(property::breaches_of("capture_is_legal", plan_of(pair_world(), steps)));
        ASSERT_EQ(difference(got, Facts(pair_world(), steps).expected()), "")
            << steps[0] << steps[1] << steps[2];
        ++count;
        broken += got.empty() ? 0 : 1;
      }
    }
  }
  EXPECT_EQ(count, kSteps * kSteps * kSteps);
  property::visited(count);
  EXPECT_GT(broken, count / 20);
  EXPECT_LT(broken, count - count / 20);
}

// Four events on two streams under every set of joins: an order that is not followed through an
// event between, or that is read backwards.
TEST(CaptureIsLegalProperty, EveryJoinOfFourEvents) {
  constexpr std::array<Act, 4> kinds = {Act::replay, Act::capture_globally, Act::enter, Act::run};
  std::vector<Step> steps(5);
  steps[0] = {.act = Act::capture, .ranks = 3};
  for (std::int64_t what = 0; what < 8 * 8 * 8 * 8; ++what) {
    for (std::uint32_t joins = 0; joins < 64; ++joins) {
      std::int64_t rest = what;
      for (std::size_t e = 1; e <= 4; ++e, rest /= 8) {
        steps[e] = {.act = kinds.at(static_cast<std::size_t>(rest % 4)),
                    .ranks = 3,
                    .stream = rest / 4 % 2};
      }
      steps[2].after = (joins & 1U) << 1U;
      steps[3].after = (joins >> 1U & 3U) << 1U;
      steps[4].after = (joins >> 3U & 7U) << 1U;
      const std::string wrong = difference(pair_world(), steps);
      ASSERT_EQ(wrong, "") << steps[1] << steps[2] << steps[3] << steps[4];
    }
  }
}

// Four events on one stream, each by both ranks or one: a host wait that settles the work of
// others, work of one rank that hides that of another.
TEST(CaptureIsLegalProperty, EveryHostWait) {
  constexpr std::array<Act, 4> kinds = {Act::run, Act::run_then_wait, Act::wait_then_run,
                                        Act::capture_globally};
  constexpr std::int64_t kSteps = 12;
  std::int64_t broken = 0;
  for (std::int64_t what = 0; what < kSteps * kSteps * kSteps * kSteps; ++what) {
    std::vector<Step> steps(4);
    std::int64_t rest = what;
    for (Step& step : steps) {
      step = {.act = kinds.at(static_cast<std::size_t>(rest % 4)),
              .ranks = static_cast<Ranks>(1 + rest / 4 % 3)};
      rest /= kSteps;
    }
    const Found expected = Facts(pair_world(), steps).expected();
    broken += expected.empty() ? 0 : 1;
    ASSERT_EQ(difference(
                  found_in(property::breaches_of("capture_is_legal", plan_of(pair_world(), steps))),
                  expected),
              "")
        << steps[0] << steps[1] << steps[2] << steps[3];
  }
  EXPECT_GT(broken, 0);
}

rc::Gen<Step> any_step(std::int64_t ranks, std::int64_t families) {
  using generators::evenly;
  return rc::gen::build<Step>(
      rc::gen::set(&Step::act,
                   rc::gen::map(evenly(0, kActs), [](std::int64_t i) { return Act(i); })),
      rc::gen::set(&Step::family, evenly(0, families)),
      rc::gen::set(&Step::ranks, rc::gen::map(evenly(1, std::int64_t{1} << ranks),
                                              [](std::int64_t mask) { return Ranks(mask); })),
      rc::gen::set(&Step::stream, generators::one_of<std::int64_t>({-1, 0, 0, 1, 1, 2})),
      rc::gen::set(&Step::after, rc::gen::map(evenly(0, 1 << 10), [](std::int64_t mask) {
        return static_cast<std::uint32_t>(mask & (mask >> 3));
      })));
}

// Twelve events, six ranks, three communicators of which some ranks are alone in theirs.
TEST(CaptureIsLegalProperty, RandomSchedules) {
  EXPECT_TRUE(property::holds("random schedules", [] {
    static const World world{6,
                             {{{0, 1, 2, 3, 4, 5}}, {{0, 1}, {2}, {3, 4}}, {{0, 2, 4}, {1, 3, 5}}},
                             {Transport::checked, Transport::raw, Transport::peer}};
    const auto steps =
        *rc::gen::resize(14, rc::gen::container<std::vector<Step>>(any_step(world.ranks, 3)));
    RC_CLASSIFY(property::breaches_of("capture_is_legal", plan_of(world, steps)).empty(), "legal");
    const std::string wrong = difference(world, steps);
    if (!wrong.empty()) RC_FAIL(wrong);
  }));
}

// ---- within one program ----------------------------------------------------------------------

// Every kind of operation, captured or not, in every event and mode: a kind that is forgotten, and
// one that is refused outside of a captured region.
TEST(CaptureIsLegalProperty, EveryKindOfOperation) {
  for (std::size_t kind = 0; kind < kPlanOpKinds; ++kind) {
    for (const auto event : {PlanEventKind::capture, PlanEventKind::warm_up, PlanEventKind::eager,
                             PlanEventKind::replay}) {
      for (const auto mode : {GraphMode::graph, GraphMode::piecewise, GraphMode::eager}) {
        for (const auto captured :
             {std::optional<bool>(), std::optional(true), std::optional(false)}) {
          Lifecycle plan{.world = 2};
          const GroupId tp = add_group(plan, "tp", {{0, 1}});
          PlanOp call = op(static_cast<PlanOpKind>(kind), tp);
          call.captured = captured;
          Program program = graph({0, 1}, 8, {call});
          program.mode = mode;
          plan.events = {run(event, "p", 8, {program})};
          const bool region = event == PlanEventKind::capture && mode != GraphMode::eager &&
                              captured.value_or(true);
          const std::string_view name = name_of(call.kind);
          const bool host = name == "host_wait" || name == "host_collective" ||
                            name == "create_group" || name == "register";
          EXPECT_EQ(property::breaches_of("capture_is_legal", finish(plan)).size(),
                    region && host ? 1U : 0U)
              << name;
        }
      }
    }
  }
}

// A collective, something between and a wait, in every pair of segments, inside and outside of the
// graph, joined in every way.
TEST(CaptureIsLegalProperty, EveryWait) {
  const std::array<std::optional<std::int64_t>, 3> segments = {std::nullopt, 0, 1};
  std::int64_t broken = 0;
  for (std::int64_t what = 0; what < 3 * 3 * 2 * 2 * 2 * 5; ++what) {
    std::int64_t rest = what;
    const auto draw = [&rest](std::int64_t count) {
      const std::int64_t value = rest % count;
      rest /= count;
      return value;
    };
    Lifecycle plan{.world = 2};
    const GroupId tp = add_group(plan, "tp", {{0, 1}});
    PlanOp reduce = all_reduce(tp, 8);
    PlanOp between = op(draw(2) == 0 ? PlanOpKind::kernel : PlanOpKind::barrier, tp);
    PlanOp wait = op(PlanOpKind::wait);
    reduce.segment = segments.at(static_cast<std::size_t>(draw(3)));
    wait.segment = segments.at(static_cast<std::size_t>(draw(3)));
    between.segment = wait.segment;
    reduce.captured = draw(2) == 0;
    wait.captured = draw(2) == 0;
    between.captured = wait.captured;
    // Names the collective by after, by from, by both, names the one between, or nothing.
    const std::int64_t how = draw(5);
    if (how == 0 || how == 2) wait.after = {0};
    if (how == 1) wait.from = {0};
    if (how == 2 || how == 3) wait.from = {1};
    Program program = graph({0, 1}, 8, {reduce, between, wait});
    program.mode = GraphMode::piecewise;
    plan.events = {capture("p", 8, {program})};
    const bool apart =
        *reduce.captured != *wait.captured ||
        (*wait.captured && reduce.segment && wait.segment && *reduce.segment != *wait.segment);
    const bool wanted = apart && how <= 2;
    broken += wanted ? 1 : 0;
    ASSERT_EQ(property::breaches_of("capture_is_legal", finish(plan)).size(), wanted ? 1U : 0U)
        << what;
  }
  EXPECT_GT(broken, 0);
}

// A wait of the host's side of a replay for what the graph launched.
TEST(CaptureIsLegalProperty, WaitOfAReplayForItsGraph) {
  for (const bool inside : {false, true}) {
    Lifecycle plan{.world = 2};
    const GroupId tp = add_group(plan, "tp", {{0, 1}});
    PlanOp reduce = all_reduce(tp, 8);
    reduce.captured = inside;
    PlanOp wait = op(PlanOpKind::wait);
    wait.captured = false;
    plan.events = {capture("p", 8, {graph({0, 1}, 8, {all_reduce(tp, 8)})}),
                   replay("p", 8, {graph({0, 1}, 8, {reduce, wait})})};
    const auto breaches = property::breaches_of("capture_is_legal", finish(plan));
    ASSERT_EQ(breaches.size(), inside ? 1U : 0U);
    for (const Breach& breach : breaches) EXPECT_EQ(breach.event, 1);
  }
}

// Four operations on two streams over two communicators with every set of joins, against paths
// through the operations between. Found once a communicator.
TEST(CaptureIsLegalProperty, EveryOrderOfFourOperations) {
  std::int64_t broken = 0;
  for (std::uint32_t what = 0; what < 4U * 4U * 4U * 4U * 64U; ++what) {
    Lifecycle plan{.world = 2};
    const std::array<GroupId, 2> groups = {add_group(plan, "tp", {{0, 1}}),
                                           add_group(plan, "dp", {{0, 1}})};
    std::vector<PlanOp> ops;
    std::array<std::array<bool, 4>, 4> before{};
    std::uint32_t joins = what >> 8U;
    for (std::uint32_t b = 0; b < 4; ++b) {
      const std::uint32_t kind = what >> (2 * b) & 3U;
      PlanOp each = all_reduce(groups.at(kind & 1U), 8);
      each.stream = static_cast<std::int32_t>(kind >> 1U);
      for (std::uint32_t a = 0; a < b; ++a, joins >>= 1U) {
        if ((joins & 1U) != 0) each.after.push_back(static_cast<std::int32_t>(a));
        before.at(a).at(b) = (joins & 1U) != 0 || ops[a].stream == each.stream;
      }
      ops.push_back(each);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      for (std::size_t a = 0; a < k; ++a) {
        for (std::size_t b = k + 1; b < 4; ++b) {
          if (before.at(a).at(k) && before.at(k).at(b)) before.at(a).at(b) = true;
        }
      }
    }
    std::set<std::int32_t> races;
    for (std::size_t b = 0; b < 4; ++b) {
      for (std::size_t a = 0; a < b; ++a) {
        const bool same = ops[a].group == ops[b].group;
        if (same && !before.at(a).at(b)) races.insert(ops[a].group.index);
      }
    }
    broken += races.empty() ? 0 : 1;
    plan.events = {capture("p", 8, {graph({0, 1}, 8, ops)})};
    std::set<std::int32_t> got;
    for (const Breach& breach : property::breaches_of("capture_is_legal", finish(plan))) {
      EXPECT_EQ(breach.symptom, Symptom::hang);
      EXPECT_TRUE(got.insert(breach.group.index).second);
    }
    ASSERT_EQ(got, races) << what;
  }
  EXPECT_GT(broken, 0);
}

// A group may be created and used first within the program that captures, as long as it is before
// the region, on this rank.
TEST(CaptureIsLegalProperty, CreatedAndUsedInTheProgramOfTheCapture) {
  std::vector<int> places = {0, 1, 2};  // creates, uses, captures
  do {
    Lifecycle plan{.world = 2};
    const GroupId tp = add_group(plan, "tp", {{0, 1}});
    std::vector<PlanOp> ops;
    for (const int place : places) {
      ops.push_back(place == 0 ? op(PlanOpKind::create_group, tp) : all_reduce(tp, 8));
      ops.back().captured = place == 2;
    }
    plan.events = {capture("p", 8, {graph({0, 1}, 8, ops)})};
    const auto at = [&](int what) { return std::ranges::find(places, what); };
    const std::size_t wanted =
        (at(0) > std::min(at(1), at(2)) ? 1U : 0U) + (at(2) < at(1) ? 1U : 0U);
    EXPECT_EQ(property::breaches_of("capture_is_legal", finish(plan)).size(), wanted);
  } while (std::ranges::next_permutation(places).found);
}

// ---- exchanges and versions ------------------------------------------------------------------

// Sizes that are compared with the first alone, or with the group's.
TEST(CaptureIsLegalProperty, EveryExchange) {
  for (std::int64_t what = 0; what < 3 * 3 * 3; ++what) {
    for (const PlanOpKind kind : {PlanOpKind::all_to_all, PlanOpKind::all_gather}) {
      for (const bool captured : {false, true}) {
        Lifecycle plan{.world = 3};
        PlanOp exchange = op(kind, add_group(plan, "ep", {{0, 1, 2}}));
        exchange.sizes = {what % 3, what / 3 % 3, what / 9};
        exchange.captured = captured;
        plan.events = {capture("p", 8, {graph({0, 2}, 8, {exchange})})};
        const bool wanted = captured && kind == PlanOpKind::all_to_all &&
                            std::set(exchange.sizes.begin(), exchange.sizes.end()).size() > 1;
        EXPECT_EQ(property::breaches_of("capture_is_legal", finish(plan)).size(), wanted ? 1U : 0U)
            << what;
      }
    }
  }
}

std::size_t breaches_with(std::string version, Transport transport = Transport::checked,
                          std::string library = "nccl") {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  plan.families[0].transport = transport;
  plan.libraries = {{std::move(library), std::move(version)}};
  plan.events = {capture("p", 8, {graph({0, 1}, 8, {all_reduce(tp, 8)})})};
  return property::breaches_of("capture_is_legal", finish(plan)).size();
}

// Versions that are compared as text: "2.28.3" is newer than "2.9.6".
TEST(CaptureIsLegalProperty, EveryVersion) {
  for (std::int64_t major = 0; major <= 3; ++major) {
    for (std::int64_t minor = 0; minor <= 30; ++minor) {
      for (std::int64_t patch = 0; patch <= 12; ++patch) {
        const std::string text =
            std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
        const bool old = major * 10000 + minor * 100 + patch < 20906;
        EXPECT_EQ(breaches_with(text), old ? 1U : 0U) << text;
      }
    }
  }
  EXPECT_EQ(breaches_with("2.8.3-1"), 1U);
  EXPECT_EQ(breaches_with("2.8.3", Transport::raw), 1U);
  EXPECT_EQ(breaches_with("2.8.3", Transport::peer), 0U);
  EXPECT_EQ(breaches_with("2.8.3", Transport::checked, "rccl"), 0U);
  for (const std::string text : {"", "2", "2.8", "2.8.", "2.x.3", "v2.8.3", "2.8.3.1", "2.-8.3",
                                 "2.8.99999999999", "2708", "2.8.3rc"}) {
    EXPECT_EQ(breaches_with(text), 0U) << text;
  }
}

// Memory that comes and goes during a capture lies in a pool of its own; a communicator whose
// creation the plan does not hold may be used first in a capture; one rank alone may do anything.
TEST(CaptureIsLegalProperty, LegalThoughOdd) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  const GroupId own = add_group(plan, "own", {{0}, {1}});
  const std::int32_t buffer = add_buffer(plan, {.name = "scratch", .bytes = 64});
  PlanOp take = op(PlanOpKind::allocate);
  PlanOp drop = op(PlanOpKind::free);
  take.buffer = drop.buffer = buffer;
  plan.events = {
      capture("p", 8, {graph({0, 1}, 8, {take, all_reduce(tp, 8), drop, all_reduce(own, 8)})}),
      create(own), replay("p", 8, {graph({0, 1}, 8)})};
  EXPECT_TRUE(property::breaches_of("capture_is_legal", finish(plan)).empty());
}

}  // namespace
}  // namespace capsize::capture_is_legal_test
