// A HuggingFace config.json as a model shape. Any published file is read: fields that do not
// matter are skipped (the format is HuggingFace's), the several names of one number are known, and
// the language model of a multimodal wrapper is looked up where the wrapper keeps it.
//
//   auto model = read_model_config(text, "my-model/config.json");
//   if (!model) ... model.error().where is "$.num_hidden_layers"
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "scenarios/formats/json_reader.hpp"
#include "sim/error.hpp"
#include "sim/models/shape.hpp"

namespace capsize {

// Reads a whole file. `name` becomes the model's name. Errors carry the path of the field: a
// needed one is missing (architectures, num_hidden_layers, hidden_size, num_attention_heads,
// vocab_size, an FFN size), or one is of the wrong type, negative, fractional or beyond 2^30.
[[nodiscard]] Result<ModelShape> read_model_config(std::string_view json_text,
                                                   std::string_view name);

// The same for a config that stands inside another document ("model_config" of a batch line);
// errors carry the path within that document.
[[nodiscard]] Result<ModelShape> read_model_config(const JsonField& config, std::string_view name);

}  // namespace capsize
