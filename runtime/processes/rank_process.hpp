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

class RankProcess {
 public:
  // One a process.
  [[nodiscard]] static Result<std::unique_ptr<RankProcess>> start(const std::string& board_path);

  ~RankProcess();
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  [[nodiscard]] BoardWriter& board() { return writer_; }
  [[nodiscard]] MpiBackend& backend() { return *backend_; }
  // Says that this rank is through; then it may wait for the others to be.
  void finish();

 private:
  RankProcess(Board board, int rank) : board_(std::move(board)), writer_(board_, rank) {}

  Board board_;
  BoardWriter writer_;
  std::unique_ptr<MpiBackend> backend_;
};

// This process dies with the one that started it.
void die_with_parent();

// The rank that the launcher gave this process.
[[nodiscard]] std::optional<int> launched_rank();

}  // namespace capsize
