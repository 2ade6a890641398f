// An explanation as a picture: ranks are lanes, operations columns from left to right, the rows
// that a rank holds after each operation are a bar. Collectives join the lanes of a group; what
// breaks a law is red and numbered, and the sentence stands below. Readable in light and dark.
#pragma once

#include <string>

#include "scenarios/explain/explain.hpp"

namespace capsize {

// A whole SVG document. Blocks in which nothing breaks are left out where another one does.
[[nodiscard]] std::string svg_of(const Explanation& explanation);

}  // namespace capsize
