// What a plan without mathematics makes of one element (mix_rows of runtime/host_compute.hpp).
#pragma once

#include <cstdint>

namespace capsize {

[[nodiscard]] constexpr std::uint32_t mixed(std::uint32_t value) {
  value ^= value >> 16U;
  value *= 0x7feb352dU;
  value ^= value >> 15U;
  value *= 0x846ca68bU;
  return value ^ (value >> 16U);
}

}  // namespace capsize
