#include "runtime/processes/rank_process.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace capsize {
namespace {

std::atomic<BoardWriter*> writer_of_process = nullptr;
static_assert(std::atomic<BoardWriter*>::is_always_lock_free);

// A launcher ends all ranks when one has died. Whoever was told to is not the one.
void end_as_told(int signal) {
  if (BoardWriter* writer = writer_of_process.load(); writer != nullptr) writer->told_to_stop();
  _exit(128 + signal);
}

}  // namespace

void die_with_parent() {
  const pid_t parent = getppid();
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have gone before the line above.
  if (getppid() != parent) _exit(1);
}

std::optional<int> launched_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "RANK"}) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    const std::string_view text(value);
    int out = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error == std::errc{} && end == text.data() + text.size() && out >= 0) return out;
  }
  return std::nullopt;
}

Result<std::unique_ptr<RankLife>> RankLife::start(const std::string& board_path) {
  die_with_parent();
  auto board = Board::open(board_path);
  if (!board) return tl::unexpected(std::move(board.error()));
  const std::optional<int> rank = launched_rank();
  if (!rank || *rank >= board->ranks()) {
    return tl::unexpected(Error{"rank", "no launcher has given this process a rank of the board's",
                                "ranks are started by capsize run and capsize agree"});
  }
  std::unique_ptr<RankLife> out(new RankLife(*std::move(board), *rank));
  writer_of_process = &out->writer_;
  out->watch_for_the_end();
  out->writer_.attach();
  return out;
}

RankLife::~RankLife() { writer_of_process = nullptr; }

void RankLife::watch_for_the_end() const {
  struct sigaction action {};
  action.sa_handler = end_as_told;
  (void)sigaction(SIGTERM, &action, nullptr);
}

void RankLife::finish() { writer_.enter(RankPhase::finished); }

Result<std::unique_ptr<RankProcess>> RankProcess::start(const std::string& board_path) {
  auto life = RankLife::start(board_path);
  if (!life) return tl::unexpected(std::move(life.error()));
  std::unique_ptr<RankProcess> out(new RankProcess);
  out->life_ = *std::move(life);
  auto module = MpiModule::open();
  if (!module) return tl::unexpected(std::move(module.error()));
  auto backend = MpiBackend::start(*module, &out->board());
  if (!backend) return tl::unexpected(std::move(backend.error()));
  out->backend_ = *std::move(backend);
  out->life_->watch_for_the_end();
  out->board().enter(RankPhase::idle);
  return out;
}

}  // namespace capsize
