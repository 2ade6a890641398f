// The property runs: prints the seed first, gives it to RapidCheck, and runs the tests.
//
//   CAPSIZE_SEED=0x2a property_tests          a run again: a number or a git hash
//   RC_PARAMS="max_success=1000000" ...       more cases than the usual 20 000 a property
//
// Every test that is a property run ends in a block: the law, the cases, what was generated, the
// seed and the time (property_run.hpp). Without CAPSIZE_SEED the seed is fixed where CI is set in
// the environment, else random.
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "tests/property/property_run.hpp"
#include "tests/property/seed.hpp"

namespace capsize::property {
namespace {

constexpr int kCases = 20000;

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::optional<std::uint64_t> chosen_seed() {
  if (const std::string text = environment("CAPSIZE_SEED"); !text.empty()) return parse_seed(text);
  const std::string ci = environment("CI");
  return ci.empty() || ci == "0" || ci == "false" ? random_seed() : kCiSeed;
}

// RapidCheck reads its parameters from the environment; what stands there already stays.
void configure(std::uint64_t seed) {
  std::string parameters = environment("RC_PARAMS");
  if (parameters.find("max_success") == std::string::npos) {
    parameters += " max_success=" + std::to_string(kCases);
  }
  parameters += " seed=" + std::to_string(seed);
  setenv("RC_PARAMS", parameters.c_str(), 1);
  configure_runs(seed, parameters);
}

}  // namespace
}  // namespace capsize::property

int main(int argc, char** argv) {
  using namespace capsize::property;
  testing::InitGoogleMock(&argc, argv);
  const auto seed = chosen_seed();
  if (!seed) {
    std::fprintf(stderr,
                 "CAPSIZE_SEED: a number (12, 0xff) or a git hash (7 to 40 digits of "
                 "0-9a-f) is wanted\n");
    return 2;
  }
  // A list of the tests is read by ctest and must hold nothing else.
  if (!testing::GTEST_FLAG(list_tests)) {
    std::printf("seed 0x%llx (set CAPSIZE_SEED to repeat)\n",
                static_cast<unsigned long long>(*seed));
    std::fflush(stdout);
  }
  configure(*seed);
  testing::UnitTest::GetInstance()->listeners().Append(new_run_listener());
  return RUN_ALL_TESTS();
}
