#include "runtime/nccl/rendezvous.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

namespace capsize {
namespace {

Error error_of(const std::string& file, const std::string& why) {
  return Error{"nccl", "an id cannot be shared through " + file + ": " + why,
               "see that the folder of the run can be written, and has room"};
}

}  // namespace

std::string NcclRendezvous::file_of(const std::string& name) const {
  return folder_ + "/nccl-" + name;
}

// Under its name the file is whole: it is written beside, and renamed.
Result<void> NcclRendezvous::offer(const std::string& name, const NcclUniqueId& id) const {
  const std::string file = file_of(name);
  const std::string beside = file + ".part";
  std::ofstream out(beside, std::ios::binary | std::ios::trunc);
  out.write(id.bytes.data(), static_cast<std::streamsize>(id.bytes.size()));
  out.close();
  if (!out) return tl::unexpected(error_of(beside, "it cannot be written"));
  std::error_code error;
  std::filesystem::rename(beside, file, error);
  if (error) return tl::unexpected(error_of(file, error.message()));
  return {};
}

Result<NcclUniqueId> NcclRendezvous::take(const std::string& name) const {
  const std::string file = file_of(name);
  std::error_code error;
  while (!std::filesystem::exists(file, error)) {
    if (!std::filesystem::is_directory(folder_, error)) {
      return tl::unexpected(error_of(file, "there is no such folder"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  NcclUniqueId out;
  std::ifstream in(file, std::ios::binary);
  if (!in.read(out.bytes.data(), static_cast<std::streamsize>(out.bytes.size()))) {
    return tl::unexpected(error_of(file, "it cannot be read"));
  }
  return out;
}

}  // namespace capsize
