// capsize matrix: few members of a universe that between them hold every combination of values of
// any t axes. What is printed has been checked by a count that shares nothing with the making.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/command.hpp"
#include "cli/job_matrix.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/universe.hpp"
#include "sim/covering.hpp"

namespace capsize::cli {
namespace {

struct MatrixOptions {
  std::string universe;
  std::size_t strength = 2;
  std::string where;
  JobMatrixOptions jobs;
  bool json = false;
};

struct Matrix {
  Universe universe;
  CoveringRequest request;
  CoveringArray array;
  Coverage coverage;
};

Result<Matrix> matrix_of(const MatrixOptions& options) {
  auto universe = find_universe(options.universe);
  if (!universe) return tl::unexpected(std::move(universe.error()));
  Matrix out{*std::move(universe), {.strength = options.strength}, {}, {}};
  if (!options.where.empty()) {
    auto where = Condition::parse(options.where, out.universe.axes, out.universe.derived);
    if (!where) return tl::unexpected(std::move(where.error()).within("--where"));
    out.request.where = *std::move(where);
  }
  auto array = covering_array(out.universe, out.request);
  if (!array) return tl::unexpected(std::move(array.error()));
  out.array = *std::move(array);
  auto coverage = coverage_of(out.universe, out.request, out.array.rows);
  if (!coverage) return tl::unexpected(std::move(coverage.error()));
  out.coverage = *std::move(coverage);
  return out;
}

const std::string& value_name(const Matrix& matrix, const MemberChoices& row, std::size_t axis) {
  return matrix.universe.axes[axis].values[static_cast<std::size_t>(row[axis])].name;
}

// What the table is for, behind it as every command's verdict.
std::string verdict_of(const Matrix& matrix, const MatrixOptions& options) {
  const std::size_t rows = matrix.array.rows.size();
  return fmt::format("PASS  {}: every combination of any {} that a member holds is in {}\n",
                     matrix.universe.name,
                     options.strength == 1 ? "axis" : fmt::format("{} axes", options.strength),
                     rows == 1 ? "a row" : fmt::format("one of {} rows", rows));
}

std::string text_of(const Matrix& matrix, const MatrixOptions& options) {
  const Universe& universe = matrix.universe;
  const Coverage& coverage = matrix.coverage;
  std::string out = fmt::format("# {}: {}\n", universe.name, universe.title);
  if (!options.where.empty()) out += fmt::format("# where {}\n", options.where);
  out += fmt::format("# {} rows hold {} of {} combinations of {} {} (100 %, counted)\n",
                     matrix.array.rows.size(), coverage.covered, coverage.combinations,
                     options.strength, options.strength == 1 ? "axis" : "axes");
  out += fmt::format("# {} more combinations are no member's (proved)\n", coverage.infeasible);
  const std::string last = std::to_string(universe.members - 1);
  const std::size_t first_width = std::max(last.size(), std::size_t{6});
  std::vector<std::size_t> widths;
  std::string head = fmt::format("# {:>{}}", "member", first_width);
  for (const Axis& axis : universe.axes) {
    std::size_t width = axis.name.size();
    for (const AxisValue& each : axis.values) width = std::max(width, each.name.size());
    widths.push_back(width);
    head += fmt::format("  {:>{}}", axis.name, width);
  }
  out += head + "\n";
  for (const MemberChoices& row : matrix.array.rows) {
    out += fmt::format("  {:>{}}", universe.rank(row), first_width);
    for (std::size_t axis = 0; axis < widths.size(); ++axis) {
      out += fmt::format("  {:>{}}", value_name(matrix, row, axis), widths[axis]);
    }
    out += "\n";
  }
  return out + verdict_of(matrix, options);
}

std::string json_of(const Matrix& matrix, const MatrixOptions& options) {
  const Universe& universe = matrix.universe;
  JsonWriter out;
  out.begin_object().field("schema", std::int64_t{1}).field("universe", universe.name);
  out.field("digest", fmt::format("{:016x}", universe.digest));
  out.field("strength", static_cast<std::int64_t>(options.strength));
  out.key("where");
  options.where.empty() ? out.null() : out.value(options.where);
  out.field("combinations", static_cast<std::int64_t>(matrix.coverage.combinations));
  out.field("covered", static_cast<std::int64_t>(matrix.coverage.covered));
  out.field("infeasible", static_cast<std::int64_t>(matrix.coverage.infeasible));
  out.key("axes").begin_array();
  for (const Axis& axis : universe.axes) {
    out.begin_object().field("axis", axis.name).key("values").begin_array();
    for (const AxisValue& each : axis.values) out.value(each.name);
    out.end_array().end_object();
  }
  out.end_array().key("rows").begin_array();
  for (const MemberChoices& row : matrix.array.rows) {
    // A member's number may need 63 bits, more than many readers of JSON keep: it is text.
    out.next_line().begin_object().field("member", std::to_string(universe.rank(row)));
    out.key("values").begin_array();
    for (std::size_t axis = 0; axis < row.size(); ++axis) {
      out.value(value_name(matrix, row, axis));
    }
    out.end_array().end_object();
  }
  out.end_array().end_object();
  return std::move(out).text() + "\n";
}

int run(const MatrixOptions& options) {
  auto matrix = matrix_of(options);
  if (!matrix) return fail(std::move(matrix.error()), options.json);
  if (!matrix->coverage.complete()) {
    Error error{"matrix", "the rows do not cover what they should: a fault of capsize",
                "report it with this command line"};
    return fail(std::move(error), options.json);
  }
  if (options.jobs.gpus != 0) {
    const JobMatrix jobs = job_matrix_of(matrix->universe, matrix->array.rows, options.jobs);
    return print(job_matrix_json(jobs, options.universe, options.strength, options.where))
               ? 0
               : kBadInput;
  }
  return print(options.json ? json_of(*matrix, options) : text_of(*matrix, options)) ? 0
                                                                                     : kBadInput;
}

}  // namespace

Run add_matrix(CLI::App& app) {
  auto options = std::make_shared<MatrixOptions>();
  app.add_option("UNIVERSE", options->universe, "a universe file, or one that is part of capsize")
      ->required();
  app.add_option("--strength", options->strength,
                 "t: every combination of values of any t axes is in a row (default 2)");
  app.add_option("--where", options->where, "only members that meet this condition");
  app.add_option("--gpus", options->jobs.gpus,
                 "print the jobs that execute the rows on machines with so many GPUs, as a CI "
                 "service's job matrix reads them")
      ->check(CLI::Range(1, kJobGpusMax));
  app.add_option("--jobs", options->jobs.jobs, "how many jobs, with --gpus (default 4)")
      ->check(CLI::Range(std::size_t{1}, kJobsMax));
  app.add_option("--rows-max", options->jobs.rows_max,
                 "with --gpus: leave sizes above this many rows a rank out")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 32));
  app.add_flag("--json", options->json, "one JSON object instead of a table");
  app.footer(
      "exit status: 0 every combination is covered, 2 bad input\n"
      "example: capsize matrix pr23972 --strength 2 --where \"tp <= 8\"\n"
      "         capsize matrix pr23972 --strength 3 --gpus 1");
  return [options] { return run(*options); };
}

}  // namespace capsize::cli
