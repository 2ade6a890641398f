// A trace of a run: one JSON line for every operation of every rank of this process, in the order
// in which they were issued. It lies beside its place until the run is over, so that nobody takes
// half of it for all.
//
//   auto trace = RunTrace::create("trace.jsonl", plan);
//   execute(plan, options, backend, trace->get());
//   (*trace)->finish();
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "runtime/executor.hpp"
#include "sim/error.hpp"

namespace capsize {

// Where a trace lies until its run is over.
[[nodiscard]] std::string unfinished_trace(const std::string& path);

class RunTrace : public Watcher {
 public:
  // Where the lines go: beside their place until the run is over; or at once, line by line, so that
  // a process that is killed has told what it issued.
  enum class Lines : std::uint8_t { when_done, at_once };
  // `plan` must outlive this.
  [[nodiscard]] static Result<std::unique_ptr<RunTrace>> create(const std::string& path,
                                                                const Lifecycle& plan,
                                                                Lines lines = Lines::when_done);
  ~RunTrace() override;
  RunTrace(const RunTrace&) = delete;
  RunTrace& operator=(const RunTrace&) = delete;

  void begin_event(std::int32_t event, const PlanEvent& what) override;
  void step(const Step& step) override;
  void end_event(const EventObservation& seen) override { (void)seen; }

  // Puts the file in its place.
  [[nodiscard]] Result<void> finish();

 private:
  RunTrace(std::string path, const Lifecycle& plan) : path_(std::move(path)), plan_(plan) {}

  std::string path_;
  std::string written_;  // the file that is written until the run is over
  const Lifecycle& plan_;
  std::FILE* file_ = nullptr;
  bool failed_ = false;
  std::string event_;  // the fields that all lines of an event share
};

// One trace of the traces of several processes, one behind the other.
class MergedTrace {
 public:
  [[nodiscard]] static Result<std::unique_ptr<MergedTrace>> create(const std::string& path);
  ~MergedTrace();
  MergedTrace(const MergedTrace&) = delete;
  MergedTrace& operator=(const MergedTrace&) = delete;

  // The whole lines of a file; a process that wrote nothing has none.
  void add(const std::string& part);
  [[nodiscard]] Result<void> finish();

 private:
  explicit MergedTrace(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::FILE* file_ = nullptr;
  bool failed_ = false;
};

}  // namespace capsize
