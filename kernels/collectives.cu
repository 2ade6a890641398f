// Collectives of ranks that share a device: one launch over all communicators.
//
//   of n members with rows of S bytes each (in) or out of S bytes (all_gather), per communicator
//   reduce_scatter  reads n S, writes S          all_reduce  reads n S, writes n S
//   all_gather      reads S, writes n S          all_to_all  reads n S, writes n S
//   broadcast       reads S, writes n S          sum         reads n S, writes S
//
// Bound: memory, as a copy with the same mix of reads and writes. A thread takes 16 bytes of every
// operand; sums are the type's own additions in the order of positions, eight operands in flight.
#include "kernels/rows.cuh"

namespace capsize::gpu {
namespace {

constexpr std::uint32_t kInFlight = 8;

struct Nothing {};
using Kind = CollectiveLaunch::Kind;

// One piece of work: `bytes` at `offset` of each of `members` operands, whose addresses begin at
// `many`, and of one other at `one` (all_reduce: as many others, from address `others` on).
struct Job {
  std::byte* one;
  std::uint64_t offset;
  std::uint64_t bytes;
  std::uint32_t many;
  std::uint32_t others;
  std::uint32_t members;
  bool aligned;
};
template <std::uint32_t kCapacity>
using Jobs = ListParams<Nothing, Job, kCapacity>;

// `kWhole`: a chunk that is all there, at aligned addresses; whether it is, is asked once, so that
// loads stand side by side.
template <bool kWhole>
__device__ Chunk load_part(const std::byte* from, const Job& job, std::uint64_t offset) {
  if constexpr (kWhole) return load_whole(from + job.offset + offset);
  return load_chunk(from + job.offset, offset, job.bytes, false);
}

template <class Element, bool kWhole>
__device__ Chunk sum_of(std::byte* const* from, const Job& job, std::uint64_t offset) {
  Chunk sum = load_part<kWhole>(from[0], job, offset);
  std::uint32_t position = 1;
  // The first operand and seven more are eight.
  for (; position + kInFlight - 1 <= job.members; position += kInFlight - 1) {
    Chunk loaded[kInFlight - 1];
#pragma unroll
    for (std::uint32_t i = 0; i < kInFlight - 1; ++i) {
      loaded[i] = load_part<kWhole>(from[position + i], job, offset);
    }
#pragma unroll
    for (std::uint32_t i = 0; i < kInFlight - 1; ++i) add_chunk<Element>(sum, loaded[i]);
  }
#pragma unroll 3
  for (; position < job.members; ++position) {
    add_chunk<Element>(sum, load_part<kWhole>(from[position], job, offset));
  }
  return sum;
}

// What a graph's node is called hangs on its kernel, so that sums and reduce-scatters are two.
enum class Sums : std::uint8_t { reduce_scatter, all_reduce, sum };

template <class Element, Sums kSums, std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    sum_parts(const __grid_constant__ Jobs<kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const Job& job = params.list.items[y];
    const std::uint64_t offset = (std::uint64_t{blockIdx.x} * kThreads + threadIdx.x) * kChunkBytes;
    if (offset >= job.bytes) continue;
    std::byte* const* addresses = params.addresses.items;
    const bool whole = job.aligned && offset + kChunkBytes <= job.bytes;
    const Chunk sum = whole ? sum_of<Element, true>(addresses + job.many, job, offset)
                            : sum_of<Element, false>(addresses + job.many, job, offset);
    if constexpr (kSums == Sums::all_reduce) {
      for (std::uint32_t p = 0; p < job.members; ++p) {
        store_chunk(addresses[job.others + p], offset, job.bytes, job.aligned, sum);
      }
    } else {
      store_chunk(job.one, offset, job.bytes, job.aligned, sum);
    }
  }
}

// One chunk to all; of all_to_all, a chunk of each part.
template <Kind kKind, bool kWhole>
__device__ void spread_chunk(std::byte* const* to, const Job& job, std::uint64_t offset) {
  const auto load = [&](const std::byte* from) {
    if constexpr (kWhole) return load_whole(from + offset);
    return load_chunk(from, offset, job.bytes, false);
  };
  Chunk chunk = load(job.one);
#pragma unroll 4
  for (std::uint32_t p = 0; p < job.members; ++p) {
    if constexpr (kKind == Kind::all_to_all) chunk = load(job.one + p * job.bytes);
    if constexpr (kWhole) {
      store_whole(to[p] + job.offset + offset, chunk);
    } else {
      store_chunk(to[p] + job.offset, offset, job.bytes, false, chunk);
    }
  }
}

template <Kind kKind, std::uint32_t kCapacity>
__global__ void __launch_bounds__(kThreads)
    spread_parts(const __grid_constant__ Jobs<kCapacity> params) {
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const Job& job = params.list.items[y];
    const std::uint64_t offset = (std::uint64_t{blockIdx.x} * kThreads + threadIdx.x) * kChunkBytes;
    if (offset >= job.bytes) continue;
    std::byte* const* to = params.addresses.items + job.many;
    if (job.aligned && offset + kChunkBytes <= job.bytes) {
      spread_chunk<kKind, true>(to, job, offset);
    } else {
      spread_chunk<kKind, false>(to, job, offset);
    }
  }
}

struct JobList {
  std::vector<Job> jobs;
  std::vector<std::byte*> addresses;
  std::uint64_t blocks = 0;

  // Adds the operands; tells where they begin.
  std::uint32_t list(const auto& operands, bool& aligned) {
    const auto begin = static_cast<std::uint32_t>(addresses.size());
    for (const auto& each : operands) {
      // Some are read and some are written; a job knows which.
      addresses.push_back(const_cast<std::byte*>(each.data));
      aligned = aligned && is_aligned(each.data);
    }
    return begin;
  }
  void add(Job job) {
    job.aligned = job.aligned && is_aligned(job.one) && job.offset % kChunkBytes == 0;
    blocks = std::max(blocks, blocks_of(job.bytes, 1));
    jobs.push_back(job);
  }
  void start(Launcher& launcher, std::string_view name, auto kernel_of) {
    launcher.start(name, Nothing{}, std::span<const Job>(jobs),
                   std::span<std::byte* const>(addresses), {.grid = grid_of(blocks, jobs.size())},
                   kernel_of);
  }
};

void add_sums(JobList& list, const CollectiveLaunch::Item& item, bool scatters) {
  Job job{};
  job.aligned = true;
  job.members = static_cast<std::uint32_t>(item.in.size());
  job.many = list.list(item.in, job.aligned);
  if (scatters) {
    for (const Matrix& out : item.out) {
      Job one = job;
      one.one = out.data;
      one.bytes = out.bytes();
      one.offset = static_cast<std::uint64_t>(&out - item.out.data()) * one.bytes;
      list.add(one);
    }
    return;
  }
  job.others = list.list(item.out, job.aligned);
  job.bytes = item.out.front().bytes();
  list.add(job);
}

void add_moves(JobList& list, const CollectiveLaunch::Item& item, Kind kind) {
  Job job{};
  job.aligned = true;
  job.members = static_cast<std::uint32_t>(item.out.size());
  job.many = list.list(item.out, job.aligned);
  for (std::uint32_t position = 0; position < item.in.size(); ++position) {
    const ConstMatrix in = item.in[position];
    Job one = job;
    one.one = const_cast<std::byte*>(in.data);  // read only
    one.bytes = in.bytes();
    if (kind == Kind::all_to_all) {
      const std::int64_t rows = in.rows / static_cast<std::int64_t>(item.in.size());
      one.bytes = static_cast<std::uint64_t>(rows) * in.row_bytes();
      one.aligned = one.aligned && one.bytes % kChunkBytes == 0;
    }
    if (kind == Kind::broadcast) {
      one.bytes = std::min<std::uint64_t>(one.bytes, item.out.front().bytes());
    }
    one.offset = kind == Kind::broadcast ? 0 : position * one.bytes;
    list.add(one);
    if (kind == Kind::broadcast) return;
  }
}

template <Sums kSums>
void start_sums(Launcher& launcher, std::string_view name, JobList& list, ElementType type) {
  codec::with_codec(type, [&]<class Element>(Element) {
    list.start(launcher, name,
               [](auto capacity) { return &sum_parts<Element, kSums, decltype(capacity)::value>; });
  });
}

template <Kind kKind>
void start_moves(Launcher& launcher, JobList& list) {
  list.start(launcher, name_of(kKind),
             [](auto capacity) { return &spread_parts<kKind, decltype(capacity)::value>; });
}

}  // namespace

void enqueue(Launcher& launcher, const CollectiveLaunch& what) {
  JobList list;
  ElementType type = ElementType::uint32;
  const bool scatters = what.kind == Kind::reduce_scatter;
  const bool sums = scatters || what.kind == Kind::all_reduce;
  for (const auto& item : what.items) {
    if (item.in.empty() || item.out.empty()) continue;
    type = item.in.front().type;
    if (sums) {
      add_sums(list, item, scatters);
    } else {
      add_moves(list, item, what.kind);
    }
  }
  switch (what.kind) {
    case Kind::reduce_scatter:
      return start_sums<Sums::reduce_scatter>(launcher, name_of(what.kind), list, type);
    case Kind::all_reduce:
      return start_sums<Sums::all_reduce>(launcher, name_of(what.kind), list, type);
    case Kind::all_gather: return start_moves<Kind::all_gather>(launcher, list);
    case Kind::all_to_all: return start_moves<Kind::all_to_all>(launcher, list);
    case Kind::broadcast: return start_moves<Kind::broadcast>(launcher, list);
  }
}

void enqueue(Launcher& launcher, const SumLaunch& what) {
  JobList list;
  ElementType type = ElementType::uint32;
  for (const auto& item : what.items) {
    if (item.from.empty()) continue;
    type = item.to.type;
    Job job{};
    job.aligned = true;
    job.one = item.to.data;
    job.bytes = item.to.bytes();
    job.members = static_cast<std::uint32_t>(item.from.size());
    job.many = list.list(item.from, job.aligned);
    list.add(job);
  }
  start_sums<Sums::sum>(launcher, "sum", list, type);
}

}  // namespace capsize::gpu
