// A certificate for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/sweep/certificate.hpp"

namespace capsize::cli {

struct ReportContext {
  std::string given;                   // how the universe was named, for lines to paste
  const Universe* universe = nullptr;  // with its words, where they are known
  std::string more;                    // lines that belong before the verdict
};

[[nodiscard]] std::string render(const Certificate& certificate, const ReportContext& context,
                                 bool colour);

// Rows of cells as aligned columns, two blanks between them. The columns in `right` are numbers.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows,
                                const std::vector<bool>& right);

}  // namespace capsize::cli
