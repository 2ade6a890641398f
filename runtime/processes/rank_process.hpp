// What every process that is a rank does first: it ties its life to the launcher's, reports on the
// board and joins the other ranks.
//
//   auto rank = RankProcess::start(board_path);
//   (*rank)->board().post({.phase = RankPhase::runs, .job = 0});
//   auto seen = execute(plan, options, (*rank)->backend(), &watcher);
//   (*rank)->finish();
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/processes/board.hpp"
#include "runtime/processes/mpi_backend.hpp"
#include "sim/error.hpp"

namespace capsize {

// The first half: life and board. For ranks that meet in another library than MPI.
//
//   auto life = RankLife::start(board_path);
//   BoardWriter& board = (*life)->board();
class RankLife {
 public:
  // One a process.
  [[nodiscard]] static Result<std::unique_ptr<RankLife>> start(const std::string& board_path);

  ~RankLife();
  RankLife(const RankLife&) = delete;
  RankLife& operator=(const RankLife&) = delete;

  [[nodiscard]] BoardWriter& board() { return writer_; }
  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int ranks() const { return board_.ranks(); }
  // Libraries may take the signal by which a launcher ends ranks for themselves.
  void watch_for_the_end() const;
  // Says that this rank is through; then it may wait for the others to be.
  void finish();

 private:
  RankLife(Board board, int rank) : rank_(rank), board_(std::move(board)), writer_(board_, rank) {}

  int rank_;
  Board board_;
  BoardWriter writer_;
};

class RankProcess {
 public:
  // One a process.
  [[nodiscard]] static Result<std::unique_ptr<RankProcess>> start(const std::string& board_path);

  [[nodiscard]] BoardWriter& board() { return life_->board(); }
  [[nodiscard]] MpiBackend& backend() { return *backend_; }
  void finish() { life_->finish(); }

 private:
  RankProcess() = default;

  std::unique_ptr<RankLife> life_;
  std::unique_ptr<MpiBackend> backend_;  // leaves before its board does
};

// This process dies with the one that started it.
void die_with_parent();

// The rank that the launcher gave this process.
[[nodiscard]] std::optional<int> launched_rank();

}  // namespace capsize
