// Finds and opens the MPI module (processes/mpi), which lies in the folder of the program. Whoever
// wants MPI in this process asks here; nothing of MPI is loaded before that.
//
//   Result<MpiModule> mpi = MpiModule::open();
//   if (mpi && mpi->calls().start() == 0) ...
#pragma once

#include <string>

#include "sim/error.hpp"

struct CapsizeMpi;  // runtime/processes/mpi/module.hpp

namespace capsize {

class MpiModule {
 public:
  // Fails where there is no module, or one of another build.
  [[nodiscard]] static Result<MpiModule> open();
  // Where it is looked for.
  [[nodiscard]] static std::string path();

  [[nodiscard]] const CapsizeMpi& calls() const { return *calls_; }
  // What a call gave that is not 0, as an error.
  [[nodiscard]] Error error_of(int error) const;

 private:
  explicit MpiModule(const CapsizeMpi* calls) : calls_(calls) {}

  const CapsizeMpi* calls_;  // stays loaded: MPI leaves handlers behind that run at the very end
};

// This program's own file; empty where it cannot be told.
[[nodiscard]] std::string program_path();

}  // namespace capsize
