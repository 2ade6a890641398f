// The nccl backend: this process is one rank, its rows lie on its device, and NCCL moves them in
// the stream of that device, also inside of its graphs.
//
// What ranks ask for is issued when a run ends (runtime/device/device_backend.hpp), so that a rank
// that waits for one that never comes waits there, and the supervisor outside ends it. Only in a
// run that is stepwise does it wait in the operation itself.
//
//   Result<NcclLibrary> nccl = NcclLibrary::open();
//   NcclBackend backend(*nccl, device, {.rank = 2, .folder = folder});
//   Result<Observation> seen = execute(plan, options, backend);
//   Result<void> left = backend.leave();
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/device/device_backend.hpp"
#include "runtime/nccl/collectives.hpp"
#include "runtime/nccl/communicators.hpp"
#include "runtime/processes/board.hpp"

namespace capsize {

class NcclBackend : public DeviceBackend {
 public:
  // The library and the device outlive this. `board`, where there is one, is told what this rank
  // does between its steps.
  NcclBackend(const NcclLibrary& library, Device& device, const NcclRank& rank,
              BoardWriter* board = nullptr, std::int64_t memory_max = kMemoryMax)
      : DeviceBackend(device, memory_max),
        library_(library),
        communicators_(library, rank),
        rank_(rank.rank),
        board_(board) {}

  [[nodiscard]] std::string_view name() const override { return "nccl"; }
  [[nodiscard]] std::vector<std::int64_t> ranks(std::int64_t world) const override;
  // All ranks of the plan come here, and no other.
  [[nodiscard]] Result<void> begin(const Lifecycle& lifecycle) override;
  [[nodiscard]] Arrived meet(const Arrival& arrival) override;
  [[nodiscard]] Arrived done(std::int64_t rank) override;
  [[nodiscard]] Result<std::vector<LateFault>> end_run(bool failed) override;
  [[nodiscard]] Result<bool> end_event(bool failed) override;

  // Leaves all communicators, together with the others. No plan follows.
  [[nodiscard]] Result<void> leave();

 private:
  // This rank's group of a family, by its place among all groups of the plan; -1: it is in none.
  struct Joined {
    std::int64_t place = -1;
    std::int64_t asked = 0;  // of it in this event: calls and their counts
  };
  // Rows of the device beside those of the ranks.
  struct Spare {
    std::span<std::byte> memory;
    [[nodiscard]] Matrix rows(const Matrix& like, std::int64_t count) const {
      return {memory.data(), count, like.columns, like.type};
    }
  };

  [[nodiscard]] Result<std::vector<std::string>> issue(const Arrival& arrival) override;
  [[nodiscard]] Result<void> grow(Spare& spare, std::size_t bytes);
  [[nodiscard]] Result<void> make_room(const LibraryCall& call, const Arrival& arrival);
  [[nodiscard]] Result<void> join();
  [[nodiscard]] Result<std::vector<std::uint32_t>> agree(std::vector<std::uint32_t> values);
  void tell(RankPhase phase);

  const NcclLibrary& library_;
  NcclCommunicators communicators_;
  std::int32_t rank_;
  BoardWriter* board_;
  const Lifecycle* lifecycle_ = nullptr;
  std::size_t groups_ = 0;      // of the plan
  std::vector<Joined> joined_;  // by family
  // Rows that NCCL reads or writes where an operand has fewer: nothing outside of one is touched.
  Spare in_;
  Spare out_;
  Spare agreement_;
  Spare meeting_;
};

}  // namespace capsize
