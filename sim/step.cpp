// Names of operations and roles, and what an operation says of itself by its kind.
#include "sim/step.hpp"

namespace capsize {

std::string_view name_of(OpKind kind) {
  switch (kind) {
    case OpKind::attention: return "attention";
    case OpKind::mlp: return "mlp";
    case OpKind::moe: return "moe";
    case OpKind::local: return "local";
    case OpKind::add_norm: return "add_norm";
    case OpKind::reduce_scatter: return "reduce_scatter";
    case OpKind::all_gather: return "all_gather";
    case OpKind::all_gather_padded: return "all_gather_padded";
    case OpKind::all_reduce: return "all_reduce";
    case OpKind::slice: return "slice";
    case OpKind::take_own: return "take_own";
    case OpKind::sum_into_buffer: return "sum_into_buffer";
    case OpKind::add_first: return "add_first";
    case OpKind::keep_own: return "keep_own";
    case OpKind::restart_residual: return "restart_residual";
  }
  return "local";
}

std::string_view name_of(Role role) {
  switch (role) {
    case Role::move: return "move";
    case Role::attention: return "attention";
    case Role::mlp: return "mlp";
    case Role::experts: return "experts";
    case Role::add_norm: return "add_norm";
    case Role::add: return "add";
    case Role::add_first: return "add_first";
    case Role::norm: return "norm";
    case Role::restart: return "restart";
    case Role::keep: return "keep";
  }
  return "move";
}

std::string_view name_of(Slot slot) { return slot == Slot::residual ? "residual" : "hidden"; }

Role role_of(const Op& op) {
  if (op.role != Role::move) return op.role;
  switch (op.kind) {
    case OpKind::attention: return Role::attention;
    case OpKind::mlp: return Role::mlp;
    case OpKind::moe: return Role::experts;
    case OpKind::add_norm: return Role::add_norm;
    case OpKind::add_first: return Role::add_first;
    case OpKind::keep_own: return Role::keep;
    case OpKind::restart_residual: return Role::restart;
    default: return Role::move;
  }
}

Slot written_by(const Op& op) {
  const bool residual = op.kind == OpKind::keep_own || op.kind == OpKind::restart_residual;
  return residual ? Slot::residual : op.slot;
}

}  // namespace capsize
