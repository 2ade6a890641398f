// A device that works through launches in the order of one stream, and keeps sequences of them as
// graphs. HostDevice (host_device.hpp) is the meaning of every launch; a GPU is one more
// (kernels/cuda_device.hpp).
//
// Launches are issued and return at once; an error of the device is told by the next call that
// waits. Nothing here is called by two threads at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/device/launch.hpp"
#include "sim/error.hpp"

namespace capsize {

// What was captured, ready to run again.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  // The names of its nodes (name_of of the launches that they came from), in the order in which
  // they run, read from the graph itself. A node that no launch made is named for its kind:
  // "copy", "fill", "host call".
  [[nodiscard]] virtual const std::vector<std::string>& nodes() const = 0;
};

// What an unsuspecting program does inside a capture, and no graph can hold.
enum class HostAction : std::uint8_t { synchronize, allocate, free, launch_elsewhere };
[[nodiscard]] std::string_view name_of(HostAction action);  // "a wait for the device"

// The device runtime's own: a cudaStream_t points to one.
struct DeviceStream;

// What a library of the device does on a stream: it issues, and waits for nothing of the device. It
// owns what it needs, as a graph may call it again.
struct LibraryWork {
  std::string name;
  std::function<Result<void>(DeviceStream* stream)> issue;
};

class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual std::string name() const = 0;  // "NVIDIA H100 80GB HBM3"; "host"

  // At least so many bytes, in one piece; what an earlier call gave is given again or is gone.
  // `host`: memory that the host reads and writes as well (after wait()).
  [[nodiscard]] virtual Result<std::span<std::byte>> memory(std::size_t bytes, bool host) = 0;
  // Rows that stay until the device goes; from the host's memory.
  [[nodiscard]] virtual Result<ConstMatrix> keep(ConstMatrix rows) = 0;
  // Copies of the device's rows, for the host to read. Waits.
  [[nodiscard]] virtual Result<std::vector<std::byte>> read(ConstMatrix rows) = 0;

  virtual void launch(const Launch& what) = 0;

  // Work of a library behind what was launched, in the order of the stream; in a capture it becomes
  // part of the graph. Answers the names of the nodes that the graph has of it. A device that lends
  // its stream to nobody refuses.
  [[nodiscard]] virtual Result<std::vector<std::string>> issue(const LibraryWork& work) {
    return tl::unexpected(Error{work.name, "this device lends its stream to no library",
                                "run it with another backend"});
  }
  // Memory for such work, another piece with every call; it stays until the device goes.
  [[nodiscard]] virtual Result<std::span<std::byte>> reserve(std::size_t bytes) {
    return tl::unexpected(Error{"device", "it has no " + std::to_string(bytes) + " bytes to lend",
                                "run it with another backend"});
  }

  // Answers of checks and comparisons: `slots` of them, all forgotten by `reset`. `findings` waits.
  virtual void reset_findings(std::size_t slots) = 0;
  [[nodiscard]] virtual Result<std::vector<DeviceFinding>> findings() = 0;

  // From here on launches are kept instead of run; `end_capture` gives the graph, or says what was
  // done that no graph can hold. The stream is usable behind it either way.
  [[nodiscard]] virtual Result<void> begin_capture() = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<DeviceGraph>> end_capture() = 0;
  virtual void launch_graph(const DeviceGraph& graph) = 0;
  // Does it, inside a capture or outside; the device's own words where it is refused.
  [[nodiscard]] virtual Result<void> act(HostAction action) = 0;

  // Until all that was issued is done.
  [[nodiscard]] virtual Result<void> wait() = 0;
  // Seconds that the device has worked since it was made, and how many launches and graphs it ran.
  struct Work {
    double seconds = 0;
    std::int64_t launches = 0;
    std::int64_t graphs = 0;
  };
  [[nodiscard]] virtual Work work() = 0;
};

}  // namespace capsize
