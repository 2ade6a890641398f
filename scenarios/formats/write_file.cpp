#include "scenarios/formats/write_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace capsize {
namespace {

// A file descriptor that is closed, and a temporary file that is removed, on every way out.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& beside) : path_(beside + ".XXXXXX") {
    descriptor_ = mkstemp(path_.data());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (descriptor_ >= 0) (void)::close(descriptor_);
    if (descriptor_ >= 0 && !kept_) (void)::unlink(path_.c_str());
  }

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] bool write(std::string_view text) const {
    if (!is_open()) return false;
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    // mkstemp makes files for their owner alone; a report is for whoever may read the folder.
    return ::fchmod(descriptor_, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH) == 0 &&
           ::fsync(descriptor_) == 0;
  }
  [[nodiscard]] bool rename_to(const std::string& path) {
    kept_ = std::rename(path_.c_str(), path.c_str()) == 0;
    return kept_;
  }

 private:
  std::string path_;
  int descriptor_ = -1;
  bool kept_ = false;
};

// The new name itself must reach the disk too. A file system that cannot sync folders is no error.
void sync_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  (void)::fsync(descriptor);
  (void)::close(descriptor);
}

Result<void> is_plain(const std::string& path) {
  // A rename would put a plain file in the place of /dev/null.
  std::error_code ignored;
  const auto type = std::filesystem::status(path, ignored).type();
  if (type != std::filesystem::file_type::not_found &&
      type != std::filesystem::file_type::regular) {
    return tl::unexpected(Error{path, "is not a plain file", "name a file of its own"});
  }
  return {};
}

Error cannot_be_written(const std::string& path) {
  return {path, std::string("cannot be written: ") + std::strerror(errno),
          "name a file in a folder that can be written"};
}

}  // namespace

Result<void> can_write_file(const std::string& path) {
  if (auto plain = is_plain(path); !plain) return plain;
  const TemporaryFile file(path);
  if (!file.is_open()) return tl::unexpected(cannot_be_written(path));
  return {};
}

Result<void> write_file_atomically(const std::string& path, std::string_view text) {
  if (auto plain = is_plain(path); !plain) return plain;
  TemporaryFile file(path);
  if (!file.write(text) || !file.rename_to(path)) return tl::unexpected(cannot_be_written(path));
  const std::string folder = std::filesystem::path(path).parent_path().string();
  sync_folder(folder.empty() ? "." : folder);
  return {};
}

}  // namespace capsize
