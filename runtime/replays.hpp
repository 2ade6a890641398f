// Adds to a start-up what a server does with it: replays at every captured size, at the edges of
// its interval and at one count inside, interleaved over sizes, each twice with new inputs.
#pragma once

#include "runtime/run_options.hpp"
#include "sim/lifecycle.hpp"

namespace capsize {

// For every path that is captured; sizes above options.rows_max lose their events. A plan that
// brings replays of its own keeps them and gets no more.
void add_replays(Lifecycle& plan, const RunOptions& options);

}  // namespace capsize
