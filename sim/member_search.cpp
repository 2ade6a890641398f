#include "sim/member_search.hpp"

#include <algorithm>
#include <numeric>

namespace capsize {
namespace {

// The root of the part that an axis belongs to.
std::size_t root_of(std::vector<std::size_t>& parents, std::size_t axis) {
  while (parents[axis] != axis) axis = parents[axis] = parents[parents[axis]];
  return axis;
}

}  // namespace

MemberSearch::MemberSearch(std::span<const Axis> axes, std::span<const Condition* const> conditions)
    : axes_(axes), read_(axes.size()) {
  std::vector<std::size_t> parents(axes.size());
  std::iota(parents.begin(), parents.end(), std::size_t{0});
  for (const Condition* each : conditions) {
    for (const std::size_t axis : each->axes()) {
      read_[axis] = true;
      parents[root_of(parents, axis)] = root_of(parents, each->axes().front());
    }
  }
  std::vector<std::size_t> part_of(axes.size(), axes.size());
  for (std::size_t axis = 0; axis < axes.size(); ++axis) {
    if (!read_[axis]) continue;
    std::size_t& part = part_of[root_of(parents, axis)];
    if (part == axes.size()) {
      part = parts_.size();
      parts_.emplace_back();
    }
    parts_[part].axes.push_back(axis);
  }
  for (const Condition* each : conditions) {
    if (each->axes().empty()) {
      constant_.push_back(each);
    } else {
      parts_[part_of[root_of(parents, each->axes().front())]].conditions.push_back(each);
    }
  }
}

// The search through one part: its free axes in order, and behind each of them the conditions that
// can be asked from there on.
struct MemberSearch::Walk {
  std::span<const Axis> axes;
  std::span<std::int32_t> choices;
  std::span<const std::int32_t> prefer;
  std::uint64_t& steps;
  std::vector<std::size_t> free = {};
  std::vector<std::vector<const Condition*>> asked = {};  // by the number of free axes chosen

  void prepare(const Part& part) {
    for (const std::size_t axis : part.axes) {
      if (choices[axis] < 0) free.push_back(axis);
    }
    asked.resize(free.size() + 1);
    for (const Condition* each : part.conditions) {
      std::size_t last = 0;
      for (std::size_t i = 0; i < free.size(); ++i) {
        if (std::ranges::binary_search(each->axes(), free[i])) last = i + 1;
      }
      asked[last].push_back(each);
    }
  }

  // Long conditions count more, so that steps are a measure of time.
  Completion ask(std::size_t chosen) {
    for (const Condition* each : asked[chosen]) {
      const std::uint64_t cost = 1 + each->length() / 32;
      if (steps < cost) return steps = 0, Completion::undecided;
      steps -= cost;
      if (!each->holds(choices)) return Completion::none;
    }
    return Completion::found;
  }

  Completion search(std::size_t chosen) {
    if (const Completion asking = ask(chosen); asking != Completion::found) return asking;
    if (chosen == free.size()) return Completion::found;
    const std::size_t axis = free[chosen];
    const std::int32_t first = prefer.empty() ? -1 : prefer[axis];
    const auto count = static_cast<std::int32_t>(axes[axis].values.size());
    for (std::int32_t i = first < 0 ? 0 : -1; i < count; ++i) {
      if (i >= 0 && i == first) continue;
      if (steps == 0) return Completion::undecided;
      --steps;
      choices[axis] = i < 0 ? first : i;
      const Completion below = search(chosen + 1);
      if (below != Completion::none) return below;
    }
    choices[axis] = -1;
    return Completion::none;
  }
};

Completion MemberSearch::complete(std::span<std::int32_t> choices, std::uint64_t steps_most,
                                  std::span<const std::int32_t> prefer) const {
  const std::vector<std::int32_t> given(choices.begin(), choices.end());
  std::uint64_t steps = steps_most;
  const auto give_up = [&](Completion why) {
    std::ranges::copy(given, choices.begin());
    return why;
  };
  for (const Condition* each : constant_) {
    if (!each->holds(choices)) return give_up(Completion::none);
  }
  // A part that is not decided does not hide one further on that has no member at all.
  bool undecided = false;
  for (const Part& part : parts_) {
    Walk walk{axes_, choices, prefer, steps};
    walk.prepare(part);
    const Completion found = walk.search(0);
    if (found == Completion::none) return give_up(found);
    undecided = undecided || found == Completion::undecided;
    if (found == Completion::undecided) steps = steps_most;
  }
  if (undecided) return give_up(Completion::undecided);
  for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
    if (choices[axis] < 0) choices[axis] = prefer.empty() ? 0 : std::max(prefer[axis], 0);
  }
  return Completion::found;
}

std::vector<const Condition*> MemberSearch::contradiction(std::uint64_t& steps) const {
  std::vector<std::int32_t> choices(axes_.size(), -1);
  for (const Condition* each : constant_) {
    if (!each->holds(choices)) return {each};
  }
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    std::uint64_t share = steps / (parts_.size() - i);
    steps -= share;
    Walk walk{axes_, choices, {}, share};
    walk.prepare(parts_[i]);
    const Completion found = walk.search(0);
    steps += share;  // what is left of it
    if (found == Completion::none) return parts_[i].conditions;
  }
  return {};
}

}  // namespace capsize
