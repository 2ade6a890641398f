// Plan files: the lifecycle of a server that an engine dumped, or that a person wrote to state a
// defect. schemas/plan.schema.json states the format.
//
// A file comes from anywhere: sizes are bounded, unknown fields and duplicate keys are refused, and
// whatever is read keeps the promises of sim/lifecycle.hpp (places are in range, `after` goes
// back in time, ranks lie in the world, blocks cover the operations, groups are indexed).
#pragma once

#include <string>
#include <string_view>

#include "scenarios/formats/json_reader.hpp"
#include "sim/lifecycle.hpp"

namespace capsize {

[[nodiscard]] Result<Lifecycle> read_plan(std::string_view json_text);
// A plan inside another document; errors carry the path in that document.
[[nodiscard]] Result<Lifecycle> read_plan(const JsonField& field);

// One line an event; what has its default is left out. Names that are keys of an object (groups,
// buffers, libraries, decisions) come sorted. Operations and events that others name get an id
// where they have none. Reading it back gives a lifecycle that is written the same way.
[[nodiscard]] std::string write_plan(const Lifecycle& lifecycle);

}  // namespace capsize
