#include "runtime/plain/buffers.hpp"

#include <algorithm>
#include <limits>

#include "sim/content_hash.hpp"

namespace capsize {
namespace {

constexpr std::int64_t kNoEnd = std::numeric_limits<std::int64_t>::max();

bool is_allocated_in(const PlanEvent& event, std::int32_t buffer) {
  if (event.buffer == buffer) return event.kind == PlanEventKind::allocate;
  return std::ranges::any_of(event.programs, [buffer](const Program& program) {
    return std::ranges::any_of(program.ops, [buffer](const PlanOp& op) {
      return op.kind == PlanOpKind::allocate && op.buffer == buffer;
    });
  });
}

bool is_freed_in(const PlanEvent& event, std::int32_t buffer) {
  if (event.buffer == buffer) return event.kind == PlanEventKind::free;
  return std::ranges::any_of(event.programs, [buffer](const Program& program) {
    return std::ranges::any_of(program.ops, [buffer](const PlanOp& op) {
      return op.kind == PlanOpKind::free && op.buffer == buffer;
    });
  });
}

// What the plan does not allocate, or frees before it allocates it, was there before it began.
bool is_there_at_first(const Lifecycle& lifecycle, std::int32_t buffer) {
  for (const PlanEvent& event : lifecycle.events) {
    if (is_freed_in(event, buffer)) return true;
    if (is_allocated_in(event, buffer)) return false;
  }
  return true;
}

}  // namespace

RankBuffers::RankBuffers(const Lifecycle& lifecycle, std::int64_t rank)
    : lifecycle_(&lifecycle), rank_(rank), current_(lifecycle.buffers.size(), -1) {
  for (std::int32_t buffer = 0; buffer < std::ssize(lifecycle.buffers); ++buffer) {
    if (!owns(buffer)) continue;
    allocate(buffer, std::nullopt, false);
    if (!is_there_at_first(lifecycle, buffer)) blocks_.back().live = false;
  }
}

bool RankBuffers::owns(std::int32_t buffer) const {
  if (buffer < 0) return false;
  const RankSet& owner = lifecycle_->buffers[static_cast<std::size_t>(buffer)].owner;
  return owner.empty() || owner.contains(rank_);
}

void RankBuffers::allocate(std::int32_t buffer, std::optional<std::int64_t> bytes, bool by_graph) {
  if (!owns(buffer)) return;
  auto& current = current_[static_cast<std::size_t>(buffer)];
  Block block{.buffer = buffer, .of_graph = by_graph};
  block.bytes = bytes ? bytes : lifecycle_->buffers[static_cast<std::size_t>(buffer)].bytes;
  if (current >= 0) {
    // Allocating again without freeing leaves the old memory to whoever wants it.
    Block& before = blocks_[static_cast<std::size_t>(current)];
    before.live = false;
    block.generation = before.generation + 1;
    if (!bytes && before.bytes) block.bytes = before.bytes;
  }
  current = static_cast<std::int32_t>(blocks_.size());
  blocks_.push_back(std::move(block));
}

void RankBuffers::free(std::int32_t buffer) {
  if (!owns(buffer)) return;
  const std::int32_t current = current_[static_cast<std::size_t>(buffer)];
  if (current >= 0) blocks_[static_cast<std::size_t>(current)].live = false;
}

std::int32_t RankBuffers::block_of(std::int32_t buffer) const {
  return buffer < 0 ? -1 : current_[static_cast<std::size_t>(buffer)];
}

std::int64_t RankBuffers::end_of(const Block& block, const BufferRange& range) const {
  if (range.bytes < 0) return std::max(range.offset, block.bytes.value_or(kNoEnd));
  return range.bytes > kNoEnd - range.offset ? kNoEnd : range.offset + range.bytes;
}

std::int64_t RankBuffers::bytes_of(std::int32_t block, const BufferRange& range) const {
  return end_of(at(block), range) - range.offset;
}

std::optional<RankBuffers::Trouble> RankBuffers::trouble_at(std::int32_t block,
                                                            const BufferRange& range,
                                                            bool remembered) const {
  const std::string& name = lifecycle_->buffers[static_cast<std::size_t>(range.buffer)].name;
  if (block < 0) return Trouble{Check::address, name + " was never allocated"};
  const Block& there = at(block);
  if (!there.live && !there.of_graph) {
    const std::int32_t now = block_of(range.buffer);
    if (!remembered) return Trouble{Check::address, name + " is not allocated"};
    return Trouble{Check::address, now != block && at(now).live
                                       ? name + " has moved since the graph took its address"
                                       : name + " was freed, and the graph still has its address"};
  }
  if (there.bytes && (range.offset > *there.bytes || end_of(there, range) > *there.bytes)) {
    return Trouble{Check::guards, "bytes " + std::to_string(range.offset) + "-" +
                                      std::to_string(end_of(there, range)) + " of " + name +
                                      ", which has " + std::to_string(*there.bytes)};
  }
  return std::nullopt;
}

std::uint64_t RankBuffers::read(std::int32_t block, std::int64_t first, std::int64_t bytes,
                                std::optional<std::uint64_t> step) const {
  const Block& from = at(block);
  const std::int64_t end = bytes > kNoEnd - first ? kNoEnd : first + bytes;
  ContentHash hash;
  Content last;
  std::int64_t last_end = first;
  // Neighbours that were written alike read as one.
  const auto add = [&](std::int64_t until, Content content) {
    content = {.value = content.value, .origin = content.value == 0 ? 0 : content.origin};
    if (last_end > first && !(content == last)) {
      hash.add(last.value).add(last.value == 0 ? 0 : first - last.origin).add(last_end - first);
    }
    last = content;
    last_end = until;
  };
  const Content nobody = step ? Content{.value = *step} : Content{};
  auto part = from.parts.upper_bound(first);
  if (part != from.parts.begin()) --part;
  std::int64_t place = first;
  for (; part != from.parts.end() && part->first < end; ++part) {
    const auto& [until, content] = part->second;
    if (until <= place) continue;
    if (part->first > place) add(part->first, nobody);
    const bool of_step = step && content.of_step;
    add(std::min(until, end), of_step ? nobody : content);
    place = std::min(until, end);
  }
  if (place < end) add(end, nobody);
  hash.add(last.value).add(last.value == 0 ? 0 : first - last.origin).add(last_end - first);
  return hash.value();
}

void RankBuffers::split(Block& block, std::int64_t at) {
  auto part = block.parts.upper_bound(at);
  if (part == block.parts.begin()) return;
  --part;
  if (part->first >= at || part->second.first <= at) return;
  const auto behind = part->second;
  part->second.first = at;
  block.parts.emplace(at, behind);
}

void RankBuffers::write(std::int32_t block, const BufferRange& range, Content content) {
  Block& to = blocks_[static_cast<std::size_t>(block)];
  const std::int64_t end = end_of(to, range);
  if (end <= range.offset) return;
  split(to, range.offset);
  split(to, end);
  const auto first = to.parts.lower_bound(range.offset);
  const auto last = to.parts.lower_bound(end);
  // Of what is written over, the first that somebody still wants is remembered.
  for (auto part = first; part != last; ++part) {
    const Content& before = part->second.second;
    if (before.path != content.path && before.unread) content.lost = before.path;
    if (before.lost >= 0 && before.lost != content.path) content.lost = before.lost;
  }
  to.parts.erase(first, last);
  to.parts.emplace(range.offset, std::pair(end, content));
}

std::int32_t RankBuffers::read_output(std::int32_t block, const BufferRange& range,
                                      std::int32_t path) {
  Block& from = blocks_[static_cast<std::size_t>(block)];
  const std::int64_t end = end_of(from, range);
  split(from, range.offset);
  split(from, end);
  std::int32_t lost = -1;
  for (auto part = from.parts.lower_bound(range.offset);
       part != from.parts.end() && part->first < end; ++part) {
    Content& content = part->second.second;
    content.unread = false;
    if (content.lost == path) lost = content.lost;
  }
  return lost;
}

}  // namespace capsize
