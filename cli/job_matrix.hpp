// The rows of a covering array as jobs of a CI service: each row is executed by exactly one job,
// jobs weigh about the same, and a job's id is the same whenever the same universe is asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scenarios/agree/parts.hpp"
#include "sim/covering.hpp"
#include "sim/universe.hpp"

namespace capsize::cli {

inline constexpr int kJobGpusMax = 1024;
inline constexpr std::size_t kJobsMax = 256;  // as many as GitHub takes in one matrix

struct JobMatrixOptions {
  int gpus = 0;  // of the machine that runs a job; 0: no jobs are asked for
  std::size_t jobs = 4;
  std::optional<std::int64_t> rows_max = {};
};

struct MatrixJob {
  std::string backend;
  int gpus = 1;
  AgreePart part;
  PartSize size;
};

struct JobMatrix {
  std::vector<MatrixJob> jobs;
  std::optional<std::int64_t> rows_max;
};

// With one GPU every row runs on emulated ranks. With more, launches of at most that many ranks run
// on as many real ones, and the rest on emulated ones. There is no job without a member.
[[nodiscard]] JobMatrix job_matrix_of(const Universe& universe, std::span<const MemberChoices> rows,
                                      const JobMatrixOptions& options);

// {"include": [{"id": ..., "arguments": ["agree", ...]}, ...]}, a job a line.
[[nodiscard]] std::string job_matrix_json(const JobMatrix& matrix, const std::string& universe,
                                          std::size_t strength, const std::string& where);

}  // namespace capsize::cli
