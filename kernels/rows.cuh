// Rows on a device, 16 bytes a thread: how they are read and written, divided into rows, added up
// and made. Where an address or a size is no multiple of 16 bytes, two bytes at a time.
#pragma once

#include <cstdint>

#include "kernels/launcher.hpp"
#include "runtime/rows/element_codec.hpp"
#include "sim/models/exact_data.hpp"

namespace capsize::gpu {

inline constexpr std::uint32_t kChunkBytes = 16;
inline constexpr std::uint32_t kChunkWords = 4;

struct Chunk {
  std::uint32_t word[kChunkWords];
};

[[nodiscard]] inline bool is_aligned(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % kChunkBytes == 0;
}
[[nodiscard]] inline std::uint64_t chunks_of(std::uint64_t bytes) {
  return (bytes + kChunkBytes - 1) / kChunkBytes;
}
// Blocks of so many bytes, `per_thread` chunks a thread.
[[nodiscard]] inline std::uint64_t blocks_of(std::uint64_t bytes, std::uint32_t per_thread) {
  const std::uint64_t each = std::uint64_t{kThreads} * per_thread;
  return (chunks_of(bytes) + each - 1) / each;
}

__device__ inline Chunk load_whole(const std::byte* at) {
  const uint4 loaded = *reinterpret_cast<const uint4*>(at);
  return {{loaded.x, loaded.y, loaded.z, loaded.w}};
}
__device__ inline void store_whole(std::byte* at, const Chunk& chunk) {
  *reinterpret_cast<uint4*>(at) =
      make_uint4(chunk.word[0], chunk.word[1], chunk.word[2], chunk.word[3]);
}

// The chunk at `offset` of an operand of `bytes`; zeros behind its end. The slow way is a loop that
// stays one, as it would cost the fast way its registers.
__device__ inline Chunk load_chunk(const std::byte* from, std::uint64_t offset, std::uint64_t bytes,
                                   bool aligned) {
  if (aligned && offset + kChunkBytes <= bytes) return load_whole(from + offset);
  std::uint64_t low = 0;
  std::uint64_t high = 0;
#pragma unroll 1
  for (std::uint32_t half = 0; half < 2 * kChunkWords && offset + 2 * half < bytes; ++half) {
    const std::uint64_t bits = *reinterpret_cast<const std::uint16_t*>(from + offset + 2 * half);
    (half < kChunkWords ? low : high) |= bits << (16 * (half % kChunkWords));
  }
  return {{static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32),
           static_cast<std::uint32_t>(high), static_cast<std::uint32_t>(high >> 32)}};
}
__device__ inline void store_chunk(std::byte* to, std::uint64_t offset, std::uint64_t bytes,
                                   bool aligned, const Chunk& chunk) {
  if (aligned && offset + kChunkBytes <= bytes) return store_whole(to + offset, chunk);
  const std::uint64_t low = chunk.word[0] | (std::uint64_t{chunk.word[1]} << 32);
  const std::uint64_t high = chunk.word[2] | (std::uint64_t{chunk.word[3]} << 32);
#pragma unroll 1
  for (std::uint32_t half = 0; half < 2 * kChunkWords && offset + 2 * half < bytes; ++half) {
    *reinterpret_cast<std::uint16_t*>(to + offset + 2 * half) = static_cast<std::uint16_t>(
        (half < kChunkWords ? low : high) >> (16 * (half % kChunkWords)));
  }
}

// n / divisor and n % divisor of numbers below 2^31, without a division.
struct Divider {
  std::uint32_t divisor;
  std::uint32_t factor;
  std::uint32_t shift;
  [[nodiscard]] static Divider by(std::uint32_t divisor) {
    std::uint32_t shift = 0;
    while ((std::uint64_t{1} << shift) < divisor) ++shift;
    const std::uint64_t one = std::uint64_t{1} << (31 + shift);
    return {divisor, static_cast<std::uint32_t>((one + divisor - 1) / divisor), 31 + shift};
  }
  __device__ std::uint32_t quotient(std::uint32_t number) const {
    return static_cast<std::uint32_t>((std::uint64_t{number} * factor) >> shift);
  }
};

// How many elements a word holds, and one of them.
template <class Element>
inline constexpr std::uint32_t kPerWord = 4 / sizeof(typename Element::Bits);
template <class Element>
inline constexpr std::uint32_t kPerChunk = kChunkWords* kPerWord<Element>;

template <class Element>
__device__ typename Element::Bits element_of(const Chunk& chunk, std::uint32_t at) {
  return static_cast<typename Element::Bits>(chunk.word[at / kPerWord<Element>] >>
                                             (16 * (at % kPerWord<Element>)));
}
// An element of rows that lie anywhere.
template <class Element>
__device__ typename Element::Bits& element_at(std::byte* rows, std::uint64_t at) {
  return reinterpret_cast<typename Element::Bits*>(rows)[at];
}
template <class Element>
__device__ typename Element::Bits element_at(const std::byte* rows, std::uint64_t at) {
  return reinterpret_cast<const typename Element::Bits*>(rows)[at];
}

// The type's own addition of all elements of a word, rounded once: Codec::sum, in one instruction.
template <class Element>
__device__ std::uint32_t sum_of_words(std::uint32_t a, std::uint32_t b) {
  std::uint32_t sum = 0;
  if constexpr (Element::kType == ElementType::bf16) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm("add.rn.bf16x2 %0, %1, %2;" : "=r"(sum) : "r"(a), "r"(b));
#else
    // Earlier devices multiply by one on the way.
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(0x3f803f80U), "r"(b));
#endif
  } else if constexpr (Element::kType == ElementType::fp16) {
    asm("add.rn.f16x2 %0, %1, %2;" : "=r"(sum) : "r"(a), "r"(b));
  } else if constexpr (Element::kType == ElementType::fp32) {
    sum = __float_as_uint(__fadd_rn(__uint_as_float(a), __uint_as_float(b)));
  } else {
    sum = a + b;
  }
  return sum;
}
template <class Element>
__device__ void add_chunk(Chunk& sum, const Chunk& more) {
#pragma unroll
  for (std::uint32_t i = 0; i < kChunkWords; ++i) {
    sum.word[i] = sum_of_words<Element>(sum.word[i], more.word[i]);
  }
}

// Entries of one hash (sim/models/exact_data.hpp), which are small enough for shorter ways to their
// bits than Codec::of_integer: a float that has the number at the end of its fraction, less what
// that float has too much; of 16 bits, its upper half, as the lower one is zero.
__device__ inline float small_float(std::uint32_t above_least) {
  constexpr float kTooMuch = 0x1p23F + static_cast<float>(kEntryMiddle);
  return __uint_as_float(0x4b000000U | above_least) - kTooMuch;
}

template <class Element>
__device__ void put_entries(std::uint64_t hash, std::uint32_t* words) {
  std::uint32_t above[kEntriesOfHash];
#pragma unroll
  for (int i = 0; i < kEntriesOfHash; ++i) above[i] = entry_above_least(hash, i);
#pragma unroll
  for (int i = 0; i < kEntriesOfHash; i += static_cast<int>(kPerWord<Element>)) {
    std::uint32_t& word = words[static_cast<std::uint32_t>(i) / kPerWord<Element>];
    if constexpr (Element::kType == ElementType::bf16) {
      word = __byte_perm(__float_as_uint(small_float(above[i])),
                         __float_as_uint(small_float(above[i + 1])), 0x7632);
    } else if constexpr (Element::kType == ElementType::fp16) {
      // 1024 and the number, less 1024 + 127.
      constexpr std::uint32_t kLess = 0xe47fe47fU;
      word = sum_of_words<Element>(above[i] | (above[i + 1] << 16) | 0x64006400U, kLess);
    } else if constexpr (Element::kType == ElementType::fp32) {
      word = __float_as_uint(small_float(above[i]));
    } else {
      word = above[i] - static_cast<std::uint32_t>(kEntryMiddle);
    }
  }
}

// Adds an answer of this thread to those of its warp, and of the warp to the slot. All threads of a
// warp come here together.
__device__ inline void tell(const FindingTable* findings, std::uint64_t slot, std::uint32_t count,
                            std::int64_t first) {
  constexpr std::uint32_t kAll = 0xffffffffU;
  if (__any_sync(kAll, count != 0) == 0) return;
  auto sum = static_cast<std::int32_t>(count);
  for (int distance = 16; distance > 0; distance /= 2) {
    sum += __shfl_xor_sync(kAll, sum, distance);
    const long long other = __shfl_xor_sync(kAll, static_cast<long long>(first), distance);
    first = other < first ? other : first;
  }
  if (threadIdx.x % 32 != 0 || slot >= findings->slots) return;
  DeviceFinding& answer = findings->at[slot];
  atomicAdd(reinterpret_cast<unsigned long long*>(&answer.count),
            static_cast<unsigned long long>(sum));
  atomicMin(reinterpret_cast<long long*>(&answer.first), static_cast<long long>(first));
}

}  // namespace capsize::gpu
