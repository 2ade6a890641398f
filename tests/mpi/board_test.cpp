// The ranks' board and what is read off it; no ranks are needed.
#include "runtime/processes/board.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "runtime/processes/given_up.hpp"
#include "runtime/processes/wavefront.hpp"

namespace capsize::board_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A posting whose fields all follow from one number, so that a mixture of two is seen.
Posting posting_of(std::int64_t number) {
  return {.phase = RankPhase::waits,
          .job = number,
          .event = number + 1,
          .mode = PlanEventKind::replay,
          .op = number + 2,
          .kind = PlanOpKind::all_gather,
          .layer = number + 3,
          .family = number % 7,
          .group = number % 5,
          .rows = number + 4,
          .rows_out = number + 5,
          .sequence = number + 6};
}

// Would catch: a field that is lost or cut short, -1 that comes back as something else.
TEST(Board, WhatIsPostedIsRead) {
  auto board = Board::create(3);
  ASSERT_TRUE(board);
  auto same = Board::open(board->path());
  ASSERT_TRUE(same) << same.error().text;
  EXPECT_EQ(same->ranks(), 3);
  BoardWriter writer(*same, 1);
  EXPECT_EQ(board->view(1).posting.phase, RankPhase::absent);
  writer.attach();
  EXPECT_EQ(board->view(1).process.pid, getpid());
  EXPECT_EQ(board->view(1).process.started_at, start_of_process(getpid()));
  for (const Posting& posting :
       {posting_of(0), posting_of(std::int64_t{1} << 40), Posting{.phase = RankPhase::failed}}) {
    writer.post(posting);
    EXPECT_EQ(board->view(1).posting, posting);
  }
  EXPECT_EQ(board->view(0).progress, 0U);
  EXPECT_EQ(board->view(1).progress, 3U);
}

// Would catch: postings that can be read while they are written.
TEST(Board, APostingIsReadWholeOrNotAtAll) {
  auto board = Board::create(1);
  ASSERT_TRUE(board);
  std::atomic<bool> stop = false;
  std::thread rank([&] {
    BoardWriter writer(*board, 0);
    for (std::int64_t i = 0; !stop; ++i) writer.post(posting_of(i));
  });
  std::uint64_t torn = 0;
  std::int64_t last = 0;
  // Until the rank, too, has had a processor for a while.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (int i = 0; i < 300'000 || (last < 100'000 && std::chrono::steady_clock::now() < limit);
       ++i) {
    const BoardView view = board->view(0);
    if (view.progress == 0) continue;
    if (view.posting != posting_of(view.posting.job) || view.posting.job < last) ++torn;
    last = view.posting.job;
  }
  stop = true;
  rank.join();
  EXPECT_EQ(torn, 0U);
  EXPECT_GE(last, 100'000) << "the rank has hardly posted: nothing was tested";
}

// Would catch: a crash on a path that is no board.
TEST(Board, WhatIsNoBoardIsRefused) {
  EXPECT_FALSE(Board::open("/dev/null"));
  EXPECT_FALSE(Board::open("/nowhere/board"));
}

// ---- wavefronts ---------------------------------------------------------------------------------

Lifecycle plan() {
  Lifecycle out{.world = 4};
  out.families = {{.name = "tp", .groups = {{0, 1}, {2, 3}}},
                  {.name = "dp", .groups = {{0, 1, 2, 3}}}};
  out.events.resize(3);
  index_groups(out);
  return out;
}

BoardView at(RankPhase phase, std::int64_t op, std::int64_t family, std::int64_t group,
             std::int64_t rows = 4) {
  BoardView out{.progress = 1};
  out.posting = {.phase = phase,
                 .job = 1,
                 .event = 2,
                 .op = op,
                 .kind = PlanOpKind::all_gather,
                 .family = family,
                 .group = group,
                 .rows = rows,
                 .rows_out = 2 * rows};
  return out;
}

std::vector<std::string> lines(const std::vector<BoardView>& ranks, int dead = -1) {
  const auto where = standstill_of(ranks);
  if (!where) return {};
  EXPECT_EQ(where->job, 1);
  EXPECT_EQ(where->event, 2);
  return lines_of(hang_of(plan(), *where, ranks, dead).wavefront);
}

// Would catch: a rank of another group that is blamed, a peer that waits elsewhere told as absent.
TEST(Wavefront, RanksWaitForThoseOfTheirGroup) {
  const std::vector<BoardView> ranks = {
      at(RankPhase::waits, 5, 0, 0), at(RankPhase::waits, 6, 1, 0), at(RankPhase::waits, 6, 1, 0),
      at(RankPhase::failed, 4, -1, -1)};
  EXPECT_THAT(
      lines(ranks),
      ElementsAre("rank 0 waits in all_gather over tp (operation 5, 4 rows, 0 before it): it "
                  "waits for rank 1, which waits in all_gather over dp (operation 6)",
                  "rank 1 waits in all_gather over dp (operation 6, 4 rows, 0 before it): it "
                  "waits for rank 0, which waits in all_gather over tp (operation 5), and for "
                  "rank 3, which never entered: it failed in all_gather (operation 4)",
                  HasSubstr("rank 2 waits in all_gather over dp"),
                  "rank 3 failed in all_gather (operation 4)"));
}

// Would catch: ranks that have all entered, told as if one had not.
TEST(Wavefront, CountsThatDifferAreTold) {
  const std::vector<BoardView> ranks = {at(RankPhase::waits, 5, 0, 0, 4),
                                        at(RankPhase::waits, 5, 0, 0, 3),
                                        at(RankPhase::ends, 7, 0, 1), at(RankPhase::ends, 7, 0, 1)};
  EXPECT_THAT(lines(ranks)[0],
              HasSubstr("all have entered: rank 1 brings 3 rows for 6, it 4 for 8"));
}

// Would catch: a rank that has the next event before it, told as one that never came; a dead rank
// told as one that waits.
TEST(Wavefront, DeadRanksAndThoseFurtherOn) {
  std::vector<BoardView> ranks(4, at(RankPhase::waits, 5, 0, 0));
  ranks[2] = at(RankPhase::runs, 1, -1, -1);
  ranks[2].posting.event = 3;
  const auto told = lines(ranks, 1);
  EXPECT_THAT(told[0],
              HasSubstr("waits for rank 1, which died in all_gather over tp (operation 5)"));
  EXPECT_EQ(told[1], "rank 1 died in all_gather over tp (operation 5)");
  EXPECT_EQ(told[2], "rank 2 is through");
}

}  // namespace
}  // namespace capsize::board_test
