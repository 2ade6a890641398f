// within_capacity: the tokens of every captured size fit every bound of its path. The witness is
// the least size that passes any bound; the symptom is that of the first event that does.
// In a plan: every read and write stays inside its buffer.
#include <algorithm>

#include "properties/plan_report.hpp"
#include "properties/set_case.hpp"

namespace capsize {
namespace {

bool exceeds(const CapturePath& path, const CapacityBound& bound, std::int64_t size) {
  return path.tokens_of(size).value > bound.tokens;
}

// The bounds that a size passes, in the order of the plan.
std::vector<const CapacityBound*> passed_bounds(const CapturePath& path, std::int64_t size) {
  std::vector<const CapacityBound*> out;
  for (const CapacityBound& bound : path.bounds) {
    if (exceeds(path, bound, size)) out.push_back(&bound);
  }
  return out;
}

std::string describe(const CapturePath& path, const CapacityBound& bound, std::int64_t size) {
  return std::to_string(path.tokens_of(size).value) + " tokens pass " + std::string(bound.what) +
         " of " + std::to_string(bound.tokens);
}

// What is known to follow of passing these bounds: the first that does more than waste memory.
Symptom symptom_of_bounds(const std::vector<const CapacityBound*>& passed) {
  for (const CapacityBound* bound : passed) {
    if (symptom_of(bound->symptom) != Symptom::none) return symptom_of(bound->symptom);
  }
  return Symptom::none;
}

Finding check_path(const Subject& subject, const CapturePath& path) {
  if (path.bounds.empty()) {
    return {.verdict = LawVerdict::not_applicable, .reason = "no bound is known for this path"};
  }
  const auto passes = [&path](std::int64_t size) { return !passed_bounds(path, size).empty(); };
  Finding finding{.known = Known::proved};
  std::optional<std::int64_t> smallest;
  for (const std::int64_t size : path.kept) {
    if (passes(size) && (!smallest || size < *smallest)) smallest = size;
  }
  if (!smallest) return finding;

  const CapacityBound& least = *passed_bounds(path, *smallest).front();
  finding.verdict = LawVerdict::violation;
  finding.witness = witness_at(path, *smallest);
  finding.blame = describe(path, least, *smallest);
  finding.rule = least.rule;
  finding.symptom = symptom_of(least.symptom);
  if (const auto event = first_event(subject, path, passes)) {
    finding.first_in_time = FirstInTime{name_of(event->kind), path.tokens_of(event->size).value};
    const auto passed = passed_bounds(path, event->size);
    finding.symptom = symptom_of_bounds(passed);
    for (const CapacityBound* bound : passed) {
      if (bound == &least) continue;
      finding.reason.append(finding.reason.empty() ? "" : "; ");
      finding.reason += describe(path, *bound, event->size);
    }
  }
  return finding;
}

SetFinding check_set(const SetCase& in) {
  if (!in.has_bounds) return {LawVerdict::not_applicable};
  return broken_at(in, in.kept - in.within);
}

// ---- plans ----------------------------------------------------------------------------------

// Who was given so many bytes of a buffer, and when.
struct Allocation {
  std::int32_t event = 0;
  const RankSet* ranks = nullptr;  // empty: all
  std::int64_t bytes = 0;
};

// The sizes of all buffers over time.
class BufferSizes {
 public:
  explicit BufferSizes(const Lifecycle& lifecycle)
      : lifecycle_(&lifecycle), allocations_(lifecycle.buffers.size()) {
    for (std::size_t i = 0; i < lifecycle.events.size(); ++i) {
      const PlanEvent& event = lifecycle.events[i];
      if (event.kind != PlanEventKind::allocate || event.buffer < 0 || !event.bytes) continue;
      allocations_[static_cast<std::size_t>(event.buffer)].push_back(
          {static_cast<std::int32_t>(i), &event.ranks, *event.bytes});
    }
  }

  // Calls `visit(rank, bytes)` for the first rank of each part of `ranks` that has a size of its
  // own when event `event` begins.
  template <class Visit>
  void for_each(std::int32_t buffer, std::int32_t event, const RankSet& ranks,
                const Visit& visit) const {
    const auto at = static_cast<std::size_t>(buffer);
    const auto& own = lifecycle_->buffers[at].bytes;
    const auto& allocations = allocations_[at];
    if (allocations.empty()) {
      if (own) visit(ranks.first(), *own);
      return;
    }
    RankSet left = ranks;  // of whom no allocation was found yet, going back in time
    for (auto each = allocations.rbegin(); each != allocations.rend() && !left.empty(); ++each) {
      if (each->event >= event) continue;
      const RankSet given = each->ranks->empty() ? left : common(left, *each->ranks);
      if (given.empty()) continue;
      visit(given.first(), each->bytes);
      left = without(left, given);
    }
    if (own && !left.empty()) visit(left.first(), *own);
  }

 private:
  const Lifecycle* lifecycle_;
  std::vector<std::vector<Allocation>> allocations_;  // by buffer, oldest first
};

bool stays_inside(const BufferRange& range, std::int64_t bytes) {
  if (range.offset < 0 || range.offset > bytes) return false;
  return range.bytes <= bytes - range.offset;
}

std::string describe(const PlanOp& op, std::string_view verb, const BufferRange& range,
                     const PlanBuffer& buffer, std::int64_t bytes) {
  std::string text(name_of(op.kind));
  text.append(" ").append(verb);
  const std::string first = std::to_string(range.offset);
  if (range.offset < 0 || range.bytes < 0 || range.offset > INT64_MAX - range.bytes) {
    text.append(" from byte ").append(first).append(" on");
  } else {
    text.append(" bytes ").append(first).append("-").append(
        std::to_string(range.offset + range.bytes));
  }
  return text + " of " + buffer.name + ", which has " + std::to_string(bytes);
}

// The accesses of one operation of one class of ranks. A captured operation uses the memory that
// there was when it was captured; what became of it since is the business of replay_reads_now.
void check_accesses(const Timeline& timeline, const BufferSizes& sizes, const EventRun& event,
                    std::int32_t running, const RunOp& op, PlanReport& report) {
  const Running& runs = event.runnings[static_cast<std::size_t>(running)];
  const std::int32_t as_of = op.from_graph ? runs.capture_event : event.index;
  const auto check = [&](const BufferRange& range, std::string_view verb) {
    if (range.buffer < 0) return;
    std::optional<std::pair<std::int64_t, std::int64_t>> failed;  // the first rank, and its bytes
    sizes.for_each(range.buffer, as_of, runs.ranks, [&](std::int64_t rank, std::int64_t bytes) {
      report.looked_at(event.event->path);
      if (stays_inside(range, bytes)) return;
      if (!failed || rank < failed->first) failed = {rank, bytes};
    });
    if (!failed) return;
    const PlanBuffer& buffer = timeline.lifecycle().buffers[static_cast<std::size_t>(range.buffer)];
    Breach breach = breach_at(timeline, event, running, op);
    breach.rank = failed->first;
    breach.buffer = buffer.name;
    breach.symptom = Symptom::silent_corruption;
    breach.blame = describe(*op.op, verb, range, buffer, failed->second);
    report.add(std::move(breach));
  };
  for (const BufferRange& range : op.op->reads) check(range, "reads");
  for (const BufferRange& range : op.op->writes) check(range, "writes");
}

void check_plan(const Timeline& timeline, PlanReport& report) {
  const BufferSizes sizes(timeline.lifecycle());
  for (const EventRun& event : timeline.events()) {
    for (std::int32_t running = 0; running < std::ssize(event.runnings); ++running) {
      for (const RunOp& op : event.runnings[static_cast<std::size_t>(running)].ops) {
        check_accesses(timeline, sizes, event, running, op, report);
      }
    }
  }
}

}  // namespace

extern const Law law_within_capacity;
const Law law_within_capacity{
    .name = "within_capacity",
    .defect_class = "C07",
    .subject = "capture plan",
    .statement =
        "The tokens of every captured size fit every bound of its path; every read and write "
        "stays inside its buffer.",
    .formula = "for all b in B(p): tokens(b) <= bound; 0 <= offset, offset + bytes <= size",
    .way_out = "size the buffer by the largest captured size, or capture no size above it",
    .check_path = check_path,
    .check_plan = check_plan,
    .check_set = check_set};

}  // namespace capsize
