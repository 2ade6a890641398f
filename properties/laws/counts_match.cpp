// counts_match: every collective moves as many rows as its group takes, all members name the same
// counts and types, and what a collective reads and writes in one buffer is exactly its slice.
#include <algorithm>
#include <map>
#include <utility>

#include "properties/law.hpp"
#include "properties/op_sequence.hpp"
#include "properties/plan_report.hpp"
#include "properties/unequal_counts.hpp"

namespace capsize {
namespace {

// Steps on plans that are not compared while folded, for all events together: about a second.
constexpr std::int64_t kSteps = 20'000'000;
// Differences told of one class and group: the first may be another law's.
constexpr std::int32_t kToldPerClass = 8;

bool is_read(const PlanOp& op) { return moves_rows(op.kind) && op.group.valid(); }

bool states_anything(const PlanOp& op) {
  return !op.rows_in.empty() || op.rows_out || !op.sizes.empty() || !op.dtype.empty() ||
         (!op.reads.empty() && !op.writes.empty());
}

// ---- one rank -----------------------------------------------------------------------------------

// One rank's call: where it stands in its group.
struct Call {
  const Lifecycle& lifecycle;
  const PlanOp& op;
  std::int64_t rank = 0;
  std::int64_t members = 0;
  std::int64_t position = 0;

  [[nodiscard]] std::string who() const { return "rank " + std::to_string(rank); }
  [[nodiscard]] std::string where() const {
    return op_text(lifecycle, op) + " (" + std::to_string(members) + " ranks)";
  }
};

// What is wrong with it; empty where nothing is.
struct Fault {
  std::string text;
  std::int32_t buffer = -1;  // an overlap: in which buffer
};

std::string takes_and_gives(const Call& call) {
  return call.who() + " puts " + counted(call.op.rows_in[0], "row") + " into " + call.where() +
         " and takes " + std::to_string(*call.op.rows_out);
}

// Counts without a list of sizes. A count that the group does not divide is `divisible`.
Fault rows_fault(const Call& call) {
  const PlanOp& op = call.op;
  if (op.rows_in.empty() || !op.rows_out) return {};
  const std::int64_t out = *op.rows_out;
  const std::int64_t in = op.rows_in[0];
  const bool one = op.rows_in.size() == 1;
  switch (op.kind) {
    case PlanOpKind::reduce_scatter:
      if (!one || in % call.members != 0 || out == in / call.members) return {};
      return {takes_and_gives(call) + "; its share is " + std::to_string(in / call.members)};
    case PlanOpKind::all_gather:
      if (!one || out % call.members != 0 || in == out / call.members) return {};
      return {takes_and_gives(call) + "; its share is " + std::to_string(out / call.members)};
    case PlanOpKind::all_reduce:
      for (const std::int64_t rows : op.rows_in) {
        if (rows == out) continue;
        return {call.who() + " puts " + counted(rows, "row") + " into " + call.where() +
                " and takes " + std::to_string(out) + "; it takes as many as it puts in"};
      }
      return {};
    case PlanOpKind::broadcast:
      if (!one || in == out) return {};
      return {takes_and_gives(call) + "; it takes as many as it puts in"};
    default: return {};
  }
}

std::int64_t sum_before(const std::vector<std::int64_t>& sizes, std::size_t end) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < end; ++i) {
    sum = sizes[i] > INT64_MAX - sum ? INT64_MAX : sum + std::max<std::int64_t>(sizes[i], 0);
  }
  return sum;
}

// Counts against the list of sizes of a collective whose members hold different ones.
Fault sizes_fault(const Call& call) {
  const PlanOp& op = call.op;
  const bool gathers = op.kind == PlanOpKind::all_gather;
  const bool scatters = op.kind == PlanOpKind::reduce_scatter;
  if (!gathers && !scatters && op.kind != PlanOpKind::all_to_all) return {};
  const std::string listed = call.who() + " lists " + counted(std::ssize(op.sizes), "size");
  if (std::ssize(op.sizes) != call.members) return {listed + " for " + call.where()};
  const std::int64_t sum = sum_before(op.sizes, op.sizes.size());
  const std::int64_t own = op.sizes[static_cast<std::size_t>(call.position)];
  const std::int64_t in = gathers ? own : sum;
  const std::string lists = ", but the sizes that it lists say ";
  if (op.rows_in.size() == 1 && op.rows_in[0] != in) {
    return {call.who() + " puts " + counted(op.rows_in[0], "row") + " into " + call.where() +
            lists + std::to_string(in)};
  }
  const std::int64_t out = gathers ? sum : own;
  if (op.rows_out && *op.rows_out != out && (gathers || scatters)) {
    return {call.who() + " takes " + counted(*op.rows_out, "row") + " out of " + call.where() +
            lists + std::to_string(out)};
  }
  return {};
}

// ---- in place -----------------------------------------------------------------------------------

// A range with its end found; none where it is not known, or not a range (within_capacity says so).
std::optional<BufferRange> resolved(const Lifecycle& lifecycle, BufferRange range) {
  if (range.buffer < 0 || range.offset < 0) return std::nullopt;
  if (range.bytes < 0) {
    const auto& bytes = lifecycle.buffers[static_cast<std::size_t>(range.buffer)].bytes;
    if (!bytes || *bytes < range.offset) return std::nullopt;
    range.bytes = *bytes - range.offset;
  }
  if (range.bytes > INT64_MAX - range.offset) return std::nullopt;
  return range;
}

struct Overlap {
  BufferRange read;
  BufferRange write;
};

std::optional<Overlap> overlap_in(const Lifecycle& lifecycle, const PlanOp& op) {
  for (const BufferRange& each : op.writes) {
    for (const BufferRange& other : op.reads) {
      if (each.buffer != other.buffer) continue;
      const auto read = resolved(lifecycle, other);
      const auto write = resolved(lifecycle, each);
      if (!read || !write || !overlap(*read, *write)) continue;
      const bool same = *read == *write &&
                        (op.kind == PlanOpKind::all_reduce || op.kind == PlanOpKind::broadcast);
      if (!same) return Overlap{*read, *write};
    }
  }
  return std::nullopt;
}

// The part of `whole` that is the caller's; none where the group does not split it.
std::optional<BufferRange> slice_of(const Call& call, const BufferRange& whole) {
  const auto& sizes = call.op.sizes;
  const auto position = static_cast<std::size_t>(call.position);
  const bool listed = !sizes.empty();
  if (listed && std::ssize(sizes) != call.members) return std::nullopt;
  const std::int64_t rows = listed ? sum_before(sizes, sizes.size()) : call.members;
  if (rows <= 0 || whole.bytes % rows != 0) return std::nullopt;
  const std::int64_t each = whole.bytes / rows;
  const std::int64_t before = listed ? sum_before(sizes, position) : call.position;
  const std::int64_t own = listed ? std::max<std::int64_t>(sizes[position], 0) : 1;
  return BufferRange{whole.buffer, whole.offset + each * before, each * own};
}

std::string bytes_text(const BufferRange& range) {
  return "bytes " + std::to_string(range.offset) + " to " +
         std::to_string(range.offset + range.bytes);
}

Fault overlap_fault(const Call& call, const Overlap& found) {
  const bool scatters = call.op.kind == PlanOpKind::reduce_scatter;
  const bool gathers = call.op.kind == PlanOpKind::all_gather;
  std::optional<BufferRange> slice;
  if (scatters || gathers) slice = slice_of(call, scatters ? found.read : found.write);
  if (slice && *slice == (scatters ? found.write : found.read)) return {};
  const std::string& buffer =
      call.lifecycle.buffers[static_cast<std::size_t>(found.read.buffer)].name;
  std::string text = call.who() + " reads " + bytes_text(found.read) + " of " + buffer + " in " +
                     call.where() + " and writes " + bytes_text(found.write);
  if (slice) {
    text += "; in place it " + std::string(scatters ? "writes " : "reads ") + bytes_text(*slice);
  } else {
    text += "; they may not overlap so";
  }
  return {std::move(text), found.read.buffer};
}

// ---- between members ----------------------------------------------------------------------------

enum class Difference : std::uint8_t { none, rows_in, rows_out, sizes, dtype };

// How two members' calls of one collective differ, as far as both say.
Difference difference_of(const PlanOp& a, const PlanOp& b) {
  if (!moves_rows(a.kind)) return Difference::none;
  const bool listed = !a.sizes.empty() && !b.sizes.empty();
  if (listed && a.kind != PlanOpKind::all_to_all && a.sizes != b.sizes) return Difference::sizes;
  if (a.sizes.empty() && b.sizes.empty()) {
    const bool both = !a.rows_in.empty() && !b.rows_in.empty();
    if (both && a.rows_in.size() == b.rows_in.size() && a.rows_in != b.rows_in) {
      return Difference::rows_in;
    }
    if (!both && a.rows_out && b.rows_out && *a.rows_out != *b.rows_out) {
      return Difference::rows_out;
    }
  }
  const bool typed = !a.dtype.empty() && !b.dtype.empty();
  return typed && a.dtype != b.dtype ? Difference::dtype : Difference::none;
}

bool same_call(const PlanOp& a, const PlanOp& b) {
  return a.kind == b.kind && a.group == b.group && a.rows_in == b.rows_in &&
         a.rows_out == b.rows_out && a.sizes == b.sizes && a.dtype == b.dtype;
}

bool same_calls(const Running& a, const Running& b) {
  const auto same_op = [](const RunOp& x, const RunOp& y) { return same_call(*x.op, *y.op); };
  return run_alike(a, b, same_op);
}

// The calls of all classes over one family. Classes with equal ones have equal numbers.
class Calls {
 public:
  Calls(const EventRun& event, GroupId family, Effort& effort) : effort_(effort) {
    sequences_.reserve(event.runnings.size());
    for (const Running& running : event.runnings) sequences_.emplace_back(running, over(family));
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      const auto known = std::ranges::find_if(
          distinct_, [&](std::size_t other) { return equal(sequences_[i], sequences_[other]); });
      numbers_.push_back(static_cast<std::size_t>(known - distinct_.begin()));
      if (known == distinct_.end()) distinct_.push_back(i);
    }
  }

  [[nodiscard]] const OpSequence& of(std::int32_t running) const {
    return sequences_[static_cast<std::size_t>(running)];
  }
  [[nodiscard]] bool equal(std::int32_t a, std::int32_t b) const { return number(a) == number(b); }
  // Whether nothing that both state differs, as long as both issue the same operations.
  [[nodiscard]] bool agree(std::int32_t a, std::int32_t b) {
    if (equal(a, b)) return true;
    const std::pair key(std::min(number(a), number(b)), std::max(number(a), number(b)));
    const auto known = agree_.find(key);
    if (known != agree_.end()) return known->second;
    bool found = false;
    const auto visit = [&found](const RunOp& x, const RunOp& y) {
      found = x.op->kind == y.op->kind && difference_of(*x.op, *y.op) != Difference::none;
      return !found && x.op->kind == y.op->kind;
    };
    (void)walk_along(of(a), of(b), effort_, visit);
    agree_[key] = !found;
    return !found;
  }

 private:
  [[nodiscard]] std::size_t number(std::int32_t running) const {
    return numbers_[static_cast<std::size_t>(running)];
  }
  [[nodiscard]] bool equal(const OpSequence& a, const OpSequence& b) {
    const Walk walk = walk_along(
        a, b, effort_, [](const RunOp& x, const RunOp& y) { return same_call(*x.op, *y.op); });
    return walk.end == WalkEnd::both_end;
  }

  Effort& effort_;
  std::vector<OpSequence> sequences_;
  std::vector<std::size_t> distinct_;
  std::vector<std::size_t> numbers_;
  std::map<std::pair<std::size_t, std::size_t>, bool> agree_;
};

std::string numbers_text(const std::vector<std::int64_t>& numbers) {
  std::string out;
  const std::size_t shown = std::min<std::size_t>(numbers.size(), 8);
  for (std::size_t i = 0; i < shown; ++i) {
    out.append(i == 0 ? "" : ", ").append(std::to_string(numbers[i]));
  }
  return out.append(shown < numbers.size() ? ", ..." : "");
}

// "512 rows", "bf16", "sizes 3, 4".
std::string said_by(const PlanOp& op, Difference difference) {
  switch (difference) {
    case Difference::rows_in:
      return numbers_text(op.rows_in)
          .append(op.rows_in == std::vector<std::int64_t>{1} ? " row" : " rows");
    case Difference::rows_out: return counted(*op.rows_out, "row");
    case Difference::sizes: return "sizes " + numbers_text(op.sizes);
    default: return op.dtype;
  }
}

bool is_near(const PlanOp& a, const PlanOp& b, Difference difference) {
  return difference == Difference::rows_in && are_near(a.rows_in[0], b.rows_in[0]);
}

// ---- the law ------------------------------------------------------------------------------------

class Judge {
 public:
  // even: of each family, whether its groups are equally large.
  Judge(const Timeline& timeline, const EventRun& event, const std::vector<bool>& even,
        PlanReport& report, Effort& effort)
      : timeline_(timeline), event_(event), even_(even), report_(report), effort_(effort) {}

  // Whether there was something to judge.
  [[nodiscard]] bool run() {
    bool stated = false;
    const auto count = static_cast<std::int32_t>(event_.runnings.size());
    for (std::int32_t i = 0; i < count; ++i) {
      for (const RunOp& run : running(i).ops) {
        if (is_point_to_point(run.op->kind)) stated = note_type(*run.op) || stated;
        if (!is_read(*run.op) || !states_anything(*run.op)) continue;
        stated = true;
        judge_calls(i, run);
      }
    }
    judge_members();
    if (several_types_) judge_exchanges();
    return stated;
  }

 private:
  [[nodiscard]] const Lifecycle& lifecycle() const { return timeline_.lifecycle(); }
  [[nodiscard]] const Running& running(std::int32_t index) const {
    return event_.runnings[static_cast<std::size_t>(index)];
  }

  // Every rank's call; one of them where all are the same.
  void judge_calls(std::int32_t index, const RunOp& run) {
    const PlanOp& op = *run.op;
    const auto overlapping = overlap_in(lifecycle(), op);
    const bool each_rank =
        !op.sizes.empty() || overlapping || !even_[static_cast<std::size_t>(op.group.index)];
    const PlanGroups& family = lifecycle().family(op.group);
    for (const RankRange& range : running(index).ranks.ranges()) {
      for (std::int64_t rank = range.first; rank <= range.last; ++rank) {
        const Call call{lifecycle(), op, rank, lifecycle().size_at(op.group, rank),
                        family.position_of[static_cast<std::size_t>(rank)]};
        if ((each_rank || call.members == 0) && !effort_.spend()) return;
        if (call.members == 0) continue;
        Fault fault = op.sizes.empty() ? rows_fault(call) : sizes_fault(call);
        if (fault.text.empty() && overlapping) fault = overlap_fault(call, *overlapping);
        const bool broken = !fault.text.empty();
        if (broken) add_fault(index, run, call, std::move(fault));
        if (broken || !each_rank) return;
      }
    }
  }

  void add_fault(std::int32_t index, const RunOp& run, const Call& call, Fault&& fault) {
    Breach breach = breach_at(timeline_, event_, index, run);
    breach.rank = call.rank;
    breach.group_size = call.members;
    const bool checked = transport_of(lifecycle(), *run.op) == Transport::checked;
    breach.symptom =
        checked && fault.buffer < 0 ? Symptom::clean_error : Symptom::silent_corruption;
    if (fault.buffer >= 0) {
      breach.buffer = lifecycle().buffers[static_cast<std::size_t>(fault.buffer)].name;
    }
    breach.blame = std::move(fault.text);
    report_.add(std::move(breach));
  }

  // ---- members of one group ----

  void judge_members() {
    const auto& runnings = event_.runnings;
    if (runnings.size() < 2) return;
    const bool alike = std::ranges::all_of(
        runnings, [&](const Running& each) { return same_calls(each, runnings[0]); });
    if (alike) return;
    std::vector<GroupId> families;
    for (const Running& each : runnings) {
      for (const RunOp& run : each.ops) {
        if (!is_read(*run.op)) continue;
        if (std::ranges::find(families, run.op->group) == families.end()) {
          families.push_back(run.op->group);
        }
      }
    }
    for (const GroupId family : families) judge_family(family);
  }

  void judge_family(GroupId family) {
    const auto meetings = timeline_.meetings(event_, family);
    if (std::ranges::all_of(meetings, [](const Meeting& met) { return met.classes.size() == 1; })) {
      return;
    }
    Calls calls(event_, family, effort_);
    for (Meeting meeting : meetings) {
      std::erase_if(meeting.classes, [this](const MeetingClass& each) {
        return each.running < 0 || is_unknown(running(each.running));
      });
      const auto& classes = meeting.classes;
      const bool same = std::ranges::all_of(classes, [&](const MeetingClass& each) {
        return calls.equal(each.running, classes[0].running);
      });
      if (same || !effort_.spend(std::ssize(classes) * std::ssize(classes))) continue;
      judge_meeting(family, meeting, calls);
    }
  }

  void judge_meeting(GroupId family, const Meeting& meeting, Calls& calls) {
    MeetingClass norm;
    const auto same = [&calls](std::int32_t a, std::int32_t b) { return calls.agree(a, b); };
    for (const MeetingClass& each : departing(event_, meeting, norm, same)) {
      add_departure(family, meeting, norm, each, calls);
    }
    // One that leaves something open agrees with two that differ.
    std::vector<MeetingClass> agreeing;
    for (const MeetingClass& each : meeting.classes) {
      if (!calls.agree(each.running, norm.running)) continue;
      const auto other = std::ranges::find_if(agreeing, [&](const MeetingClass& earlier) {
        return !calls.agree(each.running, earlier.running);
      });
      if (other != agreeing.end()) add_departure(family, meeting, *other, each, calls);
      agreeing.push_back(each);
    }
  }

  void add_departure(GroupId family, const Meeting& meeting, const MeetingClass& norm,
                     const MeetingClass& departs, const Calls& calls) {
    if (between_ >= PlanReport::kPerEvent || !effort_.spend(meeting.size)) return;
    if (class_of_.empty()) class_of_ = classes_by_rank(timeline_, event_);
    const auto own = members_of(timeline_, family, meeting, class_of_,
                                [&](std::int32_t other) { return other == departs.running; });
    const auto peers = members_of(timeline_, family, meeting, class_of_, [&](std::int32_t other) {
      return other >= 0 && calls.equal(other, norm.running);
    });
    std::int32_t told = 0;
    const auto visit = [&](const RunOp& x, const RunOp& y, std::int64_t position) {
      if (x.op->kind != y.op->kind) return false;
      if (difference_of(*x.op, *y.op) == Difference::none) return true;
      add_difference(meeting, departs, norm, x, *y.op,
                     difference_text(own, peers, x, *y.op, position));
      return ++told < kToldPerClass;
    };
    (void)walk_along(calls.of(departs.running), calls.of(norm.running), effort_, visit);
  }

  // "rank 1 puts 513 rows into all_reduce over tp (operation 3); ranks 0,2-3 put 512 rows".
  [[nodiscard]] std::string difference_text(const RankSet& own, const RankSet& peers,
                                            const RunOp& run, const PlanOp& other,
                                            std::int64_t position) const {
    const Difference difference = difference_of(*run.op, other);
    const bool takes = difference == Difference::rows_out;
    const bool puts = difference == Difference::rows_in;
    const std::string verb = takes ? "take" : puts ? "put" : "say";
    const std::string link = takes ? " out of " : puts ? " into " : " in ";
    std::string text = ranks_text(own) + " " + verb + (own.count() == 1 ? "s " : " ") +
                       said_by(*run.op, difference) + link + op_text(lifecycle(), *run.op) +
                       " (operation " + std::to_string(position + 1) + "); " + ranks_text(peers) +
                       " " + verb + (peers.count() == 1 ? "s " : " ") + said_by(other, difference);
    if (is_near(*run.op, other, difference)) {
      text += "; a difference so small can go unnoticed and leave wrong sums";
    }
    return text;
  }

  void add_difference(const Meeting& meeting, const MeetingClass& departs, const MeetingClass& norm,
                      const RunOp& run, const PlanOp& other, std::string text) {
    Breach breach = breach_at(timeline_, event_, departs.running, run);
    breach.rank = departs.first_rank;
    breach.group_size = meeting.size;
    breach.other = norm.running;
    const Difference difference = difference_of(*run.op, other);
    const bool unseen = difference == Difference::dtype || is_near(*run.op, other, difference);
    breach.symptom = unseen ? Symptom::silent_corruption : Symptom::hang;
    breach.blame = std::move(text);
    ++between_;
    report_.add(std::move(breach));
  }

  // ---- sends and receives ----

  // Exchanges can differ only where their operations name several types.
  bool note_type(const PlanOp& op) {
    if (op.dtype.empty()) return false;
    several_types_ = several_types_ || (!type_.empty() && type_ != op.dtype);
    type_ = op.dtype;
    return true;
  }

  void judge_exchanges() {
    for (const Exchange& exchange : exchanges_of(timeline_, event_, effort_)) {
      const auto visit = [&](const RunOp& receives, const RunOp& sends) {
        const std::string& from = sends.op->dtype;
        const std::string& to = receives.op->dtype;
        if (from.empty() || to.empty() || from == to) return true;
        Breach breach = breach_at(timeline_, event_, exchange.receiving, receives);
        breach.rank = exchange.receiver;
        breach.other = exchange.sending;
        breach.symptom = Symptom::silent_corruption;
        breach.blame = "rank " + std::to_string(exchange.sender) + " sends " + from + " to rank " +
                       std::to_string(exchange.receiver) + ", which receives it as " + to;
        report_.add(std::move(breach));
        return false;
      };
      (void)walk_along(exchange.receives, exchange.sends, effort_, visit);
    }
  }

  const Timeline& timeline_;
  const EventRun& event_;
  const std::vector<bool>& even_;
  PlanReport& report_;
  Effort& effort_;
  std::vector<std::int32_t> class_of_;
  std::int32_t between_ = 0;
  std::string_view type_;
  bool several_types_ = false;
};

void check(const Timeline& timeline, PlanReport& report) {
  Effort effort(kSteps);
  std::vector<bool> even;
  for (const PlanGroups& family : timeline.lifecycle().families) {
    even.push_back(std::ranges::all_of(
        family.groups, [&](const auto& group) { return group.size() == family.groups[0].size(); }));
  }
  for (const EventRun& event : timeline.events()) {
    if (!Judge(timeline, event, even, report, effort).run()) continue;
    if (effort.spent()) {
      report.gave_up(event.event->path);
    } else {
      report.looked_at(event.event->path);
    }
  }
}

}  // namespace

extern const Law law_counts_match;
const Law law_counts_match{
    .name = "counts_match",
    .defect_class = "C13",
    .subject = "step",
    .statement =
        "All members of a group name the same counts and types in a collective, its input and "
        "output fit the group, and in place it works on exactly the rank's slice.",
    .formula =
        "count_r = count_s and type_r = type_s for all r and s in G; "
        "rows_in = |G| rows_out in a reduce-scatter",
    .way_out =
        "take counts and types from values that all ranks share; size the output by the group",
    .check_plan = check};

}  // namespace capsize
