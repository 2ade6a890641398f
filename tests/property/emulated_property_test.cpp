// The emulated backend against the reference: what all ranks do in one launch each is what they do
// one by one. On the device that is the host, so that it runs everywhere; and on devices with a
// fault, which is seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include "runtime/device/schedule.hpp"
#include "runtime/faults.hpp"
#include "runtime/replays.hpp"
#include "tests/property/executed_plans.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::emulated_test {
namespace {

using property::EmulatedOnHost;
using property::ExecutedPlan;
using property::LayoutCase;

RunContext& shared_context() {
  static RunContext context;
  return context;
}

Result<Observation> run_on(Backend& backend, const Lifecycle& plan, const RunOptions& options) {
  return execute(plan, options, backend, nullptr, &shared_context());
}

// ---- the schedule -----------------------------------------------------------------------------

struct RandomItem {
  std::uint64_t kind = 0;
  std::vector<std::int32_t> ranks;
};

std::vector<RandomItem> random_items(std::int32_t ranks) {
  const auto any = [](std::int32_t end) { return *rc::gen::resize(100, rc::gen::inRange(0, end)); };
  std::vector<RandomItem> out(static_cast<std::size_t>(any(40)));
  for (RandomItem& each : out) {
    each.kind = static_cast<std::uint64_t>(any(4));
    const std::int32_t first = any(ranks);
    const bool meets = any(3) == 0;
    for (std::int32_t rank = first; rank < ranks; ++rank) {
      if (rank == first || (meets && any(2) == 0)) each.ranks.push_back(rank);
    }
  }
  return out;
}

// An item that is done twice or never, before one that its rank has put off earlier, beside another
// of the same rank, or with items of another kind.
void check_schedule(std::int32_t ranks, const std::vector<RandomItem>& items) {
  Schedule schedule;
  schedule.begin(static_cast<std::size_t>(ranks));
  for (const RandomItem& each : items) (void)schedule.add(each.kind, each.ranks);
  std::vector<std::vector<std::size_t>> done(static_cast<std::size_t>(ranks));
  std::size_t count = 0;
  schedule.for_batches([&](std::span<const std::size_t> batch) {
    std::set<std::int32_t> busy;
    for (const std::size_t item : batch) {
      ++count;
      RC_ASSERT(items[item].kind == items[batch.front()].kind);
      for (const std::int32_t rank : items[item].ranks) {
        RC_ASSERT(busy.insert(rank).second);
        done[static_cast<std::size_t>(rank)].push_back(item);
      }
    }
  });
  RC_ASSERT(count == items.size());
  for (const auto& each : done) RC_ASSERT(std::ranges::is_sorted(each));
}

TEST(EmulatedSchedule, KeepsEveryRanksOrder) {
  EXPECT_TRUE(property::holds("each item is done once, in its ranks' order, with its kind", [] {
    const std::int32_t ranks = *rc::gen::resize(100, rc::gen::inRange(1, 9));
    check_schedule(ranks, random_items(ranks));
  }));
}

// Ranks that run the same operations, of which some meet in groups: a launch each. Ranks that begin
// with something of their own wait for nobody and go on with the others.
TEST(EmulatedSchedule, PutsTheSameOperationsOfAllRanksTogether) {
  for (const bool uneven : {false, true}) {
    Schedule schedule;
    schedule.begin(8);
    if (uneven) (void)schedule.add(9, 5);
    for (std::uint64_t kind = 0; kind < 5; ++kind) {
      for (std::int32_t rank = 0; kind % 2 == 0 && rank < 8; ++rank) (void)schedule.add(kind, rank);
      for (std::int32_t group = 0; kind % 2 == 1 && group < 4; ++group) {
        (void)schedule.add(kind, std::vector{group, group + 4});
      }
    }
    std::size_t batches = 0;
    schedule.for_batches([&](std::span<const std::size_t>) { ++batches; });
    EXPECT_EQ(batches, uneven ? 6U : 5U);
  }
}

// ---- launches ---------------------------------------------------------------------------------

// Counts what is issued while a run ends.
class CountingBackend : public EmulatedBackend {
 public:
  using EmulatedBackend::EmulatedBackend;
  Result<std::vector<LateFault>> end_run(bool failed) override {
    const Device::Work before = device().work();
    auto out = EmulatedBackend::end_run(failed);
    const Device::Work after = device().work();
    runs.push_back(
        {.launches = after.launches - before.launches, .graphs = after.graphs - before.graphs});
    return out;
  }
  std::vector<Device::Work> runs;
};

ExecutedPlan captured_plan(const LayoutCase& layout, std::int64_t n) {
  ExecutedPlan made(property::step_of_layout(layout)->plan);
  made.add(PlanEventKind::warm_up, n);
  made.add(PlanEventKind::capture, n, GraphMode::graph);
  made.replay(n, n);
  return made;
}

// Launches that grow with the ranks or their groups; a replay that launches operations one by one.
TEST(Emulated, AnOperationIsOneLaunchOverAllRanks) {
  for (const LayoutCase& layout :
       {LayoutCase{.attn_tp = 2, .model = property::kMixedModel},
        LayoutCase{.attn_tp = 8, .dense_fully_dp = true, .model = property::kMixedModel},
        LayoutCase{.attn_tp = 4, .attn_dp = 4, .model = property::kMixedModel},
        LayoutCase{.attn_tp = 2, .attn_dp = 16, .a2a = true, .model = property::kSparseModel}}) {
    const ExecutedPlan made = captured_plan(layout, 16 * layout.attn_tp);
    HostDevice device;
    CountingBackend backend(device);
    const auto seen = run_on(backend, made.plan, {});
    ASSERT_TRUE(seen) << seen.error().text;
    ASSERT_EQ(seen->first_failure(), nullptr) << layout.text() << property::told(*seen);
    const std::int64_t operations = seen->events[0].operations / made.plan.world;
    ASSERT_GT(operations, 20);
    ASSERT_EQ(backend.runs.size(), 5U);  // warm-up; capture and its eager twin; replay and its
    for (const std::size_t eager : {0U, 2U, 4U}) {
      // One more fill and one more look an operation.
      EXPECT_EQ(backend.runs[eager].launches, 3 * operations) << layout.text();
      EXPECT_EQ(backend.runs[eager].graphs, 0);
    }
    for (const std::size_t graph : {1U, 3U}) {
      EXPECT_EQ(backend.runs[graph].launches, 0) << layout.text();
      EXPECT_EQ(backend.runs[graph].graphs, 1) << layout.text();
    }
  }
}

// ---- against the reference --------------------------------------------------------------------

struct Both {
  Observation reference;
  Observation emulated;
};

std::optional<Both> run_both(const Lifecycle& plan, const RunOptions& options) {
  ReferenceBackend reference;
  EmulatedOnHost emulated;
  auto one = run_on(reference, plan, options);
  auto other = run_on(emulated.backend, plan, options);
  EXPECT_TRUE(one) << one.error().text;
  EXPECT_TRUE(other) << other.error().where << ": " << other.error().text;
  if (!one || !other) return std::nullopt;
  return Both{*std::move(one), *std::move(other)};
}

// The same in every event. Of one that failed: what went wrong, where, and what was seen there; how
// much more was run before anybody looked is the backend's own. Into a graph nobody looks: what is
// wrong inside is told where it comes out, or where a rank fails by it.
bool alike(const Both& both) {
  const auto same = [](EventObservation one, EventObservation other) {
    one.nanoseconds = other.nanoseconds = 0;
    if (one.symptom == Symptom::none) return one == other;
    const bool inside =
        one.kind == PlanEventKind::capture && one.symptom == Symptom::silent_corruption;
    if (inside) return other.symptom != Symptom::none;
    return one.symptom == other.symptom && one.place == other.place && one.text == other.text &&
           one.mismatches == other.mismatches && one.wavefront == other.wavefront;
  };
  return std::ranges::equal(both.reference.events, both.emulated.events, same) &&
         both.reference.elements == both.emulated.elements &&
         both.reference.nonzero == both.emulated.nonzero;
}

std::string told(const Both& both) {
  return "reference:\n" + property::told(both.reference) + "emulated:\n" +
         property::told(both.emulated);
}

// Sizes that fit and sizes that do not, whole and padded, whole graphs and graphs in pieces.
Lifecycle lifecycle_of(const LayoutCase& layout, GraphMode mode, bool mathematics) {
  ExecutedPlan made(property::step_of_layout(layout)->plan);
  const std::int64_t large = 4 * layout.attn_tp * layout.attn_cp;
  const std::int64_t small = large / 2 + 1;
  for (const std::int64_t n : {large, small}) made.add(PlanEventKind::warm_up, n);
  for (const std::int64_t n : {large, small}) {
    PlanEvent& event = made.add(PlanEventKind::capture, n, mode);
    if (mode != GraphMode::piecewise) continue;
    for (Program& program : event.programs) {
      std::int64_t at = 0;
      for (PlanOp& op : program.ops) op.captured = ++at % 3 != 0;
    }
  }
  for (const std::int64_t n : {large, large - 1, small, small - 1, large}) {
    made.replay(n, n > small ? large : small);
  }
  if (!mathematics) made.plan.layers.clear();
  return std::move(made.plan);
}

LayoutCase random_layout(std::mt19937_64& random) {
  const auto pick = [&](std::vector<std::int64_t> values) {
    return values[random() % values.size()];
  };
  LayoutCase out;
  do {
    out = {.attn_tp = pick({1, 2, 3, 4, 8}),
           .attn_cp = pick({1, 2}),
           .attn_dp = pick({1, 2, 4}),
           .dense_fully_dp = pick({0, 1}) == 1,
           .a2a = pick({0, 1}) == 1,
           .model = static_cast<std::size_t>(pick({0, 1, 3}))};
  } while (out.attn_tp * out.attn_cp * out.attn_dp > 16);
  out.splits_context = out.attn_cp > 1;
  return out;
}

// An operation that a launch does otherwise, or in another order, than the ranks one by one; a
// graph that holds something else.
TEST(Emulated, SeesWhatTheReferenceSees) {
  constexpr std::int64_t kCases = 40;
  std::mt19937_64 random(property::seed_of_runs());
  std::int64_t sound = 0;
  for (std::int64_t i = 0; i < kCases; ++i) {
    const LayoutCase layout = random_layout(random);
    const auto mode = random() % 2 == 0 ? GraphMode::graph : GraphMode::piecewise;
    const RunOptions options{.type = static_cast<ElementType>(random() % 4)};
    const auto both = run_both(lifecycle_of(layout, mode, random() % 4 != 0), options);
    ASSERT_TRUE(both);
    ASSERT_TRUE(alike(*both)) << layout.text() << " " << name_of(options.type) << ", seed "
                              << property::seed_of_runs() << "\n"
                              << told(*both);
    sound += both->reference.first_failure() == nullptr ? 1 : 0;
  }
  EXPECT_GT(sound, 4);
  EXPECT_LT(sound, kCases);
  property::visited(kCases);
}

// A fault of counts that launches over all ranks hide, or tell elsewhere.
TEST(Emulated, SeesPlantedFaultsAsTheReferenceDoes) {
  std::int64_t failures = 0;
  for (const RunFault fault : kRunFaults) {
    for (const std::size_t model : {property::kDenseModel, property::kMixedModel}) {
      for (const std::int64_t attn_dp : {1, 2}) {
        const LayoutCase layout{
            .attn_tp = 4, .attn_dp = attn_dp, .dense_fully_dp = true, .model = model};
        ExecutedPlan made(property::step_of_layout(layout)->plan);
        for (const std::int64_t n : {16, 10, 8}) made.add(PlanEventKind::warm_up, n);
        for (const std::int64_t n : {16, 8}) made.add(PlanEventKind::capture, n, GraphMode::graph);
        for (const std::int64_t n : {16, 11, 8, 3}) made.replay(n, n > 8 ? 16 : 8);
        const RunOptions options{.unguarded = fault != RunFault::none, .fault = fault};
        if (!plant_fault(made.plan, options)) continue;
        const auto both = run_both(made.plan, options);
        ASSERT_TRUE(both);
        EXPECT_TRUE(alike(*both)) << name_of(fault) << " on " << layout.text() << "\n"
                                  << told(*both);
        failures += both->reference.first_failure() != nullptr ? 1 : 0;
      }
    }
  }
  EXPECT_GT(failures, 8);
}

// ---- devices with a fault ---------------------------------------------------------------------

// The host, but for what is changed in a launch and done behind it.
struct DeviceFault {
  std::string name;
  std::optional<Check> check;  // that must see it; none: the device's own error is told
  std::function<void(Launch&)> before = {};
  std::function<std::optional<Launch>(const Launch&)> behind = {};
  // A launch that only the device knows of makes a graph that is not what was launched.
  enum class Where : std::uint8_t { everywhere, captures, outside } where = Where::everywhere;
  bool leaves_out = false;  // every launch
  bool breaks = false;      // whoever waits is told of an error
};

class FaultyDevice : public HostDevice {
 public:
  explicit FaultyDevice(const DeviceFault& fault) : fault_(fault) {}

  void launch(const Launch& what) override {
    using Where = DeviceFault::Where;
    if (fault_.where == (captures_ ? Where::outside : Where::captures)) {
      return HostDevice::launch(what);
    }
    Launch changed = what;
    if (fault_.before) fault_.before(changed);
    if (!fault_.leaves_out) HostDevice::launch(changed);
    if (!fault_.behind) return;
    if (const auto more = fault_.behind(changed)) HostDevice::launch(*more);
  }
  Result<void> begin_capture() override {
    captures_ = true;
    return HostDevice::begin_capture();
  }
  Result<std::unique_ptr<DeviceGraph>> end_capture() override {
    captures_ = false;
    return HostDevice::end_capture();
  }
  Result<void> wait() override {
    if (!fault_.breaks) return HostDevice::wait();
    return tl::unexpected(Error{"device", "an illegal address was read", "look at the log"});
  }

 private:
  const DeviceFault& fault_;
  bool captures_ = false;
};

template <class Kind, class Change>
std::function<void(Launch&)> each_item(Change change) {
  return [change](Launch& launch) {
    auto* of_kind = std::get_if<Kind>(&launch);
    if (of_kind == nullptr) return;
    for (auto& item : of_kind->items) change(*of_kind, item);
  };
}

// Behind each launch of attention, or of the MLP: what is done to the output of its last item.
std::function<std::optional<Launch>(const Launch&)> behind(
    Role role, std::function<std::optional<Launch>(Matrix)> what) {
  return [role, what](const Launch& launch) -> std::optional<Launch> {
    const auto* weighed = std::get_if<WeightsLaunch>(&launch);
    if (weighed == nullptr || weighed->role != role || weighed->items.back().out.rows == 0) {
      return std::nullopt;
    }
    return what(weighed->items.back().out);
  };
}

using Collective = CollectiveLaunch::Kind;

// Wrong in a launch itself.
std::vector<DeviceFault> wrong_launches() {
  std::vector<DeviceFault> all;
  all.push_back({.name = "reduce-scatter gives the neighbour's part",
                 .check = Check::oracle,
                 .before = each_item<CollectiveLaunch>([](const auto& launch, auto& item) {
                   if (launch.kind != Collective::reduce_scatter) return;
                   std::ranges::rotate(item.out, item.out.begin() + 1);
                 })});
  all.push_back({.name = "all-gather puts the parts in the reverse order",
                 .check = Check::oracle,
                 .before = each_item<CollectiveLaunch>([](const auto& launch, auto& item) {
                   if (launch.kind == Collective::all_gather) std::ranges::reverse(item.in);
                 })});
  all.push_back({.name = "one rank's part is added twice, and another's not",
                 .check = Check::oracle,
                 .before = each_item<CollectiveLaunch>([](const auto& launch, auto& item) {
                   if (launch.kind == Collective::all_reduce) item.in[0] = item.in[1];
                 })});
  all.push_back({.name = "the residual is read from where hidden lies",
                 .check = Check::oracle,
                 .before = each_item<NormLaunch>([](const auto&, auto& item) {
                   if (item.residual.data != nullptr) item.residual = item.hidden;
                 })});
  all.push_back({.name = "the two outputs of the norm change places",
                 .check = Check::exact,
                 .before = each_item<NormLaunch>([](const auto&, auto& item) {
                   if (item.residual.data != nullptr) std::swap(item.out, item.residual_out);
                 })});
  all.push_back({.name = "padding rows are not poisoned",
                 .check = Check::padding,
                 .before = each_item<FillLaunch>([](const auto&, auto& item) {
                   for (const Poison each : {Poison::nan, Poison::infinity, Poison::huge}) {
                     if (item.bits == poison_bits(item.to.type, each)) item.to.rows = 0;
                   }
                 })});
  return all;
}

// Something that is done beside a launch.
std::vector<DeviceFault> wrong_behind() {
  std::vector<DeviceFault> all;
  all.push_back(
      {.name = "the last element of an output is not written",
       .check = Check::written,
       .behind = behind(Role::attention,
                        [](Matrix out) {
                          const Matrix last{out.row(out.rows) - bytes_of(out.type), 1, 1, out.type};
                          return FillLaunch{.items = {{last, unwritten_bits(out.type)}}};
                        }),
       .where = DeviceFault::Where::outside});
  all.push_back({.name = "a row behind the output is written",
                 .check = Check::guards,
                 .behind = behind(Role::mlp,
                                  [](Matrix out) {
                                    const Matrix row{out.row(out.rows), 1, out.columns, out.type};
                                    return FillLaunch{.items = {{row, 0}}};
                                  }),
                 .where = DeviceFault::Where::outside});
  all.push_back(
      {.name = "a row before the output is written",
       .check = Check::guards,
       .behind = behind(Role::mlp,
                        [](Matrix out) {
                          const Matrix row{out.data - out.row_bytes(), 1, out.columns, out.type};
                          return FillLaunch{.items = {{row, 0}}};
                        }),
       .where = DeviceFault::Where::outside});
  all.push_back({.name = "a sum is off by one unit in the last place",
                 .check = Check::exact,
                 .behind = behind(Role::attention,
                                  [](Matrix out) -> std::optional<Launch> {
                                    *out.data ^= std::byte{1};
                                    return std::nullopt;
                                  }),
                 .where = DeviceFault::Where::outside});
  // Only the graph is wrong, and the reading of its nodes tells.
  const auto copy = [](const Launch& launch) -> std::optional<Launch> {
    const auto* norm = std::get_if<NormLaunch>(&launch);
    if (norm == nullptr) return std::nullopt;
    return CopyLaunch{.items = {{.from = norm->items[0].out, .to = norm->items[0].out}}};
  };
  all.push_back({.name = "a capture holds a copy that nobody launched",
                 .check = std::nullopt,
                 .behind = copy,
                 .where = DeviceFault::Where::captures});
  all.push_back({.name = "a capture leaves its launches out",
                 .check = std::nullopt,
                 .where = DeviceFault::Where::captures,
                 .leaves_out = true});
  all.push_back({.name = "the device fails", .check = std::nullopt, .breaks = true});
  return all;
}

Lifecycle mutants_plan() {
  ExecutedPlan made(property::step_of_layout(
                        {.attn_tp = 4, .dense_fully_dp = true, .model = property::kMixedModel})
                        ->plan);
  for (const std::int64_t n : {16, 8}) made.add(PlanEventKind::warm_up, n);
  for (const std::int64_t n : {16, 8}) made.add(PlanEventKind::capture, n, GraphMode::graph);
  for (const std::int64_t n : {16, 11, 8, 3}) made.replay(n, n > 8 ? 16 : 8);
  return std::move(made.plan);
}

bool has(const Observation& seen, Check check) {
  return std::ranges::any_of(seen.events, [check](const EventObservation& event) {
    return std::ranges::any_of(event.mismatches,
                               [check](const Mismatch& each) { return each.check == check; });
  });
}

// A check that is put off and then forgotten.
TEST(Emulated, EveryFaultOfADeviceIsSeen) {
  std::vector<DeviceFault> all = wrong_launches();
  for (DeviceFault& each : wrong_behind()) all.push_back(std::move(each));
  const Lifecycle plan = mutants_plan();
  for (const DeviceFault& fault : all) {
    FaultyDevice device(fault);
    EmulatedBackend backend(device);
    const auto seen = run_on(backend, plan, {});
    if (!fault.check) {
      ASSERT_FALSE(seen) << fault.name;
      EXPECT_TRUE(seen.error().where.starts_with("events[")) << seen.error().where;
      EXPECT_FALSE(seen.error().hint.empty());
      continue;
    }
    ASSERT_TRUE(seen) << fault.name << ": " << seen.error().text;
    ASSERT_NE(seen->first_failure(), nullptr) << fault.name << " is not seen";
    EXPECT_TRUE(has(*seen, *fault.check)) << fault.name << "\n" << property::told(*seen);
    EXPECT_TRUE(seen->first_failure()->place) << fault.name;
  }
}

// A graph whose nodes are not what was launched is told with its place: which event, which node.
TEST(Emulated, AGraphIsReadBack) {
  for (const DeviceFault& fault : wrong_behind()) {
    if (fault.where != DeviceFault::Where::captures || !fault.behind) continue;
    FaultyDevice device(fault);
    EmulatedBackend backend(device);
    const auto seen = run_on(backend, mutants_plan(), {});
    ASSERT_FALSE(seen);
    EXPECT_EQ(seen.error().where, "events[2]: node 1");
    EXPECT_NE(seen.error().text.find("\"copy\" where \""), std::string::npos) << seen.error().text;
    // The device is usable behind it.
    EXPECT_TRUE(device.wait());
    ASSERT_TRUE(device.begin_capture());
    EXPECT_TRUE(device.end_capture());
  }
}

// One unit in the last place, in one element of the output of one rank in any launch of a step.
class FlippingDevice : public HostDevice {
 public:
  explicit FlippingDevice(std::int64_t at) : left_(at) {}
  [[nodiscard]] bool flipped() const { return left_ < 0; }

  void launch(const Launch& what) override {
    HostDevice::launch(what);
    std::visit([this](const auto& of_kind) { flip_in(of_kind); }, what);
  }

 private:
  template <class Kind>
  void flip_in(const Kind& launch) {
    for (const auto& item : launch.items) {
      if constexpr (std::is_same_v<Kind, CollectiveLaunch>) {
        for (const Matrix& out : item.out) flip(out);
      } else if constexpr (requires { item.out; }) {
        flip(item.out);
      }
    }
  }
  void flip(const Matrix& out) {
    if (out.rows == 0 || left_ < 0 || left_-- > 0) return;
    *(out.row(out.rows / 2) + static_cast<std::size_t>(out.columns / 2) * bytes_of(out.type)) ^=
        std::byte{1};
  }

  std::int64_t left_;
};

TEST(Emulated, OneUnitInTheLastPlaceOfAnyLaunchIsSeen) {
  ExecutedPlan made(property::step_of_layout(
                        {.attn_tp = 4, .dense_fully_dp = true, .model = property::kMixedModel})
                        ->plan);
  made.add(PlanEventKind::eager, 8);
  std::int64_t cases = 0;
  for (std::int64_t at = 0;; ++at, ++cases) {
    FlippingDevice device(at);
    EmulatedBackend backend(device);
    const auto seen = run_on(backend, made.plan, {});
    ASSERT_TRUE(seen);
    if (!device.flipped()) break;
    ASSERT_NE(seen->first_failure(), nullptr) << "output " << at;
  }
  EXPECT_GT(cases, 60);
  property::visited(cases);
}

}  // namespace
}  // namespace capsize::emulated_test
