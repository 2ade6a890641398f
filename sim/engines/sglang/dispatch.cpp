#include "sim/engines/sglang/dispatch.hpp"

#include <algorithm>

#include "sim/units.hpp"

namespace capsize::sglang {

std::optional<std::int64_t> bisect_lookup(const SizeList& sizes, std::int64_t n) {
  if (sizes.empty()) return std::nullopt;
  // The engine bisects whatever order the list has; std::lower_bound takes the same halves only
  // for ascending lists, so Python's bisect_left is spelled out.
  std::size_t low = 0;
  std::size_t high = sizes.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    const bool to_the_right = sizes[middle] < n;
    low = to_the_right ? middle + 1 : low;
    high = to_the_right ? high : middle;
  }
  if (low < sizes.size() && sizes[low] >= n) return sizes[low];
  // The engine asks first whether n is above the maximum, and runs eager then. A size that is large
  // enough answers that too; only without one is the list searched, in whatever order it stands.
  if (n > sizes.back() && n > std::ranges::max(sizes)) return std::nullopt;
  if (low == sizes.size()) return kLookupFails;  // past the end: the engine's own index error
  return sizes[low];
}

std::optional<std::int64_t> exact_lookup(const SizeList& sizes, std::int64_t n) {
  return std::ranges::binary_search(sizes, n) ? std::optional(n) : std::nullopt;
}

std::int64_t padded_rows(const PaddingInput& in, std::int64_t rows) {
  if (!in.mlp_sync) return rows;
  return align_up(align_up(rows, in.attn_tp), in.attn_cp);
}

}  // namespace capsize::sglang
