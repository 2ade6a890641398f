// Lifecycles told rank by rank, for the laws about groups that captured operations use: what each
// rank of a small world chooses in each event. Oracles judge the stories as they stand; the laws
// see a Lifecycle in which ranks that do the same share a program, or in which none do.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "properties/generators.hpp"
#include "properties/law.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/plan_laws.hpp"

namespace capsize::property::stories {

inline constexpr std::int64_t kRanks = 4;
using Groups = std::vector<std::vector<std::int32_t>>;
// Families of four ranks: of one rank each, of which one rank is in none, and that cross.
inline const std::array<Groups, 5>& family_groups() {
  static const std::array<Groups, 5> kFamilies = {
      {{{0, 1, 2, 3}}, {{0, 1}, {2, 3}}, {{0}, {1}, {2}, {3}}, {{2, 0, 1}}, {{0, 2}, {1, 3}}}};
  return kFamilies;
}

// What a rank does in one event. 0 (a count) and -1 (an adapter): not said.
struct Story {
  bool runs = true;
  GraphMode mode = GraphMode::graph;
  std::int64_t bucket = 8;
  std::int64_t size = 8;  // in the key
  std::int64_t lora = -1;
  friend auto operator<=>(const Story&, const Story&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const Story& story) {
  if (!story.runs) return out << "absent";
  return out << name_of(story.mode) << " bucket " << story.bucket << " size " << story.size
             << " lora " << story.lora;
}

// Where the operations of a graph come from: it is captured in this event, it is replayed and was
// captured before, or it is replayed and its operations are restated.
enum class How : std::uint8_t { captured, found, restated };

// The rows that a graph of some size moves over each family, in order; -1: not said. A barrier
// moves none.
enum class Pattern : std::uint8_t { sum, barrier, fixed, unsaid, exchange, longer, coarse };
inline constexpr std::int64_t kPatterns = 7;

inline std::vector<PlanOp> operations(Pattern pattern, GroupId family, std::int64_t size) {
  using namespace parts;
  switch (pattern) {
    case Pattern::sum: return {all_reduce(family, size)};
    case Pattern::barrier: return {op(PlanOpKind::barrier, family)};
    case Pattern::fixed: return {all_reduce(family, 1)};
    case Pattern::unsaid: return {op(PlanOpKind::all_reduce, family)};
    case Pattern::exchange:
      return {op(PlanOpKind::barrier, family), all_reduce(family, 1),
              op(PlanOpKind::all_to_all, family, size, size)};
    case Pattern::longer:
      if (size < 16) return {all_reduce(family, 4)};
      return {all_reduce(family, 4), all_reduce(family, 4)};
    case Pattern::coarse: return {all_reduce(family, std::max<std::int64_t>(size, 16))};
  }
  return {};
}

struct Plan {
  How how = How::captured;
  Pattern pattern = Pattern::sum;
  std::vector<std::int8_t> families;      // over which the operations run
  std::vector<std::vector<Story>> steps;  // the story of each rank
  bool merged = true;                     // ranks with one story share a program
  std::int64_t repeat = 1;
};

inline constexpr std::array<std::int64_t, 3> kCaptured = {32, 16, 8};

inline std::int64_t graph_size(const Story& story) {
  return story.size > 0 ? story.size : story.bucket;
}

// Whether the graph that a rank wants is in the plan: the prelude captures every size in kCaptured
// with and without each adapter.
inline bool is_known(const Plan& plan, const Story& story) {
  if (plan.how != How::found) return true;
  if (story.size == 0 && story.lora >= 0) return false;  // a key without a size
  return std::ranges::find(kCaptured, graph_size(story)) != kCaptured.end();
}

inline std::optional<GraphKey> key_of(const Story& story) {
  if (story.size == 0 && story.lora < 0) return std::nullopt;
  GraphKey key;
  if (story.lora >= 0) key.emplace_back("lora", std::to_string(story.lora));
  if (story.size > 0) key.emplace_back("tokens", std::to_string(story.size));
  return key;
}

inline Program program_of(const Plan& plan, const Story& story, RankSet ranks, bool with_ops) {
  Program program{.ranks = std::move(ranks), .mode = story.mode, .repeat = plan.repeat};
  if (story.bucket > 0) program.bucket = story.bucket;
  program.key = key_of(story);
  for (std::size_t i = 0; with_ops && i < plan.families.size(); ++i) {
    auto ops = operations(plan.pattern, GroupId{plan.families[i]}, graph_size(story));
    program.ops.insert(program.ops.end(), ops.begin(), ops.end());
  }
  return program;
}

inline PlanEvent event_of(const Plan& plan, const std::vector<Story>& ranks) {
  PlanEvent event{
      .kind = plan.how == How::captured ? PlanEventKind::capture : PlanEventKind::replay,
      .path = "decode",
      .tokens = 8};
  std::set<Story> told;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (!ranks[r].runs || (plan.merged && !told.insert(ranks[r]).second)) continue;
    RankSet same;
    for (auto s = static_cast<std::int64_t>(r); s < std::ssize(ranks); ++s) {
      const bool as_r = ranks[static_cast<std::size_t>(s)] == ranks[r];
      if (s == static_cast<std::int64_t>(r) || (plan.merged && as_r)) same.append({s, s});
    }
    const bool eager = ranks[r].mode == GraphMode::eager;
    Program program = program_of(plan, ranks[r], std::move(same), eager || plan.how != How::found);
    if (plan.how == How::restated && !eager) {
      for (PlanOp& op : program.ops) op.captured = true;
    }
    event.programs.push_back(std::move(program));
  }
  return event;
}

// How many events come before the first step.
inline std::int32_t prelude_events(const Plan& plan) {
  return plan.how == How::found ? static_cast<std::int32_t>(kCaptured.size()) * 3 : 0;
}

inline Lifecycle build(const Plan& plan) {
  Lifecycle lifecycle{.world = kRanks};
  for (const Groups& groups : family_groups()) {
    parts::add_group(lifecycle, "f" + std::to_string(lifecycle.families.size()), groups);
  }
  for (const std::int64_t size : kCaptured) {
    for (std::int64_t lora = -1; lora < 2 && plan.how == How::found; ++lora) {
      const Story story{.bucket = size, .size = size, .lora = lora};
      lifecycle.events.push_back(
          parts::capture("decode", size, {program_of(plan, story, {0, kRanks - 1}, true)}));
    }
  }
  for (const auto& step : plan.steps) lifecycle.events.push_back(event_of(plan, step));
  return std::move(parts::finish(lifecycle));
}

// A step and a family in which a law is broken.
using Places = std::set<std::pair<std::int32_t, std::int32_t>>;

inline Places places_of(const PlanReport& report) {
  Places out;
  for (const Breach& breach : report.breaches()) out.emplace(breach.event, breach.group.index);
  return out;
}

// The places where `broken(ranks of a group, stories of the step)` holds, over all groups of more
// than one rank in which some rank's graph is known, so that it is known to use the family.
template <class Broken>
Places expected(const Plan& plan, const Broken& broken) {
  Places out;
  for (std::size_t s = 0; s < plan.steps.size(); ++s) {
    const auto& ranks = plan.steps[s];
    for (const std::int8_t family : plan.families) {
      for (const auto& group : family_groups().at(static_cast<std::size_t>(family))) {
        const bool used = std::ranges::any_of(group, [&](std::int32_t rank) {
          const Story& story = ranks.at(static_cast<std::size_t>(rank));
          return story.runs && story.mode != GraphMode::eager && is_known(plan, story);
        });
        if (group.size() < 2 || !used) continue;
        if (broken(group, ranks)) {
          out.emplace(prelude_events(plan) + static_cast<std::int32_t>(s), family);
        }
      }
    }
  }
  return out;
}

// Whether two ranks of a group, both running, are such a pair.
template <class Pair>
bool any_pair(const std::vector<std::int32_t>& group, const std::vector<Story>& ranks,
              const Pair& pair) {
  for (const std::int32_t a : group) {
    for (const std::int32_t b : group) {
      const Story& one = ranks.at(static_cast<std::size_t>(a));
      const Story& other = ranks.at(static_cast<std::size_t>(b));
      if (one.runs && other.runs && pair(one, other)) return true;
    }
  }
  return false;
}

// Every way to give each rank one of `choices`.
template <class Visit>
void for_all_steps(const std::vector<Story>& choices, const Visit& visit) {
  std::size_t all = 1;
  for (std::int64_t r = 0; r < kRanks; ++r) all *= choices.size();
  for (std::size_t code = 0; code < all; ++code) {
    std::vector<Story> ranks;
    for (std::size_t left = code; std::ssize(ranks) < kRanks; left /= choices.size()) {
      ranks.push_back(choices[left % choices.size()]);
    }
    visit(ranks);
  }
}

// Stories that shrink to "all replay bucket 8".
inline rc::Gen<Story> story() {
  using generators::one_of;
  return rc::gen::build<Story>(
      rc::gen::set(&Story::runs, one_of<bool>({true, true, true, true, false})),
      rc::gen::set(&Story::mode,
                   one_of<GraphMode>({GraphMode::graph, GraphMode::graph, GraphMode::graph,
                                      GraphMode::graph, GraphMode::piecewise, GraphMode::eager})),
      rc::gen::set(&Story::bucket, one_of<std::int64_t>({8, 8, 8, 16, 32, 64, 0})),
      rc::gen::set(&Story::size, one_of<std::int64_t>({8, 8, 8, 16, 32, 64, 0})),
      rc::gen::set(&Story::lora, one_of<std::int64_t>({-1, -1, -1, 0, 1})));
}

// Steps in which most ranks tell the first one's story, as in a server.
inline rc::Gen<std::vector<Story>> step() {
  return rc::gen::apply(
      [](const Story& common, const std::vector<std::pair<bool, Story>>& own) {
        std::vector<Story> out;
        for (const auto& [departs, story] : own) out.push_back(departs ? story : common);
        return out;
      },
      story(),
      rc::gen::container<std::vector<std::pair<bool, Story>>>(
          kRanks, rc::gen::pair(generators::one_of<bool>({false, false, true}), story())));
}

inline rc::Gen<Plan> plan() {
  using generators::evenly;
  const auto family =
      rc::gen::map(evenly(0, 5), [](std::int64_t i) { return static_cast<std::int8_t>(i); });
  return rc::gen::build<Plan>(
      rc::gen::set(&Plan::how, generators::one_of<How>({How::captured, How::found, How::restated})),
      rc::gen::set(&Plan::pattern,
                   rc::gen::map(evenly(0, kPatterns),
                                [](std::int64_t i) { return static_cast<Pattern>(i); })),
      rc::gen::set(&Plan::families, rc::gen::unique<std::vector<std::int8_t>>(2, family)),
      rc::gen::set(&Plan::steps,
                   rc::gen::resize(5, rc::gen::container<std::vector<std::vector<Story>>>(step()))),
      rc::gen::set(&Plan::merged, generators::coin()), rc::gen::set(&Plan::repeat, evenly(1, 4)));
}

inline std::ostream& operator<<(std::ostream& out, const Plan& plan) {
  out << "how " << static_cast<int>(plan.how) << ", pattern " << static_cast<int>(plan.pattern)
      << ", families";
  for (const std::int8_t family : plan.families) out << " " << static_cast<int>(family);
  for (const auto& step : plan.steps) {
    out << "\n  ";
    for (const Story& story : step) out << " [" << story << "]";
  }
  return out << "\n";
}

}  // namespace capsize::property::stories
