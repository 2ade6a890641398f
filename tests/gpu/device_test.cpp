// A GPU against the host: every launch leaves the same bits, in all of the memory that it is given,
// and the same answers. Exit status 77 where there is no device.
// Run: build/gpu/bin/gpu_device; CAPSIZE_SEED=number repeats a run.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tests/gpu/random_launches.hpp"

namespace capsize::gpu_test {

Device& gpu() {
  static const Result<std::unique_ptr<Device>> device = make_cuda_device(0);
  return **device;
}

namespace {

std::uint64_t seed_of_run() {
  static const std::uint64_t seed = [] {
    const char* given = std::getenv("CAPSIZE_SEED");
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    const std::uint64_t made =
        given != nullptr ? std::strtoull(given, nullptr, 10) : static_cast<std::uint64_t>(now);
    std::printf("# CAPSIZE_SEED=%llu\n", static_cast<unsigned long long>(made));
    return made;
  }();
  return seed;
}

// A case is a function of the run's seed, the kind and its number.
struct Case {
  std::uint64_t seed = 0;
  std::int64_t columns = 1;
  std::int64_t items = 1;
  ElementType type = ElementType::bf16;
  std::vector<std::byte> bytes;
  MakeLaunch make;
};

Case case_of(LaunchKind kind, std::uint64_t number) {
  constexpr std::array<std::int64_t, 14> kColumns = {1,  2,  3,  7,   8,   15,  16,
                                                     17, 32, 64, 100, 257, 520, 2048};
  constexpr std::array<std::int64_t, 7> kItems = {1, 2, 8, 9, 16, 64, 70};
  Case made;
  made.seed = seed_of_run() + 1000 * static_cast<std::uint64_t>(kind) + number;
  std::mt19937_64 random(made.seed);
  made.columns = kColumns[random() % kColumns.size()];
  made.items = made.columns > 300 ? 2 : kItems[random() % kItems.size()];
  made.type = kind == LaunchKind::mix ? ElementType::uint32 : kTypes[number % kTypes.size()];
  Layout layout(random, made.type, made.columns);
  made.make = random_launch(kind, layout, made.items);
  (void)layout.rows(1, false);  // something behind the last rows
  made.bytes = layout.bytes();
  return made;
}

// Where two devices differ, in words.
testing::AssertionResult same(const Left& found, const Left& expected, const Case& of) {
  if (found.bytes.size() != expected.bytes.size()) return testing::AssertionFailure() << "no bytes";
  const auto [a, b] = std::ranges::mismatch(found.bytes, expected.bytes);
  if (a == found.bytes.end() && found.findings == expected.findings) {
    return testing::AssertionSuccess();
  }
  auto words = testing::AssertionFailure() << "seed " << of.seed << ", " << name_of(of.type) << ", "
                                           << of.columns << " columns, " << of.items << " items: ";
  if (a != found.bytes.end()) {
    return words << "byte " << (a - found.bytes.begin()) << " is " << static_cast<int>(*a)
                 << ", not " << static_cast<int>(*b);
  }
  const auto [f, e] = std::ranges::mismatch(found.findings, expected.findings);
  return words << "answer " << (f - found.findings.begin()) << " is " << f->count << " from "
               << f->first << ", not " << e->count << " from " << e->first;
}

class Launches : public testing::TestWithParam<std::size_t> {
 protected:
  [[nodiscard]] LaunchKind kind() const { return static_cast<LaunchKind>(GetParam()); }
};

// Would catch: one wrong bit of any element type, width, alignment and number of items, poison
// included; a write beside the rows; a wrong answer or one in another slot.
TEST_P(Launches, LeaveTheBitsOfTheHost) {
  HostDevice host;
  for (std::uint64_t number = 0; number < 80; ++number) {
    const Case made = case_of(kind(), number);
    ASSERT_TRUE(
        same(after(gpu(), made.bytes, made.make), after(host, made.bytes, made.make), made));
  }
}

// Would catch: a graph that carries less than the launch said (a parameter or a table that is gone
// when it runs), or that is called something else.
TEST_P(Launches, LeaveThemFromAGraphToo) {
  HostDevice host;
  for (std::uint64_t number = 1000; number < 1016; ++number) {
    const Case made = case_of(kind(), number);
    ASSERT_TRUE(same(after(gpu(), made.bytes, made.make, Mode::replay),
                     after(host, made.bytes, made.make), made));
  }
}

// Would catch: a comparison that passes whatever the GPU does. One item of the launch is wrong in
// each of these, and most must be seen (some wrongs change nothing: rows that are empty or equal).
TEST_P(Launches, PlantedFaultsAreSeen) {
  HostDevice host;
  int seen = 0;
  constexpr int kCases = 24;
  for (std::uint64_t number = 2000; number < 2000 + kCases; ++number) {
    const Case made = case_of(kind(), number);
    const MakeLaunch wrong = [&](std::byte* base) { return spoiled(made.make(base)); };
    const Left found = after(gpu(), made.bytes, wrong);
    if (!same(found, after(host, made.bytes, made.make), made)) ++seen;
  }
  EXPECT_GE(seen, kCases / 8);
}

std::string name_of_kind(const testing::TestParamInfo<std::size_t>& info) {
  constexpr std::array<const char*, kLaunchKinds> kNames = {
      "fill",           "generate",   "copy",       "norm",       "add",       "mix",
      "reduce_scatter", "all_gather", "all_reduce", "all_to_all", "broadcast", "sum",
      "check",          "compare",    "verify"};
  return kNames[info.param];
}
INSTANTIATE_TEST_SUITE_P(All, Launches, testing::Range<std::size_t>(0, kLaunchKinds), name_of_kind);

ExactModel model_of(std::int64_t hidden, std::int64_t experts, std::uint64_t seed) {
  return {.layers = {{LayerMathematics::dense, 1}, {LayerMathematics::sparse, 1}},
          .hidden = hidden,
          .experts = experts,
          .experts_per_token = hidden % 3 == 0 ? 3 : 2,
          .seed = seed};
}

// Rows as a norm leaves them, of ranks that share the weights of one layer.
Case weights_case(const Weights& weights, Role role, ElementType type, std::int64_t rows,
                  std::uint64_t seed) {
  Case made{.seed = seed, .columns = weights.model().hidden, .items = 4, .type = type};
  std::mt19937_64 random(seed);
  Layout layout(random, type, made.columns);
  std::vector<std::pair<std::size_t, std::size_t>> places;
  const bool unaligned = layout.one_in(2);
  for (std::int64_t item = 0; item < made.items; ++item) {
    const std::size_t in = layout.rows(rows, unaligned);
    layout.fill(in, rows, 3, false);
    places.emplace_back(in, layout.rows(rows, unaligned));
  }
  const std::int64_t layer = role == Role::experts ? 1 : layout.between(0, 1);
  const std::int64_t parts = std::array<std::int64_t, 4>{1, 2, 7, 8}[random() % 4];
  made.bytes = layout.bytes();
  made.make = [=, &weights](std::byte* base) -> Launch {
    const ExactModel& model = weights.model();
    const bool inner = role == Role::experts || (role == Role::mlp && layer == 1);
    WeightsLaunch launch{.weights = &weights, .role = role, .layer = layer};
    for (std::size_t item = 0; item < places.size(); ++item) {
      const auto position = static_cast<std::int64_t>(item) % parts;
      const auto [in, out] = places[item];
      launch.items.push_back(
          {.in = Matrix{base + in, rows, model.hidden, type},
           .out = Matrix{base + out, rows, model.hidden, type},
           .share = {.units = share_of(inner ? model.expert_units : model.units, parts, position),
                     .experts = share_of(model.experts, 2, position % 2)}});
    }
    return launch;
  };
  return made;
}

// Would catch: a weight, a unit or an expert that is another one's, ties that go to the larger
// index, a share that is read one off, columns that are left out where they fill no word.
TEST(WeightsOnAGpu, LeaveTheBitsOfTheHost) {
  HostDevice host;
  std::uint64_t seed = seed_of_run();
  for (const auto& [hidden, experts, rows] :
       std::vector<std::array<std::int64_t, 3>>{{16, 8, 70},
                                                {8, 8, 9},
                                                {24, 9, 5},
                                                {33, 12, 33},
                                                {128, 64, 17},
                                                {520, 8, 6},
                                                {2048, 8, 11}}) {
    const Weights weights(model_of(hidden, experts, ++seed));
    for (const ElementType type : kTypes) {
      for (const Role role : {Role::attention, Role::mlp, Role::experts}) {
        const Case made = weights_case(weights, role, type, rows, ++seed);
        const Left expected = after(host, made.bytes, made.make);
        ASSERT_TRUE(same(after(gpu(), made.bytes, made.make), expected, made)) << name_of(role);
        const MakeLaunch wrong = [&](std::byte* base) { return spoiled(made.make(base)); };
        ASSERT_FALSE(same(after(gpu(), made.bytes, wrong), expected, made)) << name_of(role);
      }
    }
  }
}

// Would catch: weights that are kept by the address of a model that is gone; weights that a capture
// makes for the first time in a way that ends the capture.
TEST(WeightsOnAGpu, AreKeptByWhatTheModelIs) {
  HostDevice host;
  for (std::uint64_t seed = 1; seed < 6; ++seed) {
    const auto weights = std::make_unique<Weights>(model_of(16, 8, seed_of_run() + seed));
    const Case made = weights_case(*weights, Role::experts, ElementType::bf16, 20, seed);
    ASSERT_TRUE(same(after(gpu(), made.bytes, made.make, Mode::replay),
                     after(host, made.bytes, made.make), made));
  }
}

}  // namespace
}  // namespace capsize::gpu_test

// Without a device node, or with devices hidden on purpose, there is nothing to test; otherwise a
// device that does not work is a failure of this machine.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // Asked for their names by ctest, the tests need no device.
  const auto device = capsize::make_cuda_device(0);
  if (!device && !testing::GTEST_FLAG(list_tests)) {
    const bool hidden = std::getenv("CUDA_VISIBLE_DEVICES") != nullptr;
    const bool skipped = hidden || access("/dev/nvidiactl", F_OK) != 0;
    std::printf("%s: no usable CUDA device: %s\n", skipped ? "skipped" : "failed",
                device.error().text.c_str());
    return skipped ? 77 : 1;
  }
  return RUN_ALL_TESTS();
}
