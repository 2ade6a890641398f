#include "scenarios/run/mpi_run.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "runtime/processes/given_up.hpp"
#include "runtime/processes/run_folder.hpp"
#include "runtime/processes/supervisor.hpp"
#include "runtime/processes/wavefront.hpp"
#include "scenarios/formats/run_trace.hpp"
#include "scenarios/run/rank_lines.hpp"
#include "sim/timeline.hpp"

namespace capsize {
namespace {

// Of one job, what a rank has told in one start.
struct RankTold {
  Observation seen;
  std::vector<EventObservation> failed;  // events that it had no agreement on
  std::optional<Error> error;
  bool done = false;
};

// Of each job that a start came to, by rank.
using Told = std::map<std::size_t, std::map<std::int64_t, RankTold>>;

void take_line(RankLine&& line, std::int64_t rank, Told& told) {
  RankTold& mine = told[static_cast<std::size_t>(line.job)][rank];
  switch (line.what) {
    case RankTells::error: mine.error = std::move(line.error); return;
    case RankTells::failed:
      for (EventObservation& event : line.observation.events) {
        mine.failed.push_back(std::move(event));
      }
      return;
    case RankTells::seen:
      mine.failed.clear();
      merge(mine.seen, line.observation);
      break;
    case RankTells::done:
      mine.seen.elements = line.observation.elements;
      mine.seen.nonzero = line.observation.nonzero;
      mine.done = true;
      break;
  }
  mine.seen.backend = line.observation.backend;
  mine.seen.world = line.observation.world;
  mine.seen.ranks = line.observation.ranks;
  mine.seen.mathematics = line.observation.mathematics;
}

class Runner {
 public:
  Runner(std::span<const RunJob> jobs, const MpiRunOptions& options)
      : jobs_(jobs), options_(options) {
    for (const RunJob& job : jobs) {
      lines_.push_back(write_run_job(job) + "\n");
      given_up_.push_back(job.given_up);
      world_ = std::max(world_, job.plan.world);
    }
  }

  Result<MpiRun> run() {
    auto folder = RunFolder::create();
    if (!folder) return tl::unexpected(std::move(folder.error()));
    folder_ = std::move(*folder);
    if (!options_.trace.empty()) {
      auto trace = MergedTrace::create(options_.trace);
      if (!trace) return tl::unexpected(std::move(trace.error()).within("--trace"));
      trace_ = *std::move(trace);
    }
    while (out_.seen.size() < jobs_.size() && out_.interrupted == 0) {
      if (auto started = start(); !started) return tl::unexpected(std::move(started.error()));
      if (options_.progress) options_.progress(out_.seen.size());
    }
    if (trace_ != nullptr && out_.interrupted == 0) {
      if (auto kept = trace_->finish(); !kept) {
        return tl::unexpected(std::move(kept.error()).within("--trace"));
      }
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::size_t first() const { return out_.seen.size(); }

  // Starts the ranks once, from the first job that has no observation.
  Result<void> start() {
    const std::string results = folder_->path() + "/start-" + std::to_string(++out_.starts);
    const std::string file = folder_->path() + "/jobs.jsonl";
    std::error_code error;
    std::filesystem::create_directory(results, error);
    std::ofstream to(file, std::ios::binary | std::ios::trunc);
    for (const std::string& line : lines_) to << line;
    if (error || !to.flush()) {
      return tl::unexpected(
          Error{folder_->path(), "the jobs cannot be written there", "free some disk space"});
    }
    auto board = Board::create(static_cast<int>(world_));
    if (!board) return tl::unexpected(std::move(board.error()));
    std::vector<std::string> arguments = {
        options_.program, "rank",  "--board", board->path(),          "--jobs", file,
        "--results",      results, "--first", std::to_string(first())};
    if (trace_ != nullptr) arguments.emplace_back("--trace");
    const LaunchEnd end = supervise({.ranks = static_cast<int>(world_),
                                     .arguments = std::move(arguments),
                                     .folder = folder_->path(),
                                     .deadline = options_.deadline,
                                     .start_deadline = options_.start_deadline},
                                    *board);
    Told told;
    if (auto read = read_results(results, told); !read) return read;
    for (std::int64_t rank = 0; trace_ != nullptr && rank < world_; ++rank) {
      trace_->add(trace_file(results, rank));
    }
    std::filesystem::remove_all(results, error);
    return judge(end, told);
  }

  // A line that its rank did not finish is none.
  Result<void> read_results(const std::string& results, Told& told) const {
    for (std::int64_t rank = 0; rank < world_; ++rank) {
      std::ifstream from(rank_file(results, rank), std::ios::binary);
      for (std::string text; std::getline(from, text) && !from.eof();) {
        auto line = read_rank_line(text);
        if (!line) {
          return tl::unexpected(std::move(line.error()).within("rank " + std::to_string(rank)));
        }
        if (static_cast<std::size_t>(line->job) < jobs_.size()) {
          take_line(*std::move(line), rank, told);
        }
      }
    }
    return {};
  }

  // ---- what a start came to ---------------------------------------------------------------------

  Result<void> judge(const LaunchEnd& end, const Told& told) {
    using How = LaunchEnd::How;
    const std::size_t before = first();
    while (first() < jobs_.size()) {
      auto done = done_by_all(first(), told);
      if (!done) break;
      conclude(*std::move(done));
    }
    if (end.how == How::interrupted) {
      out_.interrupted = end.signal;
      return {};
    }
    if (first() == jobs_.size()) return {};
    if (end.how == How::not_started) return tl::unexpected(error_of(end));
    const auto at = standstill_of(end.ranks);
    const bool here = at && static_cast<std::size_t>(at->job) == first();
    const bool told_of = end.how == How::hang || (end.how == How::died && end.rank >= 0);
    if (here && at->event >= 0 && told_of) {
      take_hang(end, *at, told);
      return {};
    }
    // Nothing says which event it was. Once more may be worth it, but not without any progress.
    if (first() > before) return {};
    conclude(tl::unexpected(error_of(end)));
    return {};
  }

  // The job is over; what hung in it is nothing of the next.
  void conclude(Result<Observation>&& seen) {
    out_.seen.push_back(std::move(seen));
    hung_.clear();
  }

  // An observation or an error; none where a rank is not through with the job.
  std::optional<Result<Observation>> done_by_all(std::size_t job, const Told& told) {
    const auto of_job = told.find(job);
    if (of_job == told.end()) return std::nullopt;
    for (const auto& [rank, mine] : of_job->second) {
      if (mine.error) return Result<Observation>(tl::unexpected(*mine.error));
    }
    const auto done =
        std::ranges::count_if(of_job->second, [](const auto& each) { return each.second.done; });
    if (done != jobs_[job].plan.world) return std::nullopt;
    return observation_of(job, of_job->second);
  }

  // What all ranks have told of a job, and of its events that did not end.
  Observation observation_of(std::size_t job, const std::map<std::int64_t, RankTold>& told) {
    Observation out{.backend = "mpi", .world = jobs_[job].plan.world};
    out.apart = out.world > 1;
    for (const auto& [rank, mine] : told) {
      out.mathematics = out.mathematics || mine.seen.mathematics;
      merge(out, mine.seen);
    }
    if (given_up_[job].empty()) return out;
    const Timeline timeline(jobs_[job].plan);
    Lifecycle plan = jobs_[job].plan;
    for (const std::int32_t event : give_up(plan, given_up_[job])) {
      EventObservation& seen = event_of(out, timeline, event);
      seen = blank_event(timeline.events()[static_cast<std::size_t>(event)]);
      seen.skipped = true;
    }
    for (const EventObservation& hung : hung_) event_of(out, timeline, hung.event) = hung;
    std::ranges::sort(out.events, {}, &EventObservation::event);
    return out;
  }

  static EventObservation& event_of(Observation& seen, const Timeline& timeline,
                                    std::int32_t event) {
    const auto found = std::ranges::find(seen.events, event, &EventObservation::event);
    if (found != seen.events.end()) return *found;
    return seen.events.emplace_back(
        blank_event(timeline.events()[static_cast<std::size_t>(event)]));
  }

  // The first event that did not end. Where a rank had failed in it before, the others wait because
  // of that: it is told as that failure. A rank that died is told of as such.
  void take_hang(const LaunchEnd& end, const Standstill& at, const Told& told) {
    const std::size_t job = first();
    EventObservation hung = hang_of(jobs_[job].plan, at, end.ranks, end.rank);
    if (end.how == LaunchEnd::How::died) {
      hung.text = end.text + "; " + hung.text;
      if (!end.output.empty()) hung.text += "; they printed: " + end.output;
    }
    if (const auto of_job = told.find(job); of_job != told.end()) {
      for (const auto& [rank, mine] : of_job->second) {
        for (const EventObservation& failed : mine.failed) {
          if (failed.event == hung.event && hung.symptom == Symptom::hang)
            take_failure(hung, failed);
        }
      }
    }
    hung_.push_back(hung);
    given_up_[job].push_back(hung.event);
    if (std::ssize(hung_) >= options_.hangs_max) {
      give_up_rest(job, told);
      return;
    }
    RunJob again{jobs_[job].plan, jobs_[job].options, given_up_[job]};
    lines_[job] = write_run_job(again) + "\n";
  }

  static void take_failure(EventObservation& hung, const EventObservation& failed) {
    hung.symptom = failed.symptom;
    hung.place = failed.place;
    hung.text = failed.text;
    hung.mismatches = failed.mismatches;
  }

  // The job is not started again: what has been seen of it is all there is.
  void give_up_rest(std::size_t job, const Told& told) {
    const auto& events = jobs_[job].plan.events;
    for (auto event = hung_.back().event + 1; event < std::ssize(events); ++event) {
      if (!events[static_cast<std::size_t>(event)].programs.empty()) {
        given_up_[job].push_back(event);
      }
    }
    const auto of_job = told.find(job);
    conclude(observation_of(
        job, of_job == told.end() ? std::map<std::int64_t, RankTold>{} : of_job->second));
  }

  static Error error_of(const LaunchEnd& end) {
    std::string text = end.text.empty() ? "the ranks ended before they were through" : end.text;
    if (!end.output.empty()) text += "; they printed: " + end.output;
    return Error{"mpi", std::move(text), end.hint};
  }

  std::span<const RunJob> jobs_;
  const MpiRunOptions& options_;
  std::vector<std::string> lines_;
  std::vector<std::vector<std::int32_t>> given_up_;  // by job
  std::vector<EventObservation> hung_;               // of the job that is under way
  std::int64_t world_ = 1;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<MergedTrace> trace_;
  MpiRun out_;
};

}  // namespace

Result<MpiRun> run_on_mpi(std::span<const RunJob> jobs, const MpiRunOptions& options) {
  return Runner(jobs, options).run();
}

}  // namespace capsize
