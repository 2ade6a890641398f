// Starts the child with posix_spawn on three memory files: no pipe can fill up and block, and a
// child that ignores its input costs nothing. Its output can be sent where writing fails instead.
#include "tests/support/child_process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <string_view>
#include <thread>

namespace capsize::test {
namespace {

std::string failure_of(std::string_view call, int error) {
  return std::string(call) + ": " + std::strerror(error);
}

// A descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// The writing end of a pipe that nobody reads; -1 where there is none to be had.
int unread_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  close(ends[0]);
  return ends[1];
}

// An open memory file.
class MemoryFile : public Descriptor {
 public:
  explicit MemoryFile(const char* name) : Descriptor(memfd_create(name, MFD_CLOEXEC)) {}

  [[nodiscard]] bool fill(std::string_view content) const {
    while (!content.empty()) {
      const ssize_t written = write(descriptor(), content.data(), content.size());
      if (written < 0) return false;
      content.remove_prefix(static_cast<std::size_t>(written));
    }
    return lseek(descriptor(), 0, SEEK_SET) == 0;
  }

  [[nodiscard]] std::string content() const {
    std::string result;
    std::array<char, 1U << 16U> part{};
    off_t offset = 0;
    for (;;) {
      const ssize_t size = pread(descriptor(), part.data(), part.size(), offset);
      if (size <= 0) return result;
      result.append(part.data(), static_cast<std::size_t>(size));
      offset += size;
    }
  }
};

// Where the child's output goes. `kept` is used for ChildOutput::kept; -1 closes it.
int output_of(ChildOutput output, const MemoryFile& kept, const Descriptor& unread,
              const Descriptor& full) {
  switch (output) {
    case ChildOutput::kept: return kept.descriptor();
    case ChildOutput::unread: return unread.descriptor();
    case ChildOutput::full: return full.descriptor();
    case ChildOutput::closed: break;
  }
  return -1;
}

// "NAME=value" strings: the parent's, the sanitizers' settings, then the caller's.
std::vector<std::string> environment_of(const ChildOptions& options) {
  std::map<std::string, std::string> values;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t end = text.find('=');
    if (end != std::string_view::npos) {
      values[std::string(text.substr(0, end))] = text.substr(end + 1);
    }
  }
  // Leaks are not looked for: that needs ptrace, which containers forbid.
  const std::string status = std::to_string(sanitizer_exit_status);
  values["ASAN_OPTIONS"] = "detect_leaks=0:exitcode=" + status;
  values["UBSAN_OPTIONS"] = "print_stacktrace=1:exitcode=" + status;
  for (const auto& [name, value] : options.environment) values[name] = value;

  std::vector<std::string> entries;
  entries.reserve(values.size());
  for (const auto& [name, value] : values)
    entries.push_back(std::string(name).append("=").append(value));
  return entries;
}

// The null-terminated array of pointers that exec takes. The strings must outlive it.
std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// The child's process id.
tl::expected<pid_t, std::string> start(const ChildOptions& options, const MemoryFile& in,
                                       const MemoryFile& out, const MemoryFile& err) {
  const Descriptor unread(unread_pipe());
  const Descriptor full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  const int output = output_of(options.output, out, unread, full);
  if (output < 0 && options.output != ChildOutput::closed) {
    return tl::unexpected(failure_of("open the output", errno));
  }
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = environment_of(options);
  posix_spawn_file_actions_t actions;
  if (const int error = posix_spawn_file_actions_init(&actions); error != 0) {
    return tl::unexpected(failure_of("posix_spawn_file_actions_init", error));
  }
  posix_spawn_file_actions_adddup2(&actions, in.descriptor(), STDIN_FILENO);
  if (output >= 0) posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  if (output < 0) posix_spawn_file_actions_addclose(&actions, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.descriptor(), STDERR_FILENO);
  pid_t child = 0;
  const int error = posix_spawn(&child, arguments.front().c_str(), &actions, nullptr,
                                pointers_to(arguments).data(), pointers_to(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return tl::unexpected(failure_of("start " + arguments.front(), error));
  return child;
}

// Waits until the child ends or the limit has passed; then kills it and waits for that.
tl::expected<ChildRun, std::string> wait_for(pid_t child, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  ChildRun run;
  int status = 0;
  for (;;) {
    const pid_t ended = waitpid(child, &status, run.timed_out ? 0 : WNOHANG);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) return tl::unexpected(failure_of("waitpid", errno));
    if (!run.timed_out && std::chrono::steady_clock::now() > deadline) {
      kill(child, SIGKILL);
      run.timed_out = true;
    }
    if (!run.timed_out) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (WIFEXITED(status)) run.exit_status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) run.signal = WTERMSIG(status);
  return run;
}

}  // namespace

tl::expected<ChildRun, std::string> run_child(const ChildOptions& options) {
  if (options.arguments.empty()) return tl::unexpected(std::string("no program was named"));
  const MemoryFile in("in");
  const MemoryFile out("out");
  const MemoryFile err("err");
  if (in.descriptor() < 0 || out.descriptor() < 0 || err.descriptor() < 0) {
    return tl::unexpected(failure_of("memfd_create", errno));
  }
  if (!in.fill(options.input)) return tl::unexpected(failure_of("write the input", errno));
  const auto child = start(options, in, out, err);
  if (!child) return tl::unexpected(child.error());
  auto run = wait_for(*child, options.limit);
  if (!run) return run;
  run->out = out.content();
  run->err = err.content();
  return run;
}

}  // namespace capsize::test
