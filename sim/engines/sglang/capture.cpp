#include "sim/engines/sglang/capture.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <numeric>
#include <string>

#include "sim/units.hpp"

namespace capsize::sglang {
namespace {

// One row of the table by GPU memory: below `memory_mib` these defaults hold.
struct MemoryRow {
  std::int64_t memory_mib;
  std::int64_t chunk;
  std::int64_t max_bs_below_tp4;
  std::int64_t max_bs_from_tp4;
};

constexpr std::int64_t kGib = 1024;
constexpr std::array kMemoryTable = {
    MemoryRow{20 * kGib, 2048, 8, 8},
    MemoryRow{35 * kGib, 2048, 24, 80},
    MemoryRow{60 * kGib, 4096, 32, 160},
    MemoryRow{90 * kGib, 8192, 256, 512},
    MemoryRow{160 * kGib, 8192, 256, 512},
    MemoryRow{std::numeric_limits<std::int64_t>::max(), 16384, 512, 512},
};
constexpr MemoryRow kMemoryUnknown{0, 4096, 160, 160};

MemoryRow memory_row(std::optional<std::int64_t> memory_mib) {
  if (!memory_mib) return kMemoryUnknown;
  return *std::ranges::find_if(kMemoryTable,
                               [&](const MemoryRow& row) { return *memory_mib < row.memory_mib; });
}

// from, from + step, ... to (inclusive), as far as they do not pass `limit`.
void add_range(SizeList& out, std::int64_t from, std::int64_t to, std::int64_t step,
               std::int64_t limit) {
  for (std::int64_t size = from; size <= std::min(to, limit); size += step) out.push_back(size);
}

}  // namespace

DefaultMaxima default_maxima(std::optional<std::int64_t> gpu_memory_mib, std::int64_t tp) {
  const MemoryRow row = memory_row(gpu_memory_mib);
  return {row.chunk, tp < 4 ? row.max_bs_below_tp4 : row.max_bs_from_tp4};
}

SizeList decode_list(std::int64_t max_bs, bool speculative, bool disable_padding) {
  SizeList out;
  out.reserve(64);
  if (disable_padding) {
    add_range(out, 1, max_bs, 1, max_bs);
    return out;
  }
  if (speculative) {
    add_range(out, 1, 8, 1, max_bs);
    add_range(out, 10, 32, 2, max_bs);
    add_range(out, 40, 64, 4, max_bs);
    add_range(out, 72, 256, 8, max_bs);
    add_range(out, 272, max_bs, 16, max_bs);
  } else {
    for (const std::int64_t size : {1, 2, 4, 8, 12}) add_range(out, size, size, 1, max_bs);
    add_range(out, 16, 256, 8, max_bs);
    add_range(out, 272, 511, 16, max_bs);
    add_range(out, 512, max_bs, 32, max_bs);
  }
  if (std::ranges::find(out, max_bs) == out.end()) out.push_back(max_bs);
  return out;
}

SizeList prefill_list(std::int64_t max_tokens) {
  SizeList out;
  out.reserve(80);
  add_range(out, 4, 32, 4, max_tokens);
  add_range(out, 48, 256, 16, max_tokens);
  add_range(out, 288, 512, 32, max_tokens);
  add_range(out, 576, 1024, 64, max_tokens);
  add_range(out, 1280, 4096, 256, max_tokens);
  add_range(out, 4608, max_tokens, 512, max_tokens);
  return out;
}

// Clamps apply to the default only.
std::int64_t default_prefill_max(const PrefillMaxInput& in) {
  std::int64_t max_tokens = in.mla ? 2048 : in.chunk;
  if (in.max_total_tokens) max_tokens = std::min(max_tokens, *in.max_total_tokens);
  if (in.llama_2_path) max_tokens = std::min<std::int64_t>(max_tokens, 4096);
  return max_tokens;
}

DefaultSizes default_sizes(const DefaultSizesInput& in) {
  const DefaultMaxima maxima = default_maxima(in.gpu_memory_mib, in.tp);
  DefaultSizes out;
  out.chunked_prefill_size = in.chunked_prefill_size.value_or(maxima.chunked_prefill_size);
  out.cuda_graph_max_bs = in.cuda_graph_max_bs.value_or(maxima.cuda_graph_max_bs);
  if (in.cuda_graph_bs && !in.cuda_graph_bs->empty()) {
    out.cuda_graph_bs = *in.cuda_graph_bs;
    out.cuda_graph_max_bs = std::ranges::max(*in.cuda_graph_bs);
  } else {
    out.cuda_graph_bs = decode_list(out.cuda_graph_max_bs, in.speculative, in.disable_padding);
  }
  out.piecewise_max_tokens =
      in.piecewise_max_tokens
          ? *in.piecewise_max_tokens
          : default_prefill_max(
                {in.mla, in.llama_2_path, out.chunked_prefill_size, in.max_total_tokens});
  out.piecewise_tokens =
      in.piecewise_tokens ? *in.piecewise_tokens : prefill_list(out.piecewise_max_tokens);
  return out;
}

std::int64_t decode_alignment(const DecodeFilterInput& in) {
  std::int64_t m = in.two_batch_overlap ? 2 : 1;
  if (in.gathered) m *= in.attn_tp;
  // Outside the gate, unlike in the prefill filter: context parallelism costs sizes here even
  // where nothing is gathered.
  if (m % in.attn_cp != 0) m *= in.attn_cp;
  return m;
}

std::int64_t decode_modulus(const DecodeFilterInput& in) {
  const std::int64_t width = in.two_batch_overlap ? 1 : in.tokens_per_request;
  const std::int64_t m = decode_alignment(in);
  return m / std::gcd(m, width);
}

FilterResult decode_filter(const DecodeFilterInput& in, SizeList& sizes) {
  const std::int64_t m = decode_alignment(in);
  const std::int64_t width = in.two_batch_overlap ? 1 : in.tokens_per_request;
  const std::int64_t slots = align_up(in.pool, m);
  FilterResult out;
  out.kept.reserve(sizes.size() + 1);
  // Where the pool is smaller than the largest size, the pool itself is captured.
  if (std::ranges::max(sizes) > slots) sizes.push_back(slots);
  std::ranges::copy_if(sizes, std::back_inserter(out.kept),
                       [&](std::int64_t size) { return size * width % m == 0 && size <= slots; });
  if (!std::ranges::is_sorted(out.kept)) std::ranges::sort(out.kept);
  const auto repeats = std::ranges::unique(out.kept);
  out.kept.erase(repeats.begin(), repeats.end());
  // assert len(capture_bs) > 0 and capture_bs[0] > 0, f"{capture_bs=}"
  if (out.kept.empty() || out.kept.front() <= 0) {
    std::string text = "capture_bs=[";
    for (const std::int64_t size : out.kept) {
      if (text.back() != '[') text += ", ";
      text += std::to_string(size);
    }
    out.refused = text + "]";
  }
  return out;
}

}  // namespace capsize::sglang
