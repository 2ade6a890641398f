#include "cli/command.hpp"
namespace capsize::cli {
Run add_scenarios(CLI::App& app) {
  (void)app;
  return [] { return 0; };
}
}  // namespace capsize::cli
