// Rows that are made on the device: the fill, entry rows of exact data, and their verification.
//
//   fill      writes S bytes, reads nothing      bound: memory, as cudaMemset of S bytes
//   generate  writes S bytes, reads nothing      bound: memory, as cudaMemset; of every 16 bytes
//             about a hundred instructions, which take two thirds of that time on an H100
//   verify    reads S bytes, writes nothing      bound: memory, as a read of S bytes
//
// A thread makes four chunks of 16 bytes, a block's width apart.
#include "kernels/rows.cuh"

namespace capsize::gpu {
namespace {

constexpr std::uint32_t kPerThread = 4;

struct Nothing {};

struct FillItem {
  std::byte* to;
  std::uint64_t bytes;
  std::uint32_t word;
  bool aligned;
};

template <std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    fill_rows(const __grid_constant__ Params<Nothing, FillItem, kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const FillItem& item = params.list.items[y];
    const std::uint64_t begin = std::uint64_t{blockIdx.x} * (kThreads * kPerThread) + threadIdx.x;
#pragma unroll
    for (std::uint32_t i = 0; i < kPerThread; ++i) {
      const std::uint64_t offset = (begin + i * kThreads) * kChunkBytes;
      if (offset >= item.bytes) break;
      store_chunk(item.to, offset, item.bytes, item.aligned,
                  {{item.word, item.word, item.word, item.word}});
    }
  }
}

// What a thread makes at a time: a chunk, where no chunk lies in two rows and all are aligned; else
// one element.
struct EntryShape {
  Divider row;  // pieces of a row
};
struct EntryItem {
  std::byte* rows;
  std::uint64_t pieces;
  std::uint64_t batch;
  std::uint64_t first_token;
  std::uint64_t slot;
};

template <class Element>
__device__ Chunk entries(const EntryShape& shape, const EntryItem& item, std::uint32_t chunk) {
  constexpr std::uint32_t kHashes = kPerChunk<Element> / kEntriesOfHash;
  const std::uint32_t row = shape.row.quotient(chunk);
  const std::uint32_t in_row = chunk - row * shape.row.divisor;
  const std::uint64_t place = entry_place(item.batch, item.first_token + row);
  Chunk made;
#pragma unroll
  for (std::uint32_t i = 0; i < kHashes; ++i) {
    put_entries<Element>(entry_hash(place, in_row * kHashes + i),
                         made.word + i * (kChunkWords / kHashes));
  }
  return made;
}

template <class Element>
__device__ typename Element::Bits entry(const EntryShape& shape, const EntryItem& item,
                                        std::uint32_t at) {
  const std::uint32_t row = shape.row.quotient(at);
  const std::uint32_t column = at - row * shape.row.divisor;
  const std::uint64_t place = entry_place(item.batch, item.first_token + row);
  const std::uint64_t hash = entry_hash(place, column / kEntriesOfHash);
  return Element::of_integer(entry_element(hash, static_cast<int>(column % kEntriesOfHash)));
}

template <class Element, bool kWhole, std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    generate_rows(const __grid_constant__ Params<EntryShape, EntryItem, kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const EntryItem& item = params.list.items[y];
    const std::uint32_t begin = blockIdx.x * (kThreads * kPerThread) + threadIdx.x;
#pragma unroll
    for (std::uint32_t i = 0; i < kPerThread; ++i) {
      const std::uint32_t at = begin + i * kThreads;
      if (at >= item.pieces) break;
      if constexpr (kWhole) {
        store_whole(item.rows + std::uint64_t{at} * kChunkBytes,
                    entries<Element>(params.common, item, at));
      } else {
        element_at<Element>(item.rows, at) = entry<Element>(params.common, item, at);
      }
    }
  }
}

struct EntryFindings {
  EntryShape shape;
  const FindingTable* findings;
};

// What a thread has found.
struct Wrong {
  std::uint32_t count = 0;
  std::int64_t first = DeviceFinding::kNone;
  __device__ void add(std::int64_t at) {
    ++count;
    first = at < first ? at : first;
  }
};

template <class Element>
__device__ void compare_chunk(const Chunk& found, const Chunk& expected, std::uint32_t chunk,
                              Wrong& wrong) {
  std::uint32_t differs = 0;
#pragma unroll
  for (std::uint32_t word = 0; word < kChunkWords; ++word) {
    differs |= found.word[word] ^ expected.word[word];
  }
  if (differs == 0) return;
#pragma unroll
  for (std::uint32_t at = 0; at < kPerChunk<Element>; ++at) {
    if (element_of<Element>(found, at) == element_of<Element>(expected, at)) continue;
    wrong.add(std::int64_t{chunk} * kPerChunk<Element> + at);
  }
}

template <class Element, bool kWhole, std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    verify_rows(const __grid_constant__ Params<EntryFindings, EntryItem, kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const EntryItem& item = params.list.items[y];
    const EntryShape& shape = params.common.shape;
    const std::uint32_t begin = blockIdx.x * (kThreads * kPerThread) + threadIdx.x;
    Wrong wrong;
    if constexpr (kWhole) {
      Chunk found[kPerThread];
#pragma unroll
      for (std::uint32_t i = 0; i < kPerThread; ++i) {
        const std::uint32_t at = begin + i * kThreads;
        if (at < item.pieces) found[i] = load_whole(item.rows + std::uint64_t{at} * kChunkBytes);
      }
#pragma unroll
      for (std::uint32_t i = 0; i < kPerThread; ++i) {
        const std::uint32_t at = begin + i * kThreads;
        if (at >= item.pieces) break;
        compare_chunk<Element>(found[i], entries<Element>(shape, item, at), at, wrong);
      }
    } else {
      for (std::uint32_t i = 0; i < kPerThread; ++i) {
        const std::uint32_t at = begin + i * kThreads;
        if (at >= item.pieces) break;
        const auto found = element_at<Element>(item.rows, at);
        if (found != entry<Element>(shape, item, at)) wrong.add(at);
      }
    }
    tell(params.common.findings, item.slot, wrong.count, wrong.first);
  }
}

// Rows that fit what the kernels count in 31 bits.
bool fit(Launcher& launcher, ConstMatrix rows) {
  constexpr std::int64_t kMost = INT32_MAX - std::int64_t{kThreads} * kPerThread;
  if (rows.rows * rows.columns <= kMost) return true;
  launcher.fail({"generate", "more than 2^31 elements in one piece", "divide the rows"});
  return false;
}

struct EntryLaunch {
  std::vector<EntryItem> items;
  ConstMatrix like;
  bool whole = true;
  bool fits = true;

  void add(Launcher& launcher, ConstMatrix rows, std::byte* data, const auto& from,
           std::uint64_t slot) {
    fits = fits && fit(launcher, rows);
    whole = whole && is_aligned(data) && rows.row_bytes() % kChunkBytes == 0;
    like = rows;
    items.push_back(
        {data, rows.bytes(), entry_batch(from.seed, from.step), from.first_token, slot});
  }

  // Turns bytes into pieces.
  EntryShape finish() {
    const std::uint64_t piece = whole ? kChunkBytes : bytes_of(like.type);
    for (EntryItem& item : items) item.pieces /= piece;
    const auto each = static_cast<std::uint32_t>(like.row_bytes() / piece);
    return {Divider::by(std::max(1U, each))};
  }
  [[nodiscard]] Launcher::Shape shape() const {
    std::uint64_t most = 0;
    for (const EntryItem& item : items) most = std::max(most, item.pieces);
    constexpr std::uint64_t kBlock = kThreads * kPerThread;
    return {.grid = grid_of((most + kBlock - 1) / kBlock, items.size())};
  }
};

}  // namespace

void enqueue(Launcher& launcher, const FillLaunch& what) {
  std::vector<FillItem> items;
  std::uint64_t blocks = 0;
  for (const auto& item : what.items) {
    const std::uint32_t bits = item.bits;
    const std::uint32_t word = bytes_of(item.to.type) == 2 ? (bits & 0xffffU) * 0x10001U : bits;
    items.push_back({item.to.data, item.to.bytes(), word, is_aligned(item.to.data)});
    blocks = std::max(blocks, blocks_of(item.to.bytes(), kPerThread));
  }
  launcher.start("fill", Nothing{}, std::span<const FillItem>(items),
                 {.grid = grid_of(blocks, items.size())},
                 [](auto capacity) { return &fill_rows<decltype(capacity)::value>; });
}

void enqueue(Launcher& launcher, const GenerateLaunch& what) {
  EntryLaunch made;
  for (const auto& item : what.items) made.add(launcher, item.to, item.to.data, item, 0);
  if (!made.fits) return;
  const EntryShape common = made.finish();
  const std::span<const EntryItem> items(made.items);
  codec::with_codec(made.like.type, [&]<class Element>(Element) {
    if (made.whole) {
      return launcher.start("generate", common, items, made.shape(), [](auto capacity) {
        return &generate_rows<Element, true, decltype(capacity)::value>;
      });
    }
    launcher.start("generate", common, items, made.shape(), [](auto capacity) {
      return &generate_rows<Element, false, decltype(capacity)::value>;
    });
  });
}

void enqueue(Launcher& launcher, const VerifyLaunch& what) {
  EntryLaunch made;
  for (const auto& item : what.items) {
    // Read only; the two kernels share what tells them of rows.
    made.add(launcher, item.found, const_cast<std::byte*>(item.found.data), item, item.slot);
  }
  if (!made.fits) return;
  const EntryFindings common{made.finish(), launcher.findings};
  const std::span<const EntryItem> items(made.items);
  codec::with_codec(made.like.type, [&]<class Element>(Element) {
    if (made.whole) {
      return launcher.start("verify", common, items, made.shape(), [](auto capacity) {
        return &verify_rows<Element, true, decltype(capacity)::value>;
      });
    }
    launcher.start("verify", common, items, made.shape(), [](auto capacity) {
      return &verify_rows<Element, false, decltype(capacity)::value>;
    });
  });
}

}  // namespace capsize::gpu
