// What an execution showed, as JSON: a part of the result of `capsize run`, and the line in which a
// process tells what its ranks saw. What has its default is left out.
//
// The reader takes what another process wrote, which may have died while it did: everything is
// bounded, unknown fields are refused, and errors carry the field's path.
#pragma once

#include <string>
#include <string_view>

#include "runtime/observation.hpp"
#include "scenarios/formats/json_reader.hpp"
#include "scenarios/formats/json_writer.hpp"

namespace capsize {

enum class JsonLines : std::uint8_t { one, an_event };  // one line, or a line an event

[[nodiscard]] std::string write_observation(const Observation& observation,
                                            JsonLines lines = JsonLines::an_event);
// As a value inside another document.
void write_observation(JsonWriter& out, const Observation& observation, JsonLines lines);

[[nodiscard]] Result<Observation> read_observation(std::string_view json_text);
[[nodiscard]] Result<Observation> read_observation(const JsonField& field);

}  // namespace capsize
