// Progress on a terminal: one line on standard error, written again and again. Where standard error
// is no terminal nothing is written.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace capsize::cli {

// "1 min 20 s", "3 h 5 min", "12 s".
[[nodiscard]] std::string text_of_seconds(std::uint64_t seconds);
// "12 345 678": for people.
[[nodiscard]] std::string grouped(std::uint64_t number);
// "21.4 million", "312 000", "980".
[[nodiscard]] std::string rounded(std::uint64_t number);

class Progress {
 public:
  // `whole` members; shown where standard error is a terminal and `wanted`.
  Progress(bool wanted, std::uint64_t whole);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of them, `by_this_run` since this object was made.
  void show(std::uint64_t done, std::uint64_t by_this_run);
  void clear();

 private:
  std::uint64_t whole_;
  bool shown_;
  bool written_ = false;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace capsize::cli
