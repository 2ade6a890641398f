#include "tests/property/row_simulation.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace capsize::property {
namespace {

using RowList = std::vector<std::int32_t>;

// Which rows of 0 ... rows-1 each part gets, dealt like cards into blocks of neighbours.
std::vector<RowList> deal(const RowList& rows, std::int64_t ways) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(ways), 0);
  for (std::size_t i = 0; i < rows.size(); ++i) ++counts[i % counts.size()];
  std::vector<RowList> parts(counts.size());
  std::size_t next = 0;
  for (std::size_t part = 0; part < counts.size(); ++part) {
    for (std::int64_t k = 0; k < counts[part]; ++k) parts[part].push_back(rows[next++]);
  }
  return parts;
}

RowList part_of(const RowList& rows, const Split& split, std::int64_t position) {
  const auto at = static_cast<std::size_t>(position);
  if (split.kind == SplitKind::parts) return deal(rows, split.ways).at(at);
  const auto blocks = static_cast<std::size_t>(2 * split.ways);
  if (rows.size() < blocks) return rows;  // too few rows for a zigzag: everyone keeps all
  const std::vector<RowList> dealt = deal(rows, 2 * split.ways);
  RowList out = dealt.at(at);
  out.insert(out.end(), dealt.at(blocks - 1 - at).begin(), dealt.at(blocks - 1 - at).end());
  return out;
}

struct Tensor {
  std::vector<RowList> on;        // by rank
  std::vector<GroupId> unsummed;  // groups whose ranks hold parts of a sum
};

class Simulation {
 public:
  Simulation(const SymbolicStep& step, std::int64_t n)
      : step_(step), topology_(*step.topology), n_(n) {}

  std::string run() {
    enter(step_.entry_rows);
    for (const LayerBlock& block : step_.blocks) {
      if (block.enters_with) enter(*block.enters_with);
      // A layer that does not hand on what it took shows in its second run.
      for (std::int64_t i = 0; i < std::min<std::int64_t>(block.repeat, 2); ++i) {
        for (const Op& op : block.ops) {
          apply(op, tensors_.at(static_cast<std::size_t>(op.slot)));
          previous_ = op.kind;
          if (!fault_.empty()) return std::string(name_of(op.kind)) + ": " + fault_;
        }
      }
    }
    return fault_;
  }

 private:
  [[nodiscard]] std::size_t world() const { return static_cast<std::size_t>(topology_.world); }
  [[nodiscard]] std::int64_t position(GroupId axis, std::size_t rank) const {
    return topology_.position(axis, static_cast<std::int64_t>(rank)).value_or(0);
  }

  // What `rank` holds where its rows are `rows`: replicas hold rows of their own, and the splits
  // cut what one replica holds.
  [[nodiscard]] RowList held(const RankRows& rows, std::size_t rank) const {
    const std::int64_t count = step_.exprs.value_at(rows.base, n_);
    std::int64_t first = 0;
    for (std::uint8_t i = 0; i < step_.entry_layout.depth; ++i) {
      const GroupId axis = step_.entry_layout.parts.at(i).axis;
      bool cut = false;
      for (std::uint8_t k = 0; k < step_.entry_rows.depth; ++k) {
        cut = cut || step_.entry_rows.splits.at(k).axis == axis;
      }
      if (!cut) first = first * topology_.size_of(axis) + position(axis, rank);
    }
    RowList out(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<std::int32_t>(first * count) + static_cast<std::int32_t>(i);
    }
    for (std::uint8_t i = 0; i < rows.depth; ++i) {
      const Split& split = rows.splits.at(i);
      out = part_of(out, split, position(split.axis, rank));
    }
    return out;
  }

  void enter(const RankRows& rows) {
    for (Tensor& tensor : tensors_) {
      tensor.on.clear();
      for (std::size_t rank = 0; rank < world(); ++rank) tensor.on.push_back(held(rows, rank));
      tensor.unsummed.clear();
    }
  }

  void apply(const Op& op, Tensor& tensor) {
    if (op.kind == OpKind::add_norm) return add_norm(tensors_[0].unsummed);
    if (op.kind == OpKind::add_first) return add_first(op.group);
    if (op.kind == OpKind::keep_own) return keep_own();
    if (op.kind == OpKind::restart_residual) tensors_[1] = tensors_[0];
    if (op.kind == OpKind::local || op.kind == OpKind::restart_residual) return;
    if (topology_.size_of(op.group) <= 1) return;
    switch (op.kind) {
      case OpKind::reduce_scatter: return reduce_scatter(op.group, tensor);
      case OpKind::all_reduce: return sum(op.group, tensor);
      case OpKind::all_gather: return gather(op, tensor);
      case OpKind::all_gather_padded: return gather_all(op, tensor);
      case OpKind::sum_into_buffer: return sum_into_buffer(op, tensor);
      case OpKind::slice: return slice(op.group, tensor);
      case OpKind::take_own: return take_own(op.buffer, tensor);
      default: return compute(op, tensor);
    }
  }

  void add_norm(const std::vector<GroupId>& unsummed) {
    if (tensors_[0].on != tensors_[1].on) fault_ = "hidden and residual hold different rows";
    if (unsummed != tensors_[1].unsummed) fault_ = "one operand is a part of a sum";
  }

  // What one rank of a group adds to its part of a sum is added once.
  void add_first(GroupId group) {
    std::vector<GroupId> others = tensors_[0].unsummed;
    if (std::erase(others, group) == 0 && topology_.size_of(group) > 1) {
      fault_ = "nothing to sum over the group";
    }
    add_norm(others);
  }

  // The residual is taken back from hidden, which must hold all of its rows, summed.
  void keep_own() {
    if (!tensors_[0].unsummed.empty()) fault_ = "its operand is a part of a sum";
    for (std::size_t rank = 0; rank < world(); ++rank) {
      RowList there = tensors_[0].on[rank];
      RowList wanted = tensors_[1].on[rank];
      std::ranges::sort(there);
      std::ranges::sort(wanted);
      if (!std::ranges::includes(there, wanted)) fault_ = "a row of the residual is not gathered";
    }
  }

  // Calls f(ranks of the group) for every group of the family.
  template <class F>
  void each_group(GroupId id, const F& f) {
    for (const GroupShape& shape : topology_.family(id).groups) {
      std::vector<std::size_t> ranks;
      for (std::int64_t i = 0; i < shape.size; ++i) {
        ranks.push_back(static_cast<std::size_t>(shape.rank(i)));
      }
      f(ranks);
    }
  }

  void same_rows(GroupId id, const Tensor& tensor) {
    each_group(id, [&](const std::vector<std::size_t>& ranks) {
      for (const std::size_t rank : ranks) {
        if (tensor.on[rank] != tensor.on[ranks[0]]) fault_ = "the group holds different rows";
      }
    });
  }

  void compute(const Op& op, Tensor& tensor) {
    const bool second = op.kind == OpKind::moe && previous_ == OpKind::moe;
    if (!tensor.unsummed.empty() && !second) fault_ = "its operand is a part of a sum";
    same_rows(op.group, tensor);
    tensor.unsummed.push_back(op.group);
  }

  void sum(GroupId id, Tensor& tensor) {
    const auto found = std::ranges::find(tensor.unsummed, id);
    if (found == tensor.unsummed.end()) {
      fault_ = "nothing to sum over the group";
      return;
    }
    tensor.unsummed.erase(found);
    same_rows(id, tensor);
  }

  void reduce_scatter(GroupId id, Tensor& tensor) {
    sum(id, tensor);
    if (!fault_.empty()) return;
    each_group(id, [&](const std::vector<std::size_t>& ranks) {
      const RowList rows = tensor.on[ranks[0]];
      if (rows.size() % ranks.size() != 0) {
        fault_ = std::to_string(rows.size()) + " rows for " + std::to_string(ranks.size());
        return;
      }
      const std::size_t share = rows.size() / ranks.size();
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        const auto first = rows.begin() + static_cast<std::ptrdiff_t>(i * share);
        tensor.on[ranks[i]].assign(first, first + static_cast<std::ptrdiff_t>(share));
      }
    });
  }

  void slice(GroupId id, Tensor& tensor) {
    for (std::size_t rank = 0; rank < world(); ++rank) {
      tensor.on[rank] = deal(tensor.on[rank], topology_.size_of(id))
                            .at(static_cast<std::size_t>(position(id, rank)));
    }
  }

  void take_own(const RankRows& rows, Tensor& tensor) {
    for (std::size_t rank = 0; rank < world(); ++rank) tensor.on[rank] = held(rows, rank);
  }

  [[nodiscard]] RowList joined(const Tensor& tensor, const std::vector<std::size_t>& ranks) const {
    RowList all;
    for (const std::size_t rank : ranks) {
      all.insert(all.end(), tensor.on[rank].begin(), tensor.on[rank].end());
    }
    std::ranges::sort(all);
    return all;
  }

  void replace(const std::vector<std::size_t>& ranks, Tensor& tensor, const RowList& rows) {
    for (const std::size_t rank : ranks) tensor.on[rank] = rows;
  }

  void gather(const Op& op, Tensor& tensor) {
    if (!tensor.unsummed.empty()) fault_ = "its operand is a part of a sum";
    each_group(op.group, [&](const std::vector<std::size_t>& ranks) {
      for (const std::size_t rank : ranks) {
        if (tensor.on[rank].size() != tensor.on[ranks[0]].size()) fault_ = "unequal parts";
        if (tensor.on[rank].size() * ranks.size() != held(op.buffer, rank).size()) {
          fault_ = "the buffer is not filled";
        }
      }
      replace(ranks, tensor, joined(tensor, ranks));
    });
  }

  // Unequal parts, padded to the largest. Where the buffer takes no more than a rank holds the
  // split is off and nothing is gathered.
  void gather_all(const Op& op, Tensor& tensor) {
    each_group(op.group, [&](const std::vector<std::size_t>& ranks) {
      if (held(op.buffer, ranks[0]).size() == tensor.on[ranks[0]].size()) {
        return same_rows(op.group, tensor);
      }
      const RowList rows = joined(tensor, ranks);
      if (std::ranges::adjacent_find(rows) != rows.end()) fault_ = "a row is gathered twice";
      replace(ranks, tensor, rows);
    });
  }

  // Every rank adds its rows at their own place; where its rows are a part of a sum, as many
  // ranks add to a place as hold parts of it.
  void sum_into_buffer(const Op& op, Tensor& tensor) {
    std::size_t parts = 1;
    for (const GroupId id : tensor.unsummed) {
      parts *= static_cast<std::size_t>(topology_.size_of(id));
    }
    tensor.unsummed.clear();
    each_group(op.group, [&](const std::vector<std::size_t>& ranks) {
      RowList rows = joined(tensor, ranks);
      const std::size_t added = rows.size();
      rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
      if (rows.size() * parts != added) fault_ = "a row is added more than once";
      replace(ranks, tensor, rows);
    });
  }

  const SymbolicStep& step_;
  const Topology& topology_;
  std::int64_t n_;
  std::array<Tensor, 2> tensors_;
  OpKind previous_ = OpKind::local;
  std::string fault_;
};

}  // namespace

std::string stops_at(const SymbolicStep& step, std::int64_t n) { return Simulation(step, n).run(); }

}  // namespace capsize::property
