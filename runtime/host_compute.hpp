// What a rank does by itself, on the host: the meaning of every local operation. Backends whose
// ranks live in host memory share it.
#pragma once

#include "runtime/backend.hpp"

namespace capsize {

// `weights` may be null in a plan without mathematics. Rows and operands fit the operation: the
// executor has checked them.
void compute_on_host(const Weights* weights, const LocalCall& call);

}  // namespace capsize
