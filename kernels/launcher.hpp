// How kernels are put on a device's stream: what a family of kernels needs of the device, and one
// function a kind of launch. Inside the kernels room only.
#pragma once

#include <cuda_runtime.h>

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kernels/items.hpp"
#include "kernels/tables.hpp"
#include "runtime/device/launch.hpp"
#include "sim/error.hpp"

namespace capsize::gpu {

// Where checks put their answers; the kernels read it where something is wrong.
struct FindingTable {
  DeviceFinding* at;
  std::uint64_t slots;
};

inline constexpr std::uint32_t kThreads = 256;
inline constexpr std::uint32_t kGridRowsMax = 65535;  // of gridDim.y

// `x` blocks for each of `items`; at least one, as an empty launch is one node of a graph too.
[[nodiscard]] inline dim3 grid_of(std::uint64_t x, std::uint64_t items) {
  return dim3(static_cast<unsigned>(std::max<std::uint64_t>(1, x)),
              static_cast<unsigned>(std::clamp<std::uint64_t>(items, 1, kGridRowsMax)));
}

class Launcher {
 public:
  cudaStream_t stream = nullptr;
  const FindingTable* findings = nullptr;  // in device memory
  bool capturing = false;

  struct Shape {
    dim3 grid;
    std::uint32_t threads = kThreads;
    std::size_t shared_bytes = 0;
  };

  // Launches `kernel_of(capacity)`, a kernel of Params with that capacity, over the items.
  template <class Common, class Item, class KernelOf>
  void start(std::string_view name, const Common& common, std::span<const Item> items,
             const Shape& shape, KernelOf&& kernel_of) {
    with_capacity(items.size(), 0, [&](auto capacity) {
      Params<Common, Item, capacity()> params{};
      params.common = common;
      if (put(items, params.list)) start_kernel(name, kernel_of(capacity), shape, params);
    });
  }
  template <class Common, class Item, class KernelOf>
  void start(std::string_view name, const Common& common, std::span<const Item> items,
             std::span<std::byte* const> addresses, const Shape& shape, KernelOf&& kernel_of) {
    with_capacity(items.size(), addresses.size(), [&](auto capacity) {
      ListParams<Common, Item, capacity()> params{};
      params.common = common;
      if (put(items, params.list) && put(addresses, params.addresses)) {
        start_kernel(name, kernel_of(capacity), shape, params);
      }
    });
  }

  // The first thing that went wrong since it was taken; told by the next call that waits.
  void fail(Error error);
  // Whether the call went well; else the error is kept.
  bool succeeded(cudaError_t status, std::string_view what);
  [[nodiscard]] std::optional<Error> take_error();

  // The name of the launch that runs this kernel; empty for kernels that none ran.
  [[nodiscard]] std::string_view name_of_kernel(const void* kernel) const;

  [[nodiscard]] TableMemory& tables() { return tables_; }
  [[nodiscard]] WeightTables& weights() { return weights_; }

 private:
  template <class Item, std::uint32_t kCapacity>
  bool put(std::span<const Item> items, Items<Item, kCapacity>& list) {
    list.count = static_cast<std::uint32_t>(items.size());
    if constexpr (kCapacity == 0) {
      list.items = static_cast<const Item*>(table(std::as_bytes(items)));
      return list.items != nullptr;
    } else {
      std::ranges::copy(items, list.items);
      return true;
    }
  }
  template <class Kernel, class P>
  void start_kernel(std::string_view name, Kernel* kernel, const Shape& shape, P& params) {
    static_assert(std::is_same_v<Kernel, void(P)>);
    static_assert(sizeof(P) <= 4096 || sizeof(P) <= 32764);
    void* arguments[] = {&params};
    start_function(name, reinterpret_cast<const void*>(kernel), shape, arguments);
  }
  void start_function(std::string_view name, const void* kernel, const Shape& shape,
                      void** arguments);
  [[nodiscard]] const void* table(std::span<const std::byte> bytes);

  TableMemory tables_;
  WeightTables weights_;
  std::unordered_map<const void*, std::string_view> names_;
  std::optional<Error> error_;
};

void enqueue(Launcher& launcher, const FillLaunch& what);
void enqueue(Launcher& launcher, const GenerateLaunch& what);
void enqueue(Launcher& launcher, const CopyLaunch& what);
void enqueue(Launcher& launcher, const NormLaunch& what);
void enqueue(Launcher& launcher, const AddLaunch& what);
void enqueue(Launcher& launcher, const WeightsLaunch& what);
void enqueue(Launcher& launcher, const MixLaunch& what);
void enqueue(Launcher& launcher, const CollectiveLaunch& what);
void enqueue(Launcher& launcher, const SumLaunch& what);
void enqueue(Launcher& launcher, const CheckLaunch& what);
void enqueue(Launcher& launcher, const CompareLaunch& what);
void enqueue(Launcher& launcher, const VerifyLaunch& what);

}  // namespace capsize::gpu
