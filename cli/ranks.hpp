// The ranks of a sweep that a launcher (mpirun) started on one or several machines. Where none did,
// nothing of MPI is loaded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/processes/mpi_module.hpp"
#include "sim/error.hpp"

namespace capsize::cli {

class Ranks {
 public:
  // None where no launcher started more than this one. Fails where one did and MPI cannot be used:
  // each rank would sweep everything.
  [[nodiscard]] static Result<std::unique_ptr<Ranks>> join();
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  // What each rank gave, on rank 0; nothing on the others.
  [[nodiscard]] Result<std::vector<std::string>> gather(const std::string& bytes) const;
  // Rank 0's value, everywhere.
  [[nodiscard]] Result<std::int64_t> broadcast(std::int64_t value) const;
  // Whether all ranks succeeded, told to all. On rank 0 the error of the first that did not; on the
  // others one without a text, which is not to be printed.
  [[nodiscard]] Result<void> agree(const Result<void>& mine) const;

 private:
  explicit Ranks(const MpiModule& module) : module_(module) {}

  MpiModule module_;
  int rank_ = 0;
  int size_ = 1;
  bool started_ = false;
};

// Whether this is the first process of the launcher on this machine, as far as the environment
// tells: the one that tells what went wrong before ranks can agree who does.
[[nodiscard]] bool first_on_this_machine();

// The processors that this process may use, shared with the other ranks of this machine.
[[nodiscard]] unsigned default_threads(const Ranks* ranks);

}  // namespace capsize::cli
