// capsize sweep --compare: what a sweep remembers, against every member by itself.
#include "cli/sweep_compare.hpp"

#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/progress.hpp"

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

}  // namespace

int compare_and_tell(const Universe& universe, const std::optional<Condition>& where,
                     ComparisonOptions options, bool quiet) {
  Progress progress(!quiet, options.members == 0 ? universe.members : options.members);
  options.progress = [&](std::uint64_t done) {
    progress.show(done, done);
    return true;
  };
  const auto result = compare_ways(universe, where, options);
  progress.clear();
  if (!result) return fail(result.error());
  std::string text = verdict_line(universe, *result);
  text += fmt::format("judged     {}; the others are removed before\n", grouped(result->judged));
  if (options.members != 0) text += fmt::format("seed       {}\n", options.seed);
  if (result->first) {
    std::vector<std::int32_t> choices(universe.axes.size());
    universe.unrank(*result->first, choices);
    text += fmt::format("smallest   member {}: {}\n", *result->first, universe.text_of(choices));
  }
  if (!print(text)) return kBadInput;
  if (result->differ != 0) return exit_status(Verdict::violation);
  return exit_status(result->judged == 0 ? Verdict::undecided : Verdict::pass);
}

}  // namespace capsize::cli
