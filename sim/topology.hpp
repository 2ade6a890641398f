// Process groups of every rank. A group is (base, stride, size); a family is all groups of one
// name, which together hold every rank of the world once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace capsize {

struct GroupShape {
  std::int64_t base = 0;
  std::int64_t stride = 1;
  std::int64_t size = 1;
  [[nodiscard]] std::int64_t rank(std::int64_t position) const { return base + position * stride; }
};

// How a group moves data, which decides what a wrong count does (architecture, "transport").
enum class Transport : std::uint8_t {
  checked,  // torch.distributed: counts are checked, a wrong one raises
  raw,      // NCCL called directly: a wrong count hangs or corrupts
  peer,     // peers read each other's memory: addresses are exchanged (registered) beforehand
};
[[nodiscard]] std::string_view name_of(Transport transport);

// Index of a family in its Topology.
struct GroupId {
  std::int8_t index = -1;
  [[nodiscard]] bool valid() const { return index >= 0; }
  friend bool operator==(GroupId, GroupId) = default;
};

struct GroupFamily {
  std::string name;  // the engine's own name: "attn_tp"
  std::int64_t size = 1;
  std::vector<GroupShape> groups;
  std::optional<GroupId> same_object_as;  // the family whose communicator object this one is
  // Outside a capture torch.distributed serves every group; inside, what stands here.
  Transport transport_captured = Transport::checked;
  bool is_process_group = true;  // false: an axis that data are split along without a communicator
};

struct Topology {
  std::int64_t world = 1;
  std::vector<GroupFamily> families;

  [[nodiscard]] const GroupFamily& family(GroupId id) const {
    return families[static_cast<std::size_t>(id.index)];
  }
  [[nodiscard]] GroupFamily& family(GroupId id) {
    return families[static_cast<std::size_t>(id.index)];
  }
  [[nodiscard]] std::int64_t size_of(GroupId id) const { return family(id).size; }
  [[nodiscard]] std::optional<GroupId> find(std::string_view name) const;

  // The position of `rank` inside its group of the family; none where it is in no group.
  [[nodiscard]] std::optional<std::int64_t> position(GroupId id, std::int64_t rank) const;

  // Whether some group of `id` holds two ranks that stand at different positions of `axis`:
  // what is split along `axis` then differs between members of one group.
  [[nodiscard]] bool crosses(GroupId id, GroupId axis) const;

  // Whether every group of `id` holds a rank at each position of `axis`.
  [[nodiscard]] bool covers(GroupId id, GroupId axis) const;

 private:
  [[nodiscard]] std::int64_t positions_met(GroupId id, GroupId axis) const;
};

}  // namespace capsize
