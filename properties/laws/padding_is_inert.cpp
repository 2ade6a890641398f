// padding_is_inert: what the rows beyond the real ones hold reaches no result. Judged in plans that
// state it: rows that are live must not be routed to experts, summed over ranks or written to the
// KV cache. Rows that are stale behind a mask pass.
#include <algorithm>

#include "properties/plan_report.hpp"

namespace capsize {
namespace {

bool writes_kv(const Lifecycle& lifecycle, const PlanOp& op) {
  return std::ranges::any_of(op.writes, [&](const BufferRange& range) {
    return range.buffer >= 0 &&
           lifecycle.buffers[static_cast<std::size_t>(range.buffer)].kind == BufferKind::kv;
  });
}

// What such an operation does to live padding that a later reader sees; empty: nothing.
std::string_view harm_of(const Lifecycle& lifecycle, const PlanOp& op) {
  switch (op.kind) {
    case PlanOpKind::router: return "sends to experts";
    case PlanOpKind::all_reduce:
    case PlanOpKind::reduce_scatter: return "adds up";
    default: return writes_kv(lifecycle, op) ? "writes to the KV cache" : std::string_view();
  }
}

// Rows beyond the real ones, as this step runs: a replay brings its own count to the graph's rows.
struct Rows {
  std::int64_t tokens = 0;
  std::int64_t bucket = 0;
};

Rows rows_of(const EventRun& event, const Running& running) {
  auto bucket = bucket_of(*running.program);
  if (!bucket && running.graph != nullptr) bucket = bucket_of(*running.graph);
  return {running.program->tokens.value_or(event.tokens), bucket.value_or(0)};
}

void check(const Timeline& timeline, PlanReport& report) {
  const Lifecycle& lifecycle = timeline.lifecycle();
  for (const EventRun& event : timeline.events()) {
    for (std::int32_t running = 0; running < std::ssize(event.runnings); ++running) {
      const Running& runs = event.runnings[static_cast<std::size_t>(running)];
      const Rows rows = rows_of(event, runs);
      for (const RunOp& op : runs.ops) {
        if (!op.op->padding) continue;
        report.looked_at(event.event->path);
        if (*op.op->padding != Padding::live || rows.tokens >= rows.bucket) continue;
        const std::string_view harm = harm_of(lifecycle, *op.op);
        if (harm.empty()) continue;
        Breach breach = breach_at(timeline, event, running, op);
        breach.symptom = Symptom::silent_corruption;
        breach.blame = op_text(lifecycle, *op.op);
        breach.blame.append(" ").append(harm).append(" the padding of ");
        breach.blame.append(std::to_string(rows.tokens)).append(" tokens in a bucket of ");
        breach.blame.append(std::to_string(rows.bucket)).append(", and those rows are live");
        report.add(std::move(breach));
      }
    }
  }
}

}  // namespace

extern const Law law_padding_is_inert;
const Law law_padding_is_inert{
    .name = "padding_is_inert",
    .defect_class = "C09",
    .subject = "trace",
    .statement =
        "What padding rows hold reaches no result: they are zero at sums, go to no expert and "
        "are not written to the KV cache.",
    .formula = "tokens < bucket implies padding in {zero, masked} at routers, sums and KV writes",
    .way_out = "zero or mask the padding rows before routers, sums and cache writes",
    .check_plan = check};

}  // namespace capsize
