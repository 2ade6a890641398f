#include "runtime/nccl/collectives.hpp"

#include "runtime/nccl/communicators.hpp"

namespace capsize {
namespace {

// One arrival's calls.
class Issue {
 public:
  Issue(const NcclCalls& nccl, const LibraryCall& call, const NcclOperands& operands,
        NcclCommunicator* over, DeviceStream* stream)
      : nccl_(nccl), call_(call), at_(operands), over_(over), stream_(stream) {}

  [[nodiscard]] NcclStatus run() const {
    const std::size_t count = elements(call_.rows);
    const NcclType type = nccl_type_of(call_.type);
    const auto peer = static_cast<int>(call_.peer);
    switch (call_.kind) {
      case PlanOpKind::reduce_scatter:
        if (!call_.parts.empty()) return reduce_parts();
        return nccl_.reduce_scatter(at_.in, at_.out, count, type, NcclReduction::sum, over_,
                                    stream_);
      case PlanOpKind::all_gather:
        if (!call_.parts.empty()) return gather_parts();
        return nccl_.all_gather(at_.in, at_.out, count, type, over_, stream_);
      case PlanOpKind::all_reduce:
        return nccl_.all_reduce(at_.in, at_.out, count, type, NcclReduction::sum, over_, stream_);
      case PlanOpKind::all_to_all: return all_to_all();
      case PlanOpKind::broadcast:
        return nccl_.broadcast(at_.in, at_.out, count, type, 0, over_, stream_);
      case PlanOpKind::send: return nccl_.send(at_.in, count, type, peer, over_, stream_);
      case PlanOpKind::recv: return nccl_.receive(at_.out, count, type, peer, over_, stream_);
      default:  // NCCL has no barrier
        return nccl_.all_reduce(at_.meeting, at_.meeting, 1, NcclType::uint32, NcclReduction::sum,
                                over_, stream_);
    }
  }

 private:
  [[nodiscard]] std::size_t elements(std::int64_t rows) const {
    return static_cast<std::size_t>(call_.elements(rows));
  }
  // Where a row begins.
  template <class Byte>
  [[nodiscard]] Byte* row(Byte* rows, std::int64_t at) const {
    return rows + elements(at) * bytes_of(call_.type);
  }

  // `each` once a member, with its position, as one call of NCCL. Its first error ends it.
  template <class Each>
  [[nodiscard]] NcclStatus together(const Each& each) const {
    NcclStatus first = nccl_.group_start();
    if (first != NcclStatus::success) return first;
    for (int member = 0; member < call_.members; ++member) {
      first = each(member);
      if (first != NcclStatus::success && first != NcclStatus::in_progress) break;
      first = NcclStatus::success;
    }
    const NcclStatus ended = nccl_.group_end();
    return first == NcclStatus::success ? ended : first;
  }

  [[nodiscard]] NcclStatus all_to_all() const {
    const std::size_t count = elements(call_.rows);
    const NcclType type = nccl_type_of(call_.type);
    return together([&](int member) {
      const NcclStatus sent =
          nccl_.send(row(at_.in, member * call_.rows), count, type, member, over_, stream_);
      if (sent != NcclStatus::success && sent != NcclStatus::in_progress) return sent;
      return nccl_.receive(row(at_.out, member * call_.rows), count, type, member, over_, stream_);
    });
  }

  // One size a member: each in turn is the root of one call.
  [[nodiscard]] NcclStatus gather_parts() const {
    std::int64_t first = 0;
    return together([&](int member) {
      const std::int64_t rows = call_.parts[static_cast<std::size_t>(member)];
      std::byte* to = row(at_.out, first);
      first += rows;
      if (rows == 0) return NcclStatus::success;
      const void* from = member == call_.position ? at_.in : to;
      return nccl_.broadcast(from, to, elements(rows), nccl_type_of(call_.type), member, over_,
                             stream_);
    });
  }

  [[nodiscard]] NcclStatus reduce_parts() const {
    std::int64_t first = 0;
    return together([&](int member) {
      const std::int64_t rows = call_.parts[static_cast<std::size_t>(member)];
      const std::byte* from = row(at_.in, first);
      first += rows;
      if (rows == 0) return NcclStatus::success;
      return nccl_.reduce(from, at_.out, elements(rows), nccl_type_of(call_.type),
                          NcclReduction::sum, member, over_, stream_);
    });
  }

  const NcclCalls& nccl_;
  const LibraryCall& call_;
  const NcclOperands& at_;
  NcclCommunicator* over_;
  DeviceStream* stream_;
};

}  // namespace

Arrived issue(const NcclLibrary& library, const LibraryCall& call, const NcclOperands& operands,
              NcclCommunicator* over, DeviceStream* stream) {
  const NcclCalls& calls = library.calls();
  const NcclStatus status = settle(calls, over, Issue(calls, call, operands, over, stream).run());
  if (status != NcclStatus::success) {
    return {.state = Arrived::State::failed, .text = library.error_of(status, over).text};
  }
  Arrived out{.sent_rows = call.sent, .received_rows = call.received};
  // A gather with one size a member goes by the sizes, whatever the operand holds.
  if (call.kind == PlanOpKind::all_gather && !call.parts.empty()) out.sent_rows = call.reads;
  return out;
}

Result<void> largest(const NcclLibrary& library, std::uint32_t* values, std::size_t count,
                     NcclCommunicator* over, DeviceStream* stream) {
  const NcclCalls& calls = library.calls();
  const NcclStatus status = settle(
      calls, over,
      calls.all_reduce(values, values, count, NcclType::uint32, NcclReduction::max, over, stream));
  if (status != NcclStatus::success) return tl::unexpected(library.error_of(status, over));
  return {};
}

}  // namespace capsize
