// Launches of every kind over random rows.
#pragma once

#include "tests/gpu/device_pair.hpp"

namespace capsize::gpu_test {

enum class LaunchKind : std::uint8_t {
  fill,
  generate,
  copy,
  norm,
  add,
  mix,
  reduce_scatter,
  all_gather,
  all_reduce,
  all_to_all,
  broadcast,
  sum,
  check,
  compare,
  verify,
};
inline constexpr std::size_t kLaunchKinds = 15;

// Adds rows and their content to the layout; what is made does with them what the kind says.
MakeLaunch random_launch(LaunchKind kind, Layout& layout, std::int64_t items);

// The same with one thing wrong: an operand that is dropped or lies elsewhere, another number.
Launch spoiled(Launch launch);

}  // namespace capsize::gpu_test
