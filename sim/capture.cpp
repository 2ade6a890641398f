#include "sim/capture.hpp"

namespace capsize {

std::string_view name_of(StartUpKind kind) {
  switch (kind) {
    case StartUpKind::warm_up: return "warm_up";
    case StartUpKind::compile: return "compile";
    case StartUpKind::capture: return "capture";
  }
  return "capture";
}

}  // namespace capsize
