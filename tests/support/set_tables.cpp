#include "tests/support/set_tables.hpp"

#include <utility>

namespace capsize::test {

SetTables::Id SetTables::list(const SizeList& candidates) {
  const auto [at, is_new] = lists_.try_emplace(candidates, static_cast<Id>(lists_.size()));
  if (is_new) places_.emplace_back();
  return at->second;
}

std::optional<SetTables::Id> SetTables::usable(const UsableSet& usable) {
  if (usable.known() != Known::proved) return std::nullopt;
  std::vector<bool> members;
  for (std::int64_t n = 1; n < usable.threshold() + usable.period(); ++n) {
    members.push_back(usable.contains(n));
  }
  const auto [at, is_new] =
      usable_ids_.try_emplace({usable.threshold(), usable.period(), std::move(members)},
                              static_cast<Id>(usable_ids_.size()));
  if (is_new) {
    usable_sets_.push_back(usable);
    for (std::size_t i = 0; i < masks_.size(); ++i) {
      masks_[i].push_back(usable_of(*table_sizes_[i], usable));
    }
  }
  return at->second;
}

SetTables::Id SetTables::table_of(std::span<const std::int64_t> sizes) {
  const auto [at, is_new] =
      tables_.try_emplace(SizeList(sizes.begin(), sizes.end()), static_cast<Id>(tables_.size()));
  if (!is_new) return at->second;
  table_sizes_.push_back(&at->first);
  auto& masks = masks_.emplace_back();
  masks.reserve(usable_sets_.size());
  for (const UsableSet& usable : usable_sets_) masks.push_back(usable_of(sizes, usable));
  return at->second;
}

bool SetTables::remember(Id list, Id filter, const CapturePath& path, bool fail_on_waste) {
  SetStorage storage;
  auto without_step = set_case_without_step(path, storage, fail_on_waste);
  if (!without_step) return false;
  const Id table = table_of(without_step->sizes);
  without_step->sizes = *table_sizes_[table];
  auto& places = places_[list];
  if (places.size() <= filter) places.resize(std::size_t{filter} + 1);
  places[filter] = static_cast<Id>(paths_.size());
  paths_.push_back({*without_step, table, padded_tokens(*without_step)});
  return true;
}

}  // namespace capsize::test
