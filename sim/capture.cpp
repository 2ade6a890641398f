#include "sim/capture.hpp"

namespace capsize {

std::string_view name_of(EventKind kind) {
  switch (kind) {
    case EventKind::warm_up: return "warm_up";
    case EventKind::compile: return "compile";
    case EventKind::capture: return "capture";
  }
  return "capture";
}

}  // namespace capsize
