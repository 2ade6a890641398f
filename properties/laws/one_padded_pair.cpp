// one_padded_pair: a forward works on one pair of counts, (tokens, requests), either as padded or
// as real, and every operand of every operation has the rows that follow from it. What a graph was
// captured with is what its replays are padded to.
#include <algorithm>
#include <array>
#include <string>

#include "properties/plan_report.hpp"
#include "sim/units.hpp"

namespace capsize {
namespace {

using Count = std::optional<std::int64_t>;

// The two pairs of a program, as far as it states them.
struct Pairs {
  Count tokens;
  Count requests;
  Count bucket;
  Count padded_requests;
};

Pairs pairs_of(const Program& program) {
  return {program.tokens, program.requests, bucket_of(program), program.padded_requests};
}

// ---- the counts of one program --------------------------------------------------------------

// Writes down what is wrong with the counts of a program.
class Counts {
 public:
  Counts(const EventRun& event, std::int32_t running, PlanReport& report)
      : event_(event),
        runs_(event.runnings[static_cast<std::size_t>(running)]),
        running_(running),
        report_(report) {}

  void check() {
    const Program& program = *runs_.program;
    const Pairs pairs = pairs_of(program);
    const std::int64_t width = program.width.value_or(0);
    if (width > 0 && pairs.bucket && pairs.padded_requests) {
      uniform("padded ", *pairs.bucket, *pairs.padded_requests, width);
    }
    if (width > 0 && pairs.tokens && pairs.requests) {
      uniform("", *pairs.tokens, *pairs.requests, width);
    }
    at_least(pairs.bucket, "padded to ", pairs.tokens, "token");
    at_least(pairs.padded_requests, "padded to ", pairs.requests, "request");
    if (runs_.graph != nullptr) check_graph(program, *runs_.graph);
  }

 private:
  // Each request brings `width` tokens; the last of them may be a dummy that holds the rest.
  void uniform(std::string_view padded, std::int64_t tokens, std::int64_t requests,
               std::int64_t width) {
    report_.looked_at(event_.event->path);
    const std::int64_t needed = div_ceil(tokens, width);
    if (needed == requests) return;
    add(Symptom::clean_error, counted(tokens, std::string(padded) + "token") + " of " +
                                  counted(requests, std::string(padded) + "request") + ": at " +
                                  counted(width, "token") + " a request they are " +
                                  counted(needed, "request"));
  }

  void at_least(const Count& padded, std::string_view how, const Count& real,
                std::string_view what) {
    if (!padded || !real) return;
    report_.looked_at(event_.event->path);
    if (*padded >= *real) return;
    add(Symptom::clean_error, counted(*real, what) + " " + std::string(how) +
                                  std::to_string(*padded) + ", which does not hold them");
  }

  void check_graph(const Program& program, const Program& graph) {
    const auto same = [&](const Count& replayed, const Count& captured, std::string_view does,
                          std::string_view what) {
      if (!replayed || !captured) return;
      report_.looked_at(event_.event->path);
      if (*replayed == *captured) return;
      add(Symptom::silent_corruption, "the replay " + std::string(does) + counted(*replayed, what) +
                                          ", its graph was captured with " +
                                          std::to_string(*captured));
    };
    same(program.bucket, graph.bucket, "is padded to ", "token");
    same(program.padded_requests, graph.padded_requests, "is padded to ", "request");
    same(program.width, graph.width, "has a width of ", "token");
  }

  void add(Symptom symptom, std::string what) {
    Breach breach = breach_at(event_);
    breach.rank = runs_.ranks.first();
    breach.running = running_;
    breach.symptom = symptom;
    breach.blame = ranks_text(runs_.ranks) + ": " + std::move(what);
    report_.add(std::move(breach));
  }

  const EventRun& event_;
  const Running& runs_;
  std::int32_t running_;
  PlanReport& report_;
};

// ---- the operands of one operation ----------------------------------------------------------

using Extent = std::pair<std::string, std::int64_t>;

bool holds(const Extent& extent, std::string_view part) {
  return extent.first.find(part) != std::string::npos;
}

// The array of n + 1 bounds of n things, and one that may leave the last bound out.
bool is_prefix_sum(const Extent& extent) { return holds(extent, "indptr") || holds(extent, "cu_"); }
bool may_be_prefix_sum(const Extent& extent) {
  return is_prefix_sum(extent) || holds(extent, "offset") || holds(extent, "start");
}

// Whether an operand of an operation on `rows` rows has them, or one entry a request. An array of
// bounds over rows may be told by its length or by the rows that it describes; over requests it has
// its length alone.
bool fits(const Extent& extent, std::int64_t rows, const Count& requests) {
  const std::int64_t told = extent.second;
  if (told == rows || (may_be_prefix_sum(extent) && told == rows + 1)) return true;
  if (!requests) return false;
  return (told == *requests && !is_prefix_sum(extent)) ||
         (told == *requests + 1 && may_be_prefix_sum(extent));
}

// The first operand that does not fit.
const Extent* misfit(const PlanOp& op, std::int64_t rows, const Count& requests) {
  const auto found = std::ranges::find_if(
      op.extents, [&](const Extent& extent) { return !fits(extent, rows, requests); });
  return found == op.extents.end() ? nullptr : &*found;
}

// The first operand that is wrong by the pair that the operation works on; none where one pair
// fits all. Rows that are neither count (a share of them, say) leave it open which pair that is.
const Extent* wrong_operand(const PlanOp& op, std::int64_t rows, const Pairs& pairs) {
  const bool padded = pairs.bucket == rows;
  const bool real = pairs.tokens == rows;
  const Extent* by_padded = misfit(op, rows, pairs.padded_requests);
  const Extent* by_real = misfit(op, rows, pairs.requests);
  if (padded && !real) return by_padded;
  if (real && !padded) return by_real;
  if (by_padded == nullptr || by_real == nullptr) return nullptr;
  return std::max(by_padded, by_real);  // told by the pair that fits further
}

void check_op(const Timeline& timeline, const EventRun& event, std::int32_t running,
              const RunOp& op, PlanReport& report) {
  if (op.op->extents.empty()) return;
  const Running& runs = event.runnings[static_cast<std::size_t>(running)];
  const Pairs pairs = pairs_of(op.from_graph ? *runs.graph : *runs.program);
  Count rows = op.captured ? pairs.bucket : pairs.tokens;
  if (!op.op->rows_in.empty()) rows = op.op->rows_in.front();
  if (!rows) return;
  report.looked_at(event.event->path);
  const Extent* wrong = wrong_operand(*op.op, *rows, pairs);
  if (wrong == nullptr) return;
  Breach breach = breach_at(timeline, event, running, op);
  breach.symptom = Symptom::silent_corruption;
  breach.blame = wrong->first + " has " + counted(wrong->second, "row") + ", the " +
                 std::string(name_of(op.op->kind)) + " works on " + std::to_string(*rows);
  report.add(std::move(breach));
}

void check_plan(const Timeline& timeline, PlanReport& report) {
  for (const EventRun& event : timeline.events()) {
    for (std::int32_t running = 0; running < std::ssize(event.runnings); ++running) {
      Counts(event, running, report).check();
      for (const RunOp& op : event.runnings[static_cast<std::size_t>(running)].ops) {
        check_op(timeline, event, running, op, report);
      }
    }
  }
}

}  // namespace

extern const Law law_one_padded_pair;
const Law law_one_padded_pair{
    .name = "one_padded_pair",
    .defect_class = "C08",
    .subject = "step",
    .statement =
        "One forward uses one pair of counts, tokens and requests, fixed before its metadata is "
        "built: all real or all padded. Every operand of an operation follows from it, and a "
        "replay is padded as its graph was captured.",
    .formula =
        "ceil(tokens / width) = requests; extent in {rows, requests}, or one more for an array of "
        "bounds, of one pair an operation",
    .way_out =
        "fix padded tokens and requests before metadata is built, and build all of it from them; "
        "a dummy request may hold the padding",
    .check_plan = check_plan};

}  // namespace capsize
