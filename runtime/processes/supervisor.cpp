#include "runtime/processes/supervisor.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "runtime/processes/processes.hpp"
#include "runtime/processes/stop_signals.hpp"

namespace capsize {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{5};
// A launcher tells within this time how a rank ended, and ends itself when all are through.
constexpr std::chrono::seconds kLauncherDeadline{3};
constexpr std::chrono::milliseconds kFailureDeadline = std::chrono::seconds(2);
constexpr std::size_t kOutputKept = 4096;

// ---- signals ----------------------------------------------------------------------------------

std::atomic<int> caught = 0;
static_assert(std::atomic<int>::is_always_lock_free);

void remember(int signal) { caught = signal; }

// While one of these lives, processes whose parent has died become children of this one, so that
// nothing of them is left behind where nobody else asks for them (containers).
class Subreaper {
 public:
  Subreaper() {
    (void)prctl(PR_GET_CHILD_SUBREAPER, &before_);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  ~Subreaper() { (void)prctl(PR_SET_CHILD_SUBREAPER, before_); }
  Subreaper(const Subreaper&) = delete;
  Subreaper& operator=(const Subreaper&) = delete;

 private:
  int before_ = 0;
};

// ---- words --------------------------------------------------------------------------------------

std::string ended_by(int signal) {
  return "was ended by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
}

std::string in_seconds(std::chrono::milliseconds time) {
  const std::int64_t tenths = time.count() / 100;
  std::string out = std::to_string(tenths / 10);
  if (tenths % 10 != 0) out += "." + std::to_string(tenths % 10);
  return out + " s";
}

// ---- one launch ---------------------------------------------------------------------------------

class Supervision {
 public:
  Supervision(const Launch& launch, const Board& board) : launch_(launch), board_(board) {
    progress_.assign(static_cast<std::size_t>(launch.ranks), 0);
  }
  ~Supervision() {
    if (output_ >= 0) close(output_);
  }
  Supervision(const Supervision&) = delete;
  Supervision& operator=(const Supervision&) = delete;

  LaunchEnd run() {
    caught = 0;
    const StopSignals signals(remember);  // they are looked at between two looks at the ranks
    const Subreaper subreaper;
    auto started =
        start_launcher(launch_.ranks, launch_.arguments, launch_.folder, launch_.through);
    if (!started) {
      end_ = {.how = LaunchEnd::How::not_started,
              .text = std::move(started.error().text),
              .hint = std::move(started.error().hint)};
      return end_;
    }
    launcher_ = started->pid;
    output_ = started->output;
    begun_ = changed_ = Clock::now();
    while (!judge()) read_output(kLook);
    end_.ranks = views_;
    kill_all();
    end_.output = output_text_;
    return end_;
  }

 private:
  // ---- watching ----

  // Waits for output, and keeps the end of it.
  void read_output(std::chrono::milliseconds limit) {
    pollfd ready{.fd = output_, .events = POLLIN};
    if (output_ < 0 || poll(&ready, 1, static_cast<int>(limit.count())) <= 0) {
      if (output_ < 0) std::this_thread::sleep_for(limit);
      return;
    }
    std::array<char, 4096> part{};
    const ssize_t size = read(output_, part.data(), part.size());
    if (size <= 0) {
      close(std::exchange(output_, -1));
      return;
    }
    output_text_.append(part.data(), static_cast<std::size_t>(size));
    if (output_text_.size() > kOutputKept) {
      output_text_.erase(0, output_text_.size() - kOutputKept);
    }
  }

  void look() {
    const auto now = Clock::now();
    views_.clear();
    for (int rank = 0; rank < launch_.ranks; ++rank) {
      const BoardView view = board_.view(rank);
      auto& before = progress_[static_cast<std::size_t>(rank)];
      if (view.progress != before) changed_ = now;
      before = view.progress;
      views_.push_back(view);
    }
    int status = 0;
    if (!ended_ && waitpid(launcher_, &status, WNOHANG) == launcher_) {
      ended_ = now;
      status_ = status;
    }
    if (!dead_) find_dead(now);
  }

  // The first rank that is gone without having said that it is through or having been told to go.
  void find_dead(Clock::time_point now) {
    for (int rank = 0; rank < launch_.ranks; ++rank) {
      const BoardView& view = views_[static_cast<std::size_t>(rank)];
      const ProcessId& process = view.process;
      if (process.pid == 0 || view.posting.phase == RankPhase::finished) continue;
      if (start_of_process(process.pid) == process.started_at) continue;
      // What it said last stands there by now.
      const BoardView last = board_.view(rank);
      if (last.told_to_stop || last.posting.phase == RankPhase::finished) continue;
      dead_ = rank;
      dead_since_ = now;
      return;
    }
  }

  [[nodiscard]] bool all_in(RankPhase phase) const {
    return std::ranges::all_of(views_,
                               [&](const BoardView& view) { return view.posting.phase == phase; });
  }

  [[nodiscard]] std::optional<int> first_in(std::initializer_list<RankPhase> phases) const {
    for (int rank = 0; rank < launch_.ranks; ++rank) {
      const RankPhase phase = views_[static_cast<std::size_t>(rank)].posting.phase;
      if (std::ranges::find(phases, phase) != phases.end()) return rank;
    }
    return std::nullopt;
  }

  // ---- deciding ----

  // Whether it is over; how, stands in end_ then.
  bool judge() {
    const int signal = caught;
    look();
    const auto now = Clock::now();
    if (signal != 0) {
      end_ = {.how = LaunchEnd::How::interrupted, .signal = signal};
      end_.text = std::string("it was interrupted (") + strsignal(signal) + ")";
      return true;
    }
    if (ended_) return judge_ended();
    if (dead_ && now - dead_since_ > kLauncherDeadline) return tell_dead();
    if (dead_) return false;
    const auto absent = first_in({RankPhase::absent});
    if (absent) return now - begun_ > launch_.start_deadline && tell_absent(*absent);
    const auto quiet = now - changed_;
    if (all_in(RankPhase::finished)) return quiet > kLauncherDeadline;
    if (quiet <= patience()) return false;
    const bool works = first_in({RankPhase::runs, RankPhase::idle}).has_value();
    if (works && quiet <= launch_.work_deadline) return false;
    end_.how = LaunchEnd::How::hang;
    end_.text = "no rank has gone on for " + in_seconds(works ? launch_.work_deadline : patience());
    return true;
  }

  // Where a rank has failed, its peers wait for one that will not come: that takes no longer to
  // know.
  [[nodiscard]] std::chrono::milliseconds patience() const {
    const bool failed = first_in({RankPhase::failed}).has_value();
    return failed ? std::min(launch_.deadline, kFailureDeadline) : launch_.deadline;
  }

  // The launcher has ended: well, or because a rank has died, or because it could not start them.
  bool judge_ended() {
    read_rest();
    if (WIFEXITED(status_) && WEXITSTATUS(status_) == 0 && all_in(RankPhase::finished)) return true;
    if (WIFSIGNALED(status_)) {
      end_ = {.how = LaunchEnd::How::died, .signal = WTERMSIG(status_)};
      end_.text = std::string(name_of(launch_.through)) + " " + ended_by(end_.signal);
      return true;
    }
    const auto absent = first_in({RankPhase::absent});
    const bool any = std::ranges::any_of(views_, [](const BoardView& v) { return v.progress > 0; });
    if (dead_ && any) return tell_dead();
    if (absent) return tell_absent(dead_.value_or(*absent));
    return tell_dead();
  }

  bool tell_dead() {
    end_ = {.how = LaunchEnd::How::died, .rank = dead_.value_or(-1)};
    const std::string who = dead_ ? "rank " + std::to_string(*dead_) : std::string("a rank");
    const int status = ended_ ? WEXITSTATUS(status_) : -1;
    if (status > 128) {
      end_.signal = status - 128;
      end_.text = who + " " + ended_by(end_.signal);
    } else {
      end_.status = std::max(status, 0);
      end_.text = who + (status < 0 ? std::string(" is gone")
                                    : " ended with status " + std::to_string(status) +
                                          " before it was through");
    }
    return true;
  }

  bool tell_absent(int rank) {
    end_ = {.how = LaunchEnd::How::not_started, .rank = rank};
    const auto silent =
        std::ranges::find(views_, 0, [](const BoardView& view) { return view.process.pid; });
    // Ranks come up together: the others wait for the one that is not even a process yet.
    if (!ended_ && silent != views_.end())
      end_.rank = rank = static_cast<int>(silent - views_.begin());
    const bool none =
        std::ranges::all_of(views_, [](const BoardView& view) { return view.process.pid == 0; });
    if (ended_) {
      end_.text = "the ranks could not be started: " + std::string(name_of(launch_.through)) +
                  " ended with status " + std::to_string(WEXITSTATUS(status_));
    } else {
      end_.text =
          (none ? std::string("no rank has") : "rank " + std::to_string(rank) + " has not") +
          " come up within " + in_seconds(launch_.start_deadline);
    }
    end_.hint = "what the launcher printed says more";
    return true;
  }

  // ---- ending ----

  void read_rest() {
    for (int i = 0; i < 64 && output_ >= 0; ++i) read_output(std::chrono::milliseconds(1));
  }

  // The ranks that have reported and whatever the launcher has started beside them, each only while
  // it is that very process; then the launcher, with its group. It is halted before, so that it
  // starts nothing more.
  void kill_all() {
    read_rest();
    std::vector<ProcessId> ours;
    if (!ended_) {
      (void)kill(launcher_, SIGSTOP);
      ours = descendants_of(launcher_);
    }
    for (int rank = 0; rank < launch_.ranks; ++rank) ours.push_back(board_.view(rank).process);
    for (const ProcessId& each : ours) (void)signal_process(each, SIGKILL);
    if (!ended_) {
      (void)kill(-launcher_, SIGKILL);
      while (waitpid(launcher_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    const auto limit = Clock::now() + kLauncherDeadline;
    while (any_left(ours) && Clock::now() < limit) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::error_code ignored;
    std::filesystem::remove_all(launch_.folder + "/mpi", ignored);
  }

  // Those whose launcher is gone are this process' children by now (Subreaper).
  static bool any_left(const std::vector<ProcessId>& processes) {
    bool any = false;
    for (const ProcessId& each : processes) {
      if (each.pid <= 0) continue;
      any = signal_process(each, SIGKILL) || any;
      (void)waitpid(each.pid, nullptr, WNOHANG);
    }
    return any;
  }

  const Launch& launch_;
  const Board& board_;
  LaunchEnd end_;
  pid_t launcher_ = -1;
  int output_ = -1;
  std::string output_text_;
  std::vector<BoardView> views_;
  std::vector<std::uint64_t> progress_;
  Clock::time_point begun_;
  Clock::time_point changed_;  // when a rank last posted
  std::optional<int> dead_;
  Clock::time_point dead_since_;
  std::optional<Clock::time_point> ended_;  // the launcher
  int status_ = 0;
};

}  // namespace

LaunchEnd supervise(const Launch& launch, const Board& board) {
  return Supervision(launch, board).run();
}

}  // namespace capsize
