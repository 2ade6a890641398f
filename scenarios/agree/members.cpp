#include "scenarios/agree/members.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "runtime/replays.hpp"
#include "scenarios/agree/parallel.hpp"
#include "scenarios/formats/plan.hpp"
#include "scenarios/sweep/member_judge.hpp"
#include "sim/content_hash.hpp"
#include "sim/lowering.hpp"

namespace capsize {
namespace {

bool is_known(const CapturePath& path) {
  return path.enabled && path.undecided.empty() && path.step != nullptr;
}

// The sizes that a path captures, each once.
std::set<std::int64_t> sizes_of(const CapturePath& path) {
  std::set<std::int64_t> out(path.kept.begin(), path.kept.end());
  out.erase(out.begin(), out.lower_bound(1));
  return out;
}

// Paths and rows of the graphs that a plan captures or warms up for.
std::set<std::pair<std::string, std::int64_t>> executed_by(const Lifecycle& plan) {
  std::set<std::pair<std::string, std::int64_t>> out;
  for (const PlanEvent& event : plan.events) {
    if (event.kind != PlanEventKind::warm_up && event.kind != PlanEventKind::capture) continue;
    for (const Program& program : event.programs) {
      if (program.bucket) out.emplace(event.path, *program.bucket);
    }
  }
  return out;
}

std::string first_of(const std::vector<std::string>& texts) {
  return texts.empty() ? std::string() : texts.front();
}

// The check of a member, and what keeps it from being executed.
AgreeMember looked_at(const CheckResult& result, std::uint64_t number) {
  AgreeMember out{.number = number};
  if (result.error) {
    out.fate = MemberFate::broken;
    out.error = result.error;
  } else if (const auto& refusal = result.plan.refusal) {
    out.fate = MemberFate::refused;
    out.why = refusal->text.value_or(refusal->rule);
  } else if (!result.plan.undecided.empty() || result.plan.deployment.topology == nullptr) {
    out.fate = MemberFate::undecided;
    out.why = first_of(result.plan.undecided);
  } else {
    const auto known = std::ranges::find_if(result.plan.captures.paths, is_known);
    if (known != result.plan.captures.paths.end()) return out;
    out.fate = MemberFate::without_graphs;
    for (const CapturePath& path : result.plan.captures.paths) {
      if (path.undecided.empty() || !path.enabled) continue;
      out.fate = MemberFate::undecided;
      out.why = path.undecided;
    }
  }
  return out;
}

AgreeMember planned(const Universe& universe, std::uint64_t number, const AgreeOptions& options) {
  const CheckResult result = check(request_of(universe, number));
  AgreeMember out = looked_at(result, number);
  if (out.fate != MemberFate::executed) return out;
  const RunJob job = job_of(result.plan, options.run);
  const auto executed = executed_by(job.plan);
  for (PredictedSize& each : predictions_of(result.plan, options.judge)) {
    if (!each.judged) {
      ++out.unjudged;
    } else if (executed.contains({each.path, each.rows})) {
      out.sizes.push_back(std::move(each));
    } else {
      ++out.left_out;
    }
  }
  if (out.sizes.empty()) out.fate = MemberFate::without_graphs;
  out.ranks = job.plan.world;
  for (const PredictedSize& each : out.sizes) {
    out.weight += static_cast<std::uint64_t>(each.rows) * static_cast<std::uint64_t>(out.ranks);
  }
  out.content = ContentHash().add(write_plan(job.plan)).value();
  return out;
}

}  // namespace

std::vector<PredictedSize> predictions_of(const EnginePlan& plan, const SizeJudge& judge) {
  const auto judge_one = [&](const Subject& subject, const CapturePath& path) {
    return judge ? judge(subject, path) : find_law("divisible")->check_path(subject, path);
  };
  std::vector<PredictedSize> out;
  CapturePlan captures = plan.captures;
  for (std::size_t place = 0; place < captures.paths.size(); ++place) {
    CapturePath& path = captures.paths[place];
    if (!is_known(path)) continue;
    for (const std::int64_t size : sizes_of(path)) {
      path.kept = {size};
      StartUp start_up;
      for (const StartUpEvent& event : plan.start_up.events) {
        if (event.path == place && event.size == size) start_up.events.push_back(event);
      }
      const Finding finding = judge_one({.captures = captures, .start_up = start_up}, path);
      const bool fails = finding.verdict == LawVerdict::violation;
      out.push_back({std::string(path.name), size, path.tokens_of(size).value,
                     fails ? finding.symptom : Symptom::none,
                     fails || finding.verdict == LawVerdict::pass});
    }
    path.kept = plan.captures.paths[place].kept;
  }
  return out;
}

RunJob job_of(const EnginePlan& plan, const RunOptions& options) {
  RunJob out{lower(plan.deployment, plan.captures, plan.start_up), options};
  add_replays(out.plan, options);
  return out;
}

RunJob job_of_member(const Universe& universe, std::uint64_t number, const RunOptions& options) {
  return job_of(check(request_of(universe, number)).plan, options);
}

AgreePlan plan_agreement(const Universe& universe, std::span<const MemberChoices> rows,
                         const AgreeOptions& options) {
  AgreePlan out;
  out.members.resize(rows.size());
  std::mutex mutex;
  std::size_t done = 0;
  in_parallel(rows.size(), options.threads, [&](std::size_t place, unsigned) {
    out.members[place] = planned(universe, universe.rank(rows[place]), options);
    const std::lock_guard lock(mutex);
    if (options.progress) options.progress(++done);
  });
  std::map<std::uint64_t, std::size_t> known;  // jobs by their content
  for (std::size_t place = 0; place < out.members.size(); ++place) {
    AgreeMember& member = out.members[place];
    if (member.fate != MemberFate::executed) continue;
    const auto [job, is_new] = known.try_emplace(member.content, out.jobs.size());
    if (is_new) out.jobs.push_back(place);
    member.job = job->second;
  }
  return out;
}

}  // namespace capsize
