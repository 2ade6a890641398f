#include "sim/rows.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace capsize {
namespace {

// A position along one axis. Ranks that differ only in other axes hold the same rows.
struct Coordinate {
  GroupId axis;
  std::int64_t position = 0;
};

// Where a rank stands, on the axes that matter to its rows. Walks make thousands of them, so they
// live without the heap; two tensors of three splits and one group meet seven axes at most.
class Coordinates {
 public:
  void push_back(Coordinate at) { all_.at(size_++) = at; }
  [[nodiscard]] const Coordinate* begin() const { return all_.data(); }
  [[nodiscard]] const Coordinate* end() const { return all_.data() + size_; }

 private:
  std::array<Coordinate, 8> all_{};
  std::size_t size_ = 0;
};

std::int64_t position_of(const Coordinates& at, GroupId axis) {
  for (const Coordinate& each : at) {
    if (each.axis == axis) return each.position;
  }
  return 0;
}

Expr split_rows(Exprs& exprs, Expr rows, const Split& split, std::int64_t position) {
  if (split.kind == SplitKind::parts) return exprs.split_part(rows, split.ways, position);
  return exprs.if_at_least(rows, 2 * split.ways, exprs.zigzag_part(rows, split.ways, position),
                           rows);
}

Expr rows_at(Exprs& exprs, const RankRows& rows, const Coordinates& at) {
  Expr result = rows.base;
  for (std::uint8_t i = 0; i < rows.depth; ++i) {
    const Split& split = rows.splits.at(i);
    result = split_rows(exprs, result, split, position_of(at, split.axis));
  }
  return result;
}

// One walk over one step. Holds the tensors as they travel and gathers what operations ask.
class Walker {
 public:
  Walker(SymbolicStep& step, std::vector<OpTrace>* trace) : step_(step), trace_(trace) {
    for (Tensor& tensor : tensors_) tensor = {step.entry_layout, step.entry_rows};
  }

  WalkedStep run() {
    for (std::size_t b = 0; b < step_.blocks.size(); ++b) {
      if (const auto& rows = step_.blocks[b].enters_with) {
        for (Tensor& tensor : tensors_) tensor = {step_.entry_layout, *rows};
      }
      for (std::size_t o = 0; o < step_.blocks[b].ops.size(); ++o) {
        block_ = static_cast<std::int32_t>(b);
        op_ = static_cast<std::int32_t>(o);
        const Op& op = step_.blocks[b].ops[o];
        Tensor& tensor = tensors_.at(static_cast<std::size_t>(op.slot));
        if (trace_ != nullptr) trace_->push_back({block_, op_, tensor, tensors_[1], {}});
        apply(op, tensor);
        if (trace_ != nullptr) {
          trace_->back().out = tensors_.at(static_cast<std::size_t>(written_by(op)));
        }
        previous_ = op.kind;
      }
    }
    return std::move(out_);
  }

 private:
  using Tensor = TravellingTensor;

  void apply(const Op& op, Tensor& tensor) {
    switch (op.kind) {
      case OpKind::local: break;
      case OpKind::attention:
      case OpKind::mlp:
      case OpKind::moe: make_partial(op, tensor); break;
      case OpKind::add_norm: add_to(tensors_[0].layout); break;
      case OpKind::add_first: add_first(op); break;
      case OpKind::reduce_scatter: reduce_scatter(op, tensor); break;
      case OpKind::all_gather: all_gather(op, tensor); break;
      case OpKind::all_gather_padded: all_gather_padded(op, tensor); break;
      case OpKind::all_reduce: all_reduce(op, tensor); break;
      case OpKind::slice: slice(op, tensor); break;
      case OpKind::take_own: take_own(op, tensor); break;
      case OpKind::sum_into_buffer: sum_into_buffer(op, tensor); break;
      case OpKind::keep_own: break;  // the residual holds the rows that it held
      case OpKind::restart_residual: tensors_[1] = tensors_[0]; break;
    }
  }

  std::int64_t size_of(GroupId id) const { return step_.topology->size_of(id); }

  void make_partial(const Op& op, Tensor& tensor) {
    if (size_of(op.group) <= 1) return;
    for (std::uint8_t i = 0; i < tensor.layout.depth; ++i) {
      const LayoutPart part = tensor.layout.parts.at(i);
      // Experts cut over two groups leave two unreduced sums, one on the other.
      const bool same_sum = op.kind == OpKind::moe && previous_ == OpKind::moe;
      if (part.kind == LayoutKind::partial ? !same_sum
                                           : step_.topology->crosses(op.group, part.axis)) {
        never("its operand is not whole on every rank of the group");
        break;
      }
    }
    tensor.layout.push({LayoutKind::partial, op.group});
  }

  // The sum over the group that follows adds what its first rank has added.
  void add_first(const Op& op) {
    Layout whole = tensors_[0].layout;
    if (size_of(op.group) > 1 && !take_partial(whole, op.group)) {
      never("its operand is no unreduced sum of the group");
    }
    add_to(whole);
  }

  // hidden, laid out as `layout`, and residual are added up.
  void add_to(const Layout& layout) {
    const Tensor& hidden = tensors_[0];
    const Tensor& residual = tensors_[1];
    if (!(layout == residual.layout)) never("hidden and residual are split differently");
    if (hidden.rows == residual.rows) return;
    for (const Coordinates& at : extremes({&hidden.rows, &residual.rows})) {
      equal(rows_at(step_.exprs, hidden.rows, at), rows_at(step_.exprs, residual.rows, at), at,
            "hidden and residual hold different row counts");
    }
  }

  // Removes Partial(group), which may lie under other unreduced sums; false if there is none.
  bool take_partial(Layout& layout, GroupId group) {
    for (int i = layout.depth - 1; i >= 0; --i) {
      const auto at = static_cast<std::size_t>(i);
      if (layout.parts.at(at).kind != LayoutKind::partial) return false;
      if (!(layout.parts.at(at).axis == group)) continue;
      std::rotate(layout.parts.begin() + i, layout.parts.begin() + i + 1,
                  layout.parts.begin() + layout.depth);
      layout.pop();
      return true;
    }
    return false;
  }

  void reduce_scatter(const Op& op, Tensor& tensor) {
    if (size_of(op.group) <= 1) return;
    if (!take_partial(tensor.layout, op.group))
      never("its operand is no unreduced sum of the group");
    equal_over_group(op.group, tensor.rows, "ranks of the group bring different row counts");
    push_scattered(op, tensor.layout);
    tensor.rows.push({SplitKind::parts, op.group, size_of(op.group)});
    for (const Coordinates& at : extremes({&tensor.rows}, op.group)) {
      equal_ends(tensor.rows, at, op.group, "its rows do not divide into equal parts", true);
    }
  }

  void push_scattered(const Op& op, Layout& layout) {
    if (!op.axes[0].valid()) return layout.push({LayoutKind::scattered, op.group});
    for (const GroupId axis : op.axes) {
      if (axis.valid() && size_of(axis) > 1) layout.push({LayoutKind::scattered, axis});
    }
  }

  void all_gather(const Op& op, Tensor& tensor) {
    if (size_of(op.group) <= 1) return;
    take_scattered(tensor.layout, op.group);
    equal_over_group(op.group, tensor.rows, "ranks of the group bring different row counts");
    for (const Coordinates& at : extremes({&tensor.rows, &op.buffer})) {
      equal(step_.exprs.scale(size_of(op.group), rows_at(step_.exprs, tensor.rows, at)),
            rows_at(step_.exprs, op.buffer, at), at, "the gathered rows do not fill the buffer");
    }
    tensor.rows = op.buffer;
  }

  void all_gather_padded(const Op& op, Tensor& tensor) {
    if (size_of(op.group) <= 1) return;
    take_scattered(tensor.layout, op.group);
    tensor.rows = op.buffer;
  }

  // Every rank of the group adds its rows into one buffer: right only where the group holds each
  // part of each row once.
  void sum_into_buffer(const Op& op, Tensor& tensor) {
    std::int64_t parts = 1;
    while (!tensor.layout.empty()) {
      parts *= size_of(tensor.layout.back().axis);
      tensor.layout.pop();
    }
    if (parts != size_of(op.group)) never("the group sums copies of the same rows");
    tensor.rows = op.buffer;
  }

  void all_reduce(const Op& op, Tensor& tensor) {
    if (size_of(op.group) <= 1) return;
    if (!take_partial(tensor.layout, op.group))
      never("its operand is no unreduced sum of the group");
    equal_over_group(op.group, tensor.rows, "ranks of the group bring different row counts");
  }

  void slice(const Op& op, Tensor& tensor) {
    if (size_of(op.group) <= 1) return;
    tensor.layout.push({LayoutKind::scattered, op.group});
    tensor.rows.push({SplitKind::parts, op.group, size_of(op.group)});
  }

  void take_own(const Op& op, Tensor& tensor) {
    if (size_of(op.group) <= 1) return;
    tensor.layout.push({LayoutKind::scattered, op.group});
    tensor.rows = op.buffer;
  }

  // A gather over `group` undoes the innermost splits whose sizes multiply to the group's.
  void take_scattered(Layout& layout, GroupId group) {
    std::int64_t undone = 1;
    while (!layout.empty() && layout.back().kind == LayoutKind::scattered &&
           undone < size_of(group)) {
      undone *= size_of(layout.back().axis);
      layout.pop();
    }
    if (undone == 1) never("its operand is not split over the group");
  }

  // Ranks whose row counts stand for all: on every axis the first and the last position. Each
  // part of a split (and each zigzag shard) has as many rows as the first or as the last. Two
  // tensors that split different row counts along one axis change over at different positions;
  // then every position is taken.
  std::vector<Coordinates> extremes(std::initializer_list<const RankRows*> tensors,
                                    GroupId leave_out = {}) const {
    std::vector<Coordinates> all(1);
    std::vector<GroupId> seen;
    for (const RankRows* rows : tensors) {
      for (std::uint8_t i = 0; i < rows->depth; ++i) {
        const Split& split = rows->splits.at(i);
        if (split.axis == leave_out || std::ranges::find(seen, split.axis) != seen.end()) continue;
        seen.push_back(split.axis);
        all = along(
            all, split,
            changes_alike(tensors, split.axis) ? std::max<std::int64_t>(split.ways - 1, 1) : 1);
      }
    }
    return all;
  }

  // Each of `before` at the positions 0, stride, 2 * stride ... of a split's axis.
  static std::vector<Coordinates> along(const std::vector<Coordinates>& before, const Split& split,
                                        std::int64_t stride) {
    std::vector<Coordinates> out;
    for (const Coordinates& at : before) {
      for (std::int64_t position = 0; position < split.ways; position += stride) {
        out.push_back(at);
        out.back().push_back({split.axis, position});
      }
    }
    return out;
  }

  // Whether all tensors that are split along `axis` are the same tensor up to that split.
  static bool changes_alike(std::initializer_list<const RankRows*> tensors, GroupId axis) {
    std::optional<RankRows> first;
    for (const RankRows* rows : tensors) {
      RankRows head{.base = rows->base};
      for (std::uint8_t i = 0; i < rows->depth; ++i) {
        head.push(rows->splits.at(i));
        if (!(rows->splits.at(i).axis == axis)) continue;
        if (first && !(*first == head)) return false;
        first = head;
      }
    }
    return true;
  }

  // The first and the last position of `axis` hold equal rows, the other axes standing at `at`.
  void equal_ends(const RankRows& rows, const Coordinates& at, GroupId axis,
                  std::string_view reason, bool in_own_call) {
    Coordinates first = at;
    Coordinates last = at;
    first.push_back({axis, 0});
    last.push_back({axis, size_of(axis) - 1});
    must_equal(rows_at(step_.exprs, rows, first), rows_at(step_.exprs, rows, last), first,
               {.reason = reason, .between_ranks = true, .in_own_call = in_own_call});
  }

  // All ranks of each group of `group` hold the same number of rows.
  void equal_over_group(GroupId group, const RankRows& rows, std::string_view reason) {
    for (std::uint8_t i = 0; i < rows.depth; ++i) {
      const GroupId axis = rows.splits.at(i).axis;
      if (!step_.topology->crosses(group, axis)) continue;
      if (step_.topology->covers(group, axis)) {
        for (const Coordinates& at : extremes({&rows}, axis)) {
          equal_ends(rows, at, axis, reason, false);
        }
      } else {
        equal_rank_by_rank(group, rows, reason);
      }
    }
  }

  // For a group that holds only some positions of an axis: compare every member with the first.
  void equal_rank_by_rank(GroupId group, const RankRows& rows, std::string_view reason) {
    const auto coordinates = [&](std::int64_t rank) {
      Coordinates at;
      for (std::uint8_t i = 0; i < rows.depth; ++i) {
        const GroupId axis = rows.splits.at(i).axis;
        at.push_back({axis, step_.topology->position(axis, rank).value_or(0)});
      }
      return at;
    };
    for (const GroupShape& shape : step_.topology->family(group).groups) {
      const Expr first = rows_at(step_.exprs, rows, coordinates(shape.rank(0)));
      for (std::int64_t i = 1; i < shape.size; ++i) {
        const Coordinates at = coordinates(shape.rank(i));
        must_equal(first, rows_at(step_.exprs, rows, at), at,
                   {.reason = reason, .between_ranks = true, .in_own_call = false});
      }
    }
  }

  void equal(Expr left, Expr right, const Coordinates& at, std::string_view reason) {
    must_equal(left, right, at, {.reason = reason});
  }

  // `asks` says why, and who can see it.
  void must_equal(Expr left, Expr right, const Coordinates& at, Obligation asks) {
    if (left == right) return;
    std::int64_t rank = 0;
    for (const Coordinate& each : at) {
      rank += each.position * step_.topology->family(each.axis).groups.front().stride;
    }
    asks.left = left;
    asks.right = right;
    asks.rank = static_cast<std::int32_t>(rank);
    add(asks);
  }

  void never(std::string_view reason) { add({.kind = ObligationKind::never, .reason = reason}); }

  // The same demand of a later layer adds nothing: the first that asks is the one to blame.
  void add(Obligation obligation) {
    for (const Obligation& old : out_.obligations) {
      if (old.kind == obligation.kind && old.left == obligation.left &&
          old.right == obligation.right && old.bound == obligation.bound) {
        return;
      }
    }
    obligation.block = block_;
    obligation.op = op_;
    out_.obligations.push_back(obligation);
  }

  SymbolicStep& step_;
  std::vector<OpTrace>* trace_;
  std::array<Tensor, 2> tensors_{};
  WalkedStep out_;
  std::int32_t block_ = 0;
  std::int32_t op_ = 0;
  OpKind previous_ = OpKind::local;
};

}  // namespace

WalkedStep walk(SymbolicStep& step, std::vector<OpTrace>* trace) {
  return Walker(step, trace).run();
}

Expr rows_of(Exprs& exprs, const Topology& topology, const RankRows& rows, std::int64_t rank) {
  Coordinates at;
  for (std::uint8_t i = 0; i < rows.depth; ++i) {
    const GroupId axis = rows.splits.at(i).axis;
    at.push_back({axis, topology.position(axis, rank).value_or(0)});
  }
  return rows_at(exprs, rows, at);
}

}  // namespace capsize
