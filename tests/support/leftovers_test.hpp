// Tests that start processes, and look for what is left of them.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/support/temporary_folder.hpp"

namespace capsize::test {

inline std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    out.insert(entry.path().filename().string());
  }
  return out;
}

// Tests below a temporary folder of their own (TMPDIR), whose name every process that they start
// has in its environment: by that it is known, whoever its parent is by then.
class LeftoversTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* before = getenv("TMPDIR");
    before_ = before == nullptr ? "" : before;
    shared_before_ = names_in("/dev/shm");
    setenv("TMPDIR", folder_.path().c_str(), 1);
    setenv("CAPSIZE_TEST_FOLDER", folder_.path().c_str(), 1);
  }

  void TearDown() override {
    if (IsSkipped()) return;
    before_.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", before_.c_str(), 1);
    unsetenv("CAPSIZE_TEST_FOLDER");
  }

  // Processes, files and shared memory that are still there. A killed parent's go by themselves, so
  // that it may take a moment; other programs' shared memory comes and goes.
  void expect_nothing_left() const {
    std::string left;
    for (int i = 0; i < 500; ++i) {
      left = whats_left();
      if (left.empty()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "left behind: " << left;
  }

  // Processes that have this test's folder in their environment, but for this one.
  [[nodiscard]] std::vector<pid_t> processes() const {
    std::vector<pid_t> out;
    const std::string mark = "CAPSIZE_TEST_FOLDER=" + folder_.path();
    for (const std::string& name : names_in("/proc")) {
      const auto pid = static_cast<pid_t>(std::strtol(name.c_str(), nullptr, 10));
      if (pid <= 0 || pid == getpid()) continue;
      std::ifstream file("/proc/" + name + "/environ", std::ios::binary);
      const std::string environment((std::istreambuf_iterator<char>(file)), {});
      if (environment.find(mark) != std::string::npos) out.push_back(pid);
    }
    return out;
  }

  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  [[nodiscard]] std::string whats_left() const {
    std::string out;
    for (const pid_t pid : processes()) out += "process " + std::to_string(pid) + "; ";
    for (const std::string& name : names_in(folder_.path())) out += "file " + name + "; ";
    for (const std::string& name : names_in("/dev/shm")) {
      if (!shared_before_.contains(name)) out += "/dev/shm/" + name + "; ";
    }
    return out;
  }

  TemporaryFolder folder_;
  std::string before_;
  std::set<std::string> shared_before_;
};

}  // namespace capsize::test
