// A launch up to its lists of sizes: resolution, process groups, weights and the steps of its
// paths. What the paths are made of stands in their Inputs (paths.hpp).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/engines/engine.hpp"
#include "sim/engines/sglang/layers.hpp"
#include "sim/engines/sglang/paths.hpp"
#include "sim/engines/sglang/resolve.hpp"

namespace capsize::sglang {

// Where steps and topologies come from: made anew, or remembered.
class StepSource {
 public:
  virtual ~StepSource() = default;
  // `in.topology` is set by the source. None is returned where the caller needs no topology.
  virtual std::shared_ptr<const Topology> topology(const Sizes& sizes) = 0;
  virtual std::shared_ptr<const DerivedStep> step(std::string_view path, StepInput in) = 0;
};

// Made anew; the steps of one launch share its topology.
class FreshSteps final : public StepSource {
 public:
  std::shared_ptr<const Topology> topology(const Sizes& sizes) override;
  std::shared_ptr<const DerivedStep> step(std::string_view path, StepInput in) override;

 private:
  std::shared_ptr<const Topology> topology_;
};

// A launch as its words read, before any rule is applied. Points into the words of the request.
struct LayoutInput {
  ServerArgs args;  // as read
  Version version = Version::pre_23972;
  ModelChoice model;
  ArchitectureFacts facts;
  Gpu gpu;
  std::span<const EnvironmentVariable> environment;
};

struct LaunchLayout {
  Resolved resolved;
  std::optional<Refusal> refusal;  // what follows is then not set
  bool undecided = false;          // the group sizes are not known; likewise
  std::shared_ptr<const Topology> topology;
  PrefillInputs prefill;
  DecodeInputs decode;
};

[[nodiscard]] LaunchLayout layout_of(const LayoutInput& in, StepSource& steps);

struct ReadLaunch {
  std::optional<Refusal> refusal;  // the engine's parser refuses the words; else `input` is set
  LayoutInput input;
  std::vector<std::string> left_over;  // options that the engine leaves to a wrapper
};
// An Error where the rules are not known or a number is larger than capsize can hold.
[[nodiscard]] Result<ReadLaunch> read_launch(const LaunchRequest& request);

// The flags of a launch that shape lists and nothing else.
[[nodiscard]] PrefillLists prefill_lists(const ServerArgs& args);
[[nodiscard]] DecodeLists decode_lists(const ServerArgs& args);

}  // namespace capsize::sglang
