// Proposals that may mend a broken law in an SGLang launch: a list of sizes that the step can use,
// a maximum that a captured size serves, or the switch that turns the graphs of the path off.
#include <algorithm>

#include "sim/engines/sglang/engine.hpp"
#include "sim/engines/sglang/flags/flags.hpp"
#include "sim/engines/sglang/history.hpp"

namespace capsize::sglang {
namespace {

// The options of one path. They are in the command line of every version of this model.
struct PathOptions {
  std::string_view list;
  std::string_view maximum;
  std::string_view disable;
  std::string_view enforce;  // the option that would overrule `disable`; may be empty
};

constexpr PathOptions kPrefillOptions{
    "--piecewise-cuda-graph-tokens", "--piecewise-cuda-graph-max-tokens",
    "--disable-piecewise-cuda-graph", "--enforce-piecewise-cuda-graph"};
constexpr PathOptions kDecodeOptions{"--cuda-graph-bs", "--cuda-graph-max-bs",
                                     "--disable-cuda-graph", ""};

RepairProposal with_list(const PathOptions& options, const SizeList& sizes, std::string text) {
  RepairProposal proposal{
      .text = std::move(text), .add = {std::string(options.list)}, .remove = {}};
  for (const std::int64_t size : sizes) proposal.add.push_back(std::to_string(size));
  return proposal;
}

SizeList ascending_unique(SizeList sizes) {
  std::ranges::sort(sizes);
  const auto repeats = std::ranges::unique(sizes);
  sizes.erase(repeats.begin(), repeats.end());
  return sizes;
}

// The sizes of the list that the step can use, that fit every bound, in the order that the
// dispatch needs.
SizeList fitting_sizes(const CapturePath& path) {
  SizeList sizes = ascending_unique(path.candidates);
  std::erase_if(sizes, [&path](std::int64_t size) {
    if (!path.step->requirement.usable.contains(size)) return true;
    return std::ranges::any_of(path.bounds, [&](const CapacityBound& bound) {
      return path.tokens_of(size).value > bound.tokens;
    });
  });
  return sizes;
}

std::string sizes_text(const CapturePath& path, const SizeList& sizes) {
  return "capture only the " + std::to_string(sizes.size()) +
         (path.unit == Unit::tokens ? " token counts" : " batch sizes") + " that fit";
}

void propose_covering_maximum(std::vector<RepairProposal>& out, const CapturePath& path,
                              const PathOptions& options) {
  if (path.named.empty() || path.exact_match) return;
  std::int64_t wanted = 0;
  for (const NamedSize& named : path.named) wanted = std::max(wanted, named.size);
  wanted = std::min(wanted, path.largest_presented);
  // The least usable size from there on, as the end of the same list.
  const std::int64_t end = wanted + path.step->requirement.usable.period();
  for (std::int64_t size = wanted; size <= end; ++size) {
    if (!path.step->requirement.usable.contains(size)) continue;
    if (path.filter.modulus > 1 && size % path.filter.modulus != 0) continue;
    SizeList sizes = fitting_sizes(path);
    std::erase_if(sizes, [size](std::int64_t other) { return other > size; });
    sizes.push_back(size);
    out.push_back(
        with_list(options, ascending_unique(sizes), "end the list at " + std::to_string(size)));
    return;
  }
}

void propose_other_layouts(std::vector<RepairProposal>& out) {
  out.push_back({"do not split prefills over context parallelism",
                 {},
                 {"--enable-prefill-context-parallel"}});
  out.push_back({"switch the all-to-all off", {"--moe-a2a-backend", "none"}, {}});
  out.push_back({"cut dense layers like all others", {}, {"--moe-dense-tp-size"}});
}

}  // namespace

std::vector<RepairProposal> repairs(const EnginePlan& plan, std::string_view law,
                                    std::string_view path_name) {
  std::vector<RepairProposal> out;
  const auto& paths = plan.captures.paths;
  const auto path = std::ranges::find(paths, path_name, &CapturePath::name);
  if (path != paths.end()) {
    const PathOptions& options = path->unit == Unit::tokens ? kPrefillOptions : kDecodeOptions;
    if (law == "reachable_is_covered") propose_covering_maximum(out, *path, options);
    const SizeList sizes = fitting_sizes(*path);
    if (!sizes.empty()) out.push_back(with_list(options, sizes, sizes_text(*path, sizes)));
    RepairProposal off{.text = "capture nothing on this path: every batch runs eager",
                       .add = {std::string(options.disable)},
                       .remove = {}};
    if (!options.enforce.empty()) off.remove.emplace_back(options.enforce);
    out.push_back(std::move(off));
  }
  propose_other_layouts(out);
  return out;
}

std::vector<Word> without(const LaunchRequest& request, std::span<const std::string> options) {
  std::vector<Word> kept;
  const auto version = version_of(request.rules);
  if (!version) return {request.words.begin(), request.words.end()};
  const auto taken = [&](const Word& word) {
    const std::string_view spelled = std::string_view(word.text).substr(0, word.text.find('='));
    const FlagRow* row = find_flag(spelled, flag_release(*version));
    return row != nullptr && std::ranges::any_of(options, [row](const std::string& option) {
             return std::ranges::find(row->names, option) != row->names.end();
           });
  };
  bool dropping_values = false;
  for (const Word& word : request.words) {
    const bool is_option = word.text.starts_with("--");
    if (is_option) dropping_values = taken(word);
    if (!dropping_values) kept.push_back(word);
  }
  return kept;
}

}  // namespace capsize::sglang
