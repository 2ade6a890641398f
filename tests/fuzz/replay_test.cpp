// Every input that a fuzzer once stumbled over, through the same function: tests/fuzz/corpus holds
// one file a finding. Would catch: a fault that comes back.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/entries.hpp"

namespace capsize::fuzz_replay_test {
namespace {

namespace files = std::filesystem;

using Entry = std::optional<std::string> (*)(std::string_view);

// A fuzzer stops at 10 s with sanitizers that cost a factor of ten.
constexpr std::chrono::seconds kLimit{5};

void replay(const std::string& folder, Entry entry) {
  int count = 0;
  const files::path corpus = files::path(CAPSIZE_SOURCE_DIR) / "tests/fuzz/corpus" / folder;
  for (const auto& file : files::directory_iterator(corpus)) {
    std::ifstream in(file.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(entry(bytes).value_or(""), "") << file.path();
    EXPECT_LT(std::chrono::steady_clock::now() - start, kLimit) << file.path();
    ++count;
  }
  EXPECT_GT(count, 0) << "no file in " << corpus;
}

TEST(FuzzCorpus, LaunchLines) { replay("launch_line", fuzz::try_launch_line); }

TEST(FuzzCorpus, Plans) { replay("plan", fuzz::try_plan); }

}  // namespace
}  // namespace capsize::fuzz_replay_test
