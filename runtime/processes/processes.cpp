#include "runtime/processes/processes.hpp"

#include <signal.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace capsize {
namespace {

struct Stat {
  pid_t parent = 0;
  std::uint64_t started_at = 0;
};

std::optional<Stat> stat_of(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // The name in brackets may hold anything. Behind it: the state, the parent, and 18 fields further
  // on the time of the start.
  const std::size_t end = line.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(end + 1));
  char state = 0;
  Stat out;
  std::string skipped;
  fields >> state >> out.parent;
  for (int i = 0; i < 17; ++i) fields >> skipped;
  fields >> out.started_at;
  if (!fields || state == 'Z' || state == 'X') return std::nullopt;
  return out;
}

}  // namespace

std::optional<std::uint64_t> start_of_process(std::int64_t pid) {
  const auto stat = stat_of(pid);
  return stat ? std::optional(stat->started_at) : std::nullopt;
}

std::vector<ProcessId> descendants_of(pid_t pid) {
  struct Known {
    ProcessId id;
    pid_t parent = 0;
  };
  std::vector<Known> all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    pid_t each = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), each);
    if (bad != std::errc{} || end != name.data() + name.size()) continue;
    if (const auto stat = stat_of(each)) all.push_back({{each, stat->started_at}, stat->parent});
  }
  std::vector<ProcessId> out;
  const auto add_children = [&](pid_t parent) {
    for (const Known& each : all) {
      if (each.parent == parent) out.push_back(each.id);
    }
  };
  add_children(pid);
  for (std::size_t i = 0; i < out.size(); ++i) add_children(out[i].pid);
  return out;
}

bool signal_process(const ProcessId& process, int signal) {
  if (process.pid <= 0 || start_of_process(process.pid) != process.started_at) return false;
  return kill(process.pid, signal) == 0;
}

}  // namespace capsize
