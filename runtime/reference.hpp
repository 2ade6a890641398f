// The reference backend: all ranks in this process, rows in its memory. What it does is what every
// operation means.
#pragma once

#include <vector>

#include "runtime/backend.hpp"
#include "runtime/host_rows.hpp"
#include "runtime/meetings.hpp"

namespace capsize {

class ReferenceBackend : public Backend, private MeetingHandler {
 public:
  [[nodiscard]] std::string_view name() const override { return "reference"; }
  [[nodiscard]] std::vector<std::int64_t> ranks(std::int64_t world) const override;
  [[nodiscard]] RowSpace& rows() override { return rows_; }
  [[nodiscard]] Result<void> begin(const Lifecycle& lifecycle) override;
  void compute(const Weights* weights, const LocalCall& call) override;
  [[nodiscard]] Arrived meet(const Arrival& arrival) override { return meetings_.meet(arrival); }
  [[nodiscard]] Arrived done(std::int64_t rank) override { return meetings_.done(rank); }
  void prepare(const OutputPlace& output) override { prepare_on_host(output); }
  [[nodiscard]] OutputFault look(const OutputPlace& output) override {
    return look_on_host(output);
  }
  void poison(Matrix rows, Poison poison, std::uint64_t salt) override;
  [[nodiscard]] Result<bool> end_event(bool failed) override;

 private:
  [[nodiscard]] bool wants_moves() const override { return true; }
  [[nodiscard]] ConstMatrix operand(const Arrival& arrival, bool in_place) override;
  void complete(const CompleteMeeting& meeting) override;

  HostRows rows_;
  Meetings meetings_{*this};
  std::vector<std::vector<std::byte>> kept_;  // operands that outputs lie over
};

}  // namespace capsize
