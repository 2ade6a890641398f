#include "scenarios/formats/run_job.hpp"

#include <algorithm>
#include <limits>

#include "scenarios/formats/object_reader.hpp"
#include "scenarios/formats/plan.hpp"

namespace capsize {
namespace {

constexpr std::int64_t kHiddenMax = 1 << 16;
constexpr std::int64_t kRankMax = 65535;
constexpr std::int64_t kRowsMax = std::int64_t{1} << 32;
constexpr ParseLimits kJobLimits{.max_bytes = std::size_t{256} << 20};

constexpr std::array kElementTypes = {ElementType::bf16, ElementType::fp16, ElementType::fp32,
                                      ElementType::uint32};

auto flag(bool& out) {
  return [&out](const JsonField& field) { return store(field.boolean(), out); };
}

// JSON's numbers here are signed: the upper half of all seeds is written as negative ones.
auto seed(std::uint64_t& out) {
  return [&out](const JsonField& field) -> Result<void> {
    using Limits = std::numeric_limits<std::int64_t>;
    auto number = field.integer(Limits::min(), Limits::max());
    if (!number) return tl::unexpected(std::move(number.error()));
    out = static_cast<std::uint64_t>(*number);
    return {};
  };
}

}  // namespace

void write_run_options(JsonWriter& out, const RunOptions& options) {
  out.begin_object().field("dtype", name_of(options.type)).field("hidden", options.hidden);
  out.field("seed", static_cast<std::int64_t>(options.seed));
  if (options.unguarded) out.field("unguarded", true);
  if (options.fault != RunFault::none) out.field("fault", name_of(options.fault));
  if (options.fault_rank >= 0) out.field("fault_rank", options.fault_rank);
  if (options.rows_max) out.field("rows_max", *options.rows_max);
  if (options.every_count) out.field("every_count", true);
  out.end_object();
}

Result<RunOptions> read_run_options(const JsonField& field) {
  RunOptions out;
  ObjectReader reader(field, {"dtype", "hidden", "seed", "unguarded", "fault", "fault_rank",
                              "rows_max", "every_count"});
  reader.required("dtype", word(kElementTypes, out.type));
  reader.required("hidden",
                  [&](const JsonField& f) { return store(f.integer(1, kHiddenMax), out.hidden); });
  reader.required("seed", seed(out.seed)).optional("unguarded", flag(out.unguarded));
  reader.optional("fault", word(kRunFaults, out.fault));
  reader.optional("fault_rank", [&](const JsonField& f) {
    return store(f.integer(0, kRankMax), out.fault_rank);
  });
  reader.optional("rows_max",
                  [&](const JsonField& f) { return store(f.integer(1, kRowsMax), out.rows_max); });
  reader.optional("every_count", flag(out.every_count));
  auto read = reader.done();
  if (!read) return tl::unexpected(std::move(read.error()));
  return out;
}

std::string write_run_job(const RunJob& job) {
  // A plan file has a line an event. Inside texts a line's end is escaped, so that blanks can stand
  // in for those between values.
  std::string plan = write_plan(job.plan);
  std::ranges::replace(plan, '\n', ' ');
  JsonWriter out;
  out.begin_object().key("plan").raw(plan).key("options");
  write_run_options(out, job.options);
  if (!job.given_up.empty()) {
    out.key("given_up").array(std::vector<std::int64_t>(job.given_up.begin(), job.given_up.end()));
  }
  return std::move(out.end_object()).text();
}

Result<RunJob> read_run_job(std::string_view line) {
  const auto document = parse_json(line, kJobLimits);
  if (!document) return tl::unexpected(document.error());
  const JsonField field(*document);
  RunJob out;
  auto read =
      ObjectReader(field, {"plan", "options", "given_up"})
          .required("plan", [&](const JsonField& f) { return store(read_plan(f), out.plan); })
          .required("options",
                    [&](const JsonField& f) { return store(read_run_options(f), out.options); })
          .optional("given_up",
                    [&](const JsonField& f) -> Result<void> {
                      auto events = f.integers(0, std::ssize(out.plan.events) - 1);
                      if (!events) return tl::unexpected(std::move(events.error()));
                      for (const std::int64_t event : *events) {
                        out.given_up.push_back(static_cast<std::int32_t>(event));
                      }
                      return {};
                    })
          .done();
  if (!read) return tl::unexpected(std::move(read.error()));
  return out;
}

}  // namespace capsize
