// SGLang as an Engine. The folder's README.md says which file holds which rule.
#pragma once

#include "sim/engines/engine.hpp"

namespace capsize::sglang {

[[nodiscard]] Engine engine();

// See stand_ins.cpp.
[[nodiscard]] std::span<const ModelShape> stand_ins();

}  // namespace capsize::sglang
