// A file's text, as far as it is not larger than what it is read as can be.
#pragma once

#include <cstddef>
#include <string>

#include "sim/error.hpp"

namespace capsize {

// The whole file. `what` is what the file should have been, for the way out: "a scenario file".
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t bytes_most,
                                            const std::string& what);

}  // namespace capsize
