// The MPI module: the few calls of MPI that a sweep over several machines needs. Ranks may wait for
// each other for a long time while others judge, so that waiting sleeps and does not poll.
#include "cli/mpi/module.hpp"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <thread>

namespace {

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

const char* text(int error) {
  static std::array<char, MPI_MAX_ERROR_STRING> buffer;
  int length = 0;
  if (MPI_Error_string(error, buffer.data(), &length) != MPI_SUCCESS) return "unknown MPI error";
  return buffer.data();
}

}  // namespace

extern "C" const CapsizeMpi* capsize_mpi() {
  static const CapsizeMpi module = {.start = start,
                                    .gather = gather,
                                    .broadcast = broadcast,
                                    .stop = stop,
                                    .rank = rank_of_world,
                                    .size = size_of_world,
                                    .text = text};
  return &module;
}
