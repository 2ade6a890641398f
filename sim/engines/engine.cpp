#include "sim/engines/engine.hpp"

#include <array>

#include "sim/engines/sglang/engine.hpp"

namespace capsize {

std::span<const Engine> engines() {
  static const std::array all = {sglang::engine()};
  return all;
}

const Engine* find_engine(std::string_view name) {
  for (const Engine& engine : engines()) {
    if (engine.name == name) return &engine;
  }
  return nullptr;
}

}  // namespace capsize
