// How a sweep asks an engine about many launches that share most of what they are: the layout of a
// launch is found once, and its paths are made from it for one set of lists after another. The
// plans are those of Engine::plan; what differs is only what is remembered.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/capture.hpp"
#include "sim/engines/engine.hpp"
#include "sim/error.hpp"

namespace capsize {

// A path with the eager one beside it.
struct PlannedPath {
  CapturePath path;
  std::optional<EagerPath> eager;
  std::optional<Refusal> refusal;  // the engine's assertion that a size is left
  // Content hashes: of everything that the filter reads but its list, and of the usable set.
  std::uint64_t filter_key = 0;
  std::uint64_t usable_key = 0;
};

// What a layout decides, as numbers that are equal where it is.
struct MemberLayout {
  std::optional<Refusal> refusal;    // nothing else is set then
  bool undecided = false;            // group sizes are not known; likewise
  std::vector<std::uint32_t> paths;  // one for each path of the plan: what it reads of the layout
  std::vector<std::uint64_t> steps;  // content hashes of the steps that were walked for it
};

// What each path reads of options that shape lists only, as numbers that are equal where it is.
struct MemberLists {
  std::optional<Refusal> refusal;  // the engine's parser refuses the words; nothing else is set
  std::vector<std::uint32_t> paths;
};

class MemberPlanner {
 public:
  virtual ~MemberPlanner() = default;

  // The names of the captured paths, in the order of a plan.
  [[nodiscard]] virtual std::span<const std::string_view> path_names() const = 0;

  // The order in which paths are captured: the first that is refused is the one that is met.
  [[nodiscard]] virtual std::span<const std::size_t> capture_order() const = 0;

  // Whether some point in the engine's history has an option of just this name.
  [[nodiscard]] virtual bool knows(std::string_view option) const = 0;

  // Whether an option, by its full name, shapes lists of sizes and nothing else
  // ("--cuda-graph-bs").
  [[nodiscard]] virtual bool shapes_lists_only(std::string_view option) const = 0;

  // The layout of a launch without the options that shape lists. An Error where capsize cannot
  // hold a number of it.
  [[nodiscard]] virtual Result<MemberLayout> layout(const LaunchRequest& request) = 0;

  // The options that shape lists, by the command line of these rules.
  [[nodiscard]] virtual Result<MemberLists> lists(std::span<const Word> words,
                                                  std::string_view rules) = 0;

  // A path, from the numbers above.
  [[nodiscard]] virtual PlannedPath path(std::size_t path, std::uint32_t layout,
                                         std::uint32_t lists) = 0;
};

}  // namespace capsize
