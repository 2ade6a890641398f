// A sweep that can be taken up again. A checkpoint is the certificate of what is done so far; it is
// written whole or not at all, so that even a killed run leaves the one before.
#pragma once

#include <string>

#include "scenarios/sweep/certificate.hpp"
#include "sim/error.hpp"

namespace capsize {

// Takes up the state of a checkpoint where the file exists; true then. `certificate` says what is
// to be swept: a checkpoint of anything else is refused.
[[nodiscard]] Result<bool> take_up(const std::string& path, Certificate& certificate);

[[nodiscard]] Result<void> keep(const std::string& path, const Certificate& certificate);

// The most that a certificate may hold, in bytes.
inline constexpr std::size_t kCertificateBytes = std::size_t{1} << 30;
// Reads a certificate file.
[[nodiscard]] Result<Certificate> read_certificate_file(const std::string& path);

// "2/3": shard 2 of 3.
[[nodiscard]] Result<Shard> read_shard(std::string_view text);

}  // namespace capsize
