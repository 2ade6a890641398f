// Processes as the kernel tells of them (/proc): who is who, and who has started whom.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace capsize {

// A process number is given again when its process is gone; with the time of its start (in the
// kernel's ticks) it names one process.
struct ProcessId {
  pid_t pid = 0;
  std::uint64_t started_at = 0;
  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

// None where there is no such process, or only what is left of one that nobody has asked for (a
// zombie).
[[nodiscard]] std::optional<std::uint64_t> start_of_process(std::int64_t pid);

// The processes that `pid` has started, and those that these have.
[[nodiscard]] std::vector<ProcessId> descendants_of(pid_t pid);

// Sends a signal if it is still this process; whether it was.
bool signal_process(const ProcessId& process, int signal);

}  // namespace capsize
