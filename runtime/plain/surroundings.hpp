// What stands around the rows of a plan without mathematics: groups that are made and first used,
// addresses that peers exchange, named buffers, side operands, launch constants, and which ranks
// are said to hold the same rows. Each enters what an operation computes, or is looked at when it
// is reached, so that a plan which is wrong there shows it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/binding.hpp"
#include "runtime/observation.hpp"
#include "runtime/plain/buffers.hpp"
#include "runtime/plain/claims.hpp"
#include "runtime/plain/group_life.hpp"
#include "sim/timeline.hpp"

namespace capsize {

class Surroundings {
 public:
  Surroundings(const Timeline& timeline, std::span<const std::int64_t> ranks);

  // An event begins. Groups are made, addresses exchanged, buffers come and go.
  void begin(const EventRun& event);
  // Its bodies run: as they are, or eagerly on a copy of everything (what a graph is compared
  // with).
  void begin_run(bool eager_copy);

  // An operation is reached: its operands and what it computes are completed.
  [[nodiscard]] std::optional<Trouble> before(const Standpoint& at, Bound& bound);
  void after(const Standpoint& at, const Bound& bound);

  // The first captured operation that did not take from its buffers and constants what an eager
  // run takes.
  struct Stale {
    std::int64_t rank = 0;
    std::size_t instruction = 0;
    std::string text;
  };
  [[nodiscard]] std::optional<Stale> first_stale() const;
  [[nodiscard]] const Claims& claims() const { return claims_; }

  // What tells the rows of one rank from another's, in an input.
  [[nodiscard]] std::uint64_t coordinate(std::int64_t rank, const Body::Reader& reader) const;

 private:
  struct Rank {
    std::int64_t rank = 0;
    RankBuffers buffers;
    // The memory that graphs remember: by capture, operation and buffer.
    std::map<std::tuple<std::int32_t, const PlanOp*, std::int32_t>, std::int32_t> taken;
    std::vector<std::byte> operand;  // of a collective, out of a buffer
  };
  struct Read {
    std::size_t instruction = 0;
    std::uint64_t value = 0;
    std::int32_t buffer = -1;  // -1: launch constants
  };

  [[nodiscard]] Rank& at(std::int64_t rank) {
    return ranks_[static_cast<std::size_t>(place_[static_cast<std::size_t>(rank)])];
  }
  [[nodiscard]] RankBuffers& buffers(Rank& rank) {
    return eager_copy_ ? copies_[static_cast<std::size_t>(&rank - ranks_.data())] : rank.buffers;
  }
  [[nodiscard]] bool is_recorded(const Instruction& what) const;
  [[nodiscard]] bool from_memory_of_graph(const Instruction& what) const;
  [[nodiscard]] std::int32_t block_of(Rank& rank, const Standpoint& at, const Instruction& what,
                                      std::int32_t buffer);

  [[nodiscard]] std::optional<Trouble> buffer_trouble(Rank& rank, const Standpoint& at,
                                                      const Instruction& what);
  [[nodiscard]] std::optional<Trouble> output_trouble(Rank& rank, const Standpoint& at,
                                                      const Instruction& what);
  std::uint64_t read_all(Rank& rank, const Standpoint& at, const Instruction& what);
  void remember(const Standpoint& at, std::uint64_t value, std::int32_t buffer);
  [[nodiscard]] std::uint64_t launch_of(const Standpoint& at, const Instruction& what) const;
  [[nodiscard]] BufferRange live_part(const Standpoint& at, const PlanOp& op,
                                      const BufferRange& range) const;
  void take_operand(Rank& rank, const Standpoint& at, Bound& bound);
  void manage(Rank& rank, const Instruction& what);
  [[nodiscard]] std::uint64_t salt_of(const Standpoint& at, const Instruction& what,
                                      std::uint64_t read) const;
  [[nodiscard]] std::optional<std::uint64_t> step_of(std::int32_t buffer) const;
  [[nodiscard]] std::uint64_t coordinate_of(std::int64_t rank, const Layout& layout,
                                            const Layout* without) const;

  const Lifecycle& plan_;
  GroupLife groups_;
  std::vector<Rank> ranks_;
  std::vector<std::int32_t> place_;    // by rank: in ranks_, -1: not of this process
  std::vector<RankBuffers> copies_;    // likewise, while an eager copy runs
  std::vector<bool> written_by_host_;  // by buffer: inputs that the plan shows being written
  std::vector<std::string> paths_;
  std::vector<std::vector<Read>> reads_;  // by place in ranks_: what captured operations read
  std::vector<std::vector<Read>> eager_reads_;
  Claims claims_;
  const EventRun* event_ = nullptr;
  std::int32_t path_ = -1;
  bool eager_copy_ = false;
  bool layouts_told_ = false;  // the plan names layouts
};

}  // namespace capsize
