// within_capacity in plans, against keeping the bytes of every rank's buffer and walking over them.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <ostream>
#include <set>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/histogram.hpp"

namespace capsize::property::capacity_plan_test {
namespace {

using namespace parts;

std::vector<Breach> breaches_of(const Lifecycle& plan, std::vector<std::string_view>& paths) {
  const Timeline timeline(plan);
  PlanReport report;
  find_law("within_capacity")->check_plan(timeline, report);
  paths = report.paths();
  return report.breaches();
}

// Walks from the first byte to the last; the fence posts 0 and `size` bound a buffer of that size.
bool leaves(std::int64_t size, std::int64_t offset, std::int64_t bytes) {
  std::set<std::int64_t> posts;
  for (std::int64_t post = 0; post <= size; ++post) posts.insert(post);
  if (!posts.contains(offset)) return true;
  for (std::int64_t byte = 0; byte < bytes; ++byte) {
    if (!posts.contains(offset + byte + 1)) return true;
  }
  return false;
}

// Off by one at either end, a size of 0, an access to the end, an empty access: every buffer up to
// 5 bytes and every access around it, as read and as write, with a size that the buffer or an
// allocation states, or none does.
TEST(WithinCapacityPlanProperty, EveryAccess) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::int64_t size = 0; size <= 5; ++size) {
    for (std::int64_t offset = -2; offset <= 7; ++offset) {
      for (std::int64_t bytes = -1; bytes <= 8; ++bytes) {
        for (int stated = 0; stated < 3; ++stated) {
          for (const bool writes : {false, true}) {
            Lifecycle plan;
            const auto buffer = add_buffer(plan, {.name = "ws"});
            if (stated == 1) plan.buffers[0].bytes = size;
            PlanOp kernel = op(PlanOpKind::kernel);
            (writes ? kernel.writes : kernel.reads) = {{buffer, offset, bytes}};
            plan.events = {allocate(buffer, 1),
                           eager("p", 4, {eager_program({0, 0}, 4, {kernel})})};
            if (stated == 2) plan.events[0].bytes = size;
            std::vector<std::string_view> paths;
            const auto found = breaches_of(finish(plan), paths);
            const bool wanted = stated != 0 && leaves(size, offset, bytes);
            ASSERT_EQ(found.size(), wanted ? 1U : 0U) << size << ": " << offset << " + " << bytes;
            ASSERT_EQ(paths.empty(), stated == 0);
            ++count;
            broken += wanted ? 1 : 0;
            if (!wanted) continue;
            EXPECT_EQ(found[0].event, 1);
            EXPECT_EQ(found[0].rank, 0);
            EXPECT_EQ(found[0].buffer, "ws");
            EXPECT_EQ(found[0].symptom, Symptom::silent_corruption);
          }
        }
      }
    }
  }
  EXPECT_EQ(count, 6 * 10 * 10 * 3 * 2);
  visited(count);
  EXPECT_GT(broken, 0);
}

// ---- random lives of two buffers on a few ranks -----------------------------------------------

constexpr std::int64_t kWorld = 5;

enum class Deed : std::uint8_t { allocates, runs, captures, replays };

struct Step {
  Deed deed = Deed::runs;
  std::int64_t buffer = 0;
  std::int64_t first = 0;  // ranks first to last
  std::int64_t last = 0;
  std::int64_t bytes = 0;  // of the allocation, or of the access; -1: to the end
  std::int64_t offset = 0;
  bool states_bytes = true;  // an allocation
};

void showValue(const Step& step, std::ostream& out) {
  static constexpr std::array<const char*, 4> kNames = {"allocates", "runs", "captures", "replays"};
  out << kNames.at(static_cast<std::size_t>(step.deed)) << " buffer " << step.buffer << " ranks "
      << step.first << "-" << step.last << " offset " << step.offset << " bytes " << step.bytes
      << (step.states_bytes ? "" : " (not stated)");
}

rc::Gen<Step> a_step() {
  using namespace generators;
  const auto deeds = one_of<Deed>({Deed::runs, Deed::captures, Deed::replays, Deed::allocates});
  return rc::gen::map(
      rc::gen::tuple(deeds, evenly(0, 2), evenly(0, kWorld), evenly(0, kWorld), evenly(-1, 20),
                     evenly(-1, 20), evenly(0, 4)),
      [](const auto& drawn) {
        const auto [deed, buffer, a, b, bytes, offset, states] = drawn;
        return Step{.deed = deed,
                    .buffer = buffer,
                    .first = std::min(a, b),
                    .last = std::max(a, b),
                    .bytes = deed == Deed::allocates ? std::max<std::int64_t>(bytes, 0) : bytes,
                    .offset = offset,
                    .states_bytes = states > 0};
      });
}

Lifecycle plan_of(const std::vector<Step>& steps, std::optional<std::int64_t> own) {
  Lifecycle plan{.world = kWorld};
  add_buffer(plan, {.name = "a", .bytes = own});
  add_buffer(plan, {.name = "b"});
  for (const Step& step : steps) {
    const RankSet ranks(step.first, step.last);
    PlanOp kernel = op(PlanOpKind::kernel);
    kernel.writes = {{static_cast<std::int32_t>(step.buffer), step.offset, step.bytes}};
    switch (step.deed) {
      case Deed::allocates:
        plan.events.push_back(allocate(static_cast<std::int32_t>(step.buffer), 1));
        plan.events.back().ranks = ranks;
        if (step.states_bytes) plan.events.back().bytes = step.bytes;
        break;
      case Deed::runs:
        plan.events.push_back(eager("p", 4, {eager_program(ranks, 4, {kernel})}));
        break;
      case Deed::captures:
        plan.events.push_back(capture("p", 4, {graph(ranks, 4, {kernel})}));
        break;
      case Deed::replays: plan.events.push_back(replay("p", 4, {graph(ranks, 4)})); break;
    }
  }
  return std::move(finish(plan));
}

// Every rank for itself: the sizes of its buffers, and whether its graph was captured inside them.
struct RankState {
  std::array<std::optional<std::int64_t>, 2> sizes;
  std::optional<bool> graph_leaves;
};

// The ranks that leave a buffer, by event.
std::map<std::int32_t, std::set<std::int64_t>> faults_of(const std::vector<Step>& steps,
                                                         std::optional<std::int64_t> own) {
  std::array<RankState, kWorld> ranks;
  for (RankState& rank : ranks) rank.sizes[0] = own;
  std::map<std::int32_t, std::set<std::int64_t>> faults;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    for (std::int64_t r = step.first; r <= step.last; ++r) {
      RankState& rank = ranks.at(static_cast<std::size_t>(r));
      auto& size = rank.sizes.at(static_cast<std::size_t>(step.buffer));
      if (step.deed == Deed::allocates) {
        if (step.states_bytes) size = step.bytes;
        continue;
      }
      bool fault = size && leaves(*size, step.offset, step.bytes);
      if (step.deed == Deed::captures) rank.graph_leaves = fault;
      if (step.deed == Deed::replays) fault = rank.graph_leaves.value_or(false);
      if (fault) faults[static_cast<std::int32_t>(i)].insert(r);
    }
  }
  return faults;
}

// An allocation of other ranks, or a later one, that decides; a replay that is judged by memory
// that was allocated after its capture; a rank that is blamed although its buffer is large enough.
TEST(WithinCapacityPlanProperty, RandomLives) {
  Histogram seen;
  seen.declare("broken", {"no", "yes"});
  seen.declare("replay is broken", {"no", "yes"});
  EXPECT_TRUE(holds("every access stays inside the buffer of its rank", [&seen] {
    const auto steps = *rc::gen::resize(12, rc::gen::container<std::vector<Step>>(a_step()));
    const auto own = *generators::one_of<std::optional<std::int64_t>>({std::nullopt, 8, 16});
    const Lifecycle plan = plan_of(steps, own);
    std::vector<std::string_view> paths;
    const auto found = breaches_of(plan, paths);
    const auto faults = faults_of(steps, own);
    std::map<std::int32_t, std::int64_t> told;  // the first rank that is blamed, by event
    for (const Breach& breach : found) {
      RC_ASSERT(faults.contains(breach.event));
      RC_ASSERT(faults.at(breach.event).contains(*breach.rank));
      const auto [at, added] = told.emplace(breach.event, *breach.rank);
      if (!added) at->second = std::min(at->second, *breach.rank);
    }
    RC_ASSERT(told.size() == faults.size());
    bool replayed = false;
    for (const auto& [event, ranks] : faults) {
      RC_ASSERT(told.at(event) == *ranks.begin());
      replayed = replayed || steps[static_cast<std::size_t>(event)].deed == Deed::replays;
    }
    seen.count("broken", !faults.empty());
    seen.count("replay is broken", replayed);
  }));
  seen.print("within_capacity, plans");
}

// The sentence that a person reads.
TEST(WithinCapacityPlanProperty, IsToldInBytes) {
  Lifecycle plan;
  const auto buffer = add_buffer(plan, {.name = "ws", .bytes = 16384});
  PlanOp kernel = op(PlanOpKind::kernel);
  kernel.writes = {{buffer, 0, 16416}};
  kernel.reads = {{buffer, -4, 8}};
  plan.events = {eager("p", 4, {eager_program({0, 0}, 4, {kernel})})};
  std::vector<std::string_view> paths;
  const auto found = breaches_of(finish(plan), paths);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].blame, "kernel reads from byte -4 on of ws, which has 16384");
  EXPECT_EQ(found[1].blame, "kernel writes bytes 0-16416 of ws, which has 16384");
}

}  // namespace
}  // namespace capsize::property::capacity_plan_test
