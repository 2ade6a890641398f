// The operations that one class of ranks issues over one communicator, in order, with their repeats
// left folded; and a walk over two such sequences side by side that never unfolds what comes again.
//
//   const OpSequence a(running_a, over(tp)), b(running_b, over(tp));
//   const Walk walk = walk_along(a, b, effort, [](const RunOp& x, const RunOp& y) {
//     return x.op->kind == y.op->kind;   // false stops the walk
//   });
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sim/timeline.hpp"

namespace capsize {

// The steps that a law may still spend on plans that cannot be compared while folded. A law that
// runs out of them has not judged what it looked at.
class Effort {
 public:
  explicit Effort(std::int64_t steps) : left_(steps) {}
  // False where there are not so many left.
  bool spend(std::int64_t steps = 1) {
    left_ = steps > left_ ? -1 : left_ - steps;
    return left_ >= 0;
  }
  [[nodiscard]] bool spent() const { return left_ < 0; }

 private:
  std::int64_t left_;
};

// Those operations of a class that `keep` lets through.
class OpSequence {
 public:
  struct Block {
    std::int32_t first = 0;
    std::int32_t count = 0;
    std::int64_t repeat = 1;
    std::int32_t number = 0;  // place in Running::blocks
  };
  struct Part {
    std::int32_t first_block = 0;
    std::int32_t blocks = 0;
    std::int64_t repeat = 1;
    std::int32_t number = 0;  // place in Running::parts
  };

  OpSequence() = default;  // of ranks that run nothing

  template <class Keep>
  OpSequence(const Running& running, const Keep& keep) {
    for (std::size_t p = 0; p < running.parts.size(); ++p) {
      const RunPart& part = running.parts[p];
      const auto first_block = static_cast<std::int32_t>(blocks.size());
      for (std::int32_t b = part.first_block; b < part.first_block + part.blocks; ++b) {
        const RunBlock& block = running.blocks[static_cast<std::size_t>(b)];
        const auto first = static_cast<std::int32_t>(ops.size());
        for (std::int32_t i = block.first; i < block.first + block.count; ++i) {
          const RunOp& op = running.ops[static_cast<std::size_t>(i)];
          if (keep(op)) ops.push_back(&op);
        }
        const auto count = static_cast<std::int32_t>(ops.size()) - first;
        if (count > 0 && block.repeat > 0) blocks.push_back({first, count, block.repeat, b});
      }
      const auto count = static_cast<std::int32_t>(blocks.size()) - first_block;
      if (count == 0 || part.repeat <= 0) {
        blocks.resize(static_cast<std::size_t>(first_block));
        continue;
      }
      parts.push_back({first_block, count, part.repeat, static_cast<std::int32_t>(p)});
    }
  }

  [[nodiscard]] bool empty() const { return parts.empty(); }
  // Operations in all repetitions.
  [[nodiscard]] std::int64_t length() const;
  // Operations in one repetition of a part.
  [[nodiscard]] std::int64_t length_of(const Part& part) const;

  std::vector<const RunOp*> ops;
  std::vector<Block> blocks;
  std::vector<Part> parts;
};

// Lets through the collectives over one family.
[[nodiscard]] inline auto over(GroupId family) {
  return
      [family](const RunOp& run) { return run.op->group == family && is_collective(run.op->kind); };
}

// One operation of one repetition. Two of one class compare as they are issued.
struct OpInstance {
  std::int32_t part = INT32_MAX;
  std::int64_t part_turn = 0;
  std::int32_t block = 0;
  std::int64_t turn = 0;
  const RunOp* op = nullptr;  // of one array
  friend auto operator<=>(const OpInstance&, const OpInstance&) = default;
};

// A place in an unfolded sequence.
class OpCursor {
 public:
  explicit OpCursor(const OpSequence& sequence) : sequence_(&sequence) {}

  [[nodiscard]] bool at_end() const { return part_ == sequence_->parts.size(); }
  [[nodiscard]] const RunOp& op() const {
    return *sequence_->ops[static_cast<std::size_t>(block().first + at_)];
  }
  // Above all others at the end.
  [[nodiscard]] OpInstance instance() const;
  void next();

  // Where repetitions begin.
  [[nodiscard]] bool begins_block() const { return at_ == 0; }
  [[nodiscard]] bool begins_part() const { return at_ == 0 && turn_ == 0 && block_ == 0; }
  [[nodiscard]] const OpSequence::Part& part() const { return sequence_->parts[part_]; }
  [[nodiscard]] const OpSequence::Block& block() const {
    return sequence_->blocks[static_cast<std::size_t>(part().first_block + block_)];
  }
  [[nodiscard]] std::int64_t length_of_part() const { return sequence_->length_of(part()); }
  [[nodiscard]] std::int64_t turn() const { return turn_; }
  [[nodiscard]] std::int64_t part_turn() const { return part_turn_; }
  [[nodiscard]] bool in_block_of(const OpCursor& other) const {
    return part_ == other.part_ && part_turn_ == other.part_turn_ && block_ == other.block_;
  }
  [[nodiscard]] bool in_part_of(const OpCursor& other) const { return part_ == other.part_; }
  // Passes whole repetitions, of the block or of the part; only where one begins.
  void skip_turns(std::int64_t turns);
  void skip_part_turns(std::int64_t turns);

 private:
  void settle();

  const OpSequence* sequence_;
  std::size_t part_ = 0;
  std::int64_t part_turn_ = 0;
  std::int32_t block_ = 0;  // in the part
  std::int64_t turn_ = 0;
  std::int32_t at_ = 0;  // in the block
};

enum class WalkEnd : std::uint8_t { both_end, one_ends, stopped, too_long };

// How a walk ended: after `position` operations, at `a` and `b` (none: that sequence has ended).
struct Walk {
  WalkEnd end = WalkEnd::both_end;
  std::int64_t position = 0;
  const RunOp* a = nullptr;
  const RunOp* b = nullptr;
};

// Two cursors where both last began a repetition, and the repetitions that they can pass at once:
// once both begin one again in the same blocks, what lies between comes again as it was.
class FoldedPair {
 public:
  // Operations passed.
  [[nodiscard]] std::int64_t skip(OpCursor& a, OpCursor& b);

 private:
  struct Mark {
    OpCursor a;
    OpCursor b;
  };
  std::optional<Mark> block_;
  std::optional<Mark> part_;
};

// Walks two sequences in step; `visit(a, b)`, or `visit(a, b, position)`, is called for operations
// at one position, once for those that come again together, and says whether to go on.
template <class Visit>
[[nodiscard]] Walk walk_along(const OpSequence& a, const OpSequence& b, Effort& effort,
                              const Visit& visit) {
  Walk walk;
  OpCursor x(a);
  OpCursor y(b);
  FoldedPair folded;
  while (!x.at_end() && !y.at_end()) {
    if (const std::int64_t skipped = folded.skip(x, y); skipped > 0) {
      walk.position += skipped;
      continue;
    }
    const bool enough = effort.spend();
    walk.end = enough ? WalkEnd::stopped : WalkEnd::too_long;
    walk.a = &x.op();
    walk.b = &y.op();
    if (!enough) return walk;
    if constexpr (std::is_invocable_v<Visit, const RunOp&, const RunOp&, std::int64_t>) {
      if (!visit(*walk.a, *walk.b, walk.position)) return walk;
    } else {
      if (!visit(*walk.a, *walk.b)) return walk;
    }
    x.next();
    y.next();
    ++walk.position;
  }
  walk.a = x.at_end() ? nullptr : &x.op();
  walk.b = y.at_end() ? nullptr : &y.op();
  walk.end = x.at_end() && y.at_end() ? WalkEnd::both_end : WalkEnd::one_ends;
  return walk;
}

// Whether it is not known what a class runs: a replay whose capture is missing.
[[nodiscard]] bool is_unknown(const Running& running);

// The sends and receives of one pair of ranks in one direction; pairs whose classes exchange the
// same operations are told once, by the first of them.
struct Exchange {
  GroupId group;
  std::int64_t sender = 0;
  std::int64_t receiver = 0;
  std::int32_t sending = -1;  // places in EventRun::runnings; -1: that rank runs nothing
  std::int32_t receiving = -1;
  OpSequence sends;
  OpSequence receives;
};

// The class of each rank: a place in EventRun::runnings; -1: it runs nothing.
[[nodiscard]] std::vector<std::int32_t> classes_by_rank(const Timeline& timeline,
                                                        const EventRun& event);

// Those members of the group of a meeting whose class `keep` lets through; `classes` as
// classes_by_rank tells them.
template <class Keep>
[[nodiscard]] RankSet members_of(const Timeline& timeline, GroupId family, const Meeting& meeting,
                                 const std::vector<std::int32_t>& classes, const Keep& keep) {
  auto ranks = timeline.lifecycle().family(family).groups[static_cast<std::size_t>(meeting.group)];
  std::ranges::sort(ranks);
  RankSet out;
  for (const std::int32_t rank : ranks) {
    if (keep(classes[static_cast<std::size_t>(rank)])) out.append({rank, rank});
  }
  return out;
}

// All exchanges of an event between ranks whose operations are known.
[[nodiscard]] std::vector<Exchange> exchanges_of(const Timeline& timeline, const EventRun& event,
                                                 Effort& effort);

}  // namespace capsize
