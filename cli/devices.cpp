#include "cli/devices.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/progress.hpp"
#include "cli/ranks.hpp"
#include "runtime/device/host_device.hpp"
#ifdef CAPSIZE_HAS_CUDA
#include "kernels/cuda_device.hpp"
#endif

namespace capsize::cli {
namespace {

// What an 80 GB device leaves beside its graphs and tables.
constexpr std::int64_t kGpuMemory = std::int64_t{64} << 30;
constexpr std::int64_t kHostMemory = std::int64_t{8} << 30;
// One stream leaves the device idle while the next launches are put together.
constexpr unsigned kGpuWorkers = 4;

Result<std::unique_ptr<Device>> make_gpu() {
  const std::string way_out = "--device host runs the same launches on this machine's processors";
#ifdef CAPSIZE_HAS_CUDA
  auto device = make_cuda_device(0);
  if (device) return device;
  return tl::unexpected(
      Error{"--backend emulated", "no GPU can be used: " + device.error().text, way_out});
#else
  return tl::unexpected(Error{"--backend emulated",
                              "this program was built without CUDA, and has no kernels for a GPU",
                              way_out + "; or build it where nvcc is"});
#endif
}

}  // namespace

Result<std::unique_ptr<Device>> make_device(const std::string& kind) {
  if (kind == kHost) return std::make_unique<HostDevice>();
  return make_gpu();
}

std::int64_t rows_memory(const std::string& kind, unsigned workers) {
  return (kind == kHost ? kHostMemory : kGpuMemory) / std::max(1U, workers);
}

unsigned default_workers(const std::string& kind) {
  const unsigned processors = default_threads(nullptr);
  return kind == kHost ? processors : std::min(processors, kGpuWorkers);
}

void DeviceUse::add(const Device::Work& more) {
  work.seconds += more.seconds;
  work.launches += more.launches;
  work.graphs += more.graphs;
}

std::string DeviceUse::text() const {
  const double share = wall_seconds > 0 ? 100.0 * work.seconds / wall_seconds : 0.0;
  return fmt::format("{}, {} {}: {} launches, {} graphs; it worked {:.1f} % of {:.2f} s{}", name,
                     workers, workers == 1 ? "stream" : "streams",
                     grouped(static_cast<std::uint64_t>(work.launches)),
                     grouped(static_cast<std::uint64_t>(work.graphs)), share, wall_seconds,
                     workers == 1 ? "" : " (the sum of all streams)");
}

void write_device(JsonWriter& out, const std::optional<DeviceUse>& use) {
  out.key("device");
  if (!use) {
    out.null();
    return;
  }
  const auto microseconds = [](double seconds) { return static_cast<std::int64_t>(seconds * 1e6); };
  out.begin_object().field("name", std::string_view(use->name));
  out.field("streams", std::int64_t{use->workers}).field("launches", use->work.launches);
  out.field("graphs", use->work.graphs);
  out.field("worked_microseconds", microseconds(use->work.seconds));
  out.field("wall_microseconds", microseconds(use->wall_seconds)).end_object();
}

}  // namespace capsize::cli
