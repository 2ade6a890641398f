// Faults of a runtime, as decorators of the reference backend: each check of a run has faults that
// it alone or first sees, and every one is seen. A check without a mutant here could be switched
// off and nobody would know.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <set>

#include "tests/property/executed_plans.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::runtime_mutants_test {
namespace {

using property::ExecutedPlan;

// A backend with one fault. What it does not change goes on to the reference.
struct Fault {
  std::string name;
  std::optional<Check> check;  // that must see it; none: the ranks wait for each other for ever
  std::function<void(Arrival&)> before_meeting = {};
  std::function<void(const Arrival&, Arrived&)> after_meeting = {};
  std::function<void(LocalCall&)> before_call = {};
  std::function<void(const LocalCall&)> after_call = {};
  bool skips_poison = false;
};

class FaultyBackend : public ReferenceBackend {
 public:
  explicit FaultyBackend(const Fault& fault) : fault_(fault) {}

  void compute(const Weights* weights, const LocalCall& call) override {
    LocalCall changed = call;
    if (fault_.before_call) fault_.before_call(changed);
    ReferenceBackend::compute(weights, changed);
    if (fault_.after_call) fault_.after_call(call);
  }
  Arrived meet(const Arrival& arrival) override {
    Arrival changed = arrival;
    if (fault_.before_meeting) fault_.before_meeting(changed);
    arrivals_[arrival.rank] = arrival;
    return told(arrival.rank, ReferenceBackend::meet(changed));
  }
  Arrived done(std::int64_t rank) override { return told(rank, ReferenceBackend::done(rank)); }
  void poison(Matrix rows, Poison poison, std::uint64_t salt) override {
    if (!fault_.skips_poison) ReferenceBackend::poison(rows, poison, salt);
  }

 private:
  Arrived told(std::int64_t rank, Arrived arrived) {
    const auto arrival = arrivals_.find(rank);
    if (arrived.state != Arrived::State::done || arrival == arrivals_.end()) return arrived;
    if (fault_.after_meeting) fault_.after_meeting(arrival->second, arrived);
    arrivals_.erase(arrival);
    return arrived;
  }

  const Fault& fault_;
  std::map<std::int64_t, Arrival> arrivals_;
};

std::byte* element(const Matrix& rows, std::int64_t row, std::int64_t column) {
  return rows.row(row) + static_cast<std::size_t>(column) * bytes_of(rows.type);
}

void flip_last_bit(std::byte* element) { *element ^= std::byte{1}; }

bool is_last_rank(const Arrival& arrival) {
  return arrival.position + 1 == std::ssize(arrival.communicator.members);
}

// Attention over 4 ranks, MLP and experts, gathers and scatters: every kind of operation.
Lifecycle seed_plan() {
  const auto step = property::step_of_layout(
      {.attn_tp = 4, .dense_fully_dp = true, .model = property::kMixedModel});
  ExecutedPlan made(step->plan);
  for (const std::int64_t n : {16, 8}) made.add(PlanEventKind::warm_up, n);
  for (const std::int64_t n : {16, 8}) made.add(PlanEventKind::capture, n, GraphMode::graph);
  for (const std::int64_t n : {16, 11, 8, 3, 16, 8}) made.replay(n, n > 8 ? 16 : 8);
  return std::move(made.plan);
}

Observation run(const Lifecycle& plan, Backend& backend, ElementType type) {
  static RunContext context;
  const RunOptions options{.type = type};
  auto seen = execute(plan, options, backend, nullptr, &context);
  EXPECT_TRUE(seen) << seen.error().text;
  return seen ? *std::move(seen) : Observation{};
}

std::vector<Fault> faults() {
  std::vector<Fault> all;
  all.push_back({.name = "reduce-scatter gives the neighbour's part",
                 .check = Check::oracle,
                 .before_meeting = [](Arrival& arrival) {
                   if (arrival.kind != PlanOpKind::reduce_scatter) return;
                   arrival.position =
                       (arrival.position + 1) % std::ssize(arrival.communicator.members);
                 }});
  all.push_back({.name = "all-gather puts the parts in the reverse order of the group",
                 .check = Check::oracle,
                 .before_meeting = [](Arrival& arrival) {
                   if (arrival.kind != PlanOpKind::all_gather) return;
                   arrival.position =
                       std::ssize(arrival.communicator.members) - 1 - arrival.position;
                 }});
  all.push_back({.name = "one rank's part is left out of every sum",
                 .check = Check::oracle,
                 .before_meeting = [](Arrival& arrival) {
                   const bool sums = arrival.kind == PlanOpKind::all_reduce ||
                                     arrival.kind == PlanOpKind::reduce_scatter;
                   static std::vector<std::byte> zeros;
                   if (!sums || arrival.position != 1) return;
                   zeros.assign(std::max(zeros.size(), arrival.in.bytes()), std::byte{0});
                   arrival.in.data = zeros.data();
                 }});
  all.push_back({.name = "a sum is not made: each rank keeps its own part",
                 .check = Check::oracle,
                 .after_meeting = [](const Arrival& arrival, Arrived&) {
                   if (arrival.kind != PlanOpKind::all_reduce) return;
                   std::memcpy(arrival.out.data, arrival.in.data, arrival.out.bytes());
                 }});
  all.push_back({.name = "a collective moves one row less and says so",
                 .check = Check::counts,
                 .after_meeting = [](const Arrival& arrival, Arrived& arrived) {
                   if (is_last_rank(arrival)) --arrived.received_rows;
                 }});
  all.push_back({.name = "a collective is given one row less",
                 .check = std::nullopt,
                 .before_meeting = [](Arrival& arrival) {
                   if (arrival.kind == PlanOpKind::all_gather && is_last_rank(arrival)) {
                     --arrival.in.rows;
                   }
                 }});
  all.push_back({.name = "the last element of an output is not written",
                 .check = Check::written,
                 .after_call = [](const LocalCall& call) {
                   if (call.role != Role::attention) return;
                   const Matrix& out = call.out.front();
                   if (out.rows == 0) return;
                   std::byte* last = element(out, out.rows - 1, out.columns - 1);
                   fill_unwritten({last, bytes_of(out.type)}, out.type);
                 }});
  all.push_back({.name = "a row behind the output is written",
                 .check = Check::guards,
                 .after_call = [](const LocalCall& call) {
                   const Matrix& out = call.out.front();
                   if (call.role == Role::mlp) std::memset(out.row(out.rows), 0, out.row_bytes());
                 }});
  all.push_back({.name = "the two outputs of the norm change places",
                 .check = Check::exact,
                 .before_call = [](LocalCall& call) {
                   static std::array<Matrix, 2> outs;
                   if (call.role != Role::add_norm) return;
                   outs = {call.out[1], call.out[0]};
                   call.out = outs;
                 }});
  all.push_back({.name = "the residual is read from where hidden lies",
                 .check = Check::oracle,
                 .before_call = [](LocalCall& call) {
                   static std::array<ConstMatrix, 2> ins;
                   if (call.role != Role::add_norm || call.layer == 0) return;
                   ins = {call.in[0], call.in[0]};
                   call.in = ins;
                 }});
  all.push_back(
      {.name = "padding rows are not poisoned", .check = Check::padding, .skips_poison = true});
  all.push_back({.name = "an unreduced sum is off by one unit in the last place",
                 .check = Check::exact,
                 .after_call = [](const LocalCall& call) {
                   const Matrix& out = call.out.front();
                   if (call.role == Role::attention && out.rows > 0) {
                     flip_last_bit(element(out, 0, 0));
                   }
                 }});
  return all;
}

// An address that a graph has kept from its capture while the rows have moved on: everything that a
// replay reads is what the capture left there.
class StaleBackend : public ReferenceBackend {
 public:
  void compute(const Weights* weights, const LocalCall& call) override {
    LocalCall changed = call;
    if (call.role == Role::mlp) {
      // The first operand ever seen at this place in memory, whatever lies there by now.
      auto& first = first_[call.in[0].data];
      if (first.empty()) first.assign(call.in[0].data, call.in[0].data + call.in[0].bytes());
      in_ = {call.in[0]};
      if (first.size() == call.in[0].bytes()) in_[0].data = first.data();
      changed.in = in_;
    }
    ReferenceBackend::compute(weights, changed);
  }

 private:
  std::map<const std::byte*, std::vector<std::byte>> first_;
  std::array<ConstMatrix, 1> in_;
};

// Faults that know in which launch mode and on which rank they are, as a watcher does.
class ModalFault : public ReferenceBackend, public Watcher {
 public:
  enum class Where : std::uint8_t { replays, second_rank };
  explicit ModalFault(Where where) : where_(where) {}

  void begin_event(std::int32_t, const PlanEvent&) override {}
  void step(const Step& step) override { step_ = step; }
  void end_event(const EventObservation&) override {}

  void compute(const Weights* weights, const LocalCall& call) override {
    ReferenceBackend::compute(weights, call);
    const bool here = where_ == Where::replays ? step_.mode == "replay"
                                               : step_.rank == 1 && call.kind == PlanOpKind::add;
    if (here && call.out.front().rows > 0) flip_last_bit(element(call.out.front(), 0, 0));
  }

 private:
  Where where_;
  Step step_;
};

bool has(const Observation& seen, Check check) {
  for (const EventObservation& event : seen.events) {
    for (const Mismatch& each : event.mismatches) {
      if (each.check == check) return true;
    }
  }
  return false;
}

// Every rank's part, left out of one sum alone.
class DroppedPart : public ReferenceBackend {
 public:
  DroppedPart(std::int64_t rank, std::int64_t at) : rank_(rank), left_(at) {}
  [[nodiscard]] bool dropped() const { return left_ < 0; }

  Arrived meet(const Arrival& arrival) override {
    Arrival changed = arrival;
    const bool sums =
        arrival.kind == PlanOpKind::all_reduce || arrival.kind == PlanOpKind::reduce_scatter;
    if (sums && arrival.rank == rank_ && left_ >= 0 && left_-- == 0) {
      zeros_.assign(arrival.in.bytes(), std::byte{0});
      changed.in.data = zeros_.data();
    }
    return ReferenceBackend::meet(changed);
  }

 private:
  std::int64_t rank_;
  std::int64_t left_;
  std::vector<std::byte> zeros_;
};

// The fault-free backend passes on the same plan, or nothing below means anything.
TEST(RuntimeMutants, ThePlanItselfPasses) {
  for (const ElementType type :
       {ElementType::bf16, ElementType::fp16, ElementType::fp32, ElementType::uint32}) {
    ReferenceBackend backend;
    const Observation seen = run(seed_plan(), backend, type);
    EXPECT_EQ(seen.first_failure(), nullptr) << property::told(seen);
    EXPECT_GE(2 * seen.nonzero, seen.elements) << name_of(type);
    EXPECT_GT(seen.elements, 0);
  }
}

TEST(RuntimeMutants, EveryFaultIsSeenByItsCheck) {
  std::int64_t cases = 0;
  for (const ElementType type : {ElementType::bf16, ElementType::uint32}) {
    for (const Fault& fault : faults()) {
      // Off by one integer is what the oracle sees; off by less is no exact sum.
      const bool integers = type == ElementType::uint32 && fault.name.ends_with("last place");
      FaultyBackend backend(fault);
      const Observation seen = run(seed_plan(), backend, type);
      ASSERT_NE(seen.first_failure(), nullptr) << fault.name << " is not seen";
      const bool hangs = seen.first_failure()->symptom == Symptom::hang;
      EXPECT_TRUE(fault.check ? has(seen, integers ? Check::oracle : *fault.check) : hangs)
          << fault.name << " on " << name_of(type) << "\n"
          << property::told(seen);
      EXPECT_TRUE(seen.first_failure()->place) << fault.name;
      EXPECT_FALSE(seen.first_failure()->text.empty()) << fault.name;
      ++cases;
    }
  }
  property::visited(cases);
}

// A plan that says nothing of what it computes has no oracle: only eager tells a wrong replay, and
// only the other ranks a wrong copy of rows that all of them hold.
TEST(RuntimeMutants, WithoutMathematicsEagerAndTheOtherRanksTell) {
  Lifecycle plan = seed_plan();
  plan.layers.clear();
  ReferenceBackend sound;
  const Observation whole = run(plan, sound, ElementType::uint32);
  ASSERT_EQ(whole.first_failure(), nullptr) << property::told(whole);
  for (const auto& [where, check] : {std::pair(ModalFault::Where::replays, Check::eager),
                                     std::pair(ModalFault::Where::second_rank, Check::replicas)}) {
    ModalFault backend(where);
    const RunOptions options;
    const auto seen = execute(plan, options, backend, &backend);
    ASSERT_TRUE(seen);
    EXPECT_TRUE(has(*seen, check)) << name_of(check) << "\n" << property::told(*seen);
  }
}

TEST(RuntimeMutants, AStaleAddressIsSeen) {
  StaleBackend backend;
  const Observation seen = run(seed_plan(), backend, ElementType::bf16);
  ASSERT_NE(seen.first_failure(), nullptr);
  EXPECT_EQ(seen.first_failure()->symptom, Symptom::silent_corruption) << property::told(seen);
}

// One unit in the last place, in one element of one output of any operation of any layer on any
// rank, once. A unit of uint32 is an integer like any other: where a rank routes the row to none of
// the experts that it holds, nothing that anybody reads depends on the rank's copy of it, and only
// the types with fractions show it. Everything else is seen in every type.
class UnitFlip : public ReferenceBackend {
 public:
  explicit UnitFlip(std::int64_t at) : left_(at) {}
  [[nodiscard]] bool flipped() const { return left_ < 0; }
  [[nodiscard]] bool feeds_a_router() const { return feeds_a_router_; }

  void compute(const Weights* weights, const LocalCall& call) override {
    ReferenceBackend::compute(weights, call);
    flip(call.out.front(), call.role == Role::add_norm || call.role == Role::norm);
  }
  Arrived meet(const Arrival& arrival) override {
    arrivals_[arrival.rank] = arrival;
    return told(arrival.rank, ReferenceBackend::meet(arrival));
  }
  Arrived done(std::int64_t rank) override { return told(rank, ReferenceBackend::done(rank)); }

 private:
  Arrived told(std::int64_t rank, Arrived arrived) {
    const auto arrival = arrivals_.find(rank);
    if (arrived.state == Arrived::State::done && arrival != arrivals_.end()) {
      flip(arrival->second.out, arrival->second.kind == PlanOpKind::all_gather);
      arrivals_.erase(arrival);
    }
    return arrived;
  }
  void flip(const Matrix& out, bool normed) {
    if (out.data == nullptr || out.rows == 0 || left_ < 0 || left_-- > 0) return;
    feeds_a_router_ = normed;
    flip_last_bit(element(out, out.rows / 2, out.columns / 2));
  }

  std::int64_t left_;
  bool feeds_a_router_ = false;
  std::map<std::int64_t, Arrival> arrivals_;
};

TEST(RuntimeMutants, OneUnitInTheLastPlaceOfAnyOperationIsSeen) {
  const auto step = property::step_of_layout(
      {.attn_tp = 4, .dense_fully_dp = true, .model = property::kMixedModel});
  ExecutedPlan made(step->plan);
  made.add(PlanEventKind::eager, 8);
  std::int64_t cases = 0;
  std::int64_t unread = 0;
  for (const ElementType type :
       {ElementType::bf16, ElementType::fp16, ElementType::fp32, ElementType::uint32}) {
    for (std::int64_t at = 0;; ++at) {
      UnitFlip backend(at);
      const Observation seen = run(made.plan, backend, type);
      if (!backend.flipped()) break;
      ++cases;
      if (seen.first_failure() != nullptr) continue;
      ++unread;
      ASSERT_TRUE(type == ElementType::uint32 && backend.feeds_a_router())
          << "operation " << at << " of " << name_of(type);
    }
  }
  EXPECT_GT(cases, 400);
  EXPECT_LT(unread, 20);
  property::visited(cases);
}

TEST(RuntimeMutants, AnyRanksPartLeftOutOfAnySumIsSeen) {
  const auto step = property::step_of_layout(
      {.attn_tp = 4, .dense_fully_dp = true, .model = property::kMixedModel});
  ExecutedPlan made(step->plan);
  made.add(PlanEventKind::eager, 8);
  std::int64_t cases = 0;
  for (std::int64_t rank = 0; rank < 4; ++rank) {
    for (std::int64_t at = 0;; ++at) {
      DroppedPart backend(rank, at);
      const Observation seen = run(made.plan, backend, ElementType::bf16);
      if (!backend.dropped()) break;
      ASSERT_NE(seen.first_failure(), nullptr) << "rank " << rank << ", sum " << at;
      ++cases;
    }
  }
  EXPECT_GT(cases, 40);
  property::visited(cases);
}

}  // namespace
}  // namespace capsize::runtime_mutants_test
