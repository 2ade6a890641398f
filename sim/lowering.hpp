// From an engine's rules to concrete counts: a SymbolicStep at n units becomes the programs of an
// event, one for each class of ranks that holds the same rows; a StartUp becomes a Lifecycle.
//
//   Lifecycle plan = lower(deployment, captures, start_up);        // what --emit-plan writes
//
//   StepLowering step(symbolic, plan);                             // one forward, for `explain`
//   event.programs = step.programs_at(28);
//
// Kinds of operations: attention stays; mlp and moe become `matmul` (one, where experts are cut
// over two groups), local `kernel` or `norm`, add_norm an `add` of two operands, add_first a
// `kernel`; a sum into a buffer becomes the copy into the zeroed buffer and an all-reduce; so does
// a gather of parts that are padded to the largest: a copy, then an all-gather; take_own and
// keep_own are a `slice`. Collectives over groups of one rank are left out, as the engines leave
// them out. Roles say what each computes, and with Lifecycle::layers a run can compare that with
// the model.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/capture.hpp"
#include "sim/deployment.hpp"
#include "sim/lifecycle.hpp"
#include "sim/rows.hpp"

namespace capsize {

class StepLowering {
 public:
  // Adds the groups that the step uses to `plan`, which must outlive this object and keep them.
  StepLowering(const SymbolicStep& step, Lifecycle& plan);

  // Programs with ranks, tokens, operations and blocks; mode and key are the caller's.
  // `group_capture`: the groups move data as they do inside a capture.
  [[nodiscard]] std::vector<Program> programs_at(std::int64_t n, bool group_capture = false);

 private:
  // An operation of the plan with the places of its row counts in `distinct_`.
  struct Lowered {
    PlanOp op;
    std::vector<std::int32_t> rows_in;
    std::int32_t rows_out = -1;
    // A gather of unequal parts that are padded to the largest, and the padding before it: how
    // many parts; 1 elsewhere. Where the parts are not split (short batches) both only copy.
    std::int64_t padded_parts = 1;
    std::int32_t gathered = -1;  // the rows of the gather's output
    Transport captured_as = Transport::checked;
  };

  void add_ops();
  void add_op(const OpTrace& trace);
  void add_sum_into_buffer(const OpTrace& trace, const Op& op);
  void add_padded_gather(const OpTrace& trace, const Op& op);
  Lowered& push(const OpTrace& trace, const Op& op, PlanOpKind kind);
  void read(Lowered& lowered, const TravellingTensor& tensor);
  void write(Lowered& lowered, const TravellingTensor& tensor);
  void link(Lowered& lowered, const Op& op);
  [[nodiscard]] std::int32_t place_of(const RankRows& rows);
  [[nodiscard]] GroupId group_of(GroupId id);
  [[nodiscard]] Layout layout_of(const Layout& layout);
  [[nodiscard]] std::int64_t rows_at(std::int32_t place, std::int64_t rank) const;
  [[nodiscard]] std::vector<GroupId> whole_axes() const;
  static void make_whole(PlanOp& op, GroupId axis);
  [[nodiscard]] std::vector<std::int64_t> signature_of(std::int64_t rank) const;
  void set_padded_rows(const Lowered& lowered, PlanOp& op, std::int64_t rank) const;
  [[nodiscard]] Program program_of(std::int64_t rank, bool group_capture) const;

  SymbolicStep step_;
  Lifecycle& plan_;
  std::vector<OpTrace> trace_;
  std::vector<GroupId> groups_;     // of the plan, by the topology's
  std::vector<RankRows> distinct_;  // row counts that differ in form
  std::vector<Lowered> ops_;
  std::vector<OpBlock> blocks_;
  std::vector<Expr> exprs_;           // world x distinct_
  std::vector<std::int64_t> values_;  // of all expressions, at the n in question
  std::int32_t hidden_ = -1;          // the operation that made each tensor; -1: not in this block
  std::int32_t residual_ = -1;
  bool never_fits_ = false;  // its layouts break at every count
};

// The warm-up (eager) or capture of one size of a path, in the path's unit. `step` lowers its step.
[[nodiscard]] PlanEvent event_at(const CapturePath& path, StepLowering& step, std::int64_t size,
                                 PlanEventKind kind, bool group_capture);

// The start-up of a server as a Lifecycle: its groups, what is captured, and the warm-up, compile
// (told as warm_up: it is an eager forward) and capture events in order.
[[nodiscard]] Lifecycle lower(const Deployment& deployment, const CapturePlan& captures,
                              const StartUp& start_up);

}  // namespace capsize
