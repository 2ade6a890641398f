// Starts mpirun with the settings that ranks on one machine want: more of them than processors, in
// a container, as whatever user, with nothing written outside of the run's own folder.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "sim/error.hpp"

namespace capsize {

struct Launcher {
  pid_t pid = -1;   // leads a process group of its own
  int output = -1;  // what it and the ranks print; the caller closes it
};

// The launcher dies with the thread that calls this. `arguments` begin with the program's path;
// what is written lies in `folder`/mpi.
[[nodiscard]] Result<Launcher> start_launcher(int ranks, const std::vector<std::string>& arguments,
                                              const std::string& folder);

// Its path; empty where there is none.
[[nodiscard]] std::string find_launcher();

}  // namespace capsize
