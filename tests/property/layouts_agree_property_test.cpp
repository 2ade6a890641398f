// layouts_agree against ranks that really hold rows. A row is a list of parts of a sum, a layout
// says which rows and which parts a rank holds, and a collective moves and adds them: two layouts
// are one where every rank holds the same, and a collective is right where it makes what is stated.
// Chains of operations are unfolded iteration by iteration, pipelines are queues.
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <deque>
#include <ostream>
#include <set>
#include <sstream>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/plan_laws.hpp"
#include "tests/property/property_run.hpp"

namespace capsize::property::layouts_agree_test {
namespace {

using namespace parts;

// ---- rows that ranks hold -------------------------------------------------------------------

constexpr std::int64_t kRanks = 4;
constexpr std::int64_t kRows = 16;  // cut twice over all ranks there is still one left

// A row: the numbers of the parts that were added up, row * kRanks + part.
using Row = std::multiset<std::int64_t>;
using Rows = std::vector<Row>;
using Held = std::vector<Rows>;  // by rank

struct Family {
  const char* name;
  std::vector<std::vector<std::int32_t>> groups;
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {{"tp", {{0, 1, 2, 3}}},
                                          {"outer", {{0, 2}, {1, 3}}},
                                          {"inner", {{0, 1}, {2, 3}}},
                                          {"alone", {{0}, {1}, {2}, {3}}},
                                          {"same", {{0, 1, 2, 3}}}};
  return all;
}
constexpr GroupId kTp{0};
constexpr GroupId kOuter{1};
constexpr GroupId kInner{2};
constexpr GroupId kAlone{3};
constexpr GroupId kSame{4};

const std::vector<std::int32_t>& members(GroupId axis, std::int64_t rank) {
  for (const auto& group : families()[static_cast<std::size_t>(axis.index)].groups) {
    for (const std::int32_t each : group) {
      if (each == rank) return group;
    }
  }
  std::abort();
}
std::size_t place(GroupId axis, std::int64_t rank) {
  const auto& group = members(axis, rank);
  return static_cast<std::size_t>(std::ranges::find(group, static_cast<std::int32_t>(rank)) -
                                  group.begin());
}

// The share of `rows` that stands at `part` of `ways`; none where they cannot be shared.
std::optional<Rows> share(const Rows& rows, std::size_t part, std::size_t ways) {
  if (rows.size() % ways != 0) return std::nullopt;
  const auto each = static_cast<std::ptrdiff_t>(rows.size() / ways);
  const auto first = rows.begin() + static_cast<std::ptrdiff_t>(part) * each;
  return Rows(first, first + each);
}

Rows held_by(std::int64_t rank, const Layout& layout) {
  Rows rows(kRows);
  for (std::int64_t i = 0; i < kRows; ++i) {
    for (std::int64_t part = 0; part < kRanks; ++part) {
      bool own = true;
      for (std::uint8_t p = 0; p < layout.depth; ++p) {
        const LayoutPart each = layout.parts.at(p);
        if (each.kind == LayoutKind::partial) {
          own = own && place(each.axis, part) == place(each.axis, rank);
        }
      }
      if (own) rows[static_cast<std::size_t>(i)].insert(i * kRanks + part);
    }
  }
  for (std::uint8_t p = 0; p < layout.depth; ++p) {
    const LayoutPart each = layout.parts.at(p);
    if (each.kind != LayoutKind::scattered) continue;
    rows = share(rows, place(each.axis, rank), members(each.axis, rank).size()).value();
  }
  return rows;
}

Held held(const Layout& layout) {
  Held out;
  for (std::int64_t rank = 0; rank < kRanks; ++rank) out.push_back(held_by(rank, layout));
  return out;
}

// Which rows a rank holds counts, and not their order: gathers of nested parts may turn it round.
Held in_any_order(Held all) {
  for (Rows& rows : all) std::ranges::sort(rows);
  return all;
}

// What every rank holds after the collective; none where the ranks' rows do not fit together.
std::optional<Held> moved(PlanOpKind kind, GroupId group, const Held& in) {
  Held out;
  for (std::int64_t rank = 0; rank < kRanks; ++rank) {
    const auto& peers = members(group, rank);
    Rows rows;
    if (kind == PlanOpKind::all_gather) {
      for (const std::int32_t peer : peers) {
        const Rows& theirs = in[static_cast<std::size_t>(peer)];
        rows.insert(rows.end(), theirs.begin(), theirs.end());
      }
    } else if (kind == PlanOpKind::slice) {
      rows = in[static_cast<std::size_t>(rank)];
    } else {
      rows.resize(in[static_cast<std::size_t>(rank)].size());
      for (const std::int32_t peer : peers) {
        const Rows& theirs = in[static_cast<std::size_t>(peer)];
        if (theirs.size() != rows.size()) return std::nullopt;
        for (std::size_t i = 0; i < rows.size(); ++i) {
          rows[i].insert(theirs[i].begin(), theirs[i].end());
        }
      }
    }
    if (kind == PlanOpKind::slice || kind == PlanOpKind::reduce_scatter) {
      const auto own = share(rows, place(group, rank), peers.size());
      if (!own) return std::nullopt;
      rows = *own;
    }
    out.push_back(std::move(rows));
  }
  return out;
}

// ---- layouts --------------------------------------------------------------------------------

// Rows whole or cut along up to two axes, sums whole or open along one or both; names apart.
std::vector<Layout> all_layouts() {
  const std::vector<std::vector<GroupId>> cuts = {{},    {kInner},         {kOuter},
                                                  {kTp}, {kOuter, kInner}, {kInner, kOuter}};
  const std::vector<std::vector<GroupId>> sums = {{}, {kInner}, {kOuter}, {kTp}};
  std::vector<Layout> out;
  for (const auto& cut : cuts) {
    for (const auto& sum : sums) {
      Layout layout;
      for (const GroupId axis : cut) layout.push({LayoutKind::scattered, axis});
      for (const GroupId axis : sum) layout.push({LayoutKind::partial, axis});
      out.push_back(layout);
    }
  }
  return out;
}

// The same with other names for the same ranks, sums before cuts, and axes of one rank.
std::vector<Layout> named_layouts() {
  std::vector<Layout> out = all_layouts();
  out.push_back(scattered(kSame));
  out.push_back(partial(kSame));
  Layout mixed = partial(kInner);
  mixed.push({LayoutKind::scattered, kOuter});
  out.push_back(mixed);
  mixed = scattered(kAlone);
  mixed.push({LayoutKind::scattered, kInner});
  mixed.push({LayoutKind::partial, kAlone});
  out.push_back(mixed);
  Layout open = partial(kOuter);
  open.push({LayoutKind::partial, kInner});
  out.push_back(open);
  return out;
}

Lifecycle grid(std::vector<PlanOp> ops) {
  Lifecycle plan{.world = kRanks};
  for (const Family& each : families()) add_group(plan, each.name, each.groups);
  plan.events = {eager("p", kRows, {eager_program({0, kRanks - 1}, kRows, std::move(ops))})};
  return std::move(finish(plan));
}

PlanOp collective(PlanOpKind kind, GroupId group, const Layout& in,
                  const std::optional<Layout>& out) {
  PlanOp operation = op(kind, group);
  operation.in = {in};
  operation.out = out;
  return operation;
}

constexpr std::array kCollectives = {PlanOpKind::reduce_scatter, PlanOpKind::all_reduce,
                                     PlanOpKind::all_gather, PlanOpKind::slice};

// A collective over the wrong ranks that passes, or a right one that is flagged: every collective,
// group and pair of layouts.
TEST(LayoutsAgreeProperty, EveryCollectiveOnEveryLayout) {
  const auto layouts = named_layouts();
  std::int64_t right = 0;
  std::int64_t cases = 0;
  for (const PlanOpKind kind : kCollectives) {
    for (const GroupId group : {kTp, kOuter, kInner, kAlone, kSame}) {
      for (const Layout& in : layouts) {
        const auto result = moved(kind, group, held(in));
        for (const Layout& out : layouts) {
          const Lifecycle plan = grid({collective(kind, group, in, out)});
          const bool fits = result && in_any_order(*result) == in_any_order(held(out));
          ++cases;
          right += fits ? 1 : 0;
          ASSERT_EQ(property::breaches_of("layouts_agree", plan).empty(), fits)
              << op_text(plan, plan.events[0].programs[0].ops[0]) << ": " << text_of(plan, in)
              << " into " << text_of(plan, out);
        }
      }
    }
  }
  EXPECT_EQ(cases, 4 * 5 * 29 * 29);
  visited(cases);
  EXPECT_GT(right, 300);
}

// The same where the result is not stated: some layout must be what the ranks then hold. Over one
// rank nothing is moved, and what is cut or open along other ranks is an error all the same unless
// the layout names such an axis: whoever gathers means to join something.
TEST(LayoutsAgreeProperty, EveryCollectiveThatStatesNoResult) {
  const auto results = all_layouts();
  for (const PlanOpKind kind : kCollectives) {
    const bool sums = kind == PlanOpKind::reduce_scatter || kind == PlanOpKind::all_reduce;
    for (const GroupId group : {kTp, kOuter, kInner, kAlone, kSame}) {
      for (const Layout& in : named_layouts()) {
        const auto result = moved(kind, group, held(in));
        bool fits = result && std::ranges::any_of(results, [&](const Layout& out) {
                      return in_any_order(*result) == in_any_order(held(out));
                    });
        if (group == kAlone && kind != PlanOpKind::slice) {
          const LayoutKind wanted = sums ? LayoutKind::partial : LayoutKind::scattered;
          for (std::uint8_t i = 0; i < in.depth; ++i) {
            const LayoutPart part = in.parts.at(i);
            if (part.kind == wanted) fits = part.axis == kAlone;  // the innermost decides
          }
        }
        const Lifecycle plan = grid({collective(kind, group, in, {})});
        ASSERT_EQ(property::breaches_of("layouts_agree", plan).empty(), fits)
            << op_text(plan, plan.events[0].programs[0].ops[0]) << " reads " << text_of(plan, in);
      }
    }
  }
}

// Two layouts that are one and are flagged, or two that differ while their rows agree: every edge,
// every pair of operands, and every operation that reads part of a sum.
TEST(LayoutsAgreeProperty, EveryEdgeBetweenLayouts) {
  for (const Layout& out : named_layouts()) {
    for (const Layout& in : named_layouts()) {
      const bool same = in_any_order(held(out)) == in_any_order(held(in));
      PlanOp producer = op(PlanOpKind::kernel, {}, 4, 4);
      producer.out = out;
      PlanOp consumer = op(PlanOpKind::matmul, {}, 4, 4);
      consumer.in = {in};
      const Lifecycle edge = grid({producer, consumer});
      const auto breaches = property::breaches_of("layouts_agree", edge);
      ASSERT_EQ(breaches.empty(), same)
          << text_of(edge, out) << " is read as " << text_of(edge, in);
      for (const Breach& each : breaches) EXPECT_EQ(each.symptom, Symptom::silent_corruption);
      PlanOp sum = op(PlanOpKind::add);
      sum.in = {out, in};
      ASSERT_EQ(property::breaches_of("layouts_agree", grid({sum})).empty(), same)
          << text_of(edge, out) << " + " << text_of(edge, in);
    }
    const bool whole = std::ranges::all_of(held(out), [](const Rows& rows) {
      return std::ranges::all_of(rows, [](const Row& row) { return row.size() == kRanks; });
    });
    for (const PlanOpKind kind : {PlanOpKind::norm, PlanOpKind::router, PlanOpKind::attention}) {
      PlanOp reader = op(kind);
      reader.in = {out};
      ASSERT_EQ(property::breaches_of("layouts_agree", grid({reader})).empty(), whole)
          << name_of(kind);
    }
  }
}

// ---- chains ---------------------------------------------------------------------------------

struct Link {
  PlanOpKind kind = PlanOpKind::kernel;
  std::vector<std::int64_t> rows_in;
  std::int64_t rows_out = 0;  // 0: not said
  std::optional<std::vector<std::int32_t>> from;
};

PlanOp op_of(const Link& link) {
  PlanOp operation = op(link.kind);
  operation.rows_in = link.rows_in;
  if (link.rows_out > 0) operation.rows_out = link.rows_out;
  operation.from = link.from;
  return operation;
}

struct ChainCase {
  std::vector<Link> links;
  std::vector<OpBlock> blocks;
  std::int64_t repeat = 1;
};

// For the message of a failure.
std::string text_of(const ChainCase& in) {
  std::ostringstream out;
  for (const OpBlock& block : in.blocks) {
    out << "x" << in.repeat * block.repeat << "\n";
    for (std::int32_t i = block.first_op; i < block.first_op + block.count; ++i) {
      const Link& link = in.links[static_cast<std::size_t>(i)];
      out << "  " << i << " " << name_of(link.kind);
      for (const std::int64_t rows : link.rows_in) out << " reads " << rows;
      out << " leaves " << link.rows_out;
      if (link.from) out << " by name:";
      for (const std::int32_t place : link.from.value_or(std::vector<std::int32_t>())) {
        out << " " << place;
      }
      out << "\n";
    }
  }
  return out.str();
}

// All operations in the order in which they run: repeats written out.
std::vector<std::int32_t> unfolded(const ChainCase& in) {
  std::vector<std::int32_t> out;
  for (std::int64_t round = 0; round < in.repeat; ++round) {
    for (const OpBlock& block : in.blocks) {
      for (std::int64_t again = 0; again < block.repeat; ++again) {
        for (std::int32_t i = 0; i < block.count; ++i) out.push_back(block.first_op + i);
      }
    }
  }
  return out;
}

bool holds_data(PlanOpKind kind) {
  return kind != PlanOpKind::wait && kind != PlanOpKind::barrier && kind != PlanOpKind::send;
}
bool begins(const Link& link) {  // these chains state no layouts, so every copy begins one
  return link.kind == PlanOpKind::recv || link.kind == PlanOpKind::copy;
}

// Whose output the operation at `at` of the unfolded list reads; -1: nobody's.
std::int32_t reads(const ChainCase& in, const std::vector<std::int32_t>& list, std::int64_t at) {
  for (std::int64_t i = at - 1; i >= 0; --i) {
    const std::int32_t place = list[static_cast<std::size_t>(i)];
    if (holds_data(in.links[static_cast<std::size_t>(place)].kind)) return place;
  }
  return -1;
}

// The place that a name stands for: itself, or what a host call or a send at that place passes on.
std::int32_t passes_on(const ChainCase& in, std::int32_t place) {
  const Link& link = in.links[static_cast<std::size_t>(place)];
  if (holds_data(link.kind)) return place;
  if (link.from) return link.from->empty() ? -1 : passes_on(in, link.from->front());
  for (std::int32_t i = place - 1; i >= 0; --i) {
    if (holds_data(in.links[static_cast<std::size_t>(i)].kind)) return i;
  }
  return -1;
}

// The operations that read other rows than were left for them, or unequal operands.
std::set<std::int64_t> broken_links(const ChainCase& in) {
  std::set<std::int64_t> out;
  const auto list = unfolded(in);
  const auto mismatch = [&](std::int32_t place, std::int32_t producer, std::size_t operand) {
    const Link& link = in.links[static_cast<std::size_t>(place)];
    if (producer < 0 || operand >= link.rows_in.size()) return false;
    const std::int64_t left = in.links[static_cast<std::size_t>(producer)].rows_out;
    return left > 0 && left != link.rows_in[operand];
  };
  for (std::int64_t at = 0; at < std::ssize(list); ++at) {
    const std::int32_t place = list[static_cast<std::size_t>(at)];
    const Link& link = in.links[static_cast<std::size_t>(place)];
    if (link.from) {
      for (std::size_t i = 0; i < link.from->size(); ++i) {
        if (mismatch(place, passes_on(in, (*link.from)[i]), i)) out.insert(place);
      }
    } else if (!begins(link) && (holds_data(link.kind) || link.kind == PlanOpKind::send)) {
      if (mismatch(place, reads(in, list, at), 0)) out.insert(place);
    }
    if (link.kind != PlanOpKind::add && link.kind != PlanOpKind::kernel) continue;
    std::set<std::int64_t> operands(link.rows_in.begin(), link.rows_in.end());
    for (std::size_t i = link.rows_in.size();
         link.kind == PlanOpKind::add && link.from && i < link.from->size(); ++i) {
      const std::int32_t producer = passes_on(in, (*link.from)[i]);
      const std::int64_t left =
          producer < 0 ? 0 : in.links[static_cast<std::size_t>(producer)].rows_out;
      // Each operand is measured by the first: where that one says nothing, none is.
      const bool first_is_said = i > 0 && !operands.empty();
      if (left > 0 && (i == 0 || first_is_said)) operands.insert(left);
    }
    if (operands.size() > 1) out.insert(place);
  }
  return out;
}

ChainCase some_chain() {
  ChainCase in;
  const auto count = *generators::evenly(1, 9);
  for (std::int64_t i = 0; i < count; ++i) {
    Link link;
    link.kind = *generators::one_of<PlanOpKind>(
        {PlanOpKind::kernel, PlanOpKind::matmul, PlanOpKind::add, PlanOpKind::copy,
         PlanOpKind::wait, PlanOpKind::barrier, PlanOpKind::send, PlanOpKind::recv});
    const auto operands = *generators::one_of<std::int64_t>({1, 1, 0, 2});
    for (std::int64_t k = 0; k < operands; ++k) {
      link.rows_in.push_back(*generators::one_of<std::int64_t>({4, 4, 4, 8}));
    }
    link.rows_out = *generators::one_of<std::int64_t>({4, 4, 4, 8, 0});
    if (i > 0 && *generators::evenly(0, 4) == 3) {
      link.from.emplace();
      const auto named = *generators::evenly(0, 3);
      for (std::int64_t k = 0; k < named; ++k) {
        link.from->push_back(static_cast<std::int32_t>(*generators::evenly(0, i)));
      }
    }
    in.links.push_back(std::move(link));
  }
  for (std::int32_t first = 0; first < count;) {
    const auto size = static_cast<std::int32_t>(*generators::evenly(1, count - first + 1));
    in.blocks.push_back({first, size, *generators::evenly(1, 4), {}});
    first += size;
  }
  in.repeat = *generators::evenly(1, 4);
  return in;
}

// An edge that is missed or made up: the seam of a repeated block, a name, a host call in between.
TEST(LayoutsAgreeProperty, RandomChainsOfRepeatedBlocks) {
  std::int64_t flagged = 0;
  std::int64_t passed = 0;
  EXPECT_TRUE(holds("folded edges are the unfolded ones", [&] {
    const ChainCase in = some_chain();
    Lifecycle plan{.world = 2};
    Program program;
    program.ranks = {0, 1};
    program.mode = GraphMode::eager;
    program.repeat = in.repeat;
    program.blocks = in.blocks;
    for (const Link& link : in.links) program.ops.push_back(op_of(link));
    plan.events = {eager("p", 4, {program})};
    const Lifecycle& done = finish(plan);
    std::set<std::int64_t> found;
    for (const Breach& breach : property::breaches_of("layouts_agree", done)) {
      found.insert(breach.at - done.events[0].programs[0].ops.data());
    }
    const auto expected = broken_links(in);
    (expected.empty() ? passed : flagged) += 1;
    RC_LOG(text_of(in));
    RC_ASSERT(found == expected);
  }));
  EXPECT_GT(flagged, 1000);
  EXPECT_GT(passed, 1000);
}

// ---- pipelines ------------------------------------------------------------------------------

struct Message {
  bool sends = true;
  std::int64_t rows = 4;
  std::int64_t repeat = 1;
};

void showValue(const Message& message, std::ostream& out) {
  out << (message.sends ? "send " : "recv ") << message.rows << " x" << message.repeat;
}

rc::Gen<std::vector<Message>> messages() {
  return rc::gen::resize(
      6, rc::gen::container<std::vector<Message>>(rc::gen::build<Message>(
             rc::gen::set(&Message::sends, generators::coin()),
             rc::gen::set(&Message::rows, generators::one_of<std::int64_t>({4, 4, 4, 8, 0})),
             rc::gen::set(&Message::repeat, generators::evenly(1, 4)))));
}

Program stage(std::int64_t first, std::int64_t peer, GroupId group,
              const std::vector<Message>& list) {
  Program program;
  program.ranks = {first, first + 1};
  program.mode = GraphMode::eager;
  for (const Message& message : list) {
    PlanOp operation = op(message.sends ? PlanOpKind::send : PlanOpKind::recv, group);
    operation.peer = peer;
    operation.from.emplace();  // none forwards what it has received
    if (message.rows > 0 && message.sends) operation.rows_in = {message.rows};
    if (message.rows > 0 && !message.sends) operation.rows_out = message.rows;
    const auto place = static_cast<std::int32_t>(program.ops.size());
    program.blocks.push_back({place, 1, message.repeat, {}});
    program.ops.push_back(std::move(operation));
  }
  return program;
}

// The receives of `list` that take other rows from `queue` than they expect.
std::set<std::int64_t> wrong_receives(const std::vector<Message>& list,
                                      const std::vector<Message>& other) {
  std::deque<std::int64_t> queue;
  for (const Message& message : other) {
    for (std::int64_t i = 0; message.sends && i < message.repeat; ++i) {
      queue.push_back(message.rows);
    }
  }
  std::set<std::int64_t> out;
  for (std::size_t place = 0; place < list.size(); ++place) {
    for (std::int64_t i = 0; !list[place].sends && i < list[place].repeat; ++i) {
      if (queue.empty()) return out;
      const std::int64_t rows = queue.front();
      queue.pop_front();
      if (rows > 0 && list[place].rows > 0 && rows != list[place].rows) {
        out.insert(static_cast<std::int64_t>(place));
      }
    }
  }
  return out;
}

// A receive that is held against another send than its own.
TEST(LayoutsAgreeProperty, RandomPipelines) {
  std::int64_t flagged = 0;
  EXPECT_TRUE(holds("receives are held against their sends", [&] {
    const std::vector<Message> first = *messages();
    const std::vector<Message> second = *messages();
    Lifecycle plan{.world = 4};
    const GroupId pp = add_group(plan, "pp", {{0, 2}, {1, 3}});
    plan.events = {eager("p", 4, {stage(0, 2, pp, first), stage(2, 0, pp, second)})};
    const Lifecycle& done = finish(plan);
    std::array<std::set<std::int64_t>, 2> found;
    for (const Breach& breach : property::breaches_of("layouts_agree", done)) {
      const auto at = static_cast<std::size_t>(breach.running);
      RC_ASSERT(breach.rank == breach.running * 2);
      found.at(at).insert(breach.at - done.events[0].programs[at].ops.data());
    }
    const std::array expected = {wrong_receives(first, second), wrong_receives(second, first)};
    flagged += expected[0].empty() && expected[1].empty() ? 0 : 1;
    RC_ASSERT(found == expected);
  }));
  EXPECT_GT(flagged, 1000);
}

// Stages have communicators of their own: what is cut alike is the same on both sides, and a part
// that is cut over more ranks, or is another part, is not.
TEST(LayoutsAgreeProperty, LayoutsAcrossStages) {
  Lifecycle plan{.world = 4};
  const GroupId pp = add_group(plan, "pp", {{0, 2}, {1, 3}});
  const GroupId first = add_group(plan, "first", {{0, 1}});
  const GroupId second = add_group(plan, "second", {{2, 3}});
  const GroupId turned = add_group(plan, "turned", {{3, 2}});
  const GroupId both = add_group(plan, "both", {{0, 1}, {2, 3}});
  const auto agree = [&](const Layout& sent, const Layout& received) {
    PlanOp send = op(PlanOpKind::send, pp);
    send.peer = 2;
    send.in = {sent};
    PlanOp recv = op(PlanOpKind::recv, pp);
    recv.peer = 0;
    recv.out = received;
    plan.events = {
        eager("p", 4, {eager_program({0, 1}, 4, {send}), eager_program({2, 3}, 4, {recv})})};
    return property::breaches_of("layouts_agree", finish(plan)).empty();
  };
  EXPECT_TRUE(agree(scattered(both), scattered(both)));
  EXPECT_TRUE(agree(scattered(first), scattered(second)));
  EXPECT_TRUE(agree(scattered(first), scattered(both)));
  EXPECT_TRUE(agree(replicated(), replicated()));
  EXPECT_TRUE(agree(partial(first), partial(second)));
  EXPECT_FALSE(agree(scattered(first), replicated()));
  EXPECT_FALSE(agree(replicated(), scattered(second)));
  EXPECT_FALSE(agree(scattered(first), scattered(turned)));
  EXPECT_FALSE(agree(scattered(first), partial(second)));
  // Named alike on both sides, cut on one side alone.
  EXPECT_FALSE(agree(scattered(first), scattered(first)));
}

}  // namespace
}  // namespace capsize::property::layouts_agree_test
