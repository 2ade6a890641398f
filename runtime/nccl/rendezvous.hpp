// Where the ranks of one machine find the unique id of a communicator: files in the folder that
// their launcher made for this start and removes behind it. A rank that waits for an id that
// never comes waits for ever, and the supervisor ends it.
#pragma once

#include <string>

#include "runtime/nccl/table.hpp"
#include "sim/error.hpp"

namespace capsize {

class NcclRendezvous {
 public:
  explicit NcclRendezvous(std::string folder) : folder_(std::move(folder)) {}

  // Names are made of letters, digits and '-'. One rank offers a name, once.
  [[nodiscard]] Result<void> offer(const std::string& name, const NcclUniqueId& id) const;
  [[nodiscard]] Result<NcclUniqueId> take(const std::string& name) const;

 private:
  [[nodiscard]] std::string file_of(const std::string& name) const;

  std::string folder_;
};

}  // namespace capsize
