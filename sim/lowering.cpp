#include "sim/lowering.hpp"

#include <algorithm>
#include <map>

namespace capsize {
namespace {

PlanOpKind kind_of(const Op& op) {
  switch (op.kind) {
    case OpKind::attention: return PlanOpKind::attention;
    case OpKind::mlp:
    case OpKind::moe: return PlanOpKind::matmul;
    case OpKind::local: return op.role == Role::norm ? PlanOpKind::norm : PlanOpKind::kernel;
    // No `add`: its operands are laid out differently on purpose.
    case OpKind::add_first: return PlanOpKind::kernel;
    case OpKind::add_norm: return PlanOpKind::add;
    case OpKind::reduce_scatter: return PlanOpKind::reduce_scatter;
    case OpKind::all_gather:
    case OpKind::all_gather_padded: return PlanOpKind::all_gather;
    case OpKind::sum_into_buffer:
    case OpKind::all_reduce: return PlanOpKind::all_reduce;
    case OpKind::slice:
    case OpKind::keep_own:
    case OpKind::take_own: return PlanOpKind::slice;
    case OpKind::restart_residual: return PlanOpKind::copy;
  }
  return PlanOpKind::kernel;
}

// Attention and the matrix products name a group for their weights; only these run over it.
bool runs_over_group(PlanOpKind kind) { return is_collective(kind) || kind == PlanOpKind::slice; }

std::vector<std::vector<std::int32_t>> members_of(const GroupFamily& family) {
  std::vector<std::vector<std::int32_t>> out;
  for (const GroupShape& shape : family.groups) {
    std::vector<std::int32_t>& members = out.emplace_back();
    for (std::int64_t i = 0; i < shape.size; ++i) {
      members.push_back(static_cast<std::int32_t>(shape.rank(i)));
    }
  }
  return out;
}

}  // namespace

StepLowering::StepLowering(const SymbolicStep& step, Lifecycle& plan) : step_(step), plan_(plan) {
  groups_.resize(step_.topology->families.size());
  const WalkedStep walked = walk(step_, &trace_);
  never_fits_ = std::ranges::any_of(walked.obligations, [](const Obligation& each) {
    return each.kind == ObligationKind::never;
  });
  add_ops();
  exprs_.reserve(static_cast<std::size_t>(plan_.world) * distinct_.size());
  for (std::int64_t rank = 0; rank < plan_.world; ++rank) {
    for (const RankRows& rows : distinct_) {
      exprs_.push_back(rows_of(step_.exprs, *step_.topology, rows, rank));
    }
  }
  index_groups(plan_);
}

void StepLowering::add_ops() {
  std::int32_t block = -1;
  for (const OpTrace& trace : trace_) {
    const LayerBlock& layers = step_.blocks[static_cast<std::size_t>(trace.block)];
    if (trace.block != block) {
      block = trace.block;
      blocks_.push_back(
          {static_cast<std::int32_t>(ops_.size()), 0, layers.repeat, layers.first_layer});
      // A block is repeated: what it begins with comes from more than one place.
      hidden_ = layers.enters_with ? -1 : static_cast<std::int32_t>(ops_.size()) - 1;
      residual_ = -1;
    }
    add_op(trace);
    blocks_.back().count = static_cast<std::int32_t>(ops_.size()) - blocks_.back().first_op;
  }
  std::erase_if(blocks_, [](const OpBlock& each) { return each.count == 0; });
}

void StepLowering::add_op(const OpTrace& trace) {
  const auto& ops = step_.blocks[static_cast<std::size_t>(trace.block)].ops;
  const Op& op = ops[static_cast<std::size_t>(trace.op)];
  const PlanOpKind kind = kind_of(op);
  if (op.kind == OpKind::sum_into_buffer) return add_sum_into_buffer(trace, op);
  if (runs_over_group(kind) && step_.topology->size_of(op.group) <= 1) return;
  if (op.kind == OpKind::all_gather_padded) return add_padded_gather(trace, op);
  // Experts that are cut over two groups are computed once and leave a sum over both.
  const bool again = op.kind == OpKind::moe && trace.op > 0 &&
                     ops[static_cast<std::size_t>(trace.op) - 1].kind == OpKind::moe;
  if (again) return write(ops_.back(), trace.out);
  push(trace, op, kind);
}

// Each rank pads its part to the largest one before all parts are gathered.
void StepLowering::add_padded_gather(const OpTrace& trace, const Op& op) {
  OpTrace padded = trace;
  padded.out = padded.in;
  Op copy = op;
  copy.group = {};
  const std::int64_t parts = step_.topology->size_of(op.group);
  const std::int32_t gathered = place_of(trace.out.rows);
  Lowered& pad = push(padded, copy, PlanOpKind::copy);
  pad.padded_parts = parts;
  pad.gathered = gathered;
  Lowered& gather = push(trace, op, PlanOpKind::all_gather);
  gather.padded_parts = parts;
  gather.gathered = gathered;
}

// Each rank writes its rows at their place into a buffer of zeros: an unreduced sum of all rows.
void StepLowering::add_sum_into_buffer(const OpTrace& trace, const Op& op) {
  OpTrace placed = trace;
  placed.out.layout = {};
  placed.out.layout.push({LayoutKind::partial, op.group});
  Op copy = op;
  copy.group = {};
  push(placed, copy, PlanOpKind::copy);
  OpTrace summed = trace;
  summed.in = placed.out;
  push(summed, op, PlanOpKind::all_reduce);
}

StepLowering::Lowered& StepLowering::push(const OpTrace& trace, const Op& op, PlanOpKind kind) {
  Lowered lowered;
  lowered.op.kind = kind;
  lowered.op.rule = op.rule;
  lowered.op.role = role_of(op);
  lowered.op.tensor = written_by(op);
  if (runs_over_group(kind)) {
    lowered.op.group = group_of(op.group);
    if (is_collective(kind)) {
      lowered.captured_as = step_.topology->family(op.group).transport_captured;
    }
  }
  read(lowered, trace.in);
  if (op.kind == OpKind::add_norm) read(lowered, trace.residual);
  write(lowered, trace.out);
  link(lowered, op);
  return ops_.emplace_back(std::move(lowered));
}

void StepLowering::read(Lowered& lowered, const TravellingTensor& tensor) {
  lowered.op.in.push_back(layout_of(tensor.layout));
  lowered.rows_in.push_back(place_of(tensor.rows));
}

void StepLowering::write(Lowered& lowered, const TravellingTensor& tensor) {
  lowered.op.out = layout_of(tensor.layout);
  lowered.rows_out = place_of(tensor.rows);
}

// Says where operands come from, if not from the operation before; and who made what is left.
void StepLowering::link(Lowered& lowered, const Op& op) {
  const auto here = static_cast<std::int32_t>(ops_.size());
  const bool sum = op.kind == OpKind::add_norm || op.kind == OpKind::add_first;
  const std::int32_t read = op.slot == Slot::residual ? residual_ : hidden_;
  if (sum && hidden_ >= 0 && residual_ >= 0) {
    lowered.op.from = std::vector{hidden_, residual_};
  } else if (read != here - 1) {
    lowered.op.from = read < 0 ? std::vector<std::int32_t>{} : std::vector{read};
  }
  if (lowered.op.from) {
    for (const std::int32_t each : *lowered.op.from) {
      PlanOp& producer = ops_[static_cast<std::size_t>(each)].op;
      producer.id = std::string(name_of(producer.kind)) + "_" + std::to_string(each);
    }
  }
  const bool residual_only = lowered.op.tensor == Slot::residual;
  if (!residual_only) hidden_ = here;
  if (residual_only || lowered.op.role == Role::add_norm) residual_ = here;
}

std::int32_t StepLowering::place_of(const RankRows& rows) {
  const auto at = std::ranges::find(distinct_, rows);
  const auto place = static_cast<std::int32_t>(at - distinct_.begin());
  if (at == distinct_.end()) distinct_.push_back(rows);
  return place;
}

GroupId StepLowering::group_of(GroupId id) {
  GroupId& known = groups_[static_cast<std::size_t>(id.index)];
  if (known.valid()) return known;
  const GroupFamily& family = step_.topology->family(id);
  if (const auto there = plan_.find_group(family.name)) return known = *there;
  plan_.families.push_back({.name = family.name, .groups = members_of(family)});
  return known = GroupId{static_cast<std::int8_t>(plan_.families.size() - 1)};
}

Layout StepLowering::layout_of(const Layout& layout) {
  Layout out;
  for (std::uint8_t i = 0; i < layout.depth; ++i) {
    const LayoutPart part = layout.parts.at(i);
    if (step_.topology->size_of(part.axis) > 1) out.push({part.kind, group_of(part.axis)});
  }
  return out;
}

std::int64_t StepLowering::rows_at(std::int32_t place, std::int64_t rank) const {
  const std::size_t at =
      static_cast<std::size_t>(rank) * distinct_.size() + static_cast<std::size_t>(place);
  return values_[static_cast<std::size_t>(exprs_[at].index)];
}

// Rows of a part that is padded to the largest, on the way into the gather and out of it.
void StepLowering::set_padded_rows(const Lowered& lowered, PlanOp& op, std::int64_t rank) const {
  const std::int64_t own = op.rows_in.front();
  const std::int64_t all = rows_at(lowered.gathered, rank);
  const bool gathers = op.kind == PlanOpKind::all_gather;
  if (own == all) {  // nothing is split
    op.kind = PlanOpKind::copy;
    op.group = {};
    op.rows_out = all;
    return;
  }
  const std::int64_t part = all / lowered.padded_parts;
  if (gathers) op.rows_in = {part};
  op.rows_out = gathers ? all : part;
}

// A batch that is too short for a zigzag is held whole by every rank of its axis.
std::vector<GroupId> StepLowering::whole_axes() const {
  std::vector<GroupId> out;
  if (never_fits_) return out;
  const std::int64_t rows = values_[static_cast<std::size_t>(step_.entry_rows.base.index)];
  for (std::uint8_t i = 0; i < step_.entry_rows.depth; ++i) {
    const Split& split = step_.entry_rows.splits.at(i);
    const GroupId axis = groups_[static_cast<std::size_t>(split.axis.index)];
    if (split.kind == SplitKind::zigzag && rows < 2 * split.ways && axis.valid()) {
      out.push_back(axis);
    }
  }
  return out;
}

void StepLowering::make_whole(PlanOp& op, GroupId axis) {
  const auto unsplit = [axis](const Layout& layout) {
    Layout out;
    for (std::uint8_t i = 0; i < layout.depth; ++i) {
      const LayoutPart part = layout.parts.at(i);
      if (!(part == LayoutPart{LayoutKind::scattered, axis})) out.push(part);
    }
    return out;
  };
  for (Layout& each : op.in) each = unsplit(each);
  if (op.out) op.out = unsplit(*op.out);
  if (op.kind == PlanOpKind::slice && op.group == axis) {
    op.kind = PlanOpKind::copy;
    op.group = {};
  }
}

// Everything that tells the programs of two ranks apart.
std::vector<std::int64_t> StepLowering::signature_of(std::int64_t rank) const {
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < distinct_.size(); ++i) {
    out.push_back(rows_at(static_cast<std::int32_t>(i), rank));
  }
  return out;
}

std::vector<Program> StepLowering::programs_at(std::int64_t n, bool group_capture) {
  step_.exprs.values_at(n, values_);
  const std::vector<GroupId> whole = whole_axes();
  std::vector<Program> out;
  std::vector<std::vector<std::int64_t>> signatures;
  std::size_t last = 0;
  for (std::int64_t rank = 0; rank < plan_.world; ++rank) {
    std::vector<std::int64_t> signature = signature_of(rank);
    // Neighbours mostly do the same.
    std::size_t at = last < signatures.size() && signatures[last] == signature
                         ? last
                         : static_cast<std::size_t>(std::ranges::find(signatures, signature) -
                                                    signatures.begin());
    if (at == signatures.size()) {
      signatures.push_back(std::move(signature));
      Program& program = out.emplace_back(program_of(rank, group_capture));
      for (const GroupId axis : whole) {
        for (PlanOp& op : program.ops) make_whole(op, axis);
      }
    }
    out[at].ranks.append({rank, rank});
    last = at;
  }
  return out;
}

Program StepLowering::program_of(std::int64_t rank, bool group_capture) const {
  Program program;
  program.blocks = blocks_;
  program.ops.reserve(ops_.size());
  for (const Lowered& lowered : ops_) {
    PlanOp& op = program.ops.emplace_back(lowered.op);
    for (const std::int32_t place : lowered.rows_in) op.rows_in.push_back(rows_at(place, rank));
    op.rows_out = rows_at(lowered.rows_out, rank);
    if (lowered.padded_parts > 1) set_padded_rows(lowered, op, rank);
    if (group_capture && op.group.valid() && lowered.captured_as != Transport::checked) {
      op.transport = lowered.captured_as;
    }
  }
  return program;
}

namespace {

GraphMode mode_of(const CapturePath& path) {
  return path.backend == "piecewise" ? GraphMode::piecewise : GraphMode::graph;
}

PlanCapture capture_of(const CapturePath& path) {
  PlanCapture out{.path = std::string(path.name), .unit = path.unit, .mode = mode_of(path)};
  out.kept = path.kept;
  for (const NamedSize& named : path.named) out.named.push_back(named.size);
  // A launch may name counts that no plan can hold; the launch's own check speaks of them.
  const auto negative = [](std::int64_t size) { return size < 0; };
  std::erase_if(out.kept, negative);
  std::erase_if(out.named, negative);
  if (path.width.value != 1) out.width = path.width.value;
  return out;
}

// Says of a program which size it runs at.
void name_size(Program& program, const CapturePath& path, std::int64_t size, GraphMode mode) {
  program.bucket = path.tokens_of(size).value;
  if (path.unit == Unit::requests) {
    program.padded_requests = size;
    program.width = path.width.value;
  }
  program.mode = mode;
  if (mode == GraphMode::eager) return;
  const char* unit = path.unit == Unit::tokens ? "tokens" : "requests";
  program.key = GraphKey{{unit, std::to_string(size)}};
}

}  // namespace

PlanEvent event_at(const CapturePath& path, StepLowering& step, std::int64_t size,
                   PlanEventKind kind, bool group_capture) {
  PlanEvent out{.kind = kind, .path = std::string(path.name)};
  out.tokens = path.tokens_of(size).value;
  out.programs = step.programs_at(size, group_capture);
  const GraphMode mode = kind == PlanEventKind::capture ? mode_of(path) : GraphMode::eager;
  for (Program& program : out.programs) name_size(program, path, size, mode);
  return out;
}

Lifecycle lower(const Deployment& deployment, const CapturePlan& captures,
                const StartUp& start_up) {
  Lifecycle plan{.engine = std::string(deployment.engine), .world = deployment.topology->world};
  std::map<const DerivedStep*, StepLowering> steps;
  for (const CapturePath& path : captures.paths) {
    if (!path.enabled || !path.undecided.empty() || path.step == nullptr) continue;
    plan.captures.push_back(capture_of(path));
    if (!steps.contains(path.step.get())) {
      steps.try_emplace(path.step.get(), path.step->plan, plan);
      // All programs compute one model, or the plan says nothing of what they compute.
      const std::vector<ModelLayers>& layers = path.step->plan.layers;
      if (steps.size() == 1) plan.layers = layers;
      if (plan.layers != layers) plan.layers.clear();
    }
  }
  plan.events.reserve(start_up.events.size());
  for (const StartUpEvent& event : start_up.events) {
    const CapturePath& path = captures.paths[event.path];
    const auto step = steps.find(path.step.get());
    if (step == steps.end() || event.size < 1) continue;
    const PlanEventKind kind =
        event.kind == StartUpKind::capture ? PlanEventKind::capture : PlanEventKind::warm_up;
    plan.events.push_back(event_at(path, step->second, event.size, kind, event.group_capture));
  }
  return plan;
}

}  // namespace capsize
