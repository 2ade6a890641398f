#include "runtime/lanes.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace capsize {
namespace {

// Why two arrivals at one operation do not meet.
std::string_view difference_of(const Arrival& mine, const Arrival& other) {
  if (mine.recorded != other.recorded) return "waits there outside of the capture";
  if (mine.registered != other.registered) return "takes another path of it";
  const bool same = mine.in.rows == other.in.rows && mine.out.rows == other.out.rows;
  return same || is_point_to_point(mine.kind) ? "" : "brings other counts to it";
}

std::string ranks_text(std::int64_t rank) { return "rank " + std::to_string(rank); }

}  // namespace

OpPlace place_of(const Lifecycle& lifecycle, std::int64_t rank, const Instruction& what) {
  OpPlace out{.rank = rank, .layer = what.layer, .op = what.index, .kind = "output"};
  if (what.op == nullptr) return out;
  out.kind = name_of(what.op->kind);
  if (what.op->group.valid()) out.group = lifecycle.family(what.op->group).name;
  return out;
}

Result<void> LaneRun::run(std::vector<Lane>& lanes, const LaneRules& rules,
                          EventObservation& seen) {
  rules_ = rules;
  seen_ = &seen;
  backend_.begin_run(rules.start);
  bool moved = true;
  while (moved) {
    moved = false;
    for (Lane& lane : lanes) moved = advance(lane) || moved;
  }
  const auto stuck = std::ranges::any_of(
      lanes, [](const Lane& each) { return each.state == Lane::State::waiting; });
  // Who waits for a rank that has failed is told by that failure.
  if (stuck && seen.symptom == Symptom::none) tell_hang(lanes);
  const auto late = backend_.end_run(seen.symptom != Symptom::none);
  if (!late) return tl::unexpected(late.error());
  if (!late->empty() && late->front().before_failure) forget_failure();
  for (const LateFault& each : *late) {
    const auto lane = std::ranges::find(lanes, each.rank, &Lane::rank);
    tell_output(*lane, each.instruction, each.output, each.fault);
  }
  return device_;
}

// Takes a rank as far as it goes; whether it went at all.
bool LaneRun::advance(Lane& lane) {
  bool moved = false;
  if (lane.state == Lane::State::waiting) {
    const Arrived arrived = backend_.done(lane.rank);
    if (arrived.state == Arrived::State::waiting) return false;
    moved = true;
    if (!settle(lane, arrived)) return true;
  }
  while (lane.state == Lane::State::ready) {
    if (lane.next == lane.bound.size()) {
      lane.state = Lane::State::finished;
      return true;
    }
    moved = true;
    if (!begin(lane, lane.bound[lane.next])) break;
  }
  return moved;
}

// False: the rank waits, or failed.
bool LaneRun::begin(Lane& lane, Bound& bound) {
  watch(lane, bound);
  const Instruction& what = *bound.what;
  if (what.op != nullptr && what.captured && is_host_call(what.op->kind)) {
    fail(lane, Symptom::clean_error,
         std::string(name_of(what.op->kind)) + " is a call of the host, which no graph can hold");
    return false;
  }
  if (!fits(lane, bound)) return false;
  if (bound.meets) return meet(lane, bound);
  ++seen_->operations;
  if (what.outputs > 0) {
    prepare_outputs(lane, bound);
    bound.call.in = std::span(bound.in).first(what.inputs);
    bound.call.out = std::span(bound.out).first(what.outputs);
    backend_.compute(weights_, bound.call);
    if (!check_outputs(lane, bound) || !check_stage(lane, bound)) return false;
  }
  leave(lane, bound);
  return true;
}

// Whether its operands fit, and all that stands around it. A library that checks says so; one that
// does not reads on.
bool LaneRun::fits(Lane& lane, Bound& bound) {
  const Instruction& what = *bound.what;
  if (what.fault >= 0 && !what.from_graph) {
    const bool checks = !bound.meets || bound.arrival.checked || rules_.around == nullptr;
    fail(lane, checks ? Symptom::clean_error : Symptom::silent_corruption,
         lane.body->faults[static_cast<std::size_t>(what.fault)]);
    return false;
  }
  if (rules_.around == nullptr) return true;
  auto trouble = rules_.around->before({lane.rank, lane.running, lane.next}, bound);
  if (!trouble) return true;
  if (trouble->check) add_mismatch(lane, *trouble->check, bound.out[0], {}, 1, trouble->text);
  fail(lane, trouble->symptom, std::move(trouble->text));
  return false;
}

void LaneRun::leave(Lane& lane, const Bound& bound) {
  if (rules_.around != nullptr) {
    rules_.around->after({lane.rank, lane.running, lane.next}, bound);
  }
  ++lane.next;
}

bool LaneRun::meet(Lane& lane, Bound& bound) {
  Arrival& arrival = bound.arrival;
  const PlanOp& op = *bound.what->op;
  if (arrival.communicator.members.empty()) {
    fail(lane, Symptom::clean_error,
         op.group.valid() ? "this rank is in no group of " + lifecycle_.family(op.group).name
                          : "it names no group");
    return false;
  }
  if (is_point_to_point(op.kind) && arrival.peer < 0) {
    fail(lane, Symptom::clean_error, "its peer is no rank of the group");
    return false;
  }
  if (arrival.checked) {
    if (std::string text = misfit(arrival); !text.empty()) {
      fail(lane, Symptom::clean_error, std::move(text));
      return false;
    }
  }
  auto& sequence =
      sequences_[static_cast<std::size_t>(lane.rank)][static_cast<std::size_t>(op.group.index)];
  arrival.sequence = sequence++;
  prepare_outputs(lane, bound);
  ++seen_->operations;
  ++seen_->collectives;
  seen_->bytes_moved += static_cast<std::int64_t>(arrival.in.bytes());
  return settle(lane, backend_.meet(arrival));
}

bool LaneRun::settle(Lane& lane, const Arrived& arrived) {
  if (arrived.state == Arrived::State::waiting) {
    lane.state = Lane::State::waiting;
    return false;
  }
  if (arrived.state == Arrived::State::failed) {
    fail(lane, Symptom::clean_error, arrived.text);
    return false;
  }
  lane.state = Lane::State::ready;
  const Bound& bound = lane.bound[lane.next];
  if (!check_counts(lane, bound, arrived) || !check_outputs(lane, bound)) return false;
  leave(lane, bound);
  return true;
}

// ---- checks -----------------------------------------------------------------------------------

OutputPlace LaneRun::place_of_output(const Lane& lane, const Bound& bound,
                                     std::size_t output) const {
  const Matrix& rows = bound.out.at(output);
  return {.rank = lane.rank,
          .instruction = lane.next,
          .output = output,
          .captured = bound.what->captured,
          .rows = rows,
          .with_guards = lane.memory->with_guards(rows),
          .exact = rules_.exact};
}

void LaneRun::prepare_outputs(const Lane& lane, const Bound& bound) {
  if (!rules_.looks) return;
  for (std::size_t i = 0; i < bound.what->outputs; ++i) {
    backend_.prepare(place_of_output(lane, bound, i));
  }
}

bool LaneRun::check_outputs(Lane& lane, const Bound& bound) {
  if (!rules_.looks) return true;
  for (std::size_t i = 0; i < bound.what->outputs; ++i) {
    const OutputFault fault = backend_.look(place_of_output(lane, bound, i));
    if (fault.what == OutputFault::What::none) continue;
    tell_output(lane, lane.next, i, fault);
    return false;
  }
  return true;
}

void LaneRun::tell_output(Lane& lane, std::size_t instruction, std::size_t output,
                          const OutputFault& fault) {
  using What = OutputFault::What;
  lane.next = instruction;  // a fault that is told late belongs to an operation that lies behind
  const Matrix& rows = lane.bound[instruction].out.at(output);
  const bool whole_row = fault.what == What::unwritten && !rules_.exact;
  const auto [check, found, text] = [&]() -> std::tuple<Check, std::string, std::string> {
    switch (fault.what) {
      case What::outside:
        return {Check::guards, "the row beside the output was written",
                "it writes outside of its output"};
      case What::unwritten:
        return {Check::written, "nobody wrote it",
                whole_row ? "it leaves a row of its output unwritten"
                          : "it leaves elements of its output unwritten"};
      default:
        return {Check::exact, "no exact sum gives it",
                "its output holds an element that no exact sum gives"};
    }
  }();
  add_mismatch(lane, check, rows, fault.place, whole_row ? rows.columns : 1, found);
  fail(lane, Symptom::silent_corruption, text);
}

// Whether the residual stream still holds what the model says.
bool LaneRun::check_stage(Lane& lane, const Bound& bound) {
  if (rules_.stages == nullptr || bound.what->op == nullptr) return true;
  const LocalCall& call = bound.call;
  if (call.role == Role::attention) lane.attended_layer = call.layer;
  const auto row =
      rules_.stages->first_wrong_row(call, lane.attended_layer == call.layer, backend_.rows());
  if (!row) {
    device_ = tl::unexpected(row.error());
    return false;
  }
  if (!*row) return true;
  fail(lane, Symptom::silent_corruption,
       "row " + std::to_string(**row) + " is not the model's from here on");
  return false;
}

// What the library moved against what the plan says.
bool LaneRun::check_counts(Lane& lane, const Bound& bound, const Arrived& arrived) {
  const PlanOpKind kind = bound.what->op->kind;
  const bool sends = kind != PlanOpKind::recv && kind != PlanOpKind::barrier;
  const bool receives = kind != PlanOpKind::send && kind != PlanOpKind::barrier;
  const std::int64_t sent = sends ? bound.in[0].rows : 0;
  const std::int64_t received = receives ? bound.out[0].rows : 0;
  const bool whole = kind != PlanOpKind::host_collective && moves_rows(kind);
  if ((!whole && !is_point_to_point(kind)) ||
      (arrived.sent_rows == sent && arrived.received_rows == received)) {
    return true;
  }
  add_mismatch(lane, Check::counts, bound.out[0], {0, 0}, 1,
               std::to_string(arrived.sent_rows) + " rows sent, " +
                   std::to_string(arrived.received_rows) + " received");
  const bool gave = arrived.received_rows == received;  // other counts than it should have
  fail(lane, Symptom::silent_corruption,
       std::string(gave ? "it gave " : "it moved ") +
           std::to_string(gave ? arrived.sent_rows : arrived.received_rows) + " of " +
           std::to_string(gave ? sent : received) + " rows, and nobody said so");
  return false;
}

// ---- telling ----------------------------------------------------------------------------------

OpPlace LaneRun::place_of(const Lane& lane) const {
  if (lane.next >= lane.bound.size()) return {.rank = lane.rank, .kind = "output"};
  return capsize::place_of(lifecycle_, lane.rank, *lane.bound[lane.next].what);
}

void LaneRun::watch(const Lane& lane, const Bound& bound) const {
  if (watcher_ == nullptr || bound.what->op == nullptr) return;
  const PlanOp& op = *bound.what->op;
  Step step{.event = seen_->event,
            .mode = name_of(lane.mode),
            .rank = lane.rank,
            .layer = bound.what->layer,
            .op = bound.what->index,
            .kind = op.kind,
            .family = op.group};
  if (bound.what->inputs > 0) step.rows_in = bound.in[0].rows;
  if (bound.what->outputs > 0) step.rows_out = bound.out[0].rows;
  if (bound.meets && op.group.valid()) {
    step.group = bound.arrival.communicator.group;
    step.sequence =
        sequences_[static_cast<std::size_t>(lane.rank)][static_cast<std::size_t>(op.group.index)];
  }
  watcher_->step(step);
}

void LaneRun::fail(Lane& lane, Symptom symptom, std::string text) {
  lane.state = Lane::State::failed;
  // The first failure of an event is the one that is told.
  if (seen_->symptom != Symptom::none) return;
  backend_.note_failure();
  seen_->symptom = symptom;
  seen_->place = place_of(lane);
  seen_->text = std::move(text);
}

// A look that was put off shows that something was wrong before: with a look at once nobody would
// have come as far as the failure that was told.
void LaneRun::forget_failure() {
  seen_->symptom = Symptom::none;
  seen_->place.reset();
  seen_->text.clear();
  seen_->mismatches.clear();
  seen_->wavefront.clear();
}

void LaneRun::add_mismatch(Lane& lane, Check check, const Matrix& out, ElementPlace first,
                           std::int64_t count, std::string found) {
  seen_->mismatches.push_back({.check = check,
                               .place = place_of(lane),
                               .mode = std::string(name_of(lane.mode)),
                               .row = first.row,
                               .column = first.column,
                               .count = count,
                               .of = out.rows * out.columns,
                               .found = std::move(found)});
}

void LaneRun::tell_hang(const std::vector<Lane>& lanes) {
  seen_->symptom = Symptom::hang;
  seen_->text.clear();
  for (std::int64_t rank = 0; rank < lifecycle_.world; ++rank) {
    const auto lane = std::ranges::find(lanes, rank, &Lane::rank);
    RankState state{.rank = rank, .doing = RankState::Doing::idle};
    if (lane == lanes.end()) {
      state.text = "runs nothing in this event";
      seen_->wavefront.push_back(std::move(state));
      continue;
    }
    state.place = place_of(*lane);
    state.doing = lane->state == Lane::State::failed     ? RankState::Doing::failed
                  : lane->state == Lane::State::finished ? RankState::Doing::finished
                                                         : RankState::Doing::waits;
    if (lane->state == Lane::State::waiting) {
      const Arrival& arrival = lane->bound[lane->next].arrival;
      state.rows = arrival.in.rows;
      state.sequence = arrival.sequence;
      state.text = why_it_waits(lanes, *lane);
      if (seen_->text.empty()) {
        seen_->place = state.place;
        seen_->text = ranks_text(rank) + " " + state.text;
      }
    }
    seen_->wavefront.push_back(std::move(state));
  }
}

// "waits for rank 3, which ended its step, and rank 4, which waits in all_reduce over dp".
std::string LaneRun::why_it_waits(const std::vector<Lane>& lanes, const Lane& lane) const {
  const Arrival& mine = lane.bound[lane.next].arrival;
  std::string out;
  int told = 0;
  for (const std::int32_t member : mine.communicator.members) {
    const auto peer = std::ranges::find(lanes, std::int64_t{member}, &Lane::rank);
    std::string what = "runs nothing in this event";
    if (peer != lanes.end()) {
      if (peer->state == Lane::State::waiting) {
        const Arrival& other = peer->bound[peer->next].arrival;
        if (other.communicator == mine.communicator && other.kind == mine.kind) {
          const std::string_view differs = difference_of(mine, other);
          if (differs.empty()) continue;
          what = differs;
        } else {
          what = "waits in " + std::string(name_of(other.kind)) + " over " +
                 lifecycle_.family(other.communicator.family).name;
        }
      } else {
        what = peer->state == Lane::State::failed ? "failed" : "has ended its step";
      }
    }
    if (++told > 3) return out + " and others";
    out += (told == 1 ? "waits for " : ", and for ") + ranks_text(member) + ", which " + what;
  }
  return out.empty() ? "waits for its peer" : out;
}

}  // namespace capsize
