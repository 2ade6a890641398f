#include "runtime/processes/launcher.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

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
std::vector<std::string> environment_of(const std::string& scratch) {
  const bool launched = std::getenv("PMIX_RANK") != nullptr;
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (text.starts_with("TMPDIR=") || text.starts_with("OMPI_ALLOW_RUN_AS_ROOT")) continue;
    if (launched && (text.starts_with("OMPI_") || text.starts_with("PMIX_"))) continue;
    out.emplace_back(text);
  }
  out.push_back("TMPDIR=" + scratch);
  out.emplace_back("OMPI_ALLOW_RUN_AS_ROOT=1");
  out.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
  return out;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// In the child: only what may be called between fork and exec.
[[noreturn]] void become_launcher(pid_t parent, int output, char* const* arguments,
                                  char* const* variables) {
  (void)setpgid(0, 0);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  (void)signal(SIGPIPE, SIG_DFL);
  const int nothing = open("/dev/null", O_RDONLY);
  (void)dup2(nothing, STDIN_FILENO);
  (void)dup2(output, STDOUT_FILENO);
  (void)dup2(output, STDERR_FILENO);
  (void)execve(arguments[0], arguments, variables);
  _exit(127);
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

Result<Launcher> start_launcher(int ranks, const std::vector<std::string>& arguments,
                                const std::string& folder) {
  const auto cannot = [](std::string text, std::string hint) {
    return tl::unexpected(Error{"mpirun", std::move(text), std::move(hint)});
  };
  const std::string launcher = find_launcher();
  if (launcher.empty()) {
    return cannot("mpirun is not in $PATH", "install it (Debian: apt-get install openmpi-bin)");
  }
  const std::string scratch = folder + "/mpi";
  std::error_code error;
  std::filesystem::create_directory(scratch, error);
  std::array<int, 2> ends{};
  if (error || pipe2(ends.data(), O_CLOEXEC) != 0) {
    return cannot("there is no room for its files in " + folder, "see that it can be written");
  }
  std::vector<std::string> words = words_of(launcher, ranks, arguments, scratch);
  std::vector<std::string> environment = environment_of(scratch);
  const std::vector<char*> word_pointers = pointers_to(words);
  const std::vector<char*> variables = pointers_to(environment);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) become_launcher(parent, ends[1], word_pointers.data(), variables.data());
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return cannot("no process can be started", "end some others");
  }
  (void)setpgid(child, child);
  return Launcher{child, ends[0]};
}

}  // namespace capsize
