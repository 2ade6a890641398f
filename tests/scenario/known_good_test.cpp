// Sixty launches that SGLang's own test suite starts on eight GPUs (its hybrid DP, EP, TP and MTP
// test at #23972): attention data parallelism x dense layers x output head x experts x speculation.
// They run, so that every one of them must pass: a checker that cries wolf is removed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "scenarios/check/check.hpp"

namespace capsize {
namespace {

constexpr std::string_view kCommon =
    "--model-path deepseek-ai/DeepSeek-V2-Lite --tp 8 --cuda-graph-max-bs 32 ";
constexpr std::array<std::string_view, 5> kAttention = {
    "", "--dp 4 --enable-dp-attention ", "--dp 4 --enable-dp-attention --enable-dp-lm-head ",
    "--dp 8 --enable-dp-attention ", "--dp 8 --enable-dp-attention --enable-dp-lm-head "};
constexpr std::array<std::string_view, 2> kDense = {"", "--moe-dense-tp-size 1 "};
constexpr std::array<std::string_view, 3> kExperts = {"", "--moe-a2a-backend deepep ", "--ep 8 "};
constexpr std::array<std::string_view, 2> kSpeculation = {
    "",
    "--speculative-algorithm EAGLE --speculative-num-steps 2 --speculative-eagle-topk 4 "
    "--speculative-num-draft-tokens 4"};

// Would catch: a rule, a derived requirement or a bound that is stricter than the engine.
TEST(KnownGood, EveryLaunchOfTheHybridTestPasses) {
  const Engine& engine = *find_engine("sglang");
  int launches = 0;
  for (const std::string_view attention : kAttention) {
    for (const std::string_view dense : kDense) {
      for (const std::string_view experts : kExperts) {
        for (const std::string_view speculation : kSpeculation) {
          const std::string line =
              fmt::format("{}{}{}{}{}", kCommon, attention, dense, experts, speculation);
          CheckRequest request{.rules = "23972"};
          request.launch = read_launch(line, engine.entry_points).value();
          const CheckResult result = check(request);
          EXPECT_EQ(name_of(result.verdict), "pass") << line;
          ++launches;
        }
      }
    }
  }
  EXPECT_EQ(launches, 60);
}

}  // namespace
}  // namespace capsize
