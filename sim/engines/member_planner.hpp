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
  // Identities that hold within one planner: equal numbers, equal content.
  std::uint64_t layout_key = 0;  // of the step
  std::uint64_t filter_key = 0;  // of everything that the filter reads but its list
};

// What a layout decides, as numbers that are equal where it is.
struct MemberLayout {
  std::optional<Refusal> refusal;    // nothing else is set then
  bool undecided = false;            // group sizes are not known; likewise
  std::vector<std::uint32_t> paths;  // one for each path of the plan: what it reads of the layout
};

class MemberPlanner {
 public:
  virtual ~MemberPlanner() = default;

  // Whether an option shapes lists of sizes and nothing else ("--cuda-graph-bs").
  [[nodiscard]] virtual bool shapes_lists_only(std::string_view option) const = 0;

  // The layout of a launch without the options that shape lists.
  [[nodiscard]] virtual Result<MemberLayout> layout(const LaunchRequest& request) = 0;

  // What each path reads of options that shape lists only, as numbers that are equal where it is;
  // or the engine's refusal of these words.
  [[nodiscard]] virtual tl::expected<std::vector<std::uint32_t>, Refusal> lists(
      std::span<const Word> words, std::string_view rules) = 0;

  // A path, from the numbers above.
  [[nodiscard]] virtual PlannedPath path(std::size_t path, std::uint32_t layout,
                                         std::uint32_t lists) = 0;

  // The order in which paths are captured: the first that is refused is the one that is met.
  [[nodiscard]] virtual std::span<const std::size_t> capture_order() const = 0;
};

}  // namespace capsize
