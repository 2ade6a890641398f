// Copies of rows, and what stands in for computing where a plan has no mathematics.
//
//   copy  reads and writes the rows that both ends have; with `clears` it writes all of `to`.
//         Bound: memory, as a copy of as many bytes
//   mix   reads its inputs, writes its output; an element a thread, with divisions for rows that
//   are
//         taken again. Plans without mathematics are small: no bound is claimed
#include "kernels/rows.cuh"
#include "runtime/rows/mix.hpp"

namespace capsize::gpu {
namespace {

constexpr std::uint32_t kPerThread = 4;

struct Nothing {};

// `moved` bytes from the beginning of `from` go to `at` of `to`; `written` bytes of `to` are
// written, zeros where nothing goes.
struct CopyItem {
  const std::byte* from;
  std::byte* to;
  std::uint64_t at;
  std::uint64_t moved;
  std::uint64_t written;
  bool aligned;  // both ends, and where the moved bytes begin and end
};

// A chunk that lies across an edge, or aligned nowhere.
__device__ void copy_halves(const CopyItem& item, std::uint64_t offset) {
#pragma unroll 1
  for (std::uint32_t half = 0; half < 2 * kChunkWords; ++half) {
    const std::uint64_t place = offset + 2 * half;
    if (place >= item.written) return;
    const bool moves = place >= item.at && place - item.at < item.moved;
    std::uint16_t bits = 0;
    if (moves) bits = *reinterpret_cast<const std::uint16_t*>(item.from + (place - item.at));
    *reinterpret_cast<std::uint16_t*>(item.to + place) = bits;
  }
}

template <std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    copy_rows(const __grid_constant__ Params<Nothing, CopyItem, kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const CopyItem& item = params.list.items[y];
    const std::uint64_t begin = std::uint64_t{blockIdx.x} * (kThreads * kPerThread) + threadIdx.x;
    Chunk chunks[kPerThread] = {};
#pragma unroll
    for (std::uint32_t i = 0; i < kPerThread; ++i) {
      const std::uint64_t offset = (begin + i * kThreads) * kChunkBytes;
      const bool moves = offset >= item.at && offset - item.at < item.moved;
      if (item.aligned && moves) chunks[i] = load_whole(item.from + (offset - item.at));
    }
#pragma unroll
    for (std::uint32_t i = 0; i < kPerThread; ++i) {
      const std::uint64_t offset = (begin + i * kThreads) * kChunkBytes;
      if (offset >= item.written) break;
      if (item.aligned) {
        store_whole(item.to + offset, chunks[i]);
      } else {
        copy_halves(item, offset);
      }
    }
  }
}

constexpr std::uint32_t kInputsMax = 4;
struct MixInput {
  const std::uint32_t* data;
  std::uint32_t rows;
};
struct MixItem {
  MixInput in[kInputsMax];
  std::uint32_t* out;
  std::uint32_t inputs;
  std::uint32_t elements;
  std::uint32_t again;  // rows of the first input
  std::uint32_t salt;
};
struct MixShape {
  Divider columns;
};

template <std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    mix_elements(const __grid_constant__ Params<MixShape, MixItem, kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const MixItem& item = params.list.items[y];
    const std::uint32_t at = blockIdx.x * kThreads + threadIdx.x;
    if (at >= item.elements) continue;
    const std::uint32_t row = params.common.columns.quotient(at);
    const std::uint32_t column = at - row * params.common.columns.divisor;
    std::uint32_t value = mixed(item.salt + row / item.again);
    for (std::uint32_t i = 0; i < item.inputs; ++i) {
      const MixInput& in = item.in[i];
      if (in.rows == 0) continue;
      const std::uint64_t from = std::uint64_t{row % in.rows} * params.common.columns.divisor;
      value = mixed(value ^ in.data[from + column]);
    }
    item.out[at] = value;
  }
}

}  // namespace

void enqueue(Launcher& launcher, const CopyLaunch& what) {
  std::vector<CopyItem> items;
  std::uint64_t blocks = 0;
  for (const auto& item : what.items) {
    const std::int64_t first = std::min(item.at, item.to.rows);
    const std::int64_t rows =
        std::max<std::int64_t>(0, std::min(item.from.rows, item.to.rows - first));
    const std::uint64_t at = static_cast<std::uint64_t>(first) * item.to.row_bytes();
    CopyItem made{
        item.from.data,  item.to.data, at, static_cast<std::uint64_t>(rows) * item.to.row_bytes(),
        item.to.bytes(), false};
    if (!item.clears) {
      made.to += made.at;
      made.at = 0;
      made.written = made.moved;
    }
    made.aligned = is_aligned(made.from) && is_aligned(made.to) && made.at % kChunkBytes == 0 &&
                   made.moved % kChunkBytes == 0 && made.written % kChunkBytes == 0;
    blocks = std::max(blocks, blocks_of(made.written, kPerThread));
    items.push_back(made);
  }
  launcher.start("copy", Nothing{}, std::span<const CopyItem>(items),
                 {.grid = grid_of(blocks, items.size())},
                 [](auto capacity) { return &copy_rows<decltype(capacity)::value>; });
}

void enqueue(Launcher& launcher, const MixLaunch& what) {
  std::vector<MixItem> items;
  std::uint64_t most = 0;
  std::uint32_t columns = 1;
  for (const auto& item : what.items) {
    const std::int64_t elements = item.out.rows * item.out.columns;
    if (elements > INT32_MAX - std::int64_t{kThreads}) {
      return launcher.fail({"mix", "more than 2^31 elements in one piece", "divide the rows"});
    }
    MixItem made{};
    for (std::size_t i = 0; i < item.inputs; ++i) {
      made.in[i] = {reinterpret_cast<const std::uint32_t*>(item.in[i].data),
                    static_cast<std::uint32_t>(item.in[i].rows)};
    }
    made.out = reinterpret_cast<std::uint32_t*>(item.out.data);
    made.inputs = static_cast<std::uint32_t>(item.inputs);
    made.elements = static_cast<std::uint32_t>(elements);
    made.again = item.inputs == 0 ? 1 : std::max(1U, made.in[0].rows);
    made.salt = item.salt;
    columns = static_cast<std::uint32_t>(std::max<std::int64_t>(1, item.out.columns));
    most = std::max<std::uint64_t>(most, made.elements);
    items.push_back(made);
  }
  launcher.start("mix", MixShape{Divider::by(columns)}, std::span<const MixItem>(items),
                 {.grid = grid_of((most + kThreads - 1) / kThreads, items.size())},
                 [](auto capacity) { return &mix_elements<decltype(capacity)::value>; });
}

}  // namespace capsize::gpu
