// reachable_is_covered: a maximum or a size that the caller named runs at a captured size, and
// every captured size is found by the dispatch. Other counts that run eager are listed as lost.
// In a plan, each entry of its captures: what is named, what is kept, what dispatch looks up.
#include <algorithm>

#include "properties/plan_report.hpp"
#include "properties/set_case.hpp"

namespace capsize {
namespace {

// A count as large as named, but no larger than a batch of the path can be.
std::int64_t reachable_part(const CapturePath& path, const NamedSize& named) {
  return std::min(named.size, path.largest_presented);
}

Finding violation(const CapturePath& path, std::int64_t n, std::string blame,
                  std::string_view rule) {
  return {.verdict = LawVerdict::violation,
          .known = Known::exhausted,
          .symptom = path.lookup(path.kept, n) == kLookupFails ? Symptom::clean_error
                                                               : Symptom::silent_eager,
          .witness = witness_at(path, n),
          .first_in_time = FirstInTime{"eager", path.tokens_of(n).value},
          .blame = std::move(blame),
          .rule = rule};
}

// Whether a batch of n runs at a captured size; a search that ends in an error serves nobody.
bool is_served(const CapturePath& path, std::int64_t n) {
  const auto at = path.lookup(path.kept, n);
  return at && *at != kLookupFails;
}

// The first count that no captured size serves because `named` is not captured; none where it is.
std::optional<std::int64_t> lost_from(const CapturePath& path, const NamedSize& named) {
  const std::int64_t n = reachable_part(path, named);
  if (n < 1 || is_served(path, n)) return std::nullopt;
  // With padding the counts above the largest captured size are lost from there on.
  return path.exact_match ? n : std::min(n, std::ranges::max(path.kept) + 1);
}

Finding check_path(const Subject&, const CapturePath& path) {
  const NamedSize* lost = nullptr;
  std::int64_t first = 0;
  for (const NamedSize& named : path.named) {
    const auto from = lost_from(path, named);
    if (!from || (lost != nullptr && *from >= first)) continue;
    lost = &named;
    first = *from;
  }
  if (lost != nullptr && first <= std::ranges::max(path.kept) && !path.exact_match) {
    return violation(path, first,
                     std::string(lost->flag) + " names " + std::to_string(lost->size) +
                         ": as large a size is captured, but the search for " +
                         std::to_string(first) + " ends without one: the list does not rise",
                     path.lookup_rule);
  }
  if (lost != nullptr) {
    return violation(path, first,
                     std::string(lost->flag) + " names " + std::to_string(lost->size) +
                         ", the largest captured size is " +
                         std::to_string(std::ranges::max(path.kept)),
                     path.filter.rule);
  }
  std::optional<std::int64_t> unfound;
  for (const std::int64_t size : path.kept) {
    if (size < 1 || path.lookup(path.kept, size) == size) continue;
    if (!unfound || size < *unfound) unfound = size;
  }
  if (!unfound) return {.known = Known::exhausted};
  return violation(path, *unfound,
                   "size " + std::to_string(*unfound) + " is captured and never found",
                   path.lookup_rule);
}

SetFinding check_set(const SetCase& in) {
  const std::int64_t top = in.sizes[in.kept.last()];
  if (in.named_most > top) return {LawVerdict::violation, top + 1};
  return broken_at(in, in.kept - in.found);
}

// ---- plans ----------------------------------------------------------------------------------

std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  return __builtin_mul_overflow(a, b, &out) ? INT64_MAX : out;
}

// Adds that `size` of an entry is at fault.
void add_fault(const PlanCapture& entry, std::int64_t size, std::string blame, PlanReport& report) {
  Breach breach{.path = entry.path, .tokens = size, .symptom = Symptom::silent_eager};
  if (entry.unit == Unit::requests) {
    breach.requests = size;
    breach.tokens = product(size, entry.width.value_or(1));
  }
  if (entry.key) breach.key = text_of(*entry.key);
  breach.blame = std::move(blame);
  report.add(std::move(breach));
}

void check_named(const PlanCapture& entry, PlanReport& report) {
  if (entry.named.empty()) return;
  const std::int64_t named = std::ranges::max(entry.named);
  if (!entry.kept.empty() && std::ranges::max(entry.kept) >= named) return;
  add_fault(entry, named,
            std::to_string(named) + " is named, " +
                (entry.kept.empty() ? std::string("but no size is captured")
                                    : "but the largest captured size is " +
                                          std::to_string(std::ranges::max(entry.kept))),
            report);
}

// The least size that is captured and not looked up, or the other way round.
void check_admitted(const PlanCapture& entry, PlanReport& report) {
  if (!entry.admits) return;
  std::vector<std::int64_t> kept = entry.kept;
  std::vector<std::int64_t> admits = *entry.admits;
  std::ranges::sort(kept);
  std::ranges::sort(admits);
  const auto duplicates = [](std::vector<std::int64_t>& sizes) {
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  };
  duplicates(kept);
  duplicates(admits);
  const auto [a, b] = std::ranges::mismatch(kept, admits);
  if (a == kept.end() && b == admits.end()) return;
  const bool only_kept = b == admits.end() || (a != kept.end() && *a < *b);
  const std::int64_t size = only_kept ? *a : *b;
  add_fault(entry, size,
            "size " + std::to_string(size) +
                (only_kept ? " is captured and never looked up" : " is looked up and not captured"),
            report);
}

// The least captured size that no batch of the path can have.
void check_kept(const PlanCapture& entry, PlanReport& report) {
  const std::int64_t width = entry.unit == Unit::tokens ? entry.width.value_or(1) : 1;
  std::optional<std::int64_t> odd;
  for (const std::int64_t size : entry.kept) {
    const bool fits = size >= 1 && (width <= 1 || size % width == 0);
    if (!fits && (!odd || size < *odd)) odd = size;
  }
  if (!odd) return;
  std::string blame = "size " + std::to_string(*odd) + " is captured, but ";
  blame += *odd < 1 ? "no batch is so small"
                    : "a request brings " + std::to_string(width) + " tokens: no batch has so many";
  add_fault(entry, *odd, std::move(blame), report);
}

void check_plan(const Timeline& timeline, PlanReport& report) {
  for (const PlanCapture& entry : timeline.lifecycle().captures) {
    if (entry.mode == GraphMode::eager) continue;
    const bool stated = !entry.named.empty() || entry.admits || entry.width;
    if (stated && !entry.kept.empty()) report.looked_at(entry.path);
    check_named(entry, report);
    check_admitted(entry, report);
    check_kept(entry, report);
  }
}

}  // namespace

extern const Law law_reachable_is_covered;
const Law law_reachable_is_covered{
    .name = "reachable_is_covered",
    .defect_class = "C06",
    .subject = "capture plan",
    .statement =
        "A maximum or size that the caller named runs at a captured size, and every "
        "captured size is found.",
    .formula = "for all named m: pad(min(m, max T(p))) exists; for all b in B(p): pad(b) = b",
    .way_out = "add the named size to the list after every filter, in the unit of the list",
    .check_path = check_path,
    .check_plan = check_plan,
    .check_set = check_set};

}  // namespace capsize
