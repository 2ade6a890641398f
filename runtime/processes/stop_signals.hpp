// The signals that would end this process, handled otherwise for a while.
#pragma once

#include <array>
#include <csignal>
#include <cstddef>

namespace capsize {

// While one of these lives, `handler` is called for them. Those that are ignored (nohup) stay so.
class StopSignals {
 public:
  explicit StopSignals(void (*handler)(int)) {
    for (std::size_t i = 0; i < kStops.size(); ++i) {
      struct sigaction action {};
      action.sa_handler = handler;
      (void)sigaction(kStops.at(i), nullptr, &before_.at(i));
      if (before_.at(i).sa_handler != SIG_IGN) (void)sigaction(kStops.at(i), &action, nullptr);
    }
  }
  ~StopSignals() {
    for (std::size_t i = 0; i < kStops.size(); ++i) {
      (void)sigaction(kStops.at(i), &before_.at(i), nullptr);
    }
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  static constexpr std::array kStops = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kStops.size()> before_{};
};

}  // namespace capsize
