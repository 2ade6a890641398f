#include "runtime/device/emulated_backend.hpp"

#include <numeric>

namespace capsize {

std::vector<std::int64_t> EmulatedBackend::ranks(std::int64_t world) const {
  std::vector<std::int64_t> out(static_cast<std::size_t>(world));
  std::iota(out.begin(), out.end(), std::int64_t{0});
  return out;
}

Result<void> EmulatedBackend::begin(const Lifecycle& lifecycle) {
  meetings_.begin(lifecycle.world);
  return DeviceBackend::begin(lifecycle);
}

Result<bool> EmulatedBackend::end_event(bool failed) {
  meetings_.clear();
  return failed;
}

}  // namespace capsize
