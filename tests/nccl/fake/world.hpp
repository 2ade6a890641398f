// What the processes of the fake share, and how they come together: communicators.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "runtime/nccl/table.hpp"

namespace fake_nccl {

using capsize::NcclStatus;

inline constexpr int kRanksMax = 8;
inline constexpr std::size_t kMessageMax = 4096;
inline constexpr std::size_t kRing = 4;  // messages that a receiver need not have read
inline constexpr std::size_t kSplitsMax = 64;

// ---- what processes share -----------------------------------------------------------------------

// Written by one rank and read by one other.
struct Mailbox {
  struct Message {
    std::size_t bytes = 0;
    std::array<char, kMessageMax> data{};
  };
  std::atomic<std::uint64_t> written = 0;
  std::atomic<std::uint64_t> read = 0;
  std::array<Message, kRing> ring{};
};

struct Split {
  std::atomic<int> entered = 0;
  std::array<std::atomic<int>, kRanksMax> color{};
  std::array<std::atomic<int>, kRanksMax> key{};
};

// A file of zeros is one that nobody has entered.
struct Shared {
  std::atomic<int> attached = 0;
  std::atomic<int> finalizing = 0;
  std::array<Split, kSplitsMax> splits{};
  std::array<std::array<Mailbox, kRanksMax>, kRanksMax> box{};  // from, to
};

// ---- this process -------------------------------------------------------------------------------

inline std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

inline void note(const std::string& line) {
  const std::string rank = variable("FAKE_NCCL_RANK");
  if (rank.empty()) return;
  std::FILE* file = std::fopen((variable("FAKE_NCCL_FOLDER") + "/calls-" + rank).c_str(), "ae");
  if (file == nullptr) return;
  (void)std::fputs((line + "\n").c_str(), file);
  (void)std::fclose(file);
}

inline void pause_a_little() { std::this_thread::sleep_for(std::chrono::microseconds(50)); }

inline std::atomic<int> graphs = 0;  // that are alive and use a communicator

}  // namespace fake_nccl

// It stands for NCCL's own type.
struct capsize::NcclCommunicator {
  std::string name;
  int rank = 0;
  int ranks = 1;
  fake_nccl::Shared* shared = nullptr;
  enum class Doing { starts, splits, finalizes, nothing, failed } doing = Doing::starts;
  std::size_t splits = 0;  // calls of split so far
  capsize::NcclCommunicator** child = nullptr;
  std::string trouble;
};

namespace fake_nccl {

using Communicator = capsize::NcclCommunicator;
using Doing = Communicator::Doing;

inline Communicator* attach(const std::string& name, int ranks, int rank) {
  auto out = std::make_unique<Communicator>();
  out->name = name;
  out->rank = rank;
  out->ranks = ranks;
  const std::string file = variable("FAKE_NCCL_FOLDER") + "/fake-" + name;
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0 || ftruncate(descriptor, sizeof(Shared)) != 0) return nullptr;
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (memory == MAP_FAILED) return nullptr;
  out->shared = static_cast<Shared*>(memory);
  out->shared->attached.fetch_add(1);
  return out.release();
}

inline void detach(Communicator* communicator) {
  (void)munmap(communicator->shared, sizeof(Shared));
  delete communicator;
}

// The child of the last split, when all ranks have said what they want.
inline void try_split(Communicator& parent) {
  Split& split = parent.shared->splits.at(parent.splits - 1);
  if (split.entered.load() != parent.ranks) return;
  parent.doing = Doing::nothing;
  const auto mine = static_cast<std::size_t>(parent.rank);
  const int color = split.color.at(mine).load();
  if (color == capsize::kNcclNoColor) return;
  int before = 0;
  int all = 0;
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(parent.ranks); ++rank) {
    if (split.color.at(rank).load() != color) continue;
    ++all;
    const int key = split.key.at(rank).load();
    const int own = split.key.at(mine).load();
    if (key < own || (key == own && rank < mine)) ++before;
  }
  *parent.child =
      attach(parent.name + "." + std::to_string(parent.splits - 1) + "c" + std::to_string(color),
             all, before);
}

inline NcclStatus state_of(Communicator& communicator) {
  switch (communicator.doing) {
    case Doing::starts:
      if (communicator.shared->attached.load() == communicator.ranks) {
        communicator.doing = Doing::nothing;
      }
      break;
    case Doing::splits: try_split(communicator); break;
    case Doing::finalizes:
      if (communicator.shared->finalizing.load() == communicator.ranks) {
        communicator.doing = Doing::nothing;
      }
      break;
    case Doing::nothing: break;
    case Doing::failed: return NcclStatus::remote_error;
  }
  if (communicator.doing == Doing::nothing) return NcclStatus::success;
  pause_a_little();
  return NcclStatus::in_progress;
}

}  // namespace fake_nccl
