// SGLang's process groups (distributed/parallel_state.py::initialize_model_parallel at #23972).
#pragma once

#include <cstdint>

#include "sim/topology.hpp"

namespace capsize::sglang {

// The sizes that a layout is made of. tp is the world of one pipeline stage.
struct Sizes {
  std::int64_t tp = 1;
  std::int64_t pp = 1;
  std::int64_t attn_dp = 1;
  std::int64_t attn_cp = 1;
  std::int64_t ep = 1;
  std::int64_t moe_dp = 1;

  [[nodiscard]] std::int64_t attn_tp() const;  // floor(floor(tp / attn_dp) / attn_cp)
  [[nodiscard]] std::int64_t moe_tp() const;   // floor(floor(tp / ep) / moe_dp)
  [[nodiscard]] std::int64_t world() const { return tp * pp; }
  friend bool operator==(const Sizes&, const Sizes&) = default;
};

// Indices of the families in the Topology that topology_of makes.
inline constexpr GroupId kTp{0};
inline constexpr GroupId kAttnTp{1};
inline constexpr GroupId kAttnCp{2};
inline constexpr GroupId kMoeDp{3};
inline constexpr GroupId kMoeEp{4};
inline constexpr GroupId kMoeTp{5};
inline constexpr GroupId kPp{6};
inline constexpr GroupId kAttnDp{7};  // replicas of the attention: no communicator of its own

// Within one TP world the rank is ((attn_dp * C) + attn_cp) * A + attn_tp. A group that is the
// very same communicator object as another says so, since that decides which library moves its
// data inside a capture: TP runs over PyNccl there (unchecked), attention TP only where it is TP.
[[nodiscard]] Topology topology_of(const Sizes& sizes);

}  // namespace capsize::sglang
