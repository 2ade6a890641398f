#include "runtime/device/schedule.hpp"

namespace capsize {

void Schedule::begin(std::size_t ranks) {
  items_.clear();
  ranks_.clear();
  queues_.resize(ranks);
  for (Queue& each : queues_) each.items.clear();
}

std::size_t Schedule::add(std::uint64_t kind, std::span<const std::int32_t> ranks) {
  const std::size_t item = items_.size();
  items_.push_back({kind, ranks_.size(), static_cast<std::uint32_t>(ranks.size())});
  ranks_.insert(ranks_.end(), ranks.begin(), ranks.end());
  for (const std::int32_t rank : ranks) {
    queues_[static_cast<std::size_t>(rank)].items.push_back(item);
  }
  return item;
}

void Schedule::rewind() {
  for (Item& each : items_) each.waiting = 0;
  for (Queue& each : queues_) {
    each.next = 0;
    step(each);
  }
}

// The item at the head of the queue has one more member that waits for it.
void Schedule::step(Queue& queue) {
  if (queue.next < queue.items.size()) ++items_[queue.items[queue.next]].waiting;
}

// The rank that has most left to do decides what is done next: the others can do theirs later
// without anybody waiting longer. All heads of that kind go with it.
bool Schedule::next_batch() {
  batch_.clear();
  std::size_t most = 0;
  std::uint64_t kind = 0;
  for (const Queue& each : queues_) {
    const std::size_t left = each.items.size() - each.next;
    if (left <= most) continue;
    const Item& head = items_[each.items[each.next]];
    if (head.waiting < head.count) continue;
    most = left;
    kind = head.kind;
  }
  if (most == 0) return false;
  for (std::size_t rank = 0; rank < queues_.size(); ++rank) {
    const Queue& queue = queues_[rank];
    if (queue.next == queue.items.size()) continue;
    const std::size_t item = queue.items[queue.next];
    const Item& head = items_[item];
    if (head.kind != kind || head.waiting < head.count) continue;
    if (ranks_[head.first] == static_cast<std::int32_t>(rank)) batch_.push_back(item);
  }
  for (const std::size_t item : batch_) {
    for (const std::int32_t rank : ranks(item)) {
      Queue& queue = queues_[static_cast<std::size_t>(rank)];
      ++queue.next;
      step(queue);
    }
  }
  return true;
}

}  // namespace capsize
