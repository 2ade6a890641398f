// A CapturePlan: for every path of a server, which sizes were candidates, which were kept, dropped
// or rounded and why, how a batch finds its captured size, and what the caller was promised.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/units.hpp"
#include "sim/usable.hpp"

namespace capsize {

// Capture sizes in the unit of their path, in the order in which the engine holds them.
using SizeList = std::vector<std::int64_t>;

struct DroppedSize {
  std::int64_t size = 0;
  std::string why;
};

struct RoundedSize {
  std::int64_t from = 0;
  std::int64_t to = 0;
};

// What a list filter does, as a function of its input. `kept` is the engine's list after it;
// `refused` is the engine's own text where it asserts that something is left.
struct FilterResult {
  SizeList kept;
  std::optional<std::string> refused;
};

// The filter of one path with everything but the list fixed, so that laws can call it again.
struct SizeFilter {
  // Called as the engine calls it: with the caller's own list, which it may change.
  std::function<FilterResult(SizeList&)> apply;
  std::string_view rule;  // file and function
  // The least size step it keeps or rounds to, in the unit of the path; 1 where it takes all.
  std::int64_t modulus = 1;
  // What the filter's own source states of the sizes that it keeps: multiples of this many
  // tokens. None where the source states nothing.
  std::optional<std::int64_t> contract_tokens;
  std::string_view contract_text;
  bool rounds = false;      // rounds up instead of dropping
  bool read_again = false;  // another runner reads the caller's list afterwards
  // Whether the engine states that lists are cut to their maximum before they are filtered (the
  // two do not commute where sizes are rounded).
  bool clamp_order_declared = false;
};

// A maximum or a size that the caller named, in the unit of the path.
struct NamedSize {
  std::int64_t size = 0;
  std::string_view flag;  // "--cuda-graph-max-bs"
};

// An upper bound that sizes of this path must respect.
struct CapacityBound {
  std::int64_t tokens = 0;
  std::string what;  // "the promised maximum (--piecewise-cuda-graph-max-tokens)"
  std::string_view rule;
  std::string_view symptom;  // what is known to follow ("clean_error", "none" ...)
  bool cuts_list = false;    // the engine cuts its list to this maximum
};

// How dispatch finds a captured size: returns the size that a count of n runs at, or none (eager),
// or kLookupFails where the engine's own search ends in an error.
inline constexpr std::int64_t kLookupFails = -1;
using BucketLookup = std::function<std::optional<std::int64_t>(const SizeList&, std::int64_t n)>;

// The step of a path with its requirement; shared between paths whose steps are the same.
struct DerivedStep {
  SymbolicStep plan;
  Requirement requirement;
};

struct CapturePath {
  std::string_view name;  // "prefill", "decode"
  Unit unit = Unit::tokens;
  Width width{1};  // tokens a request (decode); 1 for paths counted in tokens
  bool enabled = false;
  std::string disabled_by;  // the rule or flag that switched the path off
  std::string_view backend;
  std::string undecided;  // why the path cannot be judged; empty where it can

  SizeList candidates;
  SizeList kept;                       // in the order in which the engine holds them
  std::optional<std::string> refused;  // the engine's text where its filter leaves nothing
  std::vector<DroppedSize> dropped;
  std::vector<RoundedSize> rounded;
  SizeFilter filter;
  std::vector<NamedSize> named;
  std::vector<CapacityBound> bounds;
  BucketLookup lookup;
  std::string_view lookup_rule;
  bool exact_match = false;  // padding is off: only a captured size itself is replayed

  std::int64_t largest_presented = 0;  // the largest count a batch of this path can have
  bool largest_is_known = true;        // false: an assumption, named in the plan's `assumed`
  std::shared_ptr<const DerivedStep> step;

  [[nodiscard]] Tokens tokens_of(std::int64_t size) const { return Tokens(size * width.value); }
};

// A path that runs without a graph. The engine pads its counts first; `padded` is the count that
// the step then sees, as a function of the real one.
struct EagerPath {
  std::string_view name;  // "eager_prefill", "eager_decode"
  std::int64_t largest_presented = 0;
  std::function<std::int64_t(std::int64_t)> padded;
  std::int64_t padding_period = 1;  // padded(n + period) = padded(n) + period
  std::string_view rule;            // the function that pads
  std::string undecided;            // why the path cannot be judged; empty where it can
  std::shared_ptr<const DerivedStep> step;
};

struct CapturePlan {
  std::vector<CapturePath> paths;
  std::vector<EagerPath> eager;
};

// The events of a server's life, in order. Captures go by path and size; `group_capture` says
// whether the engine has switched its groups to their capture transport by then.
enum class StartUpKind : std::uint8_t { warm_up, compile, capture };
[[nodiscard]] std::string_view name_of(StartUpKind kind);

struct StartUpEvent {
  StartUpKind kind = StartUpKind::capture;
  std::uint8_t path = 0;  // index into CapturePlan::paths
  bool group_capture = false;
  std::int64_t size = 0;  // in the unit of the path
};

struct StartUp {
  std::vector<StartUpEvent> events;
};

}  // namespace capsize
