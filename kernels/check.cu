// Looks at rows and compares them.
//
//   check    reads S bytes                bound: memory, as a read; `inexact` takes a dozen
//            instructions an element, about the time of reading 16 bits
//   compare  reads 2 S bytes              bound: memory, as a read of as many
//
// Answers go to memory where something is wrong, and only there.
#include "kernels/rows.cuh"
#include "runtime/rows/local_work.hpp"

namespace capsize::gpu {
namespace {

constexpr std::uint32_t kPerThread = 2;

struct CheckShape {
  const FindingTable* findings;
  std::uint32_t fill;  // unwritten_bits of the type
};
struct CheckItem {
  const std::byte* rows;
  std::uint64_t bytes;
  std::uint64_t slot;
  std::int32_t most;
  CheckLaunch::Kind kind;
  bool aligned;
};

template <class Element>
__device__ bool is_wrong(typename Element::Bits bits, const CheckItem& item, std::uint32_t fill) {
  const bool unwritten = bits == fill;
  if (item.kind == CheckLaunch::Kind::touched) return !unwritten;
  if (item.kind == CheckLaunch::Kind::unwritten) return unwritten;
  return unwritten || Element::beyond(bits, item.most) != 0;
}

template <class Element, std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    check_rows(const __grid_constant__ Params<CheckShape, CheckItem, kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const CheckItem& item = params.list.items[y];
    const std::uint64_t begin = std::uint64_t{blockIdx.x} * (kThreads * kPerThread) + threadIdx.x;
    std::uint32_t count = 0;
    std::int64_t first = DeviceFinding::kNone;
    for (std::uint32_t i = 0; i < kPerThread; ++i) {
      const std::uint64_t offset = (begin + i * kThreads) * kChunkBytes;
      if (offset >= item.bytes) break;
      const Chunk chunk = load_chunk(item.rows, offset, item.bytes, item.aligned);
#pragma unroll
      for (std::uint32_t at = 0; at < kPerChunk<Element>; ++at) {
        const std::uint64_t place = offset / sizeof(typename Element::Bits) + at;
        const bool there = place * sizeof(typename Element::Bits) < item.bytes;
        const bool wrong =
            there && is_wrong<Element>(element_of<Element>(chunk, at), item, params.common.fill);
        if (wrong && count++ == 0) first = static_cast<std::int64_t>(place);
      }
    }
    tell(params.common.findings, item.slot, count, first);
  }
}

struct CompareShape {
  const FindingTable* findings;
};
struct CompareItem {
  const std::byte* found;
  const std::byte* expected;
  std::uint64_t bytes;
  std::uint64_t slot;
  bool aligned;
};

// Elements of two bytes or four: their type says nothing else here.
template <class Element, std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    compare_rows(const __grid_constant__ Params<CompareShape, CompareItem, kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const CompareItem& item = params.list.items[y];
    const std::uint64_t begin = std::uint64_t{blockIdx.x} * (kThreads * kPerThread) + threadIdx.x;
    std::uint32_t count = 0;
    std::int64_t first = DeviceFinding::kNone;
#pragma unroll
    for (std::uint32_t i = 0; i < kPerThread; ++i) {
      const std::uint64_t offset = (begin + i * kThreads) * kChunkBytes;
      if (offset >= item.bytes) break;
      // Behind the end both are zero.
      const Chunk found = load_chunk(item.found, offset, item.bytes, item.aligned);
      const Chunk expected = load_chunk(item.expected, offset, item.bytes, item.aligned);
#pragma unroll
      for (std::uint32_t at = 0; at < kPerChunk<Element>; ++at) {
        if (element_of<Element>(found, at) == element_of<Element>(expected, at)) continue;
        const std::uint64_t place = offset / sizeof(typename Element::Bits) + at;
        if (count++ == 0) first = static_cast<std::int64_t>(place);
      }
    }
    tell(params.common.findings, item.slot, count, first);
  }
}

}  // namespace

void enqueue(Launcher& launcher, const CheckLaunch& what) {
  std::vector<CheckItem> items;
  ElementType type = ElementType::uint32;
  std::uint64_t blocks = 0;
  for (const auto& item : what.items) {
    const auto most = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(item.bound, 0, std::int64_t{codec::kLargestExact}));
    type = item.rows.type;
    blocks = std::max(blocks, blocks_of(item.rows.bytes(), kPerThread));
    items.push_back({item.rows.data, item.rows.bytes(), item.slot, most, item.kind,
                     is_aligned(item.rows.data)});
  }
  const CheckShape common{launcher.findings, unwritten_bits(type)};
  const Launcher::Shape shape{.grid = grid_of(blocks, items.size())};
  codec::with_codec(type, [&]<class Element>(Element) {
    launcher.start("check", common, std::span<const CheckItem>(items), shape,
                   [](auto capacity) { return &check_rows<Element, decltype(capacity)::value>; });
  });
}

void enqueue(Launcher& launcher, const CompareLaunch& what) {
  std::vector<CompareItem> items;
  ElementType type = ElementType::uint32;
  std::uint64_t blocks = 0;
  for (const auto& item : what.items) {
    type = item.found.type;
    blocks = std::max(blocks, blocks_of(item.found.bytes(), kPerThread));
    items.push_back({item.found.data, item.expected.data, item.found.bytes(), item.slot,
                     is_aligned(item.found.data) && is_aligned(item.expected.data)});
  }
  const Launcher::Shape shape{.grid = grid_of(blocks, items.size())};
  const ElementType width = bytes_of(type) == 2 ? ElementType::bf16 : ElementType::uint32;
  const auto start = [&](auto kernel_of) {
    launcher.start("compare", CompareShape{launcher.findings}, std::span<const CompareItem>(items),
                   shape, kernel_of);
  };
  if (width == ElementType::bf16) {
    return start([](auto capacity) {
      return &compare_rows<codec::Codec<ElementType::bf16>, decltype(capacity)::value>;
    });
  }
  start([](auto capacity) {
    return &compare_rows<codec::Codec<ElementType::uint32>, decltype(capacity)::value>;
  });
}

}  // namespace capsize::gpu
