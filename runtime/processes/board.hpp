// The board: shared memory in which every rank that is a process posts what it is about to do, so
// that a supervisor outside can tell who waits for whom when nobody goes on any more.
//
// It is an anonymous file of the parent, which ranks open as /proc/PARENT/fd/N. It has no name of
// its own: when the last process that holds it ends, however it ends, nothing is left.
//
// A slot is written by its rank alone and read by the parent alone, without locks: a posting is
// written beside the last one and then shown by one store, so that a reader never sees half of one,
// not even of a rank that was killed while it wrote.
//
//   Result<Board> board = Board::create(8);          // parent; then board->path() to the ranks
//   Result<Board> board = Board::open(path);         // rank
//   BoardWriter writer(*board, rank);
//   BoardWatcher watcher(writer);                    // executor.hpp: posts each step
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "runtime/executor.hpp"
#include "runtime/processes/processes.hpp"
#include "sim/error.hpp"
#include "sim/lifecycle.hpp"

namespace capsize {

enum class RankPhase : std::uint8_t {
  absent,    // has not come up yet
  idle,      // between jobs, or in none of them
  runs,      // works by itself
  waits,     // is in a collective, a send or a receive, and entered it with this posting
  meets,     // makes the communicators of a plan with the others
  ends,      // is through with an event and waits for the others to say the same
  failed,    // the same, after a failure of its own
  finished,  // is through with everything
};

struct Posting {
  RankPhase phase = RankPhase::absent;
  std::int64_t job = -1;
  std::int64_t event = -1;
  PlanEventKind mode = PlanEventKind::eager;  // how the body is launched: eager, capture, replay
  // The operation that is issued, or was last.
  std::int64_t op = -1;
  PlanOpKind kind = PlanOpKind::kernel;
  std::int64_t layer = -1;
  std::int64_t family = -1;  // of its communicator; -1: it has none
  std::int64_t group = -1;
  std::int64_t rows = -1;  // that it brings
  std::int64_t rows_out = -1;
  std::int64_t sequence = 0;  // operations of this rank on that communicator before
  friend bool operator==(const Posting&, const Posting&) = default;
};

// What the parent sees of a rank at one moment.
struct BoardView {
  ProcessId process;           // none yet: its number is 0
  std::uint64_t progress = 0;  // postings so far
  bool told_to_stop = false;   // the launcher asked it to end, as it does when another has died
  Posting posting;
};

class Board {
 public:
  [[nodiscard]] static Result<Board> create(int ranks);
  [[nodiscard]] static Result<Board> open(const std::string& path);
  ~Board();
  Board(Board&& other) noexcept;
  Board& operator=(Board&&) = delete;

  [[nodiscard]] int ranks() const { return ranks_; }
  // Good while the process that created the board lives.
  [[nodiscard]] std::string path() const;
  [[nodiscard]] BoardView view(int rank) const;

  struct Slot;
  [[nodiscard]] Slot& slot(int rank) const;

 private:
  Board(int descriptor, void* memory, std::size_t bytes, int ranks)
      : descriptor_(descriptor), memory_(memory), bytes_(bytes), ranks_(ranks) {}
  [[nodiscard]] static Result<Board> map(int descriptor, int ranks);

  int descriptor_;
  void* memory_;
  std::size_t bytes_;
  int ranks_;
};

// One rank's pen.
class BoardWriter {
 public:
  // `rank` must be one of the board's.
  BoardWriter(const Board& board, int rank);

  // Says which process the rank is. It counts as absent until it posts.
  void attach();
  void post(const Posting& posting);
  // The last posting again, in another phase.
  void enter(RankPhase phase);
  [[nodiscard]] const Posting& last() const { return last_; }
  // May be called in a signal handler.
  void told_to_stop();

 private:
  Board::Slot& slot_;
  Posting last_;
};

// Posts what the executor does, step by step, before it is done.
class BoardWatcher : public Watcher {
 public:
  explicit BoardWatcher(BoardWriter& writer) : writer_(writer) {}
  void begin_event(std::int32_t event, const PlanEvent& what) override;
  void step(const Step& step) override;
  void end_event(const EventObservation& seen) override;

 private:
  BoardWriter& writer_;
};

}  // namespace capsize
