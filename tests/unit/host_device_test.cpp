// The host as a device: what launches do to rows beside what they are said to do, and captures.
#include "runtime/device/host_device.hpp"

#include <gtest/gtest.h>

#include "tests/support/matrix.hpp"

namespace capsize::host_device_test {
namespace {

using test::OwnedMatrix;
using Integers = std::vector<std::int32_t>;
using Kind = CollectiveLaunch::Kind;

constexpr ElementType kType = ElementType::bf16;

// One column of rows that count up from `first`.
OwnedMatrix counting(std::int32_t first, std::int64_t rows) {
  OwnedMatrix made(kType, rows, 1);
  for (std::int64_t row = 0; row < rows; ++row) {
    made.set_row(row, Integers{first + static_cast<std::int32_t>(row)});
  }
  return made;
}

Integers column(OwnedMatrix& rows) {
  Integers out;
  for (std::int64_t row = 0; row < rows.rows(); ++row) out.push_back(rows.row(row)[0]);
  return out;
}

// Two ranks with rows 1, 2 and 11, 12; what each has afterwards in an output of `rows_out` rows.
std::array<Integers, 2> after(Kind kind, std::int64_t rows_out) {
  OwnedMatrix left = counting(1, 2);
  OwnedMatrix right = counting(11, 2);
  OwnedMatrix left_out(kType, rows_out, 1);
  OwnedMatrix right_out(kType, rows_out, 1);
  HostDevice device;
  device.launch(
      CollectiveLaunch{kind, {{{left.all(), right.all()}, {left_out.all(), right_out.all()}}}});
  return {column(left_out), column(right_out)};
}

// Would catch: a part that goes to the wrong member, a sum that misses one, rows out of order.
TEST(HostDevice, CollectivesMoveWhatTheyAreCalledFor) {
  using Both = std::array<Integers, 2>;
  EXPECT_EQ(after(Kind::reduce_scatter, 1), (Both{Integers{12}, Integers{14}}));
  EXPECT_EQ(after(Kind::all_reduce, 2), (Both{Integers{12, 14}, Integers{12, 14}}));
  EXPECT_EQ(after(Kind::all_gather, 4), (Both{Integers{1, 2, 11, 12}, Integers{1, 2, 11, 12}}));
  EXPECT_EQ(after(Kind::all_to_all, 2), (Both{Integers{1, 11}, Integers{2, 12}}));
  EXPECT_EQ(after(Kind::broadcast, 2), (Both{Integers{1, 2}, Integers{1, 2}}));
}

// Would catch: rows at the wrong place, rows past the end, a clearing that spares some or more than
// it should.
TEST(HostDevice, CopiesFitBothEnds) {
  HostDevice device;
  OwnedMatrix from = counting(1, 3);
  for (const bool clears : {false, true}) {
    OwnedMatrix to = counting(50, 4);
    device.launch(CopyLaunch{{{.from = from.all(), .to = to.all(), .at = 2, .clears = clears}}});
    EXPECT_EQ(column(to), clears ? (Integers{0, 0, 1, 2}) : (Integers{50, 51, 1, 2}));
  }
}

// Would catch: a verification that passes whatever stands there, a first place that is the last one
// or of another slot, answers that outlive a reset.
TEST(HostDevice, AnswersAreCountedWhereTheyBelong) {
  HostDevice device;
  OwnedMatrix rows(kType, 3, 5);
  device.launch(GenerateLaunch{{{rows.all(), 7, 100, 2}}});
  const VerifyLaunch verify{{{rows.all(), 7, 100, 2, 1}}};
  device.reset_findings(2);
  device.launch(verify);
  EXPECT_EQ(device.findings().value(), (std::vector<DeviceFinding>{{}, {}}));
  rows.set_bits(1, 3, 0x7fc0U);
  rows.set_bits(2, 0, unwritten_bits(kType));
  device.launch(verify);
  EXPECT_EQ(device.findings().value(), (std::vector<DeviceFinding>{{}, {.count = 2, .first = 8}}));
  device.reset_findings(3);
  using Check = CheckLaunch::Kind;
  device.launch(CheckLaunch{{{rows.all(), Check::inexact, 127, 0},
                             {rows.all(), Check::unwritten, 0, 1},
                             {rows.all(), Check::touched, 0, 2}}});
  EXPECT_EQ(device.findings().value(),
            (std::vector<DeviceFinding>{{.count = 2, .first = 8}, {1, 10}, {14, 0}}));
}

// Would catch: launches of a capture that run at once, a graph that runs in another order or
// forgets what it was given when the launch is gone, nodes without their names.
TEST(HostDevice, GraphsRepeatWhatWasCaptured) {
  HostDevice device;
  OwnedMatrix a = counting(1, 2);
  OwnedMatrix b = counting(5, 2);
  ASSERT_TRUE(device.begin_capture());
  device.launch(AddLaunch{{{.left = a.all(), .right = b.all(), .out = b.all()}}});
  device.launch(CopyLaunch{{{.from = b.all(), .to = a.all()}}});
  const auto graph = device.end_capture();
  ASSERT_TRUE(graph);
  EXPECT_EQ(column(b), (Integers{5, 6}));
  EXPECT_EQ((*graph)->nodes(), (std::vector<std::string>{"add", "copy"}));
  device.launch_graph(**graph);
  device.launch_graph(**graph);
  EXPECT_EQ(column(a), (Integers{12, 16}));
  EXPECT_EQ(device.work().graphs, 2);
  EXPECT_EQ(device.work().launches, 0);
}

// Would catch: an action that is let into a graph, one whose refusal is forgotten by the end of the
// capture, a device that is of no use afterwards.
TEST(HostDevice, CapturesRefuseWhatNoGraphHolds) {
  for (const HostAction action : {HostAction::synchronize, HostAction::allocate, HostAction::free,
                                  HostAction::launch_elsewhere}) {
    HostDevice device;
    EXPECT_TRUE(device.act(action));
    ASSERT_TRUE(device.begin_capture());
    const Result<void> acted = device.act(action);
    ASSERT_FALSE(acted);
    const auto graph = device.end_capture();
    ASSERT_FALSE(graph);
    EXPECT_EQ(graph.error().text, acted.error().text);
    EXPECT_NE(graph.error().text.find(name_of(action)), std::string::npos);
    EXPECT_TRUE(device.wait());
    EXPECT_TRUE(device.begin_capture());
    EXPECT_TRUE(device.end_capture());
  }
}

// Would catch: work of a library that is done while it is captured, out of order, or once only; an
// error of it that nobody tells; memory that moves when more is asked for.
TEST(HostDevice, WorkOfALibraryIsPartOfAGraph) {
  HostDevice device;
  OwnedMatrix rows = counting(1, 2);
  int seen = 0;
  int failing = 0;
  const LibraryWork work{"reduce", [&, matrix = rows.all()](DeviceStream*) -> Result<void> {
                           seen = seen * 10 + load(kType, matrix.data);
                           if (failing == 0) return {};
                           return tl::unexpected(Error{"reduce", "no peer", ""});
                         }};
  ASSERT_TRUE(device.begin_capture());
  device.launch(FillLaunch{{{rows.all(), 0}}});
  EXPECT_EQ(device.issue(work), std::vector<std::string>{"reduce"});
  EXPECT_FALSE(device.reserve(8));
  ASSERT_FALSE(device.end_capture());

  ASSERT_TRUE(device.begin_capture());
  ASSERT_TRUE(device.issue(work));
  device.launch(FillLaunch{{{rows.all(), 0}}});
  ASSERT_TRUE(device.issue(work));
  const auto graph = device.end_capture();
  ASSERT_TRUE(graph) << graph.error().text;
  EXPECT_EQ((*graph)->nodes(), (std::vector<std::string>{"reduce", "fill", "reduce"}));
  EXPECT_EQ(seen, 0);
  device.launch_graph(**graph);
  EXPECT_EQ(seen, 10);
  device.launch_graph(**graph);
  EXPECT_EQ(seen, 1000);
  EXPECT_TRUE(device.wait());
  failing = 1;
  device.launch_graph(**graph);
  EXPECT_EQ(device.wait().error().text, "no peer");
  EXPECT_TRUE(device.wait());

  const auto first = device.reserve(8);
  ASSERT_TRUE(first);
  std::fill(first->begin(), first->end(), std::byte{7});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(device.reserve(64));
  EXPECT_EQ((*first)[7], std::byte{7});
}

}  // namespace
}  // namespace capsize::host_device_test
