// capsize sweep --compare: what a sweep remembers, against every member by itself.
#include "cli/sweep_compare.hpp"

#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/progress.hpp"
#include "scenarios/formats/json_writer.hpp"

namespace capsize::cli {
namespace {

std::string verdict_line(const Universe& universe, const Comparison& result) {
  if (result.differ != 0) {
    return fmt::format("VIOLATION  {}: the two ways differ on {} of {} members\n", universe.name,
                       grouped(result.differ), grouped(result.members));
  }
  if (result.judged == 0) {
    return fmt::format("UNDECIDED  {}: no member that was compared is judged at all\n",
                       universe.name);
  }
  return fmt::format("PASS  {}: both ways say the same of {} members\n", universe.name,
                     grouped(result.members));
}

Verdict verdict_of(const Comparison& result) {
  if (result.differ != 0) return Verdict::violation;
  return result.judged == 0 ? Verdict::undecided : Verdict::pass;
}

std::string text_of_member(const Universe& universe, std::uint64_t number) {
  std::vector<std::int32_t> choices(universe.axes.size());
  universe.unrank(number, choices);
  return universe.text_of(choices);
}

// `seed` is null where every member was compared.
std::string to_json(const Universe& universe, const ComparisonOptions& options,
                    const Comparison& result) {
  const auto number = [](std::uint64_t count) { return static_cast<std::int64_t>(count); };
  JsonWriter out;
  out.begin_object().field("schema", std::int64_t{1}).field("verdict", name_of(verdict_of(result)));
  out.field("universe", universe.name).field("members", number(result.members));
  out.field("judged", number(result.judged)).field("differ", number(result.differ)).key("first");
  if (result.first) {
    out.begin_object().field("member", number(*result.first));
    out.field("text", text_of_member(universe, *result.first)).end_object();
  } else {
    out.null();
  }
  out.key("seed");
  options.members != 0 ? out.value(number(options.seed)) : out.null();
  out.end_object();
  return std::move(out).text() + "\n";
}

std::string to_text(const Universe& universe, const ComparisonOptions& options,
                    const Comparison& result) {
  std::string text = verdict_line(universe, result);
  text += fmt::format("judged     {}; the others are removed before\n", grouped(result.judged));
  if (options.members != 0) text += fmt::format("seed       {}\n", options.seed);
  if (result.first) {
    text += fmt::format("smallest   member {}: {}\n", *result.first,
                        text_of_member(universe, *result.first));
  }
  return text;
}

}  // namespace

int compare_and_tell(const Universe& universe, const std::optional<Condition>& where,
                     ComparisonOptions options, ComparisonOutput output) {
  Progress progress(!output.quiet, options.members == 0 ? universe.members : options.members);
  options.progress = [&](std::uint64_t done) {
    progress.show(done, done);
    return true;
  };
  auto result = compare_ways(universe, where, options);
  progress.clear();
  if (!result) {
    return fail(std::move(result.error()), output.json);
  }
  const std::string text =
      output.json ? to_json(universe, options, *result) : to_text(universe, options, *result);
  return print(text) ? exit_status(verdict_of(*result)) : kBadInput;
}

}  // namespace capsize::cli
