#include "scenarios/formats/read_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace capsize {

Result<std::string> read_file(const std::string& path, std::size_t bytes_most,
                              const std::string& what) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (file == nullptr) {
    return tl::unexpected(Error{path, std::strerror(errno), "name a file that can be read"});
  }
  std::string text;
  char chunk[1 << 14];
  std::size_t got = 0;
  while (text.size() <= bytes_most && (got = std::fread(chunk, 1, sizeof chunk, file.get())) > 0) {
    text.append(chunk, got);
  }
  if (std::ferror(file.get()) != 0) {
    return tl::unexpected(Error{path, "cannot be read", "name " + what});
  }
  if (text.size() > bytes_most) {
    return tl::unexpected(Error{path, "more than " + std::to_string(bytes_most) + " bytes",
                                "name " + what + ": a few lines of JSON"});
  }
  return text;
}

}  // namespace capsize
