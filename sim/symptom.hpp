// How a fault shows. The same words stand for what a law predicts and for what an execution showed.
#pragma once

#include <cstdint>
#include <string_view>

namespace capsize {

enum class Symptom : std::uint8_t {
  none,
  clean_error,
  hang,
  silent_corruption,
  refused,
  silent_eager,
};
[[nodiscard]] std::string_view name_of(Symptom symptom);
// Symptom::none where no symptom has this name.
[[nodiscard]] Symptom symptom_of(std::string_view name);

}  // namespace capsize
