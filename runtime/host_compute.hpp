// What a rank does by itself, on the host: the meaning of every local operation. Backends whose
// ranks live in host memory share it.
#pragma once

#include <span>

#include "runtime/backend.hpp"

namespace capsize {

// `weights` may be null in a plan without mathematics. Rows and operands fit the operation: the
// executor has checked them.
void compute_on_host(const Weights* weights, const LocalCall& call);

// The rows of `in` to row `at` of `out`, as many as both have; with `clears`, all other rows of
// `out` become zero.
void place_rows(ConstMatrix in, std::int64_t at, Matrix out, bool clears);

// A plan without mathematics, uint32: every element depends on `salt` (the operation) and on the
// elements of all inputs that stand at its place; rows are taken again from the first where there
// are too few.
void mix_rows(std::span<const ConstMatrix> inputs, std::uint32_t salt, Matrix out);

}  // namespace capsize
