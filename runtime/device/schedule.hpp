// In which order a device does what many ranks have put off: each rank's items stay in their order,
// and as many items of one kind as can be go together. Pure: it knows no rows and no device.
//
//   Schedule schedule;
//   schedule.begin(ranks);
//   schedule.add(kind, {0});            // of rank 0 alone
//   schedule.add(other, {0, 1, 2, 3});  // a meeting: behind all that its members have put off
//   schedule.for_batches(...);          // items of one kind each, at most one a rank
//
// Where all ranks run the same operations, as many batches come out as one rank has items.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace capsize {

class Schedule {
 public:
  static constexpr std::size_t kNone = SIZE_MAX;

  // Forgets all items.
  void begin(std::size_t ranks);
  // The item's number: items are counted in the order in which they are added.
  std::size_t add(std::uint64_t kind, std::span<const std::int32_t> ranks);
  std::size_t add(std::uint64_t kind, std::int32_t rank) { return add(kind, std::span(&rank, 1)); }

  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] std::uint64_t kind(std::size_t item) const { return items_[item].kind; }
  [[nodiscard]] std::span<const std::int32_t> ranks(std::size_t item) const {
    return std::span(ranks_).subspan(items_[item].first, items_[item].count);
  }
  // What a rank has put off last.
  [[nodiscard]] std::size_t last(std::int32_t rank) const {
    const auto& queue = queues_[static_cast<std::size_t>(rank)].items;
    return queue.empty() ? kNone : queue.back();
  }

  // The batches, in order; each is called with the numbers of its items, ascending by rank.
  template <class Visit>
  void for_batches(Visit&& visit) {
    rewind();
    while (next_batch()) visit(std::span<const std::size_t>(batch_));
  }

 private:
  struct Item {
    std::uint64_t kind = 0;
    std::size_t first = 0;  // of ranks_
    std::uint32_t count = 0;
    std::uint32_t waiting = 0;  // members that it is next for
  };
  struct Queue {
    std::vector<std::size_t> items;
    std::size_t next = 0;
  };

  void rewind();
  void step(Queue& queue);
  [[nodiscard]] bool next_batch();

  std::vector<Item> items_;
  std::vector<std::int32_t> ranks_;
  std::vector<Queue> queues_;  // by rank
  std::vector<std::size_t> batch_;
};

}  // namespace capsize
