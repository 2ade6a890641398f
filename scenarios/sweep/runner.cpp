// Threads that take chunks, and one that waits for them, shows progress and keeps the state. Where
// the machine has no thread or no memory left, the library throws; it is caught here.
#include "scenarios/sweep/runner.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace capsize {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick{100};
// A chunk is long enough that adding its tally does not count, and short enough that a stop is not
// waited for.
constexpr milliseconds kChunkTime{200};
constexpr std::uint64_t kFirstChunk = 256;
constexpr std::uint64_t kGrowth = 8;  // a first chunk fills the judge's memory and is no measure
constexpr int kKeepShare = 20;

class SweepRunner {
 public:
  SweepRunner(const RunnerOptions& options, const JudgeFactory& make_judge, SweepState& state)
      : options_(options), make_judge_(make_judge), state_(state) {
    missing_ = state.done.missing(options.range);
    for (const MemberRange& range : missing_) to_do_ += range.count();
    done_before_ = options.range.count() - to_do_;
  }

  Result<RunnerOutcome> run() {
    const Clock::time_point begin = Clock::now();
    std::vector<std::thread> workers = start();
    if (workers.empty()) work(0);  // then nobody watches
    watch();
    for (std::thread& worker : workers) worker.join();
    show();
    if (!failed_) keep(Clock::now());
    if (out_of_memory_) {
      return tl::unexpected(Error{"--threads", "the memory does not suffice for what they remember",
                                  "ask for fewer threads, or lift the limit on memory"});
    }
    if (error_) return tl::unexpected(*std::move(error_));
    return RunnerOutcome{.finished = done_ == to_do_,
                         .members = done_,
                         .kept = kept_,
                         .threads = working_,
                         .seconds = std::chrono::duration<double>(Clock::now() - begin).count()};
  }

 private:
  // As many threads as are wanted and as the machine starts. Where a limit on threads or memory
  // ends that, half of those that were started end again: a thread needs room beside its stack.
  std::vector<std::thread> start() {
    const unsigned wanted = std::max(1U, options_.threads);
    std::vector<std::thread> workers;
    workers.reserve(wanted);
    const std::lock_guard lock(mutex_);  // nobody works before all are counted
    working_ = wanted;
    while (workers.size() < wanted) {
      try {
        workers.emplace_back(
            [this, index = static_cast<unsigned>(workers.size())] { work(index); });
      } catch (const std::exception&) {  // no thread, or no memory for one
        working_ = std::max(1U, static_cast<unsigned>(workers.size()) / 2);
        break;
      }
    }
    running_ = working_;
    return workers;
  }

  [[nodiscard]] bool stopped() const {
    return failed_ || (options_.stop != nullptr && options_.stop->load());
  }

  // The next chunk of what is missing; none where nothing is left or the run is stopped.
  std::optional<MemberRange> take(std::uint64_t length) {
    const std::lock_guard lock(mutex_);
    if (stopped() || missing_at_ == missing_.size()) return std::nullopt;
    if (options_.stop_after != 0 && given_out_ >= options_.stop_after) return std::nullopt;
    MemberRange& rest = missing_[missing_at_];
    const std::uint64_t last = rest.first + std::min(length, rest.count());
    MemberRange chunk{rest.first, last};
    const std::uint64_t aligned = last - last % std::max<std::uint64_t>(1, options_.alignment);
    if (options_.chunk == 0 && last != rest.last && aligned > chunk.first) chunk.last = aligned;
    rest.first = chunk.last;
    if (rest.count() == 0) ++missing_at_;
    given_out_ += chunk.count();
    return chunk;
  }

  void add(const MemberRange& chunk, const Tally& tally) {
    const std::lock_guard lock(mutex_);
    try {
      state_.tally.add(tally);
      (void)state_.done.add(chunk);  // it was missing
      done_ += chunk.count();
    } catch (const std::bad_alloc&) {
      no_memory();  // while nobody else sees a state that holds half of the chunk
    }
  }

  void no_memory() {
    out_of_memory_ = true;
    failed_ = true;
  }

  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    failed_ = true;
  }

  void work(unsigned index) {
    {
      const std::lock_guard lock(mutex_);
      if (index >= working_) return;
    }
    try {
      judge_chunks();
    } catch (const std::bad_alloc&) {
      no_memory();
    }
    const std::lock_guard lock(mutex_);
    --running_;
    ended_.notify_one();
  }

  void judge_chunks() {
    auto judge = make_judge_();
    if (!judge) fail(std::move(judge.error()));
    std::uint64_t length = options_.chunk != 0 ? options_.chunk : kFirstChunk;
    while (judge) {
      const auto chunk = take(length);
      if (!chunk) break;
      const Clock::time_point begin = Clock::now();
      Tally tally;
      (*judge)->run(chunk->first, chunk->last, tally);
      add(*chunk, tally);
      if (options_.chunk == 0) length = next_length(chunk->count(), Clock::now() - begin);
    }
  }

  static std::uint64_t next_length(std::uint64_t length, Clock::duration took) {
    const double share =
        std::chrono::duration<double>(kChunkTime) /
        std::max<std::chrono::duration<double>>(took, std::chrono::microseconds(1));
    const double growth = std::clamp(share, 1.0 / kGrowth, double{kGrowth});
    return std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(static_cast<double>(length) * growth));
  }

  // Until every thread has ended.
  void watch() {
    // At once for the first time: a file that cannot be written is better told now.
    Clock::time_point keep_at = Clock::now();
    std::unique_lock lock(mutex_);
    while (!ended_.wait_for(lock, kTick, [this] { return running_ == 0; })) {
      lock.unlock();
      show();
      if (const auto now = Clock::now(); now >= keep_at && !failed_) keep_at = keep(now);
      lock.lock();
    }
  }

  void show() {
    if (!options_.progress) return;
    std::uint64_t done = 0;
    {
      const std::lock_guard lock(mutex_);
      done = done_;
    }
    options_.progress(done_before_ + done, done);
  }

  Result<void> keep_copy() {
    SweepState copy;
    {
      const std::lock_guard lock(mutex_);
      if (failed_) return {};
      copy = state_;
    }
    return options_.keep(std::move(copy));
  }

  // Keeps a copy of the state; the time at which to keep it again.
  Clock::time_point keep(Clock::time_point begin) {
    if (!options_.keep) return Clock::time_point::max();
    try {
      auto kept = keep_copy();
      if (!kept) fail(std::move(kept.error()));
    } catch (const std::bad_alloc&) {
      no_memory();
    }
    if (failed_) return Clock::time_point::max();
    ++kept_;
    const Clock::time_point now = Clock::now();
    return now + std::max<Clock::duration>(options_.keep_every, (now - begin) * kKeepShare);
  }

  const RunnerOptions& options_;
  const JudgeFactory& make_judge_;
  SweepState& state_;  // guarded, as all below
  std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<MemberRange> missing_;
  std::size_t missing_at_ = 0;
  std::uint64_t to_do_ = 0;
  std::uint64_t done_before_ = 0;
  std::uint64_t given_out_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t kept_ = 0;
  unsigned working_ = 0;  // threads that judge
  unsigned running_ = 0;  // those of them that have not ended
  std::optional<Error> error_;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> out_of_memory_ = false;
};

}  // namespace

Result<RunnerOutcome> run_sweep(const RunnerOptions& options, const JudgeFactory& make_judge,
                                SweepState& state) {
  return SweepRunner(options, make_judge, state).run();
}

}  // namespace capsize
