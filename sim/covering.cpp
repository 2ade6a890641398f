#include "sim/covering.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "sim/member_search.hpp"

namespace capsize {
namespace {

constexpr std::uint64_t kCombinationsMost = std::uint64_t{1} << 26;
constexpr std::uint64_t kAssignmentsMost = std::uint64_t{1} << 24;
constexpr std::uint64_t kSearchSteps = std::uint64_t{1} << 23;
constexpr std::size_t kMissingTold = 8;

std::vector<const Condition*> conditions_of(const Universe& universe,
                                            const CoveringRequest& request) {
  std::vector<const Condition*> out;
  for (const Constraint& each : universe.constraints) out.push_back(&each.condition);
  if (request.where) out.push_back(&*request.where);
  return out;
}

Result<void> check_strength(const Universe& universe, const CoveringRequest& request) {
  if (request.strength >= 1 && request.strength <= universe.axes.size()) return {};
  return tl::unexpected(Error{"--strength", std::to_string(request.strength) + " is out of range",
                              "give 1 to " + std::to_string(universe.axes.size()) +
                                  ", the number of axes of " + universe.name});
}

// The sets of `count` axes out of `all`, in lexicographic order; false after the last.
bool next_axes(std::vector<std::size_t>& axes, std::size_t all) {
  const std::size_t count = axes.size();
  for (std::size_t i = count; i-- > 0;) {
    if (axes[i] + (count - i) >= all) continue;
    std::iota(axes.begin() + static_cast<std::ptrdiff_t>(i), axes.end(), axes[i] + 1);
    return true;
  }
  return false;
}

// ---- making -----------------------------------------------------------------------------------

// All combinations of values of one set of axes, and which of them need no row any more.
struct Table {
  std::vector<std::size_t> axes;
  std::vector<std::size_t> strides;  // beside each axis
  std::vector<bool> settled;         // covered, or without a member
  std::size_t next = 0;              // all before it are settled
};

class Maker {
 public:
  Maker(const Universe& universe, std::span<const Condition* const> conditions)
      : universe_(universe), search_(universe.axes, conditions), tables_of_(universe.axes.size()) {
    order_.resize(universe.axes.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::ranges::stable_sort(order_, [&](std::size_t a, std::size_t b) {
      return universe_.axes[a].values.size() > universe_.axes[b].values.size();
    });
  }

  Result<CoveringArray> make(std::size_t strength) {
    if (auto prepared = prepare(strength); !prepared) {
      return tl::unexpected(std::move(prepared.error()));
    }
    for (Table& table : tables_) {
      for (; table.next < table.settled.size(); ++table.next) {
        if (table.settled[table.next]) continue;
        if (auto added = add_row(table); !added) return tl::unexpected(std::move(added.error()));
      }
    }
    if (out_.rows.empty()) {
      return tl::unexpected(Error{"--where", "no member of the universe meets it", "ask for less"});
    }
    return std::move(out_);
  }

 private:
  Result<void> prepare(std::size_t strength) {
    std::vector<std::size_t> axes(strength);
    std::iota(axes.begin(), axes.end(), std::size_t{0});
    std::uint64_t combinations = 0;
    do {
      Table table{axes, std::vector<std::size_t>(strength), {}};
      std::uint64_t size = 1;
      for (std::size_t i = strength; i-- > 0;) {
        table.strides[i] = size;
        size *= universe_.axes[axes[i]].values.size();
        if (size > kCombinationsMost) break;
      }
      combinations += size;
      if (combinations > kCombinationsMost) {
        return tl::unexpected(Error{"--strength", "there are more than 2^26 combinations",
                                    "ask for a smaller strength, or for fewer values"});
      }
      table.settled.resize(size);
      tables_.push_back(std::move(table));
    } while (next_axes(axes, universe_.axes.size()));
    // The largest tables need most rows; what these hold by the way need not be asked for again.
    std::ranges::stable_sort(tables_, [](const Table& a, const Table& b) {
      return a.settled.size() > b.settled.size();
    });
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      for (const std::size_t axis : tables_[i].axes) tables_of_[axis].push_back(i);
    }
    return {};
  }

  // Whether the choices so far are some member's. An error where that is not decided.
  Result<bool> feasible(MemberChoices choices) const {
    const Completion found = search_.complete(choices, kSearchSteps);
    if (found != Completion::undecided) return found == Completion::found;
    return tl::unexpected(Error{"constraints", "the search for members was given up",
                                "write constraints that read fewer axes at once"});
  }

  // A row with the table's next combination in it; or no member holds that one.
  Result<void> add_row(Table& table) {
    MemberChoices row(universe_.axes.size(), -1);
    for (std::size_t i = 0; i < table.axes.size(); ++i) {
      const std::size_t values = universe_.axes[table.axes[i]].values.size();
      row[table.axes[i]] = static_cast<std::int32_t>(table.next / table.strides[i] % values);
    }
    const auto held = feasible(row);
    if (!held) return tl::unexpected(held.error());
    if (!*held) {
      table.settled[table.next] = true;
      ++out_.infeasible;
      return {};
    }
    for (const std::size_t axis : order_) {
      if (row[axis] >= 0) continue;
      if (auto chosen = choose(row, axis); !chosen) return chosen;
    }
    settle(row);
    out_.rows.push_back(std::move(row));
    return {};
  }

  // The value of the axis with which the row holds most that is missing; the earliest of equals.
  Result<void> choose(MemberChoices& row, std::size_t axis) {
    const std::size_t count = universe_.axes[axis].values.size();
    gains_.assign(count, 0);
    for (const std::size_t each : tables_of_[axis]) add_gains(tables_[each], row, axis);
    for (std::size_t tried = 0; tried < count; ++tried) {
      const auto best = std::ranges::max_element(gains_);
      row[axis] = static_cast<std::int32_t>(best - gains_.begin());
      const Result<bool> held = search_.reads(axis) ? feasible(row) : Result<bool>(true);
      if (!held) return tl::unexpected(held.error());
      if (*held) return {};
      *best = -1;
    }
    return {};  // cannot be: the row was some member's before the axis was asked
  }

  void add_gains(const Table& table, const MemberChoices& row, std::size_t axis) {
    std::size_t base = 0;
    std::size_t stride = 0;
    for (std::size_t i = 0; i < table.axes.size(); ++i) {
      if (table.axes[i] == axis) {
        stride = table.strides[i];
      } else if (row[table.axes[i]] < 0) {
        return;
      } else {
        base += table.strides[i] * static_cast<std::size_t>(row[table.axes[i]]);
      }
    }
    for (std::size_t value = 0; value < gains_.size(); ++value) {
      gains_[value] += table.settled[base + stride * value] ? 0 : 1;
    }
  }

  void settle(const MemberChoices& row) {
    for (Table& table : tables_) {
      std::size_t at = 0;
      for (std::size_t i = 0; i < table.axes.size(); ++i) {
        at += table.strides[i] * static_cast<std::size_t>(row[table.axes[i]]);
      }
      if (table.settled[at]) continue;
      table.settled[at] = true;
      ++out_.covered;
    }
  }

  const Universe& universe_;
  MemberSearch search_;
  std::vector<Table> tables_;
  std::vector<std::vector<std::size_t>> tables_of_;  // by axis
  std::vector<std::size_t> order_;                   // axes, those with most values first
  std::vector<std::int64_t> gains_;
  CoveringArray out_;
};

// ---- checking ---------------------------------------------------------------------------------

// Every assignment of some axes that meets the conditions; the values stand as in `axes`.
Result<std::set<std::vector<std::int32_t>>> assignments_of(
    const Universe& universe, std::span<const Condition* const> conditions,
    const std::vector<std::size_t>& axes) {
  std::uint64_t count = 1;
  for (const std::size_t axis : axes) {
    count *= universe.axes[axis].values.size();
    if (count <= kAssignmentsMost) continue;
    return tl::unexpected(Error{"constraints", "they read more than 2^24 assignments of values",
                                "write constraints that read fewer axes"});
  }
  std::set<std::vector<std::int32_t>> out;
  MemberChoices member(universe.axes.size(), 0);
  std::vector<std::int32_t> values(axes.size());
  for (std::uint64_t number = 0; number < count; ++number) {
    std::uint64_t rest = number;
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const std::uint64_t size = universe.axes[axes[i]].values.size();
      member[axes[i]] = values[i] = static_cast<std::int32_t>(rest % size);
      rest /= size;
    }
    const auto holds = [&](const Condition* each) { return each->holds(member); };
    if (std::ranges::all_of(conditions, holds)) out.insert(values);
  }
  return out;
}

// The parts of vectors at some places, each once.
template <class Rows>
std::set<std::vector<std::int32_t>> parts_of(const Rows& rows,
                                             const std::vector<std::size_t>& places) {
  std::set<std::vector<std::int32_t>> out;
  std::vector<std::int32_t> part(places.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < places.size(); ++i) part[i] = row[places[i]];
    out.insert(part);
  }
  return out;
}

class Checker {
 public:
  Checker(const Universe& universe, std::vector<std::size_t> read,
          const std::set<std::vector<std::int32_t>>& assignments,
          std::span<const MemberChoices> rows)
      : universe_(universe), read_(std::move(read)), assignments_(assignments), rows_(rows) {}

  // Counts the combinations of one set of axes. Rows hold only what members hold, so that the
  // counts decide; only where they differ the missing ones are looked for.
  void count(const std::vector<std::size_t>& axes, Coverage& out) const {
    std::vector<std::size_t> places;  // of those axes that are read, among the read ones
    std::uint64_t all = 1;
    std::uint64_t free = 1;
    for (const std::size_t axis : axes) {
      const std::uint64_t size = universe_.axes[axis].values.size();
      const auto found = std::ranges::find(read_, axis);
      all *= size;
      if (found != read_.end()) places.push_back(static_cast<std::size_t>(found - read_.begin()));
      free *= found == read_.end() ? size : 1;
    }
    const auto held = parts_of(assignments_, places);
    const auto covered = parts_of(rows_, axes);
    out.combinations += held.size() * free;
    out.infeasible += all - held.size() * free;
    out.covered += covered.size();
    if (covered.size() < held.size() * free) tell_missing(axes, held, covered, out);
  }

 private:
  void tell_missing(const std::vector<std::size_t>& axes,
                    const std::set<std::vector<std::int32_t>>& held,
                    const std::set<std::vector<std::int32_t>>& covered, Coverage& out) const {
    std::vector<std::int32_t> values(axes.size(), 0);
    while (out.missing.size() < kMissingTold) {
      std::vector<std::int32_t> part;
      for (std::size_t i = 0; i < axes.size(); ++i) {
        if (std::ranges::find(read_, axes[i]) != read_.end()) part.push_back(values[i]);
      }
      if (held.contains(part) && !covered.contains(values)) out.missing.push_back({axes, values});
      std::size_t at = axes.size();
      while (at > 0 && ++values[at - 1] == std::ssize(universe_.axes[axes[at - 1]].values)) {
        values[--at] = 0;
      }
      if (at == 0) return;
    }
  }

  const Universe& universe_;
  std::vector<std::size_t> read_;  // axes that conditions read, ascending
  const std::set<std::vector<std::int32_t>>& assignments_;
  std::span<const MemberChoices> rows_;
};

}  // namespace

Result<CoveringArray> covering_array(const Universe& universe, const CoveringRequest& request) {
  if (auto checked = check_strength(universe, request); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  const std::vector<const Condition*> conditions = conditions_of(universe, request);
  return Maker(universe, conditions).make(request.strength);
}

Result<Coverage> coverage_of(const Universe& universe, const CoveringRequest& request,
                             std::span<const MemberChoices> rows) {
  if (auto checked = check_strength(universe, request); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  const std::vector<const Condition*> conditions = conditions_of(universe, request);
  std::set<std::size_t> read;
  for (const Condition* each : conditions) read.insert(each->axes().begin(), each->axes().end());
  const std::vector<std::size_t> read_axes(read.begin(), read.end());
  const auto assignments = assignments_of(universe, conditions, read_axes);
  if (!assignments) return tl::unexpected(assignments.error());

  Coverage out;
  std::vector<MemberChoices> members;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto holds = [&](const Condition* each) { return each->holds(rows[i]); };
    if (std::ranges::all_of(conditions, holds)) {
      members.push_back(rows[i]);
    } else {
      out.no_members.push_back(i);
    }
  }
  const Checker checker(universe, read_axes, *assignments, members);
  std::vector<std::size_t> axes(request.strength);
  std::iota(axes.begin(), axes.end(), std::size_t{0});
  do {
    checker.count(axes, out);
  } while (next_axes(axes, universe.axes.size()));
  return out;
}

}  // namespace capsize
