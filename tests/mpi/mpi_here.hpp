// Whether ranks can be started through MPI here.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/processes/launcher.hpp"
#include "tests/support/leftovers_test.hpp"

namespace capsize::test {

inline bool mpi_is_here() {
  const auto module = std::filesystem::path(CAPSIZE_PROGRAM).parent_path() / "capsize_mpi.so";
  return !find_launcher().empty() && std::filesystem::exists(module);
}

class RanksTest : public LeftoversTest {
 protected:
  void SetUp() override {
    if (!mpi_is_here()) GTEST_SKIP() << "no mpirun or no MPI module here";
    LeftoversTest::SetUp();
  }
};

}  // namespace capsize::test
