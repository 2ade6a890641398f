#include "runtime/processes/board.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "runtime/processes/processes.hpp"

namespace capsize {
namespace {

constexpr std::size_t kWords = 8;
using Words = std::array<std::uint64_t, kWords>;

// The small fields share the first word.
Words pack(const Posting& posting) {
  const auto byte = [](auto value) { return std::uint64_t{static_cast<std::uint8_t>(value)}; };
  return {byte(posting.phase) | byte(posting.mode) << 8U | byte(posting.kind) << 16U |
              byte(posting.family) << 24U |
              std::uint64_t{static_cast<std::uint32_t>(posting.group)} << 32U,
          std::bit_cast<std::uint64_t>(posting.job),
          std::bit_cast<std::uint64_t>(posting.event),
          std::bit_cast<std::uint64_t>(posting.op),
          std::bit_cast<std::uint64_t>(posting.layer),
          std::bit_cast<std::uint64_t>(posting.rows),
          std::bit_cast<std::uint64_t>(posting.rows_out),
          std::bit_cast<std::uint64_t>(posting.sequence)};
}

Posting unpack(const Words& words) {
  const auto byte = [&](unsigned at) { return static_cast<std::uint8_t>(words[0] >> at); };
  const auto number = [&](std::size_t at) { return std::bit_cast<std::int64_t>(words.at(at)); };
  return {.phase = static_cast<RankPhase>(byte(0)),
          .job = number(1),
          .event = number(2),
          .mode = static_cast<PlanEventKind>(byte(8)),
          .op = number(3),
          .kind = static_cast<PlanOpKind>(byte(16)),
          .layer = number(4),
          .family = static_cast<std::int8_t>(byte(24)),
          .group = static_cast<std::int32_t>(words[0] >> 32U),
          .rows = number(5),
          .rows_out = number(6),
          .sequence = number(7)};
}

}  // namespace

// Two places for postings: the number of those so far says which one is shown.
struct alignas(64) Board::Slot {
  std::atomic<std::uint64_t> posted = 0;
  std::atomic<pid_t> pid = 0;
  std::atomic<std::uint64_t> started_at = 0;
  std::atomic<bool> told_to_stop = false;
  std::array<std::array<std::atomic<std::uint64_t>, kWords>, 2> words{};
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
                  std::atomic<bool>::is_always_lock_free,
              "memory that processes share, and signal handlers write, holds no locks");

// ---- the memory -------------------------------------------------------------------------------

Result<Board> Board::map(int descriptor, int ranks) {
  const std::size_t bytes = sizeof(Slot) * static_cast<std::size_t>(ranks);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) {
    const std::string why = std::strerror(errno);
    close(descriptor);
    return tl::unexpected(
        Error{"board", "the ranks' board cannot be mapped: " + why, "free some memory"});
  }
  return Board(descriptor, memory, bytes, ranks);
}

Result<Board> Board::create(int ranks) {
  const int descriptor = memfd_create("capsize-board", MFD_CLOEXEC);
  const auto bytes = static_cast<off_t>(sizeof(Slot) * static_cast<std::size_t>(ranks));
  if (descriptor < 0 || ftruncate(descriptor, bytes) != 0) {
    const std::string why = std::strerror(errno);
    if (descriptor >= 0) close(descriptor);
    return tl::unexpected(
        Error{"board", "no shared memory for the ranks' board: " + why, "free some memory"});
  }
  Result<Board> out = map(descriptor, ranks);
  for (int rank = 0; out && rank < ranks; ++rank) {
    new (static_cast<Slot*>(out->memory_) + rank) Slot;
  }
  return out;
}

Result<Board> Board::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat about {};
  if (descriptor < 0 || fstat(descriptor, &about) != 0 || about.st_size <= 0 ||
      about.st_size % static_cast<off_t>(sizeof(Slot)) != 0) {
    const std::string why = descriptor < 0 ? std::strerror(errno) : "it is no board";
    if (descriptor >= 0) close(descriptor);
    return tl::unexpected(Error{"--board", path + " cannot be opened: " + why,
                                "ranks are started by capsize run, whose board it must be"});
  }
  return map(descriptor, static_cast<int>(about.st_size / static_cast<off_t>(sizeof(Slot))));
}

Board::Board(Board&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      memory_(std::exchange(other.memory_, nullptr)),
      bytes_(other.bytes_),
      ranks_(other.ranks_) {}

Board::~Board() {
  if (memory_ != nullptr) munmap(memory_, bytes_);
  if (descriptor_ >= 0) close(descriptor_);
}

std::string Board::path() const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(descriptor_);
}

Board::Slot& Board::slot(int rank) const { return static_cast<Slot*>(memory_)[rank]; }

// ---- reading and writing ------------------------------------------------------------------------

BoardView Board::view(int rank) const {
  const Slot& from = slot(rank);
  BoardView out;
  out.process.pid = from.pid.load(std::memory_order_acquire);
  out.process.started_at = from.started_at.load(std::memory_order_relaxed);
  out.told_to_stop = from.told_to_stop.load(std::memory_order_relaxed);
  // The place that is shown is not written again before another one is: where the number is still
  // the same behind the reading, what was read is whole.
  for (;;) {
    out.progress = from.posted.load(std::memory_order_acquire);
    Words words{};
    for (std::size_t i = 0; i < kWords; ++i) {
      words.at(i) = from.words.at(out.progress % 2).at(i).load(std::memory_order_relaxed);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (from.posted.load(std::memory_order_relaxed) != out.progress) continue;
    if (out.progress > 0) out.posting = unpack(words);
    return out;
  }
}

BoardWriter::BoardWriter(const Board& board, int rank) : slot_(board.slot(rank)) {}

void BoardWriter::attach() {
  slot_.started_at.store(start_of_process(getpid()).value_or(0), std::memory_order_relaxed);
  slot_.pid.store(getpid(), std::memory_order_release);
}

void BoardWriter::post(const Posting& posting) {
  last_ = posting;
  const std::uint64_t number = slot_.posted.load(std::memory_order_relaxed) + 1;
  // Whoever sees a word of this posting sees that the place was given up before.
  std::atomic_thread_fence(std::memory_order_release);
  const Words words = pack(posting);
  auto& place = slot_.words[number % 2];
  for (std::size_t i = 0; i < kWords; ++i) place[i].store(words[i], std::memory_order_relaxed);
  slot_.posted.store(number, std::memory_order_release);
}

void BoardWriter::enter(RankPhase phase) {
  Posting posting = last_;
  posting.phase = phase;
  post(posting);
}

void BoardWriter::told_to_stop() { slot_.told_to_stop.store(true, std::memory_order_relaxed); }

// ---- the executor's steps -----------------------------------------------------------------------

void BoardWatcher::begin_event(std::int32_t event, const PlanEvent& what) {
  writer_.post(
      {.phase = RankPhase::runs, .job = writer_.last().job, .event = event, .mode = what.kind});
}

void BoardWatcher::step(const Step& step) {
  const PlanEventKind mode = step.mode == "capture"  ? PlanEventKind::capture
                             : step.mode == "replay" ? PlanEventKind::replay
                                                     : PlanEventKind::eager;
  writer_.post({.phase = step.group >= 0 ? RankPhase::waits : RankPhase::runs,
                .job = writer_.last().job,
                .event = step.event,
                .mode = mode,
                .op = step.op,
                .kind = step.kind,
                .layer = step.layer,
                .family = step.family.index,
                .group = step.group,
                .rows = step.rows_in,
                .rows_out = step.rows_out,
                .sequence = step.sequence});
}

void BoardWatcher::end_event(const EventObservation& /*seen*/) { writer_.enter(RankPhase::runs); }

}  // namespace capsize
