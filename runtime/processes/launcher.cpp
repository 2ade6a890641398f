#include "runtime/processes/launcher.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace capsize {
namespace {

std::vector<std::string> words_of(const std::string& launcher, int ranks,
                                  const std::vector<std::string>& arguments,
                                  const std::string& scratch) {
  std::vector<std::string> out = {
      launcher, "-n", std::to_string(ranks), "--quiet", "--oversubscribe", "--bind-to", "none"};
  const std::array<std::array<const char*, 2>, 9> settings = {{
      {"plm", "isolated"},  // no remote shell is looked for
      {"pml", "ob1"},
      {"btl", "self,vader"},
      {"btl_vader_single_copy_mechanism", "none"},  // containers forbid the others
      {"btl_vader_backing_directory", scratch.c_str()},
      {"orte_tmpdir_base", scratch.c_str()},
      {"shmem", "mmap"},
      {"mpi_yield_when_idle", "1"},    // more ranks than processors
      {"odls_base_num_threads", "0"},  // ranks die with the thread that starts them
  }};
  for (const auto& [name, value] : settings) {
    out.insert(out.end(), {"--mca", name, value});
  }
  out.insert(out.end(), arguments.begin(), arguments.end());
  return out;
}

// This process' own variables, without those of a launcher that may have started it, and with what
// lets a launcher work in a container.
std::vector<std::string> environment_of(const std::string& scratch, LaunchThrough through) {
  const bool own = through == LaunchThrough::own;
  const bool launched = own || std::getenv("PMIX_RANK") != nullptr;
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (text.starts_with("TMPDIR=") || text.starts_with("OMPI_ALLOW_RUN_AS_ROOT")) continue;
    if (launched && (text.starts_with("OMPI_") || text.starts_with("PMI"))) continue;
    if (own && (text.starts_with("RANK=") || text.starts_with("WORLD_SIZE=") ||
                text.starts_with("LOCAL_RANK="))) {
      continue;
    }
    out.emplace_back(text);
  }
  out.push_back("TMPDIR=" + scratch);
  if (own) return out;
  out.emplace_back("OMPI_ALLOW_RUN_AS_ROOT=1");
  out.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
  return out;
}

// The names that torchrun has made usual.
std::vector<std::string> ranked(std::vector<std::string> variables, int rank, int ranks) {
  variables.push_back("RANK=" + std::to_string(rank));
  variables.push_back("LOCAL_RANK=" + std::to_string(rank));
  variables.push_back("WORLD_SIZE=" + std::to_string(ranks));
  return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// One start: everything that the child needs is made before the fork, as it may call nothing then
// that takes memory.
class Start {
 public:
  Start(std::vector<std::string> words, std::vector<std::string> variables)
      : words_(std::move(words)) {
    add(std::move(variables));
  }
  // Ranks of its own, one a set of variables.
  void add(std::vector<std::string> variables) {
    variables_.push_back(std::move(variables));
    children_.push_back(-1);
  }
  void prepare() {
    arguments_ = pointers_to(words_);
    for (auto& each : variables_) environments_.push_back(pointers_to(each));
  }

  // In the child.
  [[noreturn]] void become_launcher(pid_t parent, int output, LaunchThrough through) {
    (void)setpgid(0, 0);
    die_with(parent);
    (void)signal(SIGPIPE, SIG_DFL);
    const int nothing = open("/dev/null", O_RDONLY);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    if (through == LaunchThrough::mpirun) become(0);
    for (const int each : {SIGINT, SIGTERM, SIGHUP}) (void)signal(each, SIG_DFL);
    start_ranks();
    _exit(wait_for_ranks());
  }

 private:
  static void die_with(pid_t parent) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
  }
  [[noreturn]] void become(std::size_t which) const {
    (void)execve(arguments_[0], arguments_.data(), environments_[which].data());
    _exit(127);
  }

  void start_ranks() {
    const pid_t self = getpid();
    for (std::size_t rank = 0; rank < children_.size(); ++rank) {
      const pid_t child = fork();
      if (child == 0) {
        die_with(self);
        become(rank);
      }
      children_[rank] = child;
      if (child < 0) {
        end_ranks();
        _exit(126);
      }
    }
  }
  void end_ranks() const {
    for (const pid_t each : children_) {
      if (each > 0) (void)kill(each, SIGTERM);
    }
  }

  // As mpirun: the status of the first that failed, and the others are told to end.
  int wait_for_ranks() {
    int first = 0;
    for (std::size_t left = children_.size(); left > 0;) {
      int status = 0;
      const pid_t ended = waitpid(-1, &status, 0);
      if (ended < 0) continue;
      --left;
      for (pid_t& each : children_) each = each == ended ? -1 : each;
      const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
      if (code == 0 || first != 0) continue;
      first = code;
      end_ranks();
    }
    return first;
  }

  std::vector<std::string> words_;
  std::vector<char*> arguments_;
  std::vector<std::vector<std::string>> variables_;
  std::vector<std::vector<char*>> environments_;
  std::vector<pid_t> children_;
};

Start start_of(int ranks, const std::vector<std::string>& arguments, const std::string& scratch,
               LaunchThrough through) {
  const std::vector<std::string> variables = environment_of(scratch, through);
  if (through == LaunchThrough::mpirun) {
    return Start(words_of(find_launcher(), ranks, arguments, scratch), variables);
  }
  Start out(arguments, ranked(variables, 0, ranks));
  for (int rank = 1; rank < ranks; ++rank) out.add(ranked(variables, rank, ranks));
  return out;
}

}  // namespace

std::string find_launcher() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string file = std::string(rest.substr(0, end)) + "/mpirun";
    if (end > 0 && access(file.c_str(), X_OK) == 0) return file;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

std::string_view name_of(LaunchThrough through) {
  return through == LaunchThrough::mpirun ? "mpirun" : "the launcher";
}

Result<Launcher> start_launcher(int ranks, const std::vector<std::string>& arguments,
                                const std::string& folder, LaunchThrough through) {
  const auto cannot = [&](std::string text, std::string hint) {
    return tl::unexpected(Error{std::string(name_of(through)), std::move(text), std::move(hint)});
  };
  if (through == LaunchThrough::mpirun && find_launcher().empty()) {
    return cannot("mpirun is not in $PATH", "install it (Debian: apt-get install openmpi-bin)");
  }
  const std::string scratch = folder + "/mpi";
  std::error_code error;
  std::filesystem::create_directory(scratch, error);
  std::array<int, 2> ends{};
  if (error || pipe2(ends.data(), O_CLOEXEC) != 0) {
    return cannot("there is no room for its files in " + folder, "see that it can be written");
  }
  Start start = start_of(ranks, arguments, scratch, through);
  start.prepare();
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) start.become_launcher(parent, ends[1], through);
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return cannot("no process can be started", "end some others");
  }
  (void)setpgid(child, child);
  return Launcher{child, ends[0]};
}

}  // namespace capsize
