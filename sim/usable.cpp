#include "sim/usable.hpp"

#include <algorithm>

#include "sim/units.hpp"

namespace capsize {
namespace {

struct Window {
  std::int64_t threshold = 1;
  std::int64_t period = 1;
};

// Where `left = right` stops depending on anything but n mod period.
std::optional<Window> window_of_equality(const Exprs& exprs, const Obligation& obligation) {
  const auto left = exprs.period_of(obligation.left, kWindowLimit);
  const auto right = exprs.period_of(obligation.right, kWindowLimit);
  if (!left || !right) return std::nullopt;
  const auto period = lcm_within(left->period, right->period, kWindowLimit);
  if (!period) return std::nullopt;
  Window window{std::max(left->threshold, right->threshold), *period};
  const std::int64_t first = window.threshold;
  std::vector<std::int64_t> values;
  for (std::int64_t n = first; n < first + *period; ++n) {
    const auto step_in = [&](const Period& side) {
      return side.steps[static_cast<std::size_t>(n % side.period)] * (*period / side.period);
    };
    const std::int64_t step = step_in(*left) - step_in(*right);
    if (step == 0) continue;  // the residue is equal always or never
    // left - right moves by `step` a period: it is zero at most once, and never from then on.
    exprs.values_at(n, values);
    const std::int64_t difference = values[static_cast<std::size_t>(obligation.left.index)] -
                                    values[static_cast<std::size_t>(obligation.right.index)];
    if (difference % step != 0) continue;
    const std::int64_t periods = -(difference / step);
    if (periods >= 0) window.threshold = std::max(window.threshold, n + periods * *period + 1);
  }
  return window;
}

std::optional<Window> window_of_bound(const Exprs& exprs, const Obligation& obligation) {
  const auto rows = exprs.period_of(obligation.left, kWindowLimit);
  if (!rows) return std::nullopt;
  std::vector<std::int64_t> values;
  std::vector<std::int64_t> first_values(static_cast<std::size_t>(rows->period));
  for (std::int64_t offset = 0; offset < rows->period; ++offset) {
    exprs.values_at(rows->threshold + offset, values);
    first_values[static_cast<std::size_t>(offset)] =
        values[static_cast<std::size_t>(obligation.left.index)];
  }
  return Window{settled_from(*rows, first_values, obligation.bound + 1), rows->period};
}

std::optional<Window> window_of(const Exprs& exprs, std::span<const Obligation> obligations) {
  Window window;
  for (const Obligation& obligation : obligations) {
    std::optional<Window> one = Window{};
    if (obligation.kind == ObligationKind::equal) one = window_of_equality(exprs, obligation);
    if (obligation.kind == ObligationKind::at_most) one = window_of_bound(exprs, obligation);
    if (!one) return std::nullopt;
    const auto period = lcm_within(window.period, one->period, kWindowLimit);
    if (!period) return std::nullopt;
    window = {std::max(window.threshold, one->threshold), *period};
  }
  if (window.threshold + window.period > kWindowLimit) return std::nullopt;
  return window;
}

bool meets(const Obligation& obligation, const std::vector<std::int64_t>& values) {
  const auto value = [&values](Expr e) { return values[static_cast<std::size_t>(e.index)]; };
  switch (obligation.kind) {
    case ObligationKind::equal: return value(obligation.left) == value(obligation.right);
    case ObligationKind::at_most: return value(obligation.left) <= obligation.bound;
    case ObligationKind::never: return false;
  }
  return false;
}

}  // namespace

std::string_view name_of(Known known) {
  switch (known) {
    case Known::proved: return "proved";
    case Known::exhausted: return "exhausted";
    case Known::sampled: return "sampled";
    case Known::observed: return "observed";
  }
  return "proved";
}

UsableSet::UsableSet(std::int64_t threshold, std::int64_t period, std::vector<std::uint8_t> members,
                     Known known)
    : threshold_(threshold), period_(period), members_(std::move(members)), known_(known) {
  describe_tail();
}

UsableSet UsableSet::all() { return UsableSet(1, 1, {1}, Known::proved); }

bool UsableSet::contains(std::int64_t n) const {
  if (n < 1) return false;
  const auto size = static_cast<std::int64_t>(members_.size());
  if (n > size) {
    if (known_ != Known::proved) return false;  // beyond what was exhausted nothing is claimed
    n = threshold_ + (n - threshold_) % period_;
  }
  return members_[static_cast<std::size_t>(n - 1)] != 0;
}

// Finds the modulus of the tail: its least positive member residue must generate all of them.
void UsableSet::describe_tail() {
  modulus_.reset();
  empty_tail_ = true;
  std::int64_t count = 0;
  std::int64_t least = period_;
  for (std::int64_t n = threshold_; n < threshold_ + period_; ++n) {
    if (n > static_cast<std::int64_t>(members_.size()) ||
        !members_[static_cast<std::size_t>(n - 1)])
      continue;
    empty_tail_ = false;
    ++count;
    if (const std::int64_t residue = n % period_; residue != 0) least = std::min(least, residue);
  }
  if (empty_tail_ || period_ % least != 0 || count != period_ / least) return;
  for (std::int64_t n = threshold_; n < threshold_ + period_; ++n) {
    if ((members_[static_cast<std::size_t>(n - 1)] != 0) != (n % least == 0)) return;
  }
  modulus_ = least;
}

std::vector<std::int64_t> UsableSet::residues() const {
  std::vector<std::int64_t> out;
  for (std::int64_t n = threshold_; n < threshold_ + period_; ++n) {
    if (contains(n)) out.push_back(n % period_);
  }
  std::ranges::sort(out);
  return out;
}

bool UsableSet::tail_says(std::int64_t n) const {
  const std::int64_t periods = n >= threshold_ ? 0 : div_ceil(threshold_ - n, period_);
  return contains(n + periods * period_);
}

std::vector<std::int64_t> UsableSet::usable_exceptions() const {
  std::vector<std::int64_t> out;
  for (std::int64_t n = 1; n < threshold_; ++n) {
    if (contains(n) && !tail_says(n)) out.push_back(n);
  }
  return out;
}

std::vector<std::int64_t> UsableSet::unusable_exceptions() const {
  std::vector<std::int64_t> out;
  for (std::int64_t n = 1; n < threshold_; ++n) {
    if (!contains(n) && tail_says(n)) out.push_back(n);
  }
  return out;
}

UsableSet usable_counts(const Exprs& exprs, std::span<const Obligation> obligations,
                        std::int64_t largest_presented) {
  if (obligations.empty()) return UsableSet::all();
  const std::optional<Window> window = window_of(exprs, obligations);
  const std::int64_t last = window ? window->threshold + window->period - 1
                                   : std::max<std::int64_t>(1, largest_presented);
  std::vector<std::uint8_t> members(static_cast<std::size_t>(last));
  std::vector<std::int64_t> values;
  for (std::int64_t n = 1; n <= last; ++n) {
    exprs.values_at(n, values);
    members[static_cast<std::size_t>(n - 1)] =
        std::ranges::all_of(obligations, [&](const Obligation& o) { return meets(o, values); });
  }
  if (window) return {window->threshold, window->period, std::move(members), Known::proved};
  return {1, last, std::move(members), Known::exhausted};
}

Requirement derive(SymbolicStep& step, std::int64_t largest_presented) {
  Requirement requirement;
  requirement.walked = walk(step);
  requirement.usable = usable_counts(step.exprs, requirement.walked.obligations, largest_presented);
  return requirement;
}

const Obligation* first_broken(const Exprs& exprs, std::span<const Obligation> obligations,
                               std::int64_t n) {
  if (n < 1) return obligations.empty() ? nullptr : &obligations.front();
  std::vector<std::int64_t> values;
  exprs.values_at(n, values);
  for (const Obligation& obligation : obligations) {
    if (!meets(obligation, values)) return &obligation;
  }
  return nullptr;
}

}  // namespace capsize
