// Ranks that always do the same, over the whole life of a server: in the same programs, with the
// same buffers, in the same allocations and registrations. A law that follows time needs to follow
// one rank of each such class only.
//
//   const RankClasses classes(timeline);
//   for (const RankClass& each : classes.all()) follow(each.rank, each.runs);
#pragma once

#include <cstdint>
#include <vector>

#include "sim/timeline.hpp"

namespace capsize {

// The class (place in EventRun::runnings) that runs in an event.
struct RunAt {
  std::int32_t event = 0;
  std::int32_t running = 0;
};

struct RankClass {
  std::int64_t rank = 0;    // the first of its ranks
  std::vector<RunAt> runs;  // what they run, in the order of events
};

class RankClasses {
 public:
  explicit RankClasses(const Timeline& timeline);

  // By first rank.
  [[nodiscard]] const std::vector<RankClass>& all() const { return classes_; }

 private:
  void cut(const Timeline& timeline);
  void split(const RankSet& ranks);
  void name_runs(const Timeline& timeline);

  std::vector<std::int64_t> begins_;    // of the pieces: ranks that no set tells apart; and the end
  std::vector<std::int32_t> class_of_;  // of each piece
  std::vector<std::int32_t> pieces_in_;  // how many pieces each class has
  std::vector<RankClass> classes_;

  // What split() keeps of each class while it works; empty between two calls.
  struct Split {
    std::int32_t inside = 0;  // pieces of the class that are in the set
    std::int32_t moves_to = -1;
  };
  [[nodiscard]] Split& split_of(std::size_t piece) {
    return splits_[static_cast<std::size_t>(class_of_[piece])];
  }
  std::vector<Split> splits_;
  std::vector<std::size_t> inside_;
  std::vector<std::int32_t> touched_;
};

}  // namespace capsize
