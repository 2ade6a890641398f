// Starts ranks as processes (launcher.hpp), watches their board, and ends in one of a few ways,
// each within its deadline. Whatever way it is, its processes are gone when it returns, and only
// they.
//
//   auto folder = RunFolder::create();
//   auto board = Board::create(8);
//   LaunchEnd end = supervise({.ranks = 8, .arguments = {program, "rank", ...},
//                              .folder = (*folder)->path()}, *board);
//   if (end.how == LaunchEnd::How::hang) ... end.ranks, wavefront.hpp
//
// Ranks do in their first lines what RankProcess does. Where the calling process is killed, the
// launcher dies with it, and the ranks with the launcher.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/processes/board.hpp"
#include "runtime/processes/launcher.hpp"

namespace capsize {

struct Launch {
  int ranks = 1;
  std::vector<std::string> arguments;  // of each rank; the program's path comes first
  std::string folder;                  // where the launcher may write
  LaunchThrough through = LaunchThrough::mpirun;
  // Nobody posted for so long, and nobody works by itself: the ranks hang.
  std::chrono::milliseconds deadline = std::chrono::seconds(5);
  // The same although a rank says that it works by itself.
  std::chrono::milliseconds work_deadline = std::chrono::seconds(120);
  // All ranks have reported by then.
  std::chrono::milliseconds start_deadline = std::chrono::seconds(30);
};

struct LaunchEnd {
  enum class How : std::uint8_t {
    finished,     // all ranks said so
    hang,         // see `ranks`
    died,         // `rank` did, by `signal` or with `status`; -1: the launcher did
    not_started,  // `rank` never reported; -1: none did
    interrupted,  // this process got `signal`
  } how = How::finished;
  int rank = -1;
  int signal = 0;
  int status = 0;
  std::string text;              // why, in a sentence; empty where all finished
  std::string hint;              // the way out, where there is one
  std::string output;            // the end of what ranks and launcher printed
  std::vector<BoardView> ranks;  // where each stood
};

// `board` must be new. One at a time in a process: it takes SIGINT, SIGTERM and SIGHUP while it
// runs.
[[nodiscard]] LaunchEnd supervise(const Launch& launch, const Board& board);

}  // namespace capsize
