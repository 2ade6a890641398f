// The residual stream: sums that are folded, and the norm of them.
//
//   norm  reads hidden and residual, writes the sum and its norm: 4 S bytes of S a matrix (2 S
//         without residual)              bound: memory; at few rows the launch itself
//   add   reads 2 S, writes S            bound: memory, as a copy with that mix
//
// norm: as many threads a row as it has chunks of eight elements, up to a warp, for longer rows a
// block; elements stay in registers between reading and writing. The sum of squares is exact:
// integers of 32 bits in a thread (32 strange elements have room), of 64 across threads.
#include "kernels/rows.cuh"
#include "runtime/rows/norm_steps.hpp"

namespace capsize::gpu {
namespace {

constexpr std::uint32_t kAll = 0xffffffffU;
constexpr std::uint32_t kWarp = 32;
constexpr std::uint32_t kRun = 8;      // elements that lie side by side in a thread
constexpr std::uint32_t kRunsMax = 4;  // of them in a thread
constexpr std::uint32_t kThreadsMax = 512;
constexpr std::uint32_t kColumnsMax = kThreadsMax * kRun * kRunsMax;
static_assert(std::int64_t{kRun} * kRunsMax * codec::kStrange * codec::kStrange < INT32_MAX);

struct NormShape {
  std::uint32_t columns;
  std::uint32_t lanes;  // threads a row: a power of two, at most a warp, or the block
};
struct NormItem {
  const std::byte* hidden;
  const std::byte* residual;
  std::byte* out;
  std::byte* residual_out;
  std::uint32_t rows;
  bool aligned;
};

// A run's elements as integers; zeros behind the end of the row.
template <class Element>
__device__ void load_run(const std::byte* row, std::uint32_t at, std::uint32_t columns,
                         bool aligned, std::int32_t* run) {
  constexpr std::uint32_t kChunks = kRun / kPerChunk<Element>;
  const std::uint32_t bytes = columns * sizeof(typename Element::Bits);
#pragma unroll
  for (std::uint32_t chunk = 0; chunk < kChunks; ++chunk) {
    const std::uint32_t first = at + chunk * kPerChunk<Element>;
    const Chunk loaded = load_chunk(row, first * sizeof(typename Element::Bits), bytes, aligned);
#pragma unroll
    for (std::uint32_t i = 0; i < kPerChunk<Element>; ++i) {
      run[chunk * kPerChunk<Element> + i] = Element::integer(element_of<Element>(loaded, i));
    }
  }
}

template <class Element>
__device__ void store_run(std::byte* row, std::uint32_t at, std::uint32_t columns, bool aligned,
                          const std::int32_t* run) {
  constexpr std::uint32_t kChunks = kRun / kPerChunk<Element>;
  const std::uint32_t bytes = columns * sizeof(typename Element::Bits);
#pragma unroll
  for (std::uint32_t chunk = 0; chunk < kChunks; ++chunk) {
    Chunk made{};
#pragma unroll
    for (std::uint32_t i = 0; i < kPerChunk<Element>; ++i) {
      const std::uint32_t bits = Element::of_integer(run[chunk * kPerChunk<Element> + i]);
      made.word[i / kPerWord<Element>] |= bits << (16 * (i % kPerWord<Element>));
    }
    const std::uint32_t first = at + chunk * kPerChunk<Element>;
    store_chunk(row, first * sizeof(typename Element::Bits), bytes, aligned, made);
  }
}

// The sum over the threads of a row. A block comes here together where a row has one.
__device__ std::int64_t sum_of_row(std::int64_t sum, std::uint32_t lanes) {
  for (std::uint32_t distance = min(lanes, kWarp) / 2; distance > 0; distance /= 2) {
    sum += __shfl_xor_sync(kAll, static_cast<long long>(sum), static_cast<int>(distance));
  }
  if (lanes <= kWarp) return sum;
  __shared__ std::int64_t of_warp[kThreadsMax / kWarp];
  __syncthreads();  // whoever still reads what the row before left
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = sum;
  __syncthreads();
  sum = 0;
  for (std::uint32_t warp = 0; warp < lanes / kWarp; ++warp) sum += of_warp[warp];
  return sum;
}

__device__ std::int64_t root_of_mean(std::int64_t squares, std::uint32_t columns) {
  const auto whole = static_cast<std::uint64_t>(squares);
  const std::uint64_t mean =
      whole <= UINT32_MAX ? static_cast<std::uint32_t>(whole) / columns : whole / columns;
  return static_cast<std::int64_t>(__dsqrt_rn(static_cast<double>(mean)));
}

template <class Element, std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreadsMax)
    norm_rows(const __grid_constant__ Params<NormShape, NormItem, kCapacity> params) {
  const std::uint32_t columns = params.common.columns;
  const std::uint32_t lanes = params.common.lanes;
  const std::uint32_t row = (blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  const std::uint32_t begin = (threadIdx.x % lanes) * kRun;
  const std::uint32_t stride = lanes * kRun;
  const std::size_t row_bytes = std::size_t{columns} * sizeof(typename Element::Bits);
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const NormItem& item = params.list.items[y];
    // Threads behind the last row take part in sums, and neither read nor write.
    const std::uint32_t end = row < item.rows ? columns : 0;
    const std::size_t at_row = row * row_bytes;
    std::int32_t values[kRunsMax][kRun];
    std::int32_t squares = 0;
#pragma unroll
    for (std::uint32_t i = 0; i < kRunsMax; ++i) {
      const std::uint32_t at = begin + i * stride;
      if (at >= end) break;
      load_run<Element>(item.hidden + at_row, at, columns, item.aligned, values[i]);
      if (item.residual != nullptr) {
        std::int32_t more[kRun];
        load_run<Element>(item.residual + at_row, at, columns, item.aligned, more);
#pragma unroll
        for (std::uint32_t j = 0; j < kRun; ++j) values[i][j] += more[j];
      }
#pragma unroll
      for (std::uint32_t j = 0; j < kRun; ++j) {
        const std::int32_t value = at + j < columns ? wrapped(values[i][j]) : 0;
        values[i][j] = value;
        squares += value * value;
      }
      if (item.residual != nullptr) {
        store_run<Element>(item.residual_out + at_row, at, columns, item.aligned, values[i]);
      }
    }
    const Thresholds steps = thresholds_of(root_of_mean(sum_of_row(squares, lanes), columns));
#pragma unroll
    for (std::uint32_t i = 0; i < kRunsMax; ++i) {
      const std::uint32_t at = begin + i * stride;
      if (at >= end) break;
#pragma unroll
      for (std::uint32_t j = 0; j < kRun; ++j) {
        values[i][j] = normalized(static_cast<Narrow>(values[i][j]), steps);
      }
      store_run<Element>(item.out + at_row, at, columns, item.aligned, values[i]);
    }
  }
}

struct Nothing {};
struct AddItem {
  const std::byte* left;
  const std::byte* right;
  std::byte* out;
  std::uint64_t bytes;
  bool wraps;
  bool adds;
  bool aligned;
};

template <class Element>
__device__ Chunk folded_sum(const Chunk& left, const Chunk& right) {
  Chunk sum{};
#pragma unroll
  for (std::uint32_t i = 0; i < kPerChunk<Element>; ++i) {
    const std::int32_t value = wrapped(Element::integer(element_of<Element>(left, i)) +
                                       Element::integer(element_of<Element>(right, i)));
    const std::uint32_t bits = Element::of_integer(value);
    sum.word[i / kPerWord<Element>] |= bits << (16 * (i % kPerWord<Element>));
  }
  return sum;
}

template <class Element, std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    add_rows(const __grid_constant__ Params<Nothing, AddItem, kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const AddItem& item = params.list.items[y];
    const std::uint64_t offset = (std::uint64_t{blockIdx.x} * kThreads + threadIdx.x) * kChunkBytes;
    if (offset >= item.bytes) continue;
    Chunk sum = load_chunk(item.left, offset, item.bytes, item.aligned);
    if (item.adds) {
      const Chunk right = load_chunk(item.right, offset, item.bytes, item.aligned);
      if (item.wraps) {
        sum = folded_sum<Element>(sum, right);
      } else {
        add_chunk<Element>(sum, right);
      }
    }
    store_chunk(item.out, offset, item.bytes, item.aligned, sum);
  }
}

// The smallest power of two that is not smaller.
std::uint32_t power_above(std::uint32_t number) {
  std::uint32_t power = 1;
  while (power < number) power *= 2;
  return power;
}

}  // namespace

void enqueue(Launcher& launcher, const NormLaunch& what) {
  std::vector<NormItem> items;
  ConstMatrix like{.columns = 1};
  std::int64_t rows = 0;
  for (const auto& item : what.items) {
    const bool aligned = item.hidden.row_bytes() % kChunkBytes == 0 &&
                         is_aligned(item.hidden.data) && is_aligned(item.residual.data) &&
                         is_aligned(item.out.data) && is_aligned(item.residual_out.data);
    like = item.hidden;
    rows = std::max(rows, like.rows);
    items.push_back({item.hidden.data, item.residual.data, item.out.data, item.residual_out.data,
                     static_cast<std::uint32_t>(like.rows), aligned});
  }
  if (like.columns > kColumnsMax) {
    return launcher.fail({"norm", "rows of more than " + std::to_string(kColumnsMax) + " elements",
                          "a smaller hidden size"});
  }
  const auto columns = static_cast<std::uint32_t>(std::max<std::int64_t>(1, like.columns));
  const std::uint32_t runs = (columns + kRun - 1) / kRun;
  const bool block = runs > 2 * kWarp;
  const std::uint32_t lanes =
      block ? std::min(power_above(runs), kThreadsMax) : std::min(power_above(runs), kWarp);
  const std::uint32_t threads = block ? lanes : kThreads;
  const std::uint64_t in_block = threads / lanes;
  const Launcher::Shape shape{
      .grid = grid_of((static_cast<std::uint64_t>(rows) + in_block - 1) / in_block, items.size()),
      .threads = threads};
  codec::with_codec(like.type, [&]<class Element>(Element) {
    launcher.start("norm", NormShape{columns, lanes}, std::span<const NormItem>(items), shape,
                   [](auto capacity) { return &norm_rows<Element, decltype(capacity)::value>; });
  });
}

void enqueue(Launcher& launcher, const AddLaunch& what) {
  std::vector<AddItem> items;
  ElementType type = ElementType::uint32;
  std::uint64_t blocks = 0;
  for (const auto& item : what.items) {
    const bool aligned = is_aligned(item.left.data) && is_aligned(item.out.data) &&
                         (!item.adds || is_aligned(item.right.data));
    type = item.out.type;
    const std::uint64_t bytes =
        item.adds ? item.out.bytes() : std::min(item.left.bytes(), item.out.bytes());
    blocks = std::max(blocks, blocks_of(bytes, 1));
    items.push_back(
        {item.left.data, item.right.data, item.out.data, bytes, item.wraps, item.adds, aligned});
  }
  const Launcher::Shape shape{.grid = grid_of(blocks, items.size())};
  codec::with_codec(type, [&]<class Element>(Element) {
    launcher.start("add", Nothing{}, std::span<const AddItem>(items), shape,
                   [](auto capacity) { return &add_rows<Element, decltype(capacity)::value>; });
  });
}

}  // namespace capsize::gpu
