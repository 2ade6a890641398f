// Set cases by number, for whoever judges many combinations of few parts: a list of sizes, a filter
// with the limits of its path, a usable set. Each part is turned into sets once; the case of a
// combination is then a copy and one mask.
//
//   SetTables tables;
//   const auto list = tables.list(path.candidates);
//   const auto usable = tables.usable(path.step->requirement.usable);
//   if (usable && tables.remember(list, filter, path, false)) {
//     judge_sets(tables.case_of(list, filter, *usable), findings);
//   }
//
// Reading does not change the tables: threads may share them once everything is in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "properties/set_case.hpp"

namespace capsize::test {

class SetTables {
 public:
  using Id = std::uint32_t;

  // The number of a list; equal lists have one.
  Id list(const SizeList& candidates);
  // The number of a usable set; equal sets have one. None where the set is not proved: it may be
  // cut off before a size.
  std::optional<Id> usable(const UsableSet& usable);
  // Remembers the path that filter number `filter` makes of a list, whatever its step. The caller
  // numbers the filters: one number for all that the path has beside its list and its step. False
  // where the path is no set case (set_case.hpp).
  bool remember(Id list, Id filter, const CapturePath& path, bool fail_on_waste);

  // The case of a path that was remembered.
  [[nodiscard]] SetCase case_of(Id list, Id filter, Id usable) const {
    const Path& path = paths_[places_[list][filter]];
    SetCase out = path.without_step;
    out.usable = masks_[path.table][usable];
    return out;
  }
  // What its lost sizes carry (set_case.hpp, padded_tokens): no step changes it.
  [[nodiscard]] std::int64_t padded_of(Id list, Id filter) const {
    return paths_[places_[list][filter]].padded;
  }

 private:
  struct Path {
    SetCase without_step;  // its sizes lie in tables_
    Id table = 0;
    std::int64_t padded = 0;
  };
  using UsableKey = std::tuple<std::int64_t, std::int64_t, std::vector<bool>>;

  Id table_of(std::span<const std::int64_t> sizes);

  std::map<SizeList, Id> lists_;
  std::map<SizeList, Id> tables_;  // candidates and kept sizes together
  std::vector<const SizeList*> table_sizes_;
  std::map<UsableKey, Id> usable_ids_;
  std::vector<UsableSet> usable_sets_;
  std::vector<std::vector<Positions>> masks_;  // by table and usable set
  std::vector<Path> paths_;
  std::vector<std::vector<Id>> places_;  // by list and filter, into paths_
};

}  // namespace capsize::test
