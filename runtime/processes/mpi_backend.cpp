#include "runtime/processes/mpi_backend.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

#include "runtime/host_compute.hpp"
#include "runtime/processes/mpi/module.hpp"

namespace capsize {
namespace {

CapsizeElement element_of(ElementType type) {
  switch (type) {
    case ElementType::bf16: return kCapsizeBf16;
    case ElementType::fp16: return kCapsizeFp16;
    case ElementType::fp32: return kCapsizeFp32;
    case ElementType::uint32: return kCapsizeUint32;
  }
  return kCapsizeUint32;
}

template <ElementType type>
void add_elements(const void* from, void* to, std::int64_t elements) {
  sum_into({static_cast<const std::byte*>(from), 1, elements, type},
           {static_cast<std::byte*>(to), 1, elements, type});
}

bool overlap(const std::byte* a, std::size_t a_bytes, const std::byte* b, std::size_t b_bytes) {
  const std::less<> before;
  return a_bytes > 0 && b_bytes > 0 && before(a, b + b_bytes) && before(b, a + a_bytes);
}

// `rows` rows for MPI to read: the operand itself, or a copy of it where it holds fewer or where
// MPI will write there. What a copy lacks is unwritten.
const std::byte* readable(const ConstMatrix& in, std::int64_t rows, const Matrix& out,
                          std::vector<std::byte>& spare) {
  if (in.rows >= rows && !overlap(in.data, in.bytes(), out.data, out.bytes())) return in.data;
  spare.resize(static_cast<std::size_t>(std::max(rows, in.rows)) * in.row_bytes());
  if (in.bytes() > 0) std::memcpy(spare.data(), in.data, in.bytes());
  fill_unwritten(std::span(spare).subspan(in.bytes()), in.type);
  return spare.data();
}

// `rows` rows for MPI to write: the output itself, or others where it has fewer.
class Writable {
 public:
  Writable(const Matrix& out, std::int64_t rows, std::vector<std::byte>& spare)
      : out_(out), data_(out.data) {
    if (rows <= out.rows) return;
    spare.resize(static_cast<std::size_t>(rows) * out.row_bytes());
    data_ = spare.data();
  }
  ~Writable() {
    if (data_ != out_.data && out_.bytes() > 0) std::memcpy(out_.data, data_, out_.bytes());
  }
  Writable(const Writable&) = delete;
  Writable& operator=(const Writable&) = delete;

  [[nodiscard]] std::byte* data() const { return data_; }

 private:
  Matrix out_;
  std::byte* data_;
};

std::vector<std::int64_t> elements_of(const LibraryCall& call) {
  std::vector<std::int64_t> out = call.parts;
  for (std::int64_t& each : out) each *= call.columns;
  return out;
}

Arrived refused(std::string text) {
  return {.state = Arrived::State::failed, .text = std::move(text)};
}

}  // namespace

Result<std::unique_ptr<MpiBackend>> MpiBackend::start(const MpiModule& module, BoardWriter* board) {
  std::unique_ptr<MpiBackend> out(new MpiBackend(module, board));
  const CapsizeMpi& mpi = module.calls();
  if (const int error = mpi.start(); error != 0) return tl::unexpected(module.error_of(error));
  out->started_ = true;
  const int error = mpi.prepare(add_elements<ElementType::bf16>, add_elements<ElementType::fp16>);
  if (error != 0) return tl::unexpected(module.error_of(error));
  out->rank_ = mpi.rank();
  out->size_ = mpi.size();
  return out;
}

MpiBackend::~MpiBackend() {
  if (started_) (void)module_.calls().stop();
}

std::vector<std::int64_t> MpiBackend::ranks(std::int64_t world) const {
  return rank_ < world ? std::vector<std::int64_t>{rank_} : std::vector<std::int64_t>{};
}

void MpiBackend::tell(RankPhase phase) {
  if (board_ != nullptr) board_->enter(phase);
}

// ---- communicators ----------------------------------------------------------------------------

Result<std::int32_t> MpiBackend::communicator(const CommunicatorKey& key) {
  if (const auto known = communicators_.find(key); known != communicators_.end()) {
    return known->second;
  }
  std::int32_t made = -1;
  const int error = module_.calls().create(key.members.data(),
                                           static_cast<std::int32_t>(key.members.size()), &made);
  if (error != 0) return tl::unexpected(module_.error_of(error).within("communicator"));
  return communicators_.emplace(key, made).first->second;
}

Result<void> MpiBackend::begin(const Lifecycle& lifecycle) {
  if (lifecycle.world > size_) {
    return tl::unexpected(Error{"plan",
                                "it has " + std::to_string(lifecycle.world) + " ranks, " +
                                    std::to_string(size_) + " were started",
                                "start as many ranks as the plan has"});
  }
  lifecycle_ = &lifecycle;
  tell(RankPhase::meets);
  auto joined = join(lifecycle);
  tell(RankPhase::runs);
  return joined;
}

// All ranks make them in the order of the families: whoever waits for the others of its group waits
// for ranks that are at an earlier family, or at this one.
Result<void> MpiBackend::join(const Lifecycle& lifecycle) {
  auto world = communicator(world_key(lifecycle));
  if (!world) return tl::unexpected(std::move(world.error()));
  world_ = *world;
  joined_.clear();
  groups_ = 0;
  for (std::size_t family = 0; family < lifecycle.families.size(); ++family) {
    Joined& mine = joined_.emplace_back();
    const PlanGroups& groups = lifecycle.families[family];
    if (const std::int32_t group = groups.group_of[static_cast<std::size_t>(rank_)]; group >= 0) {
      mine.keys = keys_of(lifecycle, family, static_cast<std::size_t>(group));
      mine.place = groups_ + static_cast<std::size_t>(group);
      for (const CommunicatorKey& key : mine.keys) {
        auto made = communicator(key);
        if (!made) return tl::unexpected(std::move(made.error()));
        mine.communicators.push_back(*made);
      }
    }
    groups_ += groups.groups.size();
  }
  return {};
}

// An agreement of all ranks of the plan. Beside the failure each tells what it has asked of each of
// its communicators in this event: where members differ, or MPI gave an error, messages of this
// event may still be under way, which a later operation must not take for its own.
Result<bool> MpiBackend::end_event(bool failed) {
  constexpr std::int64_t kNobody = std::numeric_limits<std::int64_t>::min();
  std::vector<std::int64_t> told(2 + 2 * groups_, kNobody);
  told[0] = failed ? 1 : 0;
  told[1] = std::exchange(broken_, false) ? 1 : 0;
  for (Joined& mine : joined_) {
    if (mine.communicators.empty()) continue;
    const std::int64_t asked = std::exchange(mine.asked, 0);
    told[2 + 2 * mine.place] = asked;
    told[3 + 2 * mine.place] = -asked;
  }
  tell(failed ? RankPhase::failed : RankPhase::ends);
  const int error =
      module_.calls().largest(world_, told.data(), static_cast<std::int64_t>(told.size()));
  if (error != 0) return tl::unexpected(module_.error_of(error).within("end of an event"));
  if (auto left = leave_behind(told); !left) return tl::unexpected(std::move(left.error()));
  tell(RankPhase::runs);
  return told[0] != 0;
}

// Communicators in which something may be left of an event are not used again; new ones take their
// place.
Result<void> MpiBackend::leave_behind(const std::vector<std::int64_t>& told) {
  bool left = false;
  for (const Joined& mine : joined_) {
    if (mine.communicators.empty()) continue;
    if (told[1] == 0 && told[2 + 2 * mine.place] == -told[3 + 2 * mine.place]) continue;
    for (const CommunicatorKey& key : mine.keys) communicators_.erase(key);
    left = true;
  }
  return left ? join(*lifecycle_) : Result<void>{};
}

// ---- operations -------------------------------------------------------------------------------

void MpiBackend::compute(const Weights* weights, const LocalCall& call) {
  compute_on_host(weights, call);
}

void MpiBackend::poison(Matrix rows, Poison poison, std::uint64_t salt) {
  poison_rows(rows, poison, salt);
}

Arrived MpiBackend::meet(const Arrival& arrival) {
  Joined& mine = joined_[static_cast<std::size_t>(arrival.communicator.family.index)];
  if (mine.communicators.empty()) return refused("this rank is in no group of the family");
  mine.asked += asked_by(arrival);
  const auto call = library_call_of(arrival);
  Arrived out =
      call ? run(mine.communicators[path_of(arrival, mine.communicators.size())], *call, arrival)
           : refused(call.error());
  broken_ = broken_ || out.state == Arrived::State::failed;
  tell(RankPhase::runs);
  return out;
}

Arrived MpiBackend::done(std::int64_t /*rank*/) { return {}; }  // every meeting ends in meet()

Arrived MpiBackend::run(std::int32_t over, const LibraryCall& call, const Arrival& arrival) {
  const CapsizeMpi& mpi = module_.calls();
  const CapsizeElement type = element_of(call.type);
  const std::byte* in = readable(arrival.in, call.reads, arrival.out, spare_in_);
  const Writable out(arrival.out, call.writes, spare_out_);
  const std::vector<std::int64_t> parts = elements_of(call);
  const std::int64_t count = call.elements(call.rows);
  const auto peer = static_cast<std::int32_t>(call.peer);
  std::int64_t received = call.elements(call.received);
  const auto issue = [&] {
    switch (call.kind) {
      case PlanOpKind::reduce_scatter:
        return parts.empty() ? mpi.reduce_scatter(over, type, in, out.data(), count)
                             : mpi.reduce_scatter_parts(over, type, in, out.data(), parts.data(),
                                                        call.members);
      case PlanOpKind::all_gather:
        return parts.empty() ? mpi.all_gather(over, type, in, out.data(), count)
                             : mpi.all_gather_parts(over, type, in, count, out.data(), parts.data(),
                                                    call.members);
      case PlanOpKind::all_reduce: return mpi.all_reduce(over, type, in, out.data(), count);
      case PlanOpKind::all_to_all: return mpi.all_to_all(over, type, in, out.data(), count);
      case PlanOpKind::broadcast: {
        const std::size_t bytes = static_cast<std::size_t>(count) * bytes_of(call.type);
        if (call.position == 0 && bytes > 0) std::memmove(out.data(), in, bytes);
        return mpi.spread(over, type, out.data(), count);
      }
      case PlanOpKind::send: return mpi.send(over, type, in, count, peer);
      case PlanOpKind::recv: return mpi.receive(over, type, out.data(), count, peer, &received);
      default: return mpi.barrier(over);
    }
  };
  if (const int error = issue(); error != 0) return refused(mpi.text(error));
  return {.sent_rows = call.sent, .received_rows = call.columns > 0 ? received / call.columns : 0};
}

}  // namespace capsize
