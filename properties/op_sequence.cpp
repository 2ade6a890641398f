#include "properties/op_sequence.hpp"

#include <algorithm>
#include <set>
#include <span>
#include <string>
#include <tuple>

namespace capsize {
namespace {

// One end of a send or receive: of which pair, and which operation of which class.
struct End {
  std::int32_t group = -1;
  std::int64_t sender = 0;
  std::int64_t receiver = 0;
  bool sends = false;
  std::int32_t running = 0;
  std::int32_t place = 0;  // in Running::ops

  [[nodiscard]] auto pair() const { return std::tuple(group, sender, receiver); }
  friend auto operator<=>(const End&, const End&) = default;
};

void add_ends(const Timeline& timeline, const Running& running, std::int32_t number, Effort& effort,
              std::vector<End>& out) {
  for (std::size_t i = 0; i < running.ops.size(); ++i) {
    const PlanOp& op = *running.ops[i].op;
    if (!is_point_to_point(op.kind) || !op.peer) continue;
    if (!effort.spend(running.ranks.count())) return;
    const bool sends = op.kind == PlanOpKind::send;
    const Program& holder = running.ops[i].from_graph ? *running.graph : *running.program;
    running.ranks.for_each([&](std::int64_t rank) {
      const auto peer = peer_of(timeline.lifecycle(), holder, op, rank);
      if (!peer) return;
      out.push_back({op.group.index, sends ? rank : *peer, sends ? *peer : rank, sends, number,
                     static_cast<std::int32_t>(i)});
    });
  }
}

bool holds(std::span<const End> ends, const Running& running, const RunOp& op) {
  const auto place = static_cast<std::int32_t>(&op - running.ops.data());
  return std::ranges::any_of(ends, [&](const End& end) { return end.place == place; });
}

// The ends of one pair, receives first.
Exchange exchange_of(const EventRun& event, std::span<const End> ends,
                     const std::vector<std::int32_t>& classes) {
  const auto split = static_cast<std::size_t>(
      std::ranges::partition_point(ends, [](const End& end) { return !end.sends; }) - ends.begin());
  const auto sequence = [&event](std::span<const End> side) {
    if (side.empty()) return OpSequence();
    const Running& running = event.runnings[static_cast<std::size_t>(side.front().running)];
    return OpSequence(running, [&](const RunOp& op) { return holds(side, running, op); });
  };
  const End& any = ends.front();
  return {.group = GroupId{static_cast<std::int8_t>(any.group)},
          .sender = any.sender,
          .receiver = any.receiver,
          .sending = classes[static_cast<std::size_t>(any.sender)],
          .receiving = classes[static_cast<std::size_t>(any.receiver)],
          .sends = sequence(ends.subspan(split)),
          .receives = sequence(ends.first(split))};
}

bool is_known(const EventRun& event, std::int32_t running) {
  return running < 0 || !is_unknown(event.runnings[static_cast<std::size_t>(running)]);
}

}  // namespace

std::int64_t OpSequence::length_of(const Part& part) const {
  std::int64_t sum = 0;
  for (std::int32_t b = part.first_block; b < part.first_block + part.blocks; ++b) {
    const Block& block = blocks[static_cast<std::size_t>(b)];
    sum += block.count * block.repeat;
  }
  return sum;
}

std::int64_t OpSequence::length() const {
  std::int64_t sum = 0;
  for (const Part& part : parts) sum += part.repeat * length_of(part);
  return sum;
}

OpInstance OpCursor::instance() const {
  if (at_end()) return {};
  return {part().number, part_turn_, block().number, turn_, &op()};
}

void OpCursor::next() {
  if (++at_ < block().count) return;
  at_ = 0;
  ++turn_;
  settle();
}

// Goes on to the next block, repetition or part where one has been passed.
void OpCursor::settle() {
  if (turn_ < block().repeat) return;
  turn_ = 0;
  if (++block_ < part().blocks) return;
  block_ = 0;
  if (++part_turn_ < part().repeat) return;
  part_turn_ = 0;
  ++part_;
}

void OpCursor::skip_turns(std::int64_t turns) {
  turn_ += turns;
  settle();
}

void OpCursor::skip_part_turns(std::int64_t turns) {
  part_turn_ += turns;
  if (part_turn_ < part().repeat) return;
  part_turn_ = 0;
  ++part_;
}

std::int64_t FoldedPair::skip(OpCursor& a, OpCursor& b) {
  if (!a.begins_block() || !b.begins_block()) return 0;
  if (a.begins_part() && b.begins_part()) {
    if (part_ && a.in_part_of(part_->a) && b.in_part_of(part_->b)) {
      const std::int64_t of_a = a.part_turn() - part_->a.part_turn();
      const std::int64_t of_b = b.part_turn() - part_->b.part_turn();
      const std::int64_t times = std::min((a.part().repeat - a.part_turn()) / of_a,
                                          (b.part().repeat - b.part_turn()) / of_b);
      const std::int64_t passed = times * of_a * a.length_of_part();
      part_.reset();
      block_.reset();
      if (times > 0) {
        a.skip_part_turns(times * of_a);
        b.skip_part_turns(times * of_b);
        return passed;
      }
    }
    part_ = Mark{a, b};
  }
  if (block_ && a.in_block_of(block_->a) && b.in_block_of(block_->b)) {
    const std::int64_t of_a = a.turn() - block_->a.turn();
    const std::int64_t of_b = b.turn() - block_->b.turn();
    const std::int64_t times =
        std::min((a.block().repeat - a.turn()) / of_a, (b.block().repeat - b.turn()) / of_b);
    const std::int64_t passed = times * of_a * a.block().count;
    block_.reset();
    if (times > 0) {
      a.skip_turns(times * of_a);
      b.skip_turns(times * of_b);
      return passed;
    }
  }
  block_ = Mark{a, b};
  return 0;
}

bool is_unknown(const Running& running) {
  return running.graph_missing &&
         std::ranges::none_of(running.ops, [](const RunOp& op) { return op.captured; });
}

std::vector<std::int32_t> classes_by_rank(const Timeline& timeline, const EventRun& event) {
  std::vector<std::int32_t> out(static_cast<std::size_t>(timeline.lifecycle().world), -1);
  for (std::size_t i = 0; i < event.runnings.size(); ++i) {
    event.runnings[i].ranks.for_each([&](std::int64_t rank) {
      out[static_cast<std::size_t>(rank)] = static_cast<std::int32_t>(i);
    });
  }
  return out;
}

std::vector<Exchange> exchanges_of(const Timeline& timeline, const EventRun& event,
                                   Effort& effort) {
  std::vector<End> ends;
  for (std::size_t i = 0; i < event.runnings.size(); ++i) {
    add_ends(timeline, event.runnings[i], static_cast<std::int32_t>(i), effort, ends);
  }
  std::vector<Exchange> out;
  if (ends.empty() || effort.spent()) return out;
  std::ranges::sort(ends);
  const auto classes = classes_by_rank(timeline, event);
  std::set<std::vector<std::int64_t>> told;
  for (auto from = ends.begin(); from != ends.end();) {
    const auto to =
        std::find_if(from, ends.end(), [&](const End& end) { return end.pair() != from->pair(); });
    const std::span<const End> pair(from, to);
    const std::int32_t sending = classes[static_cast<std::size_t>(from->sender)];
    const std::int32_t receiving = classes[static_cast<std::size_t>(from->receiver)];
    std::vector<std::int64_t> signature = {from->group, sending, receiving};
    for (const End& end : pair)
      signature.push_back(2 * std::int64_t{end.place} + (end.sends ? 1 : 0));
    from = to;
    if (!is_known(event, sending) || !is_known(event, receiving)) continue;
    if (told.insert(std::move(signature)).second) {
      out.push_back(exchange_of(event, pair, classes));
    }
  }
  return out;
}

}  // namespace capsize
