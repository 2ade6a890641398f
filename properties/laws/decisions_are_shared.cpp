// decisions_are_shared: what decides the shape of a captured collective (bucket, mode, split in
// halves, run or skip) is configuration, or broadcast or voted in a group that holds the
// collective's group. Looks at no value: a rank-local input breaks the law in a step where all
// ranks happen to agree.
#include <algorithm>

#include "properties/captured_groups.hpp"
#include "properties/law.hpp"

namespace capsize {
namespace {

// Whether all ranks of one group of a family are in one group of another.
bool lies_inside(const PlanGroups& outer, const std::vector<std::int32_t>& members) {
  const auto group_of = [&outer](std::int32_t rank) {
    return outer.group_of[static_cast<std::size_t>(rank)];
  };
  const std::int32_t group = group_of(members.front());
  return group >= 0 &&
         std::ranges::all_of(members, [&](std::int32_t rank) { return group_of(rank) == group; });
}

// Which families lie inside which others, all groups of more than one rank; asked for often, found
// once.
class Insides {
 public:
  explicit Insides(const Lifecycle& lifecycle) : lifecycle_(lifecycle) {}

  [[nodiscard]] bool all_inside(GroupId inner, GroupId outer) {
    const std::size_t families = lifecycle_.families.size();
    if (known_.empty()) known_.resize(families * families);
    auto& known = known_[static_cast<std::size_t>(inner.index) * families +
                         static_cast<std::size_t>(outer.index)];
    if (!known) {
      known = std::ranges::all_of(lifecycle_.family(inner).groups, [&](const auto& members) {
        return members.size() < 2 || lies_inside(lifecycle_.family(outer), members);
      });
    }
    return *known;
  }

 private:
  const Lifecycle& lifecycle_;
  std::vector<std::optional<bool>> known_;
};

// One program that decides, against the groups that the event's captured operations use.
struct Judge {
  const Timeline& timeline;
  PlanReport& report;
  const EventRun& event;
  const CapturedGroups& captured;
  Insides& insides;
  const Program& program;

  // The captured operation over a family that the program's ranks run, else anyone's.
  [[nodiscard]] const RunOp* met_in(GroupId family) const {
    const RunOp* found = nullptr;
    for (std::size_t r = 0; r < event.runnings.size(); ++r) {
      if (!captured.uses(static_cast<std::int32_t>(r), family)) continue;
      const bool own = event.runnings[r].program == &program;
      if (found == nullptr || own) found = first_captured(event.runnings[r], family);
      if (own) break;
    }
    return found;
  }

  void add(const Decision& decision, const DecisionInput& input, GroupId family,
           std::int64_t rank) const {
    const Lifecycle& lifecycle = timeline.lifecycle();
    const PlanOp& op = *met_in(family)->op;
    Breach breach = breach_at(event);
    breach.rank = rank;
    breach.group = family;
    breach.group_size = lifecycle.size_at(family, rank);
    breach.op = name_of(op.kind);
    breach.layer = met_in(family)->layer;
    breach.at = &op;
    breach.key = decision.what + ": " + input.input;
    breach.known = Known::proved;
    breach.symptom = Symptom::hang;
    breach.blame = ranks_text(program.ranks) +
                   (program.ranks.count() == 1 ? " decides " : " decide ") + decision.what +
                   " by " + input.input + ", which is ";
    if (input.from == DecisionSource::rank_local) {
      breach.blame +=
          "local to a rank; captured " + op_text(lifecycle, op) + " needs one answer in its group";
    } else {
      breach.blame += std::string(name_of(input.from)) + " in " +
                      lifecycle.family(input.group).name + "; captured " + op_text(lifecycle, op) +
                      " runs beyond it";
    }
    report.add(std::move(breach));
  }

  // The first rank of the program whose group of `family`, used by captured operations, an input
  // does not reach as a whole.
  [[nodiscard]] std::optional<std::int64_t> unreached(const DecisionInput& input,
                                                      GroupId family) const {
    const Lifecycle& lifecycle = timeline.lifecycle();
    const PlanGroups& groups = lifecycle.family(family);
    const std::vector<bool> used = captured.groups_in_use(family);
    std::int32_t last = -1;
    for (const RankRange& range : program.ranks.ranges()) {
      for (std::int64_t rank = range.first; rank <= range.last; ++rank) {
        const std::int32_t group = groups.group_of[static_cast<std::size_t>(rank)];
        if (group < 0 || group == last || !used[static_cast<std::size_t>(group)]) continue;
        last = group;
        const auto& members = groups.groups[static_cast<std::size_t>(group)];
        if (members.size() < 2) continue;
        if (input.from == DecisionSource::rank_local) return rank;
        if (!lies_inside(lifecycle.family(input.group), members)) return rank;
      }
    }
    return std::nullopt;
  }

  void judge() const {
    for (const Decision& decision : program.decides) {
      for (const DecisionInput& input : decision.inputs) {
        const bool told =
            input.from == DecisionSource::broadcast || input.from == DecisionSource::voted;
        if (input.from == DecisionSource::configuration || (told && !input.group.valid())) continue;
        for (const GroupId family : captured.families()) {
          if (told && insides.all_inside(family, input.group)) continue;
          if (const auto rank = unreached(input, family)) add(decision, input, family, *rank);
        }
      }
    }
  }
};

void check_plan(const Timeline& timeline, PlanReport& report) {
  CapturedGroups captured(timeline);
  Insides insides(timeline.lifecycle());
  for (const EventRun& event : timeline.events()) {
    const auto& programs = event.event->programs;
    if (std::ranges::all_of(programs, [](const Program& each) { return each.decides.empty(); })) {
      continue;
    }
    captured.read(event);
    report.looked_at(event.event->path);
    for (const Program& program : programs) {
      Judge{timeline, report, event, captured, insides, program}.judge();
    }
  }
}

}  // namespace

extern const Law law_decisions_are_shared;
const Law law_decisions_are_shared{
    .name = "decisions_are_shared",
    .defect_class = "C03",
    .subject = "step",
    .statement =
        "Every input of a decision that shapes a captured collective (bucket, mode, split "
        "in halves, run or skip) is configuration, or is broadcast or voted in the group; "
        "none is local to a rank.",
    .formula =
        "for all decisions d of r, inputs i of d, groups G of r used in a captured region: "
        "i is configuration, or i is shared in some g with G inside g",
    .way_out =
        "vote on every input of the decision, or broadcast it, in the group that the captured "
        "collective runs over",
    .check_plan = check_plan};

}  // namespace capsize
