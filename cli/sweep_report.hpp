// A certificate for people.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "scenarios/sweep/certificate.hpp"

namespace capsize::cli {

// What repeats the smallest failures: a line to paste for a member, or empty where there is none.
using AgainLine = std::function<std::string(std::uint64_t member)>;

[[nodiscard]] std::string render(const Certificate& certificate, const AgainLine& again,
                                 bool colour);

// Rows of cells as aligned columns, two blanks between them. The columns in `right` are numbers.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows,
                                const std::vector<bool>& right);

}  // namespace capsize::cli
