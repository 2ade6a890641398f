#include "runtime/nccl/nccl_backend.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

namespace capsize {
namespace {

Arrived refused(std::string text) {
  return {.state = Arrived::State::failed, .text = std::move(text)};
}

bool overlap(const ConstMatrix& a, const Matrix& b) {
  const std::less<> before;
  return a.bytes() > 0 && b.bytes() > 0 && before(a.data, b.data + b.bytes()) &&
         before(b.data, a.data + a.bytes());
}

// Whether NCCL can read the operand where it is: it is whole, and is not written meanwhile. A sum
// over all is made in place.
bool reads_operand(const LibraryCall& call, const Arrival& arrival) {
  const bool in_place = call.kind == PlanOpKind::all_reduce &&
                        arrival.in.data == static_cast<const std::byte*>(arrival.out.data);
  return call.reads <= arrival.in.rows && (in_place || !overlap(arrival.in, arrival.out));
}

bool writes_output(const LibraryCall& call, const Arrival& arrival) {
  return call.writes <= arrival.out.rows;
}

// What members of a group have asked for, in few bits.
std::uint32_t digest_of(std::int64_t asked) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15U;
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(asked) * kOdd) >> 32U);
}

}  // namespace

std::vector<std::int64_t> NcclBackend::ranks(std::int64_t world) const {
  return rank_ < world ? std::vector<std::int64_t>{rank_} : std::vector<std::int64_t>{};
}

void NcclBackend::tell(RankPhase phase) {
  if (board_ != nullptr) board_->enter(phase);
}

// ---- communicators ------------------------------------------------------------------------------

Result<void> NcclBackend::begin(const Lifecycle& lifecycle) {
  lifecycle_ = &lifecycle;
  joined_.assign(lifecycle.families.size(), {});
  groups_ = 0;
  for (std::size_t family = 0; family < lifecycle.families.size(); ++family) {
    const PlanGroups& groups = lifecycle.families[family];
    const std::int32_t mine = groups.group_of[static_cast<std::size_t>(rank_)];
    if (mine >= 0) joined_[family].place = static_cast<std::int64_t>(groups_) + mine;
    groups_ += groups.groups.size();
  }
  if (auto joined = join(); !joined) return joined;
  if (auto grown = grow(meeting_, sizeof(std::uint32_t)); !grown) return grown;
  return DeviceBackend::begin(lifecycle);
}

Result<void> NcclBackend::join() {
  tell(RankPhase::meets);
  auto joined = communicators_.join(*lifecycle_);
  tell(RankPhase::runs);
  return joined;
}

Result<void> NcclBackend::leave() { return communicators_.leave(); }

// ---- operations ---------------------------------------------------------------------------------

// Graphs keep the addresses of the memory that was there when they were captured: a piece that is
// too small stays, and a larger one takes its place.
Result<void> NcclBackend::grow(Spare& spare, std::size_t bytes) {
  if (spare.memory.size() >= bytes) return {};
  auto memory = device().reserve(std::max(bytes, 2 * spare.memory.size()));
  if (!memory) return tl::unexpected(std::move(memory.error()));
  spare.memory = *memory;
  return {};
}

Result<void> NcclBackend::make_room(const LibraryCall& call, const Arrival& arrival) {
  const auto bytes = [&](std::int64_t rows, std::int64_t there) {
    return static_cast<std::size_t>(call.elements(std::max(rows, there))) * bytes_of(call.type);
  };
  if (!reads_operand(call, arrival)) {
    if (auto grown = grow(in_, bytes(call.reads, arrival.in.rows)); !grown) return grown;
  }
  if (writes_output(call, arrival)) return {};
  return grow(out_, bytes(call.writes, arrival.out.rows));
}

Arrived NcclBackend::meet(const Arrival& arrival) {
  Joined& mine = joined_[static_cast<std::size_t>(arrival.communicator.family.index)];
  const auto call = library_call_of(arrival);
  if (mine.place < 0) return refused("this rank is in no group of the family");
  if (!call) return refused(call.error());
  mine.asked += asked_by(arrival);
  // No memory is taken while a graph is captured, which begins when all of it has been put off.
  if (auto room = make_room(*call, arrival); !room) return refused(room.error().text);
  Arrival own = arrival;
  own.in = operand_on_device(arrival, false);
  put_off_own(own);
  tell(RankPhase::runs);
  return {.sent_rows = call->sent, .received_rows = call->received};
}

Arrived NcclBackend::done(std::int64_t /*rank*/) { return {}; }  // what is put off is no wait

Result<std::vector<std::string>> NcclBackend::issue(const Arrival& arrival) {
  std::vector<std::string> names;
  const auto launch = [&](const Launch& what) {
    device().launch(what);
    names.emplace_back(name_of(what));
  };
  const LibraryCall call = *library_call_of(arrival);
  NcclOperands operands{arrival.in.data, arrival.out.data, meeting_.memory.data()};
  if (!reads_operand(call, arrival)) {
    const Matrix spare = in_.rows({nullptr, 0, arrival.in.columns, arrival.in.type},
                                  std::max(call.reads, arrival.in.rows));
    launch(FillLaunch{{{spare, unwritten_bits(spare.type)}}});
    launch(CopyLaunch{{{.from = arrival.in, .to = spare}}});
    operands.in = spare.data;
  }
  const bool direct = writes_output(call, arrival);
  const Matrix spare = out_.rows(arrival.out, std::max(call.writes, arrival.out.rows));
  if (!direct) operands.out = spare.data;
  NcclCommunicator* over = communicators_.of(arrival);
  auto nodes = device().issue(
      {std::string(name_of(arrival.kind)), [this, call, operands, over](DeviceStream* stream) {
         const Arrived arrived = capsize::issue(library_, call, operands, over, stream);
         if (arrived.state == Arrived::State::done) return Result<void>{};
         return Result<void>(
             tl::unexpected(Error{"nccl", arrived.text, "NCCL_DEBUG=WARN makes NCCL say more"}));
       }});
  if (!nodes) return nodes;
  names.insert(names.end(), nodes->begin(), nodes->end());
  if (!direct) launch(CopyLaunch{{{.from = spare, .to = arrival.out}}});
  return names;
}

// ---- ends ---------------------------------------------------------------------------------------

// All that was put off is waited for here.
Result<std::vector<LateFault>> NcclBackend::end_run(bool failed) {
  if (!failed) tell(RankPhase::waits);
  auto late = DeviceBackend::end_run(failed);
  if (!failed) tell(RankPhase::runs);
  return late;
}

// Of each value the largest that a rank of the plan has. Values reach the device as fills.
Result<std::vector<std::uint32_t>> NcclBackend::agree(std::vector<std::uint32_t> values) {
  const std::size_t bytes = values.size() * sizeof values[0];
  if (auto grown = grow(agreement_, bytes); !grown) return tl::unexpected(grown.error());
  const Matrix all{agreement_.memory.data(), std::ssize(values), 1, ElementType::uint32};
  FillLaunch fill;
  for (std::int64_t i = 0; i < all.rows; ++i) {
    fill.items.push_back({{all.row(i), 1, 1, all.type}, values[static_cast<std::size_t>(i)]});
  }
  device().launch(fill);
  auto issued = device().issue(
      {"agreement", [this, all](DeviceStream* stream) {
         return largest(library_, reinterpret_cast<std::uint32_t*>(all.data),
                        static_cast<std::size_t>(all.rows), communicators_.world(), stream);
       }});
  if (!issued) return tl::unexpected(std::move(issued.error()));
  auto read = device().read(all);
  if (!read) return tl::unexpected(std::move(read.error()));
  std::memcpy(values.data(), read->data(), bytes);
  return values;
}

// Beside a failure each rank tells what it has asked of each of its groups in this event: where
// members differ something may be left in the group's communicators, which are not used again.
Result<bool> NcclBackend::end_event(bool failed) {
  std::vector<std::uint32_t> values(1 + 2 * groups_, 0);
  values[0] = failed ? 1 : 0;
  for (Joined& mine : joined_) {
    if (mine.place < 0) continue;
    const std::uint32_t digest = digest_of(std::exchange(mine.asked, 0));
    const auto at = 1 + 2 * static_cast<std::size_t>(mine.place);
    values[at] = digest;
    values[at + 1] = ~digest;
  }
  tell(failed ? RankPhase::failed : RankPhase::ends);
  const auto told = agree(std::move(values));
  if (!told) return tl::unexpected(Error(told.error()).within("end of an event"));
  bool left = false;
  std::size_t at = 1;
  for (std::size_t family = 0; family < joined_.size(); ++family) {
    bool differ = false;
    for (std::size_t i = 0; i < lifecycle_->families[family].groups.size(); ++i, at += 2) {
      differ = differ || (*told)[at] != ~(*told)[at + 1];
    }
    if (differ) communicators_.forget(family);
    left = left || differ;
  }
  if (left) {
    if (auto joined = join(); !joined) return tl::unexpected(std::move(joined.error()));
  }
  tell(RankPhase::runs);
  return (*told)[0] != 0;
}

}  // namespace capsize
