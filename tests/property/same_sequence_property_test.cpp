// same_sequence against an oracle that unfolds what every rank issues, pairs the operations that
// meet, and sorts them topologically: what cannot be sorted waits for itself.
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/plan_laws.hpp"

namespace capsize::property::same_sequence_test {
namespace {

using namespace parts;

// ---- the oracle: one rank at a time, nothing folded -------------------------------------------

struct Issued {
  const PlanOp* op = nullptr;
  std::int32_t place = 0;  // in the program
  std::string meets;       // which meeting it is part of; empty: none
};

using Issues = std::map<std::int64_t, std::vector<Issued>>;  // by rank

Issues unfold(const PlanEvent& event) {
  Issues out;
  for (const Program& program : event.programs) {
    program.ranks.for_each([&](std::int64_t rank) {
      std::vector<Issued>& issued = out[rank];
      for (std::int64_t turn = 0; turn < program.repeat; ++turn) {
        for (const OpBlock& block : program.blocks) {
          for (std::int64_t again = 0; again < block.repeat; ++again) {
            for (std::int32_t i = 0; i < block.count; ++i) {
              const std::int32_t place = block.first_op + i;
              issued.push_back({&program.ops[static_cast<std::size_t>(place)], place, ""});
            }
          }
        }
      }
    });
  }
  return out;
}

const Program& program_of(const PlanEvent& event, std::int64_t rank) {
  return *std::ranges::find_if(event.programs,
                               [&](const Program& each) { return each.ranks.contains(rank); });
}

// Names the meeting of every operation; false where some operation meets nobody or another kind.
bool pair_up(const Lifecycle& plan, const PlanEvent& event, Issues& issues) {
  std::map<std::string, std::vector<std::string>> kinds;  // by meeting: what its parties issue
  std::map<std::string, std::size_t> wanted;
  for (auto& [rank, issued] : issues) {
    std::map<std::string, int> count;
    for (Issued& each : issued) {
      const PlanOp& op = *each.op;
      std::string name;
      std::size_t parties = 2;
      std::string kind(name_of(op.kind));
      if (is_point_to_point(op.kind)) {
        const auto peer = peer_of(plan, program_of(event, rank), op, rank);
        if (!peer) continue;
        const bool sends = op.kind == PlanOpKind::send;
        name = "pair " + std::to_string(op.group.index) + " " +
               std::to_string(sends ? rank : *peer) + ">" + std::to_string(sends ? *peer : rank);
        name += " #" + std::to_string(++count[name + kind]);
      } else if (is_collective(op.kind)) {
        const PlanGroups& family = plan.family(op.group);
        const std::int32_t group = family.group_of[static_cast<std::size_t>(rank)];
        if (group < 0) continue;
        parties = family.groups[static_cast<std::size_t>(group)].size();
        name = "group " + std::to_string(op.group.index) + "." + std::to_string(group);
        name += " #" + std::to_string(++count[name]);
      } else {
        continue;
      }
      each.meets = name;
      kinds[name].push_back(kind);
      wanted[name] = parties;
    }
  }
  return std::ranges::all_of(kinds, [&](const auto& entry) {
    const auto& [name, parties] = entry;
    if (parties.size() != wanted[name]) return false;
    const bool one_kind = std::set(parties.begin(), parties.end()).size() == 1;
    return name.starts_with("pair") ? !one_kind : one_kind;
  });
}

struct Graph {
  std::map<std::string, std::set<std::string>> before;  // what must end before a node begins
  void add(const std::string& earlier, const std::string& later) { before[later].insert(earlier); }
};

bool is_raw(const Lifecycle& plan, const PlanOp& op) {
  return is_collective(op.kind) && transport_of(plan, op) == Transport::raw;
}

bool raw_on_several_streams(const Lifecycle& plan, const std::vector<Issued>& issued) {
  std::set<std::int32_t> streams;
  for (const Issued& each : issued) {
    if (is_raw(plan, *each.op)) streams.insert(each.op->stream);
  }
  return streams.size() > 1;
}

bool waits_for(const std::vector<Issued>& issued, std::size_t earlier, std::size_t later,
               bool raw_in_order, const Lifecycle& plan) {
  const PlanOp& a = *issued[earlier].op;
  const PlanOp& b = *issued[later].op;
  if (a.stream == b.stream) return true;
  if (a.kind == PlanOpKind::host_wait || b.kind == PlanOpKind::host_wait) return true;
  if (b.kind == PlanOpKind::wait && b.after.empty() && later == earlier + 1) return true;
  if (std::ranges::find(b.after, issued[earlier].place) != b.after.end()) return true;
  if (raw_in_order && is_raw(plan, a) && is_raw(plan, b)) return true;
  // Operations over one communicator; sends to one peer, receives from one peer.
  if (a.group.valid() && a.group == b.group && is_collective(a.kind) && is_collective(b.kind)) {
    return true;
  }
  return is_point_to_point(a.kind) && a.kind == b.kind && a.peer == b.peer && a.group == b.group;
}

// Whether every operation can be put behind all that it waits for.
bool can_be_sorted(const Lifecycle& plan, const Issues& issues) {
  Graph graph;
  for (const auto& [rank, issued] : issues) {
    const bool raw = raw_on_several_streams(plan, issued);
    const auto node = [&, rank = rank](std::size_t i) {
      return issued[i].meets.empty() ? std::to_string(rank) + "/" + std::to_string(i)
                                     : issued[i].meets;
    };
    for (std::size_t later = 0; later < issued.size(); ++later) {
      graph.before[node(later)];
      for (std::size_t earlier = 0; earlier < later; ++earlier) {
        if (waits_for(issued, earlier, later, raw, plan)) graph.add(node(earlier), node(later));
      }
    }
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (auto at = graph.before.begin(); at != graph.before.end();) {
      const bool free = std::ranges::none_of(
          at->second, [&](const std::string& each) { return graph.before.contains(each); });
      moved = moved || free;
      at = free ? graph.before.erase(at) : std::next(at);
    }
  }
  return graph.before.empty();
}

enum class Fate : std::uint8_t { sound, unmatched, standstill };

Fate fate_of(const Lifecycle& plan, const PlanEvent& event) {
  Issues issues = unfold(event);
  if (!pair_up(plan, event, issues)) return Fate::unmatched;
  return can_be_sorted(plan, issues) ? Fate::sound : Fate::standstill;
}

// ---- the law ------------------------------------------------------------------------------------

std::string text_of(const Lifecycle& plan) {
  std::string out;
  for (const Program& program : plan.events[0].programs) {
    out += "ranks " + program.ranks.text() + " x" + std::to_string(program.repeat) + ":";
    for (const OpBlock& block : program.blocks) {
      out += " [x" + std::to_string(block.repeat);
      for (std::int32_t i = block.first_op; i < block.first_op + block.count; ++i) {
        const PlanOp& op = program.ops[static_cast<std::size_t>(i)];
        out += " " + op_text(plan, op) + "@" + std::to_string(op.stream);
        if (op.peer) out += ">" + std::to_string(*op.peer);
        if (transport_of(plan, op) == Transport::raw) out += "!";
        for (const std::int32_t after : op.after) out += " after " + std::to_string(after);
      }
      out += "]";
    }
    out += "\n";
  }
  return out;
}

bool tells_ring(const Breach& breach) {
  return breach.blame.find(", rank ") != std::string::npos ||
         breach.blame.find("those it waits for") != std::string::npos;
}

void expect_fate(const Lifecycle& plan, Fate fate) {
  const auto breaches = property::breaches_of("same_sequence", plan);
  ASSERT_EQ(breaches.empty(), fate == Fate::sound)
      << text_of(plan) << (breaches.empty() ? "" : breaches[0].blame);
  for (const Breach& breach : breaches) {
    ASSERT_EQ(tells_ring(breach), fate == Fate::standstill) << text_of(plan) << breach.blame;
  }
}

// ---- small domains in full ----------------------------------------------------------------------

// All sequences of at most `longest` of `alphabet`.
std::vector<std::vector<PlanOp>> sequences(const std::vector<PlanOp>& alphabet,
                                           std::size_t longest) {
  std::vector<std::vector<PlanOp>> out = {{}};
  for (std::size_t from = 0; out[from].size() < longest; ++from) {
    for (const PlanOp& op : alphabet) {
      auto longer = out[from];
      longer.push_back(op);
      out.push_back(std::move(longer));
    }
  }
  return out;
}

PlanOp peer_op(PlanOpKind kind, std::int64_t peer) {
  PlanOp out = op(kind);
  out.peer = peer;
  return out;
}

// A kind that is taken for another, an operation that is not counted, a ring that is not seen: all
// pairs of programs of at most three operations out of five, the first one once or twice.
TEST(SameSequenceProperty, AllPairsOfTwoRanks) {
  Histogram seen;
  seen.declare("fate", {"0", "1", "2"});
  Lifecycle base{.world = 2};
  const GroupId a = add_group(base, "a", {{0, 1}});
  const GroupId b = add_group(base, "b", {{0, 1}});
  const auto alphabet = [&](std::int64_t peer) {
    return std::vector{all_reduce(a, 8), op(PlanOpKind::barrier, a), all_reduce(b, 8),
                       peer_op(PlanOpKind::send, peer), peer_op(PlanOpKind::recv, peer)};
  };
  const auto left = sequences(alphabet(1), 3);
  const auto right = sequences(alphabet(0), 3);
  ASSERT_EQ(left.size(), 156U);
  for (const auto& x : left) {
    for (const auto& y : right) {
      for (const std::int64_t repeat : {1, 2}) {
        Lifecycle plan = base;
        Program first = eager_program({0, 0}, 8, x);
        first.repeat = repeat;
        plan.events = {eager("decode", 8, {first, eager_program({1, 1}, 8, y)})};
        finish(plan);
        const Fate fate = fate_of(plan, plan.events[0]);
        seen.count("fate", static_cast<std::int64_t>(fate));
        expect_fate(plan, fate);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
  seen.print("same_sequence, two ranks");
}

// A ring of three ranks that no two of them show; a rank that is in one of the groups only.
TEST(SameSequenceProperty, AllTriplesOverThreeGroups) {
  Histogram seen;
  seen.declare("fate", {"0", "1", "2"});
  Lifecycle base{.world = 3};
  const GroupId ab = add_group(base, "ab", {{0, 1}});
  const GroupId bc = add_group(base, "bc", {{1, 2}});
  const GroupId ca = add_group(base, "ca", {{2, 0}});
  const auto of = [](GroupId x, GroupId y) {
    return sequences({all_reduce(x, 8), all_reduce(y, 8)}, 3);
  };
  for (const auto& x : of(ab, ca)) {
    for (const auto& y : of(ab, bc)) {
      for (const auto& z : of(bc, ca)) {
        Lifecycle plan = base;
        plan.events = {eager("decode", 8,
                             {eager_program({0, 0}, 8, x), eager_program({1, 1}, 8, y),
                              eager_program({2, 2}, 8, z)})};
        finish(plan);
        const Fate fate = fate_of(plan, plan.events[0]);
        seen.count("fate", static_cast<std::int64_t>(fate));
        expect_fate(plan, fate);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
  seen.print("same_sequence, three ranks");
}

// ---- random plans -------------------------------------------------------------------------------

struct Line {
  std::int64_t what = 0;  // which operation
  std::int64_t stream = 0;
  std::int64_t after = 0;  // so many operations before it; 0: none
  bool block = false;      // begins a block
  std::int64_t repeat = 1;
};

struct Edit {
  std::int64_t which = 0;
  std::int64_t at = 0;
};

// One schedule for all, and how each class of ranks departs from it.
struct Schedule {
  std::vector<Line> lines;
  std::vector<Edit> edits;
  std::int64_t repeat = 1;
  std::int64_t classes = 1;
  bool raw = false;
};

std::ostream& operator<<(std::ostream& out, const Schedule& in) {
  out << in.classes << " classes x" << in.repeat << (in.raw ? " raw" : "") << ":";
  for (const Line& line : in.lines) {
    out << " " << (line.block ? "| x" + std::to_string(line.repeat) + " " : "") << line.what << "@"
        << line.stream << (line.after > 0 ? " after " + std::to_string(line.after) : "");
  }
  for (const Edit& edit : in.edits) out << " edit " << edit.which << " at " << edit.at;
  return out;
}

rc::Gen<Line> lines() {
  using namespace generators;
  return rc::gen::exec([] {
    return Line{.what = *evenly(0, 9),
                .stream = *one_of<std::int64_t>({0, 0, 0, 1}),
                .after = *one_of<std::int64_t>({0, 0, 1, 2}),
                .block = *one_of<bool>({false, false, true}),
                .repeat = *evenly(1, 4)};
  });
}

rc::Gen<Schedule> schedules() {
  using namespace generators;
  return rc::gen::exec([] {
    Schedule out;
    const std::int64_t count = *evenly(1, 6);
    for (std::int64_t i = 0; i < count; ++i) out.lines.push_back(*lines());
    const std::int64_t edits = *one_of<std::int64_t>({0, 1, 1, 2});
    for (std::int64_t i = 0; i < edits; ++i) out.edits.push_back({*evenly(0, 5), *evenly(0, 7)});
    out.repeat = *evenly(1, 3);
    out.classes = *evenly(1, 4);
    out.raw = *coin();
    return out;
  });
}

// World 4: tp pairs neighbours, dp pairs across, all holds everybody, ring is for neighbours.
PlanOp op_of(const Schedule& in, const Line& line) {
  constexpr GroupId kTp{0};
  constexpr GroupId kDp{1};
  constexpr GroupId kAll{2};
  PlanOp out = [&] {
    switch (line.what) {
      case 0: return all_reduce(kTp, 8);
      case 1: return op(PlanOpKind::barrier, kTp);
      case 2: return all_reduce(kDp, 8);
      case 3: return all_reduce(kAll, 8);
      case 4: return op(PlanOpKind::send, kAll);
      case 5: return op(PlanOpKind::recv, kAll);
      case 6: return op(PlanOpKind::wait);
      case 7: return op(PlanOpKind::host_wait);
      default: return op(PlanOpKind::kernel);
    }
  }();
  out.stream = static_cast<std::int32_t>(line.stream);
  if (in.raw) out.transport = Transport::raw;
  return out;
}

Program program_of(const Schedule& in, std::int64_t number, RankSet ranks) {
  std::vector<Line> own = in.lines;
  for (std::size_t e = 0; e < in.edits.size(); ++e) {
    const Edit& edit = in.edits[e];
    const auto at = static_cast<std::size_t>(edit.at);
    if (static_cast<std::int64_t>(e) != number || at >= own.size()) continue;
    switch (edit.which) {
      case 0:
        if (at + 1 < own.size()) std::swap(own[at].what, own[at + 1].what);
        break;
      case 1: own.erase(own.begin() + edit.at); break;
      case 2: own[at].stream = 1 - own[at].stream; break;
      case 3: own[at].after = 0; break;
      default: own[at].block = !own[at].block; break;
    }
  }
  Program program{.ranks = ranks, .mode = GraphMode::eager, .repeat = in.repeat};
  for (const Line& line : own) {
    const auto place = static_cast<std::int32_t>(program.ops.size());
    if (line.block || program.blocks.empty()) {
      program.blocks.push_back({place, 0, line.repeat, {}});
    }
    ++program.blocks.back().count;
    program.ops.push_back(op_of(in, line));
    PlanOp& last = program.ops.back();
    if (line.after > 0 && line.after <= place) {
      last.after = {place - static_cast<std::int32_t>(line.after)};
    }
    // Everybody exchanges with the rank across: 0 with 2, 1 with 3.
    if (is_point_to_point(last.kind)) last.peer = (ranks.first() + 2) % 4;
  }
  return program;
}

Lifecycle plan_of(const Schedule& in) {
  Lifecycle plan{.world = 4};
  add_group(plan, "tp", {{0, 1}, {2, 3}});
  add_group(plan, "dp", {{0, 2}, {1, 3}});
  add_group(plan, "all", {{0, 1, 2, 3}});
  static const std::vector<std::vector<RankSet>> kClasses = {
      {{0, 1}, {2, 3}}, {{0, 0}, {1, 1}, {2, 3}}, {{0, 0}, {1, 1}, {2, 2}, {3, 3}}};
  std::vector<Program> programs;
  std::int64_t number = 0;
  for (const RankSet& ranks : kClasses[static_cast<std::size_t>(in.classes - 1)]) {
    programs.push_back(program_of(in, number++, ranks));
  }
  plan.events = {eager("decode", 8, std::move(programs))};
  index_groups(plan);
  return plan;
}

// Repeats, streams, waits and queues that are read in another way than written; sends that are
// matched across classes; classes that are taken for one actor although they wait differently.
TEST(SameSequenceProperty, RandomSchedules) {
  Histogram seen;
  seen.declare("fate", {"0", "1", "2"});
  EXPECT_TRUE(holds("what the law flags cannot be sorted, and the reverse", [&seen] {
    const Schedule in = *schedules();
    const Lifecycle plan = plan_of(in);
    const Fate fate = fate_of(plan, plan.events[0]);
    seen.count("fate", static_cast<std::int64_t>(fate));
    seen.count("classes", in.classes);
    seen.count("raw", in.raw);
    RC_LOG() << text_of(plan);
    const auto breaches = property::breaches_of("same_sequence", plan);
    if (!breaches.empty()) RC_LOG() << breaches[0].blame << "\n";
    RC_ASSERT(breaches.empty() == (fate == Fate::sound));
    for (const Breach& breach : breaches) {
      RC_ASSERT(tells_ring(breach) == (fate == Fate::standstill));
      RC_ASSERT(breach.symptom == Symptom::hang);
    }
  }));
  seen.print("same_sequence, random schedules");
}

// ---- large and odd plans
// --------------------------------------------------------------------------

LawVerdict verdict_of(const Lifecycle& plan) {
  const Timeline timeline(plan);
  for (const Finding& finding : judge_plan(timeline)) {
    if (finding.law == "same_sequence") return finding.verdict;
  }
  return LawVerdict::undecided;
}

Program folded(RankSet ranks, std::int64_t repeat, std::int64_t inner, std::vector<PlanOp> ops) {
  Program program = eager_program(std::move(ranks), 8, std::move(ops));
  program.repeat = repeat;
  program.blocks = {{0, static_cast<std::int32_t>(program.ops.size()), inner, {}}};
  return program;
}

Lifecycle two_folded(std::int64_t repeat, std::int64_t inner, std::size_t longer) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  const PlanOp each = all_reduce(tp, 8);
  plan.events = {eager("decode", 8,
                       {folded({0, 0}, 100000, 100000, {each, each}),
                        folded({1, 1}, repeat, inner, std::vector<PlanOp>(longer, each))})};
  return finish(plan);
}

// Twenty thousand million operations on a rank: what is folded must not be unfolded, whichever way
// it is folded, and one operation more must still be seen.
TEST(SameSequenceProperty, LongRepeatsStayFolded) {
  EXPECT_EQ(verdict_of(two_folded(100000, 100000, 2)), LawVerdict::pass);
  EXPECT_EQ(verdict_of(two_folded(100000, 50000, 4)), LawVerdict::pass);
  EXPECT_EQ(verdict_of(two_folded(50000, 100000, 4)), LawVerdict::pass);
  const auto breaches = property::breaches_of("same_sequence", two_folded(100000, 100001, 2));
  ASSERT_EQ(breaches.size(), 1U);
  EXPECT_NE(breaches[0].blame.find("operation 20000000001"), std::string::npos)
      << breaches[0].blame;
}

// A run too long to be followed is not judged, instead of passed.
TEST(SameSequenceProperty, ARunTooLongIsNotJudged) {
  Lifecycle plan{.world = 2};
  const PlanOp sends = peer_op(PlanOpKind::send, 1);
  const PlanOp receives = peer_op(PlanOpKind::recv, 0);
  plan.events = {
      eager("decode", 8,
            {folded({0, 0}, 100000, 100000, {sends}), folded({1, 1}, 100000, 100000, {receives})})};
  EXPECT_EQ(verdict_of(finish(plan)), LawVerdict::undecided);
}

// A pipeline whose inner stages are one class: each rank waits for the one before it.
TEST(SameSequenceProperty, InnerStagesOfAPipelineAreOneClass) {
  for (const std::int64_t stages : {3, 8, 64}) {
    Lifecycle plan{.world = stages};
    plan.events = {eager(
        "decode", 8,
        {eager_program({0, 0}, 8, {peer_op(PlanOpKind::send, 1)}),
         eager_program({1, stages - 2}, 8,
                       {peer_op(PlanOpKind::recv, 0), peer_op(PlanOpKind::send, 2)}),
         eager_program({stages - 1, stages - 1}, 8, {peer_op(PlanOpKind::recv, stages - 2)})})};
    EXPECT_EQ(verdict_of(finish(plan)), LawVerdict::pass) << stages;
  }
}

// A sentence that names one rank, or counts the operations of another communicator.
TEST(SameSequenceProperty, AStandstillIsToldAsAWavefront) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  const GroupId world = add_group(plan, "world", {{0, 1}});
  const PlanOp reduce = all_reduce(tp, 8);
  const PlanOp gather = op(PlanOpKind::all_gather, tp);
  const PlanOp barrier = op(PlanOpKind::barrier, world);
  plan.events = {warm_up("decode", 8,
                         {eager_program({0, 0}, 8, {reduce, barrier, reduce, gather, barrier}),
                          eager_program({1, 1}, 8, {reduce, barrier, reduce, barrier, gather})})};
  const auto breaches = property::breaches_of("same_sequence", finish(plan));
  ASSERT_EQ(breaches.size(), 1U);
  EXPECT_EQ(breaches[0].blame,
            "rank 0 waits in all_gather over tp (operation 3), rank 1 waits in barrier over world "
            "(operation 2)");
}

// What a rank replays without a capture is not known, and is another law's.
TEST(SameSequenceProperty, AMissingCaptureIsNotAMissingOperation) {
  Lifecycle plan{.world = 2};
  const GroupId tp = add_group(plan, "tp", {{0, 1}});
  plan.events = {capture("decode", 8, {graph({0, 0}, 8, {op(PlanOpKind::kernel)})}),
                 capture("decode", 16, {graph({0, 1}, 16, {all_reduce(tp, 16)})}),
                 replay("decode", 16, {graph({0, 0}, 16), graph({1, 1}, 8)})};
  EXPECT_THAT(property::breaches_of("same_sequence", finish(plan)), testing::IsEmpty());
}

}  // namespace
}  // namespace capsize::property::same_sequence_test
