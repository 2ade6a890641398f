#include "runtime/device/device.hpp"

namespace capsize {
namespace {

struct NameOf {
  std::string_view operator()(const FillLaunch&) const { return "fill"; }
  std::string_view operator()(const GenerateLaunch&) const { return "generate"; }
  std::string_view operator()(const CopyLaunch&) const { return "copy"; }
  std::string_view operator()(const NormLaunch&) const { return "norm"; }
  std::string_view operator()(const AddLaunch&) const { return "add"; }
  std::string_view operator()(const WeightsLaunch& what) const { return name_of(what.role); }
  std::string_view operator()(const MixLaunch&) const { return "mix"; }
  std::string_view operator()(const CollectiveLaunch& what) const { return name_of(what.kind); }
  std::string_view operator()(const SumLaunch&) const { return "sum"; }
  std::string_view operator()(const CheckLaunch&) const { return "check"; }
  std::string_view operator()(const CompareLaunch&) const { return "compare"; }
  std::string_view operator()(const VerifyLaunch&) const { return "verify"; }
};

}  // namespace

std::string_view name_of(CollectiveLaunch::Kind kind) {
  switch (kind) {
    case CollectiveLaunch::Kind::reduce_scatter: return "reduce_scatter";
    case CollectiveLaunch::Kind::all_gather: return "all_gather";
    case CollectiveLaunch::Kind::all_reduce: return "all_reduce";
    case CollectiveLaunch::Kind::all_to_all: return "all_to_all";
    case CollectiveLaunch::Kind::broadcast: break;
  }
  return "broadcast";
}

std::string_view name_of(const Launch& launch) { return std::visit(NameOf{}, launch); }

std::string_view name_of(HostAction action) {
  switch (action) {
    case HostAction::synchronize: return "a wait for the device";
    case HostAction::allocate: return "an allocation";
    case HostAction::free: return "a release of memory";
    case HostAction::launch_elsewhere: break;
  }
  return "a launch on another stream";
}

}  // namespace capsize
