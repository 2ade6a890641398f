// A GPU as a device of the runtime (runtime/device/device.hpp): every launch is one kernel with the
// bits that HostDevice leaves, captures are CUDA's stream captures, graphs are CUDA graphs. No CUDA
// header is needed to use it.
//
//   Result<std::unique_ptr<Device>> device = make_cuda_device(0);
//   if (!device) ...  // the CUDA runtime's own words
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/device/device.hpp"

namespace capsize {

// The devices that the CUDA runtime counts, by name; none where there is no driver.
[[nodiscard]] std::vector<std::string> cuda_device_names();

// Fails where there is no such device or where it does not work.
[[nodiscard]] Result<std::unique_ptr<Device>> make_cuda_device(int ordinal);

}  // namespace capsize
