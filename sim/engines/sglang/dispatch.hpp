// How a batch finds its captured size (piecewise_cuda_graph_runner.py and cuda_graph_runner.py,
// can_run and replay, at #23972), and how its rows are padded before an eager or piecewise forward
// (forward_batch_info.py::ForwardBatch.prepare_mlp_sync_batch).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/capture.hpp"

namespace capsize::sglang {

inline constexpr std::string_view kPrefillLookupRule =
    "piecewise_cuda_graph_runner.py::PiecewiseCudaGraphRunner.can_run, replay";
inline constexpr std::string_view kDecodeLookupRule =
    "cuda_graph_runner.py::CudaGraphRunner.can_run, replay_prepare";
inline constexpr std::string_view kPaddingRule =
    "forward_batch_info.py::ForwardBatch.prepare_mlp_sync_batch";

// The size that n runs at: the element that a bisection of the list finds for n, if n does not
// pass the largest; none where the batch runs eager. The bisection takes the list as ascending: in
// another order it may find too large a size, or run past the end (kLookupFails).
[[nodiscard]] std::optional<std::int64_t> bisect_lookup(const SizeList& sizes, std::int64_t n);

// The same with padding disabled: only a size that is itself captured. The decode runner sorts its
// list, so `sizes` is ascending.
[[nodiscard]] std::optional<std::int64_t> exact_lookup(const SizeList& sizes, std::int64_t n);

struct PaddingInput {
  bool mlp_sync = false;  // require_mlp_sync
  std::int64_t attn_tp = 1;
  std::int64_t attn_cp = 1;
  friend bool operator==(const PaddingInput&, const PaddingInput&) = default;
};

// Rows are rounded up to attention TP and then to attention CP, one after the other (not to their
// least common multiple: 1 row at attention TP 4 and CP 6 becomes 6).
[[nodiscard]] std::int64_t padded_rows(const PaddingInput& in, std::int64_t rows);

}  // namespace capsize::sglang
