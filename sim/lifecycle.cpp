#include "sim/lifecycle.hpp"

#include <array>

namespace capsize {
namespace {

struct OpTraits {
  std::string_view name;
  bool collective = false;
  bool moves_rows = false;
  bool host = false;
};

// In the order of PlanOpKind.
constexpr std::array<OpTraits, kPlanOpKinds> kOps = {{
    {"reduce_scatter", true, true, false},
    {"all_gather", true, true, false},
    {"all_reduce", true, true, false},
    {"all_to_all", true, true, false},
    {"broadcast", true, true, false},
    {"barrier", true, false, false},
    {"send"},
    {"recv"},
    {"slice"},
    {"add"},
    {"norm"},
    {"attention"},
    {"matmul"},
    {"router"},
    {"copy"},
    {"kernel"},
    {"host_wait", false, false, true},
    {"host_collective", true, false, true},
    {"wait"},
    {"create_group", true, false, true},
    {"register", true, false, true},
    {"allocate"},
    {"free"},
}};

const OpTraits& traits_of(PlanOpKind kind) { return kOps.at(static_cast<std::size_t>(kind)); }

}  // namespace

std::optional<GroupId> Lifecycle::find_group(std::string_view name) const {
  for (std::size_t i = 0; i < families.size(); ++i) {
    if (families[i].name == name) return GroupId{static_cast<std::int8_t>(i)};
  }
  return std::nullopt;
}

std::int64_t Lifecycle::size_at(GroupId id, std::int64_t rank) const {
  const PlanGroups& groups = family(id);
  const std::int32_t group = groups.group_of.at(static_cast<std::size_t>(rank));
  return group < 0 ? 0 : std::ssize(groups.groups[static_cast<std::size_t>(group)]);
}

std::int64_t Lifecycle::size_of(GroupId id) const {
  std::int64_t largest = 0;
  for (const auto& group : family(id).groups) largest = std::max(largest, std::ssize(group));
  return largest;
}

void index_groups(Lifecycle& lifecycle) {
  const auto world = static_cast<std::size_t>(lifecycle.world);
  for (PlanGroups& family : lifecycle.families) {
    family.group_of.assign(world, -1);
    family.position_of.assign(world, -1);
    for (std::size_t g = 0; g < family.groups.size(); ++g) {
      for (std::size_t p = 0; p < family.groups[g].size(); ++p) {
        const auto rank = static_cast<std::size_t>(family.groups[g][p]);
        family.group_of.at(rank) = static_cast<std::int32_t>(g);
        family.position_of.at(rank) = static_cast<std::int32_t>(p);
      }
    }
  }
}

std::string_view name_of(PlanOpKind kind) { return traits_of(kind).name; }
bool is_collective(PlanOpKind kind) { return traits_of(kind).collective; }
bool moves_rows(PlanOpKind kind) { return traits_of(kind).moves_rows; }
bool is_host_call(PlanOpKind kind) { return traits_of(kind).host; }
bool is_point_to_point(PlanOpKind kind) {
  return kind == PlanOpKind::send || kind == PlanOpKind::recv;
}
bool meets_on_device(PlanOpKind kind) {
  return (is_collective(kind) && !is_host_call(kind)) || is_point_to_point(kind);
}

std::string_view name_of(PlanEventKind kind) {
  switch (kind) {
    case PlanEventKind::create_group: return "create_group";
    case PlanEventKind::register_groups: return "register";
    case PlanEventKind::allocate: return "allocate";
    case PlanEventKind::free: return "free";
    case PlanEventKind::warm_up: return "warm_up";
    case PlanEventKind::capture: return "capture";
    case PlanEventKind::replay: return "replay";
    case PlanEventKind::eager: return "eager";
  }
  return "eager";
}

std::string_view name_of(GraphMode mode) {
  switch (mode) {
    case GraphMode::graph: return "graph";
    case GraphMode::piecewise: return "piecewise";
    case GraphMode::eager: return "eager";
  }
  return "eager";
}

std::string_view name_of(BufferKind kind) {
  switch (kind) {
    case BufferKind::input: return "input";
    case BufferKind::metadata: return "metadata";
    case BufferKind::weight: return "weight";
    case BufferKind::workspace: return "workspace";
    case BufferKind::kv: return "kv";
    case BufferKind::output: return "output";
  }
  return "workspace";
}

std::string_view name_of(MemoryKind kind) {
  return kind == MemoryKind::runtime ? "runtime" : "virtual";
}

std::string_view name_of(Padding padding) {
  switch (padding) {
    case Padding::zero: return "zero";
    case Padding::masked: return "masked";
    case Padding::live: return "live";
  }
  return "live";
}

std::string_view name_of(DecisionSource source) {
  switch (source) {
    case DecisionSource::configuration: return "configuration";
    case DecisionSource::broadcast: return "broadcast";
    case DecisionSource::voted: return "voted";
    case DecisionSource::rank_local: return "rank_local";
  }
  return "rank_local";
}

std::string_view name_of(CaptureMode mode) {
  switch (mode) {
    case CaptureMode::global: return "global";
    case CaptureMode::thread_local_mode: return "thread_local";
    case CaptureMode::relaxed: return "relaxed";
  }
  return "global";
}

std::string_view name_of(AdmissionScope scope) {
  return scope == AdmissionScope::rank ? "rank" : "sum";
}

std::string text_of(const Lifecycle& lifecycle, const Layout& layout) {
  std::string out;
  for (std::uint8_t i = 0; i < layout.depth; ++i) {
    const LayoutPart part = layout.parts.at(i);
    const bool joins =
        i > 0 && layout.parts.at(i - 1U).kind == part.kind && part.kind == LayoutKind::scattered;
    if (joins) {
      out.back() = ',';
      out.append(" ");
    } else {
      out.append(out.empty() ? "" : " ");
      out.append(part.kind == LayoutKind::scattered ? "Scattered(" : "Partial(");
    }
    out.append(lifecycle.family(part.axis).name).append(")");
  }
  return out.empty() ? "Replicated" : out;
}

std::string text_of(const GraphKey& key) {
  std::string out = "{";
  for (const auto& [name, value] : key) {
    out.append(out.size() == 1 ? "" : ", ").append(name).append(": ").append(value);
  }
  return out + "}";
}

}  // namespace capsize
