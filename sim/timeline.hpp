// A Timeline: a Lifecycle read in the order of its events, with what really runs in each of them.
// A replay in a graph mode runs the operations of the latest capture with the same path, key and
// rank; ranks of one program whose captures differ become classes of their own. Laws, `explain`
// and the runtime read events from here and never look captures up themselves.
//
//   const Timeline timeline(lifecycle);
//   for (const EventRun& event : timeline.events())
//     for (const Meeting& meeting : timeline.meetings(event, tp)) ...   // who meets over tp
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/lifecycle.hpp"

namespace capsize {

// One operation as it runs.
struct RunOp {
  const PlanOp* op = nullptr;
  std::int32_t index = 0;   // its place in the program that holds it
  std::int64_t layer = -1;  // the first layer of its block; -1: not said
  bool captured = false;    // part of a captured region (of this capture, or of the replayed one)
  bool from_graph = false;  // in a replay: comes from the capture, not from the replay's program
};

// Operations ops[first, first + count) run `repeat` times in a row.
struct RunBlock {
  std::int32_t first = 0;
  std::int32_t count = 0;
  std::int64_t repeat = 1;
  friend bool operator==(RunBlock, RunBlock) = default;
};

// Blocks that are repeated as a whole.
struct RunPart {
  std::int32_t first_block = 0;
  std::int32_t blocks = 0;
  std::int64_t repeat = 1;
  friend bool operator==(RunPart, RunPart) = default;
};

// What one class of ranks runs in an event.
struct Running {
  const Program* program = nullptr;  // as written in this event
  RankSet ranks;                     // those of its ranks that run the same operations
  GraphMode mode = GraphMode::eager;
  const Program* graph = nullptr;  // in a replay: the captured program; none where none is found
  std::int32_t capture_event = -1;
  std::vector<RunOp> ops;
  std::vector<RunBlock> blocks;
  std::vector<RunPart> parts;

  // A replay in a graph mode that finds no capture. Its captured operations are not known, unless
  // the program restates them.
  bool graph_missing = false;

  [[nodiscard]] bool replays() const { return graph != nullptr || graph_missing; }
};

// Whether two classes run equal operations, as `same_op` sees them, equally folded.
template <class SameOp>
[[nodiscard]] bool run_alike(const Running& a, const Running& b, const SameOp& same_op) {
  return a.blocks == b.blocks && a.parts == b.parts && std::ranges::equal(a.ops, b.ops, same_op);
}

struct EventRun {
  const PlanEvent* event = nullptr;
  std::int32_t index = 0;
  std::vector<Running> runnings;

  // The count that the event is told by: its own tokens, else the largest of its programs.
  std::int64_t tokens = 0;
};

// The classes of ranks that meet in one group; groups where the same classes meet in the same
// numbers are told once, by the first of them.
struct MeetingClass {
  std::int32_t running = -1;  // place in EventRun::runnings; -1: these ranks run nothing
  std::int64_t first_rank = 0;
  std::int64_t count = 0;
};

struct Meeting {
  std::int32_t group = 0;  // place in PlanGroups::groups
  std::int64_t size = 0;
  std::vector<MeetingClass> classes;  // by first rank
};

class Timeline {
 public:
  explicit Timeline(const Lifecycle& lifecycle);

  [[nodiscard]] const Lifecycle& lifecycle() const { return *lifecycle_; }
  [[nodiscard]] std::span<const EventRun> events() const { return events_; }

  // Who meets over a family in an event. Found when first asked for.
  [[nodiscard]] std::span<const Meeting> meetings(const EventRun& event, GroupId family) const;

  // The class that `rank` is in; none where it runs nothing.
  [[nodiscard]] const Running* running_of(const EventRun& event, std::int64_t rank) const;

  // Whether event `a` has ended when event `b` begins (a < b): always, unless both carry streams
  // that differ and no chain of `after` joins them.
  [[nodiscard]] bool ordered(std::int32_t a, std::int32_t b) const {
    const std::int32_t stream = streams_ == 0 ? -1 : stream_[static_cast<std::size_t>(a)];
    if (stream < 0 || stream_[static_cast<std::size_t>(b)] < 0) return true;
    return clock_[static_cast<std::size_t>(b) * streams_ + static_cast<std::size_t>(stream)] >= a;
  }

 private:
  struct Met {
    bool found = false;
    std::vector<Meeting> meetings;
  };

  void add_event(const PlanEvent& event, std::int32_t index);
  void order_events();
  void add_replay(EventRun& run, const Program& program);
  [[nodiscard]] std::vector<Meeting> meet(const EventRun& event, GroupId family) const;

  const Lifecycle* lifecycle_;
  std::vector<EventRun> events_;
  std::vector<std::int32_t> captures_;  // the capture events so far, oldest first
  std::size_t streams_ = 0;             // how many streams events carry
  std::vector<std::int32_t> stream_;    // of each event, numbered as they appear; -1: none
  std::vector<std::int32_t> clock_;     // events x streams: the last that has ended before it
  mutable std::vector<Met> met_;        // events x families; a Timeline belongs to one thread
};

// The size of a graph: the component of its key that counts tokens or requests; none where the key
// has none.
[[nodiscard]] std::optional<std::int64_t> size_in(const GraphKey& key);
// The key without that component.
[[nodiscard]] GraphKey without_size(const GraphKey& key);
// The bucket of a program: as given, else the size in its key (times width where that counts
// requests).
[[nodiscard]] std::optional<std::int64_t> bucket_of(const Program& program);

// The transport of an operation: its own, else that of its group, else checked.
[[nodiscard]] Transport transport_of(const Lifecycle& lifecycle, const PlanOp& op);

// The rank that a send or receive of `rank` reaches. `peer` names it for the first rank of the
// program's class, and the others reach as far; where that leaves the group, `peer` is a position
// in the group, as NCCL counts. None where neither is in the group.
[[nodiscard]] std::optional<std::int64_t> peer_of(const Lifecycle& lifecycle,
                                                  const Program& program, const PlanOp& op,
                                                  std::int64_t rank);

// Which operations of a running are sure to have ended before others begin: on one stream in
// order; across streams through `after`, and through wait and host_wait.
class OpOrder {
 public:
  explicit OpOrder(const Running& running);
  // a, b: places in Running::ops, a < b.
  [[nodiscard]] bool ordered(std::int32_t a, std::int32_t b) const;

 private:
  void join(std::int32_t b, std::int32_t a);
  [[nodiscard]] std::size_t stream_of(std::int32_t op) const {
    return static_cast<std::size_t>(stream_[static_cast<std::size_t>(op)]);
  }

  std::size_t streams_ = 0;
  std::vector<std::int32_t> stream_;  // of each operation, numbered as they appear
  std::vector<std::int32_t> clock_;   // operations x streams, where there are several streams
};

// Whether two ranges share a byte (of one rank's buffer).
[[nodiscard]] bool overlap(const BufferRange& a, const BufferRange& b);

}  // namespace capsize
