// The parts of a launcher that know no kernel.
#include <utility>

#include "kernels/launcher.hpp"

namespace capsize::gpu {

void Launcher::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

bool Launcher::succeeded(cudaError_t status, std::string_view what) {
  if (status == cudaSuccess) return true;
  (void)cudaGetLastError();  // it is told here, and not again by a later call
  fail({std::string(what),
        std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status),
        "run it under compute-sanitizer to see where it begins"});
  return false;
}

std::optional<Error> Launcher::take_error() { return std::exchange(error_, std::nullopt); }

std::string_view Launcher::name_of_kernel(const void* kernel) const {
  const auto found = names_.find(kernel);
  return found == names_.end() ? std::string_view() : found->second;
}

void Launcher::start_function(std::string_view name, const void* kernel, const Shape& shape,
                              void** arguments) {
  const auto [known, first_time] = names_.try_emplace(kernel, name);
  if (first_time) {
    // Loads it: a kernel is loaded when it is needed first, which may be inside a capture.
    const Relaxed relaxed;
    cudaFuncAttributes attributes{};
    if (!succeeded(cudaFuncGetAttributes(&attributes, kernel), name)) return;
  }
  (void)succeeded(cudaLaunchKernel(kernel, shape.grid, dim3(shape.threads), arguments,
                                   shape.shared_bytes, stream),
                  name);
}

const void* Launcher::table(std::span<const std::byte> bytes) {
  const std::byte* there = tables_.copy(bytes, stream, capturing);
  if (there == nullptr) {
    fail(
        {"launch", "the device has no room for a table of operands", "fewer ranks or more memory"});
  }
  return there;
}

}  // namespace capsize::gpu
