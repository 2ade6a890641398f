// The plain way makes a command line of each member and asks what `capsize check` asks. Nothing is
// remembered, so that no key can be wrong.
#include <algorithm>
#include <utility>

#include "scenarios/sweep/judges.hpp"
#include "scenarios/sweep/path_record.hpp"

namespace capsize {
namespace {

std::optional<std::size_t> law_index(std::string_view name) {
  const auto laws = sweep_laws();
  const auto found = std::ranges::find(laws, name, [](const Law* law) { return law->name; });
  if (found == laws.end()) return std::nullopt;
  return static_cast<std::size_t>(found - laws.begin());
}

// The place of a path by its name: captured paths in the order of the plan, eager ones behind.
std::size_t slot_of(const CapturePlan& plan, std::string_view path) {
  for (std::size_t i = 0; i < plan.paths.size(); ++i) {
    if (plan.paths[i].name == path) return i;
    if (path == "eager_" + std::string(plan.paths[i].name)) return eager_slot(i);
  }
  return kSweepPaths;
}

MemberOutcome removed_outcome(std::uint16_t rules, std::uint64_t number, std::string why) {
  MemberOutcome out;
  out.state = {.rules = rules, .removed = 1};
  out.sums.digest = member_digest(number, hash_of_removal(why));
  out.precondition = std::move(why);
  return out;
}

MemberOutcome judged_outcome(std::uint16_t rules, std::uint64_t number, const CheckResult& result) {
  std::array<PathRecord, kSweepPaths> records;
  const CapturePlan& plan = result.plan.captures;
  MemberOutcome out;
  out.state.rules = rules;
  for (std::size_t path = 0; path < plan.paths.size(); ++path) {
    records.at(path).graphs = plan.paths[path].enabled;
    out.state.graphs |= plan.paths[path].enabled ? 1U << path : 0U;
  }
  for (const Finding& finding : result.findings) {
    const auto law = law_index(finding.law);
    if (law) add_finding(records.at(slot_of(plan, finding.path)), *law, finding);
  }
  for (const PathLoss& loss : result.losses) {
    add_lost(records.at(slot_of(plan, loss.path)), loss.lost);
  }
  std::uint64_t hash = 0;
  for (std::size_t slot = 0; slot < kSweepPaths; ++slot) {
    const PathRecord& record = records.at(slot);
    out.state.paths.at(slot) = record.verdicts;
    out.sums += record.costs();
    if (!plan.paths.empty()) hash += record.hash(slot);
  }
  out.sums.digest = member_digest(number, hash);
  return out;
}

class PlainJudge final : public MemberJudge {
 public:
  PlainJudge(const Universe& universe, const Engine& engine, std::optional<Condition> where)
      : universe_(universe), where_(std::move(where)), planner_(engine.member_planner()) {}

  void run(std::uint64_t first, std::uint64_t last, Tally& tally) override {
    tally.paths = names_of_paths(*planner_);
    for (; first < last; ++first) {
      MemberOutcome outcome = judge_member_plainly(universe_, where_, first);
      if (outcome.left_out) {
        ++tally.left_out;
        continue;
      }
      if (!outcome.precondition.empty()) {
        outcome.state.removed = tally.precondition(outcome.precondition);
      }
      tally.count(outcome.state, 1, first);
      tally.sums += outcome.sums;
    }
  }

 private:
  const Universe& universe_;
  std::optional<Condition> where_;
  std::unique_ptr<MemberPlanner> planner_;
};

}  // namespace

std::unique_ptr<MemberJudge> plain_judge(const Universe& universe, const Engine& engine,
                                         std::optional<Condition> where) {
  return std::make_unique<PlainJudge>(universe, engine, std::move(where));
}

MemberOutcome judge_member_plainly(const Universe& universe, const std::optional<Condition>& where,
                                   std::uint64_t number) {
  std::vector<std::int32_t> choices(universe.axes.size());
  universe.unrank(number, choices);
  if (where && !where->holds(choices)) return {.left_out = true};
  const auto rules_axis = universe.axis("rules");
  const auto rules =
      rules_axis ? static_cast<std::uint16_t>(choices[*rules_axis]) : std::uint16_t{0};
  for (const Constraint& constraint : universe.constraints) {
    if (constraint.condition.holds(choices)) continue;
    return removed_outcome(rules, number, text_of(constraint));
  }
  const CheckResult result = check(request_of(universe, number));
  if (result.error) {
    return removed_outcome(rules, number, text_of(*result.error));
  }
  if (result.plan.refusal) {
    return removed_outcome(rules, number, text_of(*result.plan.refusal));
  }
  return judged_outcome(rules, number, result);
}

}  // namespace capsize
