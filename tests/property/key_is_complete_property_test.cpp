// key_is_complete against machines that store and look graphs up rank by rank, write a step's
// launches out one by one, and deal batches to replicas. Small domains are tried whole, larger
// ones at random.
#include <gtest/gtest.h>

#include <array>
#include <list>
#include <map>
#include <ostream>
#include <set>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/plan_laws.hpp"

namespace capsize::key_is_complete_test {
namespace {

using namespace parts;
using generators::evenly;
using generators::one_of;
using property::Histogram;
using Mask = std::uint32_t;  // bit r: rank r

constexpr std::string_view kLaw = "key_is_complete";

bool holds(Mask mask, std::int64_t bit) { return (mask >> bit & 1U) != 0; }

// ---- store and look-up -----------------------------------------------------------------------

// A key of a size and an adapter; 0 and -1: the component is not in it. `bucket` and `tokens` 0:
// not said.
struct Act {
  bool replay = false;
  Mask ranks = 3;
  std::int64_t path = 0;
  std::int64_t size = 8;
  std::int64_t lora = -1;
  bool has_key = true;
  std::int64_t bucket = 8;
  bool piecewise = false;
  std::int64_t tokens = 0;  // of a capture
};

// An entry of `captures`.
struct Listed {
  std::int64_t path = 0;
  bool has_key = false;
  std::int64_t lora = -1;
  std::optional<bool> piecewise;
  std::vector<std::int64_t> kept;
};

struct Life {
  std::int64_t ranks = 2;
  std::vector<Act> acts;
  std::vector<Listed> listed;
};

std::ostream& operator<<(std::ostream& out, const Life& life) {
  for (const Listed& each : life.listed) {
    out << "\n  listed path " << each.path << " key " << each.has_key << " lora " << each.lora
        << " piecewise " << (each.piecewise ? (*each.piecewise ? "yes" : "no") : "-") << " kept";
    for (const std::int64_t size : each.kept) out << " " << size;
  }
  for (const Act& act : life.acts) {
    out << "\n  " << (act.replay ? "replay" : "capture") << " ranks " << act.ranks << " path "
        << act.path << " size " << act.size << " lora " << act.lora << " key " << act.has_key
        << " bucket " << act.bucket << " piecewise " << act.piecewise << " tokens " << act.tokens;
  }
  return out;
}

GraphKey key_of(std::int64_t size, std::int64_t lora) {
  GraphKey key;
  if (lora >= 0) key.emplace_back("lora", std::to_string(lora));
  if (size > 0) key.emplace_back("tokens", std::to_string(size));
  return key;
}

std::string path_name(std::int64_t path) { return "p" + std::to_string(path); }

Lifecycle plan_of(const Life& life) {
  Lifecycle plan{.world = life.ranks};
  for (const Listed& each : life.listed) {
    PlanCapture entry{.path = path_name(each.path), .kept = each.kept};
    if (each.has_key) entry.key = key_of(0, each.lora);
    if (each.piecewise) entry.mode = *each.piecewise ? GraphMode::piecewise : GraphMode::graph;
    plan.captures.push_back(std::move(entry));
  }
  for (const Act& act : life.acts) {
    Program program{.ranks = property::ranks_of(act.ranks),
                    .mode = act.piecewise ? GraphMode::piecewise : GraphMode::graph};
    if (act.bucket > 0) program.bucket = act.bucket;
    if (act.has_key) program.key = key_of(act.size, act.lora);
    PlanEvent event = run(act.replay ? PlanEventKind::replay : PlanEventKind::capture,
                          path_name(act.path), 0, {std::move(program)});
    event.tokens.reset();
    if (!act.replay && act.tokens > 0) event.tokens = act.tokens;
    plan.events.push_back(std::move(event));
  }
  return std::move(finish(plan));
}

// The rows of a graph; 0: not known.
std::int64_t rows_of(const Act& act) {
  if (act.bucket > 0) return act.bucket;
  return act.has_key ? act.size : 0;
}

bool finds(const Act& wanted, const Act& stored) {
  if (wanted.path != stored.path) return false;
  if (!wanted.has_key || !stored.has_key) return rows_of(wanted) == rows_of(stored);
  return wanted.size == stored.size && wanted.lora == stored.lora;
}

// Whether the capture of `wanted` may be one that is not written down, for all that `shown` says.
bool may_be_unwritten(const Life& life, const Act& wanted, const std::vector<Act>& shown) {
  bool listed = false;
  bool listed_by_key = false;
  for (const Listed& each : life.listed) {
    const bool other_key = each.has_key && wanted.has_key && each.lora != wanted.lora;
    if (each.path != wanted.path || other_key) continue;
    if (each.piecewise && *each.piecewise != wanted.piecewise) continue;
    const bool kept = std::ranges::find(each.kept, rows_of(wanted)) != each.kept.end();
    listed = listed || kept;
    listed_by_key = listed_by_key || (kept && each.has_key && wanted.has_key);
  }
  for (const Act& stored : shown) {
    if (stored.path != wanted.path) continue;
    if (finds(wanted, stored)) return false;  // by other ranks
    const bool same_size = rows_of(stored) == rows_of(wanted) ||
                           (stored.bucket == 0 && stored.tokens == rows_of(wanted));
    if (!same_size || rows_of(wanted) == 0 || !wanted.has_key || !stored.has_key) continue;
    if (stored.lora == wanted.lora) return false;  // stored under another size
    const bool same_names = (stored.lora < 0) == (wanted.lora < 0);
    if (!same_names && !listed_by_key) return false;  // stored under a part of the key
  }
  return listed;
}

// The events in which a rank looks up what is not there, with the first such rank.
std::map<std::int32_t, std::int64_t> lost_lookups(const Life& life) {
  std::map<std::int32_t, std::int64_t> out;
  std::map<std::int64_t, std::vector<Act>> stores;  // of each rank
  std::vector<Act> shown;
  for (std::int32_t event = 0; event < std::ssize(life.acts); ++event) {
    const Act& act = life.acts[static_cast<std::size_t>(event)];
    for (std::int64_t rank = 0; rank < life.ranks; ++rank) {
      if (!holds(act.ranks, rank)) continue;
      if (!act.replay) stores[rank].push_back(act);
      const auto found = [&](const Act& stored) { return finds(act, stored); };
      if (!act.replay || std::ranges::any_of(stores[rank], found)) continue;
      if (!may_be_unwritten(life, act, shown)) out.emplace(event, rank);
    }
    if (!act.replay) shown.push_back(act);
  }
  return out;
}

std::map<std::int32_t, std::int64_t> told_lookups(const Life& life) {
  std::map<std::int32_t, std::int64_t> out;
  for (const Breach& breach : property::breaches_of(kLaw, plan_of(life))) {
    if (breach.symptom == Symptom::silent_eager) out.emplace(breach.event, *breach.rank);
  }
  return out;
}

// A look-up under another key than the store's, by a rank that did not capture, of another path;
// and a graph whose capture the plan need not hold.
TEST(KeyIsCompleteProperty, EveryReplayAfterTwoCaptures) {
  const std::vector<Act> keys = {{},
                                 {.size = 16, .bucket = 16},
                                 {.size = 16},
                                 {.lora = 0},
                                 {.lora = 1},
                                 {.size = 16, .lora = 1, .bucket = 0, .tokens = 8},
                                 {.has_key = false},
                                 {.path = 1},
                                 {.size = 0, .bucket = 0}};
  const std::vector<std::vector<Listed>> lists = {
      {},
      {{.kept = {8, 16}}},
      {{.has_key = true, .kept = {8}}},
      {{.has_key = true, .lora = 1, .kept = {8}}},
      {{.piecewise = true, .kept = {8}}, {.path = 1, .kept = {16}}},
  };
  std::int64_t lost = 0;
  std::int64_t count = 0;
  for (const auto& listed : lists) {
    for (std::size_t code = 0; code < 9 * 9 * 9 * 9; ++code) {
      Life life{.listed = listed};
      std::size_t rest = code;
      for (std::size_t i = 0; i < 3; ++i, rest /= 9) life.acts.push_back(keys[rest % 9]);
      life.acts[0].ranks = 1 + static_cast<Mask>(rest % 3);
      life.acts[1].ranks = 1 + static_cast<Mask>(rest / 3);
      life.acts[2].replay = true;
      const auto wanted = lost_lookups(life);
      ASSERT_EQ(told_lookups(life), wanted) << rc::toString(life);
      ++count;
      lost += wanted.empty() ? 0 : 1;
    }
  }
  EXPECT_EQ(count, 5 * 9 * 9 * 9 * 9);
  property::visited(count);
  EXPECT_GT(lost, 1000);
  EXPECT_GT(count - lost, 1000);
}

rc::Gen<Act> act() {
  return rc::gen::build<Act>(
      rc::gen::set(&Act::replay, generators::coin()),
      rc::gen::set(&Act::ranks, one_of<Mask>({15, 15, 15, 1, 2, 5, 14})),
      rc::gen::set(&Act::path, one_of<std::int64_t>({0, 0, 0, 1})),
      rc::gen::set(&Act::size, one_of<std::int64_t>({8, 8, 8, 16, 0})),
      rc::gen::set(&Act::lora, one_of<std::int64_t>({-1, -1, 0, 1})),
      rc::gen::set(&Act::has_key, one_of<bool>({true, true, true, true, false})),
      rc::gen::set(&Act::bucket, one_of<std::int64_t>({8, 8, 8, 16, 0})),
      rc::gen::set(&Act::piecewise, one_of<bool>({false, false, true})),
      rc::gen::set(&Act::tokens, one_of<std::int64_t>({0, 0, 8, 16})));
}

rc::Gen<Listed> listed() {
  return rc::gen::build<Listed>(
      rc::gen::set(&Listed::path, one_of<std::int64_t>({0, 0, 1})),
      rc::gen::set(&Listed::has_key, generators::coin()),
      rc::gen::set(&Listed::lora, one_of<std::int64_t>({-1, 0, 1})),
      rc::gen::set(&Listed::piecewise,
                   one_of<std::optional<bool>>({std::nullopt, std::nullopt, true, false})),
      rc::gen::set(&Listed::kept,
                   one_of<std::vector<std::int64_t>>({{}, {8}, {16}, {8, 16}, {4}})));
}

// The same over longer lives of two to four ranks.
TEST(KeyIsCompleteProperty, RandomLives) {
  Histogram seen;
  seen.declare("lost", {"yes", "no"});
  EXPECT_TRUE(property::holds("every lost look-up is told, and no other", [&seen] {
    Life life{.ranks = *evenly(2, 5),
              .acts = *rc::gen::resize(12, rc::gen::container<std::vector<Act>>(act())),
              .listed = *rc::gen::resize(4, rc::gen::container<std::vector<Listed>>(listed()))};
    const Mask all = (1U << static_cast<unsigned>(life.ranks)) - 1U;
    for (Act& each : life.acts) each.ranks = (each.ranks & all) == 0 ? all : each.ranks & all;
    RC_LOG() << rc::toString(life);
    const auto wanted = lost_lookups(life);
    seen.count("lost", !wanted.empty());
    RC_ASSERT(told_lookups(life) == wanted);
  }));
  seen.print("the look-ups of key_is_complete");
}

// ---- what the graph takes as constant --------------------------------------------------------

struct Launch {
  PlanOpKind kind = PlanOpKind::kernel;
  std::int64_t id = 0;     // 0: it has none
  std::int64_t value = 0;  // of a launch constant; -1: not said
  std::int64_t rows = -1;
  bool captured = true;
  friend bool operator==(const Launch&, const Launch&) = default;
};

// The first `block` launches are repeated, then the rest follow; all of it `repeat` times.
struct Launches {
  std::vector<Launch> ops;
  std::size_t block = 0;
  std::int64_t repeat_block = 1;
  std::int64_t repeat = 1;
};

std::ostream& operator<<(std::ostream& out, const Launches& launches) {
  out << "block " << launches.block << " x" << launches.repeat_block << " x" << launches.repeat;
  for (const Launch& each : launches.ops) {
    out << "\n  " << name_of(each.kind) << " id " << each.id << " value " << each.value << " rows "
        << each.rows << " captured " << each.captured;
  }
  return out;
}

Program program_of(const Launches& launches) {
  Program program = graph({0, 1}, 8);
  program.repeat = launches.repeat;
  for (const Launch& each : launches.ops) {
    PlanOp out = op(each.kind);
    if (each.id > 0) out.id = std::to_string(each.id);
    if (each.value >= 0) out.launch = {{"splits", std::to_string(each.value)}};
    if (each.rows >= 0) out.rows_in = {each.rows};
    out.captured = each.captured;
    program.ops.push_back(std::move(out));
  }
  const auto count = static_cast<std::int32_t>(launches.ops.size());
  const auto first = std::min(static_cast<std::int32_t>(launches.block), count);
  if (first > 0) program.blocks.push_back({0, first, launches.repeat_block, {}});
  if (first < count) program.blocks.push_back({first, count - first, 1, {}});
  return program;
}

// The places of the captured launches, in the order in which they run.
std::vector<std::size_t> written_out(const Launches& launches) {
  std::vector<std::size_t> out;
  const std::size_t first = std::min(launches.block, launches.ops.size());
  for (std::int64_t i = 0; i < launches.repeat; ++i) {
    for (std::int64_t at = 0; at < std::ssize(launches.ops) - static_cast<std::int64_t>(first) +
                                       static_cast<std::int64_t>(first) * launches.repeat_block;
         ++at) {
      const auto in_blocks = static_cast<std::size_t>(launches.repeat_block) * first;
      const auto place = static_cast<std::size_t>(at);
      const std::size_t op = place < in_blocks ? place % first : place - in_blocks + first;
      if (launches.ops[op].captured) out.push_back(op);
    }
  }
  return out;
}

bool differ(const Launch& a, const Launch& b) {
  const bool values = a.value >= 0 && b.value >= 0 && a.value != b.value;
  return values || (a.rows >= 0 && b.rows >= 0 && a.rows != b.rows);
}

// Where a graph differs from what the step would launch: a place in the graph, or (true) one in
// the step that the graph does not hold.
using Differences = std::set<std::pair<bool, std::size_t>>;

// Strikes every launch of the step off a list of those in the graph.
Differences differences(const Launches& graph, const Launches& step) {
  const auto places = written_out(graph);
  std::list<std::size_t> left(places.begin(), places.end());
  const auto launches = written_out(step);
  std::vector<std::optional<std::size_t>> partner(launches.size());
  for (const bool by_id : {true, false}) {
    for (std::size_t i = 0; i < launches.size(); ++i) {
      const Launch& wanted = step.ops[launches[i]];
      const auto fits = [&](std::size_t place) {
        const Launch& held = graph.ops[place];
        if (held.kind != wanted.kind) return false;
        const bool both = held.id > 0 && wanted.id > 0;
        return by_id ? both && held.id == wanted.id : !both;
      };
      const auto at = std::ranges::find_if(left, fits);
      if (partner[i] || at == left.end()) continue;
      partner[i] = *at;
      left.erase(at);
    }
  }
  Differences out;
  std::set<std::size_t> told;
  for (std::size_t i = 0; i < launches.size(); ++i) {
    const std::size_t own = launches[i];
    if (partner[i] && !differ(step.ops[own], graph.ops[*partner[i]])) continue;
    if (!told.insert(own).second) continue;  // once for each launch, however often it is repeated
    out.emplace(!partner[i], partner[i].value_or(own));
  }
  return out;
}

Differences told_differences(const Launches& graph, const Launches& step) {
  Lifecycle plan{.world = 2};
  plan.events = {capture("p", 8, {program_of(graph)}), replay("p", 8, {program_of(step)})};
  finish(plan);
  Differences out;
  for (const Breach& breach : property::breaches_of(kLaw, plan)) {
    for (const bool in_step : {false, true}) {
      const auto& ops = plan.events[in_step ? 1 : 0].programs[0].ops;
      for (std::size_t i = 0; i < ops.size(); ++i) {
        if (breach.at == &ops[i]) out.emplace(in_step, i);
      }
    }
  }
  return out;
}

// A launch that the graph lacks, or holds with another constant; partners that are mixed up where
// some have ids, or where one side is written with a repeat count and the other is not.
TEST(KeyIsCompleteProperty, EveryGraphAndEveryStepOfTwoLaunches) {
  const std::array<Launch, 6> alphabet = {{{},
                                           {.value = 1},
                                           {.id = 1},
                                           {.id = 2, .value = 1},
                                           {.kind = PlanOpKind::attention},
                                           {.value = 1, .captured = false}}};
  const auto spell = [&](std::size_t code) {
    Launches out{.block = 2};
    for (std::size_t i = 0; i < 2; ++i, code /= 6) out.ops.push_back(alphabet.at(code % 6));
    out.repeat_block = 1 + static_cast<std::int64_t>(code);
    return out;
  };
  std::int64_t broken = 0;
  for (std::size_t a = 0; a < 6 * 6 * 2; ++a) {
    for (std::size_t b = 0; b < 6 * 6 * 2; ++b) {
      const Launches graph = spell(a);
      const Launches step = spell(b);
      const Differences wanted = differences(graph, step);
      broken += wanted.empty() ? 0 : 1;
      ASSERT_EQ(told_differences(graph, step), wanted) << rc::toString(graph) << "\n"
                                                       << rc::toString(step);
    }
  }
  EXPECT_GT(broken, 1000);
  EXPECT_LT(broken, 4500);
}

rc::Gen<Launches> launches() {
  const auto each = rc::gen::build<Launch>(
      rc::gen::set(&Launch::kind, one_of<PlanOpKind>({PlanOpKind::kernel, PlanOpKind::kernel,
                                                      PlanOpKind::attention, PlanOpKind::matmul})),
      rc::gen::set(&Launch::id, one_of<std::int64_t>({0, 0, 0, 1, 2})),
      rc::gen::set(&Launch::value, one_of<std::int64_t>({0, 0, 0, 1, -1})),
      rc::gen::set(&Launch::rows, one_of<std::int64_t>({-1, 8, 8, 16})),
      rc::gen::set(&Launch::captured, one_of<bool>({true, true, true, true, false})));
  return rc::gen::build<Launches>(
      rc::gen::set(&Launches::ops,
                   rc::gen::resize(5, rc::gen::container<std::vector<Launch>>(each))),
      rc::gen::set(
          &Launches::block,
          rc::gen::map(evenly(0, 5), [](std::int64_t i) { return static_cast<std::size_t>(i); })),
      rc::gen::set(&Launches::repeat_block, evenly(1, 4)),
      rc::gen::set(&Launches::repeat, evenly(1, 4)));
}

// The same program written with its repetitions or without them.
Launches unfolded(const Launches& folded) {
  Launches out;
  for (const std::size_t place : written_out(folded)) out.ops.push_back(folded.ops[place]);
  return out;
}

// Longer graphs; and steps that launch what was captured, written in another way.
TEST(KeyIsCompleteProperty, RandomLaunches) {
  Histogram seen;
  seen.declare("broken", {"yes", "no"});
  EXPECT_TRUE(property::holds("every difference is told, and no other", [&seen] {
    const Launches graph = *launches();
    const Launches step = *one_of<bool>({false, true}) ? *launches() : graph;
    const Differences wanted = differences(graph, step);
    seen.count("broken", !wanted.empty());
    RC_ASSERT(told_differences(graph, step) == wanted);
    RC_ASSERT(told_differences(graph, unfolded(graph)).empty());
    RC_ASSERT(told_differences(unfolded(graph), graph).empty());
  }));
  seen.print("the launches of key_is_complete");
}

// ---- what admits a batch ---------------------------------------------------------------------

// How many replicas a plan of two ranks has; 0: more than its families tell.
struct Deployment {
  std::int64_t world = 2;
  std::vector<std::pair<std::string, std::vector<std::vector<std::int32_t>>>> families;
  std::int64_t replicas = 0;
};

std::vector<Deployment> deployments() {
  return {
      {.world = 1, .replicas = 1},
      {.families = {{"tp", {{0, 1}}}}},
      {.families = {{"attn_dp", {{0, 1}}}}, .replicas = 2},
      {.families = {{"dp", {{0}, {1}}}}, .replicas = 1},
      {.families = {{"attn_tp", {{0, 1}}}}, .replicas = 1},
      {.families = {{"attn_tp", {{0}, {1}}}, {"attn_dp", {{1, 0}}}}, .replicas = 2},
  };
}

// Whether some batch is measured otherwise than its key counts it, or is admitted without a graph.
enum class Fault : std::uint8_t { none, scope, unit, limit };

Fault fault_of(const PlanCapture& entry, std::int64_t replicas) {
  const Admission& test = *entry.admission;
  const std::int64_t width = entry.width.value_or(1);
  const std::int64_t ranks =
      test.scope == AdmissionScope::sum ? std::max<std::int64_t>(replicas, 2) : 1;
  const std::int64_t all = replicas == 1 ? 1 : ranks;
  Fault fault = Fault::none;
  for (std::int64_t requests = 1; requests < 64; ++requests) {
    const auto count = [&](Unit unit) {
      return unit == Unit::tokens ? requests * width : requests;
    };
    const std::int64_t keyed = count(entry.unit);
    const std::int64_t one = count(test.unit.value_or(entry.unit));
    if (one * all != one) return Fault::scope;
    if (one != keyed) fault = Fault::unit;
  }
  if (fault != Fault::none || !test.max || entry.kept.empty()) return fault;
  for (std::int64_t measured = 1; measured <= *test.max; ++measured) {
    const auto enough = [&](std::int64_t size) { return size >= measured; };
    if (std::ranges::none_of(entry.kept, enough)) return Fault::limit;
  }
  return Fault::none;
}

// A test that counts otherwise than the key, on every deployment; or that lets through what has no
// graph. A sum over one replica is that replica's count.
TEST(KeyIsCompleteProperty, EveryAdmission) {
  using U = std::optional<Unit>;
  using S = std::optional<AdmissionScope>;
  std::map<Fault, std::int64_t> seen;
  for (const Deployment& deployment : deployments()) {
    for (const Unit counted : {Unit::tokens, Unit::requests}) {
      for (const U unit : {U{}, U{Unit::tokens}, U{Unit::requests}}) {
        for (const S scope : {S{}, S{AdmissionScope::rank}, S{AdmissionScope::sum}}) {
          for (const std::int64_t width : {0, 1, 4}) {
            for (const std::int64_t max : {0, 7, 8, 9, 16, 17}) {
              for (const std::vector<std::int64_t>& kept :
                   {std::vector<std::int64_t>{}, {8}, {16, 8}}) {
                Lifecycle plan{.world = deployment.world};
                for (const auto& [name, groups] : deployment.families) {
                  add_group(plan, name, groups);
                }
                PlanCapture entry{.path = "p", .unit = counted, .kept = kept};
                entry.admission = Admission{.unit = unit, .scope = scope};
                if (max > 0) entry.admission->max = max;
                if (width > 0) entry.width = width;
                const Fault fault = fault_of(entry, deployment.replicas);
                plan.captures = {entry};
                const auto breaches = property::breaches_of(kLaw, finish(plan));
                ++seen[fault];
                ASSERT_EQ(breaches.size(), fault == Fault::none ? 0 : 1);
                if (fault == Fault::none) continue;
                EXPECT_EQ(breaches[0].symptom == Symptom::clean_error, fault == Fault::limit);
                EXPECT_EQ(breaches[0].blame.find("sum") != std::string::npos,
                          fault == Fault::scope);
              }
            }
          }
        }
      }
    }
  }
  for (const Fault fault : {Fault::none, Fault::scope, Fault::unit, Fault::limit}) {
    EXPECT_GT(seen[fault], 50) << static_cast<int>(fault);
  }
}

// ---- rows of a rank, or of all ---------------------------------------------------------------

struct Sizes {
  bool piecewise = false;
  bool says_mode = true;
  std::vector<std::int64_t> kept;
  std::optional<std::vector<std::int64_t>> admits;
};

struct Batch {
  std::vector<std::vector<std::int32_t>> attn_tp;  // empty: the family is not named
  std::vector<std::int64_t> tokens;                // of each rank
  std::vector<std::int64_t> buckets;
  std::vector<bool> piecewise;
  std::vector<Sizes> listed;
};

constexpr std::array<std::int64_t, 7> kSizes = {4, 8, 12, 16, 24, 32, 48};

Lifecycle plan_of(const Batch& batch) {
  Lifecycle plan{.world = std::ssize(batch.tokens)};
  if (!batch.attn_tp.empty()) add_group(plan, "attn_tp", batch.attn_tp);
  for (const Sizes& each : batch.listed) {
    PlanCapture entry{.path = "p", .kept = each.kept, .admits = each.admits};
    if (each.says_mode) entry.mode = each.piecewise ? GraphMode::piecewise : GraphMode::graph;
    plan.captures.push_back(std::move(entry));
  }
  for (const std::int64_t size : kSizes) {
    plan.events.push_back(capture("p", size, {graph({0, plan.world - 1}, size)}));
  }
  PlanEvent event = replay("p", std::ranges::max(batch.tokens), {});
  for (std::size_t rank = 0; rank < batch.tokens.size(); ++rank) {
    const auto at = static_cast<std::int64_t>(rank);
    Program program = graph({at, at}, batch.buckets[rank]);
    program.tokens = batch.tokens[rank];
    if (batch.piecewise[rank]) program.mode = GraphMode::piecewise;
    event.programs.push_back(std::move(program));
  }
  plan.events.push_back(std::move(event));
  return std::move(finish(plan));
}

// Counts up from `rows` until a size that the mode can look up; 0: there is none.
std::int64_t size_for(const Batch& batch, bool piecewise, std::int64_t rows) {
  for (std::int64_t size = rows; size <= 64; ++size) {
    for (const Sizes& each : batch.listed) {
      if (each.says_mode && each.piecewise != piecewise) continue;
      const auto& sizes = each.admits ? *each.admits : each.kept;
      if (std::ranges::find(sizes, size) != sizes.end()) return size;
    }
  }
  return 0;
}

std::set<std::int64_t> padded_to_the_sum(const Batch& batch) {
  std::int64_t sum = 0;
  std::set<std::int64_t> counted;  // ranks whose tokens another one holds too
  for (const auto& group : batch.attn_tp) counted.insert(group.begin() + 1, group.end());
  for (std::int64_t rank = 0; rank < std::ssize(batch.tokens); ++rank) {
    if (!counted.contains(rank)) sum += batch.tokens[static_cast<std::size_t>(rank)];
  }
  const std::int64_t most = std::ranges::max(batch.tokens);
  std::set<std::int64_t> out;
  for (std::size_t rank = 0; most > 0 && sum > most && rank < batch.tokens.size(); ++rank) {
    const std::int64_t own = size_for(batch, batch.piecewise[rank], most);
    const std::int64_t bucket = batch.buckets[rank];
    if (own == 0 || bucket <= own) continue;
    if (size_for(batch, batch.piecewise[rank], sum) == bucket) {
      out.insert(static_cast<std::int64_t>(rank));
    }
  }
  return out;
}

rc::Gen<Sizes> sizes() {
  using L = std::vector<std::int64_t>;
  return rc::gen::build<Sizes>(
      rc::gen::set(&Sizes::piecewise, generators::coin()),
      rc::gen::set(&Sizes::says_mode, one_of<bool>({true, true, false})),
      rc::gen::set(&Sizes::kept, one_of<L>({{8, 16, 32}, {4, 8, 12, 16, 24, 32, 48}, {16}, {}})),
      rc::gen::set(&Sizes::admits,
                   one_of<std::optional<L>>({std::nullopt, std::nullopt, L{16, 32}, L{8}})));
}

// A bucket that is enough for the sum where one for the own rows was there: seen as one though
// attention-TP ranks hold the same tokens, or though the mode had no lesser size.
TEST(KeyIsCompleteProperty, RandomBatches) {
  Histogram seen;
  seen.declare("padded to the sum", {"yes", "no"});
  EXPECT_TRUE(
      property::holds("every rank that runs the rows of all is told, and no other", [&seen] {
        const auto ranks = static_cast<std::size_t>(*evenly(1, 5));
        Batch batch;
        using G = std::vector<std::vector<std::int32_t>>;
        batch.attn_tp =
            *one_of<G>({{}, {{0}, {1}, {2}, {3}}, {{0, 1}, {2, 3}}, {{1, 0, 2, 3}}, {{2, 1}}});
        for (auto& group : batch.attn_tp) {
          std::erase_if(group, [&](std::int32_t rank) { return rank >= static_cast<int>(ranks); });
        }
        std::erase_if(batch.attn_tp, [](const auto& group) { return group.empty(); });
        const auto common = *one_of<std::int64_t>({4, 8, 5, 12, 16, 0});
        const auto bucket = *one_of<std::int64_t>({8, 16, 12, 24, 32, 48});
        for (std::size_t rank = 0; rank < ranks; ++rank) {
          batch.tokens.push_back(*one_of<bool>({true, true, false}) ? common : *evenly(0, 17));
          batch.buckets.push_back(*one_of<bool>({true, true, true, false}) ? bucket : 8);
          batch.piecewise.push_back(*one_of<bool>({false, false, true}));
        }
        batch.listed = *rc::gen::resize(4, rc::gen::container<std::vector<Sizes>>(sizes()));
        const auto wanted = padded_to_the_sum(batch);
        seen.count("padded to the sum", !wanted.empty());
        std::set<std::int64_t> told;
        for (const Breach& breach : property::breaches_of(kLaw, plan_of(batch)))
          told.insert(*breach.rank);
        RC_ASSERT(told == wanted);
      }));
  seen.print("the batches of key_is_complete");
}

}  // namespace
}  // namespace capsize::key_is_complete_test
