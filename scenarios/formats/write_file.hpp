// Files that are there whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "sim/error.hpp"

namespace capsize {

// Writes a file whole or not at all: a temporary file in the same folder is written, synced and
// renamed, so that a reader never finds half a report, nor an old one cut short. Refused
// where the path is a folder or a device. The error's `where` is the path.
[[nodiscard]] Result<void> write_file_atomically(const std::string& path, std::string_view text);

// Whether that would work, before there is anything to write; nothing is left behind.
[[nodiscard]] Result<void> can_write_file(const std::string& path);

}  // namespace capsize
