// capsize rank: one rank of a run whose ranks are processes. Started by mpirun, which `capsize run`
// and `capsize agree` start; nobody calls it by hand.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <memory>

#include "cli/command.hpp"
#include "runtime/processes/given_up.hpp"
#include "runtime/processes/rank_process.hpp"
#include "scenarios/formats/run_job.hpp"
#include "scenarios/formats/run_trace.hpp"
#include "scenarios/run/rank_lines.hpp"

namespace capsize::cli {
namespace {

struct RankOptions {
  std::string board;
  std::string jobs;
  std::string results;
  std::int64_t first = 0;
  bool trace = false;
};

// The file of this rank's lines. Each is written at once: what a rank has told is there when it
// dies.
class LineFile {
 public:
  explicit LineFile(const std::string& path)
      : path_(path),
        descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {}
  ~LineFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  void add(const RankLine& line) {
    const std::string text = write_rank_line(line);
    std::string_view rest = text;
    while (!rest.empty() && descriptor_ >= 0) {
      const ssize_t written = write(descriptor_, rest.data(), rest.size());
      if (written <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (!rest.empty()) broken_ = true;
  }
  [[nodiscard]] Result<void> state() const {
    if (descriptor_ >= 0 && !broken_) return {};
    return tl::unexpected(Error{path_, "cannot be written", "free some disk space"});
  }

 private:
  std::string path_;
  int descriptor_;
  bool broken_ = false;
};

// Posts every step on the board, and tells of every event as it ends.
class Teller : public Watcher {
 public:
  Teller(BoardWriter& board, LineFile& lines) : board_(board), lines_(lines) {}
  void begin_job(std::int64_t job, Observation&& about) {
    job_ = job;
    about_ = std::move(about);
  }
  void trace(Watcher* trace) { trace_ = trace; }
  void begin_event(std::int32_t event, const PlanEvent& what) override {
    board_.begin_event(event, what);
    if (trace_ != nullptr) trace_->begin_event(event, what);
  }
  void step(const Step& step) override {
    board_.step(step);
    if (trace_ != nullptr) trace_->step(step);
  }
  void before_agreement(const EventObservation& seen) override {
    if (seen.symptom != Symptom::none) tell(RankTells::failed, seen);
  }
  void end_event(const EventObservation& seen) override {
    tell(RankTells::seen, seen);
    board_.end_event(seen);
  }

 private:
  void tell(RankTells what, const EventObservation& seen) {
    RankLine line{.job = job_, .what = what, .observation = about_};
    line.observation.events.push_back(seen);
    lines_.add(line);
  }

  BoardWatcher board_;
  LineFile& lines_;
  Watcher* trace_ = nullptr;
  std::int64_t job_ = 0;
  Observation about_;
};

class RankWorker {
 public:
  RankWorker(RankProcess& process, LineFile& lines)
      : process_(process), lines_(lines), teller_(process.board(), lines) {}

  Result<void> run(const RankOptions& options) {
    std::ifstream from(options.jobs, std::ios::binary);
    if (!from) return tl::unexpected(Error{options.jobs, std::strerror(errno), "name a file"});
    std::string line;
    for (std::int64_t job = 0; std::getline(from, line); ++job) {
      if (job < options.first) continue;
      process_.board().post({.phase = RankPhase::runs, .job = job});
      auto read = read_run_job(line);
      if (!read) return tl::unexpected(std::move(read.error()).within(options.jobs));
      if (process_.backend().rank() >= read->plan.world) continue;
      auto traced = run_job(job, *std::move(read), options);
      if (!traced) return traced;
      if (auto state = lines_.state(); !state) return state;
    }
    return {};
  }

 private:
  Result<void> run_job(std::int64_t number, RunJob&& job, const RankOptions& options) {
    (void)give_up(job.plan, job.given_up);
    std::unique_ptr<RunTrace> trace;
    if (options.trace) {
      auto made = RunTrace::create(trace_file(options.results, process_.backend().rank()), job.plan,
                                   RunTrace::Lines::at_once);
      if (!made) return tl::unexpected(std::move(made.error()));
      trace = *std::move(made);
    }
    teller_.trace(trace.get());
    Observation about{.backend = std::string(process_.backend().name()),
                      .world = job.plan.world,
                      .ranks = process_.backend().ranks(job.plan.world),
                      .mathematics = !job.plan.layers.empty()};
    teller_.begin_job(number, std::move(about));
    auto seen = execute(job.plan, job.options, process_.backend(), &teller_, &context_);
    RankLine line{.job = number};
    if (seen) {
      line.observation = *std::move(seen);
      line.observation.events.clear();  // told already
    } else {
      line.what = RankTells::error;
      line.error = std::move(seen.error());
    }
    lines_.add(line);
    teller_.trace(nullptr);
    return trace == nullptr ? Result<void>() : trace->finish();
  }

  RankProcess& process_;
  LineFile& lines_;
  Teller teller_;
  RunContext context_;
};

int run_rank(const RankOptions& options) {
  auto process = RankProcess::start(options.board);
  if (!process) return fail(process.error());
  LineFile lines(rank_file(options.results, (*process)->backend().rank()));
  if (auto state = lines.state(); !state) return fail(state.error());
  auto ran = RankWorker(**process, lines).run(options);
  // Leaving MPI in order would wait for the others, who wait for this one.
  if (!ran) _exit(fail(ran.error()));
  (*process)->finish();
  return 0;
}

}  // namespace

Run add_rank(CLI::App& app) {
  auto options = std::make_shared<RankOptions>();
  app.group("");  // not for people
  app.add_option("--board", options->board, "the board of the process that started the ranks")
      ->required();
  app.add_option("--jobs", options->jobs, "what to execute, a JSON line each")->required();
  app.add_option("--results", options->results, "the folder of what each rank tells")->required();
  app.add_option("--first", options->first, "the first job that is executed");
  app.add_flag("--trace", options->trace, "every operation is told, too, in the same folder");
  return [options] { return run_rank(*options); };
}

}  // namespace capsize::cli
