// What a law writes down while it reads a lifecycle: what it looked at, and every place where the
// plan breaks it. judge_plan (law.hpp) turns reports into findings, one a law and path.
//
// One fault, one law. Two orders say which law owns a place that several find broken:
//   one event and group:  same_mode, same_bucket, captured_together, same_sequence, counts_match
//   one operation:        layouts_agree, divisible, counts_match, one_padded_pair
// Rows that one class sends and another does not expect, and a replay that is padded otherwise than
// its graph, are the fault of a law of the first order (but counts_match) that finds these classes.
// A replay that finds no capture is the fault of whoever kept its rank out of the capture, if a law
// of the first order is broken there. A law therefore reports every broken place, not the first.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "properties/law.hpp"
#include "sim/timeline.hpp"

namespace capsize {

// One place where a lifecycle breaks a law.
struct Breach {
  std::int32_t event = -1;  // place in Lifecycle::events; -1: no event (captures, weights)
  std::string_view path;    // of the event, or of the entry of `captures`
  std::int64_t tokens = 0;  // EventRun::tokens, or the size in question
  std::optional<std::int64_t> requests;  // where `tokens` are so many requests
  std::optional<std::int64_t> rank;      // the rank that departs, or that fails first
  std::int64_t layer = -1;               // -1: not said
  std::string_view op;                   // the operation's name; of a bad edge the consumer's
  GroupId group = {};
  std::int64_t group_size = 0;
  std::string_view buffer;
  std::string key;
  Symptom symptom = Symptom::none;
  Known known = Known::exhausted;
  std::string blame;  // one sentence: who does what, and what the others do

  // What else can be broken at the same place. The operation, for the order of one operation.
  const PlanOp* at = nullptr;
  // Classes (places in EventRun::runnings; -1: absent) that differ, for the order of one event.
  std::int32_t running = -2;  // -2: no class is concerned
  std::int32_t other = -2;
  // A missing capture: the event in which the others were captured; -1: none were.
  std::int32_t capture_event = -1;
};

class PlanReport {
 public:
  static constexpr std::int32_t kPerEvent = 64;

  // Something of this path (empty: of the lifecycle as a whole) was judged, or is about to be.
  // A law that never says so, and finds nothing, is not_applicable.
  void looked_at(std::string_view path);
  // Of one event and path the first kPerEvent breaches are kept: more would tell nothing new.
  void add(Breach breach);
  // An event of the path asks for more steps than a law spends: unless something broken is found,
  // the path's verdict is undecided, whatever else was looked at.
  void gave_up(std::string_view path);

  [[nodiscard]] const std::vector<std::string_view>& paths() const { return paths_; }
  [[nodiscard]] const std::vector<Breach>& breaches() const { return breaches_; }
  [[nodiscard]] const std::vector<std::string_view>& undecided() const { return undecided_; }

 private:
  std::vector<std::string_view> paths_;
  std::vector<std::string_view> undecided_;
  std::vector<Breach> breaches_;
  std::int32_t in_event_ = 0;  // breaches of the event that the last one is of
};

// A breach at an event, with what every breach there carries.
[[nodiscard]] Breach breach_at(const EventRun& event);
// The same at an operation of one class: the operation, its layer, group and rule, and the class's
// first rank.
[[nodiscard]] Breach breach_at(const Timeline& timeline, const EventRun& event,
                               std::int32_t running, const RunOp& op);

// A breach that no law before its own has at the same place.
struct StandingBreach {
  const Law* law = nullptr;
  Breach breach;
};

// All of them, law by law: for those who show a plan, not only judge it.
[[nodiscard]] std::vector<StandingBreach> standing_breaches(
    const Timeline& timeline, std::span<const std::string_view> without = {});

// "3 operations", "1 operation"; "rank 3", "ranks 0-3"; and "all_reduce over tp".
[[nodiscard]] std::string counted(std::int64_t count, std::string_view noun);
[[nodiscard]] std::string ranks_text(const RankSet& ranks);
[[nodiscard]] std::string op_text(const Lifecycle& lifecycle, const PlanOp& op);

// The class that the others are measured by: the one with most ranks; among equals one that runs
// a graph, then the first. And the classes of a meeting that are not it, as `same` sees them.
// `same(a, b)` compares two classes by their place in EventRun::runnings (-1: absent).
template <class Same>
[[nodiscard]] std::vector<MeetingClass> departing(const EventRun& event, const Meeting& meeting,
                                                  MeetingClass& norm, const Same& same) {
  const auto weight = [&](const MeetingClass& candidate) {
    std::int64_t ranks = 0;
    for (const MeetingClass& each : meeting.classes) {
      if (same(candidate.running, each.running)) ranks += each.count;
    }
    const bool graph =
        candidate.running >= 0 &&
        event.runnings[static_cast<std::size_t>(candidate.running)].mode != GraphMode::eager;
    return 4 * ranks + (candidate.running >= 0 ? 1 : 0) + (graph ? 2 : 0);
  };
  norm = meeting.classes.front();
  for (const MeetingClass& each : meeting.classes) {
    if (weight(each) > weight(norm)) norm = each;
  }
  std::vector<MeetingClass> out;
  for (const MeetingClass& each : meeting.classes) {
    if (!same(norm.running, each.running)) out.push_back(each);
  }
  return out;
}

}  // namespace capsize
