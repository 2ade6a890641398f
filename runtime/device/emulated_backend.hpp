// The emulated backend: all ranks of a layout on one device, in one process. Where the reference
// moves rows when ranks meet, this puts the meeting off until the run ends and does what all ranks
// do there in one launch. It stays the reference's executor, checks and report.
//
//   HostDevice device;                    // or a GPU
//   EmulatedBackend backend(device);
//   Result<Observation> seen = execute(plan, options, backend);
#pragma once

#include "runtime/device/device_backend.hpp"
#include "runtime/meetings.hpp"

namespace capsize {

class EmulatedBackend : public DeviceBackend, private MeetingHandler {
 public:
  explicit EmulatedBackend(Device& device, std::int64_t memory_max = kMemoryMax)
      : DeviceBackend(device, memory_max) {}

  [[nodiscard]] std::string_view name() const override { return "emulated"; }
  [[nodiscard]] std::vector<std::int64_t> ranks(std::int64_t world) const override;
  [[nodiscard]] Result<void> begin(const Lifecycle& lifecycle) override;
  [[nodiscard]] Arrived meet(const Arrival& arrival) override { return meetings_.meet(arrival); }
  [[nodiscard]] Arrived done(std::int64_t rank) override { return meetings_.done(rank); }
  [[nodiscard]] Result<bool> end_event(bool failed) override;

 private:
  [[nodiscard]] bool wants_moves() const override { return false; }
  [[nodiscard]] ConstMatrix operand(const Arrival& arrival, bool in_place) override {
    return operand_on_device(arrival, in_place);
  }
  void complete(const CompleteMeeting& meeting) override { put_off(meeting); }

  Meetings meetings_{*this};
};

}  // namespace capsize
