#include "scenarios/run/rank_lines.hpp"

#include <limits>

#include "scenarios/formats/json_reader.hpp"
#include "scenarios/formats/json_writer.hpp"
#include "scenarios/formats/object_reader.hpp"
#include "scenarios/formats/observation.hpp"

namespace capsize {
namespace {

constexpr ParseLimits kLineLimits{.max_bytes = std::size_t{64} << 20};

Result<Error> read_error(const JsonField& field) {
  Error out;
  auto read = ObjectReader(field, {"where", "text", "hint"})
                  .required("where", [&](const JsonField& f) { return store(f.text(), out.where); })
                  .required("text", [&](const JsonField& f) { return store(f.text(), out.text); })
                  .required("hint", [&](const JsonField& f) { return store(f.text(), out.hint); })
                  .done();
  if (!read) return tl::unexpected(std::move(read.error()));
  return out;
}

}  // namespace

std::string_view name_of(RankTells what) {
  switch (what) {
    case RankTells::seen: return "seen";
    case RankTells::failed: return "failed";
    case RankTells::done: return "done";
    case RankTells::error: return "error";
  }
  return "error";
}

std::string write_rank_line(const RankLine& line) {
  JsonWriter out;
  out.begin_object().field("job", line.job).key(name_of(line.what));
  if (line.what == RankTells::error) {
    out.begin_object().field("where", std::string_view(line.error.where));
    out.field("text", std::string_view(line.error.text));
    out.field("hint", std::string_view(line.error.hint)).end_object();
  } else {
    write_observation(out, line.observation, JsonLines::one);
  }
  return std::move(out.end_object()).text() + "\n";
}

Result<RankLine> read_rank_line(std::string_view line) {
  const auto document = parse_json(line, kLineLimits);
  if (!document) return tl::unexpected(document.error());
  const JsonField field(*document);
  RankLine out;
  bool told = false;
  const auto take = [&](RankTells what) {
    return [&, what](const JsonField& f) -> Result<void> {
      told = true;
      out.what = what;
      return what == RankTells::error ? store(read_error(f), out.error)
                                      : store(read_observation(f), out.observation);
    };
  };
  ObjectReader reader(field, {"job", "seen", "failed", "done", "error"});
  reader.required("job", [&](const JsonField& f) {
    return store(f.integer(0, std::numeric_limits<std::int32_t>::max()), out.job);
  });
  for (const RankTells what :
       {RankTells::seen, RankTells::failed, RankTells::done, RankTells::error}) {
    reader.optional(name_of(what), take(what));
  }
  if (auto read = reader.done(); !read) return tl::unexpected(std::move(read.error()));
  if (!told) return tl::unexpected(field.error("tells nothing of the job"));
  return out;
}

std::string rank_file(const std::string& folder, std::int64_t rank) {
  return folder + "/rank-" + std::to_string(rank) + ".jsonl";
}

std::string trace_file(const std::string& folder, std::int64_t rank) {
  return folder + "/trace-" + std::to_string(rank) + ".jsonl";
}

}  // namespace capsize
