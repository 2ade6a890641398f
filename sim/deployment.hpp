// A Deployment: an engine's own rules applied to its flags, before any size is looked at.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/topology.hpp"

namespace capsize {

struct Deployment {
  std::string_view engine;
  std::string rules;
  // Parallel sizes under the engine's names, in the order in which they are printed.
  std::vector<std::pair<std::string_view, std::int64_t>> sizes;
  std::shared_ptr<const Topology> topology;  // none where the launch ends before groups are made
};

}  // namespace capsize
