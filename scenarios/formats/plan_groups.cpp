// The groups of a plan file: families of lists of ranks.
#include <algorithm>

#include "scenarios/formats/plan_reading.hpp"

namespace capsize::plan_reading {
namespace {

Result<void> check_group_name(const JsonField& field, std::string_view name) {
  if (auto sound = check_name(field, name); !sound) return sound;
  if (name.find_first_of(" ,()") == std::string_view::npos) return {};
  return fail(field.error("a group's name holds a blank, a comma or a parenthesis",
                          "layouts name groups: use letters, digits and underscores"));
}

// One group: its ranks in the order of their positions.
Result<void> read_members(Reading& reading, const JsonField& field, PlanGroups& family) {
  auto pieces = read_pieces(field, reading.plan.world);
  if (!pieces) return tl::unexpected(std::move(pieces.error()));
  if (pieces->empty()) return fail(field.error("is a group without ranks", "leave it out"));
  const auto here = static_cast<std::int32_t>(family.groups.size());
  std::vector<std::int32_t>& members = family.groups.emplace_back();
  for (const RankPiece& piece : *pieces) {
    reading.members_left -= piece.count();
    if (reading.members_left < 0) {
      return fail(field.error(
          "the groups have more than " + std::to_string(kMembersMax) + " members together",
          "state a smaller plan"));
    }
    for (std::int64_t rank = piece.first; rank <= piece.last; rank += piece.step) {
      std::int32_t& group = family.group_of[static_cast<std::size_t>(rank)];
      if (group == here) {
        return fail(field.error("rank " + std::to_string(rank) + " stands twice in this group",
                                "name every rank once"));
      }
      if (group >= 0) {
        return fail(field.error("rank " + std::to_string(rank) + " stands in two groups of " +
                                    family.name + ", " + std::to_string(group) + " and " +
                                    std::to_string(here),
                                "a rank is in one group of a family at most"));
      }
      group = here;
      members.push_back(static_cast<std::int32_t>(rank));
    }
  }
  return {};
}

Result<void> read_lists(Reading& reading, const JsonField& field, PlanGroups& family) {
  family.group_of.assign(static_cast<std::size_t>(reading.plan.world), -1);
  auto lists = read_list(field, static_cast<std::size_t>(kWorldMax));
  if (!lists) return tl::unexpected(std::move(lists.error()));
  for (const JsonField& list : *lists) {
    if (auto read = read_members(reading, list, family); !read) return read;
  }
  return {};
}

// Lists of ranks, or those with the transport where no event creates the groups.
Result<void> read_family(Reading& reading, const JsonField& field, PlanGroups& family) {
  if (!field.value().is_object()) return read_lists(reading, field, family);
  return ObjectReader(field, {"members", "transport"})
      .required("members", [&](const JsonField& f) { return read_lists(reading, f, family); })
      .optional("transport", word(kTransports, family.transport))
      .done();
}

FamilyFacts facts_of(const PlanGroups& family, std::int64_t world) {
  FamilyFacts facts;
  std::int64_t members = 0;
  for (const auto& group : family.groups) members += std::ssize(group);
  facts.complete = members == world;
  if (facts.complete) return facts;
  facts.outside.reserve(static_cast<std::size_t>(world) + 1);
  facts.outside.push_back(0);
  for (const std::int32_t group : family.group_of) {
    facts.outside.push_back(facts.outside.back() + (group < 0 ? 1 : 0));
  }
  return facts;
}

}  // namespace

Result<void> read_families(Reading& reading, const JsonField& field) {
  if (auto object = field.object(); !object) return object;
  if (field.value().size() > kFamiliesMax) {
    return fail(field.error("names more than " + std::to_string(kFamiliesMax) + " groups",
                            "state a smaller plan"));
  }
  for (const auto& item : field.value().items()) {
    const JsonField lists(item.value(), json_path(field.path(), item.key()));
    if (auto named = check_group_name(lists, item.key()); !named) return named;
    PlanGroups& family = reading.plan.families.emplace_back();
    family.name = item.key();
    if (auto read = read_family(reading, lists, family); !read) return read;
    reading.facts.push_back(facts_of(family, reading.plan.world));
  }
  index_groups(reading.plan);
  return {};
}

}  // namespace capsize::plan_reading
