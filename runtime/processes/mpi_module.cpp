#include "runtime/processes/mpi_module.hpp"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "runtime/processes/mpi/module.hpp"

namespace capsize {

std::string program_path() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
}

std::string MpiModule::path() {
  return (std::filesystem::path(program_path()).parent_path() / "capsize_mpi.so").string();
}

Result<MpiModule> MpiModule::open() {
  const std::string file = path();
  const auto cannot = [](std::string why) {
    return tl::unexpected(Error{"mpi", std::move(why),
                                "build capsize where MPI is installed (Debian: apt-get install "
                                "libopenmpi-dev openmpi-bin)"});
  };
  // MPI libraries load parts of their own, which look for symbols of the first.
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    const char* why = dlerror();
    return cannot(why == nullptr ? "no " + file : std::string(why));
  }
  void* symbol = dlsym(library, "capsize_mpi");
  if (symbol == nullptr) return cannot(file + " is no module of capsize");
  const CapsizeMpi* calls = reinterpret_cast<decltype(&capsize_mpi)>(symbol)();
  if (calls == nullptr || calls->version != kCapsizeMpiVersion) {
    return cannot(file + " is the module of another build of capsize");
  }
  return MpiModule(calls);
}

Error MpiModule::error_of(int error) const {
  return Error{"mpi", calls_->text(error), "a rank may have died; see the launcher's own messages"};
}

}  // namespace capsize
