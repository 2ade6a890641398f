#include "scenarios/formats/run_trace.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "scenarios/formats/json_writer.hpp"

namespace capsize {
namespace {

Error cannot_write(const std::string& path, int why) {
  return {path, std::string("cannot be written: ") + std::strerror(why),
          "name a file in a folder that can be written"};
}

// Closes what was written under `written` and puts it in its place.
Result<void> put_in_place(std::FILE* file, bool failed, const std::string& written,
                          const std::string& path) {
  errno = 0;
  const bool closed = std::fclose(file) == 0;
  if (closed && !failed && std::rename(written.c_str(), path.c_str()) == 0) return {};
  Error error = cannot_write(path, errno == 0 ? EIO : errno);
  (void)std::remove(written.c_str());
  return tl::unexpected(std::move(error));
}

}  // namespace

std::string unfinished_trace(const std::string& path) { return path + ".part"; }

Result<std::unique_ptr<RunTrace>> RunTrace::create(const std::string& path, const Lifecycle& plan,
                                                   Lines lines) {
  std::unique_ptr<RunTrace> out(new RunTrace(path, plan));
  out->written_ = lines == Lines::at_once ? path : unfinished_trace(path);
  out->file_ = std::fopen(out->written_.c_str(), "wb");
  if (out->file_ == nullptr) return tl::unexpected(cannot_write(path, errno));
  if (lines == Lines::at_once) (void)std::setvbuf(out->file_, nullptr, _IOLBF, 1 << 12);
  return out;
}

RunTrace::~RunTrace() {
  if (file_ == nullptr) return;
  (void)std::fclose(file_);
  if (written_ != path_) (void)std::remove(written_.c_str());
}

void RunTrace::begin_event(std::int32_t event, const PlanEvent& what) {
  JsonWriter out;
  out.begin_object().field("event", std::int64_t{event}).field("kind", name_of(what.kind));
  if (!what.path.empty()) out.field("path", std::string_view(what.path));
  if (what.tokens) out.field("tokens", *what.tokens);
  event_ = std::move(out.end_object()).text();
  event_.pop_back();  // the lines go on where this ends
}

void RunTrace::step(const Step& step) {
  JsonWriter out;
  out.begin_object().field("mode", step.mode).field("rank", step.rank);
  if (step.layer >= 0) out.field("layer", step.layer);
  out.field("at", std::int64_t{step.op}).field("op", name_of(step.kind));
  if (step.family.valid()) {
    out.field("group", std::string_view(plan_.family(step.family).name));
    if (step.group >= 0) {
      out.field("communicator", std::int64_t{step.group}).field("sequence", step.sequence);
    }
  }
  if (step.rows_in >= 0) out.field("rows_in", step.rows_in);
  if (step.rows_out >= 0) out.field("rows_out", step.rows_out);
  std::string line = std::move(out.end_object()).text();
  line.front() = ',';
  line += '\n';
  line.insert(0, event_);
  failed_ = failed_ || std::fputs(line.c_str(), file_) < 0;
}

Result<void> RunTrace::finish() {
  return put_in_place(std::exchange(file_, nullptr), failed_, written_, path_);
}

Result<std::unique_ptr<MergedTrace>> MergedTrace::create(const std::string& path) {
  std::unique_ptr<MergedTrace> out(new MergedTrace(path));
  out->file_ = std::fopen(unfinished_trace(path).c_str(), "wb");
  if (out->file_ == nullptr) return tl::unexpected(cannot_write(path, errno));
  return out;
}

MergedTrace::~MergedTrace() {
  if (file_ == nullptr) return;
  (void)std::fclose(file_);
  (void)std::remove(unfinished_trace(path_).c_str());
}

void MergedTrace::add(const std::string& part) {
  std::ifstream from(part, std::ios::binary);
  // A line without its end is one that its process did not live to finish.
  for (std::string line; std::getline(from, line) && !from.eof();) {
    line += '\n';
    failed_ = failed_ || std::fputs(line.c_str(), file_) < 0;
  }
}

Result<void> MergedTrace::finish() {
  return put_in_place(std::exchange(file_, nullptr), failed_, unfinished_trace(path_), path_);
}

}  // namespace capsize
