// arc4random over getrandom, for programs that run where glibc is older than 2.36:
// std::random_device of a libstdc++ that was built beside a newer one asks for it (CAPSIZE_PORTABLE
// links this).
#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

extern "C" std::uint32_t arc4random() noexcept {
  std::uint32_t out = 0;
  // Four bytes are never given in part; a signal may only come before the first.
  while (getrandom(&out, sizeof out, 0) != static_cast<ssize_t>(sizeof out)) {
    if (errno != EINTR) std::abort();
  }
  return out;
}
