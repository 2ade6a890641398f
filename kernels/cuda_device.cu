// The device: a stream, memory, captures and graphs. What kernels do stands in their own files.
#include <cuda_runtime.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "kernels/cuda_device.hpp"
#include "kernels/graph_nodes.hpp"
#include "kernels/launcher.hpp"

namespace capsize {
namespace {

using gpu::DeviceMemory;
using gpu::FindingTable;
using gpu::Launcher;

// Makes `slots` of a table's answers none. One block.
__global__ void reset_slots(FindingTable* cell, FindingTable table, std::uint64_t slots) {
  for (std::uint64_t slot = threadIdx.x; slot < slots; slot += blockDim.x) table.at[slot] = {};
  if (threadIdx.x == 0) *cell = table;
}

__global__ void do_nothing() {}

std::string words_of(cudaError_t status) {
  return std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status);
}

class CudaGraph : public DeviceGraph {
 public:
  CudaGraph() = default;
  ~CudaGraph() override {
    if (executable != nullptr) (void)cudaGraphExecDestroy(executable);
  }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  [[nodiscard]] const std::vector<std::string>& nodes() const override { return names; }

  cudaGraphExec_t executable = nullptr;
  std::vector<std::string> names;
  std::unique_ptr<gpu::Arena> tables;
  std::vector<std::shared_ptr<gpu::WeightTables::Entry>> weights;
};

class CudaDevice : public Device {
 public:
  CudaDevice() = default;
  ~CudaDevice() override;
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  [[nodiscard]] Result<void> open(int ordinal);

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] Result<std::span<std::byte>> memory(std::size_t bytes, bool host) override;
  [[nodiscard]] Result<ConstMatrix> keep(ConstMatrix rows) override;
  [[nodiscard]] Result<std::vector<std::byte>> read(ConstMatrix rows) override;
  void launch(const Launch& what) override;
  [[nodiscard]] Result<std::vector<std::string>> issue(const LibraryWork& work) override;
  [[nodiscard]] Result<std::span<std::byte>> reserve(std::size_t bytes) override;
  void reset_findings(std::size_t slots) override;
  [[nodiscard]] Result<std::vector<DeviceFinding>> findings() override;
  [[nodiscard]] Result<void> begin_capture() override;
  [[nodiscard]] Result<std::unique_ptr<DeviceGraph>> end_capture() override;
  void launch_graph(const DeviceGraph& graph) override;
  [[nodiscard]] Result<void> act(HostAction action) override;
  [[nodiscard]] Result<void> wait() override;
  [[nodiscard]] Work work() override;

 private:
  [[nodiscard]] cudaError_t do_action(HostAction action);
  // Ends a capture that can give no graph any more, so that the stream can be used again.
  void refuse(std::string_view what, std::string words);
  [[nodiscard]] Result<void> outside_captures(std::string_view what);
  [[nodiscard]] Result<std::unique_ptr<DeviceGraph>> graph_of(cudaGraph_t captured);
  // The graph that the stream's launches go to; null where there is none.
  [[nodiscard]] cudaGraph_t captured_so_far() const;
  void begin_span();

  std::string name_;
  Launcher launcher_;
  cudaStream_t stream_ = nullptr;
  DeviceMemory slab_;
  std::span<std::byte> host_slab_;
  gpu::Arena kept_{std::size_t{16} << 20};
  std::vector<DeviceMemory> reserved_;
  DeviceMemory findings_;
  DeviceMemory cell_;  // a FindingTable
  std::size_t slots_ = 0;
  void* spare_ = nullptr;  // memory that HostAction::free releases
  bool capturing_ = false;
  std::optional<Error> refused_;  // why the capture that is not ended yet gives no graph

  // What the device has worked: from the first launch behind a wait to the next wait.
  cudaEvent_t span_begin_ = nullptr;
  cudaEvent_t span_end_ = nullptr;
  bool span_open_ = false;
  Work work_;
};

Result<void> CudaDevice::open(int ordinal) {
  const auto ok = [this](cudaError_t status) { return launcher_.succeeded(status, "device"); };
  cudaDeviceProp properties{};
  const bool opened = ok(cudaSetDevice(ordinal)) &&
                      ok(cudaGetDeviceProperties(&properties, ordinal)) &&
                      ok(cudaStreamCreate(&stream_)) && ok(cudaEventCreate(&span_begin_)) &&
                      ok(cudaEventCreate(&span_end_)) && ok(cudaMalloc(&spare_, 1));
  name_ = properties.name;
  if (opened) {
    cell_ = DeviceMemory::of(sizeof(FindingTable));
    launcher_.stream = stream_;
    launcher_.findings = reinterpret_cast<const FindingTable*>(cell_.data());
    reset_findings(1);
  }
  return wait();
}

CudaDevice::~CudaDevice() {
  if (capturing_) refuse("capture", "the device goes");
  if (stream_ != nullptr) (void)cudaStreamSynchronize(stream_);
  if (!host_slab_.empty()) (void)cudaFreeHost(host_slab_.data());
  if (spare_ != nullptr) (void)cudaFree(spare_);
  if (span_begin_ != nullptr) (void)cudaEventDestroy(span_begin_);
  if (span_end_ != nullptr) (void)cudaEventDestroy(span_end_);
  if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
}

Result<std::span<std::byte>> CudaDevice::memory(std::size_t bytes, bool host) {
  if (const Result<void> idle = wait(); !idle) return tl::unexpected(idle.error());
  if (!host) {
    if (slab_.bytes() < bytes) {
      slab_ = DeviceMemory();
      slab_ = DeviceMemory::of(bytes);
    }
    if (slab_.data() != nullptr || bytes == 0) return std::span(slab_.data(), slab_.bytes());
    return tl::unexpected(Error{"memory",
                                name_ + " has no " + std::to_string(bytes) + " bytes left",
                                "cap the rows, or run fewer ranks"});
  }
  if (host_slab_.size() < bytes) {
    if (!host_slab_.empty()) (void)cudaFreeHost(host_slab_.data());
    host_slab_ = {};
    void* data = nullptr;
    if (!launcher_.succeeded(cudaHostAlloc(&data, bytes, cudaHostAllocDefault), "memory")) {
      return tl::unexpected(*launcher_.take_error());
    }
    host_slab_ = {static_cast<std::byte*>(data), bytes};
  }
  return host_slab_;
}

Result<ConstMatrix> CudaDevice::keep(ConstMatrix rows) {
  if (const Result<void> outside = outside_captures("a copy from the host"); !outside) {
    return tl::unexpected(outside.error());
  }
  std::byte* to = kept_.take(std::max<std::size_t>(1, rows.bytes()));
  if (to == nullptr) {
    return tl::unexpected(Error{"memory", name_ + " has no memory left", "cap the rows"});
  }
  (void)launcher_.succeeded(
      cudaMemcpyAsync(to, rows.data, rows.bytes(), cudaMemcpyHostToDevice, stream_), "keep");
  // The host's rows may go when this returns.
  const Result<void> done = wait();
  if (!done) return tl::unexpected(done.error());
  rows.data = to;
  return rows;
}

Result<std::vector<std::byte>> CudaDevice::read(ConstMatrix rows) {
  if (const Result<void> outside = outside_captures("a copy to the host"); !outside) {
    return tl::unexpected(outside.error());
  }
  std::vector<std::byte> bytes(rows.bytes());
  (void)launcher_.succeeded(
      cudaMemcpyAsync(bytes.data(), rows.data, bytes.size(), cudaMemcpyDefault, stream_), "read");
  return wait().map([&] { return std::move(bytes); });
}

void CudaDevice::begin_span() {
  if (span_open_) return;
  span_open_ = launcher_.succeeded(cudaEventRecord(span_begin_, stream_), "launch");
}

void CudaDevice::launch(const Launch& what) {
  if (refused_) return;
  if (!capturing_) {
    begin_span();
    ++work_.launches;
  }
  std::visit([this](const auto& launch) { gpu::enqueue(launcher_, launch); }, what);
}

cudaGraph_t CudaDevice::captured_so_far() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaGraph_t graph = nullptr;
  const cudaError_t asked = cudaStreamGetCaptureInfo(stream_, &status, nullptr, &graph);
  return asked == cudaSuccess && status == cudaStreamCaptureStatusActive ? graph : nullptr;
}

Result<std::vector<std::string>> CudaDevice::issue(const LibraryWork& work) {
  if (refused_) return tl::unexpected(*refused_);
  // A cudaStream_t, as device.hpp says.
  auto* stream = reinterpret_cast<DeviceStream*>(stream_);
  if (!capturing_) {
    begin_span();
    if (Result<void> issued = work.issue(stream); !issued) return tl::unexpected(issued.error());
    return std::vector<std::string>();
  }
  std::vector<cudaGraphNode_t> before = gpu::nodes_in_order(captured_so_far());
  const Result<void> issued = work.issue(stream);
  cudaGraph_t graph = captured_so_far();
  if (!issued || graph == nullptr) {
    refuse(work.name, work.name + (issued ? " ended the capture" : ": " + issued.error().text));
    return tl::unexpected(*refused_);
  }
  std::ranges::sort(before);
  std::vector<std::string> names;
  for (cudaGraphNode_t node : gpu::nodes_in_order(graph)) {
    if (std::ranges::binary_search(before, node)) continue;
    names.push_back(gpu::name_of(node, launcher_));
  }
  return names;
}

Result<std::span<std::byte>> CudaDevice::reserve(std::size_t bytes) {
  if (const Result<void> outside = outside_captures("an allocation"); !outside) {
    return tl::unexpected(outside.error());
  }
  reserved_.push_back(DeviceMemory::of(bytes));
  std::byte* data = reserved_.back().data();
  if (data != nullptr) return std::span(data, bytes);
  return tl::unexpected(Error{"memory", name_ + " has no " + std::to_string(bytes) + " bytes left",
                              "cap the rows, or run fewer ranks"});
}

void CudaDevice::reset_findings(std::size_t slots) {
  if (!outside_captures("forgetting answers")) return;
  if (findings_.bytes() < std::max<std::size_t>(1, slots) * sizeof(DeviceFinding)) {
    (void)cudaStreamSynchronize(stream_);
    findings_ = DeviceMemory();
    findings_ = DeviceMemory::of(std::max<std::size_t>(1024, 2 * slots) * sizeof(DeviceFinding));
  }
  if (findings_.data() == nullptr || cell_.data() == nullptr) {
    return launcher_.fail({"findings", name_ + " has no memory left", "cap the rows"});
  }
  slots_ = slots;
  const FindingTable table{reinterpret_cast<DeviceFinding*>(findings_.data()), slots};
  begin_span();
  reset_slots<<<1, gpu::kThreads, 0, stream_>>>(reinterpret_cast<FindingTable*>(cell_.data()),
                                                table, slots);
  (void)launcher_.succeeded(cudaGetLastError(), "findings");
}

Result<std::vector<DeviceFinding>> CudaDevice::findings() {
  if (const Result<void> outside = outside_captures("a copy to the host"); !outside) {
    return tl::unexpected(outside.error());
  }
  std::vector<DeviceFinding> out(slots_);
  (void)launcher_.succeeded(
      cudaMemcpyAsync(out.data(), findings_.data(), slots_ * sizeof(DeviceFinding),
                      cudaMemcpyDeviceToHost, stream_),
      "findings");
  return wait().map([&] { return std::move(out); });
}

Result<void> CudaDevice::begin_capture() {
  if (const Result<void> outside = outside_captures("another capture"); !outside) return outside;
  (void)launcher_.weights().take_used();  // what eager launches have read
  if (launcher_.succeeded(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
                          "capture")) {
    capturing_ = true;
    launcher_.capturing = true;
    return {};
  }
  return tl::unexpected(*launcher_.take_error());
}

Result<std::unique_ptr<DeviceGraph>> CudaDevice::end_capture() {
  if (refused_) return tl::unexpected(*std::exchange(refused_, std::nullopt));
  if (!capturing_) {
    return tl::unexpected(Error{"capture", "no capture is under way", "begin one first"});
  }
  capturing_ = false;
  launcher_.capturing = false;
  cudaGraph_t captured = nullptr;
  const bool ended = launcher_.succeeded(cudaStreamEndCapture(stream_, &captured), "capture");
  const std::optional<Error> error = launcher_.take_error();
  Result<std::unique_ptr<DeviceGraph>> graph = tl::unexpected(error.value_or(Error{}));
  if (ended && !error) graph = graph_of(captured);
  if (captured != nullptr) (void)cudaGraphDestroy(captured);
  return graph;
}

Result<std::unique_ptr<DeviceGraph>> CudaDevice::graph_of(cudaGraph_t captured) {
  auto graph = std::make_unique<CudaGraph>();
  graph->tables = launcher_.tables().take_captured();
  graph->weights = launcher_.weights().take_used();
  graph->names = gpu::node_names(captured, launcher_);
  if (!launcher_.succeeded(cudaGraphInstantiate(&graph->executable, captured, 0), "graph") ||
      !launcher_.succeeded(cudaGraphUpload(graph->executable, stream_), "graph")) {
    return tl::unexpected(*launcher_.take_error());
  }
  return graph;
}

void CudaDevice::launch_graph(const DeviceGraph& graph) {
  if (!outside_captures("a launch of another graph")) return;
  begin_span();
  ++work_.graphs;
  // A graph is launched on the device that made it.
  const cudaGraphExec_t executable = static_cast<const CudaGraph&>(graph).executable;
  (void)launcher_.succeeded(cudaGraphLaunch(executable, stream_), "graph");
}

cudaError_t CudaDevice::do_action(HostAction action) {
  switch (action) {
    case HostAction::synchronize: return cudaStreamSynchronize(stream_);
    case HostAction::allocate: {
      void* made = nullptr;
      const cudaError_t status = cudaMalloc(&made, 1);
      return status == cudaSuccess ? cudaFree(made) : status;
    }
    case HostAction::free: {
      const cudaError_t status = cudaFree(spare_);
      if (status != cudaSuccess) return status;
      const gpu::Relaxed relaxed;  // the next one is no part of the action
      spare_ = nullptr;
      return cudaMalloc(&spare_, 1);
    }
    case HostAction::launch_elsewhere: break;
  }
  do_nothing<<<1, 1, 0, cudaStreamLegacy>>>();
  return cudaGetLastError();
}

Result<void> CudaDevice::act(HostAction action) {
  if (refused_) return tl::unexpected(*refused_);
  const cudaError_t status = do_action(action);
  if (status == cudaSuccess) return {};
  (void)cudaGetLastError();  // it is told here
  const std::string words = std::string(name_of(action)) + " was refused: " + words_of(status);
  if (!capturing_) {
    return tl::unexpected(Error{"device", words, "see what the device did before"});
  }
  refuse(name_of(action), words);
  return tl::unexpected(*refused_);
}

void CudaDevice::refuse(std::string_view what, std::string words) {
  if (words.empty()) words = "no graph can hold " + std::string(what);
  refused_ =
      Error{"capture", std::move(words), "do it before the capture begins or behind its end"};
  capturing_ = false;
  launcher_.capturing = false;
  cudaGraph_t nothing = nullptr;
  (void)cudaStreamEndCapture(stream_, &nothing);
  if (nothing != nullptr) (void)cudaGraphDestroy(nothing);
  (void)cudaGetLastError();  // that the capture was invalid is known
  (void)launcher_.take_error();
  (void)launcher_.tables().take_captured();
  (void)launcher_.weights().take_used();
}

Result<void> CudaDevice::outside_captures(std::string_view what) {
  if (capturing_) refuse(what, "");
  if (refused_) return tl::unexpected(*refused_);
  return {};
}

Result<void> CudaDevice::wait() {
  if (const Result<void> outside = outside_captures("a wait for the device"); !outside) {
    return outside;
  }
  const bool timed =
      span_open_ && launcher_.succeeded(cudaEventRecord(span_end_, stream_), "device");
  if (stream_ != nullptr) (void)launcher_.succeeded(cudaStreamSynchronize(stream_), "device");
  float milliseconds = 0;
  if (timed && cudaEventElapsedTime(&milliseconds, span_begin_, span_end_) == cudaSuccess) {
    work_.seconds += static_cast<double>(milliseconds) / 1000;
  }
  span_open_ = false;
  (void)launcher_.weights().take_used();
  if (std::optional<Error> error = launcher_.take_error()) return tl::unexpected(*error);
  return {};
}

Device::Work CudaDevice::work() { return work_; }

}  // namespace

std::vector<std::string> cuda_device_names() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    (void)cudaGetLastError();  // without a driver there are none
    return {};
  }
  std::vector<std::string> names;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, ordinal) != cudaSuccess) continue;
    names.emplace_back(properties.name);
  }
  return names;
}

Result<std::unique_ptr<Device>> make_cuda_device(int ordinal) {
  auto device = std::make_unique<CudaDevice>();
  if (const Result<void> opened = device->open(ordinal); !opened) {
    return tl::unexpected(opened.error());
  }
  return device;
}

}  // namespace capsize
