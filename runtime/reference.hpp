// The reference backend: all ranks in this process. It is the meaning of every collective, and the
// only backend that can be sure of a hang: where no rank can go on, none ever will.
#pragma once

#include <map>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/host_rows.hpp"

namespace capsize {

class ReferenceBackend : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "reference"; }
  [[nodiscard]] std::vector<std::int64_t> ranks(std::int64_t world) const override;
  [[nodiscard]] RowSpace& rows() override { return rows_; }
  [[nodiscard]] Result<void> begin(const Lifecycle& lifecycle) override;
  void compute(const Weights* weights, const LocalCall& call) override;
  [[nodiscard]] Arrived meet(const Arrival& arrival) override;
  [[nodiscard]] Arrived done(std::int64_t rank) override;
  void prepare(const OutputPlace& output) override { prepare_on_host(output); }
  [[nodiscard]] OutputFault look(const OutputPlace& output) override {
    return look_on_host(output);
  }
  void poison(Matrix rows, Poison poison, std::uint64_t salt) override;
  [[nodiscard]] Result<bool> end_event(bool failed) override;

 private:
  // Those who have arrived at a communicator and wait; the position of each in it is its own.
  struct Place {
    std::vector<Arrival> waiting;
  };
  // family, group
  using Key = std::pair<std::int32_t, std::int32_t>;

  void complete(std::vector<Arrival>& all);
  [[nodiscard]] bool pair_up(std::vector<Arrival>& waiting);

  HostRows rows_;
  std::map<Key, Place> places_;
  std::vector<Arrived> arrived_;  // by rank
};

}  // namespace capsize
