// The NCCL communicators of one rank: made when a plan first needs them, kept for all later plans
// of the process, and left in one order on all ranks. All of them are non-blocking, so that they
// can be aborted: a call is over when NCCL says so (settle).
//
// The first of a world is made from a unique id; the others are split off from it, or made from
// ids of their own where the library cannot split. All ranks of a world see the same plans of that
// world, so that they know of each group, whoever is in it, whether it is made already.
//
//   NcclCommunicators communicators(library, {.rank = 2, .folder = folder});
//   if (auto joined = communicators.join(plan); !joined) ...
//   NcclCommunicator* over = communicators.of(arrival);
//
// The rank's device must be the current one in every call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/nccl/rendezvous.hpp"
#include "runtime/nccl/table.hpp"
#include "runtime/processes/communicator_key.hpp"
#include "sim/error.hpp"

namespace capsize {

struct NcclRank {
  std::int32_t rank = 0;
  // The same for all ranks of one start, and new then: ids of an earlier start mean nothing.
  std::string folder;
};

// Until the communicator is through with what it was asked for. `status` is what the call gave; an
// error of the communicator itself (ncclCommGetAsyncError) comes before it.
[[nodiscard]] NcclStatus settle(const NcclCalls& calls, NcclCommunicator* communicator,
                                NcclStatus status);

class NcclCommunicators {
 public:
  NcclCommunicators(const NcclLibrary& library, const NcclRank& rank)
      : library_(library), rank_(rank.rank), rendezvous_(rank.folder) {}
  // What is left then is not left in order: NCCL's threads end with the process.
  ~NcclCommunicators() = default;
  NcclCommunicators(const NcclCommunicators&) = delete;
  NcclCommunicators& operator=(const NcclCommunicators&) = delete;

  // Makes what the plan needs and is not there. All ranks of the plan come here, and no other.
  [[nodiscard]] Result<void> join(const Lifecycle& lifecycle);

  // Of the plan that was joined last.
  [[nodiscard]] NcclCommunicator* world() const { return world_; }
  [[nodiscard]] NcclCommunicator* of(const Arrival& arrival) const;  // null: this rank is in none
  // The groups of a family are not used again: something may be left in them. All ranks of the plan
  // say so; the next join makes others in their place.
  void forget(std::size_t family);

  // Leaves all of them, in the reverse order in which they were made, together with their other
  // members. No graph may use them any more.
  [[nodiscard]] Result<void> leave();
  // Ends what is under way in them, whatever the others do. NCCL waits in here until the last graph
  // that uses a communicator is gone: `destroy_graphs` runs on a thread of its own beside it.
  [[nodiscard]] Result<void> abort(const std::function<void()>& destroy_graphs);

 private:
  // A group and the world in which it was made.
  using Key = std::pair<std::int32_t, CommunicatorKey>;

  [[nodiscard]] bool is_in(const CommunicatorKey& key) const;
  [[nodiscard]] Key in_world(CommunicatorKey key) const;
  [[nodiscard]] Result<void> make(const CommunicatorKey& key);
  [[nodiscard]] Result<void> split(const std::vector<CommunicatorKey>& keys);
  [[nodiscard]] Result<void> join_family(std::size_t family);
  [[nodiscard]] Result<void> keep(const CommunicatorKey& key, NcclCommunicator* made,
                                  NcclStatus status);

  const NcclLibrary& library_;
  std::int32_t rank_;
  NcclRendezvous rendezvous_;
  const Lifecycle* lifecycle_ = nullptr;
  NcclCommunicator* world_ = nullptr;
  std::vector<std::vector<NcclCommunicator*>> joined_;  // by family and path; none: in no group
  std::map<Key, NcclCommunicator*> known_;              // null: others are in it
  std::map<std::int32_t, std::int64_t> ids_;  // by world: how many unique ids were shared in it
  std::vector<NcclCommunicator*> made_;       // in their order
};

}  // namespace capsize
