// Fields that several documents share with a batch request: the GPU, and the launch as text or as
// words. Errors carry the path of the field.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "scenarios/formats/json_reader.hpp"
#include "sim/engines/engine.hpp"
#include "sim/error.hpp"
#include "sim/launch/launch_text.hpp"

namespace capsize {

// "H100", or {"memory_mib": 81559, "sm": 90}; a Gpu without a name was given by its numbers.
[[nodiscard]] Result<Gpu> read_gpu_field(const JsonField& field);

// A launch as it was pasted, or as the words that a shell has already split.
using LaunchSource = std::variant<std::string, std::vector<std::string>>;
[[nodiscard]] Result<LaunchSource> read_launch_source(const JsonField& field);

// Finds the command in a launch source. Fails where there is no launch line in it.
[[nodiscard]] Result<LaunchCommand> read_launch_source(const LaunchSource& source,
                                                       const Engine& engine);

}  // namespace capsize
