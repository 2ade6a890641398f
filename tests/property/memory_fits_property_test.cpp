// memory_fits against keeping books for every rank: what lives is written down by name and summed
// up anew after each event.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <ostream>
#include <set>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/histogram.hpp"

namespace capsize::property::memory_test {
namespace {

using namespace parts;

struct Step {
  PlanEventKind kind = PlanEventKind::allocate;  // allocate, free, capture
  std::int64_t which = 0;                        // the buffer, or the entry of `captures`
  std::int64_t bytes = -1;                       // of an allocation; -1: not said
  std::int64_t rank = -1;                        // whose buffer; -1: all
  bool by_program = false;                       // an operation of a warm-up allocates or frees
};

void showValue(const Step& step, std::ostream& out) {
  out << name_of(step.kind) << " " << step.which << " bytes " << step.bytes << " rank " << step.rank
      << (step.by_program ? " by a program" : "");
}

// What does not change.
struct Setting {
  std::int64_t world = 1;
  std::int64_t budget = 0;
  std::vector<PlanBuffer> buffers;
  std::vector<PlanCapture> captures;
  PlanMemory memory;
};

Lifecycle plan_of(const Setting& setting, const std::vector<Step>& steps) {
  Lifecycle plan{.world = setting.world};
  plan.memory = setting.memory;
  plan.memory->budget_bytes = setting.budget;
  plan.buffers = setting.buffers;
  plan.captures = setting.captures;
  for (const Step& step : steps) {
    const RankSet ranks =
        step.rank < 0 ? RankSet(0, setting.world - 1) : RankSet(step.rank, step.rank);
    const auto which = static_cast<std::size_t>(step.which);
    if (step.kind == PlanEventKind::capture) {
      plan.events.push_back(
          capture(setting.captures[which].path, 4, {graph(RankSet(0, setting.world - 1), 4)}));
    } else if (step.by_program) {
      PlanOp operation =
          op(step.kind == PlanEventKind::allocate ? PlanOpKind::allocate : PlanOpKind::free);
      operation.buffer = static_cast<std::int32_t>(step.which);
      plan.events.push_back(warm_up("p", 4, {eager_program(ranks, 4, {operation})}));
    } else {
      plan.events.push_back({.kind = step.kind, .buffer = static_cast<std::int32_t>(step.which)});
      if (step.rank >= 0) plan.events.back().ranks = ranks;
      if (step.kind == PlanEventKind::allocate && step.bytes >= 0) {
        plan.events.back().bytes = step.bytes;
      }
    }
  }
  return std::move(finish(plan));
}

// ---- the books --------------------------------------------------------------------------------

bool concerns(const Step& step, std::int64_t rank) { return step.rank < 0 || step.rank == rank; }

// A buffer lives from the start unless the first that is heard of it on this rank is that it is
// allocated.
bool lives_at_start(const std::vector<Step>& steps, std::int64_t buffer, std::int64_t rank) {
  for (const Step& step : steps) {
    if (step.kind == PlanEventKind::capture || step.which != buffer) continue;
    if (concerns(step, rank)) return step.kind == PlanEventKind::free;
  }
  return true;
}

// What one rank holds after the first `done` steps.
std::int64_t held(const Setting& setting, const std::vector<Step>& steps, std::size_t done,
                  std::int64_t rank) {
  std::map<std::string, std::int64_t> graphs;  // by pool
  for (std::size_t i = 0; i < setting.captures.size(); ++i) {
    const PlanCapture& entry = setting.captures[i];
    bool shown = false;
    bool captured = false;
    for (std::size_t s = 0; s < steps.size(); ++s) {
      const bool own =
          steps[s].kind == PlanEventKind::capture &&
          setting.captures[static_cast<std::size_t>(steps[s].which)].path == entry.path;
      shown = shown || own;
      captured = captured || (own && s < done);
    }
    if (shown && !captured) continue;
    auto& pool = graphs[entry.pool.empty() ? "own" + std::to_string(i) : entry.pool];
    pool = std::max(pool, entry.bytes.value_or(0));
  }
  std::int64_t sum =
      setting.memory.weights_bytes + setting.memory.activations_bytes + setting.memory.kv_bytes;
  for (const auto& [pool, bytes] : graphs) sum += bytes;
  for (std::size_t b = 0; b < setting.buffers.size(); ++b) {
    const PlanBuffer& buffer = setting.buffers[b];
    if (!buffer.owner.empty() && !buffer.owner.contains(rank)) continue;
    if (buffer.kind == BufferKind::weight && setting.memory.weights_bytes > 0) continue;
    if (buffer.kind == BufferKind::kv && setting.memory.kv_bytes > 0) continue;
    bool lives = lives_at_start(steps, static_cast<std::int64_t>(b), rank);
    std::int64_t bytes = buffer.bytes.value_or(0);
    for (std::size_t s = 0; s < done; ++s) {
      const Step& step = steps[s];
      if (step.kind == PlanEventKind::capture || step.which != static_cast<std::int64_t>(b))
        continue;
      if (!concerns(step, rank)) continue;
      lives = step.kind == PlanEventKind::allocate;
      if (lives && !step.by_program && step.bytes >= 0) bytes = step.bytes;
    }
    sum += lives ? bytes : 0;
  }
  return sum;
}

// The events at which a rank first holds too much, each with the first such rank.
std::map<std::int32_t, std::int64_t> faults_of(const Setting& setting,
                                               const std::vector<Step>& steps) {
  std::map<std::int32_t, std::int64_t> faults;
  for (std::int64_t rank = 0; rank < setting.world; ++rank) {
    for (std::size_t done = 0; done <= steps.size(); ++done) {
      if (held(setting, steps, done, rank) <= setting.budget) continue;
      const auto event = steps.empty() ? -1 : static_cast<std::int32_t>(done) - 1;
      faults.emplace(steps.empty() ? event : std::max(event, 0), rank);
      break;
    }
  }
  return faults;
}

std::map<std::int32_t, std::int64_t> told_of(const Lifecycle& plan) {
  const Timeline timeline(plan);
  PlanReport report;
  find_law("memory_fits")->check_plan(timeline, report);
  std::map<std::int32_t, std::int64_t> told;
  for (const Breach& breach : report.breaches()) {
    EXPECT_EQ(breach.symptom, Symptom::clean_error);
    const bool added = told.emplace(breach.event, breach.rank.value()).second;
    EXPECT_TRUE(added) << "one event is told twice";
  }
  return told;
}

// A buffer that is freed and counted, allocated and not counted, or counted twice: every run of up
// to five events over two buffers and one captured path, for budgets around each sum.
TEST(MemoryFitsProperty, EveryShortLife) {
  const Setting base{.world = 1,
                     .buffers = {{.name = "a", .bytes = 4}, {.name = "b", .bytes = 2}},
                     .captures = {{.path = "p", .kept = {4}, .bytes = 1}}};
  const std::vector<Step> alphabet = {{PlanEventKind::allocate, 0},
                                      {PlanEventKind::free, 0},
                                      {PlanEventKind::allocate, 1, 8},
                                      {PlanEventKind::free, 1},
                                      {PlanEventKind::capture, 0}};
  std::int64_t count = 0;
  std::int64_t broken = 0;
  for (std::int64_t length = 0; length <= 5; ++length) {
    std::int64_t runs = 1;
    for (std::int64_t i = 0; i < length; ++i) runs *= std::ssize(alphabet);
    for (std::int64_t code = 0; code < runs; ++code) {
      std::vector<Step> steps;
      for (std::int64_t rest = code, i = 0; i < length; ++i, rest /= std::ssize(alphabet)) {
        steps.push_back(alphabet[static_cast<std::size_t>(rest % std::ssize(alphabet))]);
      }
      for (std::int64_t budget = 1; budget <= 14; ++budget) {
        Setting setting = base;
        setting.budget = budget;
        const auto wanted = faults_of(setting, steps);
        ASSERT_EQ(told_of(plan_of(setting, steps)), wanted) << code << " budget " << budget;
        ++count;
        broken += wanted.empty() ? 0 : 1;
      }
    }
  }
  EXPECT_EQ(count, (1 + 5 + 25 + 125 + 625 + 3125) * 14);
  visited(count);
  EXPECT_GT(broken, 0);
  EXPECT_LT(broken, count);
}

// ---- random lives -----------------------------------------------------------------------------

constexpr std::int64_t kBuffers = 3;
constexpr std::int64_t kCaptures = 3;

rc::Gen<Step> a_step() {
  using namespace generators;
  const auto kinds =
      one_of<PlanEventKind>({PlanEventKind::allocate, PlanEventKind::free, PlanEventKind::capture});
  return rc::gen::map(
      rc::gen::tuple(kinds, evenly(0, kBuffers), evenly(-1, 30), evenly(-1, 3), evenly(0, 4)),
      [](const auto& drawn) {
        const auto [kind, which, bytes, rank, by] = drawn;
        return Step{kind, which, bytes, rank, by == 3};
      });
}

Setting a_setting() {
  using namespace generators;
  Setting setting{.world = 3, .budget = *evenly(1, 120)};
  static const std::vector<RankSet> kOwners = {{}, {0, 0}, {1, 2}};
  static const std::vector<std::optional<BufferKind>> kKinds = {std::nullopt, BufferKind::weight,
                                                                BufferKind::kv};
  for (std::int64_t b = 0; b < kBuffers; ++b) {
    PlanBuffer buffer{.name = "b" + std::to_string(b)};
    if (const auto bytes = *evenly(-1, 30); bytes >= 0) buffer.bytes = bytes;
    buffer.owner = kOwners[static_cast<std::size_t>(*evenly(0, 3))];
    buffer.kind = kKinds[static_cast<std::size_t>(*evenly(0, 3))];
    setting.buffers.push_back(std::move(buffer));
  }
  for (std::int64_t c = 0; c < kCaptures; ++c) {
    PlanCapture entry{.path = *one_of<std::string>({"p", "q"}), .kept = {4}};
    entry.pool = *one_of<std::string>({"", "one", "two"});
    if (const auto bytes = *evenly(-1, 20); bytes >= 0) entry.bytes = bytes;
    setting.captures.push_back(std::move(entry));
  }
  setting.memory.weights_bytes = *one_of<std::int64_t>({0, 10});
  setting.memory.activations_bytes = *one_of<std::int64_t>({0, 5});
  setting.memory.kv_bytes = *one_of<std::int64_t>({0, 10});
  return setting;
}

// Pools that are counted twice, ranks that own other buffers, buffers that a program allocates.
TEST(MemoryFitsProperty, RandomLives) {
  Histogram seen;
  seen.declare("broken", {"no", "yes"});
  EXPECT_TRUE(holds("what lives fits the budget", [&seen] {
    const Setting setting = a_setting();
    const auto steps = *rc::gen::resize(10, rc::gen::container<std::vector<Step>>(a_step()));
    const auto wanted = faults_of(setting, steps);
    RC_ASSERT(told_of(plan_of(setting, steps)) == wanted);
    seen.count("broken", !wanted.empty());
    seen.count("events at fault", std::ssize(wanted));
  }));
  seen.print("memory_fits");
}

// Counts of a file that no machine has: the sum must not wrap into the budget.
TEST(MemoryFitsProperty, HugeCountsDoNotWrap) {
  Setting setting{.world = 1, .budget = INT64_MAX};
  for (int i = 0; i < 5; ++i) setting.buffers.push_back({.name = "b", .bytes = INT64_MAX});
  EXPECT_EQ(told_of(plan_of(setting, {})).size(), 1U);
  setting.buffers.resize(1);
  EXPECT_EQ(told_of(plan_of(setting, {})).size(), 0U);
}

// Without a budget there is nothing to judge.
TEST(MemoryFitsProperty, IsSilentWithoutABudget) {
  Setting setting{.world = 1, .budget = 0, .buffers = {{.name = "b", .bytes = 9}}};
  const Lifecycle plan = plan_of(setting, {});
  for (const Finding& finding : judge_plan(Timeline(plan))) {
    if (finding.law != "memory_fits") continue;
    EXPECT_EQ(finding.verdict, LawVerdict::not_applicable);
  }
}

}  // namespace
}  // namespace capsize::property::memory_test
