// The negative control of the sanitized build: commits the named fault on purpose. Run:
// planted_fault address | undefined | none. Under the sanitizers the first two must not exit with
// 0.
#include <cstdio>
#include <limits>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
  const std::string_view fault = argc > 1 ? argv[1] : "none";
  // Depends on the command line, so that the compiler cannot decide anything before the run.
  std::vector<int> values(static_cast<std::size_t>(argc), std::numeric_limits<int>::max());
  if (fault == "address") return values.data()[values.size()] == 0 ? 3 : 4;  // one past the end
  if (fault == "undefined") return values.front() + argc > 0 ? 3 : 4;        // signed overflow
  std::puts("no fault");
  return 0;
}
