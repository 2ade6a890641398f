// padding_is_inert against walking over every row of every rank.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <ostream>
#include <set>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/histogram.hpp"

namespace capsize::property::padding_test {
namespace {

using namespace parts;
using Count = std::optional<std::int64_t>;

// The first ranks that are blamed, by event.
using Told = std::map<std::int32_t, std::set<std::int64_t>>;

Told told_of(const Lifecycle& plan, std::size_t& paths) {
  const Timeline timeline(plan);
  PlanReport report;
  find_law("padding_is_inert")->check_plan(timeline, report);
  Told told;
  for (const Breach& breach : report.breaches()) {
    EXPECT_EQ(breach.symptom, Symptom::silent_corruption);
    EXPECT_FALSE(breach.blame.empty());
    told[breach.event].insert(breach.rank.value());
  }
  paths = report.paths().size();
  return told;
}

// Whether a row that is not real passes through.
bool has_padding(std::int64_t tokens, Count bucket) {
  for (std::int64_t row = 0; row < bucket.value_or(0); ++row) {
    if (row >= tokens) return true;
  }
  return false;
}

bool is_reached(PlanOpKind kind, bool writes_kv) {
  static const std::set<std::string_view> kReached = {"router", "all_reduce", "reduce_scatter"};
  return writes_kv || kReached.contains(name_of(kind));
}

// Every operation, every padding (or none), tokens and bucket up to 3 or not said, with and without
// a write to the KV cache, in every event that runs programs. A capture is judged as it runs.
TEST(PaddingIsInertProperty, EveryOperation) {
  std::int64_t count = 0;
  std::int64_t broken = 0;
  const auto try_one = [&](PlanOpKind kind, int padding, std::int64_t tokens, Count bucket,
                           bool writes_kv, PlanEventKind event) {
    Lifecycle plan;
    add_group(plan, "g", {{0}});
    add_buffer(plan, {.name = "ws", .kind = BufferKind::workspace});
    add_buffer(plan, {.name = "kv", .kind = BufferKind::kv});
    PlanOp one = op(kind, GroupId{0});
    one.writes = {{.buffer = writes_kv ? 1 : 0}};
    one.reads = {{.buffer = 1}};
    if (padding < 3) one.padding = static_cast<Padding>(padding);
    Program program{.ranks = {0, 0}, .bucket = bucket, .ops = {one}};
    if (tokens >= 0) program.tokens = tokens;
    plan.events = {run(event, "p", 2, {program})};
    finish(plan);
    std::size_t paths = 0;
    const Told told = told_of(plan, paths);
    const bool wanted = padding < 3 && static_cast<Padding>(padding) == Padding::live &&
                        is_reached(kind, writes_kv) && has_padding(tokens < 0 ? 2 : tokens, bucket);
    ASSERT_EQ(!told.empty(), wanted) << name_of(kind) << " " << padding << " " << tokens;
    ASSERT_EQ(paths, padding < 3 ? 1U : 0U);
    ++count;
    broken += wanted ? 1 : 0;
  };
  for (std::size_t kind = 0; kind < kPlanOpKinds; ++kind) {
    for (int padding = 0; padding < 4; ++padding) {
      for (std::int64_t tokens = -1; tokens <= 3; ++tokens) {
        for (const Count bucket : {Count{}, Count{1}, Count{2}, Count{3}}) {
          for (const bool kv : {false, true}) {
            for (const auto event :
                 {PlanEventKind::warm_up, PlanEventKind::capture, PlanEventKind::eager}) {
              try_one(static_cast<PlanOpKind>(kind), padding, tokens, bucket, kv, event);
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(count, std::int64_t{23} * 4 * 5 * 4 * 2 * 3);
  visited(count);
  EXPECT_GT(broken, 0);
}

// ---- random captures and replays --------------------------------------------------------------

constexpr std::int64_t kWorld = 4;

// One event: ranks 0 to `cut` and the rest, each with a count of its own.
struct Step {
  bool captures = false;
  std::int64_t bucket = 4;  // 4 or 8: the key
  std::int64_t cut = 0;
  std::array<std::int64_t, 2> tokens{};  // -1: not said
  std::array<std::int64_t, 2> padding{};
};

void showValue(const Step& step, std::ostream& out) {
  out << (step.captures ? "captures " : "replays ") << step.bucket << ", ranks 0-" << step.cut
      << " with " << step.tokens[0] << " (padding " << step.padding[0] << "), others with "
      << step.tokens[1] << " (padding " << step.padding[1] << ")";
}

rc::Gen<Step> a_step() {
  using namespace generators;
  return rc::gen::map(rc::gen::tuple(coin(), one_of<std::int64_t>({4, 8}), evenly(0, kWorld - 1),
                                     evenly(-1, 9), evenly(-1, 9), evenly(0, 4), evenly(0, 4)),
                      [](const auto& drawn) {
                        const auto [captures, bucket, cut, a, b, x, y] = drawn;
                        return Step{captures, bucket, cut, {a, b}, {x, y}};
                      });
}

RankSet ranks_of(const Step& step, std::size_t half) {
  return half == 0 ? RankSet(0, step.cut) : RankSet(step.cut + 1, kWorld - 1);
}

constexpr std::int64_t kEventTokens = 3;

Lifecycle plan_of(const std::vector<Step>& steps) {
  Lifecycle plan{.world = kWorld};
  for (const Step& step : steps) {
    std::vector<Program> programs;
    for (std::size_t half = 0; half < 2; ++half) {
      PlanOp router = op(PlanOpKind::router);
      if (step.padding.at(half) < 3) router.padding = static_cast<Padding>(step.padding.at(half));
      Program program = graph(ranks_of(step, half), step.bucket);
      if (step.captures) program.ops = {router};
      // A replay may leave the bucket to the capture's key.
      if (!step.captures) program.bucket = std::nullopt;
      if (step.tokens.at(half) >= 0) program.tokens = step.tokens.at(half);
      programs.push_back(std::move(program));
    }
    plan.events.push_back(run(step.captures ? PlanEventKind::capture : PlanEventKind::replay, "p",
                              kEventTokens, std::move(programs)));
  }
  return std::move(finish(plan));
}

// Every rank for itself: what the padding of its graphs holds, by bucket.
std::map<std::int32_t, std::set<std::int64_t>> faults_of(const std::vector<Step>& steps) {
  std::map<std::pair<std::int64_t, std::int64_t>, bool> live;  // of (rank, bucket)
  Told faults;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    for (std::int64_t rank = 0; rank < kWorld; ++rank) {
      const std::size_t half = rank <= step.cut ? 0 : 1;
      bool& graph = live[{rank, step.bucket}];
      if (step.captures) graph = step.padding.at(half) == static_cast<int>(Padding::live);
      const std::int64_t tokens = step.tokens.at(half) < 0 ? kEventTokens : step.tokens.at(half);
      if (graph && has_padding(tokens, step.bucket)) {
        faults[static_cast<std::int32_t>(i)].insert(rank);
      }
    }
  }
  return faults;
}

// A replay that is judged by the tokens of its capture, or by the padding of another rank's graph.
TEST(PaddingIsInertProperty, RandomReplays) {
  Histogram seen;
  seen.declare("broken", {"no", "yes"});
  EXPECT_TRUE(holds("live rows are real rows", [&seen] {
    const auto steps = *rc::gen::resize(10, rc::gen::container<std::vector<Step>>(a_step()));
    std::size_t paths = 0;
    const Told told = told_of(plan_of(steps), paths);
    const Told faults = faults_of(steps);
    RC_ASSERT(told.size() == faults.size());
    for (const auto& [event, ranks] : faults) {
      RC_ASSERT(told.contains(event));
      RC_ASSERT(*told.at(event).begin() == *ranks.begin());
      for (const std::int64_t rank : told.at(event)) RC_ASSERT(ranks.contains(rank));
    }
    seen.count("broken", !faults.empty());
  }));
  seen.print("padding_is_inert");
}

}  // namespace
}  // namespace capsize::property::padding_test
