#include "scenarios/formats/request_fields.hpp"

#include <utility>

#include "scenarios/check/check.hpp"

namespace capsize {
namespace {

constexpr std::int64_t kMemoryMibMax = std::int64_t{1} << 30;
constexpr std::int64_t kSmMax = 999;

Result<std::int64_t> required_number(const JsonField& object, std::string_view name,
                                     std::int64_t highest) {
  auto field = object.required(name);
  if (!field) return tl::unexpected(std::move(field.error()));
  return field->integer(1, highest);
}

}  // namespace

Result<Gpu> read_gpu_field(const JsonField& field) {
  if (field.value().is_string()) {
    auto gpu = gpu_of(field.value().get_ref<const std::string&>());
    if (gpu) return gpu;
    return tl::unexpected(field.error(std::move(gpu.error().text), std::move(gpu.error().hint)));
  }
  if (auto known = field.reject_unknown_fields({"memory_mib", "sm"}); !known) {
    return tl::unexpected(std::move(known.error()));
  }
  auto memory = required_number(field, "memory_mib", kMemoryMibMax);
  if (!memory) return tl::unexpected(std::move(memory.error()));
  auto sm = required_number(field, "sm", kSmMax);
  if (!sm) return tl::unexpected(std::move(sm.error()));
  return Gpu{"", *memory, static_cast<int>(*sm)};
}

Result<LaunchSource> read_launch_source(const JsonField& field) {
  if (field.value().is_string()) return field.value().get<std::string>();
  auto elements = field.elements();
  if (!elements) {
    return tl::unexpected(
        field.error("must be a string or a list of strings",
                    "give the launch as pasted, or its words: [\"--tp\", \"8\"]"));
  }
  std::vector<std::string> words;
  words.reserve(elements->size());
  for (const JsonField& element : *elements) {
    auto word = element.text();
    if (!word) return tl::unexpected(std::move(word.error()));
    words.push_back(*std::move(word));
  }
  return words;
}

Result<LaunchCommand> read_launch_source(const LaunchSource& source, const Engine& engine) {
  if (const auto* text = std::get_if<std::string>(&source)) {
    return read_launch(*text, engine.entry_points);
  }
  return read_launch_words(std::get<std::vector<std::string>>(source), engine.entry_points);
}

}  // namespace capsize
