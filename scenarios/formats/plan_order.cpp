// What only the events of a plan together show: captures that run at once on one rank, and a
// buffer that is freed twice.
#include <algorithm>
#include <map>

#include "scenarios/formats/plan_reading.hpp"

namespace capsize::plan_reading {
namespace {

bool meet(const RankSet& a, const RankSet& b) {
  auto x = a.ranges().begin();
  auto y = b.ranges().begin();
  while (x != a.ranges().end() && y != b.ranges().end()) {
    if (x->last < y->first) {
      ++x;
    } else if (y->last < x->first) {
      ++y;
    } else {
      return true;
    }
  }
  return false;
}

// The set of these ranges, which may touch and overlap.
RankSet set_of(std::vector<RankRange> ranges) {
  std::ranges::sort(ranges, {}, &RankRange::first);
  RankSet out;
  for (std::size_t i = 0; i < ranges.size();) {
    RankRange joined = ranges[i];
    for (++i; i < ranges.size() && ranges[i].first <= joined.last; ++i) {
      joined.last = std::max(joined.last, ranges[i].last);
    }
    out.append(joined);
  }
  return out;
}

// The ranks that hold a buffer, as ranges that do not touch one another's ranks. Adding and taking
// away cost as much as the ranges that they meet, however many there are.
class Holders {
 public:
  void add(const RankSet& ranks) {
    for (const RankRange& range : ranks.ranges()) {
      take_range(range);
      ranges_.emplace(range.first, range.last);
    }
  }

  // Whether any of these ranks was among them.
  bool take(const RankSet& ranks) {
    bool any = false;
    for (const RankRange& range : ranks.ranges()) any = take_range(range) || any;
    return any;
  }

 private:
  bool take_range(const RankRange& range) {
    bool any = false;
    auto at = ranges_.upper_bound(range.first);
    if (at != ranges_.begin() && std::prev(at)->second >= range.first) --at;
    while (at != ranges_.end() && at->first <= range.last) {
      const auto [first, last] = *at;
      at = ranges_.erase(at);
      if (first < range.first) ranges_.emplace(first, range.first - 1);
      if (last > range.last) ranges_.emplace(range.last + 1, last);
      any = true;
    }
    return any;
  }

  std::map<std::int64_t, std::int64_t> ranges_;  // the last rank by the first
};

// For every event, the last event of each stream that is sure to have ended before it begins.
// Events without a stream wait for all before them, and all behind wait for them.
class EventClock {
 public:
  explicit EventClock(const Lifecycle& plan) : plan_(plan), rows_(plan.events.size()) {
    Row last = kNone;
    std::int32_t barrier = -1;
    for (std::int32_t b = 0; b < std::ssize(plan.events); ++b) {
      Row& row = rows_[static_cast<std::size_t>(b)] = kNone;
      const std::size_t own = stream_of(b);
      if (own == kBarrier) {
        row = last;
        barrier = b;
      } else {
        if (barrier >= 0) join(b, barrier);
        if (last[own] >= 0) join(b, last[own]);
        for (const std::int32_t a : plan.events[static_cast<std::size_t>(b)].after) join(b, a);
      }
      last[own] = b;
    }
  }

  // Whether `a` has ended when `b` begins; a < b.
  [[nodiscard]] bool ordered(std::int32_t a, std::int32_t b) const {
    return rows_[static_cast<std::size_t>(b)][stream_of(a)] >= a;
  }

 private:
  static constexpr auto kBarrier = static_cast<std::size_t>(kStreamMax) + 1;
  using Row = std::array<std::int32_t, kBarrier + 1>;
  static constexpr Row kNone = [] {
    Row row{};
    for (std::int32_t& each : row) each = -1;
    return row;
  }();

  [[nodiscard]] std::size_t stream_of(std::int32_t event) const {
    const auto& stream = plan_.events[static_cast<std::size_t>(event)].stream;
    return stream ? static_cast<std::size_t>(*stream) : kBarrier;
  }
  void join(std::int32_t b, std::int32_t a) {
    Row& to = rows_[static_cast<std::size_t>(b)];
    const Row& from = rows_[static_cast<std::size_t>(a)];
    for (std::size_t s = 0; s < to.size(); ++s) to[s] = std::max(to[s], from[s]);
    to[stream_of(a)] = std::max(to[stream_of(a)], a);
  }

  const Lifecycle& plan_;
  std::vector<Row> rows_;
};

// A capture with a stream of its own, and the ranks that record in it.
struct Recording {
  std::int32_t event = -1;
  RankSet ranks;
};

std::vector<Recording> recordings_of(const Lifecycle& plan) {
  std::vector<Recording> out;
  for (std::int32_t i = 0; i < std::ssize(plan.events); ++i) {
    const PlanEvent& event = plan.events[static_cast<std::size_t>(i)];
    if (event.kind != PlanEventKind::capture || !event.stream) continue;
    std::vector<RankRange> ranges;
    for (const Program& program : event.programs) {
      if (program.mode == GraphMode::eager) continue;
      const auto& own = program.ranks.ranges();
      ranges.insert(ranges.end(), own.begin(), own.end());
    }
    out.push_back({i, set_of(std::move(ranges))});
  }
  return out;
}

}  // namespace

Result<void> check_captures_apart(const Lifecycle& plan, const JsonField& events) {
  const std::vector<Recording> recordings = recordings_of(plan);
  if (recordings.size() < 2) return {};
  const EventClock clock(plan);
  for (auto b = recordings.begin(); b != recordings.end(); ++b) {
    for (auto a = recordings.begin(); a != b; ++a) {
      if (clock.ordered(a->event, b->event) || !meet(a->ranks, b->ranks)) continue;
      const auto place = static_cast<std::size_t>(b->event);
      return fail(Error{json_path(events.path(), place),
                        "a capture inside a capture: events[" + std::to_string(a->event) +
                            "] records on the same ranks at the same time",
                        "put both on one stream, or name the first in \"after\""});
    }
  }
  return {};
}

Result<void> check_frees(const Lifecycle& plan, const JsonField& events) {
  // Buffers that a program allocates come and go inside an event; only events are followed here.
  std::vector<bool> followed(plan.buffers.size(), false);
  for (const PlanEvent& event : plan.events) {
    if (event.kind == PlanEventKind::allocate) {
      followed[static_cast<std::size_t>(event.buffer)] = true;
    }
  }
  for (const PlanEvent& event : plan.events) {
    for (const Program& program : event.programs) {
      for (const PlanOp& op : program.ops) {
        if (op.buffer >= 0) followed[static_cast<std::size_t>(op.buffer)] = false;
      }
    }
  }
  std::vector<Holders> holders(plan.buffers.size());
  for (std::size_t i = 0; i < plan.events.size(); ++i) {
    const PlanEvent& event = plan.events[i];
    if (event.buffer < 0 || !followed[static_cast<std::size_t>(event.buffer)]) continue;
    const PlanBuffer& buffer = plan.buffers[static_cast<std::size_t>(event.buffer)];
    RankSet ranks = event.ranks.empty() ? buffer.owner : event.ranks;
    if (ranks.empty()) ranks = RankSet(0, plan.world - 1);
    Holders& held = holders[static_cast<std::size_t>(event.buffer)];
    if (event.kind == PlanEventKind::allocate) {
      held.add(ranks);
    } else if (!held.take(ranks)) {
      return fail(Error{json_path(json_path(events.path(), i), "buffer"),
                        "frees " + buffer.name + ", which is not allocated at this time",
                        "allocate it before, or leave this event out"});
    }
  }
  return {};
}

}  // namespace capsize::plan_reading
