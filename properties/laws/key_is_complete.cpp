// key_is_complete: a graph is found under the key that it was stored under, the key says everything
// that the captured operations take as constant, and what admits a batch counts as the key does.
#include <algorithm>

#include "properties/plan_report.hpp"

namespace capsize {
namespace {

using Size = std::optional<std::int64_t>;

std::string key_text(const Program& program) {
  if (program.key) return text_of(*program.key);
  const Size bucket = bucket_of(program);
  return bucket ? "{bucket: " + std::to_string(*bucket) + "}" : "{}";
}

// Sizes of an entry in rows of a rank.
std::int64_t rows_of(const PlanCapture& entry, std::int64_t size) {
  return entry.unit == Unit::requests ? size * entry.width.value_or(1) : size;
}

bool is_graph(const PlanEvent& event, const Program& program) {
  return event.kind == PlanEventKind::capture && program.mode != GraphMode::eager;
}

class Check {
 public:
  Check(const Timeline& timeline, PlanReport& report)
      : timeline_(timeline), plan_(timeline.lifecycle()), report_(report) {}

  void run() {
    for (const PlanCapture& entry : plan_.captures) judge_admission(entry);
    for (const EventRun& event : timeline_.events()) {
      if (event.event->kind != PlanEventKind::replay) continue;
      for (std::size_t i = 0; i < event.runnings.size(); ++i) {
        const Running& running = event.runnings[i];
        if (!running.replays()) continue;
        report_.looked_at(event.event->path);
        if (running.graph_missing) judge_missing(event, static_cast<std::int32_t>(i));
        if (running.graph != nullptr) judge_restated(event, static_cast<std::int32_t>(i));
      }
      judge_scope(event);
    }
  }

 private:
  // ---- store key = look-up key ----------------------------------------------------------------

  // Plans may hold fewer capture events than sizes were captured: what `kept` names was captured,
  // unless the plan shows that very size captured under another key.
  [[nodiscard]] bool kept(const PlanEvent& event, const Program& program) const {
    const Size rows = bucket_of(program);
    if (!rows) return false;
    return std::ranges::any_of(plan_.captures, [&](const PlanCapture& entry) {
      const bool other_mode = entry.mode && program.mode && entry.mode != program.mode;
      if (entry.path != event.path || other_mode || !same_rest(entry, program)) return false;
      return std::ranges::any_of(entry.kept,
                                 [&](std::int64_t size) { return rows_of(entry, size) == *rows; });
    });
  }

  static bool same_rest(const PlanCapture& entry, const Program& program) {
    return !entry.key || !program.key || without_size(*entry.key) == without_size(*program.key);
  }

  // The captures of a replay's path before it, latest first: of its own size under another key,
  // and of its own key by other ranks.
  struct Near {
    const Program* other_key = nullptr;
    const Program* latest = nullptr;
    std::int32_t by_others = -1;
  };

  [[nodiscard]] Near near(const EventRun& event, const Program& wanted) const {
    Near near;
    const Size rows = bucket_of(wanted);
    for (std::int32_t i = event.index - 1; i >= 0; --i) {
      const PlanEvent& capture = plan_.events[static_cast<std::size_t>(i)];
      if (capture.path != event.event->path) continue;
      for (const Program& stored : capture.programs) {
        if (!is_graph(capture, stored)) continue;
        if (near.latest == nullptr) near.latest = &stored;
        const bool same =
            wanted.key && stored.key ? *wanted.key == *stored.key : bucket_of(stored) == rows;
        if (same && near.by_others < 0) near.by_others = i;
        const bool same_size = rows && (capture.tokens == rows || bucket_of(stored) == rows);
        if (!same && same_size && near.other_key == nullptr) near.other_key = &stored;
      }
    }
    return near;
  }

  void judge_missing(const EventRun& event, std::int32_t place) {
    const Running& running = event.runnings[static_cast<std::size_t>(place)];
    const Near found = near(event, *running.program);
    if (found.other_key == nullptr && found.by_others < 0 && kept(*event.event, *running.program)) {
      return;
    }
    Breach breach = breach_at(event);
    breach.rank = running.ranks.first();
    breach.running = place;
    breach.key = key_text(*running.program);
    breach.symptom = Symptom::silent_eager;
    breach.capture_event = found.by_others;
    breach.blame = ranks_text(running.ranks) + " look up " + breach.key;
    if (found.by_others >= 0) {
      breach.blame += ", which only other ranks have captured";
    } else if (found.other_key != nullptr) {
      breach.blame += "; the graph of this size is stored under " + key_text(*found.other_key);
    } else if (found.latest != nullptr) {
      breach.blame += ", under which nothing is captured; the latest capture is stored under " +
                      key_text(*found.latest);
    } else {
      breach.blame += ", and nothing is captured on this path";
    }
    report_.add(std::move(breach));
  }

  // ---- what a captured operation takes as constant --------------------------------------------

  // The first thing that a step would launch otherwise than the graph does.
  static std::string difference(const PlanOp& restated, const PlanOp& captured) {
    for (const NamedValue& each : restated.launch) {
      for (const NamedValue& stored : captured.launch) {
        if (each.first == stored.first && each.second != stored.second) {
          return each.first + " is " + each.second + " in this step and " + stored.second;
        }
      }
    }
    const auto differ = [](std::string_view what, const auto& now, const auto& then) {
      return std::string(what) + " is " + std::to_string(now) + " in this step and " +
             std::to_string(then);
    };
    const auto& rows = restated.rows_in;
    if (!rows.empty() && !captured.rows_in.empty() && rows != captured.rows_in) {
      return differ("rows_in", rows.front(), captured.rows_in.front());
    }
    if (restated.rows_out && captured.rows_out && restated.rows_out != captured.rows_out) {
      return differ("rows_out", *restated.rows_out, *captured.rows_out);
    }
    if (!restated.dtype.empty() && !captured.dtype.empty() && restated.dtype != captured.dtype) {
      return "dtype is " + restated.dtype + " in this step and " + captured.dtype;
    }
    if (!restated.sizes.empty() && !captured.sizes.empty() && restated.sizes != captured.sizes) {
      return "the sizes of this step are not those";
    }
    return {};
  }

  // The captured operation that a restated one stands for: of the same id, else the next of its
  // kind that is not taken yet.
  static const RunOp* counterpart(const Running& running, const PlanOp& restated,
                                  std::vector<bool>& taken) {
    for (const bool by_id : {true, false}) {
      for (std::size_t i = 0; i < running.ops.size(); ++i) {
        const RunOp& each = running.ops[i];
        if (!each.from_graph || !each.captured || taken[i]) continue;
        const bool ids = !each.op->id.empty() && !restated.id.empty();
        if (each.op->kind != restated.kind || each.op->group != restated.group) continue;
        if (by_id ? ids && each.op->id == restated.id : !ids) {
          taken[i] = true;
          return &each;
        }
      }
    }
    return nullptr;
  }

  void judge_restated(const EventRun& event, std::int32_t place) {
    const Running& running = event.runnings[static_cast<std::size_t>(place)];
    std::vector<bool> taken(running.ops.size(), false);
    for (const PlanOp& restated : running.program->ops) {
      if (!restated.captured.value_or(false)) continue;
      const RunOp* captured = counterpart(running, restated, taken);
      std::string text;
      if (captured == nullptr) {
        text = "this step would launch " + op_text(plan_, restated) + ", which is not";
      } else {
        text = difference(restated, *captured->op);
      }
      if (text.empty()) continue;
      const RunOp shown{.op = captured == nullptr ? &restated : captured->op,
                        .layer = captured == nullptr ? -1 : captured->layer};
      Breach breach = breach_at(timeline_, event, place, shown);
      breach.key = key_text(*running.program);
      breach.symptom = Symptom::silent_corruption;
      breach.blame =
          text + " in the captured graph: the key " + breach.key + " does not determine it";
      report_.add(std::move(breach));
    }
  }

  // ---- what admits a batch --------------------------------------------------------------------

  // One rank a replica: a sum over replicas is the count of the only one.
  [[nodiscard]] bool one_replica() const {
    bool named = false;
    for (const PlanGroups& family : plan_.families) {
      if (family.name.find("dp") == std::string::npos) continue;
      named = true;
      const auto several = [](const auto& group) { return group.size() > 1; };
      if (std::ranges::any_of(family.groups, several)) return false;
    }
    return named || plan_.world == 1;
  }

  void add_admission(const PlanCapture& entry, Symptom symptom, std::string blame) {
    Breach breach{.path = entry.path, .symptom = symptom, .blame = std::move(blame)};
    breach.tokens = entry.admission->max.value_or(0);
    if (entry.admission->unit == Unit::requests) {
      breach.requests = breach.tokens;
      breach.tokens *= entry.width.value_or(1);
    }
    if (entry.key) breach.key = text_of(*entry.key);
    report_.add(std::move(breach));
  }

  void judge_admission(const PlanCapture& entry) {
    if (!entry.admission || entry.mode == GraphMode::eager) return;
    const Admission& test = *entry.admission;
    report_.looked_at(entry.path);
    const auto unit_name = [](Unit unit) { return unit == Unit::tokens ? "tokens" : "requests"; };
    const std::string limit = test.max ? " against " + std::to_string(*test.max) : "";
    if (test.scope == AdmissionScope::sum && !one_replica()) {
      return add_admission(entry, Symptom::silent_eager,
                           "a batch is admitted by the sum over all ranks" + limit +
                               "; the captured sizes are those of one rank");
    }
    if (test.unit && *test.unit != entry.unit && entry.width.value_or(1) != 1) {
      return add_admission(entry, Symptom::silent_eager,
                           std::string("a batch is admitted by its ") + unit_name(*test.unit) +
                               limit + "; the key counts " + unit_name(entry.unit));
    }
    if (test.max && !entry.kept.empty() && *test.max > std::ranges::max(entry.kept)) {
      add_admission(entry, Symptom::clean_error,
                    "batches up to " + std::to_string(*test.max) +
                        " are admitted; the largest captured size is " +
                        std::to_string(std::ranges::max(entry.kept)));
    }
  }

  // ---- rows of a rank, or of all --------------------------------------------------------------

  [[nodiscard]] Size least_kept(std::string_view path, std::int64_t enough) const {
    Size least;
    for (const PlanCapture& entry : plan_.captures) {
      if (entry.path != path) continue;
      for (const std::int64_t size : entry.kept) {
        const std::int64_t rows = rows_of(entry, size);
        if (rows >= enough && (!least || rows < *least)) least = rows;
      }
    }
    return least;
  }

  // Tokens of all replicas: ranks of one attention-TP group hold the same ones.
  [[nodiscard]] std::int64_t sum_of(const EventRun& event) const {
    const auto attn_tp = plan_.find_group("attn_tp");
    std::int64_t sum = 0;
    for (const Running& running : event.runnings) {
      const std::int64_t tokens = running.program->tokens.value_or(0);
      if (tokens == 0) continue;
      std::int64_t holders = 0;
      running.ranks.for_each([&](std::int64_t rank) {
        const auto at = static_cast<std::size_t>(rank);
        const bool first = !attn_tp || plan_.family(*attn_tp).position_of[at] <= 0;
        holders += first ? 1 : 0;
      });
      if (tokens > INT32_MAX) return -1;
      sum += tokens * holders;
    }
    return sum;
  }

  void judge_scope(const EventRun& event) {
    if (event.tokens < 1 || plan_.captures.empty()) return;
    const Size local = least_kept(event.event->path, event.tokens);
    if (!local) return;
    for (std::size_t i = 0; i < event.runnings.size(); ++i) {
      const Running& running = event.runnings[i];
      const Size bucket = bucket_of(*running.program);
      if (!running.replays() || !bucket || *bucket <= *local) continue;
      const std::int64_t sum = sum_of(event);
      if (sum <= event.tokens || least_kept(event.event->path, sum) != bucket) continue;
      Breach breach = breach_at(event);
      breach.rank = running.ranks.first();
      breach.running = static_cast<std::int32_t>(i);
      breach.key = key_text(*running.program);
      breach.symptom = Symptom::silent_eager;
      breach.blame = "the key counts the " + std::to_string(sum) +
                     " tokens of all ranks: each runs " + std::to_string(*bucket) + " rows, and " +
                     std::to_string(*local) + " are enough for its " + std::to_string(event.tokens);
      report_.add(std::move(breach));
    }
  }

  const Timeline& timeline_;
  const Lifecycle& plan_;
  PlanReport& report_;
};

void check_plan(const Timeline& timeline, PlanReport& report) { Check(timeline, report).run(); }

}  // namespace

extern const Law law_key_is_complete;
const Law law_key_is_complete{
    .name = "key_is_complete",
    .defect_class = "C14",
    .subject = "lifecycle",
    .statement =
        "A graph is looked up under the key that it was stored under, the key determines "
        "every launch constant, and batches are admitted in its unit and scope.",
    .formula = "key(store) = key(look-up); launch constants = f(key); admission in the key's unit",
    .way_out =
        "make one function of the step yield the key for both capture and look-up, with "
        "every launch constant in it",
    .check_plan = check_plan};

}  // namespace capsize
