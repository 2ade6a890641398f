// same_sequence: over every communicator all members issue the same operations in the same order;
// every send meets its receive; and nobody waits for somebody who waits for him.
#include <algorithm>
#include <utility>

#include "properties/law.hpp"
#include "properties/op_sequence.hpp"
#include "properties/plan_report.hpp"
#include "properties/wait_for.hpp"

namespace capsize {
namespace {

// Steps on plans that are not compared while folded, for all events together: about a second.
constexpr std::int64_t kSteps = 20'000'000;
constexpr std::size_t kShapes = 8;  // events that are remembered

bool same_op(const RunOp& a, const RunOp& b) {
  const PlanOp& x = *a.op;
  const PlanOp& y = *b.op;
  return x.kind == y.kind && x.group == y.group && x.stream == y.stream && x.peer == y.peer &&
         x.transport == y.transport && a.index == b.index && a.from_graph == b.from_graph &&
         a.captured == b.captured && x.after == y.after;
}

bool same_ops(const Running& a, const Running& b) {
  return a.graph_missing == b.graph_missing && run_alike(a, b, same_op);
}

// Whether the law says the same of both events. Peers are counted from the first rank of a program.
bool same_shape(const EventRun& a, const EventRun& b) {
  const auto first_of = [](const Program* program) {
    return program == nullptr ? -1 : program->ranks.first();
  };
  return std::ranges::equal(a.runnings, b.runnings, [&](const Running& x, const Running& y) {
    return x.ranks == y.ranks && first_of(x.program) == first_of(y.program) &&
           first_of(x.graph) == first_of(y.graph) && same_ops(x, y);
  });
}

// What of an event there is to judge.
struct Traffic {
  std::vector<GroupId> families;  // that collectives use
  bool point_to_point = false;
  bool unknown = false;  // a class whose operations nobody knows
  bool alike = true;     // all classes run the same
  bool absent = false;   // some ranks run nothing
};

Traffic traffic_of(const Timeline& timeline, const EventRun& event) {
  Traffic traffic;
  std::int64_t ranks = 0;
  for (const Running& running : event.runnings) {
    ranks += running.ranks.count();
    traffic.unknown = traffic.unknown || is_unknown(running);
    if (&running != &event.runnings[0] && same_ops(running, event.runnings[0])) continue;
    traffic.alike = traffic.alike && &running == &event.runnings[0];
    for (const RunOp& run : running.ops) {
      traffic.point_to_point = traffic.point_to_point || is_point_to_point(run.op->kind);
      if (!is_collective(run.op->kind) || !run.op->group.valid()) continue;
      if (std::ranges::find(traffic.families, run.op->group) == traffic.families.end()) {
        traffic.families.push_back(run.op->group);
      }
    }
  }
  traffic.absent = ranks < timeline.lifecycle().world;
  return traffic;
}

bool same_kinds(const OpSequence& a, const OpSequence& b, Effort& effort) {
  const Walk walk = walk_along(a, b, effort, [](const RunOp& x, const RunOp& y) {
    return x.op->kind == y.op->kind && x.op->group == y.op->group;
  });
  return walk.end == WalkEnd::both_end;
}

// The sequences of all classes over one family; classes with equal ones have equal numbers.
class Sequences {
 public:
  Sequences(const EventRun& event, GroupId family, Effort& effort) {
    sequences_.reserve(event.runnings.size() + 1);
    sequences_.emplace_back();  // of absent ranks
    for (const Running& running : event.runnings) sequences_.emplace_back(running, over(family));
    std::vector<std::size_t> distinct;
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      const auto known = std::ranges::find_if(distinct, [&](std::size_t other) {
        return same_kinds(sequences_[i], sequences_[other], effort);
      });
      numbers_.push_back(known == distinct.end()
                             ? distinct.size()
                             : static_cast<std::size_t>(known - distinct.begin()));
      if (known == distinct.end()) distinct.push_back(i);
    }
  }
  // running: a place in EventRun::runnings; -1: absent.
  [[nodiscard]] const OpSequence& of(std::int32_t running) const {
    return sequences_[static_cast<std::size_t>(running + 1)];
  }
  [[nodiscard]] bool same(std::int32_t a, std::int32_t b) const {
    return numbers_[static_cast<std::size_t>(a + 1)] == numbers_[static_cast<std::size_t>(b + 1)];
  }

 private:
  std::vector<OpSequence> sequences_;
  std::vector<std::size_t> numbers_;
};

// The law's work on one event.
class Judge {
 public:
  Judge(const Timeline& timeline, const EventRun& event, PlanReport& report, Effort& effort)
      : timeline_(timeline), event_(event), report_(report), effort_(effort) {}

  // Whether the event is sound; meaningless where the effort is spent.
  [[nodiscard]] bool run(const Traffic& traffic) {
    if (!traffic.alike || traffic.absent) {
      for (const GroupId family : traffic.families) judge_family(family);
    }
    if (traffic.point_to_point) judge_exchanges();
    if (broken_ > 0 || traffic.unknown || effort_.spent()) return broken_ == 0;
    if (!traffic.point_to_point && (traffic.alike || one_order())) return true;
    const auto waiters = standstill_of(timeline_, event_, effort_);
    if (!effort_.spent() && !waiters.empty()) add_standstill(waiters);
    return broken_ == 0;
  }

 private:
  [[nodiscard]] const Lifecycle& lifecycle() const { return timeline_.lifecycle(); }
  [[nodiscard]] const Running& running(std::int32_t index) const {
    return event_.runnings[static_cast<std::size_t>(index)];
  }

  void add(Breach breach) {
    ++broken_;
    report_.add(std::move(breach));
  }

  // Where all issue all their collectives in one order, whoever is first in it can always go on.
  [[nodiscard]] bool one_order() {
    const auto collectives = [](const RunOp& run) {
      return run.op->group.valid() && is_collective(run.op->kind);
    };
    const OpSequence first(event_.runnings[0], collectives);
    return std::ranges::all_of(event_.runnings, [&](const Running& each) {
      return same_kinds(first, OpSequence(each, collectives), effort_);
    });
  }

  // ---- one communicator ----

  void judge_family(GroupId family) {
    const auto meetings = timeline_.meetings(event_, family);
    if (std::ranges::all_of(meetings, [](const Meeting& met) { return met.classes.size() == 1; })) {
      return;
    }
    const Sequences sequences(event_, family, effort_);
    if (effort_.spent()) return;
    for (Meeting meeting : meetings) {
      std::erase_if(meeting.classes, [this](const MeetingClass& each) {
        return each.running >= 0 && is_unknown(running(each.running));
      });
      if (meeting.classes.size() > 1) judge_meeting(family, meeting, sequences);
    }
  }

  void judge_meeting(GroupId family, const Meeting& meeting, const Sequences& sequences) {
    const bool same = std::ranges::all_of(meeting.classes, [&](const MeetingClass& each) {
      return sequences.same(each.running, meeting.classes[0].running);
    });
    const bool enough = effort_.spend(std::ssize(meeting.classes) * std::ssize(meeting.classes));
    if (same || !enough) return;
    MeetingClass norm;
    const auto out = departing(event_, meeting, norm, [&](std::int32_t a, std::int32_t b) {
      return sequences.same(a, b);
    });
    for (const MeetingClass& each : out) {
      if (broken_ >= PlanReport::kPerEvent) return;
      add_departure(family, meeting, norm, each, sequences);
    }
  }

  void add_departure(GroupId family, const Meeting& meeting, const MeetingClass& norm,
                     const MeetingClass& departs, const Sequences& sequences) {
    const OpSequence& own = sequences.of(departs.running);
    const OpSequence& others = sequences.of(norm.running);
    const Walk walk = walk_along(own, others, effort_, [](const RunOp& x, const RunOp& y) {
      return x.op->kind == y.op->kind;
    });
    if (walk.a == nullptr && walk.b == nullptr) return;
    const RunOp& at = walk.a != nullptr ? *walk.a : *walk.b;
    Breach breach =
        breach_at(timeline_, event_, walk.a != nullptr ? departs.running : norm.running, at);
    breach.rank = departs.first_rank;
    breach.group = family;
    breach.group_size = meeting.size;
    breach.running = departs.running;
    breach.other = norm.running;
    breach.symptom = Symptom::hang;
    if (class_of_.empty()) class_of_ = classes_by_rank(timeline_, event_);
    const auto rank_text =
        ranks_text(members_of(timeline_, family, meeting, class_of_,
                              [&](std::int32_t each) { return each == departs.running; }));
    const auto peers = members_of(timeline_, family, meeting, class_of_, [&](std::int32_t each) {
      return sequences.same(each, norm.running);
    });
    breach.blame =
        stand_of(family, rank_text, departs.count, departs.running, walk.a, walk.position);
    breach.blame += "; " + stand_of(family, ranks_text(peers), peers.count(), norm.running, walk.b,
                                    walk.position);
    add(std::move(breach));
  }

  // "rank 1 waits in barrier over tp (operation 2)", "ranks 2-3 end after 1 operation over tp".
  [[nodiscard]] std::string stand_of(GroupId family, std::string text, std::int64_t ranks,
                                     std::int32_t running, const RunOp* op,
                                     std::int64_t position) const {
    const char* s = ranks == 1 ? "s" : "";
    if (op != nullptr) {
      return text.append(" wait")
          .append(s)
          .append(" in ")
          .append(op_text(lifecycle(), *op->op))
          .append(" (operation ")
          .append(std::to_string(position + 1))
          .append(")");
    }
    if (running < 0) return text.append(" run").append(s).append(" nothing");
    const std::string over = " over " + lifecycle().family(family).name;
    if (position == 0) return text.append(" run").append(s).append(" no operation").append(over);
    return text.append(" end")
        .append(s)
        .append(" after ")
        .append(counted(position, "operation"))
        .append(over);
  }

  // ---- sends and receives ----

  void judge_exchanges() {
    const auto exchanges = exchanges_of(timeline_, event_, effort_);
    if (effort_.spent()) return;
    for (const Exchange& exchange : exchanges) {
      const std::int64_t sends = exchange.sends.length();
      const std::int64_t receives = exchange.receives.length();
      if (sends != receives && broken_ < PlanReport::kPerEvent) {
        add_unmatched(exchange, sends, receives);
      }
    }
  }

  // The operation at a place of an unfolded sequence; the last one where the search is too long.
  [[nodiscard]] const RunOp& op_at(const OpSequence& sequence, std::int64_t position) {
    OpCursor cursor(sequence);
    const RunOp* op = &cursor.op();
    for (std::int64_t i = 0; i <= position && !cursor.at_end() && effort_.spend(); ++i) {
      op = &cursor.op();
      cursor.next();
    }
    return *op;
  }

  void add_unmatched(const Exchange& exchange, std::int64_t sends, std::int64_t receives) {
    const bool sender_waits = sends > receives;
    const std::int32_t waiting = sender_waits ? exchange.sending : exchange.receiving;
    const RunOp& op =
        op_at(sender_waits ? exchange.sends : exchange.receives, std::min(sends, receives));
    Breach breach = breach_at(timeline_, event_, waiting, op);
    breach.rank = sender_waits ? exchange.sender : exchange.receiver;
    breach.other = sender_waits ? exchange.receiving : exchange.sending;
    breach.symptom = Symptom::hang;
    const std::string sender = "rank " + std::to_string(exchange.sender);
    const std::string receiver = "rank " + std::to_string(exchange.receiver);
    const std::string over =
        exchange.group.valid() ? " over " + lifecycle().family(exchange.group).name : "";
    const std::string sent = sender + " sends to " + receiver + over + " " + counted(sends, "time");
    const std::string taken =
        receiver + " receives from " + sender + " " + counted(receives, "time");
    const std::string& late = sender_waits ? receiver : sender;
    const bool absent = breach.other < 0;
    breach.blame = sent + "; " + (absent && sender_waits ? receiver + " runs nothing" : taken);
    if (absent && !sender_waits) {
      breach.blame =
          receiver + " waits to receive from " + sender + over + "; " + late + " runs nothing";
    }
    add(std::move(breach));
  }

  // ---- a ring of waiters ----

  void add_standstill(const std::vector<Waiter>& waiters) {
    // The smaller crowd departs; among equals the one that is met last.
    const auto departs = std::ranges::min_element(waiters, [](const Waiter& a, const Waiter& b) {
      return a.ranks != b.ranks ? a.ranks < b.ranks : a.rank > b.rank;
    });
    const Waiter& other = departs == waiters.begin() ? waiters.back() : *(departs - 1);
    Breach breach = breach_at(event_);
    if (departs->op != nullptr) {
      breach = breach_at(timeline_, event_, departs->running, *departs->op);
    }
    breach.rank = departs->rank;
    breach.running = departs->running;
    breach.other = other.running;
    breach.symptom = Symptom::hang;
    for (const Waiter& waiter : waiters) {
      breach.blame.append(breach.blame.empty() ? "rank " : ", rank ")
          .append(std::to_string(waiter.rank));
      if (waiter.op == nullptr) {
        breach.blame += " has ended";
        continue;
      }
      breach.blame.append(" waits in ")
          .append(op_text(lifecycle(), *waiter.op->op))
          .append(" (operation ")
          .append(std::to_string(waiter.number))
          .append(")");
    }
    if (waiters.size() == 1) breach.blame += ", and so do those it waits for";
    add(std::move(breach));
  }

  const Timeline& timeline_;
  const EventRun& event_;
  PlanReport& report_;
  Effort& effort_;
  std::vector<std::int32_t> class_of_;
  std::int32_t broken_ = 0;
};

void check(const Timeline& timeline, PlanReport& report) {
  Effort effort(kSteps);
  std::vector<const EventRun*> sound;  // events of different shapes
  for (const EventRun& event : timeline.events()) {
    const bool known =
        std::ranges::any_of(sound, [&](const EventRun* each) { return same_shape(*each, event); });
    if (!known) {
      const Traffic traffic = traffic_of(timeline, event);
      if (traffic.families.empty() && !traffic.point_to_point) continue;
      const bool fine = Judge(timeline, event, report, effort).run(traffic);
      if (effort.spent()) {
        report.gave_up(event.event->path);
        continue;
      }
      if (fine && sound.size() < kShapes) sound.push_back(&event);
    }
    report.looked_at(event.event->path);
  }
}

}  // namespace

extern const Law law_same_sequence;
const Law law_same_sequence{
    .name = "same_sequence",
    .defect_class = "C05",
    .subject = "step",
    .statement =
        "Over every communicator all ranks issue the same operations in the same order, every "
        "send meets its receive, and no ranks wait for each other in a ring.",
    .formula =
        "for all groups G, r and s in G: ops_r(G) = ops_s(G); the wait-for graph over "
        "(rank, communicator, position) has no cycle",
    .way_out =
        "let every rank of the communicator reach the operation in the same order, or use a "
        "communicator of those that do",
    .check_plan = check};

}  // namespace capsize
