// What a rank asks NCCL for when it arrives at a collective, a send, a receive or a barrier: one
// call, or one group of calls, onto a stream. Nothing is waited for but NCCL's own preparations;
// what the device does with it shows when the stream is waited for.
//
//   const auto call = library_call_of(arrival);   // counts: runtime/processes/library_call.hpp
//   Arrived arrived = issue(library, *call, {.in = rows, .out = other_rows}, over, stream);
#pragma once

#include "runtime/nccl/table.hpp"
#include "runtime/processes/library_call.hpp"

namespace capsize {

// Memory of the device. NCCL reads LibraryCall::reads rows and writes LibraryCall::writes, whatever
// an operand holds: where it has fewer, the caller brings others. What is written overlaps with
// nothing that is read.
struct NcclOperands {
  const std::byte* in = nullptr;
  std::byte* out = nullptr;
  std::byte* meeting = nullptr;  // four bytes for those who meet without rows
};

[[nodiscard]] Arrived issue(const NcclLibrary& library, const LibraryCall& call,
                            const NcclOperands& operands, NcclCommunicator* over,
                            DeviceStream* stream);

// Of each value the largest that a member brings; in the device's memory, in place.
[[nodiscard]] Result<void> largest(const NcclLibrary& library, std::uint32_t* values,
                                   std::size_t count, NcclCommunicator* over, DeviceStream* stream);

}  // namespace capsize
