// Starts ranks. Through mpirun, with the settings that ranks on one machine want: more of them than
// processors, in a container, as whatever user, with nothing written outside of the run's own
// folder. Or, for ranks that do not meet in MPI, through a process that does no more than start
// them and end them when one has failed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/error.hpp"

namespace capsize {

enum class LaunchThrough : std::uint8_t { mpirun, own };

struct Launcher {
  pid_t pid = -1;   // leads a process group of its own
  int output = -1;  // what it and the ranks print; the caller closes it
};

// The launcher dies with the thread that calls this. `arguments` begin with the program's path;
// what is written lies in `folder`/mpi, which is the ranks' $TMPDIR. Ranks know theirs from the
// variables of mpirun; else from RANK, WORLD_SIZE and LOCAL_RANK.
[[nodiscard]] Result<Launcher> start_launcher(int ranks, const std::vector<std::string>& arguments,
                                              const std::string& folder,
                                              LaunchThrough through = LaunchThrough::mpirun);

// "mpirun", "the launcher".
[[nodiscard]] std::string_view name_of(LaunchThrough through);

// Its path; empty where there is none.
[[nodiscard]] std::string find_launcher();

}  // namespace capsize
