// Where ranks of one process meet: who waits for whom at a communicator, when a meeting is
// complete, and what it means for rows. Backends that run all ranks share it; each does in its own
// way what a meeting means (MeetingHandler).
//
// What is certain here: a meeting that is not complete when no rank can go on never will be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "runtime/backend.hpp"

namespace capsize {

// What a meeting does to rows, in order: each move makes `to` the sum of its sources, added up in
// their order; of one source it is a copy. Sources have as many rows as `to`.
//
// Counts that differ between ranks are taken as an unchecked library takes them: each rank goes by
// its own count, a row is the sum of those who bring it, what nobody brings stays as it was, and
// nothing is written past the end of an output.
struct Moves {
  struct Move {
    Matrix to;
    std::size_t first = 0;  // of `sources`
    std::size_t count = 0;
    std::ptrdiff_t same_as = -1;  // an earlier move that makes the same rows; -1: none
  };
  std::vector<ConstMatrix> sources;
  std::vector<Move> moves;
  std::vector<std::int64_t> received;  // whole rows, by place in the meeting

  [[nodiscard]] std::span<const ConstMatrix> sources_of(const Move& move) const {
    return std::span(sources).subspan(move.first, move.count);
  }
  void clear();
};

struct CompleteMeeting {
  // In the order of their positions; of a send and its receive, the send comes first.
  std::span<const Arrival> members;
  // All bring equally many rows, and the shares fill the whole: what a collective means at its
  // best. Then it need not be told by moves.
  bool regular = false;
  Moves moves;
};

// Appends what the members' rows become.
void add_moves(std::span<const Arrival> members, Moves& out);

class MeetingHandler {
 public:
  virtual ~MeetingHandler() = default;
  // Whether meetings that are regular are told by moves, too.
  [[nodiscard]] virtual bool wants_moves() const = 0;
  // The rows that a member brings. `in_place`: outputs of the meeting lie over operands, so that
  // they are gone when the next one is read.
  [[nodiscard]] virtual ConstMatrix operand(const Arrival& arrival, bool in_place) = 0;
  virtual void complete(const CompleteMeeting& meeting) = 0;
};

class Meetings {
 public:
  explicit Meetings(MeetingHandler& handler) : handler_(handler) {}

  void begin(std::int64_t world);
  [[nodiscard]] Arrived meet(const Arrival& arrival);
  [[nodiscard]] Arrived done(std::int64_t rank) const;
  // Nobody waits any longer.
  void clear();

 private:
  // family, group
  using Key = std::pair<std::int32_t, std::int32_t>;

  [[nodiscard]] Arrived& arrived(std::int64_t rank) {
    return arrived_[static_cast<std::size_t>(rank)];
  }
  void complete(std::vector<Arrival>& all);
  void pair_up(std::vector<Arrival>& waiting);

  MeetingHandler& handler_;
  std::map<Key, std::vector<Arrival>> waiting_;  // the position of each in it is its own
  std::vector<Arrived> arrived_;                 // by rank
  CompleteMeeting meeting_;                      // its memory serves the next one
};

}  // namespace capsize
