#include "runtime/processes/given_up.hpp"

#include <algorithm>

#include "sim/timeline.hpp"

namespace capsize {
namespace {

std::int64_t largest_bucket(const PlanEvent& event) {
  std::int64_t out = -1;
  for (const Program& program : event.programs)
    out = std::max(out, bucket_of(program).value_or(-1));
  return out;
}

// Whether `event` cannot be run where `earlier` was not.
bool needs(const EventRun& event, const EventRun& earlier) {
  if (event.event->kind == PlanEventKind::capture) {
    return earlier.event->kind == PlanEventKind::warm_up && event.index > earlier.index &&
           event.event->path == earlier.event->path &&
           largest_bucket(*event.event) == largest_bucket(*earlier.event);
  }
  return std::ranges::any_of(event.runnings, [&](const Running& running) {
    return running.capture_event == earlier.index;
  });
}

}  // namespace

std::vector<std::int32_t> give_up(Lifecycle& plan, std::span<const std::int32_t> events) {
  std::vector<std::int32_t> out;
  if (events.empty()) return out;
  const Timeline timeline(plan);
  std::vector<const EventRun*> gone;
  for (const EventRun& event : timeline.events()) {
    const bool named = std::ranges::find(events, event.index) != events.end();
    const bool runs = !event.runnings.empty();
    if (!named && !(runs && std::ranges::any_of(gone, [&](const EventRun* earlier) {
                      return needs(event, *earlier);
                    }))) {
      continue;
    }
    gone.push_back(&event);
    out.push_back(event.index);
  }
  for (const std::int32_t event : out)
    plan.events[static_cast<std::size_t>(event)].programs.clear();
  return out;
}

}  // namespace capsize
