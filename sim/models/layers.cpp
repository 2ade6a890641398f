#include "sim/models/layers.hpp"

namespace capsize {

std::string_view name_of(LayerMathematics kind) {
  return kind == LayerMathematics::sparse ? "sparse" : "dense";
}

}  // namespace capsize
