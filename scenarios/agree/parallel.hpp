// The same work on many things by several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace capsize {

// Calls work(index, thread) once for every index below `count`; threads take the next index as they
// become free. Where the machine starts no more threads, those that run share the work.
template <class Work>
void in_parallel(std::size_t count, unsigned threads, const Work& work) {
  std::atomic<std::size_t> next = 0;
  const auto take = [&](unsigned thread) {
    for (std::size_t index = next++; index < count; index = next++) work(index, thread);
  };
  std::vector<std::thread> others;
  try {
    for (unsigned i = 1; i < threads && i < count; ++i) others.emplace_back(take, i);
  } catch (const std::system_error&) {
    // What has been started, and this thread, do it all.
  }
  take(0);
  for (std::thread& other : others) other.join();
}

}  // namespace capsize
