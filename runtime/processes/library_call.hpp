// What a rank that arrives asks a library of collectives for: counts, as MPI and NCCL know them. A
// library is told them and goes by them, whatever the operands hold.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "runtime/backend.hpp"

namespace capsize {

struct LibraryCall {
  PlanOpKind kind = PlanOpKind::barrier;
  ElementType type = ElementType::uint32;
  std::int64_t position = 0;
  std::int64_t members = 1;
  std::int64_t peer = -1;    // send, recv: a position
  std::int64_t columns = 0;  // of every row
  // Rows: what each member gets of a reduce-scatter and of an all-to-all from each of the others;
  // else what this one brings, or waits for (recv).
  std::int64_t rows = 0;
  std::vector<std::int64_t> parts;  // rows of each member, where they differ; else empty
  std::int64_t reads = 0;           // rows of the operand that the library reads
  std::int64_t writes = 0;          // rows of the output that it writes
  std::int64_t sent = 0;            // that it is asked to move, as Arrived tells them
  std::int64_t received = 0;

  [[nodiscard]] std::int64_t elements(std::int64_t of_rows) const { return of_rows * columns; }
};

// The error says why there is no such call.
[[nodiscard]] tl::expected<LibraryCall, std::string> library_call_of(const Arrival& arrival);

// What all members of a communicator ask alike, as a number: one call, and its count. Sends and
// receives are no matter of all.
[[nodiscard]] std::int64_t asked_by(const Arrival& arrival);

}  // namespace capsize
