#include "runtime/reference.hpp"

#include <cstring>

#include "runtime/host_compute.hpp"

namespace capsize {
namespace {

void make(const Moves& all, const Moves::Move& move) {
  const auto sources = all.sources_of(move);
  const ConstMatrix first =
      move.same_as < 0 ? sources.front() : all.moves[static_cast<std::size_t>(move.same_as)].to;
  std::memcpy(move.to.data, first.data, move.to.bytes());
  if (move.same_as >= 0) return;
  for (const ConstMatrix& each : sources.subspan(1)) sum_into(each, move.to);
}

}  // namespace

std::vector<std::int64_t> ReferenceBackend::ranks(std::int64_t world) const {
  std::vector<std::int64_t> out;
  for (std::int64_t rank = 0; rank < world; ++rank) out.push_back(rank);
  return out;
}

Result<void> ReferenceBackend::begin(const Lifecycle& lifecycle) {
  meetings_.begin(lifecycle.world);
  return {};
}

void ReferenceBackend::compute(const Weights* weights, const LocalCall& call) {
  compute_on_host(weights, call);
}

void ReferenceBackend::poison(Matrix rows, Poison poison, std::uint64_t salt) {
  poison_rows(rows, poison, salt);
}

// An operation in place reads what another rank's turn has written; operands are kept aside then.
ConstMatrix ReferenceBackend::operand(const Arrival& arrival, bool in_place) {
  ConstMatrix out = arrival.in;
  if (!in_place) return out;
  out.data = kept_.emplace_back(out.data, out.data + out.bytes()).data();
  return out;
}

void ReferenceBackend::complete(const CompleteMeeting& meeting) {
  for (const Moves::Move& each : meeting.moves.moves) make(meeting.moves, each);
  kept_.clear();
}

Result<bool> ReferenceBackend::end_event(bool failed) {
  meetings_.clear();
  return failed;
}

}  // namespace capsize
