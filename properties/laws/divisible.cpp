// divisible: every count that a path captures or presents can be split by every collective of the
// step. The counts that can be split are derived from the step (sim/usable.hpp), never restated.
// In a plan: the rows that a reduce-scatter reads and those that an all-gather leaves are equal
// shares of its group, and so are the parts of a weight, in whole blocks.
#include <algorithm>
#include <numeric>
#include <span>

#include "properties/plan_report.hpp"
#include "properties/set_case.hpp"
#include "properties/unequal_counts.hpp"

namespace capsize {
namespace {

const Op& op_of(const SymbolicStep& plan, const Obligation& asks) {
  return plan.blocks[static_cast<std::size_t>(asks.block)].ops[static_cast<std::size_t>(asks.op)];
}

// "reduce_scatter over attn_tp (8 ranks) in layer 0: its rows do not divide ...".
std::string describe(const SymbolicStep& plan, const Obligation& asks, std::int64_t n) {
  const LayerBlock& block = plan.blocks[static_cast<std::size_t>(asks.block)];
  const Op& op = op_of(plan, asks);
  std::string text(name_of(op.kind));
  if (op.group.valid()) {
    text.append(" over ").append(plan.topology->family(op.group).name);
    text.append(" (").append(std::to_string(plan.topology->size_of(op.group))).append(" ranks)");
  }
  text.append(" in layer ").append(std::to_string(block.first_layer));
  text.append(" (").append(block.kind).append("): ").append(asks.reason);
  if (asks.kind == ObligationKind::equal) {
    const bool buffer = op.kind == OpKind::all_gather && !op.buffer_name.empty();
    text.append(": ").append(counted(plan.exprs.value_at(asks.left, n), "row"));
    text.append(buffer ? " gathered into the " + std::string(op.buffer_name) + " of "
                       : std::string(" on one rank, "));
    text.append(counted(plan.exprs.value_at(asks.right, n), "row"));
    if (!buffer) text.append(" on another");
  }
  return text;
}

Witness witness_of(const SymbolicStep& plan, const Obligation* asks, Witness witness) {
  if (asks == nullptr) return witness;
  const Op& op = op_of(plan, *asks);
  witness.rank = asks->rank;
  witness.layer = plan.blocks[static_cast<std::size_t>(asks->block)].first_layer;
  witness.op = name_of(op.kind);
  if (op.group.valid()) {
    witness.group = plan.topology->family(op.group).name;
    witness.group_size = plan.topology->size_of(op.group);
  }
  return witness;
}

// Whether n rows make a call over `asks`' group that is wrong on some rank whatever others bring.
bool own_call_fails(const DerivedStep& step, const Obligation& asks, std::int64_t n) {
  const auto is_broken = [&](const Obligation& other) {
    return other.in_own_call && other.block == asks.block && other.op == asks.op &&
           first_broken(step.plan.exprs, {&other, 1}, n) != nullptr;
  };
  return asks.in_own_call || std::ranges::any_of(step.requirement.walked.obligations, is_broken);
}

// How much of the rows that a rank brings every other one takes.
std::int64_t share_of(const SymbolicStep& plan, const Obligation& asks, Expr rows, std::int64_t n) {
  const Op& op = op_of(plan, asks);
  const bool cut = op.kind == OpKind::reduce_scatter && !asks.in_own_call;
  return plan.exprs.value_at(rows, n) / (cut ? plan.topology->size_of(op.group) : 1);
}

// A wrong count raises where the library checks it, which looks at one rank's call. What it does
// not see, counts that differ between ranks, hangs or corrupts; equal counts into a buffer of
// another size corrupt without a word, and so does a layout that does not fit.
Symptom symptom_of(const DerivedStep& step, const Obligation& asks, std::int64_t n,
                   bool group_capture) {
  if (asks.kind == ObligationKind::never) return Symptom::silent_corruption;
  const SymbolicStep& plan = step.plan;
  const Op& op = op_of(plan, asks);
  if (!op.group.valid()) return Symptom::clean_error;
  const bool checks =
      !group_capture || plan.topology->family(op.group).transport_captured == Transport::checked;
  if (checks && own_call_fails(step, asks, n)) return Symptom::clean_error;
  if (!asks.between_ranks) return Symptom::silent_corruption;
  return symptom_of_unequal(share_of(plan, asks, asks.left, n),
                            share_of(plan, asks, asks.right, n));
}

// What is seen of n rows. An operation that goes wrong without a word lets the step go on: the
// first one behind it that speaks is what people see.
Symptom symptom_at(const DerivedStep& step, std::int64_t n, bool group_capture) {
  std::span<const Obligation> left = step.requirement.walked.obligations;
  Symptom seen = Symptom::clean_error;
  while (const Obligation* asks = first_broken(step.plan.exprs, left, n)) {
    seen = symptom_of(step, *asks, n, group_capture);
    if (seen != Symptom::silent_corruption) return seen;
    left = left.subspan(static_cast<std::size_t>(asks - left.data()) + 1);
  }
  return seen;
}

// Where no large count is usable: the operation that meets none of them, told at the first count
// from the threshold on that no other operation objects to.
std::string describe_empty_tail(const DerivedStep& step) {
  const SymbolicStep& plan = step.plan;
  const UsableSet& usable = step.requirement.usable;
  const auto& obligations = step.requirement.walked.obligations;
  const auto exceptions = usable.usable_exceptions();
  std::string text = exceptions.empty()
                         ? "no count is usable"
                         : "no count above " + std::to_string(exceptions.back()) + " is usable";
  const Obligation* last = nullptr;
  std::int64_t at = 0;
  for (std::int64_t n = usable.threshold(); n < usable.threshold() + usable.period(); ++n) {
    const Obligation* asks = first_broken(plan.exprs, obligations, n);
    if (asks > last) {  // the later in the step, the more operations n has passed
      last = asks;
      at = n;
    }
  }
  if (last == nullptr) return text;
  return text + "; at " + std::to_string(at) + ": " + describe(plan, *last, at);
}

// Whether some operation cannot split n rows. A count past the evaluated ones is evaluated here.
bool is_unsafe(const DerivedStep& step, std::int64_t n) {
  if (n < 1) return true;
  if (step.requirement.usable.contains(n)) return false;
  return first_broken(step.plan.exprs, step.requirement.walked.obligations, n) != nullptr;
}

// The finding of a violation at a count of at least 1.
void blame(Finding& finding, const SymbolicStep& plan, const Obligation& asks, std::int64_t n) {
  finding.verdict = LawVerdict::violation;
  finding.blame = describe(plan, asks, n);
  finding.rule = op_of(plan, asks).rule;
}

Finding check_path(const Subject& subject, const CapturePath& path) {
  const UsableSet& usable = path.step->requirement.usable;
  const auto unsafe = [&path](std::int64_t size) { return is_unsafe(*path.step, size); };
  Finding finding{.known = usable.known()};
  std::optional<std::int64_t> smallest;
  for (const std::int64_t size : path.kept) {
    if (unsafe(size) && (!smallest || size < *smallest)) smallest = size;
  }
  if (!smallest) return finding;

  const auto event = first_event(subject, path, unsafe);
  if (event) {
    finding.first_in_time = FirstInTime{name_of(event->kind), path.tokens_of(event->size).value};
  }
  finding.symptom = Symptom::clean_error;
  if (*smallest < 1) {
    finding.verdict = LawVerdict::violation;
    finding.witness = witness_at(path, *smallest);
    finding.blame = "a captured size of " + std::to_string(*smallest) + " holds no rows";
    return finding;
  }
  const SymbolicStep& plan = path.step->plan;
  const auto& obligations = path.step->requirement.walked.obligations;
  const Obligation* asks = first_broken(plan.exprs, obligations, *smallest);
  finding.witness = witness_of(plan, asks, witness_at(path, *smallest));
  blame(finding, plan, *asks, *smallest);
  if (event) {
    finding.symptom = symptom_at(*path.step, event->size, event->group_capture);
  }
  if (usable.empty_tail()) finding.reason = describe_empty_tail(*path.step);
  return finding;
}

SetFinding check_set(const SetCase& in) { return broken_at(in, in.kept - in.usable); }

// Eager counts are padded first; padding moves on by a whole period with n, so the window of the
// step and one common period decide every count. Without a common period all counts are tried.
Finding check_eager(const Subject&, const EagerPath& path) {
  if (!path.undecided.empty()) {
    return {.verdict = LawVerdict::undecided, .reason = path.undecided};
  }
  if (path.largest_presented < 1) {
    return {.verdict = LawVerdict::undecided, .reason = "no count is presented"};
  }
  const UsableSet& usable = path.step->requirement.usable;
  const auto period = lcm_within(usable.period(), path.padding_period, kWindowLimit);
  Finding finding{.known = period ? usable.known() : Known::exhausted};
  const std::int64_t window = period ? usable.threshold() + *period : path.largest_presented;
  for (std::int64_t n = 1; n <= std::min(window, path.largest_presented); ++n) {
    const std::int64_t rows = path.padded(n);
    if (!is_unsafe(*path.step, rows)) continue;
    const SymbolicStep& plan = path.step->plan;
    const Obligation* asks =
        first_broken(plan.exprs, path.step->requirement.walked.obligations, rows);
    finding.witness = witness_of(plan, asks, Witness{.tokens = n});
    finding.first_in_time = FirstInTime{"eager", n};
    finding.symptom = symptom_at(*path.step, rows, false);
    finding.verdict = LawVerdict::violation;
    if (asks != nullptr) blame(finding, plan, *asks, rows);
    if (asks == nullptr) finding.blame = "no rows are left of " + counted(n, "row");
    if (rows != n) {
      finding.reason = "padded to " + counted(rows, "row") + " by " + std::string(path.rule);
    }
    return finding;
  }
  return finding;
}

// ---- plans ----------------------------------------------------------------------------------

// The sizes that the groups of a family have at the ranks of one class, each with its first rank.
class SizesMet {
 public:
  struct Met {
    std::int64_t rank = 0;
    std::int64_t size = 0;
  };

  explicit SizesMet(const Lifecycle& lifecycle) : lifecycle_(&lifecycle) {
    families_.resize(lifecycle.families.size());
    for (std::size_t i = 0; i < families_.size(); ++i) {
      const auto& groups = lifecycle.families[i].groups;
      std::int64_t ranks = 0;
      for (const auto& group : groups) ranks += std::ssize(group);
      families_[i].uniform =
          ranks == lifecycle.world && std::ranges::all_of(groups, [&](const auto& group) {
            return group.size() == groups.front().size();
          });
    }
  }

  [[nodiscard]] const std::vector<Met>& at(const Running& running, GroupId group) {
    Family& family = families_[static_cast<std::size_t>(group.index)];
    if (family.running == &running) return family.met;
    family.running = &running;
    family.met.clear();
    if (family.uniform) {
      const std::int64_t rank = running.ranks.first();
      family.met.push_back({rank, lifecycle_->size_at(group, rank)});
      return family.met;
    }
    running.ranks.for_each([&](std::int64_t rank) {
      const std::int64_t size = lifecycle_->size_at(group, rank);
      const bool known =
          std::ranges::any_of(family.met, [size](const Met& met) { return met.size == size; });
      if (!known) family.met.push_back({rank, size});
    });
    return family.met;
  }

 private:
  struct Family {
    bool uniform = false;  // all ranks are in groups of one size
    const Running* running = nullptr;
    std::vector<Met> met;
  };
  const Lifecycle* lifecycle_;
  std::vector<Family> families_;
};

// Parts differ between ranks where nothing checks them, so one waits for rows that never come;
// ranks that read the memory of their peers do not wait, and read what is not theirs.
Symptom symptom_of_parts(Transport transport) {
  switch (transport) {
    case Transport::checked: return Symptom::clean_error;
    case Transport::raw: return Symptom::hang;
    case Transport::peer: return Symptom::silent_corruption;
  }
  return Symptom::clean_error;
}

std::string group_text(const Lifecycle& lifecycle, GroupId group, std::int64_t size) {
  return lifecycle.family(group).name + " (" + std::to_string(size) + " ranks)";
}

// The rows that must be equal shares: what a reduce-scatter reads, what an all-gather leaves.
void check_op(const Timeline& timeline, const EventRun& event, std::int32_t running,
              const RunOp& op, SizesMet& sizes, PlanReport& report) {
  const bool scatters = op.op->kind == PlanOpKind::reduce_scatter;
  if (!scatters && op.op->kind != PlanOpKind::all_gather) return;
  if (!op.op->group.valid() || !op.op->sizes.empty()) return;
  if (scatters ? op.op->rows_in.empty() : !op.op->rows_out) return;
  const Running& runs = event.runnings[static_cast<std::size_t>(running)];
  for (const SizesMet::Met& met : sizes.at(runs, op.op->group)) {
    if (met.size <= 1) continue;
    report.looked_at(event.event->path);
    const auto add = [&](std::int64_t rows) {
      Breach breach = breach_at(timeline, event, running, op);
      breach.rank = met.rank;
      breach.group_size = met.size;
      breach.symptom = symptom_of_parts(transport_of(timeline.lifecycle(), *op.op));
      breach.blame.append(breach.op).append(" over ");
      breach.blame += group_text(timeline.lifecycle(), op.op->group, met.size);
      breach.blame.append(": ").append(counted(rows, "row"));
      breach.blame += scatters ? (rows == 1 ? " does not divide" : " do not divide")
                               : (rows == 1 ? " is not made" : " are not made");
      breach.blame += scatters ? " into equal parts" : " of equal parts";
      report.add(std::move(breach));
    };
    if (!scatters) {
      if (*op.op->rows_out % met.size != 0) add(*op.op->rows_out);
      continue;
    }
    for (const std::int64_t rows : op.op->rows_in) {
      if (rows % met.size == 0) continue;
      add(rows);
      break;
    }
  }
}

// A weight's dimension is cut into equal parts, and each part is whole blocks of its kernel or its
// quantisation. A weight that is not cut is one part.
void check_weight(const Lifecycle& lifecycle, const PlanWeight& weight, PlanReport& report) {
  report.looked_at({});
  std::vector<std::int64_t> sizes;
  if (!weight.group.valid()) sizes.push_back(1);
  if (weight.group.valid()) {
    for (const auto& group : lifecycle.family(weight.group).groups) {
      const std::int64_t size = std::ssize(group);
      if (size > 0 && std::ranges::find(sizes, size) == sizes.end()) sizes.push_back(size);
    }
  }
  for (const std::int64_t size : sizes) {
    const bool equal = weight.dim % size == 0;
    if (equal && (weight.block <= 1 || weight.dim / size % weight.block == 0)) continue;
    Breach breach{.group = weight.group, .group_size = size, .symptom = Symptom::clean_error};
    breach.blame = "weight " + weight.name;
    if (weight.group.valid()) breach.blame += " over " + group_text(lifecycle, weight.group, size);
    breach.blame += ": " + std::to_string(equal ? weight.dim / size : weight.dim);
    if (equal) {
      breach.blame += weight.group.valid() ? " a rank" : "";
      breach.blame += " is no multiple of its block of " + std::to_string(weight.block);
    } else {
      breach.blame += " does not divide into equal parts";
    }
    report.add(std::move(breach));
  }
}

void check_plan(const Timeline& timeline, PlanReport& report) {
  for (const PlanWeight& weight : timeline.lifecycle().weights) {
    check_weight(timeline.lifecycle(), weight, report);
  }
  SizesMet sizes(timeline.lifecycle());
  for (const EventRun& event : timeline.events()) {
    for (std::int32_t running = 0; running < std::ssize(event.runnings); ++running) {
      for (const RunOp& op : event.runnings[static_cast<std::size_t>(running)].ops) {
        check_op(timeline, event, running, op, sizes, report);
      }
    }
  }
}

}  // namespace

extern const Law law_divisible;
const Law law_divisible{
    .name = "divisible",
    .defect_class = "C01",
    .subject = "step, against the capture plan",
    .statement =
        "Every count that a path captures or presents can be split by every collective "
        "of its step; every weight into equal parts of whole blocks.",
    .formula = "for all n in B(p) and T(p): n in U; dim mod g = 0, (dim / g) mod block = 0",
    .way_out = "capture only counts that the group divides, or pad the rows before they are split",
    .check_path = check_path,
    .check_eager = check_eager,
    .check_plan = check_plan,
    .check_set = check_set};

}  // namespace capsize
