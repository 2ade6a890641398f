// Device memory beside the slab: tables that a kernel's parameter has no room for, and weights.
// Both may be asked for while a capture is under way: they are made beside the captured stream.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/models/exact_model.hpp"

namespace capsize::gpu {

// What a capture forbids its thread is allowed while this lives.
class Relaxed {
 public:
  Relaxed() { (void)cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~Relaxed() { (void)cudaThreadExchangeStreamCaptureMode(&mode_); }
  Relaxed(const Relaxed&) = delete;
  Relaxed& operator=(const Relaxed&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

// A piece of device memory that goes with its owner.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  // Empty where there is none left.
  [[nodiscard]] static DeviceMemory of(std::size_t bytes);
  DeviceMemory(DeviceMemory&& other) noexcept;
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  ~DeviceMemory();
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// Pieces of memory, given out from the front; all of it goes at once.
class Arena {
 public:
  explicit Arena(std::size_t piece_bytes = std::size_t{1} << 20) : piece_bytes_(piece_bytes) {}
  // Null where there is no memory left.
  [[nodiscard]] std::byte* take(std::size_t bytes);
  // All of it is free again, at the same addresses.
  void rewind();
  // How much was taken since the last rewind.
  [[nodiscard]] std::size_t taken() const { return taken_; }

 private:
  std::size_t piece_bytes_;
  std::size_t piece_ = 0;  // that is given out from
  std::size_t used_ = 0;   // of it
  std::size_t taken_ = 0;
  std::vector<DeviceMemory> pieces_;
};

// Tables of launches. Those of eager launches are overwritten by later ones, those of a capture
// belong to its graph.
class TableMemory {
 public:
  // The bytes, in device memory; null where that failed. `stream` has the launches before.
  [[nodiscard]] const std::byte* copy(std::span<const std::byte> bytes, cudaStream_t stream,
                                      bool capturing);
  // What the capture's tables lie in; the graph keeps it.
  [[nodiscard]] std::unique_ptr<Arena> take_captured();

 private:
  static constexpr std::size_t kEagerBytesMax = std::size_t{16} << 20;
  Arena eager_;
  std::unique_ptr<Arena> captured_;
};

// The units of attention, of an MLP or of all experts of one layer, in bytes that four-way integer
// products read: `up` unit by unit, `hidden_padded` columns each; `down` four units at a time (a
// word), a word a column. What pads is zero.
struct UnitTable {
  const std::int8_t* up;
  const std::int32_t* down;
  const std::int8_t* router;  // expert by expert; null where there is none
  std::int32_t hidden;
  std::int32_t hidden_padded;
  std::int32_t units;  // of one expert
  std::int32_t words;
  std::int32_t experts;  // 1 where there is no router
  std::int32_t wanted;   // experts of one row
};

// Made on the device when they are asked for first; kept by what the model is, not by where it
// lies. Those of old models go when there are many; a graph keeps those that it reads.
class WeightTables {
 public:
  struct Entry {
    UnitTable table{};
    DeviceMemory memory;
  };
  // Null where there is no memory left.
  [[nodiscard]] const UnitTable* of(const ExactModel& model, std::int64_t layer, LayerPart part);
  // What was asked for since this was called last.
  [[nodiscard]] std::vector<std::shared_ptr<Entry>> take_used();

 private:
  static constexpr std::size_t kBytesMax = std::size_t{4} << 30;
  struct ModelEntries {
    ExactModel model;
    std::vector<std::shared_ptr<Entry>> entries;  // two a layer; null until asked for
    std::size_t bytes = 0;
  };
  [[nodiscard]] ModelEntries& entries_of(const ExactModel& model);
  void drop_old();

  std::vector<std::unique_ptr<ModelEntries>> models_;  // the last one used is the last
  std::vector<std::shared_ptr<Entry>> used_;
};

}  // namespace capsize::gpu
