// key_is_complete: a graph is found under the key that it was stored under, the key says everything
// that the captured operations take as constant, and what admits a batch counts as the key does.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "properties/plan_report.hpp"

namespace capsize {
namespace {

using Size = std::optional<std::int64_t>;

std::string key_text(const Program& program) {
  if (program.key) return text_of(*program.key);
  const Size bucket = bucket_of(program);
  return bucket ? "{bucket: " + std::to_string(*bucket) + "}" : "{}";
}

// Counts that pass every count of a plan stay the largest.
std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  return __builtin_mul_overflow(a, b, &out) ? INT64_MAX : out;
}

// Sizes of an entry in rows of a rank.
std::int64_t rows_of(const PlanCapture& entry, std::int64_t size) {
  return entry.unit == Unit::requests ? product(size, entry.width.value_or(1)) : size;
}

bool is_graph(const PlanEvent& event, const Program& program) {
  return event.kind == PlanEventKind::capture && program.mode != GraphMode::eager;
}

// Longer programs are compared in their first part.
constexpr std::size_t kUnfoldedMost = 4096;

// Calls `visit` for a repeated part until it says that nothing was added or all is full.
template <class Visit>
void repeat_while(std::int64_t repeat, const Visit& adds) {
  for (std::int64_t i = 0; i < repeat && adds(); ++i) {
  }
}

// The captured operations that a replay runs, with every repetition.
std::vector<const RunOp*> unfolded_graph(const Running& running) {
  std::vector<const RunOp*> out;
  const auto add_block = [&](const RunBlock& block) {
    const std::size_t before = out.size();
    for (std::int32_t i = block.first; i < block.first + block.count; ++i) {
      const RunOp& each = running.ops[static_cast<std::size_t>(i)];
      if (each.from_graph && each.captured) out.push_back(&each);
    }
    return out.size() > before && out.size() < kUnfoldedMost;
  };
  for (const RunPart& part : running.parts) {
    repeat_while(part.repeat, [&] {
      const std::size_t before = out.size();
      for (std::int32_t i = part.first_block; i < part.first_block + part.blocks; ++i) {
        const RunBlock& block = running.blocks[static_cast<std::size_t>(i)];
        repeat_while(block.repeat, [&] { return add_block(block); });
      }
      return out.size() > before && out.size() < kUnfoldedMost;
    });
  }
  return out;
}

// The operations that a step says it would launch, with every repetition.
std::vector<const PlanOp*> unfolded_step(const Program& program) {
  std::vector<const PlanOp*> out;
  const auto add_block = [&](const OpBlock& block) {
    const std::size_t before = out.size();
    for (std::int32_t i = block.first_op; i < block.first_op + block.count; ++i) {
      const PlanOp& each = program.ops[static_cast<std::size_t>(i)];
      if (each.captured.value_or(false)) out.push_back(&each);
    }
    return out.size() > before && out.size() < kUnfoldedMost;
  };
  repeat_while(program.repeat, [&] {
    const std::size_t before = out.size();
    for (const OpBlock& block : program.blocks) {
      repeat_while(block.repeat, [&] { return add_block(block); });
    }
    return out.size() > before && out.size() < kUnfoldedMost;
  });
  return out;
}

// Finds the captured operation that a restated one stands for: the next of its kind, group and id;
// where one of the two has no id, the next of its kind and group that no id has claimed.
class Pairs {
 public:
  Pairs(const std::vector<const PlanOp*>& restated, const std::vector<const RunOp*>& captured)
      : captured_(captured), taken_(captured.size(), false), found_(restated.size(), nullptr) {
    for (std::size_t i = 0; i < captured.size(); ++i) {
      const PlanOp& each = *captured[i]->op;
      queues_[key(each, Which::any)].places.push_back(i);
      queues_[key(each, each.id.empty() ? Which::nameless : Which::named)].places.push_back(i);
    }
    for (std::size_t i = 0; i < restated.size(); ++i) {
      if (!restated[i]->id.empty()) found_[i] = take(key(*restated[i], Which::named));
    }
    for (std::size_t i = 0; i < restated.size(); ++i) {
      if (found_[i] != nullptr) continue;
      found_[i] = take(key(*restated[i], restated[i]->id.empty() ? Which::any : Which::nameless));
    }
  }

  // The partner of the restated operation at a place; none where the graph has none.
  [[nodiscard]] const RunOp* of(std::size_t place) const { return found_[place]; }

 private:
  enum class Which : std::uint8_t { any, nameless, named };
  using Key = std::tuple<Which, PlanOpKind, std::int8_t, std::string_view>;
  struct Queue {
    std::vector<std::size_t> places;
    std::size_t next = 0;
  };

  static Key key(const PlanOp& op, Which which) {
    return {which, op.kind, op.group.index, which == Which::named ? op.id : std::string_view()};
  }

  const RunOp* take(const Key& key) {
    const auto at = queues_.find(key);
    if (at == queues_.end()) return nullptr;
    auto& [places, next] = at->second;
    while (next < places.size() && taken_[places[next]]) ++next;
    if (next == places.size()) return nullptr;
    taken_[places[next]] = true;
    return captured_[places[next]];
  }

  const std::vector<const RunOp*>& captured_;
  std::vector<bool> taken_;
  std::vector<const RunOp*> found_;
  std::map<Key, Queue> queues_;
};

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

  // Whether `kept` names the size of a program: under its very key, or without saying which key.
  enum class Kept : std::uint8_t { no, under_some_key, under_its_key };

  [[nodiscard]] Kept kept(const PlanEvent& event, const Program& program) const {
    const Size rows = bucket_of(program);
    Kept best = Kept::no;
    for (const PlanCapture& entry : plan_.captures) {
      if (!rows || entry.path != event.path || !may_hold(entry, program)) continue;
      const bool here = std::ranges::any_of(
          entry.kept, [&](std::int64_t size) { return rows_of(entry, size) == *rows; });
      if (!here) continue;
      best = std::max(best, entry.key && program.key ? Kept::under_its_key : Kept::under_some_key);
    }
    return best;
  }

  // Whether an entry may stand for graphs of this mode and, but for the size, this key.
  static bool may_hold(const PlanCapture& entry, const Program& program) {
    if (entry.mode && program.mode && entry.mode != program.mode) return false;
    return !entry.key || !program.key || without_size(*entry.key) == without_size(*program.key);
  }

  // The captures of a replay's path before it, latest first: of its own size under another key,
  // and of its own key by other ranks.
  struct Near {
    const Program* other_key = nullptr;
    const Program* other_size = nullptr;   // of those, one whose key differs in its size alone
    const Program* other_names = nullptr;  // or in what it is made of
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
        // The size of a graph is its bucket; where that is not said, what it was captured for.
        const bool same_size =
            rows && (bucket_of(stored) == rows || (!stored.bucket && capture.tokens == rows));
        if (!same && same_size) near_key(near, wanted, stored);
      }
    }
    return near;
  }

  static void near_key(Near& near, const Program& wanted, const Program& stored) {
    if (near.other_key == nullptr) near.other_key = &stored;
    if (!wanted.key || !stored.key) return;
    const GraphKey a = without_size(*wanted.key);
    const GraphKey b = without_size(*stored.key);
    if (a == b && near.other_size == nullptr) near.other_size = &stored;
    const auto named_alike = [](const NamedValue& x, const NamedValue& y) {
      return x.first == y.first;
    };
    if (!std::ranges::equal(a, b, named_alike) && near.other_names == nullptr) {
      near.other_names = &stored;
    }
  }

  // Plans may hold fewer capture events than sizes were captured: what `kept` names was captured,
  // unless the plan shows that very size captured under a key that cannot be right.
  [[nodiscard]] bool stands_in(Kept kept, const Near& near) const {
    if (kept == Kept::no || near.by_others >= 0 || near.other_size != nullptr) return false;
    return kept == Kept::under_its_key || near.other_names == nullptr;
  }

  void judge_missing(const EventRun& event, std::int32_t place) {
    const Running& running = event.runnings[static_cast<std::size_t>(place)];
    const Near found = near(event, *running.program);
    if (stands_in(kept(*event.event, *running.program), found)) return;
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

  void judge_restated(const EventRun& event, std::int32_t place) {
    const Running& running = event.runnings[static_cast<std::size_t>(place)];
    const auto restated = unfolded_step(*running.program);
    if (restated.empty()) return;
    const auto captured = unfolded_graph(running);
    const Pairs pairs(restated, captured);
    std::vector<const PlanOp*> told;
    for (std::size_t i = 0; i < restated.size(); ++i) {
      const RunOp* partner = pairs.of(i);
      if (partner == nullptr && captured.size() >= kUnfoldedMost) continue;
      std::string text = partner != nullptr ? difference(*restated[i], *partner->op)
                                            : "this step would launch " +
                                                  op_text(plan_, *restated[i]) + ", which is not";
      if (text.empty() || std::ranges::find(told, restated[i]) != told.end()) continue;
      told.push_back(restated[i]);
      const RunOp shown{.op = partner == nullptr ? restated[i] : partner->op,
                        .layer = partner == nullptr ? -1 : partner->layer};
      Breach breach = breach_at(timeline_, event, place, shown);
      breach.key = key_text(*running.program);
      breach.symptom = Symptom::silent_corruption;
      breach.blame = std::move(text) + " in the captured graph: the key " + breach.key +
                     " does not determine it";
      report_.add(std::move(breach));
    }
  }

  // ---- what admits a batch --------------------------------------------------------------------

  // A sum over replicas is the count of the only one: no group of several replicas, or one
  // attention-TP group of all ranks.
  [[nodiscard]] bool one_replica() const {
    bool named = false;
    if (const auto attn_tp = plan_.find_group("attn_tp")) {
      if (plan_.size_of(*attn_tp) == plan_.world) return true;
    }
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
      breach.tokens = product(breach.tokens, entry.width.value_or(1));
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

  // The least size that a program of this mode and key (none: any) can look up for so many rows.
  [[nodiscard]] Size least_size(std::string_view path, const Program* program,
                                std::int64_t enough) const {
    Size least;
    for (const PlanCapture& entry : plan_.captures) {
      if (entry.path != path || (program != nullptr && !may_hold(entry, *program))) continue;
      for (const std::int64_t size : entry.admits ? *entry.admits : entry.kept) {
        const std::int64_t rows = rows_of(entry, size);
        if (rows >= enough && (!least || rows < *least)) least = rows;
      }
    }
    return least;
  }

  // The family whose groups hold the same tokens on all their ranks: attention-TP, or TP where
  // every group of replicas takes its ranks from different TP groups.
  [[nodiscard]] std::optional<GroupId> replica_family() const {
    if (const auto attn_tp = plan_.find_group("attn_tp")) return attn_tp;
    const auto tp = plan_.find_group("tp");
    if (!tp) return std::nullopt;
    const auto& tp_of = plan_.family(*tp).group_of;
    bool several = false;
    for (const PlanGroups& family : plan_.families) {
      if (family.name.find("dp") == std::string::npos) continue;
      for (const auto& group : family.groups) {
        std::set<std::int32_t> met;
        for (const std::int32_t rank : group) {
          const std::int32_t at = tp_of[static_cast<std::size_t>(rank)];
          if (at < 0 || !met.insert(at).second) return std::nullopt;
        }
        several = several || group.size() > 1;
      }
    }
    return several ? tp : std::nullopt;
  }

  // Tokens of all replicas.
  [[nodiscard]] std::int64_t sum_of(const EventRun& event) const {
    const auto shared = replica_family();
    std::int64_t sum = 0;
    for (const Running& running : event.runnings) {
      const std::int64_t tokens = running.program->tokens.value_or(0);
      if (tokens == 0) continue;
      std::int64_t holders = 0;
      running.ranks.for_each([&](std::int64_t rank) {
        const auto at = static_cast<std::size_t>(rank);
        const bool first = !shared || plan_.family(*shared).position_of[at] <= 0;
        holders += first ? 1 : 0;
      });
      if (tokens > INT32_MAX) return -1;
      sum += tokens * holders;
    }
    return sum;
  }

  void judge_scope(const EventRun& event) {
    if (event.tokens < 1 || plan_.captures.empty()) return;
    const Size least = least_size(event.event->path, nullptr, event.tokens);
    if (!least) return;
    for (std::size_t i = 0; i < event.runnings.size(); ++i) {
      const Running& running = event.runnings[i];
      const Program& program = *running.program;
      const Size bucket = bucket_of(program);
      if (!running.replays() || !bucket || *bucket <= *least) continue;
      const Size local = least_size(event.event->path, &program, event.tokens);
      if (!local || *bucket <= *local) continue;
      const std::int64_t sum = sum_of(event);
      if (sum <= event.tokens || least_size(event.event->path, &program, sum) != bucket) continue;
      Breach breach = breach_at(event);
      breach.rank = running.ranks.first();
      breach.running = static_cast<std::int32_t>(i);
      breach.key = key_text(program);
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
