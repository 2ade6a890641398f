// Which communicators a plan needs, for ranks that are processes: made once, kept for the plans
// that come later.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/backend.hpp"
#include "sim/lifecycle.hpp"

namespace capsize {

struct CommunicatorKey {
  std::vector<std::int32_t> members;  // ranks, in the order of their positions
  // How many families of the plan have had the same group before: two families with equal groups
  // are two communicators, as in the engines. -1: it is the whole world's.
  std::int32_t earlier = 0;
  // What goes into a graph does not meet what is launched, nor one path of peer memory the other:
  // where ranks of a plan can differ in that, each path is a communicator of its own.
  std::int32_t path = 0;
  friend auto operator<=>(const CommunicatorKey&, const CommunicatorKey&) = default;
};

// Of all ranks of a plan.
[[nodiscard]] CommunicatorKey world_key(const Lifecycle& lifecycle);

// Of one group of a family, by path.
[[nodiscard]] std::vector<CommunicatorKey> keys_of(const Lifecycle& lifecycle, std::size_t family,
                                                   std::size_t group);

// Which of `paths` communicators of a group an arrival takes.
[[nodiscard]] std::size_t path_of(const Arrival& arrival, std::size_t paths);

}  // namespace capsize
