#include "runtime/processes/run_folder.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>  // mkdtemp
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace capsize {
namespace {

// Nothing is ever written to the pipe: its end means that the run is over. What still runs then
// dies within moments (its parent was killed), and may write until it does. A folder that is gone
// by then is no trouble.
constexpr const char* kKeep =
    "read -r line; n=0\n"
    "while [ -e \"$1\" ] && [ $n -lt 50 ]; do rm -rf -- \"$1\"; n=$((n + 1)); sleep 0.1; done\n";

}  // namespace

Result<std::unique_ptr<RunFolder>> RunFolder::create() {
  std::error_code ignored;
  std::string path =
      (std::filesystem::temp_directory_path(ignored) / "capsize-run.XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) {
    return tl::unexpected(Error{"run", "no folder " + path + ": " + std::strerror(errno),
                                "set TMPDIR to a folder that can be written"});
  }
  std::unique_ptr<RunFolder> out(new RunFolder(path));
  if (auto kept = out->keep(); !kept) return tl::unexpected(std::move(kept.error()));
  return out;
}

Result<void> RunFolder::keep() {
  const auto cannot = [](int error) {
    return tl::unexpected(Error{"run",
                                std::string("its folder has no keeper: ") + std::strerror(error),
                                "see that /bin/sh can be started"});
  };
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return cannot(errno);
  pipe_ = ends[1];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // A group of its own: what ends this process from a terminal leaves the keeper alive.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::array<std::string, 5> words = {"sh", "-c", kKeep, "capsize-keeper", path_};
  std::array<char*, 6> pointers{};
  for (std::size_t i = 0; i < words.size(); ++i) pointers.at(i) = words.at(i).data();
  const int error =
      posix_spawn(&keeper_, "/bin/sh", &actions, &attributes, pointers.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  if (error == 0) return {};
  keeper_ = -1;
  return cannot(error);
}

RunFolder::~RunFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  if (pipe_ >= 0) close(pipe_);
  if (keeper_ > 0) {
    while (waitpid(keeper_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

}  // namespace capsize
