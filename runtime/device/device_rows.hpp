// Rows in the memory of a device. What is done to them is put together into few launches over all
// ranks: a launch takes what does not touch the rows of another that is still to come, or came
// before.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <vector>

#include "runtime/device/device.hpp"
#include "runtime/row_space.hpp"

namespace capsize {

class DeviceRows : public RowSpace {
 public:
  DeviceRows(Device& device, std::int64_t memory_max) : device_(device), memory_max_(memory_max) {}

  [[nodiscard]] Result<std::span<std::byte>> memory(std::size_t bytes, bool plain) override;
  [[nodiscard]] std::int64_t memory_max() const override { return memory_max_; }
  [[nodiscard]] Result<ConstMatrix> keep(const KeptKey& key, ConstMatrix rows) override;
  void copy(ConstMatrix from, Matrix to) override;
  void fill(Matrix rows, std::uint32_t bits) override;
  void ask_difference(ConstMatrix found, ConstMatrix expected) override;
  void ask_unwritten(ConstMatrix rows) override;
  void ask_touched(ConstMatrix rows) override;
  [[nodiscard]] Result<std::vector<Answer>> answers() override;
  [[nodiscard]] Result<ConstMatrix> on_host(ConstMatrix rows) override;

  void poison(Matrix rows, Poison poison, std::uint64_t salt);
  // Launches what is still to come.
  [[nodiscard]] Result<void> flush();

  // Rows outside of the memory as rows inside, where it can be read by the host; until release().
  [[nodiscard]] Result<ConstMatrix> aside(ConstMatrix rows);
  void release() { aside_used_ = 0; }
  // Whether the host reads and writes the memory, and the rows lie elsewhere.
  [[nodiscard]] bool lies_elsewhere(ConstMatrix rows) const;

 private:
  struct Range {
    const std::byte* begin = nullptr;
    const std::byte* end = nullptr;
  };
  // A launch that is still to come, with what it writes and reads.
  struct Pending {
    Launch launch;
    ElementType type = ElementType::uint32;
    std::int64_t columns = 0;
    std::vector<Range> writes;
    std::vector<Range> reads;
  };
  struct Kept {
    ConstMatrix rows;        // as many as there is room for
    std::int64_t count = 0;  // that are there
  };
  static Range range_of(ConstMatrix rows) { return {rows.data, rows.data + rows.bytes()}; }
  // The launch of one kind that an item goes into.
  template <class Kind>
  [[nodiscard]] Kind& launch_for(ConstMatrix written, std::initializer_list<ConstMatrix> read);
  void ask_check(ConstMatrix rows, CheckLaunch::Kind kind);
  [[nodiscard]] std::size_t next_slot(ConstMatrix rows);

  Device& device_;
  std::int64_t memory_max_;
  std::span<std::byte> memory_;
  std::span<std::byte> aside_;
  std::size_t aside_used_ = 0;
  std::map<KeptKey, Kept> kept_;
  std::vector<Pending> pending_;
  std::vector<std::int64_t> questions_;  // in `pending_`: the columns of each
  std::vector<Answer> answers_;
  std::vector<std::byte> on_host_;
};

}  // namespace capsize
