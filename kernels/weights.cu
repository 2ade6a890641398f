// Attention, MLP and experts of the exact model, with each rank's share of the weights.
//
//   reads the rows of `in` and the tables of the share (64 units of 2 x hidden bytes; experts: the
//   router and two experts a row), writes the rows of `out`
//   bound: four-way integer products, rows x units x hidden / 2 of them; at few rows, the time of
//   one block. Tables stay in the second cache (a layer of 64 experts at hidden 2048: 8 MiB).
//
// A block keeps 1 to 16 rows in shared memory as bytes, and
//   1  multiplies every unit's row of `up` with them: as many threads a unit as its row has pieces
//      of 16 bytes, at most a warp; four rows of the block for each load
//   2  keeps what the units count, -1 to 2, as bytes
//   3  adds up `down`: a thread a column, four units an instruction
// Units read sums modulo 4, so that a byte holds enough of any integer. Which experts a row is for
// is decided between: one warp a row, experts_per_token times the largest.
#include "kernels/rows.cuh"

namespace capsize::gpu {
namespace {

constexpr std::uint32_t kAll = 0xffffffffU;
constexpr std::int32_t kWarp = 32;
constexpr std::int32_t kQuad = 4;  // rows that share a load of the table
constexpr std::int32_t kLargestNormed = 3;
constexpr std::size_t kSharedBytesMax = std::size_t{48} << 10;

struct WeightShape {
  UnitTable table;
  ElementType type;
  std::int32_t rows;     // of a block that are computed
  std::int32_t padded;   // rows that have room: a multiple of four
  std::int32_t threads;  // a dot product: a power of two, at most a warp
  std::int32_t across;   // threads of a row whose columns are walked over: a power of two
};
struct WeightItem {
  const std::byte* in;
  std::byte* out;
  std::int32_t rows;
  std::int32_t first_unit;
  std::int32_t units;
  std::int32_t first_expert;
  std::int32_t experts;
};

// What lies in shared memory, one behind the other.
struct Shared {
  std::int8_t* x;         // padded rows of hidden_padded
  std::int32_t* active;   // of each padded row and chosen expert, `words` of four units
  std::int32_t* strange;  // of each padded row, whether it holds what no norm leaves
  std::int32_t* logits;   // of each padded row and expert
  std::int32_t* chosen;   // of each padded row
  std::int32_t active_words;
};
struct SharedSizes {
  std::size_t x, active, rows, logits, chosen;
  [[nodiscard]] std::size_t total() const { return x + active + rows + logits + chosen; }
};

__host__ __device__ SharedSizes sizes_of(const WeightShape& shape) {
  const auto rows = static_cast<std::size_t>(shape.padded);
  const UnitTable& table = shape.table;
  const bool routed = table.router != nullptr;
  const auto of = [rows](std::int32_t each) { return rows * static_cast<std::size_t>(each) * 4; };
  return {.x = rows * static_cast<std::size_t>(table.hidden_padded),
          .active = of(table.words * table.wanted),
          .rows = of(1),
          .logits = routed ? of(table.experts) : 0,
          .chosen = routed ? of(table.wanted) : 0};
}

__device__ Shared shared_of(const WeightShape& shape, std::byte* memory) {
  const SharedSizes sizes = sizes_of(shape);
  Shared shared{};
  shared.x = reinterpret_cast<std::int8_t*>(memory);
  shared.active = reinterpret_cast<std::int32_t*>(memory + sizes.x);
  shared.active_words = shape.table.words * shape.table.wanted;
  shared.strange = reinterpret_cast<std::int32_t*>(memory + sizes.x + sizes.active);
  shared.logits = shared.strange + shape.padded;
  shared.chosen = shared.logits + sizes.logits / 4;
  return shared;
}

// How a block's threads walk over rows and columns: whole rows side by side where they are short.
struct Walk {
  std::int32_t row;
  std::int32_t rows;
  std::int32_t column;
  __device__ explicit Walk(const WeightShape& shape)
      : row(static_cast<std::int32_t>(threadIdx.x) / shape.across),
        rows(static_cast<std::int32_t>(blockDim.x) / shape.across),
        column(static_cast<std::int32_t>(threadIdx.x) & (shape.across - 1)) {}
};

// Rows that are not there are zero.
template <class Element>
__device__ void load_rows(const WeightShape& shape, const WeightItem& item, std::int32_t first,
                          const Shared& shared) {
  const std::int32_t hidden = shape.table.hidden;
  const std::int32_t padded = shape.table.hidden_padded;
  const Walk walk(shape);
  for (std::int32_t row = walk.row; row < shape.padded; row += walk.rows) {
    const bool there = row < shape.rows && first + row < item.rows;
    const std::uint64_t begin = static_cast<std::uint64_t>(first + row) * hidden;
    for (std::int32_t j = walk.column; j < padded; j += shape.across) {
      std::int32_t value = 0;
      if (there && j < hidden) value = Element::integer(element_at<Element>(item.in, begin + j));
      shared.x[row * padded + j] = static_cast<std::int8_t>(value);
      if (value > kLargestNormed || value < -kLargestNormed) shared.strange[row] = 1;
    }
  }
}

__device__ std::int32_t dot_of_16(const int4& a, const int4& b, std::int32_t sum) {
  sum = __dp4a(a.x, b.x, sum);
  sum = __dp4a(a.y, b.y, sum);
  sum = __dp4a(a.z, b.z, sum);
  return __dp4a(a.w, b.w, sum);
}

// The products of one row of a table with kRows rows of x; all threads that share it get the sums.
// `there` false: zeros, as threads of a warp add up together.
template <std::int32_t kRows>
__device__ void dots(const WeightShape& shape, const std::int8_t* weights, const std::int8_t* x,
                     bool there, std::int32_t* sums) {
  const std::int32_t padded = shape.table.hidden_padded;
  const std::int32_t pieces = there ? padded / 16 : 0;
#pragma unroll
  for (std::int32_t row = 0; row < kRows; ++row) sums[row] = 0;
#pragma unroll 2
  for (auto piece = static_cast<std::int32_t>(threadIdx.x) & (shape.threads - 1); piece < pieces;
       piece += shape.threads) {
    const int4 weight = reinterpret_cast<const int4*>(weights)[piece];
#pragma unroll
    for (std::int32_t row = 0; row < kRows; ++row) {
      const int4 values = reinterpret_cast<const int4*>(x + row * padded)[piece];
      sums[row] = dot_of_16(weight, values, sums[row]);
    }
  }
  for (std::int32_t distance = shape.threads / 2; distance > 0; distance /= 2) {
#pragma unroll
    for (std::int32_t row = 0; row < kRows; ++row) {
      sums[row] += __shfl_xor_sync(kAll, sums[row], distance);
    }
  }
}

// Calls `take(row of the block, row of the table, sum)` for all rows of a table.
template <class Take>
__device__ void for_dots(const WeightShape& shape, const Shared& shared, const std::int8_t* table,
                         std::int32_t first, std::int32_t count, Take&& take) {
  const std::int32_t quads = shape.padded / kQuad;
  const auto teams = static_cast<std::int32_t>(blockDim.x) / shape.threads;
  const std::int32_t team = static_cast<std::int32_t>(threadIdx.x) / shape.threads;
  for (std::int32_t begin = 0; begin < count * quads; begin += teams) {
    const std::int32_t at = begin + team;
    const bool there = at < count * quads;
    const std::int32_t unit = first + (there ? at / quads : 0);
    const std::int32_t row = (there ? at % quads : 0) * kQuad;
    std::int32_t sums[kQuad];
    dots<kQuad>(shape, table + std::int64_t{unit} * shape.table.hidden_padded,
                shared.x + row * shape.table.hidden_padded, there, sums);
    if (!there || (threadIdx.x & (shape.threads - 1)) != 0) continue;
#pragma unroll
    for (std::int32_t i = 0; i < kQuad; ++i) take(row + i, unit, sums[i]);
  }
}

__device__ std::int8_t activity(std::int32_t sum) {
  return static_cast<std::int8_t>((sum & 3) - 1);
}

// out = the share's part of `down`, for every column; expert by expert where there are some.
template <class Element>
__device__ void store_rows(const WeightShape& shape, const WeightItem& item, std::int32_t first,
                           const Shared& shared) {
  const UnitTable& table = shape.table;
  const std::int32_t begin = item.first_unit / 4;
  const std::int32_t end = (item.first_unit + item.units + 3) / 4;
  const std::int32_t rows = min(shape.rows, item.rows - first);
  const Walk walk(shape);
  for (std::int32_t row = walk.row; row < rows; row += walk.rows) {
    const std::int32_t strange = shared.strange[row] != 0 ? codec::kStrange : 0;
    for (std::int32_t j = walk.column; j < table.hidden; j += shape.across) {
      std::int32_t sum = strange;
      for (std::int32_t taken = 0; taken < table.wanted; ++taken) {
        std::int32_t expert = 0;
        if (table.router != nullptr) {
          expert = shared.chosen[row * table.wanted + taken];
          if (expert < item.first_expert || expert >= item.first_expert + item.experts) continue;
        }
        const std::int32_t* active =
            shared.active + row * shared.active_words + taken * table.words;
        const std::int32_t* down =
            table.down + (std::int64_t{expert} * table.words) * table.hidden_padded + j;
#pragma unroll 4
        for (std::int32_t word = begin; word < end; ++word) {
          sum = __dp4a(down[word * table.hidden_padded], active[word], sum);
        }
      }
      const std::uint64_t at = static_cast<std::uint64_t>(first + row) * table.hidden + j;
      element_at<Element>(item.out, at) = Element::of_integer(sum);
    }
  }
}

// The experts of each row: those with the largest logits, the smaller index where they tie.
__device__ void choose(const WeightShape& shape, const Shared& shared) {
  const UnitTable& table = shape.table;
  const auto lane = static_cast<std::int32_t>(threadIdx.x) % kWarp;
  const auto warps = static_cast<std::int32_t>(blockDim.x) / kWarp;
  for (auto row = static_cast<std::int32_t>(threadIdx.x) / kWarp; row < shape.padded;
       row += warps) {
    long long below = INT64_MAX;
    for (std::int32_t taken = 0; taken < table.wanted; ++taken) {
      long long best = INT64_MIN;
      for (std::int32_t expert = lane; expert < table.experts; expert += kWarp) {
        const std::int64_t logit = shared.logits[row * table.experts + expert];
        const long long key = logit * (std::int64_t{1} << 32) - expert;
        if (key < below && key > best) best = key;
      }
      for (std::int32_t distance = kWarp / 2; distance > 0; distance /= 2) {
        const long long other = __shfl_xor_sync(kAll, best, distance);
        best = other > best ? other : best;
      }
      below = best;
      const auto expert = static_cast<std::int32_t>(0U - static_cast<std::uint32_t>(best));
      if (lane == 0) shared.chosen[row * table.wanted + taken] = expert;
    }
  }
}

// What the units of the chosen experts count, of those that are the item's.
__device__ void count_experts(const WeightShape& shape, const WeightItem& item,
                              const Shared& shared) {
  const UnitTable& table = shape.table;
  const auto teams = static_cast<std::int32_t>(blockDim.x) / shape.threads;
  const std::int32_t team = static_cast<std::int32_t>(threadIdx.x) / shape.threads;
  auto* active = reinterpret_cast<std::int8_t*>(shared.active);
  const std::int32_t count = shape.rows * table.wanted * item.units;
  for (std::int32_t begin = 0; begin < count; begin += teams) {
    const std::int32_t at = begin + team;
    const std::int32_t pair = at < count ? at / item.units : 0;
    const std::int32_t unit = item.first_unit + (at < count ? at % item.units : 0);
    const std::int32_t expert = shared.chosen[pair];
    const bool there =
        at < count && expert >= item.first_expert && expert < item.first_expert + item.experts;
    std::int32_t sum = 0;
    dots<1>(shape, table.up + (std::int64_t{expert} * table.units + unit) * table.hidden_padded,
            shared.x + (pair / table.wanted) * table.hidden_padded, there, &sum);
    if (there && (threadIdx.x & (shape.threads - 1)) == 0) {
      active[pair * table.words * 4 + unit] = activity(sum);
    }
  }
}

template <Role kRole, std::uint32_t kCapacity>
__global__ void __launch_bounds__(2 * kThreads)
    apply_weights(const __grid_constant__ Params<WeightShape, WeightItem, kCapacity> params) {
  extern __shared__ __align__(16) std::byte memory[];
  const WeightShape& shape = params.common;
  const Shared shared = shared_of(shape, memory);
  const auto first = static_cast<std::int32_t>(blockIdx.x) * shape.rows;
  for (std::uint32_t y = blockIdx.y; y < params.list.count; y += gridDim.y) {
    const WeightItem& item = params.list.items[y];
    if (first >= item.rows) continue;
    __syncthreads();  // whoever still reads the item before
    for (auto i = static_cast<std::int32_t>(threadIdx.x);
         i < shape.padded * (shared.active_words + 1); i += static_cast<std::int32_t>(blockDim.x)) {
      shared.active[i] = 0;  // and `strange`, which lies behind
    }
    __syncthreads();
    codec::with_codec(shape.type, [&]<class Element>(Element) {
      load_rows<Element>(shape, item, first, shared);
    });
    __syncthreads();
    if constexpr (kRole == Role::experts) {
      for_dots(shape, shared, shape.table.router, 0, shape.table.experts,
               [&](std::int32_t row, std::int32_t expert, std::int32_t sum) {
                 shared.logits[row * shape.table.experts + expert] = sum;
               });
      __syncthreads();
      choose(shape, shared);
      __syncthreads();
      count_experts(shape, item, shared);
    } else {
      auto* active = reinterpret_cast<std::int8_t*>(shared.active);
      for_dots(shape, shared, shape.table.up, item.first_unit, item.units,
               [&](std::int32_t row, std::int32_t unit, std::int32_t sum) {
                 active[row * shared.active_words * 4 + unit] = activity(sum);
               });
    }
    __syncthreads();
    codec::with_codec(shape.type, [&]<class Element>(Element) {
      store_rows<Element>(shape, item, first, shared);
    });
  }
}

std::int32_t narrow(std::int64_t number) { return static_cast<std::int32_t>(number); }

// Few rows a block where there are few, so that many blocks share the work; many where there are
// enough, so that tables are read less often.
void divide_rows(WeightShape& shape, std::int64_t rows_of_all) {
  constexpr std::int64_t kBlocks = 264;  // two for each processor of an H100
  const std::int32_t hidden = shape.table.hidden_padded;
  const std::int32_t most = hidden <= 256 ? 16 : hidden <= 2048 ? 8 : 4;
  shape.rows = 1;
  while (shape.rows < most && rows_of_all / shape.rows > kBlocks) shape.rows *= 2;
  shape.padded = std::max(kQuad, shape.rows);
  shape.threads = 1;
  while (shape.threads < kWarp && shape.threads * 16 < hidden) shape.threads *= 2;
  shape.across = 1;
  while (shape.across < static_cast<std::int32_t>(kThreads) && shape.across < hidden) {
    shape.across *= 2;
  }
}

// The units of a share that the table has.
WeightItem item_of(const WeightsLaunch::Item& item, const UnitTable& table) {
  const Share units = item.share.units;
  const std::int64_t first = std::clamp<std::int64_t>(units.first, 0, table.units);
  const std::int64_t last = std::clamp<std::int64_t>(units.first + units.count, first, table.units);
  return {item.in.data,
          item.out.data,
          narrow(item.in.rows),
          narrow(first),
          narrow(last - first),
          narrow(item.share.experts.first),
          narrow(item.share.experts.count)};
}

}  // namespace

void enqueue(Launcher& launcher, const WeightsLaunch& what) {
  const bool attends = what.role == Role::attention;
  const UnitTable* table = launcher.weights().of(
      what.weights->model(), what.layer, attends ? LayerPart::attention : LayerPart::feed_forward);
  if (table == nullptr) {
    return launcher.fail({"weights", "the device has no room for a layer's weights",
                          "a smaller hidden size, or fewer experts"});
  }
  WeightShape shape{};
  shape.table = *table;
  const bool routed = what.role == Role::experts && table->router != nullptr;
  if (!routed) {
    shape.table.router = nullptr;
    shape.table.wanted = 1;
  }
  std::vector<WeightItem> items;
  std::int64_t rows_of_all = 0;
  std::int64_t rows = 0;
  for (const auto& item : what.items) {
    shape.type = item.in.type;
    rows = std::max(rows, item.in.rows);
    rows_of_all += item.in.rows;
    items.push_back(item_of(item, *table));
  }
  divide_rows(shape, rows_of_all);
  const std::size_t shared_bytes = sizes_of(shape).total();
  if (shared_bytes > kSharedBytesMax) {
    return launcher.fail({"weights", "a row and its experts do not fit a block's memory",
                          "a smaller hidden size, or fewer experts"});
  }
  const Launcher::Shape launch{
      .grid =
          grid_of(static_cast<std::uint64_t>((rows + shape.rows - 1) / shape.rows), items.size()),
      .threads = shape.table.hidden_padded > 1024 ? 2 * kThreads : kThreads,
      .shared_bytes = shared_bytes};
  const std::span<const WeightItem> all(items);
  const std::string_view name = name_of(what.role);
  if (routed) {
    return launcher.start(name, shape, all, launch, [](auto capacity) {
      return &apply_weights<Role::experts, decltype(capacity)::value>;
    });
  }
  if (attends) {
    return launcher.start(name, shape, all, launch, [](auto capacity) {
      return &apply_weights<Role::attention, decltype(capacity)::value>;
    });
  }
  launcher.start(name, shape, all, launch, [](auto capacity) {
    return &apply_weights<Role::mlp, decltype(capacity)::value>;
  });
}

}  // namespace capsize::gpu
