#include "cli/job_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "cli/ranks.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/sweep/runner.hpp"

namespace capsize::cli {
namespace {

// Adds `count` jobs, or fewer where there is not so much to do.
void add_jobs(JobMatrix& out, const AgreePlan& plan, const MatrixJob& like, std::size_t count) {
  const RankBounds& ranks = like.part.ranks;
  const auto in_bounds = static_cast<std::size_t>(std::ranges::count_if(
      plan.members, [&](const AgreeMember& member) { return ranks.hold(member); }));
  if (in_bounds == 0) return;
  std::vector<PartSize> sizes;
  // Members that execute the same stay together: there may be fewer shares than members.
  for (count = std::min(count, in_bounds); count > 0; --count) {
    sizes = sizes_of_parts(plan, parts_of(plan, ranks, count), count);
    if (std::ranges::all_of(sizes, [](const PartSize& size) { return size.members > 0; })) break;
  }
  for (std::size_t i = 0; i < count; ++i) {
    MatrixJob& job = out.jobs.emplace_back(like);
    job.part.number = i + 1;
    job.part.of = count;
    job.size = sizes[i];
  }
}

// The name of a universe, or of its file.
std::string short_name(const std::string& universe) {
  std::string out = std::filesystem::path(universe).stem().string();
  std::ranges::replace_if(
      out, [](unsigned char c) { return std::isalnum(c) == 0; }, '-');
  return out;
}

std::vector<std::string> arguments_of(const MatrixJob& job, const JobMatrix& matrix,
                                      const std::string& universe, std::size_t strength,
                                      const std::string& where) {
  std::vector<std::string> out = {
      "agree",     universe,    "--strength", std::to_string(strength),
      "--backend", job.backend, "--part",     fmt::format("{}/{}", job.part.number, job.part.of)};
  const auto add = [&out](const char* option, std::string value) {
    out.emplace_back(option);
    out.push_back(std::move(value));
  };
  const RankBounds& ranks = job.part.ranks;
  if (ranks.at_least > 0) add("--ranks-min", std::to_string(ranks.at_least));
  if (ranks.at_most) add("--ranks-max", std::to_string(*ranks.at_most));
  if (!where.empty()) add("--where", where);
  if (matrix.rows_max) add("--rows-max", std::to_string(*matrix.rows_max));
  return out;
}

}  // namespace

JobMatrix job_matrix_of(const Universe& universe, std::span<const MemberChoices> rows,
                        const JobMatrixOptions& options) {
  AgreeOptions agree;
  agree.run.rows_max = options.rows_max;
  agree.threads = default_threads(nullptr);
  const AgreePlan plan = plan_agreement(universe, rows, agree);
  JobMatrix out;
  out.rows_max = options.rows_max;
  MatrixJob emulated{.backend = "emulated"};
  if (options.gpus > 1) {
    MatrixJob real{.backend = "nccl", .gpus = options.gpus};
    real.part.ranks.at_most = options.gpus;
    emulated.part.ranks.at_least = options.gpus + 1;
    add_jobs(out, plan, real, options.jobs);
  }
  add_jobs(out, plan, emulated, options.jobs);
  return out;
}

std::string job_matrix_json(const JobMatrix& matrix, const std::string& universe,
                            std::size_t strength, const std::string& where) {
  JsonWriter out;
  out.begin_object().key("include").begin_array();
  for (const MatrixJob& job : matrix.jobs) {
    const std::string id = fmt::format("{}-t{}-{}-{}-of-{}", short_name(universe), strength,
                                       job.backend, job.part.number, job.part.of);
    out.next_line().begin_object().field("id", std::string_view(id));
    out.field("gpus", static_cast<std::int64_t>(job.gpus));
    out.field("members", static_cast<std::int64_t>(job.size.members));
    out.field("executed", static_cast<std::int64_t>(job.size.executed));
    out.field("lifecycles", static_cast<std::int64_t>(job.size.jobs));
    out.field("weight", static_cast<std::int64_t>(job.size.weight));
    out.key("arguments").array(arguments_of(job, matrix, universe, strength, where));
    out.end_object();
  }
  return std::move(out.end_array().end_object()).text() + "\n";
}

}  // namespace capsize::cli
