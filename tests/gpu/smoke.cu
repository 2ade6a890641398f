// Does this machine compile, launch and answer for the GPU at all? One kernel of integers whose
// result is known exactly. Run: build/gpu/bin/gpu_smoke. Exit status: 0 the device computes,
// 77 there is no device here (skipped), 1 there is one and it does not work.
#include <cuda_runtime.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#ifdef CAPSIZE_HAS_NCCL
#include <nccl.h>
#endif

namespace {

constexpr int exit_skipped = 77;
constexpr std::uint32_t count = 1'000'003;  // not a multiple of any block size: the tail must work

// The meaning of the kernel, shared by device and host; wraps around on purpose.
__host__ __device__ constexpr std::uint32_t expected_at(std::uint32_t index) {
  return index * 2'654'435'761U + 12'345U;
}

__global__ void fill(std::uint32_t* out, std::uint32_t size) {
  const std::uint32_t index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index < size) out[index] = expected_at(index);
}

bool succeeded(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return true;
  std::printf("failed: %s: %s\n", what, cudaGetErrorString(status));
  return false;
}

// Without a device node, or with devices hidden on purpose, there is nothing to test; otherwise any
// error is a failure of this machine.
int no_device(cudaError_t status) {
  const bool hidden = std::getenv("CUDA_VISIBLE_DEVICES") != nullptr;
  const bool skipped = hidden || access("/dev/nvidiactl", F_OK) != 0;
  std::printf("%s: no usable CUDA device: %s\n", skipped ? "skipped" : "failed",
              status == cudaSuccess ? "the runtime counts none" : cudaGetErrorString(status));
  return skipped ? exit_skipped : 1;
}

// How many elements of the result differ from `expected_at`.
std::size_t count_wrong(const std::vector<std::uint32_t>& result) {
  std::size_t wrong = 0;
  for (std::uint32_t i = 0; i < count; ++i) wrong += result[i] != expected_at(i);
  return wrong;
}

int run_on_device() {
  std::vector<std::uint32_t> result(count, 0);
  const std::size_t bytes = count * sizeof(std::uint32_t);
  std::uint32_t* device = nullptr;
  if (!succeeded(cudaMalloc(&device, bytes), "cudaMalloc")) return 1;
  fill<<<(count + 255) / 256, 256>>>(device, count);
  const bool ran =
      succeeded(cudaGetLastError(), "launch") &&
      succeeded(cudaMemcpy(result.data(), device, bytes, cudaMemcpyDeviceToHost), "copy to host");
  const bool freed = succeeded(cudaFree(device), "cudaFree");
  if (!ran || !freed) return 1;
  const std::size_t wrong = count_wrong(result);
  std::printf("%s: %u elements, %zu wrong\n", wrong == 0 ? "passed" : "failed", count, wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main() {
#ifdef CAPSIZE_HAS_NCCL
  std::printf("nccl header %d.%d.%d\n", NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH);
#else
  std::printf("nccl header: none\n");
#endif
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0) return no_device(status);
  cudaDeviceProp properties{};
  if (!succeeded(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties")) return 1;
  std::printf("device 0 of %d: %s, sm_%d%d\n", devices, properties.name, properties.major,
              properties.minor);
  return run_on_device();
}
