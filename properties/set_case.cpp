#include "properties/set_case.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <iterator>
#include <optional>

#include "properties/filter_facts.hpp"
#include "sim/units.hpp"

namespace capsize {
namespace {

std::vector<const Law*> laws_over_sets() {
  std::vector<const Law*> out;
  std::ranges::copy_if(laws(), std::back_inserter(out),
                       [](const Law* law) { return law->check_set != nullptr; });
  return out;
}

// What judge_sets asks of each law, close together in memory: it is asked many million times.
struct SetLaw {
  SetFinding (*check)(const SetCase&) = nullptr;
  bool judges_empty_lists = false;
};

// Not a vector: the first call allocates nothing either.
struct SetLaws {
  std::array<SetLaw, 16> all{};
  std::size_t count = 0;

  SetLaws() {
    for (const Law* law : laws()) {
      if (law->check_set == nullptr) continue;
      assert(count < all.size());
      all[count++] = {law->check_set, law->judges_empty_lists};
    }
  }
};

bool rises(const SizeList& sizes) {
  return std::ranges::adjacent_find(sizes, std::ranges::greater_equal{}) == sizes.end();
}

// The positions at which `holds` is true of the size.
template <class Predicate>
Positions positions_where(std::span<const std::int64_t> sizes, const Predicate& holds) {
  Positions out;
  for (std::size_t at = 0; at < sizes.size(); ++at) {
    if (holds(sizes[at])) out.insert(at);
  }
  return out;
}

// `some` rises, and so do the sizes.
Positions positions_of(std::span<const std::int64_t> sizes, const SizeList& some) {
  auto next = some.begin();
  return positions_where(sizes, [&](std::int64_t size) {
    while (next != some.end() && *next < size) ++next;
    return next != some.end() && *next == size;
  });
}

// The least kept size that is enough for a count; none above the largest.
std::optional<std::int64_t> least_enough(const CapturePath& path, std::int64_t count) {
  const auto found = std::ranges::lower_bound(path.kept, count);
  return found == path.kept.end() ? std::nullopt : std::optional(*found);
}

std::optional<std::int64_t> looked_up(const CapturePath& path, std::int64_t count) {
  const auto found = path.lookup(path.kept, count);
  return found == kLookupFails ? std::nullopt : found;
}

// What the filter makes of the candidates, and what it would make of other lists. False where the
// plan holds something else than its filter gives.
bool add_filter(const CapturePath& path, SetStorage& storage, SetCase& out) {
  out.refused = path.refused.has_value();
  out.says_why = path.refused && !path.refused->empty();
  if (path.candidates.empty()) return true;  // no law asks such a filter anything
  storage.list = path.candidates;
  const FilterResult result = path.filter.apply(storage.list);
  if (result.kept != path.kept || result.refused.has_value() != out.refused) return false;
  if (result.refused && result.refused->empty() == out.says_why) return false;
  out.is_pure = !impurity_of(path).has_value();
  if (const auto other = not_refused_by(path.filter)) out.not_refused = other->size;
  return true;
}

// A rounding filter captures a candidate at the size that it rounds to.
void add_lost(const CapturePath& path, SetCase& out) {
  out.lost = out.candidates - out.kept;
  if (!path.filter.rounds) return;
  out.lost = positions_where(out.sizes, [&](std::int64_t size) {
    return std::ranges::binary_search(path.candidates, size) &&
           !std::ranges::binary_search(path.kept, align_up(size, path.filter.modulus));
  });
}

void add_limits(const CapturePath& path, SetCase& out) {
  out.has_contract = path.filter.contract_tokens.has_value();
  out.has_bounds = !path.bounds.empty();
  if (out.has_contract) {
    out.contract = positions_where(out.sizes, [&](std::int64_t size) {
      return path.tokens_of(size).value % *path.filter.contract_tokens == 0;
    });
  }
  out.within = positions_where(out.sizes, [&](std::int64_t size) {
    return std::ranges::all_of(path.bounds, [&](const CapacityBound& bound) {
      return path.tokens_of(size).value <= bound.tokens;
    });
  });
  out.reachable =
      positions_where(out.sizes, [&](std::int64_t size) { return size <= path.largest_presented; });
}

// False where a named size is served, or is not, otherwise than the largest kept size says.
bool add_named(const CapturePath& path, SetCase& out) {
  if (out.kept.empty()) return true;  // no law asks where batches of such a path run
  for (const NamedSize& named : path.named) {
    const std::int64_t count = std::min(named.size, path.largest_presented);
    if (count < 1) continue;
    if (looked_up(path, count).has_value() != (count <= path.kept.back())) return false;
    out.named_most = std::max(out.named_most, count);
  }
  return true;
}

// False where a lost size runs elsewhere than at the least kept size that is enough.
bool add_dispatch(const CapturePath& path, SetCase& out) {
  std::int64_t previous = 0;
  for (std::size_t at = 0; at < out.sizes.size(); ++at) {
    const std::int64_t size = out.sizes[at];
    if (out.lost.contains(at) && size >= 1 && looked_up(path, size) != least_enough(path, size)) {
      return false;
    }
    if (!out.kept.contains(at)) continue;
    if (size < 1 || path.lookup(path.kept, size) == size) out.found.insert(at);
    if (size < 1 || path.lookup(path.kept, previous + 1) == size) out.lowest.insert(at);
    previous = std::max(previous, size);
  }
  if (!out.kept.empty()) out.nothing_above = !path.lookup(path.kept, previous + 1);
  return true;
}

// Past the end of a set that was cut off, divisible asks the operations and waste claims nothing:
// no one set says both.
bool covers(const Requirement& requirement, std::span<const std::int64_t> sizes) {
  const UsableSet& usable = requirement.usable;
  const std::int64_t last = usable.threshold() + usable.period() - 1;
  return usable.known() == Known::proved || sizes.empty() || sizes.back() <= last;
}

}  // namespace

std::span<const Law* const> set_laws() {
  static const std::vector<const Law*> all = laws_over_sets();
  return all;
}

// As not_judged of law.hpp decides for whole paths.
void judge_sets(const SetCase& in, std::span<SetFinding> out) {
  static const SetLaws known;
  const std::span<const SetLaw> checks(known.all.data(), known.count);
  assert(out.size() >= checks.size());
  if (in.standing != LawVerdict::pass) {
    std::fill_n(out.begin(), checks.size(), SetFinding{in.standing});
    return;
  }
  SetFinding* next = out.data();
  if (!in.kept.empty()) {
    for (const SetLaw& law : checks) *next++ = law.check(in);
    return;
  }
  for (const SetLaw& law : checks) {
    const bool judged = law.judges_empty_lists && !in.candidates.empty();
    *next++ = judged ? law.check(in) : SetFinding{LawVerdict::undecided};
  }
}

std::int64_t padded_tokens(const SetCase& in) {
  std::int64_t units = 0;
  Positions left = in.lost;
  Positions kept = in.kept;
  while (!left.empty()) {
    const std::size_t at = left.first();
    const Positions decided = Positions::first_of(at + 1);
    left = left - decided;
    kept = kept - decided;
    if (kept.empty()) break;  // this one and all above run eager
    if (in.sizes[at] >= 1) units += in.sizes[kept.first()] - in.sizes[at];
  }
  return units * in.width;
}

std::optional<SetCase> set_case_without_step(const CapturePath& path, SetStorage& storage,
                                             bool fail_on_waste) {
  SetCase out{.width = path.width.value, .fail_on_waste = fail_on_waste};
  if (!path.enabled || !path.undecided.empty()) {
    out.standing = path.enabled ? LawVerdict::undecided : LawVerdict::not_applicable;
    return out;
  }
  if (path.exact_match || !rises(path.candidates) || !rises(path.kept)) return std::nullopt;
  storage.sizes.clear();
  std::ranges::set_union(path.candidates, path.kept, std::back_inserter(storage.sizes));
  if (storage.sizes.size() > Positions::kMost) return std::nullopt;
  out.sizes = storage.sizes;
  out.candidates = positions_of(out.sizes, path.candidates);
  out.kept = positions_of(out.sizes, path.kept);
  add_lost(path, out);
  add_limits(path, out);
  const bool fits =
      add_filter(path, storage, out) && add_named(path, out) && add_dispatch(path, out);
  return fits ? std::optional(out) : std::nullopt;
}

Positions usable_of(std::span<const std::int64_t> sizes, const UsableSet& usable) {
  return positions_where(sizes, [&](std::int64_t size) { return usable.contains(size); });
}

std::optional<SetCase> set_case_of(const CapturePath& path, SetStorage& storage,
                                   bool fail_on_waste) {
  auto out = set_case_without_step(path, storage, fail_on_waste);
  if (!out || out->standing != LawVerdict::pass) return out;
  if (!covers(path.step->requirement, out->sizes)) return std::nullopt;
  out->usable = usable_of(out->sizes, path.step->requirement.usable);
  return out;
}

}  // namespace capsize
