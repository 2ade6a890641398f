// The layers of a model as it has them, whatever an engine makes of them.
#pragma once

#include <cstdint>
#include <string_view>

namespace capsize {

enum class LayerMathematics : std::uint8_t {
  dense,   // attention, then an MLP
  sparse,  // attention, then experts behind a router
};
[[nodiscard]] std::string_view name_of(LayerMathematics kind);

// Layers of one kind in a row.
struct ModelLayers {
  LayerMathematics kind = LayerMathematics::dense;
  std::int64_t count = 1;
  friend bool operator==(ModelLayers, ModelLayers) = default;
};

}  // namespace capsize
