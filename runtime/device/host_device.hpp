// The device that is the host: the meaning of every launch, in plain calls of the functions that
// all backends share. What a GPU leaves is compared with what this leaves, bit by bit; and what is
// built on devices is tested on it where there is no GPU.
//
//   HostDevice device;
//   Result<std::span<std::byte>> slab = device.memory(bytes, false);
//   device.launch(CopyLaunch{.items = {{.from = rows, .to = other}}});
//
// A capture keeps launches (copies of them), and a graph repeats them. What no GPU can put into a
// graph is refused here too.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "runtime/device/device.hpp"

namespace capsize {

// Does one launch, at once. Answers of checks are added to `findings`, by their slots.
void launch_on_host(const Launch& what, std::span<DeviceFinding> findings);

class HostDevice : public Device {
 public:
  [[nodiscard]] std::string name() const override { return "host"; }

  [[nodiscard]] Result<std::span<std::byte>> memory(std::size_t bytes, bool host) override;
  [[nodiscard]] Result<ConstMatrix> keep(ConstMatrix rows) override;
  [[nodiscard]] Result<std::vector<std::byte>> read(ConstMatrix rows) override;

  void launch(const Launch& what) override;
  // A library is given no stream: it does its work at once, or when a graph comes to it.
  [[nodiscard]] Result<std::vector<std::string>> issue(const LibraryWork& work) override;
  [[nodiscard]] Result<std::span<std::byte>> reserve(std::size_t bytes) override;

  void reset_findings(std::size_t slots) override;
  [[nodiscard]] Result<std::vector<DeviceFinding>> findings() override;

  [[nodiscard]] Result<void> begin_capture() override;
  [[nodiscard]] Result<std::unique_ptr<DeviceGraph>> end_capture() override;
  void launch_graph(const DeviceGraph& graph) override;
  [[nodiscard]] Result<void> act(HostAction action) override;

  [[nodiscard]] Result<void> wait() override;
  [[nodiscard]] Work work() override { return work_; }

 private:
  // What a graph repeats.
  using Step = std::variant<Launch, LibraryWork>;
  class Graph;
  // A capture that is under way, and why it can give no graph any more.
  struct Capture {
    std::vector<Step> steps;
    std::optional<Error> refused;
  };

  void run(const Launch& what);
  // An error where a capture is under way, which it ends: `what` cannot be part of a graph.
  [[nodiscard]] Result<void> outside_captures(std::string_view what);

  // Memory begins with a cache line, as a device's does.
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  struct Slab {
    std::unique_ptr<Line[]> memory;
    std::size_t bytes = 0;
  };

  Slab device_slab_;
  Slab host_slab_;
  std::vector<std::vector<std::byte>> kept_;
  std::vector<std::vector<std::byte>> reserved_;
  std::vector<DeviceFinding> findings_;
  std::optional<Capture> capture_;
  std::optional<Error> error_;  // of a graph; told by the next wait
  Work work_;
};

}  // namespace capsize
