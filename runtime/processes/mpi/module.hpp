// The interface between capsize and its MPI module. Programs are not linked with MPI: they load the
// module only where ranks are processes, so that they run on machines that have none.
//
// Two users share it. A sweep over several machines gathers bytes; its waits may be long, so that
// they sleep. A run's ranks meet in collectives; those block in MPI, as fast as it goes.
#pragma once

#include <cstdint>

extern "C" {

// Changes with every change below: a module of another build is not used.
inline constexpr std::uint32_t kCapsizeMpiVersion = 2;

// Takes what one rank gave to gather(); called on rank 0, once a rank, in the order of the ranks.
using CapsizeTake = void (*)(void* context, int rank, const char* bytes, std::uint64_t count);

// to += from. MPI knows no 16-bit floating-point numbers; the program brings their addition.
using CapsizeAdd = void (*)(const void* from, void* to, std::int64_t elements);

enum CapsizeElement : std::int32_t {
  kCapsizeBf16 = 0,
  kCapsizeFp16 = 1,
  kCapsizeFp32 = 2,
  kCapsizeUint32 = 3,
};

// A communicator that create() made.
using CapsizeCommunicator = std::int32_t;

struct CapsizeMpi {
  std::uint32_t version;

  // Each function that gives an int gives 0, or an error that text() names.
  int (*start)();
  int (*gather)(const char* bytes, std::uint64_t count, CapsizeTake take, void* context);
  int (*broadcast)(std::int64_t* value);  // from rank 0
  int (*stop)();

  int (*rank)();
  int (*size)();
  const char* (*text)(int error);  // good until the next call

  // ---- the ranks of a run ----
  // Behind start(), before the first create(), on all ranks.
  int (*prepare)(CapsizeAdd add_bf16, CapsizeAdd add_fp16);
  // All members call it, and nobody else; the order of `members` is that of their positions.
  int (*create)(const std::int32_t* members, std::int32_t count, CapsizeCommunicator* out);

  // Counts are elements. `parts` has one count a member.
  int (*reduce_scatter)(CapsizeCommunicator over, CapsizeElement type, const void* in, void* out,
                        std::int64_t part);
  int (*reduce_scatter_parts)(CapsizeCommunicator over, CapsizeElement type, const void* in,
                              void* out, const std::int64_t* parts, std::int64_t members);
  int (*all_gather)(CapsizeCommunicator over, CapsizeElement type, const void* in, void* out,
                    std::int64_t part);
  int (*all_gather_parts)(CapsizeCommunicator over, CapsizeElement type, const void* in,
                          std::int64_t part, void* out, const std::int64_t* parts,
                          std::int64_t members);
  int (*all_reduce)(CapsizeCommunicator over, CapsizeElement type, const void* in, void* out,
                    std::int64_t count);
  int (*all_to_all)(CapsizeCommunicator over, CapsizeElement type, const void* in, void* out,
                    std::int64_t part);
  // From position 0.
  int (*spread)(CapsizeCommunicator over, CapsizeElement type, void* data, std::int64_t count);
  int (*barrier)(CapsizeCommunicator over);
  // A send ends when its receive has begun. `peer` is a position.
  int (*send)(CapsizeCommunicator over, CapsizeElement type, const void* in, std::int64_t count,
              std::int32_t peer);
  int (*receive)(CapsizeCommunicator over, CapsizeElement type, void* out, std::int64_t count,
                 std::int32_t peer, std::int64_t* received);
  // Of each value the largest that a member has, on all of them.
  int (*largest)(CapsizeCommunicator over, std::int64_t* values, std::int64_t count);
};

// The one symbol of the module.
const CapsizeMpi* capsize_mpi();
}
