// A backend whose rows lie on a device. The walk of the ranks stays on the CPU: who meets whom,
// with which counts, and who waits for ever. What it hands over is put off until the run ends and
// done then in launches over all ranks; of a capture it becomes graphs, which replays launch again.
//
// Ranks meet in what is derived from this: EmulatedBackend has all of them in this process; a
// library of the device moves the rows of one rank a process (put_off_own, issue).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/device/device.hpp"
#include "runtime/device/device_rows.hpp"
#include "runtime/device/put_off.hpp"

namespace capsize {

class DeviceBackend : public Backend {
 public:
  static constexpr std::int64_t kMemoryMax = std::int64_t{8} << 30;

  [[nodiscard]] RowSpace& rows() override { return rows_; }
  [[nodiscard]] Result<void> begin(const Lifecycle& lifecycle) override;
  void begin_run(const RunStart& run) override;
  void compute(const Weights* weights, const LocalCall& call) override;
  void prepare(const OutputPlace& output) override;
  [[nodiscard]] OutputFault look(const OutputPlace& output) override;
  void note_failure() override { failed_at_ = put_off_.size(); }
  [[nodiscard]] Result<std::vector<LateFault>> end_run(bool failed) override;
  void poison(Matrix rows, Poison poison, std::uint64_t salt) override {
    rows_.poison(rows, poison, salt);
  }

  [[nodiscard]] Device& device() { return device_; }

 protected:
  // The device outlives this. `memory_max`: bytes for the rows of all ranks.
  explicit DeviceBackend(Device& device, std::int64_t memory_max = kMemoryMax)
      : device_(device), rows_(device, memory_max) {}

  // The rows that a member of a meeting brings, where the device reads them.
  [[nodiscard]] ConstMatrix operand_on_device(const Arrival& arrival, bool in_place);
  // A meeting is complete; or a rank has arrived where a library of the device moves its rows.
  void put_off(const CompleteMeeting& meeting);
  void put_off_own(const Arrival& arrival);
  // Issues what was put off so, in the device's stream, also while it captures. Answers the names
  // of the nodes that a graph has of it.
  [[nodiscard]] virtual Result<std::vector<std::string>> issue(const Arrival& arrival);

 private:
  // An output that is looked at when the run ends.
  struct Look {
    LateFault told;
    Matrix rows;
    std::int64_t guards = 0;
    bool exact = false;
    std::size_t item = 0;  // of what is put off
    std::size_t slot = 0;  // its first; guard rows before and behind it, then the output
  };
  // What a capture leaves: its graphs, and what runs between them.
  using Piece = std::variant<std::unique_ptr<DeviceGraph>, Launch, Arrival>;
  struct Graphs {
    std::vector<Piece> pieces;
    std::size_t between = 0;  // operations that are in no graph
  };
  class Capture;

  [[nodiscard]] bool is_replay() const {
    return run_.mode == LaunchMode::replay && run_.graph && !run_.stepwise;
  }
  // Whether a graph holds it already, or shall.
  [[nodiscard]] bool is_in_graph(bool captured) const {
    return captured && !run_.stepwise && (run_.mode == LaunchMode::capture || is_replay());
  }
  // In a run that is stepwise, and outside of runs, everything is done at once.
  [[nodiscard]] bool at_once() const { return !in_run_ || run_.stepwise; }
  // Whether a replay has it from its graph, so that it need not be put off.
  [[nodiscard]] bool from_graph();
  void do_at_once();
  [[nodiscard]] Result<void> do_batch(const PutOff::Batch& batch);
  [[nodiscard]] Result<void> do_all();
  [[nodiscard]] Result<std::vector<LateFault>> do_run(bool failed);
  [[nodiscard]] Result<void> capture_all();
  [[nodiscard]] Result<void> replay();
  [[nodiscard]] Result<std::vector<LateFault>> read_looks();
  [[nodiscard]] static OutputFault fault_of(const Look& look,
                                            const std::vector<DeviceFinding>& found);
  void forget();
  void remember(Result<void> done);

  Device& device_;
  DeviceRows rows_;
  PutOff put_off_;
  std::size_t world_ = 0;
  bool in_run_ = false;
  RunStart run_;
  std::size_t between_ = 0;  // operations of a replay that are in no graph
  std::size_t slots_ = 0;
  std::size_t failed_at_ = SIZE_MAX;  // how much was put off when a rank failed
  std::vector<Look> looks_;
  std::map<std::int32_t, Graphs> graphs_;  // by capture event
  Result<void> device_error_;              // told when the run ends
};

}  // namespace capsize
