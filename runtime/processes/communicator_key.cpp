#include "runtime/processes/communicator_key.hpp"

#include <algorithm>
#include <numeric>

namespace capsize {
namespace {

constexpr std::int32_t kPathsMax = 4;

// Whether ranks may come to one operation on different paths: those of one program never do.
bool several_paths(const Lifecycle& lifecycle) {
  return std::ranges::any_of(lifecycle.events,
                             [](const PlanEvent& event) { return event.programs.size() > 1; });
}

}  // namespace

CommunicatorKey world_key(const Lifecycle& lifecycle) {
  CommunicatorKey out{.earlier = -1};
  out.members.resize(static_cast<std::size_t>(lifecycle.world));
  std::iota(out.members.begin(), out.members.end(), 0);
  return out;
}

std::vector<CommunicatorKey> keys_of(const Lifecycle& lifecycle, std::size_t family,
                                     std::size_t group) {
  const auto& members = lifecycle.families[family].groups[group];
  const auto begin = lifecycle.families.begin();
  const auto earlier = std::count_if(
      begin, begin + static_cast<std::ptrdiff_t>(family), [&](const PlanGroups& each) {
        return std::ranges::find(each.groups, members) != each.groups.end();
      });
  std::vector<CommunicatorKey> out;
  for (std::int32_t path = 0; path < (several_paths(lifecycle) ? kPathsMax : 1); ++path) {
    out.push_back({members, static_cast<std::int32_t>(earlier), path});
  }
  return out;
}

std::size_t path_of(const Arrival& arrival, std::size_t paths) {
  if (paths <= 1) return 0;
  return (arrival.recorded ? 1U : 0U) + (arrival.registered ? 2U : 0U);
}

}  // namespace capsize
