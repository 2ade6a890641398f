#include "sim/topology.hpp"

namespace capsize {

std::string_view name_of(Transport transport) {
  switch (transport) {
    case Transport::checked: return "checked";
    case Transport::raw: return "raw";
    case Transport::peer: return "peer";
  }
  return "checked";
}

std::optional<GroupId> Topology::find(std::string_view name) const {
  for (std::size_t i = 0; i < families.size(); ++i) {
    if (families[i].name == name) return GroupId{static_cast<std::int8_t>(i)};
  }
  return std::nullopt;
}

std::optional<std::int64_t> Topology::position(GroupId id, std::int64_t rank) const {
  for (const GroupShape& group : family(id).groups) {
    const std::int64_t offset = rank - group.base;
    if (offset < 0 || offset % group.stride != 0) continue;
    if (offset / group.stride < group.size) return offset / group.stride;
  }
  return std::nullopt;
}

// Families are regular: every group is a shifted copy of the first, so the first decides.
std::int64_t Topology::positions_met(GroupId id, GroupId axis) const {
  const GroupShape& first = family(id).groups.front();
  const GroupShape& along = family(axis).groups.front();
  std::vector<bool> met(static_cast<std::size_t>(along.size), false);
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < first.size; ++i) {
    const std::int64_t at = (first.rank(i) / along.stride) % along.size;
    if (!met[static_cast<std::size_t>(at)]) ++count;
    met[static_cast<std::size_t>(at)] = true;
  }
  return count;
}

bool Topology::crosses(GroupId id, GroupId axis) const {
  if (size_of(id) <= 1 || size_of(axis) <= 1) return false;
  return id == axis || positions_met(id, axis) > 1;
}

bool Topology::covers(GroupId id, GroupId axis) const {
  return id == axis || positions_met(id, axis) == size_of(axis);
}

}  // namespace capsize
