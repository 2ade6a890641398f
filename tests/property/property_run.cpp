#include "tests/property/property_run.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <vector>

#include "properties/law.hpp"

namespace capsize::property {
namespace {

struct BlockLine {
  std::string name;
  std::string text;
};

// Of the test that runs; ctest gives each a process of its own.
struct RunState {
  std::uint64_t seed = 0;
  rc::detail::Configuration configuration;
  std::vector<BlockLine> lines;
  bool random = false;
};

RunState& run_state() {
  static RunState only;
  return only;
}

std::string seconds_text(std::chrono::steady_clock::duration spent) {
  const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(spent).count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

class RunListener : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo&) override {
    run_state().lines.clear();
    run_state().random = false;
    start_ = std::chrono::steady_clock::now();
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    if (run_state().lines.empty()) return;
    const std::string_view law = law_of_suite(test.test_suite_name());
    std::vector<BlockLine> lines;
    lines.push_back(law.empty() ? BlockLine{"subject", test.test_suite_name()}
                                : BlockLine{"law", std::string(law)});
    lines.insert(lines.end(), run_state().lines.begin(), run_state().lines.end());
    if (run_state().random) {
      char seed[32];
      std::snprintf(seed, sizeof seed, "0x%llx", static_cast<unsigned long long>(run_state().seed));
      lines.push_back({"seed", seed});
    }
    lines.push_back({"time", seconds_text(std::chrono::steady_clock::now() - start_)});
    std::size_t width = 0;
    for (const BlockLine& line : lines) width = std::max(width, line.name.size());
    for (const BlockLine& line : lines) {
      std::printf("# %-*s  %s\n", static_cast<int>(width), line.name.c_str(), line.text.c_str());
    }
    std::fflush(stdout);
  }

 private:
  std::chrono::steady_clock::time_point start_;
};

// "DivisiblePlanProperty" as "divisible_plan_property".
std::string snake(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isupper(byte) != 0 && !out.empty()) out += '_';
    out += static_cast<char>(std::tolower(byte));
  }
  return out;
}

}  // namespace

void configure_runs(std::uint64_t seed, const std::string& parameters) {
  run_state().seed = seed;
  run_state().configuration = rc::detail::configFromString(parameters);
}

std::uint64_t seed_of_runs() { return run_state().seed; }
const rc::detail::Configuration& configuration_of_runs() { return run_state().configuration; }

void tell_property(std::string_view statement, std::int64_t cases) {
  run_state().random = true;
  run_state().lines.push_back({"property", std::string(statement)});
  run_state().lines.push_back({"cases", grouped(cases) + " random"});
}

void tell_axis(std::string_view axis, std::string_view counts) {
  run_state().lines.push_back({std::string(axis), std::string(counts)});
}

void visited(std::int64_t cases) {
  run_state().lines.push_back({"cases", grouped(cases) + ", all of them"});
}

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    if (digits[at - 1] != '-') digits.insert(at, " ");
  }
  return digits;
}

std::string_view law_of_suite(std::string_view suite) {
  const std::string name = snake(suite.substr(suite.find('/') + 1)) + "_";
  std::string_view longest;
  for (const Law* law : laws()) {
    const bool begins = name.starts_with(std::string(law->name) + "_");
    if (begins && law->name.size() > longest.size()) longest = law->name;
  }
  return longest;
}

bool report(const std::string& statement, const rc::detail::TestResult& result) {
  rc::detail::SuccessResult success;
  if (result.match(success)) {
    tell_property(statement, success.numSuccess);
    return true;
  }
  std::cerr << "- " << statement << "\n";
  rc::detail::printResultMessage(result, std::cerr);
  std::cerr << std::endl;
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  if (test != nullptr) {
    std::fprintf(stderr, "again: CAPSIZE_SEED=0x%llx property_tests --gtest_filter='%s.%s'\n",
                 static_cast<unsigned long long>(run_state().seed), test->test_suite_name(),
                 test->name());
  }
  return false;
}

testing::TestEventListener* new_run_listener() { return new RunListener; }

}  // namespace capsize::property
