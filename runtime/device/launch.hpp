// What a device is asked to do. One launch works on the rows of many ranks at once: an item a rank,
// or a communicator. A launch means what HostDevice does with it (host_device.hpp); a GPU does the
// same in one kernel, with the same bits.
//
// All rows of a launch have one element type and one width. Rows lie in the device's memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/rows/element.hpp"
#include "runtime/rows/local_work.hpp"
#include "sim/models/exact_model.hpp"
#include "sim/step.hpp"

namespace capsize {

// Every element becomes `bits`.
struct FillLaunch {
  struct Item {
    Matrix to;
    std::uint32_t bits = 0;
  };
  std::vector<Item> items;
};

// Entry rows (entry_row of sim/models/exact_model.hpp) of the tokens from `first_token` on.
struct GenerateLaunch {
  struct Item {
    Matrix to;
    std::uint64_t seed = 0;
    std::uint64_t first_token = 0;
    std::uint64_t step = 0;
  };
  std::vector<Item> items;
};

// Rows of `from` to row `at` of `to`, as many as both have; with `clears`, all other rows of `to`
// become zero.
struct CopyLaunch {
  struct Item {
    ConstMatrix from;
    Matrix to;
    std::int64_t at = 0;
    bool clears = false;
  };
  std::vector<Item> items;
};

// residual_out = wrap(hidden + residual), out = norm(residual_out); where there is no residual (no
// data), out = norm(wrap(hidden)) alone.
struct NormLaunch {
  struct Item {
    ConstMatrix hidden;
    ConstMatrix residual;
    Matrix out;
    Matrix residual_out;
  };
  std::vector<Item> items;
};

// out = left + right, folded into [-128, 127] with `wraps`; without `adds`, out = left.
struct AddLaunch {
  struct Item {
    ConstMatrix left;
    ConstMatrix right;
    Matrix out;
    bool wraps = false;
    bool adds = true;
  };
  std::vector<Item> items;
};

// Attention, mlp or experts of one layer (Weights::apply); each rank has its share of the weights.
struct WeightsLaunch {
  const Weights* weights = nullptr;
  Role role = Role::attention;
  std::int64_t layer = 0;
  struct Item {
    ConstMatrix in;
    Matrix out;
    WeightShare share;
  };
  std::vector<Item> items;
};

// Of a plan without mathematics (mix_rows of runtime/host_compute.hpp); uint32 only.
struct MixLaunch {
  struct Item {
    std::array<ConstMatrix, 4> in;
    std::size_t inputs = 0;
    Matrix out;
    std::uint32_t salt = 0;
  };
  std::vector<Item> items;
};

// A collective of any number of communicators, whose members all bring equally many rows. `in` and
// `out` stand in the order of the members' positions; no operand overlaps with an output.
struct CollectiveLaunch {
  enum class Kind : std::uint8_t {
    reduce_scatter,  // out[p] = rows [p * out.rows, (p + 1) * out.rows) of the sum
    all_gather,      // rows of in[p] at row p * in.rows of every output
    all_reduce,      // the sum, in every output
    all_to_all,      // the p-th part of in[q] is the q-th part of out[p]
    broadcast,       // in[0], in every output
  } kind = Kind::all_reduce;
  struct Item {
    std::vector<ConstMatrix> in;
    std::vector<Matrix> out;
  };
  std::vector<Item> items;
};

// The same where counts differ: `to` becomes the sum of all `from`, which have as many rows, added
// up in their order in the element type's own addition. One `from` is a copy. Operands may not
// overlap with any output of the launch.
struct SumLaunch {
  struct Item {
    std::vector<ConstMatrix> from;
    Matrix to;
  };
  std::vector<Item> items;
};

// Looks at rows and tells of each item how many elements are wrong, and the first.
struct CheckLaunch {
  enum class Kind : std::uint8_t {
    inexact,    // unwritten, or no integer of magnitude up to `bound`
    unwritten,  // still holds the fill (unwritten_bits)
    touched,    // does not hold the fill any more
  };
  struct Item {
    ConstMatrix rows;
    Kind kind = Kind::inexact;
    std::int64_t bound = 0;
    std::size_t slot = 0;  // where the answer goes: Device::findings()
  };
  std::vector<Item> items;
};

// The bits of two equally large matrices.
struct CompareLaunch {
  struct Item {
    ConstMatrix found;
    ConstMatrix expected;
    std::size_t slot = 0;
  };
  std::vector<Item> items;
};

// As a CompareLaunch with what a GenerateLaunch would write, which it makes anew instead of
// reading it.
struct VerifyLaunch {
  struct Item {
    ConstMatrix found;
    std::uint64_t seed = 0;
    std::uint64_t first_token = 0;
    std::uint64_t step = 0;
    std::size_t slot = 0;
  };
  std::vector<Item> items;
};

using Launch =
    std::variant<FillLaunch, GenerateLaunch, CopyLaunch, NormLaunch, AddLaunch, WeightsLaunch,
                 MixLaunch, CollectiveLaunch, SumLaunch, CheckLaunch, CompareLaunch, VerifyLaunch>;

// "norm", "all_gather": what a launch is called where a graph's nodes are told.
[[nodiscard]] std::string_view name_of(const Launch& launch);
[[nodiscard]] std::string_view name_of(CollectiveLaunch::Kind kind);

// What a check or comparison found.
struct DeviceFinding {
  static constexpr std::int64_t kNone = INT64_MAX;
  std::int64_t count = 0;      // of elements
  std::int64_t first = kNone;  // the first of them, counted row by row
  friend bool operator==(const DeviceFinding&, const DeviceFinding&) = default;
};

}  // namespace capsize
