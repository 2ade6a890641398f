// One event of a lifecycle, told operation by operation: which ranks run it, over which group, how
// layouts and row counts change, and which law is broken there. Rendered as a table by the command
// line and as a picture by svg.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "properties/plan_report.hpp"
#include "sim/timeline.hpp"

namespace capsize {

// Ranks that run the same operations on the same counts.
struct ExplainedClass {
  RankSet ranks;
  std::string name;  // "A", "B" ... "Z", "27"
  std::string runs;  // "graph {tokens: 16}, 13 of 16 rows"; "eager, 8 tokens"; "nothing"
};

struct ExplainedRows {
  std::vector<std::int64_t> in;
  std::int64_t out = -1;  // -1: not said
  friend bool operator==(const ExplainedRows&, const ExplainedRows&) = default;
};

// A place where a law is broken: a number that marks it, and what is said of it.
struct ExplainedBreach {
  int number = 1;
  std::string_view law;
  std::string text;
  Symptom symptom = Symptom::none;
};

struct ExplainedOp {
  std::string name;   // "reduce_scatter"
  std::string group;  // empty: none
  std::int64_t group_size = 0;
  std::string layout;  // "Partial(attn_tp) -> Scattered(attn_tp)"
  bool collective = false;
  bool captured = false;
  std::string peer;                 // "to 4", of the first rank of its class
  std::vector<ExplainedRows> rows;  // by class of the track
  std::vector<int> breaches;        // numbers
};

struct ExplainedBlock {
  std::string title;  // "layer 0", "layers 1-26", "3 times", "before the graph"
  std::vector<ExplainedOp> ops;
};

// Classes whose operations are the same in kind and order; only their counts differ.
struct ExplainedTrack {
  std::vector<std::int32_t> classes;  // places in Explanation::classes
  std::vector<ExplainedBlock> blocks;
};

struct Explanation {
  std::string headline;  // "capture of prefill at 28 tokens: 8 ranks in 2 classes"
  std::vector<ExplainedClass> classes;
  std::vector<ExplainedTrack> tracks;
  std::vector<ExplainedBreach> breaches;  // in the order in which they are met
  // Group families of the event's collectives, with the ranks of each group.
  std::vector<PlanGroups> groups;
  std::int64_t world = 1;
};

[[nodiscard]] Explanation explain(const Timeline& timeline, const EventRun& event,
                                  const std::vector<StandingBreach>& breaches);

}  // namespace capsize
