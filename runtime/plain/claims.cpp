#include "runtime/plain/claims.hpp"

#include <algorithm>
#include <cstring>

#include "sim/content_hash.hpp"

namespace capsize {
namespace {

// Windows of a communicator library have one place on all ranks.
bool is_symmetric(const Lifecycle& lifecycle, const PlanOp& op) {
  return op.registered.value_or(false) && op.group.valid() &&
         transport_of(lifecycle, op) != Transport::peer;
}

std::uint64_t hash_of(const std::vector<BufferRange>& ranges) {
  ContentHash hash;
  for (const BufferRange& each : ranges) hash.add(each.buffer).add(each.offset);
  return hash.value();
}

}  // namespace

std::uint64_t hash_of(ConstMatrix rows) {
  ContentHash hash;
  std::uint64_t word = 0;
  for (std::size_t at = 0; at + sizeof word <= rows.bytes(); at += sizeof word) {
    std::memcpy(&word, rows.data + at, sizeof word);
    hash.add(word);
  }
  return hash.value();
}

void Claims::clear() {
  for (auto& each : of_) each.clear();
}

bool Claims::same_axis(GroupId a, GroupId b) const {
  return a == b || lifecycle_->family(a).groups == lifecycle_->family(b).groups;
}

// A claim for every axis that `has` names and `lacks` does not.
void Claims::add_axes(std::vector<Claim>& claims, Claim claim, const Layout& has,
                      const Layout& lacks, ConstMatrix rows) const {
  for (std::uint8_t i = 0; i < has.depth; ++i) {
    const GroupId axis = has.parts.at(i).axis;
    const auto end = lacks.parts.begin() + lacks.depth;
    if (std::any_of(lacks.parts.begin(), end,
                    [&](const LayoutPart& part) { return same_axis(part.axis, axis); })) {
      continue;
    }
    claim.axis = axis;
    claim.value = hash_of(rows);
    claims.push_back(claim);
  }
}

void Claims::before(std::size_t place, std::size_t instruction, const Bound& bound) {
  const Instruction& what = *bound.what;
  const PlanOp& op = *what.op;
  Claim claim{.instruction = instruction, .op = &op};
  for (std::size_t i = 0; i < what.inputs && i < op.in.size(); ++i) {
    claim.operand = i;
    const PlanOp* maker = what.made_by.at(i);
    if (maker != nullptr && maker->out) {
      add_axes(of_[place], claim, *maker->out, op.in[i], bound.in.at(i));
    }
    if (op.out) add_axes(of_[place], claim, *op.out, op.in[i], bound.in.at(i));
  }
  if (!is_symmetric(*lifecycle_, op)) return;
  of_[place].push_back({.instruction = instruction,
                        .op = &op,
                        .part = Part::place,
                        .axis = op.group,
                        .value = hash_of(op.reads) ^ spread(hash_of(op.writes))});
}

void Claims::after(std::size_t place, std::size_t instruction, const Bound& bound) {
  const PlanOp& op = *bound.what->op;
  if (!op.out || bound.what->outputs == 0) return;
  const Claim claim{.instruction = instruction, .op = &op, .part = Part::output};
  for (const Layout& in : op.in) add_axes(of_[place], claim, in, *op.out, bound.out[0]);
}

std::optional<Claims::Broken> Claims::first_broken(const std::vector<std::int64_t>& ranks) const {
  std::optional<Broken> first;
  const auto claims_of = [&](std::int64_t rank) -> const std::vector<Claim>* {
    const auto at = std::ranges::find(ranks, rank);
    return at == ranks.end() ? nullptr : &of_[static_cast<std::size_t>(at - ranks.begin())];
  };
  for (std::size_t place = 0; place < ranks.size(); ++place) {
    for (std::size_t i = 0; i < of_[place].size(); ++i) {
      const Claim& mine = of_[place][i];
      if (first && first->instruction <= mine.instruction) break;
      const PlanGroups& family = lifecycle_->family(mine.axis);
      const std::int32_t group = family.group_of[static_cast<std::size_t>(ranks[place])];
      if (group < 0) continue;
      const std::int32_t leader = family.groups[static_cast<std::size_t>(group)].front();
      const std::vector<Claim>* others = claims_of(leader);
      if (others == nullptr) continue;
      const auto same = [&mine](const Claim& each) {
        return each.instruction == mine.instruction && each.part == mine.part &&
               each.operand == mine.operand && each.axis == mine.axis &&
               each.op->kind == mine.op->kind && each.op->group == mine.op->group;
      };
      // Ranks of one program claim the same in the same order.
      auto other =
          i < others->size() ? others->begin() + static_cast<std::ptrdiff_t>(i) : others->end();
      if (other == others->end() || !same(*other)) other = std::ranges::find_if(*others, same);
      if (other == others->end() || other->value == mine.value) continue;
      const std::string what = mine.part == Part::operand  ? "reads other rows than rank "
                               : mine.part == Part::output ? "leaves other rows than rank "
                                                           : "has its operand elsewhere than rank ";
      first = {ranks[place], mine.instruction,
               "rank " + std::to_string(ranks[place]) + " " + what + std::to_string(leader) +
                   ", and the plan says that ranks of " + family.name + " are alike there"};
    }
  }
  return first;
}

}  // namespace capsize
