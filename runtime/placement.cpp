#include "runtime/placement.hpp"

#include <algorithm>

namespace capsize {
namespace {

// The first operation that reads rows; none where there is none.
const PlanOp* entry_of(const Running& running) {
  const auto reads = std::ranges::find_if(
      running.ops, [](const RunOp& each) { return !each.op->rows_in.empty(); });
  return reads == running.ops.end() ? nullptr : reads->op;
}

std::int64_t rows_of(const Running* running) {
  const PlanOp* entry = running == nullptr ? nullptr : entry_of(*running);
  return entry == nullptr ? 0 : entry->rows_in.front();
}

// Where a rank stands on an axis, and how many rows its neighbours before it and all of them hold.
struct Axis {
  std::int64_t position = 0;
  std::int64_t size = 1;
  std::int64_t before = 0;
  std::int64_t all = 0;
};

Axis axis_of(const Timeline& timeline, const EventRun& event, GroupId id, std::int64_t rank) {
  const PlanGroups& family = timeline.lifecycle().family(id);
  const std::int32_t group = family.group_of[static_cast<std::size_t>(rank)];
  Axis out;
  if (group < 0) return out;
  const auto& members = family.groups[static_cast<std::size_t>(group)];
  out.position = family.position_of[static_cast<std::size_t>(rank)];
  out.size = static_cast<std::int64_t>(members.size());
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::int64_t rows = rows_of(timeline.running_of(event, members[i]));
    if (static_cast<std::int64_t>(i) < out.position) out.before += rows;
    out.all += rows;
  }
  return out;
}

}  // namespace

// The innermost axes whose ranks together hold the batch split it between them (context
// parallelism); along the others every rank has a batch of its own (data parallelism).
Placement placement_of(const Timeline& timeline, const EventRun& event, const Running& running,
                       std::int64_t rank) {
  Placement out;
  const PlanOp* entry = entry_of(running);
  if (entry == nullptr) return out;
  out.rows = entry->rows_in.front();
  const Program& program = *running.program;
  const Program& sized = running.graph == nullptr ? program : *running.graph;
  const std::int64_t batch = bucket_of(sized).value_or(out.rows);
  bool split = out.rows == batch;
  const Layout layout = entry->in.empty() ? Layout{} : entry->in.front();
  std::int64_t radix = 1;
  for (int i = layout.depth - 1; i >= 0; --i) {
    const LayoutPart part = layout.parts.at(static_cast<std::size_t>(i));
    if (part.kind != LayoutKind::scattered) continue;
    const Axis axis = axis_of(timeline, event, part.axis, rank);
    if (!split && axis.all == batch) {
      out.first = axis.before;
      split = true;
      continue;
    }
    out.coordinate += radix * axis.position;
    radix *= axis.size;
  }
  const std::int64_t tokens = program.tokens.value_or(batch);
  out.real = std::clamp<std::int64_t>(tokens - out.first, 0, out.rows);
  return out;
}

}  // namespace capsize
