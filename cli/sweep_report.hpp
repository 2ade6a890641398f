// A certificate for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/sweep/certificate.hpp"

namespace capsize::cli {

// `given` is how the universe was named, for lines to paste.
[[nodiscard]] std::string render(const Certificate& certificate, const std::string& given,
                                 bool colour);

// Rows of cells as aligned columns, two blanks between them. The columns in `right` are numbers.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows,
                                const std::vector<bool>& right);

}  // namespace capsize::cli
