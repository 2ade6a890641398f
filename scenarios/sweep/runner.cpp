// Threads that take chunks, and one that waits for them, shows progress and keeps the state.
#include "scenarios/sweep/runner.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
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
    const unsigned threads = std::max(1U, options_.threads);
    running_ = threads;
    std::vector<std::thread> workers;
    for (unsigned i = 0; i < threads; ++i) workers.emplace_back([this] { work(); });
    watch();
    for (std::thread& worker : workers) worker.join();
    show();
    if (!error_) keep(Clock::now());
    if (error_) return tl::unexpected(*std::move(error_));
    return RunnerOutcome{.finished = done_ == to_do_,
                         .members = done_,
                         .kept = kept_,
                         .seconds = std::chrono::duration<double>(Clock::now() - begin).count()};
  }

 private:
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
    state_.tally.add(tally);
    (void)state_.done.add(chunk);  // it was missing
    done_ += chunk.count();
  }

  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    failed_ = true;
  }

  void work() {
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
    const std::lock_guard lock(mutex_);
    --running_;
    ended_.notify_one();
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

  // Keeps a copy of the state; the time at which to keep it again.
  Clock::time_point keep(Clock::time_point begin) {
    if (!options_.keep) return Clock::time_point::max();
    SweepState copy;
    {
      const std::lock_guard lock(mutex_);
      copy = state_;
    }
    auto kept = options_.keep(std::move(copy));
    if (!kept) {
      fail(std::move(kept.error()));
      return Clock::time_point::max();
    }
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
  unsigned running_ = 0;
  std::optional<Error> error_;
  std::atomic<bool> failed_ = false;
};

}  // namespace

Result<RunnerOutcome> run_sweep(const RunnerOptions& options, const JudgeFactory& make_judge,
                                SweepState& state) {
  return SweepRunner(options, make_judge, state).run();
}

}  // namespace capsize
