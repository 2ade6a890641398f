// The devices that `--backend emulated` runs on: GPUs where this program was built with CUDA, and
// the host in a GPU's place, which needs neither.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "runtime/device/device.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "sim/error.hpp"

namespace capsize::cli {

inline constexpr const char* kGpu = "gpu";
inline constexpr const char* kHost = "host";

// A device of its own for each of `workers` threads, which share what memory there is. Fails where
// there is no such device, with the way out.
[[nodiscard]] Result<std::unique_ptr<Device>> make_device(const std::string& kind);
// Bytes for the rows of one of so many.
[[nodiscard]] std::int64_t rows_memory(const std::string& kind, unsigned workers);
[[nodiscard]] unsigned default_workers(const std::string& kind);

// What devices did in a run, all of them together.
struct DeviceUse {
  std::string name;
  unsigned workers = 0;
  double wall_seconds = 0;
  Device::Work work;

  void add(const Device::Work& more);
  // "host, 2 streams: 1 234 launches, 12 graphs; it worked 43.1 % of 0.52 s".
  [[nodiscard]] std::string text() const;
};
void write_device(JsonWriter& out, const std::optional<DeviceUse>& use);

}  // namespace capsize::cli
