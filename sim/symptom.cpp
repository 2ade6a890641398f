#include "sim/symptom.hpp"

#include <algorithm>
#include <array>

namespace capsize {
namespace {

constexpr std::array kSymptoms = {Symptom::none,    Symptom::clean_error,
                                  Symptom::hang,    Symptom::silent_corruption,
                                  Symptom::refused, Symptom::silent_eager};

}  // namespace

std::string_view name_of(Symptom symptom) {
  switch (symptom) {
    case Symptom::none: return "none";
    case Symptom::clean_error: return "clean_error";
    case Symptom::hang: return "hang";
    case Symptom::silent_corruption: return "silent_corruption";
    case Symptom::refused: return "refused";
    case Symptom::silent_eager: return "silent_eager";
  }
  return "none";
}

Symptom symptom_of(std::string_view name) {
  const auto found =
      std::ranges::find_if(kSymptoms, [name](Symptom symptom) { return name_of(symptom) == name; });
  return found == kSymptoms.end() ? Symptom::none : *found;
}

}  // namespace capsize
