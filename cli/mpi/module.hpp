// The interface between capsize and its MPI module. The program is not linked with MPI: it loads
// the module only where a launcher has started it, so that it runs on machines that have none.
#pragma once

#include <cstdint>

extern "C" {

// Takes what one rank gave to gather(); called on rank 0, once a rank, in the order of the ranks.
using CapsizeTake = void (*)(void* context, int rank, const char* bytes, std::uint64_t count);

struct CapsizeMpi {
  // Each returns 0, or an error that text() names.
  int (*start)();
  int (*gather)(const char* bytes, std::uint64_t count, CapsizeTake take, void* context);
  int (*broadcast)(std::int64_t* value);  // from rank 0
  int (*stop)();

  int (*rank)();
  int (*size)();
  const char* (*text)(int error);  // good until the next call
};

// The one symbol of the module.
const CapsizeMpi* capsize_mpi();
}
