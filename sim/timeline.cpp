#include "sim/timeline.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace capsize {
namespace {

constexpr std::array<std::string_view, 9> kSizeNames = {"tokens",       "num_tokens", "requests",
                                                        "num_requests", "size",       "bs",
                                                        "batch_size",   "batch",      "bucket"};

const NamedValue* size_component(const GraphKey& key) {
  for (const std::string_view name : kSizeNames) {
    for (const NamedValue& each : key) {
      if (each.first == name) return &each;
    }
  }
  return nullptr;
}

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool counts_requests(std::string_view name) {
  return name != "tokens" && name != "num_tokens" && name != "bucket" && name != "size";
}

// Whether a replay of `wanted` finds the graph that `stored` captured.
bool same_key(const Program& wanted, const Program& stored) {
  if (wanted.key && stored.key) return *wanted.key == *stored.key;
  return bucket_of(wanted) == bucket_of(stored);
}

// Adds those operations of a program that `keep` lets through, as one part.
template <class Keep>
void add_part(Running& running, const Program& program, bool from_graph, const Keep& keep) {
  const auto first_block = static_cast<std::int32_t>(running.blocks.size());
  for (const OpBlock& block : program.blocks) {
    const auto first = static_cast<std::int32_t>(running.ops.size());
    for (std::int32_t i = block.first_op; i < block.first_op + block.count; ++i) {
      const PlanOp& op = program.ops[static_cast<std::size_t>(i)];
      const std::optional<bool> captured = keep(op);
      if (!captured) continue;
      running.ops.push_back({.op = &op,
                             .index = i,
                             .layer = block.layer.value_or(-1),
                             .captured = *captured,
                             .from_graph = from_graph});
    }
    const auto count = static_cast<std::int32_t>(running.ops.size()) - first;
    if (count > 0) running.blocks.push_back({first, count, block.repeat});
  }
  const auto blocks = static_cast<std::int32_t>(running.blocks.size()) - first_block;
  if (blocks > 0) running.parts.push_back({first_block, blocks, program.repeat});
}

GraphMode mode_in(const PlanEvent& event, const Program& program) {
  const bool graph = event.kind == PlanEventKind::capture || event.kind == PlanEventKind::replay;
  return program.mode.value_or(graph ? GraphMode::graph : GraphMode::eager);
}

std::int64_t tokens_in(const PlanEvent& event) {
  if (event.tokens) return *event.tokens;
  std::int64_t largest = 0;
  for (const Program& program : event.programs) {
    largest = std::max(largest, program.tokens.value_or(bucket_of(program).value_or(0)));
  }
  return largest;
}

void add_class(Meeting& meeting, std::int32_t running, std::int64_t rank) {
  for (MeetingClass& each : meeting.classes) {
    if (each.running == running) {
      ++each.count;
      return;
    }
  }
  meeting.classes.push_back({running, rank, 1});
}

bool alike(const Meeting& a, const Meeting& b) {
  return std::ranges::equal(a.classes, b.classes, [](const MeetingClass& x, const MeetingClass& y) {
    return x.running == y.running && x.count == y.count;
  });
}

}  // namespace

std::optional<std::int64_t> size_in(const GraphKey& key) {
  const NamedValue* size = size_component(key);
  return size == nullptr ? std::nullopt : integer(size->second);
}

GraphKey without_size(const GraphKey& key) {
  GraphKey out = key;
  if (const NamedValue* size = size_component(key)) {
    out.erase(out.begin() + (size - key.data()));
  }
  return out;
}

std::optional<std::int64_t> bucket_of(const Program& program) {
  if (program.bucket || !program.key) return program.bucket;
  const auto size = size_in(*program.key);
  if (!size) return std::nullopt;
  return counts_requests(size_component(*program.key)->first) ? *size * program.width.value_or(1)
                                                              : *size;
}

Transport transport_of(const Lifecycle& lifecycle, const PlanOp& op) {
  if (op.transport) return *op.transport;
  if (!op.group.valid()) return Transport::checked;
  return lifecycle.family(op.group).transport.value_or(Transport::checked);
}

std::optional<std::int64_t> peer_of(const Lifecycle& lifecycle, const Program& program,
                                    const PlanOp& op, std::int64_t rank) {
  if (!op.peer) return std::nullopt;
  const std::int64_t reached = rank + *op.peer - program.ranks.first();
  const bool in_world = reached >= 0 && reached < lifecycle.world;
  if (!op.group.valid()) return in_world ? std::optional(reached) : std::nullopt;
  const PlanGroups& family = lifecycle.family(op.group);
  const std::int32_t group = family.group_of.at(static_cast<std::size_t>(rank));
  if (group < 0) return std::nullopt;
  if (in_world && reached != rank && family.group_of[static_cast<std::size_t>(reached)] == group) {
    return reached;
  }
  const auto& members = family.groups[static_cast<std::size_t>(group)];
  if (*op.peer < 0 || *op.peer >= std::ssize(members)) return std::nullopt;
  return members[static_cast<std::size_t>(*op.peer)];
}

Timeline::Timeline(const Lifecycle& lifecycle) : lifecycle_(&lifecycle) {
  events_.reserve(lifecycle.events.size());
  met_.resize(lifecycle.events.size() * lifecycle.families.size());
  for (std::size_t i = 0; i < lifecycle.events.size(); ++i) {
    add_event(lifecycle.events[i], static_cast<std::int32_t>(i));
  }
  order_events();
}

void Timeline::add_event(const PlanEvent& event, std::int32_t index) {
  EventRun& run = events_.emplace_back();
  run.event = &event;
  run.index = index;
  run.tokens = tokens_in(event);
  run.runnings.reserve(event.programs.size());
  for (const Program& program : event.programs) {
    const GraphMode mode = mode_in(event, program);
    if (event.kind == PlanEventKind::replay && mode != GraphMode::eager) {
      add_replay(run, program);
      continue;
    }
    Running& running = run.runnings.emplace_back();
    running.program = &program;
    running.ranks = program.ranks;
    running.mode = mode;
    const bool region = event.kind == PlanEventKind::capture && mode != GraphMode::eager;
    running.ops.reserve(program.ops.size());
    add_part(running, program, false,
             [region](const PlanOp& op) { return std::optional(op.captured.value_or(region)); });
  }
  if (event.kind == PlanEventKind::capture) captures_.push_back(index);
}

// Ranks of one program may have been captured at different times: a class for each capture.
void Timeline::add_replay(EventRun& run, const Program& program) {
  const auto add = [&](RankSet ranks, const Program* graph, std::int32_t event) {
    Running& running = run.runnings.emplace_back();
    running.program = &program;
    running.ranks = std::move(ranks);
    running.mode = mode_in(*run.event, program);
    running.graph = graph;
    running.capture_event = event;
    running.graph_missing = graph == nullptr;
    // Restated operations stand for those of a capture that the plan does not hold.
    add_part(running, program, false, [graph](const PlanOp& op) -> std::optional<bool> {
      const bool captured = op.captured.value_or(false);
      if (captured && graph != nullptr) return std::nullopt;
      return captured;
    });
    if (graph == nullptr) return;
    const PlanEvent& capture = lifecycle_->events[static_cast<std::size_t>(event)];
    const bool whole = mode_in(capture, *graph) == GraphMode::graph;
    add_part(running, *graph, true, [whole](const PlanOp& op) -> std::optional<bool> {
      const bool captured = op.captured.value_or(true);
      if (!captured && whole) return std::nullopt;
      return captured;
    });
  };
  RankSet left = program.ranks;
  for (auto at = captures_.rbegin(); at != captures_.rend() && !left.empty(); ++at) {
    const PlanEvent& capture = lifecycle_->events[static_cast<std::size_t>(*at)];
    if (capture.path != run.event->path) continue;
    for (const Program& stored : capture.programs) {
      if (mode_in(capture, stored) == GraphMode::eager || !same_key(program, stored)) continue;
      RankSet found = common(left, stored.ranks);
      if (found.empty()) continue;
      left = without(left, found);
      add(std::move(found), &stored, *at);
    }
  }
  if (!left.empty()) add(std::move(left), nullptr, -1);
}

std::span<const Meeting> Timeline::meetings(const EventRun& event, GroupId family) const {
  Met& met = met_[static_cast<std::size_t>(event.index) * lifecycle_->families.size() +
                  static_cast<std::size_t>(family.index)];
  if (!met.found) {
    met.meetings = meet(event, family);
    met.found = true;
  }
  return met.meetings;
}

std::vector<Meeting> Timeline::meet(const EventRun& event, GroupId family) const {
  const PlanGroups& groups = lifecycle_->family(family);
  std::vector<Meeting> out;
  const bool in_step =
      event.runnings.size() == 1 && event.runnings[0].ranks.count() == lifecycle_->world;
  std::vector<std::int32_t> class_of;
  if (!in_step) {
    class_of.assign(static_cast<std::size_t>(lifecycle_->world), -1);
    for (std::size_t r = 0; r < event.runnings.size(); ++r) {
      event.runnings[r].ranks.for_each([&](std::int64_t rank) {
        class_of[static_cast<std::size_t>(rank)] = static_cast<std::int32_t>(r);
      });
    }
  }
  for (std::size_t g = 0; g < groups.groups.size(); ++g) {
    const auto& members = groups.groups[g];
    if (members.empty()) continue;
    Meeting meeting{.group = static_cast<std::int32_t>(g), .size = std::ssize(members)};
    if (in_step) {
      meeting.classes.push_back({0, members.front(), meeting.size});
    } else {
      for (const std::int32_t rank : members) {
        add_class(meeting, class_of[static_cast<std::size_t>(rank)], rank);
      }
    }
    const bool known =
        std::ranges::any_of(out, [&](const Meeting& other) { return alike(other, meeting); });
    if (!known) out.push_back(std::move(meeting));
  }
  return out;
}

const Running* Timeline::running_of(const EventRun& event, std::int64_t rank) const {
  for (const Running& running : event.runnings) {
    if (running.ranks.contains(rank)) return &running;
  }
  return nullptr;
}

// A clock for each event: the last of every stream that has ended before it begins. An event
// without a stream comes after all before it, so that it stands for them to all behind it.
void Timeline::order_events() {
  std::vector<std::int64_t> numbers;  // of the streams, in order of appearance
  for (const PlanEvent& event : lifecycle_->events) {
    const auto at = std::ranges::find(numbers, event.stream.value_or(-1));
    stream_.push_back(event.stream ? static_cast<std::int32_t>(at - numbers.begin()) : -1);
    if (event.stream && at == numbers.end()) numbers.push_back(*event.stream);
  }
  streams_ = numbers.size();
  if (streams_ == 0) return;
  clock_.assign(stream_.size() * streams_, -1);
  std::vector<std::int32_t> last(streams_, -1);  // the last event of each stream so far
  std::int32_t barrier = -1;                     // the last event without a stream
  for (std::int32_t b = 0; b < std::ssize(stream_); ++b) {
    const std::size_t row = static_cast<std::size_t>(b) * streams_;
    const auto join = [&](std::int32_t a) {
      if (a < 0) return;
      const std::size_t from = static_cast<std::size_t>(a) * streams_;
      for (std::size_t s = 0; s < streams_; ++s) {
        clock_[row + s] = std::max(clock_[row + s], clock_[from + s]);
      }
      const std::int32_t own = stream_[static_cast<std::size_t>(a)];
      if (own < 0) return;
      std::int32_t& ended = clock_[row + static_cast<std::size_t>(own)];
      ended = std::max(ended, a);
    };
    const std::int32_t stream = stream_[static_cast<std::size_t>(b)];
    if (stream < 0) {
      for (const std::int32_t each : last) join(each);
      barrier = b;
      continue;
    }
    join(barrier);
    join(last[static_cast<std::size_t>(stream)]);
    for (const std::int32_t a : lifecycle_->events[static_cast<std::size_t>(b)].after) join(a);
    last[static_cast<std::size_t>(stream)] = b;
  }
}

// A clock for each operation: the last operation of every stream that has ended before it begins.
OpOrder::OpOrder(const Running& running) {
  std::vector<std::int32_t> numbers;  // of the streams, in order of appearance
  for (const RunOp& each : running.ops) {
    auto at = std::ranges::find(numbers, each.op->stream);
    stream_.push_back(static_cast<std::int32_t>(at - numbers.begin()));
    if (at == numbers.end()) numbers.push_back(each.op->stream);
  }
  streams_ = numbers.size();
  if (streams_ <= 1) return;
  clock_.assign(running.ops.size() * streams_, -1);
  std::vector<std::int32_t> last(streams_, -1);  // the last operation of each stream so far
  std::int32_t host = -1;                        // the last host_wait: later ones are issued after
  for (std::int32_t b = 0; b < std::ssize(running.ops); ++b) {
    const RunOp& op = running.ops[static_cast<std::size_t>(b)];
    if (host >= 0) join(b, host);
    if (const std::int32_t own = last[stream_of(b)]; own >= 0) join(b, own);
    if (op.op->kind == PlanOpKind::host_wait) {
      for (const std::int32_t each : last) {
        if (each >= 0) join(b, each);
      }
      host = b;
    }
    if (op.op->kind == PlanOpKind::wait && op.op->after.empty() && b > 0) join(b, b - 1);
    auto left = std::ssize(op.op->after);
    for (std::int32_t a = b - 1; a >= 0 && left > 0; --a) {
      const RunOp& earlier = running.ops[static_cast<std::size_t>(a)];
      if (earlier.from_graph != op.from_graph) continue;
      if (std::ranges::find(op.op->after, earlier.index) == op.op->after.end()) continue;
      join(b, a);
      --left;
    }
    last[stream_of(b)] = b;
  }
}

void OpOrder::join(std::int32_t b, std::int32_t a) {
  const std::size_t to = static_cast<std::size_t>(b) * streams_;
  const std::size_t from = static_cast<std::size_t>(a) * streams_;
  for (std::size_t s = 0; s < streams_; ++s) {
    clock_[to + s] = std::max(clock_[to + s], clock_[from + s]);
  }
  clock_[to + stream_of(a)] = std::max(clock_[to + stream_of(a)], a);
}

bool OpOrder::ordered(std::int32_t a, std::int32_t b) const {
  if (streams_ <= 1) return true;
  return clock_[static_cast<std::size_t>(b) * streams_ + stream_of(a)] >= a;
}

bool overlap(const BufferRange& a, const BufferRange& b) {
  if (a.buffer != b.buffer || a.buffer < 0) return false;
  const auto end_of = [](const BufferRange& range) {
    std::int64_t end = 0;
    const bool open = range.bytes < 0 || __builtin_add_overflow(range.offset, range.bytes, &end);
    return open ? INT64_MAX : end;
  };
  const std::int64_t a_end = end_of(a);
  const std::int64_t b_end = end_of(b);
  // An empty range has no byte to share.
  return std::max(a.offset, b.offset) < std::min(a_end, b_end);
}

}  // namespace capsize
