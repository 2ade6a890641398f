#include "runtime/binding.hpp"

#include <algorithm>
#include <numeric>

namespace capsize {
namespace {

std::size_t size_of(std::int64_t count) { return static_cast<std::size_t>(count); }

// The group of `rank` in a family, and its place there.
struct Standing {
  std::int32_t group = -1;
  std::int64_t position = 0;
  std::int64_t size = 1;
};

Standing standing_of(const Lifecycle& lifecycle, GroupId id, std::int64_t rank) {
  if (!id.valid()) return {};
  const PlanGroups& family = lifecycle.family(id);
  const std::int32_t group = family.group_of[size_of(rank)];
  if (group < 0) return {};
  return {group, family.position_of[size_of(rank)], std::ssize(family.groups[size_of(group)])};
}

// The groups over which an operation leaves an unreduced sum: its weights are cut along them.
std::vector<GroupId> cuts_of(const PlanOp& op) {
  std::vector<GroupId> out;
  if (!op.out) return out;
  const Layout in = op.in.empty() ? Layout{} : op.in.front();
  const auto partial_in = [](const Layout& layout, GroupId axis) {
    const auto end = layout.parts.begin() + layout.depth;
    return std::find(layout.parts.begin(), end, LayoutPart{LayoutKind::partial, axis}) != end;
  };
  for (std::uint8_t i = 0; i < op.out->depth; ++i) {
    const LayoutPart part = op.out->parts.at(i);
    if (part.kind == LayoutKind::partial && !partial_in(in, part.axis)) out.push_back(part.axis);
  }
  return out;
}

Share cut(const BindingRequest& request, std::int64_t total, GroupId axis) {
  const Standing at = standing_of(request.lifecycle, axis, request.rank);
  return share_of(total, at.size, at.position);
}

WeightShare share_of_weights(const BindingRequest& request, const PlanOp& op) {
  const ExactModel& model = *request.model;
  const bool experts = op.role == Role::experts;
  WeightShare out{{0, experts ? model.expert_units : model.units}, {0, model.experts}};
  const std::vector<GroupId> cuts = cuts_of(op);
  if (cuts.empty()) return out;
  if (!experts) {
    out.units = cut(request, out.units.count, cuts[0]);
    return out;
  }
  out.experts = cut(request, model.experts, cuts[0]);
  if (cuts.size() > 1) out.units = cut(request, model.expert_units, cuts[1]);
  return out;
}

// Whether this rank is the first of the group that hidden is an unreduced sum of.
bool is_first(const BindingRequest& request, const PlanOp& op) {
  if (op.in.empty() || op.in.front().empty()) return true;
  const LayoutPart part = op.in.front().back();
  if (part.kind != LayoutKind::partial) return true;
  return standing_of(request.lifecycle, part.axis, request.rank).position == 0;
}

// The part of a batch that the rank takes: parts as even as they can be, larger ones first.
std::int64_t first_row(const BindingRequest& request, const PlanOp& op, std::int64_t rows_in,
                       std::int64_t rows_out) {
  if (rows_in == rows_out) return 0;
  const Standing at = standing_of(request.lifecycle, op.group, request.rank);
  return std::min(share_of(rows_in, at.size, at.position).first, rows_in - rows_out);
}

// Where a copy into a larger buffer puts the rank's rows: at its place along the axes that its
// operand is scattered over and the result is not.
std::int64_t place_of(const BindingRequest& request, const PlanOp& op, std::int64_t rows) {
  if (op.in.empty() || !op.out) return 0;
  const Layout& in = op.in.front();
  std::int64_t coordinate = 0;
  for (std::uint8_t i = 0; i < in.depth; ++i) {
    const LayoutPart part = in.parts.at(i);
    const auto end = op.out->parts.begin() + op.out->depth;
    if (part.kind != LayoutKind::scattered || std::find(op.out->parts.begin(), end, part) != end) {
      continue;
    }
    const Standing at = standing_of(request.lifecycle, part.axis, request.rank);
    coordinate = coordinate * at.size + at.position;
  }
  return coordinate * rows;
}

std::uint64_t salt_of(const Instruction& instruction) {
  const auto index = static_cast<std::uint64_t>(instruction.index + 2);
  const auto layer = static_cast<std::uint64_t>(instruction.layer + 2);
  return (index * 0x9e3779b97f4a7c15ULL) ^ (layer * 0xc2b2ae3d27d4eb4fULL);
}

void bind_local(const BindingRequest& request, const Instruction& instruction, Bound& out) {
  out.call.rank = request.rank;
  out.call.captured = instruction.captured;
  if (instruction.op == nullptr) {
    out.call.kind = request.model == nullptr ? PlanOpKind::copy : PlanOpKind::add;
    out.call.role = request.model == nullptr ? Role::move : Role::add;
    return;
  }
  const PlanOp& op = *instruction.op;
  out.call.kind = op.kind;
  // Without a model a role says nothing that could be computed.
  out.call.role = request.model == nullptr ? Role::move : op.role;
  out.call.layer = std::max<std::int64_t>(instruction.layer, 0);
  out.call.salt = salt_of(instruction);
  if (request.model != nullptr) {
    const bool weighs =
        op.role == Role::attention || op.role == Role::mlp || op.role == Role::experts;
    if (weighs) out.call.share = share_of_weights(request, op);
    if (op.role == Role::add_first) out.call.adds = is_first(request, op);
  }
  if (op.kind == PlanOpKind::slice) {
    out.call.from_row = first_row(request, op, out.in[0].rows, out.out[0].rows);
  }
  if (op.kind == PlanOpKind::copy) out.call.to_row = place_of(request, op, out.in[0].rows);
}

void bind_arrival(const BindingRequest& request, const Instruction& instruction, Bound& out) {
  const PlanOp& op = *instruction.op;
  const Lifecycle& lifecycle = request.lifecycle;
  Arrival& arrival = out.arrival;
  arrival.rank = request.rank;
  arrival.captured = instruction.captured;
  arrival.kind = op.kind;
  arrival.in = out.in[0];
  arrival.out = out.out[0];
  arrival.sizes = op.sizes;
  // A graph repeats what was captured: nobody looks at counts again.
  arrival.checked = !request.unguarded && !instruction.from_graph &&
                    transport_of(lifecycle, op) == Transport::checked;
  arrival.floors = request.floors;
  // An exchange of tokens writes to fixed places of its peers.
  arrival.one_sided =
      op.kind == PlanOpKind::all_to_all || transport_of(lifecycle, op) == Transport::peer;
  const Standing at = standing_of(lifecycle, op.group, request.rank);
  arrival.position = at.position;
  arrival.communicator = {op.group, at.group, {}};
  if (at.group >= 0) {
    arrival.communicator.members = lifecycle.family(op.group).groups[size_of(at.group)];
  }
  if (is_point_to_point(op.kind)) {
    arrival.peer = peer_of(lifecycle, *request.running.program, op, request.rank).value_or(-1);
  }
}

std::string misfit_of(const Arrival& arrival, std::int64_t members) {
  const auto text = [](std::int64_t rows) { return std::to_string(rows); };
  const std::string many = text(members);
  switch (arrival.kind) {
    case PlanOpKind::reduce_scatter:
      if (arrival.in.rows == members * arrival.out.rows) return {};
      return "of " + text(arrival.in.rows) + " rows each of " + many + " ranks is to get " +
             text(arrival.out.rows) + ": " + many + " x " + text(arrival.out.rows) + " is not " +
             text(arrival.in.rows);
    case PlanOpKind::all_gather:
      if (arrival.out.rows == members * arrival.in.rows) return {};
      return text(arrival.in.rows) + " rows from each of " + many + " ranks are to fill " +
             text(arrival.out.rows) + ": " + many + " x " + text(arrival.in.rows) + " is not " +
             text(arrival.out.rows);
    case PlanOpKind::all_to_all:
      if (arrival.in.rows == arrival.out.rows && arrival.in.rows % members == 0) return {};
      return text(arrival.in.rows) + " rows do not divide into equal parts for " + many + " ranks";
    case PlanOpKind::all_reduce:
    case PlanOpKind::broadcast:
      if (arrival.in.rows == arrival.out.rows) return {};
      return text(arrival.in.rows) + " rows go in and " + text(arrival.out.rows) + " come out";
    default: return {};
  }
}

// Variants with one size a member: the sizes are the contract.
std::string misfit_of_sizes(const Arrival& arrival) {
  const auto own = static_cast<std::size_t>(arrival.position);
  if (own >= arrival.sizes.size()) return "no size is given for this rank";
  const std::int64_t all =
      std::accumulate(arrival.sizes.begin(), arrival.sizes.end(), std::int64_t{0});
  const bool gathers = arrival.kind == PlanOpKind::all_gather;
  const std::int64_t part = gathers ? arrival.in.rows : arrival.out.rows;
  const std::int64_t whole = gathers ? arrival.out.rows : arrival.in.rows;
  if (part == arrival.sizes[own] && whole == all) return {};
  return "the sizes say " + std::to_string(arrival.sizes[own]) + " of " + std::to_string(all) +
         " rows, the operands hold " + std::to_string(part) + " of " + std::to_string(whole);
}

}  // namespace

// ---- memory -----------------------------------------------------------------------------------

void RankMemory::Sizes::cover(const Body& body) {
  arena = std::max(arena, body.arena_rows);
  std::int64_t all = 0;
  for (const std::int64_t rows : body.input_rows) all += rows_with_guard(rows);
  inputs = std::max(inputs, all);
  zeros = std::max(zeros, body.zero_rows);
  output = std::max(output, body.output_rows);
}

// graph pool, eager pool, guard, inputs, zeros, output, output; a guard behind each of the latter
std::int64_t RankMemory::Sizes::rows() const {
  return first_input() + inputs + rows_with_guard(zeros) + 2 * rows_with_guard(output);
}

RankMemory::RankMemory(std::span<std::byte> memory, const Sizes& sizes, std::int64_t columns,
                       ElementType type)
    : base_(memory.data()), sizes_(sizes), columns_(columns), type_(type) {}

Matrix RankMemory::rows(std::int64_t first, std::int64_t count) const {
  return {base_ + size_of(first * columns_) * bytes_of(type_), count, columns_, type_};
}

Matrix RankMemory::at(const Operand& operand, const Body& body, Pool pool) const {
  const std::int64_t second = pool == Pool::eager ? 1 : 0;
  const std::int64_t inputs = sizes_.first_input();
  switch (operand.where) {
    case Operand::Where::arena: return rows(second * sizes_.arena + operand.at, operand.rows);
    case Operand::Where::input: {
      std::int64_t first = inputs;
      for (std::int64_t i = 0; i < operand.at; ++i) {
        first += rows_with_guard(body.input_rows[size_of(i)]);
      }
      return rows(first, operand.rows);
    }
    case Operand::Where::zeros: return rows(inputs + sizes_.inputs, operand.rows);
    case Operand::Where::output: {
      const std::int64_t outputs = inputs + sizes_.inputs + rows_with_guard(sizes_.zeros);
      return rows(outputs + second * rows_with_guard(sizes_.output), operand.rows);
    }
  }
  return {};
}

Matrix RankMemory::with_guards(const Matrix& tensor) const {
  Matrix out = tensor;
  out.data -= size_of(kGuardRows) * tensor.row_bytes();
  out.rows += 2 * kGuardRows;
  return out;
}

Matrix RankMemory::pool(const Body& body, Pool pool) const {
  return rows(pool == Pool::eager ? sizes_.arena : 0, body.arena_rows);
}

void RankMemory::set_guards(RowSpace& space) const {
  space.fill(rows(2 * sizes_.arena, sizes_.rows() - 2 * sizes_.arena), unwritten_bits(type_));
  space.fill(rows(sizes_.first_input() + sizes_.inputs, sizes_.zeros), 0);
}

std::array<Matrix, RankMemory::kGuards> RankMemory::guards() const {
  const std::int64_t zeros = sizes_.first_input() + sizes_.inputs;
  const std::int64_t outputs = zeros + rows_with_guard(sizes_.zeros);
  const std::int64_t second = outputs + rows_with_guard(sizes_.output);
  const auto between = [this](std::int64_t first, std::int64_t last) {
    return rows(first, last - first);
  };
  return {between(2 * sizes_.arena, sizes_.first_input()), between(zeros + sizes_.zeros, outputs),
          between(outputs + sizes_.output, second), between(second + sizes_.output, sizes_.rows())};
}

// ---- binding ----------------------------------------------------------------------------------

Bound bind(const BindingRequest& request, const Instruction& instruction, const RankMemory& memory,
           RankMemory::Pool pool) {
  Bound out{.what = &instruction};
  for (std::size_t i = 0; i < instruction.inputs; ++i) {
    out.in.at(i) = memory.at(instruction.in.at(i), request.body, pool);
  }
  for (std::size_t i = 0; i < instruction.outputs; ++i) {
    out.out.at(i) = memory.at(instruction.out.at(i), request.body, pool);
  }
  const PlanOp* op = instruction.op;
  out.meets =
      op != nullptr && (meets_on_device(op->kind) || op->kind == PlanOpKind::host_collective);
  if (out.meets) {
    bind_arrival(request, instruction, out);
  } else {
    bind_local(request, instruction, out);
  }
  return out;
}

std::string misfit(const Arrival& arrival) {
  if (!arrival.sizes.empty()) return misfit_of_sizes(arrival);
  return misfit_of(arrival, std::ssize(arrival.communicator.members));
}

}  // namespace capsize
