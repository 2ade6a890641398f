// Captures and graphs of a GPU: what nodes they have, what no graph can hold, and how sequences of
// launches that were captured run again.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "tests/gpu/device_pair.hpp"

namespace capsize::gpu_test {
namespace {

constexpr std::array kActions = {HostAction::synchronize, HostAction::allocate, HostAction::free,
                                 HostAction::launch_elsewhere};

// `rows` rows of 16 numbers each, and room for as many again behind them.
struct TwoTensors {
  explicit TwoTensors(std::int64_t rows) {
    std::mt19937_64 random(3);
    Layout layout(random, ElementType::bf16, 16);
    first = layout.rows(rows, false);
    layout.fill(first, rows, 100, false);
    second = layout.rows(rows, false);
    bytes = layout.bytes();
    count = rows;
  }
  [[nodiscard]] Matrix at(std::byte* base, std::size_t place) const {
    return {base + place, count, 16, ElementType::bf16};
  }
  std::size_t first = 0;
  std::size_t second = 0;
  std::int64_t count = 0;
  std::vector<std::byte> bytes;
};

// second = norm(first); first = first + second; and so on.
void chain(Device& device, const TwoTensors& tensors, std::byte* base, int length) {
  const Matrix first = tensors.at(base, tensors.first);
  const Matrix second = tensors.at(base, tensors.second);
  for (int i = 0; i < length; ++i) {
    device.launch(NormLaunch{{{.hidden = first, .out = second}}});
    device.launch(AddLaunch{{{.left = first, .right = second, .out = first, .wraps = true}}});
  }
}

// Would catch: nodes that are read back in another order than they run in, that are too many or
// called something else; a graph that does not do it all, or only once.
TEST(GraphsOnAGpu, RepeatAChain) {
  const TwoTensors tensors(40);
  constexpr int kLength = 30;
  HostDevice host;
  std::byte* host_base = upload(host, tensors.bytes);
  for (int i = 0; i < 3; ++i) chain(host, tensors, host_base, kLength);
  std::byte* base = upload(gpu(), tensors.bytes);
  ASSERT_TRUE(gpu().begin_capture());
  chain(gpu(), tensors, base, kLength);
  const auto graph = gpu().end_capture();
  ASSERT_TRUE(graph) << graph.error().text;
  std::vector<std::string> names;
  for (int i = 0; i < kLength; ++i) names.insert(names.end(), {"norm", "add"});
  EXPECT_EQ((*graph)->nodes(), names);
  // Nothing has run by now.
  EXPECT_EQ(download(gpu(), base, tensors.bytes.size()), tensors.bytes);
  for (int i = 0; i < 3; ++i) gpu().launch_graph(**graph);
  EXPECT_EQ(download(gpu(), base, tensors.bytes.size()),
            download(host, host_base, tensors.bytes.size()));
}

// Would catch: an action that is let into a capture, words that are not the device's, a stream that
// is of no use behind it, an error that is told again by somebody else's call.
TEST(GraphsOnAGpu, RefuseWhatNoGraphHolds) {
  const TwoTensors tensors(3);
  std::byte* base = upload(gpu(), tensors.bytes);
  for (const HostAction action : kActions) {
    ASSERT_TRUE(gpu().begin_capture());
    chain(gpu(), tensors, base, 1);
    const Result<void> acted = gpu().act(action);
    ASSERT_FALSE(acted) << name_of(action);
    EXPECT_NE(acted.error().text.find(name_of(action)), std::string::npos);
    EXPECT_NE(acted.error().text.find("cudaError"), std::string::npos) << acted.error().text;
    std::printf("# %s\n", acted.error().text.c_str());
    chain(gpu(), tensors, base, 1);
    const auto graph = gpu().end_capture();
    ASSERT_FALSE(graph) << name_of(action);
    EXPECT_EQ(graph.error().text, acted.error().text);
    EXPECT_TRUE(gpu().wait()) << name_of(action);
    EXPECT_EQ(download(gpu(), base, tensors.bytes.size()), tensors.bytes);
    ASSERT_TRUE(gpu().begin_capture());
    chain(gpu(), tensors, base, 1);
    EXPECT_TRUE(gpu().end_capture()) << name_of(action);
  }
}

// Would catch: a refusal where there is no capture.
TEST(GraphsOnAGpu, DoOutsideACaptureWhatTheyRefuseInside) {
  for (const HostAction action : kActions) {
    const Result<void> acted = gpu().act(action);
    EXPECT_TRUE(acted) << name_of(action) << (acted ? "" : acted.error().text);
  }
  EXPECT_TRUE(gpu().wait());
  EXPECT_FALSE(gpu().end_capture());
}

// Would catch: a table of operands that is too long for a parameter and is overwritten by later
// launches, or gone, when the graph runs.
TEST(GraphsOnAGpu, KeepLongTables) {
  constexpr std::int64_t kRanks = 64;
  std::mt19937_64 random(11);
  Layout layout(random, ElementType::fp32, 8);
  std::vector<std::size_t> places;
  for (std::int64_t rank = 0; rank < kRanks; ++rank) {
    places.push_back(layout.rows(2, false));
    layout.fill(places.back(), 2, 100, false);
  }
  const std::size_t out = layout.rows(2 * kRanks, false);
  const MakeLaunch make = [&](std::byte* base) {
    SumLaunch launch;
    for (std::int64_t rank = 0; rank < kRanks; ++rank) {
      SumLaunch::Item item;
      for (const std::size_t place : places) {
        item.from.push_back(Matrix{base + place, 2, 8, ElementType::fp32});
      }
      item.to = {base + out + 64 * rank, 2, 8, ElementType::fp32};
      launch.items.push_back(item);
    }
    return launch;
  };
  HostDevice host;
  const Left expected = after(host, layout.bytes(), make);
  EXPECT_EQ(after(gpu(), layout.bytes(), make).bytes, expected.bytes);
  std::byte* base = upload(gpu(), layout.bytes());
  ASSERT_TRUE(gpu().begin_capture());
  gpu().launch(make(base));
  const auto graph = gpu().end_capture();
  ASSERT_TRUE(graph) << graph.error().text;
  // More tables than are kept for launches that are not captured.
  for (int i = 0; i < 600; ++i) gpu().launch(make(base));
  EXPECT_EQ(upload(gpu(), layout.bytes()), base);
  gpu().launch_graph(**graph);
  EXPECT_EQ(download(gpu(), base, layout.bytes().size()), expected.bytes);
}

// Would catch: answers that are not added up over launches, that a larger number of slots moves
// away from the graphs that were captured before, or that a reset leaves there.
TEST(GraphsOnAGpu, AnswerWhereverAnswersLie) {
  const TwoTensors tensors(2);
  std::byte* base = upload(gpu(), tensors.bytes);
  const CheckLaunch touched{{{tensors.at(base, tensors.first), CheckLaunch::Kind::touched, 0, 1}}};
  ASSERT_TRUE(gpu().begin_capture());
  gpu().launch(touched);
  const auto graph = gpu().end_capture();
  ASSERT_TRUE(graph) << graph.error().text;
  for (const std::size_t slots : {std::size_t{3}, std::size_t{100'000}, std::size_t{2}}) {
    gpu().reset_findings(slots);
    gpu().launch_graph(**graph);
    gpu().launch(touched);
    const auto found = gpu().findings();
    ASSERT_TRUE(found) << found.error().text;
    ASSERT_EQ(found->size(), slots);
    EXPECT_EQ((*found)[0], DeviceFinding());
    EXPECT_EQ((*found)[1], (DeviceFinding{.count = 64, .first = 0}));
  }
}

// A library that fills rows with zeros.
LibraryWork zeros(Matrix rows) {
  return {"zeros", [rows](DeviceStream* stream) -> Result<void> {
            const cudaError_t status =
                cudaMemsetAsync(rows.data, 0, rows.bytes(), reinterpret_cast<cudaStream_t>(stream));
            if (status == cudaSuccess) return {};
            return tl::unexpected(Error{"zeros", cudaGetErrorName(status), "see the device"});
          }};
}

// Would catch: work of a library that runs at once instead of with the graph, out of its order, or
// whose nodes are told wrongly; a failure of it that leaves the capture open.
TEST(GraphsOnAGpu, HoldWorkOfLibraries) {
  const TwoTensors tensors(5);
  std::byte* base = upload(gpu(), tensors.bytes);
  const Matrix first = tensors.at(base, tensors.first);
  const Matrix second = tensors.at(base, tensors.second);
  ASSERT_TRUE(gpu().begin_capture());
  gpu().launch(CopyLaunch{{{.from = first, .to = second}}});
  const auto nodes = gpu().issue(zeros(first));
  const auto graph = gpu().end_capture();
  ASSERT_TRUE(nodes && graph);
  EXPECT_EQ(*nodes, std::vector<std::string>{"fill"});
  EXPECT_EQ((*graph)->nodes(), (std::vector<std::string>{"copy", "fill"}));
  EXPECT_EQ(download(gpu(), base, tensors.bytes.size()), tensors.bytes);
  const auto original = gpu().read(first);
  gpu().launch_graph(**graph);
  EXPECT_EQ(gpu().read(second).value(), original.value());
  EXPECT_EQ(gpu().read(first).value(), std::vector<std::byte>(first.bytes()));
  ASSERT_TRUE(gpu().issue(zeros(second)));
  EXPECT_EQ(gpu().read(second).value(), std::vector<std::byte>(second.bytes()));
  ASSERT_TRUE(gpu().begin_capture());
  const LibraryWork fails{"broken", [](DeviceStream*) -> Result<void> {
                            return tl::unexpected(Error{"broken", "it does not work", "none"});
                          }};
  EXPECT_FALSE(gpu().issue(fails));
  EXPECT_FALSE(gpu().end_capture());
  EXPECT_TRUE(gpu().wait());
}

// Would catch: a clock that stands still or counts waiting, launches that are counted as graphs.
TEST(GraphsOnAGpu, TellWhatTheDeviceWorked) {
  const TwoTensors tensors(100);
  std::byte* base = upload(gpu(), tensors.bytes);
  ASSERT_TRUE(gpu().wait());
  const Device::Work before = gpu().work();
  chain(gpu(), tensors, base, 50);
  ASSERT_TRUE(gpu().wait());
  const Device::Work behind = gpu().work();
  EXPECT_EQ(behind.launches - before.launches, 100);
  EXPECT_EQ(behind.graphs, before.graphs);
  EXPECT_GT(behind.seconds, before.seconds);
}

}  // namespace
}  // namespace capsize::gpu_test
