// Memory for tables, and the weights' tables: written once, a byte a thread (`up`, router) or four
// units a thread (`down`); bound by the hash's arithmetic, about a millisecond for a layer of 64
// experts at hidden 2048.
#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/launcher.hpp"
#include "kernels/tables.hpp"

namespace capsize::gpu {
namespace {

constexpr std::size_t kAlignment = 256;

// What is made beside the captured stream is made here; waits until it is done.
class SideStream {
 public:
  SideStream() { (void)cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking); }
  ~SideStream() { (void)cudaStreamDestroy(stream_); }
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;
  [[nodiscard]] cudaStream_t get() const { return stream_; }
  [[nodiscard]] bool wait() const { return cudaStreamSynchronize(stream_) == cudaSuccess; }

 private:
  cudaStream_t stream_ = nullptr;
};

struct TablePlace {
  std::uint64_t seed;
  std::int64_t layer;
  LayerPart part;
};

__global__ void make_rows(TablePlace place, WeightKind kind, UnitTable table, std::int64_t rows,
                          std::int8_t* out) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= rows * table.hidden_padded) return;
  const std::int64_t row = at / table.hidden_padded;
  const std::int64_t column = at % table.hidden_padded;
  const bool routes = kind == WeightKind::router;
  out[at] = column >= table.hidden
                ? std::int8_t{0}
                : exact_weight(place.seed, {.layer = place.layer,
                                            .part = place.part,
                                            .kind = kind,
                                            .expert = routes ? 0 : row / table.units,
                                            .unit = routes ? row : row % table.units,
                                            .column = column});
}

__global__ void make_down(TablePlace place, UnitTable table, std::int32_t* out) {
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t column = at % table.hidden_padded;
  const std::int64_t word = at / table.hidden_padded % table.words;
  const std::int64_t expert = at / table.hidden_padded / table.words;
  if (expert >= table.experts) return;
  std::uint32_t four = 0;
  for (std::int64_t i = 0; i < 4; ++i) {
    const std::int64_t unit = word * 4 + i;
    if (unit >= table.units || column >= table.hidden) continue;
    const std::int8_t weight = exact_weight(place.seed, {.layer = place.layer,
                                                         .part = place.part,
                                                         .kind = WeightKind::down,
                                                         .expert = expert,
                                                         .unit = unit,
                                                         .column = column});
    four |= (static_cast<std::uint32_t>(weight) & 0xffU) << (8 * i);
  }
  out[at] = static_cast<std::int32_t>(four);
}

unsigned blocks_for(std::int64_t elements) {
  return static_cast<unsigned>((elements + kThreads - 1) / kThreads);
}

UnitTable shape_of(const ExactModel& model, std::int64_t layer, LayerPart part) {
  const auto narrow = [](std::int64_t number) { return static_cast<std::int32_t>(number); };
  const bool sparse =
      part == LayerPart::feed_forward && model.kind_of(layer) == LayerMathematics::sparse;
  UnitTable table{};
  table.hidden = narrow(model.hidden);
  table.hidden_padded = narrow((model.hidden + 15) / 16 * 16);
  table.units = narrow(sparse ? model.expert_units : model.units);
  table.words = (table.units + 3) / 4;
  table.experts = sparse ? narrow(model.experts) : 1;
  table.wanted = sparse ? narrow(std::min(model.experts, model.experts_per_token)) : 1;
  return table;
}

// Null where there is no memory left.
std::shared_ptr<WeightTables::Entry> made(const ExactModel& model, std::int64_t layer,
                                          LayerPart part) {
  auto entry = std::make_shared<WeightTables::Entry>();
  UnitTable& table = entry->table;
  table = shape_of(model, layer, part);
  const bool sparse =
      part == LayerPart::feed_forward && model.kind_of(layer) == LayerMathematics::sparse;
  const std::int64_t rows = std::int64_t{table.experts} * table.units;
  const std::int64_t words = std::int64_t{table.experts} * table.words * table.hidden_padded;
  const std::int64_t up_bytes = rows * table.hidden_padded;
  const std::int64_t router_bytes = sparse ? std::int64_t{table.experts} * table.hidden_padded : 0;
  entry->memory = DeviceMemory::of(static_cast<std::size_t>(up_bytes + 4 * words + router_bytes));
  std::byte* memory = entry->memory.data();
  if (memory == nullptr) return nullptr;
  auto* up = reinterpret_cast<std::int8_t*>(memory);
  auto* down = reinterpret_cast<std::int32_t*>(memory + up_bytes);
  auto* router = reinterpret_cast<std::int8_t*>(memory + up_bytes + 4 * words);
  const TablePlace place{model.seed, layer, part};
  const SideStream side;
  make_rows<<<blocks_for(up_bytes), kThreads, 0, side.get()>>>(place, WeightKind::up, table, rows,
                                                               up);
  make_down<<<blocks_for(words), kThreads, 0, side.get()>>>(place, table, down);
  if (sparse) {
    make_rows<<<blocks_for(router_bytes), kThreads, 0, side.get()>>>(place, WeightKind::router,
                                                                     table, table.experts, router);
  }
  if (cudaGetLastError() != cudaSuccess || !side.wait()) return nullptr;
  table.up = up;
  table.down = down;
  table.router = sparse ? router : nullptr;
  return entry;
}

}  // namespace

DeviceMemory DeviceMemory::of(std::size_t bytes) {
  const Relaxed relaxed;
  DeviceMemory made;
  void* data = nullptr;
  if (cudaMalloc(&data, std::max<std::size_t>(1, bytes)) != cudaSuccess) {
    (void)cudaGetLastError();  // told by the empty answer
    return made;
  }
  made.data_ = static_cast<std::byte*>(data);
  made.bytes_ = bytes;
  return made;
}

DeviceMemory::DeviceMemory(DeviceMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (data_ == nullptr) return;
  const Relaxed relaxed;
  (void)cudaFree(data_);
}

std::byte* Arena::take(std::size_t bytes) {
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  while (piece_ < pieces_.size() && used_ + bytes > pieces_[piece_].bytes()) {
    ++piece_;
    used_ = 0;
  }
  if (piece_ == pieces_.size()) {
    DeviceMemory piece = DeviceMemory::of(std::max(bytes, piece_bytes_));
    if (piece.data() == nullptr) return nullptr;
    pieces_.push_back(std::move(piece));
  }
  std::byte* taken = pieces_[piece_].data() + used_;
  used_ += bytes;
  taken_ += bytes;
  return taken;
}

void Arena::rewind() {
  piece_ = 0;
  used_ = 0;
  taken_ = 0;
}

const std::byte* TableMemory::copy(std::span<const std::byte> bytes, cudaStream_t stream,
                                   bool capturing) {
  if (capturing && captured_ == nullptr) captured_ = std::make_unique<Arena>();
  if (!capturing && eager_.taken() + bytes.size() > kEagerBytesMax) {
    // What is overwritten now was read by launches that may still run.
    if (cudaStreamSynchronize(stream) != cudaSuccess) return nullptr;
    eager_.rewind();
  }
  std::byte* to = (capturing ? *captured_ : eager_).take(bytes.size());
  if (to == nullptr) return nullptr;
  const Relaxed relaxed;
  const SideStream side;
  const cudaError_t status =
      cudaMemcpyAsync(to, bytes.data(), bytes.size(), cudaMemcpyHostToDevice, side.get());
  return status == cudaSuccess && side.wait() ? to : nullptr;
}

std::unique_ptr<Arena> TableMemory::take_captured() { return std::exchange(captured_, nullptr); }

WeightTables::ModelEntries& WeightTables::entries_of(const ExactModel& model) {
  const auto found =
      std::ranges::find_if(models_, [&](const auto& each) { return each->model == model; });
  if (found != models_.end()) {
    std::rotate(found, found + 1, models_.end());
  } else {
    auto made = std::make_unique<ModelEntries>();
    made->model = model;
    made->entries.resize(2 * static_cast<std::size_t>(model.layer_count()));
    models_.push_back(std::move(made));
  }
  return *models_.back();
}

void WeightTables::drop_old() {
  std::size_t bytes = 0;
  for (const auto& each : models_) bytes += each->bytes;
  while (bytes > kBytesMax && models_.size() > 1) {
    bytes -= models_.front()->bytes;
    models_.erase(models_.begin());  // freeing waits for launches that still read them
  }
}

const UnitTable* WeightTables::of(const ExactModel& model, std::int64_t layer, LayerPart part) {
  ModelEntries& all = entries_of(model);
  const std::size_t at =
      2 * static_cast<std::size_t>(layer) + (part == LayerPart::attention ? 0 : 1);
  if (at >= all.entries.size()) return nullptr;
  std::shared_ptr<Entry>& entry = all.entries[at];
  if (entry == nullptr) {
    const Relaxed relaxed;
    entry = made(model, layer, part);
    if (entry == nullptr) return nullptr;
    all.bytes += entry->memory.bytes();
    drop_old();
  }
  used_.push_back(entry);
  return &entry->table;
}

std::vector<std::shared_ptr<WeightTables::Entry>> WeightTables::take_used() {
  return std::exchange(used_, {});
}

}  // namespace capsize::gpu
