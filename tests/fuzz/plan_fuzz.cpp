// libFuzzer on plan files (entries.hpp says what is tried). Started by ci/fuzz; a finding again:
//
//   build/fuzz/bin/plan_fuzz build/fuzz/findings/FILE
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/entries.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto fault = capsize::fuzz::try_plan({reinterpret_cast<const char*>(data), size});
  if (!fault) return 0;
  std::fprintf(stderr, "plan_fuzz: %s\n", fault->c_str());
  std::abort();
}
