// counts_match against an oracle that deals rows and bytes out one by one, and compares the calls
// of every two ranks, unfolded.
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "properties/generators.hpp"
#include "properties/plan_parts.hpp"
#include "properties/plan_report.hpp"
#include "tests/property/histogram.hpp"
#include "tests/property/plan_laws.hpp"

namespace capsize::property::counts_match_test {
namespace {

using namespace parts;

constexpr std::array kMoving = {PlanOpKind::reduce_scatter, PlanOpKind::all_gather,
                                PlanOpKind::all_reduce, PlanOpKind::broadcast,
                                PlanOpKind::all_to_all};

std::vector<std::int32_t> ranks_below(std::int32_t count) {
  std::vector<std::int32_t> out;
  for (std::int32_t rank = 0; rank < count; ++rank) out.push_back(rank);
  return out;
}

Lifecycle one_program(std::int32_t members, PlanOp op) {
  Lifecycle plan{.world = members};
  add_group(plan, "g", {ranks_below(members)});
  add_buffer(plan, {.name = "b", .bytes = 6});
  plan.events = {eager("p", 1, {eager_program({0, members - 1}, 1, {std::move(op)})})};
  return finish(plan);
}

// Rows dealt to the members in turn: how many each has; none where they do not come out even.
std::optional<std::int64_t> dealt(std::int64_t rows, std::int64_t members) {
  std::vector<std::int64_t> hands(static_cast<std::size_t>(members), 0);
  for (std::int64_t row = 0; row < rows; ++row) ++hands[static_cast<std::size_t>(row % members)];
  if (hands.front() != hands.back()) return std::nullopt;
  return hands.front();
}

bool rows_are_wrong(PlanOpKind kind, std::int64_t members, std::int64_t in, std::int64_t out) {
  const bool scatters = kind == PlanOpKind::reduce_scatter;
  if (scatters || kind == PlanOpKind::all_gather) {
    const auto share = dealt(scatters ? in : out, members);
    return share && *share != (scatters ? out : in);
  }
  return kind != PlanOpKind::all_to_all && in != out;
}

// A share that is rounded, a group of one rank that is left out, a count of `divisible` that is
// claimed: every kind, up to 5 members and up to 12 rows on both sides.
TEST(CountsMatchProperty, EveryPairOfCounts) {
  std::int64_t wrong = 0;
  for (const PlanOpKind kind : kMoving) {
    for (std::int32_t members = 1; members <= 5; ++members) {
      for (std::int64_t in = 0; in <= 12; ++in) {
        for (std::int64_t out = 0; out <= 12; ++out) {
          const auto breaches = property::breaches_of(
              "counts_match", one_program(members, op(kind, GroupId{0}, in, out)));
          const bool wanted = rows_are_wrong(kind, members, in, out);
          ASSERT_EQ(!breaches.empty(), wanted)
              << name_of(kind) << " of " << members << ": " << in << " to " << out;
          wrong += wanted ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(wrong, 1000);
}

// Bytes of a range, one by one.
std::set<std::int64_t> bytes_in(const BufferRange& range) {
  std::set<std::int64_t> out;
  const std::int64_t end = range.bytes < 0 ? 6 : range.offset + range.bytes;
  for (std::int64_t byte = range.offset; byte < end; ++byte) out.insert(byte);
  return out;
}

// Whether the member at `position` may read and write so.
bool may_work_on(PlanOpKind kind, std::int64_t members, std::int64_t position,
                 const BufferRange& reads, const BufferRange& writes) {
  const auto read = bytes_in(reads);
  const auto written = bytes_in(writes);
  if (std::ranges::none_of(read, [&](std::int64_t byte) { return written.contains(byte); })) {
    return true;
  }
  if (kind == PlanOpKind::all_reduce || kind == PlanOpKind::broadcast) return read == written;
  if (kind == PlanOpKind::all_to_all) return false;
  const bool scatters = kind == PlanOpKind::reduce_scatter;
  const auto& whole = scatters ? read : written;
  const auto share = dealt(std::ssize(whole), members);
  if (!share) return false;
  std::set<std::int64_t> slice;
  std::int64_t number = 0;
  for (const std::int64_t byte : whole) {
    if (number++ / *share == position) slice.insert(byte);
  }
  return slice == (scatters ? written : read);
}

std::vector<BufferRange> ranges_of_six_bytes() {
  std::vector<BufferRange> out;
  for (std::int64_t offset = 0; offset < 6; ++offset) {
    for (std::int64_t bytes = 1; offset + bytes <= 6; ++bytes) out.push_back({0, offset, bytes});
    out.push_back({0, offset, -1});
  }
  return out;
}

// A slice at the wrong position, an overlap that is not seen, a rank of a class that is not asked:
// every two ranges of a buffer of six bytes, every kind, up to three members of one program.
TEST(CountsMatchProperty, EveryPairOfRanges) {
  std::int64_t in_place = 0;
  for (const PlanOpKind kind : kMoving) {
    for (std::int32_t members = 1; members <= 3; ++members) {
      for (const BufferRange& read : ranges_of_six_bytes()) {
        for (const BufferRange& write : ranges_of_six_bytes()) {
          PlanOp works = op(kind, GroupId{0});
          works.reads = {read};
          works.writes = {write};
          std::optional<std::int64_t> first;
          for (std::int64_t rank = members - 1; rank >= 0; --rank) {
            if (!may_work_on(kind, members, rank, read, write)) first = rank;
          }
          const auto breaches = property::breaches_of("counts_match", one_program(members, works));
          ASSERT_EQ(breaches.empty(), !first.has_value()) << name_of(kind) << " of " << members;
          if (!first) continue;
          ++in_place;
          ASSERT_EQ(breaches[0].rank, first) << breaches[0].blame;
          ASSERT_EQ(breaches[0].buffer, "b");
        }
      }
    }
  }
  EXPECT_GT(in_place, 1000);
}

// ---- random plans -------------------------------------------------------------------------------

struct CallCase {
  PlanOpKind kind = PlanOpKind::all_reduce;
  std::int64_t rows = 8;
  std::string dtype;
  bool counted = true;
  bool listed = false;  // with sizes
  std::int64_t repeat = 1;
};

struct ClassEdit {
  std::int64_t at = 0;
  std::int64_t what = 0;
};

struct MemberCase {
  std::vector<CallCase> calls;
  std::vector<std::vector<ClassEdit>> edits;  // of each rank
};

rc::Gen<MemberCase> member_cases() {
  using namespace generators;
  return rc::gen::exec([] {
    MemberCase out;
    const std::int64_t calls = *evenly(1, 5);
    for (std::int64_t i = 0; i < calls; ++i) {
      out.calls.push_back(
          {.kind = *one_of<PlanOpKind>(
               {PlanOpKind::all_reduce, PlanOpKind::all_to_all, PlanOpKind::barrier}),
           .rows = *evenly(1, 3),
           .dtype = *one_of<std::string>({"", "bf16"}),
           .counted = *coin(),
           .listed = *coin(),
           .repeat = *evenly(1, 4)});
    }
    for (std::int64_t rank = 0; rank < 4; ++rank) {
      std::vector<ClassEdit>& edits = out.edits.emplace_back();
      const std::int64_t count = *one_of<std::int64_t>({0, 0, 1, 2});
      for (std::int64_t i = 0; i < count; ++i) edits.push_back({*evenly(0, 3), *evenly(0, 6)});
    }
    return out;
  });
}

void apply(const ClassEdit& edit, std::vector<CallCase>& calls) {
  if (edit.at >= std::ssize(calls)) return;
  CallCase& call = calls[static_cast<std::size_t>(edit.at)];
  switch (edit.what) {
    case 0: call.rows += 1; break;
    case 1: call.dtype = "fp32"; break;
    case 2: call.dtype = ""; break;
    case 3: call.counted = false; break;
    case 4: call.kind = PlanOpKind::broadcast; break;
    default: call.repeat += 1; break;
  }
}

// A rank's program: sizes of an all-to-all are its own, in sum its rows.
Program program_of(std::vector<CallCase> calls, std::int64_t rank,
                   const std::vector<ClassEdit>& edits) {
  for (const ClassEdit& edit : edits) apply(edit, calls);
  Program program{.ranks = {rank, rank}, .mode = GraphMode::eager, .repeat = 2};
  for (const CallCase& call : calls) {
    program.blocks.push_back({static_cast<std::int32_t>(program.ops.size()), 1, call.repeat, {}});
    PlanOp& last = program.ops.emplace_back(op(call.kind, GroupId{0}));
    last.dtype = call.dtype;
    if (call.counted) last.rows_in = {call.rows};
    if (call.kind == PlanOpKind::all_reduce && call.counted) last.rows_out = call.rows;
    if (call.kind != PlanOpKind::all_to_all || !call.listed) continue;
    const std::int64_t own = rank % 2 == 0 ? call.rows : 0;
    last.sizes = {own, call.rows - own, 0, 0};
  }
  return program;
}

std::vector<const PlanOp*> unfolded(const Program& program) {
  std::vector<const PlanOp*> out;
  for (std::int64_t turn = 0; turn < program.repeat; ++turn) {
    for (const OpBlock& block : program.blocks) {
      for (std::int64_t again = 0; again < block.repeat; ++again) {
        out.push_back(&program.ops[static_cast<std::size_t>(block.first_op)]);
      }
    }
  }
  return out;
}

// Whether two calls contradict each other in what both say.
bool contradict(const PlanOp& a, const PlanOp& b) {
  if (a.kind == PlanOpKind::barrier) return false;
  if (!a.dtype.empty() && !b.dtype.empty() && a.dtype != b.dtype) return true;
  if (!a.sizes.empty() || !b.sizes.empty()) return false;
  return !a.rows_in.empty() && !b.rows_in.empty() && a.rows_in != b.rows_in;
}

bool differ(const Program& a, const Program& b) {
  const auto x = unfolded(a);
  const auto y = unfolded(b);
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (x[i]->kind != y[i]->kind) return false;
    if (contradict(*x[i], *y[i])) return true;
  }
  return false;
}

// Counts that are compared at other positions than they meet, behind operations that already
// differ, or with what is left open; two members that differ while a third agrees with both.
TEST(CountsMatchProperty, RandomMembers) {
  Histogram seen;
  seen.declare("verdict", {"sound", "broken"});
  EXPECT_TRUE(holds("what the law flags, two ranks contradict each other in", [&seen] {
    const MemberCase in = *member_cases();
    Lifecycle plan{.world = 4};
    add_group(plan, "g", {{0, 1, 2, 3}});
    std::vector<Program> programs;
    for (std::int64_t rank = 0; rank < 4; ++rank) {
      programs.push_back(program_of(in.calls, rank, in.edits[static_cast<std::size_t>(rank)]));
    }
    plan.events = {eager("p", 1, std::move(programs))};
    index_groups(plan);
    bool wanted = false;
    for (const Program& a : plan.events[0].programs) {
      for (const Program& b : plan.events[0].programs) wanted = wanted || differ(a, b);
    }
    const auto breaches = property::breaches_of("counts_match", plan);
    seen.count("verdict", std::string(wanted ? "broken" : "sound"));
    RC_LOG() << (breaches.empty() ? "no breach" : breaches[0].blame) << "\n";
    RC_ASSERT(breaches.empty() != wanted);
    for (const Breach& breach : breaches) {
      const auto class_at = [&plan](std::int32_t running) -> const Program& {
        return plan.events[0].programs[static_cast<std::size_t>(running)];
      };
      RC_ASSERT(differ(class_at(breach.running), class_at(breach.other)));
    }
  }));
  seen.print("counts_match, random members");
}

// Sizes that are summed wrongly or looked up at another position, on every rank of a class.
TEST(CountsMatchProperty, RandomSizes) {
  Histogram seen;
  seen.declare("verdict", {"sound", "broken"});
  EXPECT_TRUE(holds("a member holds its size, and all hold the sum", [&seen] {
    using namespace generators;
    const std::int64_t members = *evenly(1, 4);
    std::vector<std::int64_t> sizes;
    for (std::int64_t i = 0; i < members; ++i) sizes.push_back(*evenly(0, 3));
    const PlanOpKind kind =
        *one_of<PlanOpKind>({PlanOpKind::all_gather, PlanOpKind::reduce_scatter});
    const bool gathers = kind == PlanOpKind::all_gather;
    std::int64_t sum = 0;
    for (const std::int64_t size : sizes) sum += size;
    const std::int64_t own = *one_of<std::int64_t>({sizes[0], sizes[0] + 1});
    const std::int64_t all = *one_of<std::int64_t>({sum, sum + 1});
    PlanOp listed = op(kind, GroupId{0}, gathers ? own : all, gathers ? all : own);
    listed.sizes = sizes;
    std::optional<std::int64_t> first;
    for (std::int64_t rank = members - 1; rank >= 0; --rank) {
      if (own != sizes[static_cast<std::size_t>(rank)] || all != sum) first = rank;
    }
    const auto breaches = property::breaches_of(
        "counts_match", one_program(static_cast<std::int32_t>(members), listed));
    seen.count("verdict", std::string(first ? "broken" : "sound"));
    RC_ASSERT(breaches.empty() == !first.has_value());
    if (first) RC_ASSERT(breaches[0].rank == first);
  }));
  seen.print("counts_match, random sizes");
}

}  // namespace
}  // namespace capsize::property::counts_match_test
