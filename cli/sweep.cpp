// capsize sweep: every member of a universe judged, and a certificate of what was found; or the
// certificates of its parts merged into one.
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>

#include "cli/command.hpp"
#include "cli/progress.hpp"
#include "cli/ranks.hpp"
#include "cli/sweep_compare.hpp"
#include "cli/sweep_report.hpp"
#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/universe.hpp"
#include "scenarios/formats/write_file.hpp"
#include "scenarios/sweep/checkpoint.hpp"
#include "scenarios/sweep/failures.hpp"
#include "scenarios/sweep/member_judge.hpp"

namespace capsize::cli {
namespace {

constexpr unsigned kSweepThreadsMax = 1024;
constexpr std::size_t kSweepLabel = 11;

constexpr const char* kSweepFooter =
    "exit status: 0 no law is broken, 1 some is, 2 bad input, 4 nothing was judged or the run was "
    "stopped\n"
    "one machine:   capsize sweep pr23972 --resume state.json --failures found\n"
    "by hand:       capsize sweep pr23972 --shard 1/2 --certificate 1.json   (and 2/2)\n"
    "               capsize sweep --merge 1.json 2.json --certificate all.json\n"
    "many machines: mpirun capsize sweep sglang-full";

struct SweepOptions {
  std::string universe;
  std::string where;
  std::string shard;
  std::string resume;
  std::string certificate;
  std::string failures;
  std::vector<std::string> merge;
  unsigned threads = 0;
  std::optional<std::uint64_t> member;
  std::string compare;  // how many members, or "all"
  std::optional<std::uint64_t> seed;
  bool json = false;
  bool quiet = false;
};

int report(const SweepOptions& options, Error error) {
  return fail(std::move(error), options.json);
}

// ---- signals ------------------------------------------------------------------------------------

std::atomic<bool> stop_asked = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only set such a flag");

std::atomic<std::int64_t> stop_asked_at = 0;
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

// The first signal lets chunks end and keeps the state. A later one ends the program at once; those
// that come with the first are its echoes (launchers signal a process and its group).
void ask_to_stop(int signal) {
  constexpr std::int64_t kEchoSeconds = 2;
  timespec now{};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  if (!stop_asked.exchange(true)) {
    stop_asked_at.store(now.tv_sec);
  } else if (now.tv_sec - stop_asked_at.load() >= kEchoSeconds) {
    (void)std::signal(signal, SIG_DFL);
    (void)std::raise(signal);
  }
}

void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = ask_to_stop;
  sigemptyset(&action.sa_mask);
  (void)sigaction(SIGINT, &action, nullptr);
  (void)sigaction(SIGTERM, &action, nullptr);
}

// ---- what is swept ------------------------------------------------------------------------------

struct Task {
  Universe universe;
  std::optional<Condition> where;
  Certificate certificate;
  std::string resume;  // this rank's checkpoint; empty: none
  unsigned threads = 1;
  bool taken_up = false;
};

// Whether a file can be written there, so that hours of work do not end at a wrong path.
Result<void> can_write(std::string_view option, const std::string& path) {
  if (path.empty()) return {};
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path parent = fs::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  const auto wrong = [&](std::string why) {
    return tl::unexpected(Error{std::string(option) + " " + path, std::move(why),
                                "name a file in a folder that can be written"});
  };
  if (fs::exists(path, ignored) && !fs::is_regular_file(path, ignored)) {
    return wrong("is not a plain file");
  }
  if (!fs::is_directory(folder, ignored)) return wrong("there is no folder " + folder);
  if (access(folder.c_str(), W_OK) != 0)
    return wrong("the folder " + folder + " cannot be written");
  return {};
}

Result<void> can_write_all(const SweepOptions& options) {
  return can_write("--certificate", options.certificate).and_then([&]() -> Result<void> {
    if (options.failures.empty()) return {};
    auto made = make_failures_folder(options.failures);
    if (!made) return tl::unexpected(std::move(made.error()).within("--failures"));
    return {};
  });
}

Result<Task> task_of(const SweepOptions& options, const Ranks* ranks) {
  auto universe = find_universe(options.universe);
  if (!universe) return tl::unexpected(std::move(universe.error()));
  Task task{.universe = *std::move(universe)};
  if (!options.where.empty()) {
    auto where = Condition::parse(options.where, task.universe.axes, task.universe.derived);
    if (!where) return tl::unexpected(std::move(where.error()).within("--where"));
    task.where = *std::move(where);
  }
  task.certificate = empty_certificate(task.universe, task.where, program());
  task.resume = options.resume;
  if (ranks != nullptr) {
    const auto index = static_cast<std::uint64_t>(ranks->rank()) + 1;
    task.certificate.shard = Shard{index, static_cast<std::uint64_t>(ranks->size())};
    if (!task.resume.empty()) task.resume += fmt::format(".{}-of-{}", index, ranks->size());
  } else if (!options.shard.empty()) {
    auto shard = read_shard(options.shard);
    if (!shard) return tl::unexpected(std::move(shard.error()));
    task.certificate.shard = *shard;
  }
  task.threads = options.threads != 0 ? options.threads : default_threads(ranks);
  if (auto can = can_write("--resume", task.resume); !can) return tl::unexpected(can.error());
  if (!task.resume.empty()) {
    auto taken = take_up(task.resume, task.certificate);
    if (!taken) return tl::unexpected(std::move(taken.error()));
    task.taken_up = *taken;
  }
  return task;
}

std::string sweep_line(std::string_view label, std::string_view text) {
  return fmt::format("{:<{}}{}\n", label, kSweepLabel, text);
}

// What was resolved, before the work begins.
std::string resolved(const Task& task, const Ranks* ranks) {
  const Universe& universe = task.universe;
  const Certificate& c = task.certificate;
  std::string out = sweep_line("universe", universe.name + ": " + universe.title);
  out += sweep_line("engine", universe.engine);
  std::string members = grouped(universe.members);
  if (ranks != nullptr) {
    members += fmt::format(", shared out to {} ranks", ranks->size());
  } else if (c.shard) {
    members += fmt::format(", shard {}/{}: {}", c.shard->index, c.shard->of,
                           c.range().count() == 0 ? "no member" : text_of(c.range()));
  }
  out += sweep_line("members", members);
  std::string axes;
  for (const Axis& axis : universe.axes) {
    axes += fmt::format("{}{} {}", axes.empty() ? "" : ", ", axis.name, axis.values.size());
  }
  out += sweep_line("axes", axes);
  if (!c.where.empty()) out += sweep_line("where", c.where);
  out += sweep_line("threads", ranks == nullptr ? std::to_string(task.threads)
                                                : fmt::format("{} a rank", task.threads));
  if (task.taken_up) {
    out +=
        sweep_line("resume", fmt::format("{} of {} members are done", grouped(c.state.done.count()),
                                         grouped(c.range().count())));
  }
  return out + "\n";
}

// ---- running ------------------------------------------------------------------------------------

// Members that differ on the last axes only share what is costly: chunks end where a block of them
// does. The judge cuts its blocks itself (split_axes in member_judge.cpp) and no longer than this:
// where the two bounds differ, only time is lost.
std::uint64_t block_of(const Universe& universe) {
  constexpr std::uint64_t kLongest = 1 << 16;
  std::uint64_t members = 1;
  for (std::size_t i = universe.axes.size(); i > 0; --i) {
    const std::uint64_t values = universe.axes[i - 1].values.size();
    if (members * values > kLongest) break;
    members *= values;
  }
  return members;
}

// Judges what is missing; whether all of it is done then.
Result<bool> judge_members(const SweepOptions& options, Task& task, bool silent) {
  Certificate& certificate = task.certificate;
  certificate.run = {.threads = task.threads};
  if (certificate.finished()) return true;
  Progress progress(!silent && !options.quiet, certificate.range().count());
  const std::uint64_t done_before = certificate.state.done.count();
  const auto begin = std::chrono::steady_clock::now();
  RunnerOptions runner{.range = certificate.range(), .threads = task.threads, .stop = &stop_asked};
  runner.alignment = block_of(task.universe);
  runner.progress = [&](std::uint64_t done, std::uint64_t by_this_run) {
    progress.show(done, by_this_run);
  };
  if (!task.resume.empty()) {
    runner.keep = [&](SweepState state) {
      Certificate kept = empty_certificate(task.universe, task.where, program());
      kept.shard = certificate.shard;
      kept.run = certificate.run;
      const auto took = std::chrono::steady_clock::now() - begin;
      kept.run.seconds = std::chrono::duration<double>(took).count();
      kept.state = std::move(state);
      kept.run.members = kept.state.done.count() - done_before;
      kept.count_distinct();
      return keep(task.resume, kept);
    };
  }
  const auto make_judge = [&] { return MemberJudge::make(task.universe, task.where); };
  auto outcome = run_sweep(runner, make_judge, certificate.state);
  if (!outcome) return tl::unexpected(std::move(outcome.error()));
  certificate.count_distinct();
  certificate.run.threads = outcome->threads;
  certificate.run.members = outcome->members;
  certificate.run.seconds = outcome->seconds;
  return outcome->finished;
}

std::string stopped_as_json(const Task& task) {
  const Certificate& c = task.certificate;
  const auto number = [](std::uint64_t count) { return static_cast<std::int64_t>(count); };
  JsonWriter out;
  out.begin_object().field("schema", std::int64_t{1}).field("verdict", "undecided");
  out.field("universe", c.universe.name).field("stopped", true);
  out.field("done", number(c.state.done.count())).field("members", number(c.range().count()));
  out.key("resume");
  task.resume.empty() ? out.null() : out.value(task.resume);
  out.end_object();
  return std::move(out).text() + "\n";
}

// A stopped run is no verdict. What it did is kept where --resume names a file.
int stopped(const SweepOptions& options, const Task& task) {
  const int status = exit_status(Verdict::undecided);
  if (options.json) return print(stopped_as_json(task)) ? status : kBadInput;
  const Certificate& c = task.certificate;
  std::string text = fmt::format("capsize: stopped after {} of {} members\n",
                                 grouped(c.state.done.count()), grouped(c.range().count()));
  if (options.resume.empty()) {
    text += "  way out: nothing was kept; --resume FILE keeps what is done\n";
  } else {
    text += "  way out: go on with the same line; " + task.resume + " holds what is done\n";
  }
  std::fputs(text.c_str(), stderr);
  return status;
}

std::string rate_line(const SweepRun& run) {
  if (run.members == 0) return "";
  return sweep_line(
      "speed", fmt::format("{} members in {:.1f} s by {} {}: {} a second", grouped(run.members),
                           run.seconds, run.threads, run.threads == 1 ? "thread" : "threads",
                           rounded(run.members_a_second())));
}

// The smallest failures as scenarios. Nothing where none are asked for.
Result<WrittenFailures> write_scenarios(const SweepOptions& options, const Certificate& certificate,
                                        const Universe* universe) {
  if (options.failures.empty() || universe == nullptr) return WrittenFailures{};
  auto failures = failures_of(*universe, certificate);
  if (!failures) return tl::unexpected(std::move(failures.error()));
  auto written = write_failures(options.failures, kSweepPrefix, *universe, *failures);
  if (!written) return tl::unexpected(std::move(written.error()).within("--failures"));
  return written;
}

std::string scenarios_line(const SweepOptions& options, const WrittenFailures& written) {
  std::string text;
  if (!written.files.empty()) {
    text = fmt::format("{} written; again: capsize scenarios run {}", written.files.size(),
                       shell_quoted(options.failures));
  }
  if (written.removed > 0) {
    text +=
        fmt::format("{}{} of an earlier sweep removed", text.empty() ? "" : "; ", written.removed);
  }
  return text.empty() ? "" : sweep_line("scenarios", text);
}

// Writes what was asked for, prints the certificate, and ends with its verdict. `universe` is
// needed for scenarios and for what a failing member shows. A result that took hours is printed
// even where a file cannot be written; the error comes behind it.
int conclude(const SweepOptions& options, const Certificate& certificate,
             const Universe* universe) {
  const std::string json = write_certificate(certificate);
  std::optional<Error> wrong;
  if (!options.certificate.empty()) {
    auto written = write_file_atomically(options.certificate, json);
    if (!written) wrong = std::move(written.error()).within("--certificate");
  }
  const auto scenarios = write_scenarios(options, certificate, universe);
  if (!scenarios && !wrong) wrong = scenarios.error();
  std::string text = json;
  if (!options.json) {
    const std::string& given =
        options.universe.empty() ? certificate.universe.name : options.universe;
    // A launcher's output may look like a terminal and is none.
    const bool colour = colour_wanted() && certificate.run.ranks == 1;
    std::string more = rate_line(certificate.run);
    if (scenarios) more += scenarios_line(options, *scenarios);
    text = render(certificate, {.given = given, .universe = universe, .more = more}, colour);
  }
  if (!print(text)) return kBadInput;
  return wrong ? fail(*wrong) : exit_status(summary_of(certificate).verdict);
}

int sweep_here(const SweepOptions& options) {
  auto task = task_of(options, nullptr);
  if (!task) return report(options, std::move(task.error()));
  if (auto can = can_write_all(options); !can) return report(options, std::move(can.error()));
  if (!options.json && !options.quiet && !print(resolved(*task, nullptr))) return kBadInput;
  stop_on_signals();
  const auto finished = judge_members(options, *task, false);
  if (!finished) return report(options, finished.error());
  if (!*finished) return stopped(options, *task);
  return conclude(options, task->certificate, &task->universe);
}

// ---- ranks --------------------------------------------------------------------------------------

// An error that one rank hit ends all of them; rank 0 tells it.
int end_of(const SweepOptions& options, const Ranks& ranks, Error error) {
  return ranks.rank() == 0 ? report(options, std::move(error)) : 0;
}

// Rank 0 has the parts of all and makes one certificate of them.
Result<Certificate> merged(const Ranks& ranks, const std::vector<std::string>& texts) {
  std::vector<NamedCertificate> parts;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string name = "rank " + std::to_string(i);
    auto part = read_certificate(texts[i]);
    if (!part) return tl::unexpected(std::move(part.error()).within(name));
    parts.push_back({name, *std::move(part)});
  }
  auto out = merge(parts);
  if (out) out->run.ranks = static_cast<std::uint64_t>(ranks.size());
  return out;
}

int sweep_as_rank(const SweepOptions& options, const Ranks& ranks) {
  const bool first = ranks.rank() == 0;
  Result<Task> task = task_of(options, &ranks);
  Result<void> ready;
  if (!task) {
    ready = tl::unexpected(task.error());
  } else if (first) {
    ready = can_write_all(options);
  }
  if (auto agreed = ranks.agree(ready); !agreed) return end_of(options, ranks, agreed.error());
  // Nobody judges for a reader that has gone away.
  const bool heading = first && !options.json && !options.quiet;
  const auto printed = ranks.broadcast(!heading || print(resolved(*task, &ranks)) ? 1 : 0);
  if (!printed) return end_of(options, ranks, printed.error());
  if (*printed == 0) return first ? kBadInput : 0;
  stop_on_signals();
  const auto finished = judge_members(options, *task, !first);
  if (!finished) ready = tl::unexpected(finished.error());
  if (auto agreed = ranks.agree(ready); !agreed) return end_of(options, ranks, agreed.error());
  const auto texts = ranks.gather(*finished ? write_certificate(task->certificate) : std::string());
  if (!texts) return end_of(options, ranks, texts.error());
  if (!first) return 0;
  for (const std::string& text : *texts) {
    if (text.empty()) return stopped(options, *task);
  }
  auto all = merged(ranks, *texts);
  if (!all) return report(options, std::move(all.error()));
  return conclude(options, *all, &task->universe);
}

// ---- merging ------------------------------------------------------------------------------------

int merge_files(const SweepOptions& options) {
  const bool sweeps = !options.where.empty() || !options.shard.empty() || !options.resume.empty() ||
                      options.threads != 0;
  if (sweeps) {
    return report(options, {"--merge", "nothing is swept where certificates are merged",
                            "leave --where, --shard, --resume and --threads out"});
  }
  std::vector<NamedCertificate> parts;
  for (const std::string& path : options.merge) {
    auto part = read_certificate_file(path);
    if (!part) return report(options, std::move(part.error()).within("--merge"));
    parts.push_back({path, *std::move(part)});
  }
  auto merged = merge(parts);
  if (!merged) return report(options, std::move(merged.error()));
  // Lines to paste and scenarios need the words of the universe, which a certificate has not.
  const std::string name = options.universe.empty() ? merged->universe.name : options.universe;
  auto universe = find_universe(name);
  const bool fits = universe && universe->digest == merged->universe.digest;
  if (!fits && (!options.failures.empty() || !options.universe.empty())) {
    const std::string text =
        universe ? "is not the universe of the certificates" : universe.error().text;
    return report(options, {universe ? name : universe.error().where, text,
                            "name the file that was swept: capsize sweep UNIVERSE --merge ..."});
  }
  if (auto can = can_write_all(options); !can) return report(options, std::move(can.error()));
  return conclude(options, *merged, fits ? &*universe : nullptr);
}

// ---- one member ---------------------------------------------------------------------------------

// The check that one member stands for, as `capsize check` tells it.
int check_member(const SweepOptions& options) {
  const bool sweeps = !options.where.empty() || !options.shard.empty() || !options.resume.empty() ||
                      !options.certificate.empty() || !options.failures.empty() ||
                      !options.merge.empty() || options.threads != 0;
  if (sweeps || options.universe.empty()) {
    return report(options, {"--member", "one member of a universe is checked, nothing is swept",
                            "capsize sweep UNIVERSE --member N, with --json or nothing else"});
  }
  auto universe = find_universe(options.universe);
  if (!universe) return report(options, std::move(universe.error()));
  if (*options.member >= universe->members) {
    return report(options,
                  {"--member", universe->name + " has no member " + std::to_string(*options.member),
                   "its members are numbered from 0 to " + std::to_string(universe->members - 1)});
  }
  const CheckResult result = check(request_of(*universe, *options.member));
  if (options.json) return print(to_json(result) + "\n") ? exit_status(result.verdict) : kBadInput;
  if (result.error) return fail(*result.error);
  std::vector<std::int32_t> choices(universe->axes.size());
  universe->unrank(*options.member, choices);
  std::string text = sweep_line("universe", universe->name + ": " + universe->title);
  text += sweep_line("member", fmt::format("{}: {}", *options.member, universe->text_of(choices)));
  text += "\n" + render(result, colour_wanted());
  return print(text) ? exit_status(result.verdict) : kBadInput;
}

// ---- both ways of judging -----------------------------------------------------------------------

int compare_members(const SweepOptions& options) {
  const bool sweeps = !options.shard.empty() || !options.resume.empty() ||
                      !options.certificate.empty() || !options.failures.empty() ||
                      !options.merge.empty() || options.member;
  if (sweeps || options.universe.empty()) {
    return report(options,
                  {"--compare", "two ways of judging are compared, nothing else is done",
                   "capsize sweep UNIVERSE --compare N, with --where, --seed, --threads, --json"});
  }
  ComparisonOptions comparison{.seed = options.seed.value_or(1)};
  comparison.threads = options.threads != 0 ? options.threads : default_threads(nullptr);
  const char* end = options.compare.data() + options.compare.size();
  const auto read = std::from_chars(options.compare.data(), end, comparison.members);
  const bool number = read.ec == std::errc{} && read.ptr == end && comparison.members > 0;
  if (!number && options.compare != "all") {
    return report(options, {"--compare", "\"" + options.compare + "\" is no number of members",
                            "give a number above 0, or all"});
  }
  const auto task = task_of(options, nullptr);
  if (!task) return report(options, task.error());
  return compare_and_tell(task->universe, task->where, comparison,
                          {.json = options.json, .quiet = options.quiet});
}

// What one process does by itself. A launcher starts several: the first does it, and says it.
int done_once(const SweepOptions& options, int (*work)(const SweepOptions&)) {
  const auto ranks = Ranks::join();
  const bool first = ranks ? *ranks == nullptr || (*ranks)->rank() == 0 : first_on_this_machine();
  return first ? work(options) : 0;
}

int refuse_seed(const SweepOptions& options) {
  return report(options, {"--seed", "draws the members of --compare, and nothing else is random",
                          "leave it out, or add --compare N"});
}

int refuse_no_universe(const SweepOptions& options) {
  return report(options,
                {"command line", "no universe is named",
                 "capsize sweep UNIVERSE; pr23972 and sglang-full are part of capsize, any "
                 "other is a file"});
}

int run_sweep_command(const SweepOptions& options) {
  if (options.seed && options.compare.empty()) return done_once(options, refuse_seed);
  if (!options.compare.empty()) return done_once(options, compare_members);
  if (options.member) return done_once(options, check_member);
  if (!options.merge.empty()) return done_once(options, merge_files);
  if (options.universe.empty()) return done_once(options, refuse_no_universe);
  auto ranks = Ranks::join();
  if (!ranks) return first_on_this_machine() ? report(options, ranks.error()) : kBadInput;
  if (*ranks == nullptr) return sweep_here(options);
  if (!options.shard.empty()) {
    return end_of(options, **ranks,
                  {"--shard", "the launcher's ranks share the universe out already",
                   "leave --shard out, or run without the launcher"});
  }
  return sweep_as_rank(options, **ranks);
}

}  // namespace

Run add_sweep(CLI::App& app) {
  auto options = std::make_shared<SweepOptions>();
  app.add_option("UNIVERSE", options->universe, "a universe of capsize, or a file");
  app.add_option("--member", options->member, "check one member, by its number, and no other");
  app.add_option("--compare", options->compare,
                 "judge N random members (or all) with and without memory, and compare");
  app.add_option("--seed", options->seed, "of the members that --compare draws (default 1)");
  app.add_option("--where", options->where, "judge only members for which this holds: \"tp <= 8\"");
  app.add_option("--threads", options->threads, "threads (default: one a processor)")
      ->check(CLI::Range(1U, kSweepThreadsMax));
  app.add_option("--shard", options->shard, "judge one of n equal parts: 1/3, 2/3 or 3/3");
  app.add_option("--resume", options->resume,
                 "keep what is done in this file, and go on from it where it exists");
  app.add_option("--certificate", options->certificate,
                 "write the certificate (JSON) to this file");
  app.add_option("--failures", options->failures,
                 "write the smallest failures as scenario files to this folder");
  app.add_option("--merge", options->merge, "merge the certificates of parts into one");
  app.add_flag("--json", options->json, "print JSON instead of text: the certificate");
  app.add_flag("--quiet", options->quiet, "no progress and no heading");
  app.footer(kSweepFooter);
  return [options] { return run_sweep_command(*options); };
}

}  // namespace capsize::cli
