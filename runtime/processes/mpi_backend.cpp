#include "runtime/processes/mpi_backend.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
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

std::vector<std::int64_t> elements_of(std::span<const std::int64_t> rows, std::int64_t columns) {
  std::vector<std::int64_t> out(rows.begin(), rows.end());
  for (std::int64_t& each : out) each *= columns;
  return out;
}

std::int64_t sum_of(std::span<const std::int64_t> values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

// The rows of one member's part of a reduce-scatter: an unchecked call goes by what it writes, one
// that divides by itself by what it reads.
std::int64_t share_of(const Arrival& arrival) {
  if (!arrival.floors) return arrival.out.rows;
  return std::min(arrival.in.rows / std::ssize(arrival.communicator.members), arrival.out.rows);
}

// What all members of a communicator ask alike, as a number: one call, and its count. Sends and
// receives are no matter of all.
std::int64_t asked_by(const Arrival& arrival) {
  constexpr std::int64_t kCall = std::int64_t{1} << 40;
  if (is_point_to_point(arrival.kind)) return 0;
  if (!arrival.sizes.empty()) return kCall + sum_of(arrival.sizes);
  return kCall + (arrival.kind == PlanOpKind::reduce_scatter ? share_of(arrival) : arrival.in.rows);
}

constexpr std::int32_t kPathsMax = 4;

// Whether ranks may come to one operation on different paths: those of one program never do.
bool several_paths(const Lifecycle& lifecycle) {
  return std::ranges::any_of(lifecycle.events,
                             [](const PlanEvent& event) { return event.programs.size() > 1; });
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

Result<std::int32_t> MpiBackend::communicator(const Key& key) {
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
  std::vector<std::int32_t> all(static_cast<std::size_t>(lifecycle.world));
  std::iota(all.begin(), all.end(), 0);
  auto world = communicator({std::move(all), -1, 0});
  if (!world) return tl::unexpected(std::move(world.error()));
  world_ = *world;
  joined_.clear();
  groups_ = 0;
  const std::int32_t paths = several_paths(lifecycle) ? kPathsMax : 1;
  for (const PlanGroups& family : lifecycle.families) {
    Joined& mine = joined_.emplace_back();
    const std::int32_t group = family.group_of[static_cast<std::size_t>(rank_)];
    if (group >= 0) {
      mine.members = family.groups[static_cast<std::size_t>(group)];
      mine.earlier = static_cast<std::int32_t>(
          std::ranges::count_if(joined_,
                                [&](const Joined& each) { return each.members == mine.members; }) -
          1);
      mine.place = groups_ + static_cast<std::size_t>(group);
      for (std::int32_t path = 0; path < paths; ++path) {
        auto made = communicator({mine.members, mine.earlier, path});
        if (!made) return tl::unexpected(std::move(made.error()));
        mine.communicators.push_back(*made);
      }
    }
    groups_ += family.groups.size();
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
    for (std::int32_t path = 0; path < std::ssize(mine.communicators); ++path) {
      communicators_.erase({mine.members, mine.earlier, path});
    }
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
  const std::size_t path = (arrival.recorded ? 1U : 0U) + (arrival.registered ? 2U : 0U);
  const std::int32_t over = mine.communicators[mine.communicators.size() > 1 ? path : 0];
  mine.asked += asked_by(arrival);
  const auto run = [&] {
    switch (arrival.kind) {
      case PlanOpKind::reduce_scatter: return reduce_scatter(over, arrival);
      case PlanOpKind::all_gather: return all_gather(over, arrival);
      case PlanOpKind::all_reduce: return all_reduce(over, arrival);
      case PlanOpKind::all_to_all: return all_to_all(over, arrival);
      case PlanOpKind::broadcast: return broadcast(over, arrival);
      case PlanOpKind::send: return send(over, arrival);
      case PlanOpKind::recv: return receive(over, arrival);
      // What moves no rows is still a place where all meet.
      default: return arrived(module_.calls().barrier(over), 0, 0);
    }
  };
  Arrived out = run();
  broken_ = broken_ || out.state == Arrived::State::failed;
  tell(RankPhase::runs);
  return out;
}

Arrived MpiBackend::done(std::int64_t /*rank*/) { return {}; }  // every meeting ends in meet()

Arrived MpiBackend::arrived(int error, std::int64_t sent, std::int64_t received) const {
  if (error != 0) return refused(module_.calls().text(error));
  return {.sent_rows = sent, .received_rows = received};
}

Arrived MpiBackend::reduce_scatter(std::int32_t over, const Arrival& arrival) {
  const ConstMatrix& in = arrival.in;
  const auto members = std::ssize(arrival.communicator.members);
  const CapsizeElement type = element_of(in.type);
  if (!arrival.sizes.empty()) {
    if (std::ssize(arrival.sizes) != members) return refused("there is not one size a member");
    const std::vector<std::int64_t> parts = elements_of(arrival.sizes, in.columns);
    const std::int64_t own = arrival.sizes[static_cast<std::size_t>(arrival.position)];
    const std::int64_t all = sum_of(arrival.sizes);
    const Writable out(arrival.out, own, spare_out_);
    return arrived(
        module_.calls().reduce_scatter_parts(over, type, readable(in, all, arrival.out, spare_in_),
                                             out.data(), parts.data(), members),
        all, own);
  }
  const std::int64_t rows = share_of(arrival);
  return arrived(module_.calls().reduce_scatter(
                     over, type, readable(in, rows * members, arrival.out, spare_in_),
                     arrival.out.data, rows * in.columns),
                 rows * members, rows);
}

Arrived MpiBackend::all_gather(std::int32_t over, const Arrival& arrival) {
  const ConstMatrix& in = arrival.in;
  const auto members = std::ssize(arrival.communicator.members);
  const CapsizeElement type = element_of(in.type);
  const std::byte* from = readable(in, in.rows, arrival.out, spare_in_);
  if (!arrival.sizes.empty()) {
    if (std::ssize(arrival.sizes) != members) return refused("there is not one size a member");
    const std::vector<std::int64_t> parts = elements_of(arrival.sizes, in.columns);
    const std::int64_t all = sum_of(arrival.sizes);
    const Writable out(arrival.out, all, spare_out_);
    return arrived(module_.calls().all_gather_parts(over, type, from, in.rows * in.columns,
                                                    out.data(), parts.data(), members),
                   in.rows, all);
  }
  const Writable out(arrival.out, in.rows * members, spare_out_);
  return arrived(module_.calls().all_gather(over, type, from, out.data(), in.rows * in.columns),
                 in.rows, in.rows * members);
}

Arrived MpiBackend::all_reduce(std::int32_t over, const Arrival& arrival) {
  const ConstMatrix& in = arrival.in;
  const Writable out(arrival.out, in.rows, spare_out_);
  return arrived(module_.calls().all_reduce(over, element_of(in.type),
                                            readable(in, in.rows, arrival.out, spare_in_),
                                            out.data(), in.rows * in.columns),
                 in.rows, in.rows);
}

Arrived MpiBackend::all_to_all(std::int32_t over, const Arrival& arrival) {
  const ConstMatrix& in = arrival.in;
  const auto members = std::ssize(arrival.communicator.members);
  const std::int64_t rows = in.rows / members;
  const Writable out(arrival.out, rows * members, spare_out_);
  return arrived(module_.calls().all_to_all(over, element_of(in.type),
                                            readable(in, rows * members, arrival.out, spare_in_),
                                            out.data(), rows * in.columns),
                 rows * members, rows * members);
}

Arrived MpiBackend::broadcast(std::int32_t over, const Arrival& arrival) {
  const ConstMatrix& in = arrival.in;
  const Writable out(arrival.out, in.rows, spare_out_);
  if (arrival.position == 0 && in.bytes() > 0) std::memmove(out.data(), in.data, in.bytes());
  return arrived(
      module_.calls().spread(over, element_of(in.type), out.data(), in.rows * in.columns), in.rows,
      in.rows);
}

namespace {

std::optional<std::int32_t> position_of_peer(const Arrival& arrival) {
  const auto& members = arrival.communicator.members;
  const auto found = std::ranges::find(members, arrival.peer);
  if (found == members.end()) return std::nullopt;
  return static_cast<std::int32_t>(found - members.begin());
}

}  // namespace

Arrived MpiBackend::send(std::int32_t over, const Arrival& arrival) {
  const auto peer = position_of_peer(arrival);
  if (!peer) return refused("its peer is no rank of the group");
  const ConstMatrix& in = arrival.in;
  return arrived(
      module_.calls().send(over, element_of(in.type), in.data, in.rows * in.columns, *peer),
      in.rows, 0);
}

Arrived MpiBackend::receive(std::int32_t over, const Arrival& arrival) {
  const auto peer = position_of_peer(arrival);
  if (!peer) return refused("its peer is no rank of the group");
  const Matrix& out = arrival.out;
  std::int64_t received = 0;
  const int error = module_.calls().receive(over, element_of(out.type), out.data,
                                            out.rows * out.columns, *peer, &received);
  return arrived(error, 0, out.columns > 0 ? received / out.columns : 0);
}

}  // namespace capsize
