// The mpi backend: this process is one rank, and MPI moves the rows. Calls block; a rank that waits
// for one that never comes waits for ever, and the supervisor outside (supervisor.hpp) ends it.
//
// Counts that differ between members end as MPI ends them: an error on some of them, a wrong sum
// that nobody tells, or a wait. A library that streams (NCCL) waits there; whoever compares an
// execution here with what is predicted for such a library can only ask whether it went well.
//
//   Result<MpiModule> mpi = MpiModule::open();
//   Result<std::unique_ptr<MpiBackend>> backend = MpiBackend::start(*mpi);
//   Result<Observation> seen = execute(plan, options, **backend);
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/host_rows.hpp"
#include "runtime/processes/board.hpp"
#include "runtime/processes/communicator_key.hpp"
#include "runtime/processes/library_call.hpp"
#include "runtime/processes/mpi_module.hpp"

namespace capsize {

class MpiBackend : public Backend {
 public:
  // Joins the other ranks that the launcher started. `board`, where there is one, is told what this
  // rank does between its steps.
  [[nodiscard]] static Result<std::unique_ptr<MpiBackend>> start(const MpiModule& module,
                                                                 BoardWriter* board = nullptr);
  // Leaves MPI, together with the others.
  ~MpiBackend() override;
  MpiBackend(const MpiBackend&) = delete;
  MpiBackend& operator=(const MpiBackend&) = delete;

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }

  [[nodiscard]] std::string_view name() const override { return "mpi"; }
  [[nodiscard]] std::vector<std::int64_t> ranks(std::int64_t world) const override;
  [[nodiscard]] RowSpace& rows() override { return rows_; }
  // All ranks of the plan come here, and no other.
  [[nodiscard]] Result<void> begin(const Lifecycle& lifecycle) override;
  void compute(const Weights* weights, const LocalCall& call) override;
  [[nodiscard]] Arrived meet(const Arrival& arrival) override;
  [[nodiscard]] Arrived done(std::int64_t rank) override;
  void prepare(const OutputPlace& output) override { prepare_on_host(output); }
  [[nodiscard]] OutputFault look(const OutputPlace& output) override {
    return look_on_host(output);
  }
  void poison(Matrix rows, Poison poison, std::uint64_t salt) override;
  [[nodiscard]] Result<bool> end_event(bool failed) override;

 private:
  // This rank's group of a family; none of them: it is in no group.
  struct Joined {
    std::vector<CommunicatorKey> keys;  // by path
    std::vector<std::int32_t> communicators;
    std::size_t place = 0;   // among all groups of the plan
    std::int64_t asked = 0;  // of it in this event: calls and their counts
  };

  MpiBackend(const MpiModule& module, BoardWriter* board) : module_(module), board_(board) {}
  [[nodiscard]] Result<void> join(const Lifecycle& lifecycle);
  [[nodiscard]] Result<std::int32_t> communicator(const CommunicatorKey& key);
  [[nodiscard]] Result<void> leave_behind(const std::vector<std::int64_t>& told);
  void tell(RankPhase phase);
  [[nodiscard]] Arrived run(std::int32_t over, const LibraryCall& call, const Arrival& arrival);

  HostRows rows_;
  MpiModule module_;
  BoardWriter* board_;
  bool started_ = false;
  bool broken_ = false;  // MPI gave an error in this event
  int rank_ = 0;
  int size_ = 1;
  std::map<CommunicatorKey, std::int32_t> communicators_;
  const Lifecycle* lifecycle_ = nullptr;
  std::int32_t world_ = -1;     // the communicator of all ranks of the plan
  std::size_t groups_ = 0;      // of the plan
  std::vector<Joined> joined_;  // by family
  // Rows that MPI reads or writes where an operand has fewer: nothing outside of one is touched.
  std::vector<std::byte> spare_in_;
  std::vector<std::byte> spare_out_;
};

}  // namespace capsize
