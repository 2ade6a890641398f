// Input and output of the program.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "cli/command.hpp"
#include "scenarios/formats/check_result.hpp"
#include "scenarios/formats/plan.hpp"
#include "scenarios/sweep/sources_digest.hpp"

namespace capsize::cli {

std::string program() {
  return std::string("capsize " CAPSIZE_VERSION " (").append(sources_digest()).append(")");
}

int fail(const Error& error) {
  std::string text = "capsize: bad input";
  if (!error.where.empty()) text += " at " + error.where;
  text += ": " + error.text + "\n";
  if (!error.hint.empty()) text += "  way out: " + error.hint + "\n";
  std::fputs(text.c_str(), stderr);
  return kBadInput;
}

int fail(Error error, bool as_json) {
  if (!as_json) return fail(error);
  const bool printed = print(to_json(bad_input("", "", std::move(error))) + "\n");
  return printed ? exit_status(Verdict::bad_input) : kBadInput;
}

Result<std::string> read_input(const std::string& path, std::size_t max_bytes) {
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    return tl::unexpected(Error{path, std::strerror(errno), "name a file that can be read"});
  }
  std::string text;
  char chunk[1 << 16];
  std::size_t got = 0;
  while (text.size() <= max_bytes && (got = std::fread(chunk, 1, sizeof chunk, file)) > 0) {
    text.append(chunk, got);
  }
  const bool broken = std::ferror(file) != 0;
  if (file != stdin) (void)std::fclose(file);
  if (broken) return tl::unexpected(Error{path, "cannot be read", "name a file, not a folder"});
  if (text.size() > max_bytes) {
    return tl::unexpected(
        Error{path, "more than " + std::to_string(max_bytes) + " bytes", "give a smaller file"});
  }
  return text;
}

Result<Lifecycle> read_plan_file(const std::string& path) {
  constexpr std::size_t kPlanBytes = std::size_t{16} << 20;
  auto text = read_input(path, kPlanBytes);
  if (!text) return tl::unexpected(std::move(text.error()));
  auto plan = read_plan(*text);
  if (!plan) return tl::unexpected(std::move(plan.error()).within(path));
  return plan;
}

bool print(std::string_view text, bool at_once) {
  static bool told = false;  // the first failure says it all
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
      (!at_once || std::fflush(stdout) == 0)) {
    return true;
  }
  const int why = errno;
  if (told) return false;
  told = true;
  const std::string line =
      std::string("capsize: standard output cannot be written: ") + std::strerror(why) + "\n";
  std::fputs(line.c_str(), stderr);
  return false;
}

bool colour_wanted() {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  return isatty(STDOUT_FILENO) == 1;
}

}  // namespace capsize::cli
