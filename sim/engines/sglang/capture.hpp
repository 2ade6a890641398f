// SGLang's capture sizes: defaults by GPU memory, list generators, the decode filter.
// Sources at #23972: server_args.py::_handle_gpu_memory_settings, _generate_cuda_graph_batch_sizes,
// _generate_piecewise_cuda_graph_tokens; cuda_graph_runner.py::get_batch_sizes_to_capture.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/capture.hpp"

namespace capsize::sglang {

// Sizes above this are refused as input: the generated lists would not fit a person's patience.
inline constexpr std::int64_t kLargestSize = std::int64_t{1} << 20;
inline constexpr std::int64_t kLargestWorld = 16384;
// So are lists of more sizes than this, given or generated one by one: each size has a line of its
// own in the report, and no server captures as many graphs.
inline constexpr std::int64_t kLongestList = std::int64_t{1} << 15;

struct DefaultSizesInput {
  std::optional<std::int64_t> gpu_memory_mib;  // none where the engine cannot tell
  std::int64_t tp = 1;
  bool speculative = false;
  bool mla = false;
  bool disable_padding = false;  // --disable-cuda-graph-padding
  std::optional<std::int64_t> chunked_prefill_size;
  std::optional<std::int64_t> cuda_graph_max_bs;
  std::optional<SizeList> cuda_graph_bs;
  std::optional<std::int64_t> piecewise_max_tokens;
  std::optional<SizeList> piecewise_tokens;
  std::optional<std::int64_t> max_total_tokens;
  bool llama_2_path = false;  // "llama-2" in the model path
};

// The engine's defaults where a flag is absent.
struct DefaultMaxima {
  std::int64_t chunked_prefill_size = 0;
  std::int64_t cuda_graph_max_bs = 0;
};
[[nodiscard]] DefaultMaxima default_maxima(std::optional<std::int64_t> gpu_memory_mib,
                                           std::int64_t tp);

// The decode list that the engine makes for a maximum, in requests.
[[nodiscard]] SizeList decode_list(std::int64_t max_bs, bool speculative, bool disable_padding);

// The largest prefill size by default, in tokens, and the list that is made for a maximum.
struct PrefillMaxInput {
  bool mla = false;
  bool llama_2_path = false;  // "llama-2" in the model path
  std::int64_t chunk = 0;     // --chunked-prefill-size, before replicas share it
  std::optional<std::int64_t> max_total_tokens;
};
[[nodiscard]] std::int64_t default_prefill_max(const PrefillMaxInput& in);
[[nodiscard]] SizeList prefill_list(std::int64_t max_tokens);

struct DefaultSizes {
  std::int64_t chunked_prefill_size = 0;
  std::int64_t cuda_graph_max_bs = 0;
  SizeList cuda_graph_bs;
  std::int64_t piecewise_max_tokens = 0;
  SizeList piecewise_tokens;
  friend bool operator==(const DefaultSizes&, const DefaultSizes&) = default;
};

[[nodiscard]] DefaultSizes default_sizes(const DefaultSizesInput& in);

struct DecodeFilterInput {
  std::int64_t pool = 0;  // request slots of the server
  std::int64_t attn_tp = 1;
  std::int64_t attn_cp = 1;
  bool gathered = false;
  std::int64_t tokens_per_request = 1;
  bool two_batch_overlap = false;
};

inline constexpr std::string_view kDecodeFilterRule =
    "cuda_graph_runner.py::get_batch_sizes_to_capture";

// Appends the pool's size to `sizes`, as the engine does, where the list reaches past the pool.
[[nodiscard]] FilterResult decode_filter(const DecodeFilterInput& in, SizeList& sizes);

// The alignment m of the decode filter, in tokens (in requests under two-batch overlap), and the
// least step in requests that it keeps.
[[nodiscard]] std::int64_t decode_alignment(const DecodeFilterInput& in);
[[nodiscard]] std::int64_t decode_modulus(const DecodeFilterInput& in);

}  // namespace capsize::sglang
