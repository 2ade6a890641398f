// The written plans, executed on the reference and the emulated backend: what a law predicts of a
// plan is what its execution shows, at the same event and operation; after the fix nothing is
// shown. Plans whose fault no execution on CPUs shows are named here with the reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "properties/plan_report.hpp"
#include "runtime/device/emulated_backend.hpp"
#include "runtime/device/host_device.hpp"
#include "runtime/executor.hpp"
#include "runtime/plain/buffers.hpp"
#include "runtime/reference.hpp"
#include "scenarios/formats/plan.hpp"
#include "tests/support/plan_cases.hpp"

namespace capsize::executed_plans_test {
namespace {

struct Shown {
  std::string_view defect_class;
  std::string_view id;
};

constexpr auto kShown = std::to_array<Shown>({
    {"C01", "sglang-19760-plan"},    {"C01", "sglang-23972-plan"},
    {"C01", "sglang-26016-plan"},    {"C01", "sglang-33200-plan"},
    {"C02", "sglang-20230-plan"},    {"C02", "sglang-24560-plan"},
    {"C02", "sglang-31012-plan"},    {"C02", "tokenspeed-405-plan"},
    {"C02", "vllm-24021-plan"},      {"C03", "sglang-30450-plan"},
    {"C03", "sglang-32196-plan"},    {"C03", "vllm-25906-plan"},
    {"C04", "pegainfer-481-plan"},   {"C04", "pegainfer-498-plan"},
    {"C04", "sglang-37561-plan"},    {"C05", "automodel-2468-plan"},
    {"C05", "deepep-496-plan"},      {"C05", "sglang-34442-plan"},
    {"C05", "trtllm-13998-plan"},    {"C05", "trtllm-14986-plan"},
    {"C05", "vllm-26086-plan"},      {"C07", "sglang-22516-plan"},
    {"C07", "sglang-29942-plan"},    {"C07", "trtllm-10688-plan"},
    {"C07", "vllm-15269-plan"},      {"C07", "vllm-40023-plan"},
    {"C08", "atom-1595-plan"},       {"C08", "sglang-33253-plan"},
    {"C08", "sglang-40629-plan"},    {"C08", "vllm-34187-plan"},
    {"C10", "flashinfer-4398-plan"}, {"C10", "trtllm-16319-plan"},
    {"C10", "trtllm-18207-plan"},    {"C10", "vllm-36070-plan"},
    {"C10", "vllm-52383-plan"},      {"C10", "vllm-53520-plan"},
    {"C11", "aiter-2638-plan"},      {"C11", "sglang-14193-plan"},
    {"C11", "sglang-21907-plan"},    {"C11", "sglang-34230-plan"},
    {"C11", "vllm-28334-plan"},      {"C11", "vllm-54626-plan"},
    {"C12", "deepep-62-plan"},       {"C12", "pytorch-192000-plan"},
    {"C12", "rccl-2022-plan"},       {"C13", "aluminum-21-plan"},
    {"C13", "nccl-1417-plan"},       {"C14", "transformers-45323-plan"},
    {"C14", "vllm-43145-plan"},
});

// What no execution on CPUs shows: it goes through, or (531) needs more memory than a run takes.
struct NotShown {
  std::string_view id;
  std::string_view why;
};

constexpr auto kNotShown = std::to_array<NotShown>({
    {"vllm-ascend-1636-plan", "in the steps that it holds all ranks choose alike"},
    {"vllm-45610-decisions-plan", "in the steps that it holds all ranks choose alike"},
    {"vllm-45610-plan", "a send of a graph and an eager receive of as many rows meet"},
    {"vllm-30173-plan", "a slower step with right results"},
    {"sglang-34919-plan", "a slower step with right results"},
    {"vllm-40734-plan", "a slower step with right results"},
    {"vllm-54933-plan", "a slower step with right results"},
    {"vllm-ascend-3909-plan", "a slower step with right results"},
    {"vllm-ascend-7801-plan", "a slower step with right results"},
    {"sglang-5527-plan", "a slower step with right results"},
    {"sglang-30895-plan", "what padding rows hold reaches others through mathematics alone"},
    {"vllm-39593-plan", "what padding rows hold reaches others through mathematics alone"},
    {"vllm-ascend-15492-plan", "what padding rows hold reaches others through mathematics alone"},
    {"sglang-27948-plan", "memory of a CPU can always be handed to peers"},
    {"pytorch-104487-plan", "there is no watchdog"},
    {"pytorch-64440-plan", "a property of one release of a library"},
    {"rccl-2179-plan", "events run one after the other"},
    {"nccl-531-plan", "16 x 16777216 rows do not fit"},
    {"vllm-51590-plan", "a budget of device memory"},
    {"vllm-57475-plan", "a budget of device memory"},
});

// A place and what is seen there, in a word each.
struct Outcome {
  Symptom symptom = Symptom::none;
  std::int32_t event = -1;
  std::set<std::string> operations;  // of a hang: all that ranks wait in
  std::string text;
};

std::string text_of(const Outcome& outcome) {
  std::string out(name_of(outcome.symptom));
  if (outcome.event >= 0) out += " in event " + std::to_string(outcome.event) + " at";
  for (const std::string& each : outcome.operations) out += " " + each;
  return outcome.text.empty() ? out : out + " (" + outcome.text + ")";
}

std::string operation_text(std::string_view kind, std::string_view group) {
  std::string out(kind);
  return group.empty() ? out : out.append("/").append(group);
}

// The first event in which the plan breaks the law.
Outcome predicted_of(const Timeline& timeline, std::string_view law) {
  Outcome out;
  for (const StandingBreach& each : standing_breaches(timeline)) {
    const Breach& breach = each.breach;
    if (each.law->name != law || (out.symptom != Symptom::none && breach.event > out.event)) {
      continue;
    }
    if (breach.event != out.event) out = {};
    if (out.symptom == Symptom::none) out.symptom = breach.symptom;
    out.event = breach.event;
    if (breach.op.empty()) continue;
    const bool grouped = breach.group.valid() && breach.op != "wait";
    out.operations.insert(operation_text(
        breach.op, grouped ? timeline.lifecycle().family(breach.group).name : std::string()));
  }
  return out;
}

Outcome observed_of(const Observation& seen) {
  const EventObservation* failure = seen.first_failure();
  if (failure == nullptr) return {};
  Outcome out{.symptom = failure->symptom, .event = failure->event, .text = failure->text};
  if (failure->place) {
    out.operations.insert(operation_text(failure->place->kind, failure->place->group));
  }
  for (const RankState& each : failure->wavefront) {
    if (each.doing == RankState::Doing::waits) {
      out.operations.insert(operation_text(each.place.kind, each.place.group));
    }
  }
  return out;
}

class ExecutedPlans : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (Scenario& each : test::plan_cases()) cases_.emplace(each.id, std::move(each));
  }

  // On both backends that hold all ranks, which must see the same.
  static Result<Observation> execute_plan(const Lifecycle& plan) {
    ReferenceBackend backend;
    HostDevice device;
    EmulatedBackend emulated(device);
    auto seen = execute(plan, RunOptions{}, backend, nullptr, &context_);
    auto other = execute(plan, RunOptions{}, emulated, nullptr, &context_);
    EXPECT_EQ(seen.has_value(), other.has_value());
    if (!seen || !other) return seen;
    for (Observation* each : {&*seen, &*other}) {
      for (EventObservation& event : each->events) event.nanoseconds = 0;
    }
    EXPECT_TRUE(seen->events == other->events) << text_of(observed_of(*other));
    return seen;
  }

  static Lifecycle read(const nlohmann::json& json) {
    auto plan = read_plan(JsonField(json));
    EXPECT_TRUE(plan) << plan.error().text;
    return plan ? *std::move(plan) : Lifecycle{};
  }

  // What is seen of a plan; none where it cannot be executed.
  static std::optional<Outcome> outcome_of(const nlohmann::json& json) {
    const auto seen = execute_plan(read(json));
    if (!seen) return std::nullopt;
    EXPECT_FALSE(seen->mathematics);
    return observed_of(*seen);
  }

  static const Scenario& of(std::string_view id) { return cases_.at(std::string(id)); }

  static std::map<std::string, Scenario> cases_;  // NOLINT: gtest's way to share
  static RunContext context_;                     // NOLINT
};

std::map<std::string, Scenario> ExecutedPlans::cases_;  // NOLINT
RunContext ExecutedPlans::context_;                     // NOLINT

// A prediction that an execution contradicts: another symptom, event or operation.
TEST_F(ExecutedPlans, ShowWhatTheLawPredicts) {
  std::string table;
  bool agree = true;
  for (const Shown& each : kShown) {
    const Scenario& scenario = of(each.id);
    const Lifecycle plan = read(*scenario.plan);
    const Timeline timeline(plan);
    const Outcome predicted = predicted_of(timeline, test::law_of(scenario));
    const auto seen = execute_plan(plan);
    ASSERT_TRUE(seen) << each.id << ": " << seen.error().text;
    const Outcome observed = observed_of(*seen);
    // A replay without its graph has no operation to name.
    const bool same_operation =
        predicted.operations.empty() ||
        std::ranges::any_of(predicted.operations, [&](const std::string& operation) {
          return observed.operations.contains(operation);
        });
    const bool same = predicted.symptom != Symptom::none && predicted.symptom == observed.symptom &&
                      predicted.event == observed.event && same_operation;
    agree = agree && same;
    table.append(same ? "       " : "WRONG  ").append(each.defect_class).append(" ");
    table.append(each.id).append(": predicted ").append(text_of(predicted));
    table.append(", observed ").append(text_of(observed)).append("\n");
  }
  EXPECT_TRUE(agree) << table;
}

// A finding that names another event or symptom than the breach that the test above compares with.
TEST_F(ExecutedPlans, FindingsNameTheFirstBreach) {
  for (const Shown& each : kShown) {
    const Scenario& scenario = of(each.id);
    const std::string law = test::law_of(scenario);
    const Lifecycle plan = read(*scenario.plan);
    const Timeline timeline(plan);
    const Outcome predicted = predicted_of(timeline, law);
    const auto findings = judge_plan(timeline);
    const bool named = std::ranges::any_of(findings, [&](const Finding& finding) {
      const PlanEvent& event = plan.events[static_cast<std::size_t>(predicted.event)];
      return finding.law == law && finding.verdict == LawVerdict::violation &&
             finding.symptom == predicted.symptom && finding.first_in_time &&
             finding.first_in_time->event == name_of(event.kind);
    });
    EXPECT_TRUE(named) << each.id << ": " << text_of(predicted);
  }
}

// A check of the runtime that cries wolf: at a plan after its fix, or at a legal one.
TEST_F(ExecutedPlans, ShowNothingAfterTheFix) {
  for (const auto& [id, scenario] : cases_) {
    const bool legal = test::law_of(scenario).empty();
    const auto& plan = legal ? scenario.plan : scenario.plan_after;
    ASSERT_TRUE(plan) << id;
    const auto seen = outcome_of(*plan);
    EXPECT_EQ(seen.has_value(), id != "nccl-531-plan") << id;
    if (!seen) continue;
    EXPECT_EQ(seen->symptom, Symptom::none) << id << ": " << text_of(*seen);
  }
}

// A plan that is shown by now and still said not to be; one that nobody thought of.
TEST_F(ExecutedPlans, WhatIsNotShownHasAReason) {
  std::set<std::string_view> told;
  for (const Shown& each : kShown) told.insert(each.id);
  for (const NotShown& each : kNotShown) {
    EXPECT_TRUE(told.insert(each.id).second) << each.id;
    const auto seen = outcome_of(*of(each.id).plan);
    EXPECT_EQ(seen.has_value(), each.id != "nccl-531-plan") << each.id;
    EXPECT_FALSE(each.why.empty());
    if (!seen) continue;
    EXPECT_EQ(seen->symptom, Symptom::none) << each.id << ": " << text_of(*seen);
  }
  for (const auto& [id, scenario] : cases_) {
    EXPECT_TRUE(test::law_of(scenario).empty() || told.contains(id)) << id;
  }
}

// A list that shrinks until it says little.
TEST_F(ExecutedPlans, CoverManyClasses) {
  std::set<std::string_view> classes;
  std::set<std::string_view> ids;
  for (const Shown& each : kShown) {
    classes.insert(each.defect_class);
    ids.insert(each.id);
    EXPECT_TRUE(of(each.id).defect_class.starts_with(each.defect_class)) << each.id;
  }
  EXPECT_GE(ids.size(), 14U);
  EXPECT_GE(classes.size(), 10U);
}

// ---- buffers ----------------------------------------------------------------------------------

Lifecycle one_buffer(BufferKind kind) {
  Lifecycle out;
  out.buffers.push_back({.name = "b", .bytes = 64, .kind = kind});
  return out;
}

// A part that was not written again and reads as if it were; neighbours written alike that read
// otherwise than one write of both.
TEST(NamedBuffers, ReadWhatWasWrittenWhere) {
  const Lifecycle plan = one_buffer(BufferKind::input);
  RankBuffers whole(plan, 0);
  RankBuffers parts(plan, 0);
  const std::int32_t block = whole.block_of(0);
  const Content step{.value = 7, .of_step = true};
  whole.write(block, {0, 0, 64}, step);
  parts.write(block, {0, 0, 32}, step);
  EXPECT_NE(whole.read(block, 0, 64, std::nullopt), parts.read(block, 0, 64, std::nullopt));
  EXPECT_EQ(whole.read(block, 8, 24, std::nullopt), parts.read(block, 8, 24, std::nullopt));
  parts.write(block, {0, 32, -1}, step);
  EXPECT_EQ(whole.read(block, 0, 64, std::nullopt), parts.read(block, 0, 64, std::nullopt));
  // In the middle of another write.
  parts.write(block, {0, 8, 8}, {.value = 9});
  EXPECT_NE(whole.read(block, 0, 64, std::nullopt), parts.read(block, 0, 64, std::nullopt));
  EXPECT_EQ(whole.read(block, 16, 48, std::nullopt), parts.read(block, 16, 48, std::nullopt));
  // What the host wrote for an earlier step is what this step has, where it is asked so.
  EXPECT_EQ(whole.read(block, 0, 64, 5), RankBuffers(plan, 0).read(block, 0, 64, 5));
  EXPECT_NE(parts.read(block, 0, 64, 5), whole.read(block, 0, 64, 5));
}

// An access past the end, to freed memory, or to memory that has moved, that nobody sees.
TEST(NamedBuffers, TellBadAccesses) {
  const Lifecycle plan = one_buffer(BufferKind::workspace);
  RankBuffers buffers(plan, 0);
  const std::int32_t old = buffers.block_of(0);
  const auto check_at = [&](std::int32_t block, std::int64_t offset, std::int64_t bytes) {
    const auto trouble = buffers.trouble_at(block, {0, offset, bytes}, true);
    return trouble ? std::optional(trouble->check) : std::nullopt;
  };
  EXPECT_EQ(check_at(old, 0, 64), std::nullopt);
  EXPECT_EQ(check_at(old, 1, 64), Check::guards);
  EXPECT_EQ(check_at(old, INT64_MAX, 1), Check::guards);
  buffers.free(0);
  EXPECT_EQ(check_at(old, 0, 64), Check::address);
  buffers.allocate(0, 128, false);
  EXPECT_EQ(check_at(old, 0, 64), Check::address);
  EXPECT_EQ(check_at(buffers.block_of(0), 64, 64), std::nullopt);
  buffers.allocate(0, std::nullopt, true);  // a graph's own stays valid for it
  const std::int32_t own = buffers.block_of(0);
  buffers.free(0);
  EXPECT_EQ(check_at(own, 0, 128), std::nullopt);
}

// An output that another path writes over before its reader comes; and one that has been read.
TEST(NamedBuffers, RememberUnreadOutputs) {
  const Lifecycle plan = one_buffer(BufferKind::output);
  RankBuffers buffers(plan, 0);
  const std::int32_t block = buffers.block_of(0);
  const auto write = [&](std::int32_t path) {
    buffers.write(block, {0, 0, 64}, {.value = 3, .path = path, .unread = true});
  };
  write(0);
  write(1);
  EXPECT_EQ(buffers.read_output(block, {0, 0, 32}, 0), 0);
  EXPECT_EQ(buffers.read_output(block, {0, 0, 64}, 1), -1);
  write(0);
  EXPECT_EQ(buffers.read_output(block, {0, 0, 64}, 0), -1);
  write(1);
  EXPECT_EQ(buffers.read_output(block, {0, 0, 64}, 0), -1) << "it was read before";
}

}  // namespace
}  // namespace capsize::executed_plans_test
