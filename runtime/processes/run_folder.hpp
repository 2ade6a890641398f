// The folder of one run: everything that the run and its launcher write lies in it, and it goes
// when the run ends, however it ends. A keeper (a shell that waits at a pipe) removes it where this
// process is killed and cannot.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "sim/error.hpp"

namespace capsize {

class RunFolder {
 public:
  // In $TMPDIR, or in /tmp.
  [[nodiscard]] static Result<std::unique_ptr<RunFolder>> create();
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Result<void> keep();

  std::string path_;
  int pipe_ = -1;  // its end closes with this process
  pid_t keeper_ = -1;
};

}  // namespace capsize
