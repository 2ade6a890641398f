// The MPI module: the calls of MPI that a sweep over several machines and the ranks of a run need.
#include "runtime/processes/mpi/module.hpp"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace {

// ---- a sweep ------------------------------------------------------------------------------------
// Ranks may wait for each other for a long time while others judge, so that waiting sleeps and does
// not poll.

constexpr int kTag = 1;
// MPI counts with int; a certificate may be longer.
constexpr std::uint64_t kPiece = std::uint64_t{1} << 28;

int wait_for(MPI_Request& request) {
  int done = 0;
  while (true) {
    if (const int error = MPI_Test(&request, &done, MPI_STATUS_IGNORE); error != MPI_SUCCESS) {
      return error;
    }
    if (done != 0) return MPI_SUCCESS;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

int send(const void* bytes, std::uint64_t count, MPI_Datatype type) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error =
      MPI_Isend(bytes, static_cast<int>(count), type, 0, kTag, MPI_COMM_WORLD, &request);
  return error != MPI_SUCCESS ? error : wait_for(request);
}

int receive(void* bytes, std::uint64_t count, MPI_Datatype type, int rank) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error =
      MPI_Irecv(bytes, static_cast<int>(count), type, rank, kTag, MPI_COMM_WORLD, &request);
  return error != MPI_SUCCESS ? error : wait_for(request);
}

int rank_of_world() {
  int rank = 0;
  (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

int size_of_world() {
  int size = 1;
  (void)MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

int start() {
  int initialized = 0;
  if (const int error = MPI_Initialized(&initialized); error != MPI_SUCCESS) return error;
  if (initialized == 0) {
    // Only the thread that starts MPI calls it.
    int provided = 0;
    const int error = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    if (error != MPI_SUCCESS) return error;
  }
  return MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
}

int stop() { return MPI_Finalize(); }

int receive_all(int rank, std::string& out) {
  std::uint64_t count = 0;
  if (const int error = receive(&count, 1, MPI_UINT64_T, rank); error != MPI_SUCCESS) return error;
  out.resize(count);
  for (std::uint64_t at = 0; at < count; at += kPiece) {
    const std::uint64_t piece = std::min(kPiece, count - at);
    const int error = receive(out.data() + at, piece, MPI_BYTE, rank);
    if (error != MPI_SUCCESS) return error;
  }
  return MPI_SUCCESS;
}

int gather(const char* bytes, std::uint64_t count, CapsizeTake take, void* context) {
  if (rank_of_world() != 0) {
    int error = send(&count, 1, MPI_UINT64_T);
    for (std::uint64_t at = 0; at < count && error == MPI_SUCCESS; at += kPiece) {
      error = send(bytes + at, std::min(kPiece, count - at), MPI_BYTE);
    }
    return error;
  }
  take(context, 0, bytes, count);
  for (int rank = 1; rank < size_of_world(); ++rank) {
    std::string received;
    if (const int error = receive_all(rank, received); error != MPI_SUCCESS) return error;
    take(context, rank, received.data(), received.size());
  }
  return MPI_SUCCESS;
}

int broadcast(std::int64_t* value) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error = MPI_Ibcast(value, 1, MPI_INT64_T, 0, MPI_COMM_WORLD, &request);
  return error != MPI_SUCCESS ? error : wait_for(request);
}

// ---- the ranks of a run -------------------------------------------------------------------------

// What a run has beside the world; it lives as long as MPI does.
struct RunState {
  MPI_Comm world = MPI_COMM_NULL;  // its own, so that nothing of it meets messages of a sweep
  std::array<CapsizeAdd, 2> add{};
  std::array<MPI_Op, 2> sum{MPI_OP_NULL, MPI_OP_NULL};  // of the 16-bit types
  std::vector<MPI_Comm> communicators;
};

RunState& state() {
  static RunState instance;
  return instance;
}

MPI_Comm over(CapsizeCommunicator id) { return state().communicators[static_cast<size_t>(id)]; }

MPI_Datatype datatype_of(CapsizeElement type) {
  switch (type) {
    case kCapsizeBf16:
    case kCapsizeFp16: return MPI_UINT16_T;
    case kCapsizeFp32: return MPI_FLOAT;
    case kCapsizeUint32: return MPI_UINT32_T;
  }
  return MPI_UINT32_T;
}

MPI_Op sum_of(CapsizeElement type) {
  return type == kCapsizeBf16 || type == kCapsizeFp16 ? state().sum[static_cast<size_t>(type)]
                                                      : MPI_SUM;
}

// MPI counts with int. What does not fit is an error of the call.
bool to_count(std::int64_t value, int& out) {
  if (value < 0 || value > std::numeric_limits<int>::max()) return false;
  out = static_cast<int>(value);
  return true;
}

// Counts and places of the members' parts.
struct Parts {
  std::vector<int> counts;
  std::vector<int> offsets;

  bool take(const std::int64_t* parts, std::int64_t members) {
    std::int64_t offset = 0;
    for (std::int64_t i = 0; i < members; ++i) {
      if (!to_count(parts[i], counts.emplace_back())) return false;
      if (!to_count(offset, offsets.emplace_back())) return false;
      offset += parts[i];
    }
    int all = 0;
    return to_count(offset, all);
  }
};

template <int which>
void add(void* from, void* to, int* count, MPI_Datatype* /*type*/) {
  state().add[which](from, to, *count);
}

int prepare(CapsizeAdd add_bf16, CapsizeAdd add_fp16) {
  RunState& run = state();
  if (run.world != MPI_COMM_NULL) return MPI_SUCCESS;
  run.add = {add_bf16, add_fp16};
  int error = MPI_Op_create(add<0>, 1, &run.sum[0]);
  if (error == MPI_SUCCESS) error = MPI_Op_create(add<1>, 1, &run.sum[1]);
  if (error == MPI_SUCCESS) error = MPI_Comm_dup(MPI_COMM_WORLD, &run.world);
  if (error != MPI_SUCCESS) return error;
  return MPI_Comm_set_errhandler(run.world, MPI_ERRORS_RETURN);
}

int create(const std::int32_t* members, std::int32_t count, CapsizeCommunicator* out) {
  RunState& run = state();
  MPI_Group all = MPI_GROUP_NULL;
  MPI_Group group = MPI_GROUP_NULL;
  int error = MPI_Comm_group(run.world, &all);
  if (error == MPI_SUCCESS) error = MPI_Group_incl(all, count, members, &group);
  MPI_Comm made = MPI_COMM_NULL;
  if (error == MPI_SUCCESS) error = MPI_Comm_create_group(run.world, group, kTag, &made);
  if (group != MPI_GROUP_NULL) (void)MPI_Group_free(&group);
  if (all != MPI_GROUP_NULL) (void)MPI_Group_free(&all);
  if (error == MPI_SUCCESS) error = MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN);
  if (error != MPI_SUCCESS) return error;
  *out = static_cast<CapsizeCommunicator>(run.communicators.size());
  run.communicators.push_back(made);
  return MPI_SUCCESS;
}

int reduce_scatter(CapsizeCommunicator id, CapsizeElement type, const void* in, void* out,
                   std::int64_t part) {
  int count = 0;
  if (!to_count(part, count)) return MPI_ERR_COUNT;
  return MPI_Reduce_scatter_block(in, out, count, datatype_of(type), sum_of(type), over(id));
}

int reduce_scatter_parts(CapsizeCommunicator id, CapsizeElement type, const void* in, void* out,
                         const std::int64_t* parts, std::int64_t members) {
  Parts each;
  if (!each.take(parts, members)) return MPI_ERR_COUNT;
  return MPI_Reduce_scatter(in, out, each.counts.data(), datatype_of(type), sum_of(type), over(id));
}

int all_gather(CapsizeCommunicator id, CapsizeElement type, const void* in, void* out,
               std::int64_t part) {
  int count = 0;
  if (!to_count(part, count)) return MPI_ERR_COUNT;
  const MPI_Datatype element = datatype_of(type);
  return MPI_Allgather(in, count, element, out, count, element, over(id));
}

int all_gather_parts(CapsizeCommunicator id, CapsizeElement type, const void* in, std::int64_t part,
                     void* out, const std::int64_t* parts, std::int64_t members) {
  Parts each;
  int count = 0;
  if (!to_count(part, count) || !each.take(parts, members)) return MPI_ERR_COUNT;
  const MPI_Datatype element = datatype_of(type);
  return MPI_Allgatherv(in, count, element, out, each.counts.data(), each.offsets.data(), element,
                        over(id));
}

int all_reduce(CapsizeCommunicator id, CapsizeElement type, const void* in, void* out,
               std::int64_t elements) {
  int count = 0;
  if (!to_count(elements, count)) return MPI_ERR_COUNT;
  return MPI_Allreduce(in, out, count, datatype_of(type), sum_of(type), over(id));
}

int all_to_all(CapsizeCommunicator id, CapsizeElement type, const void* in, void* out,
               std::int64_t part) {
  int count = 0;
  if (!to_count(part, count)) return MPI_ERR_COUNT;
  const MPI_Datatype element = datatype_of(type);
  return MPI_Alltoall(in, count, element, out, count, element, over(id));
}

int spread(CapsizeCommunicator id, CapsizeElement type, void* data, std::int64_t elements) {
  int count = 0;
  if (!to_count(elements, count)) return MPI_ERR_COUNT;
  return MPI_Bcast(data, count, datatype_of(type), 0, over(id));
}

int barrier(CapsizeCommunicator id) { return MPI_Barrier(over(id)); }

int send_rows(CapsizeCommunicator id, CapsizeElement type, const void* in, std::int64_t elements,
              std::int32_t peer) {
  int count = 0;
  if (!to_count(elements, count)) return MPI_ERR_COUNT;
  return MPI_Ssend(in, count, datatype_of(type), peer, kTag, over(id));
}

int receive_rows(CapsizeCommunicator id, CapsizeElement type, void* out, std::int64_t elements,
                 std::int32_t peer, std::int64_t* received) {
  int count = 0;
  if (!to_count(elements, count)) return MPI_ERR_COUNT;
  MPI_Status status;
  const int error = MPI_Recv(out, count, datatype_of(type), peer, kTag, over(id), &status);
  if (error != MPI_SUCCESS) return error;
  int arrived = 0;
  const int counted = MPI_Get_count(&status, datatype_of(type), &arrived);
  *received = arrived;
  return counted;
}

int largest(CapsizeCommunicator id, std::int64_t* values, std::int64_t elements) {
  int count = 0;
  if (!to_count(elements, count)) return MPI_ERR_COUNT;
  return MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_INT64_T, MPI_MAX, over(id));
}

const char* text(int error) {
  static std::array<char, MPI_MAX_ERROR_STRING> buffer;
  int length = 0;
  if (MPI_Error_string(error, buffer.data(), &length) != MPI_SUCCESS) return "unknown MPI error";
  return buffer.data();
}

}  // namespace

extern "C" const CapsizeMpi* capsize_mpi() {
  static const CapsizeMpi module = {.version = kCapsizeMpiVersion,
                                    .start = start,
                                    .gather = gather,
                                    .broadcast = broadcast,
                                    .stop = stop,
                                    .rank = rank_of_world,
                                    .size = size_of_world,
                                    .text = text,
                                    .prepare = prepare,
                                    .create = create,
                                    .reduce_scatter = reduce_scatter,
                                    .reduce_scatter_parts = reduce_scatter_parts,
                                    .all_gather = all_gather,
                                    .all_gather_parts = all_gather_parts,
                                    .all_reduce = all_reduce,
                                    .all_to_all = all_to_all,
                                    .spread = spread,
                                    .barrier = barrier,
                                    .send = send_rows,
                                    .receive = receive_rows,
                                    .largest = largest};
  return &module;
}
