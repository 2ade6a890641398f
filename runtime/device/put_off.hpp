// What the ranks of a run have put off: local operations, completed meetings, fills and checks,
// each with its operands, until they are put together into launches over all ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/device/launch.hpp"
#include "runtime/device/schedule.hpp"
#include "runtime/meetings.hpp"

namespace capsize {

class PutOff {
 public:
  // Forgets everything.
  void begin(std::size_t ranks);

  void add(const Weights* weights, const LocalCall& call);
  void add(const CompleteMeeting& meeting);
  // An arrival that a library of the device serves, one rank at a time.
  void add_own(const Arrival& arrival);
  // Fills and checks of one operation of a rank go together.
  void add_fill(std::int32_t rank, bool captured, const FillLaunch::Item& item);
  std::size_t add_check(std::int32_t rank, bool captured, const CheckLaunch::Item& item);

  // In the order in which they were put off.
  [[nodiscard]] std::size_t size() const { return schedule_.size(); }
  [[nodiscard]] std::span<const std::int32_t> ranks(std::size_t item) const {
    return schedule_.ranks(item);
  }

  // What goes together: a launch; or arrivals for a library; or neither (a barrier).
  struct Batch {
    bool captured = false;
    bool looks = false;     // a fill before operations, or a look at them, and none itself
    std::size_t items = 0;  // operations, each of one rank or of a meeting
    const Launch* launch = nullptr;
    std::span<const Arrival> own;
  };
  template <class Visit>
  void for_batches(Visit&& visit) {
    schedule_.for_batches(
        [&](std::span<const std::size_t> items) { visit(static_cast<const Batch&>(make(items))); });
  }

 private:
  struct Range {  // of the vector that its kind says
    std::size_t first = 0;
    std::size_t count = 0;
  };
  struct Key;

  void add_item(const Key& key, std::span<const std::int32_t> ranks, std::size_t first);
  // Appends to what the rank has put off last, where that is of the same kind.
  std::size_t append(const Key& key, std::int32_t rank, std::size_t first);
  void add_weights(const Weights* weights, const LocalCall& call);
  void add_copy(const LocalCall& call, ConstMatrix from, std::int64_t at, bool clears);
  void add_moves(const CompleteMeeting& meeting, bool captured);
  [[nodiscard]] const Batch& make(std::span<const std::size_t> items);
  template <class Kind>
  [[nodiscard]] Kind collect(Kind launch, std::span<const std::size_t> items,
                             std::vector<typename Kind::Item>& from) const;

  Schedule schedule_;
  std::vector<Range> ranges_;  // by item
  const Weights* weights_ = nullptr;
  std::vector<FillLaunch::Item> fills_;
  std::vector<CopyLaunch::Item> copies_;
  std::vector<NormLaunch::Item> norms_;
  std::vector<AddLaunch::Item> adds_;
  std::vector<WeightsLaunch::Item> weighed_;
  std::vector<MixLaunch::Item> mixes_;
  std::vector<CollectiveLaunch::Item> collectives_;
  std::vector<SumLaunch::Item> sums_;
  std::vector<CheckLaunch::Item> checks_;
  std::vector<Arrival> own_;
  std::vector<std::int32_t> members_;
  Launch launch_;
  Batch batch_;
};

}  // namespace capsize
