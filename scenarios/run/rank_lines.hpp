// What a rank that is a process tells its parent, a JSON line at a time, as it goes: a rank that
// hangs or dies has told of everything before that.
//
//   {"job":3,"seen":{an observation with one event}}      the event has ended
//   {"job":3,"failed":{the same}}                         it has failed here; others may still wait
//   {"job":3,"done":{an observation without events}}      so has the job
//   {"job":3,"error":{"where":...,"text":...,"hint":...}} the job cannot be executed
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/observation.hpp"
#include "sim/error.hpp"

namespace capsize {

enum class RankTells : std::uint8_t { seen, failed, done, error };
[[nodiscard]] std::string_view name_of(RankTells what);

struct RankLine {
  std::int64_t job = 0;
  RankTells what = RankTells::done;
  Observation observation;  // unless it is an error
  Error error;
};

// Ends with the line's end.
[[nodiscard]] std::string write_rank_line(const RankLine& line);
[[nodiscard]] Result<RankLine> read_rank_line(std::string_view line);

// The file of a rank in the folder of a run's results.
[[nodiscard]] std::string rank_file(const std::string& folder, std::int64_t rank);
// And of its trace.
[[nodiscard]] std::string trace_file(const std::string& folder, std::int64_t rank);

}  // namespace capsize
