// Progress on a terminal, and numbers for people.
#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace capsize::cli {

std::string text_of_seconds(std::uint64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

std::string grouped(std::uint64_t number) {
  std::string out = std::to_string(number);
  for (std::size_t at = out.size(); at > 3;) {
    at -= 3;
    out.insert(at, 1, ' ');
  }
  return out;
}

std::string rounded(std::uint64_t number) {
  constexpr std::uint64_t kMillion = 1'000'000;
  if (number >= kMillion) {
    return fmt::format("{}.{} million", grouped(number / kMillion), number % kMillion / 100'000);
  }
  return grouped(number >= 10'000 ? number / 1000 * 1000 : number);
}

Progress::Progress(bool wanted, std::uint64_t whole)
    : whole_(whole), shown_(wanted && whole > 0 && isatty(STDERR_FILENO) == 1) {}

void Progress::show(std::uint64_t done, std::uint64_t by_this_run) {
  if (!shown_) return;
  const auto elapsed = std::chrono::steady_clock::now() - begin_;
  const double seconds = std::max(std::chrono::duration<double>(elapsed).count(), 1e-3);
  const double rate = static_cast<double>(by_this_run) / seconds;
  const double percent = 100.0 * static_cast<double>(done) / static_cast<double>(whole_);
  std::string line = fmt::format("\r{:5.1f} %  {} members a second", percent,
                                 rounded(static_cast<std::uint64_t>(rate)));
  if (rate > 0 && seconds > 1) {
    const double left = static_cast<double>(whole_ - std::min(done, whole_)) / rate;
    line += ", " + text_of_seconds(static_cast<std::uint64_t>(left)) + " left";
  }
  std::fputs((line + "\x1b[K").c_str(), stderr);
  std::fflush(stderr);
  written_ = true;
}

void Progress::clear() {
  if (!written_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  written_ = false;
}

}  // namespace capsize::cli
