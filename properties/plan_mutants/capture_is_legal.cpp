// Planted faults of capture_is_legal: two ranks, one or two communicators.
#include <array>

#include "properties/plan_mutants.hpp"
#include "properties/plan_parts.hpp"

namespace capsize {
namespace {

using namespace parts;

RankSet everyone() { return {0, 1}; }

struct Plan {
  Lifecycle life;
  GroupId tp;
  GroupId dp;

  explicit Plan(Transport transport = Transport::checked) {
    life.world = 2;
    tp = add_group(life, "tp", {{0, 1}});
    dp = add_group(life, "dp", {{0, 1}});
    for (PlanGroups& family : life.families) family.transport = transport;
  }
  [[nodiscard]] PlanEvent warmed(GroupId group) const {
    return warm_up("decode", 8, {eager_program(everyone(), 8, {all_reduce(group, 8)})});
  }
  [[nodiscard]] static PlanEvent captured(std::vector<PlanOp> ops, std::int64_t rows = 8) {
    return capture("decode", rows, {graph(everyone(), rows, std::move(ops))});
  }
  [[nodiscard]] static PlanEvent replayed(std::int64_t rows = 8) {
    return replay("decode", rows, {graph(everyone(), rows)});
  }
  Lifecycle ending(std::vector<PlanEvent> events) {
    life.events = std::move(events);
    return finish(life);
  }
};

// A call of the host inside the captured region, or just before it.
Lifecycle host_call(PlanOpKind kind, bool inside) {
  Plan plan;
  PlanOp call = op(kind, kind == PlanOpKind::host_wait ? GroupId{} : plan.dp);
  if (!inside) call.captured = false;
  return plan.ending({Plan::captured({call, all_reduce(plan.tp, 8)}), Plan::replayed()});
}
template <PlanOpKind kind>
Lifecycle call_inside() {
  return host_call(kind, true);
}
template <PlanOpKind kind>
Lifecycle call_before() {
  return host_call(kind, false);
}

// The parts of an exchange as this step's data want them, or padded to one size.
Lifecycle exchange(bool padded) {
  Plan plan;
  PlanOp all_to_all = op(PlanOpKind::all_to_all, plan.tp);
  all_to_all.sizes = padded ? std::vector<std::int64_t>{4, 4} : std::vector<std::int64_t>{3, 5};
  return plan.ending({Plan::captured({all_to_all}), Plan::replayed()});
}

// Windows are registered by a thread of its own while the capture runs, or after it.
Lifecycle registers_beside(bool beside) {
  Plan plan;
  plan.life.events = {Plan::captured({all_reduce(plan.tp, 8)}), register_groups({plan.tp}),
                      Plan::replayed()};
  plan.life.events[0].stream = 0;
  plan.life.events[1].stream = 1;
  if (!beside) plan.life.events[1].after = {0};
  return finish(plan.life);
}
Lifecycle creates_beside(bool beside) {
  Plan plan;
  plan.life.events = {create(plan.dp), Plan::captured({all_reduce(plan.tp, 8)}), Plan::replayed()};
  plan.life.events[0].stream = 1;
  plan.life.events[1].stream = 0;
  if (!beside) plan.life.events[1].after = {0};
  return finish(plan.life);
}

// A collective and its wait on two sides of a graph break.
Lifecycle waits(std::int64_t segment) {
  Plan plan;
  PlanOp reduce = all_reduce(plan.tp, 8);
  PlanOp wait = op(PlanOpKind::wait);
  reduce.segment = 0;
  wait.segment = segment;
  Program program = graph(everyone(), 8, {reduce, wait});
  program.mode = GraphMode::piecewise;
  Program again = graph(everyone(), 8);
  again.mode = GraphMode::piecewise;
  return plan.ending({capture("decode", 8, {program}), replay("decode", 8, {again})});
}
Lifecycle waits_outside(bool outside) {
  Plan plan;
  PlanOp wait = op(PlanOpKind::wait);
  if (outside) wait.captured = false;
  return plan.ending({Plan::captured({all_reduce(plan.tp, 8), wait}), Plan::replayed()});
}

// The communicator is set up by its first collective.
Lifecycle first_use(bool warm) {
  Plan plan;
  return plan.ending({create(plan.tp), warm ? plan.warmed(plan.tp) : plan.warmed(plan.dp),
                      Plan::captured({all_reduce(plan.tp, 8)}), Plan::replayed()});
}

// The first collective runs before the group exists.
Lifecycle created(bool late) {
  Plan plan;
  std::vector<PlanEvent> events = {create(plan.tp), plan.warmed(plan.tp),
                                   Plan::captured({all_reduce(plan.tp, 8)}), Plan::replayed()};
  if (late) std::swap(events[0], events[1]);
  return plan.ending(std::move(events));
}
Lifecycle created_in_program(bool late) {
  Plan plan;
  std::vector<PlanOp> ops = {op(PlanOpKind::create_group, plan.tp), all_reduce(plan.tp, 8)};
  if (late) std::swap(ops[0], ops[1]);
  return plan.ending({warm_up("decode", 8, {eager_program(everyone(), 8, ops)}),
                      Plan::captured({all_reduce(plan.tp, 8)}), Plan::replayed()});
}

// Two graphs of one communicator are launched on two streams.
Lifecycle two_launches(bool joined) {
  Plan plan;
  plan.life.events = {Plan::captured({all_reduce(plan.tp, 8)}), Plan::replayed(), Plan::replayed()};
  plan.life.events[1].stream = 0;
  plan.life.events[2].stream = 1;
  if (joined) plan.life.events[2].after = {1};
  return finish(plan.life);
}
// The same within one graph.
Lifecycle two_streams(bool joined) {
  Plan plan;
  std::vector<PlanOp> ops = {all_reduce(plan.tp, 8), all_reduce(plan.tp, 8)};
  ops[1].stream = 1;
  if (joined) ops[1].after = {0};
  return plan.ending({Plan::captured(std::move(ops)), Plan::replayed()});
}

// A capture in global mode beside a collective of another communicator.
Lifecycle pending(CaptureMode mode) {
  Plan plan(Transport::raw);
  plan.life.events = {plan.warmed(plan.dp), Plan::captured({all_reduce(plan.tp, 8)}),
                      Plan::replayed()};
  plan.life.events[0].stream = 1;
  plan.life.events[1].stream = 0;
  plan.life.events[1].capture_mode = mode;
  return finish(plan.life);
}
// A capture in global mode after a collective that a watchdog still asks after.
Lifecycle watched(bool waits) {
  Plan plan;
  std::vector<PlanOp> ops = {all_reduce(plan.tp, 8)};
  if (waits) ops.push_back(op(PlanOpKind::host_wait));
  PlanEvent captured = Plan::captured({all_reduce(plan.tp, 8)});
  captured.capture_mode = CaptureMode::global;
  return plan.ending(
      {warm_up("decode", 8, {eager_program(everyone(), 8, ops)}), captured, Plan::replayed()});
}

Lifecycle library(std::string version) {
  Plan plan;
  plan.life.libraries = {{"nccl", std::move(version)}};
  return plan.ending({Plan::captured({all_reduce(plan.tp, 8)}), Plan::replayed()});
}

constexpr std::string_view kLaw = "capture_is_legal";
constexpr std::string_view kDevice = "device work only";

const std::array<PlanMutant, 17> kMutants = {{
    {"waits_inside", kLaw, kDevice, call_inside<PlanOpKind::host_wait>,
     call_before<PlanOpKind::host_wait>},
    {"host_collective_inside", kLaw, kDevice, call_inside<PlanOpKind::host_collective>,
     call_before<PlanOpKind::host_collective>},
    {"creates_inside", kLaw, kDevice, call_inside<PlanOpKind::create_group>,
     call_before<PlanOpKind::create_group>},
    {"registers_inside", kLaw, kDevice, call_inside<PlanOpKind::register_group>,
     call_before<PlanOpKind::register_group>},
    {"exchange_follows_data", kLaw, "no exchange whose sizes follow the data",
     [] { return exchange(false); }, [] { return exchange(true); }},
    {"registers_beside", kLaw, "no registration beside a capture",
     [] { return registers_beside(true); }, [] { return registers_beside(false); }},
    {"creates_beside", kLaw, "no creation beside a capture", [] { return creates_beside(true); },
     [] { return creates_beside(false); }},
    {"waits_in_next_segment", kLaw, "issue and wait in one segment", [] { return waits(1); },
     [] { return waits(0); }},
    {"waits_outside", kLaw, "issue and wait in one graph", [] { return waits_outside(true); },
     [] { return waits_outside(false); }},
    {"first_use_inside", kLaw, "used once before the capture", [] { return first_use(false); },
     [] { return first_use(true); }},
    {"used_before_created", kLaw, "created before it is used", [] { return created(true); },
     [] { return created(false); }},
    {"created_behind_use", kLaw, "created before it is used, in one program",
     [] { return created_in_program(true); }, [] { return created_in_program(false); }},
    {"two_launches", kLaw, "launches of one communicator are ordered",
     [] { return two_launches(false); }, [] { return two_launches(true); }},
    {"two_streams", kLaw, "captured collectives of one communicator are ordered",
     [] { return two_streams(false); }, [] { return two_streams(true); }},
    {"pending_beside_global", kLaw, "nothing pending at a capture in global mode",
     [] { return pending(CaptureMode::global); },
     [] { return pending(CaptureMode::thread_local_mode); }},
    {"watchdog_asks", kLaw, "nothing watched at a capture in global mode",
     [] { return watched(false); }, [] { return watched(true); }},
    {"old_library", kLaw, "the library can be captured", [] { return library("2.8.3"); },
     [] { return library("2.28.3"); }},
}};

}  // namespace

std::span<const PlanMutant> plan_mutants_capture_is_legal();
std::span<const PlanMutant> plan_mutants_capture_is_legal() { return kMutants; }

}  // namespace capsize
