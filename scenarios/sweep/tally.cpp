// Counting members by the state in which they end, and adding up what parts have counted.
#include "scenarios/sweep/tally.hpp"

#include <algorithm>
#include <cassert>
#include <map>

namespace capsize {
namespace {

std::vector<const Law*> laws_of_paths() {
  std::vector<const Law*> out;
  for (const Law* law : laws()) {
    if (law->check_path != nullptr || law->check_eager != nullptr) out.push_back(law);
  }
  std::ranges::sort(out, {}, &Law::name);
  assert(out.size() <= kSweepLaws && "a state has no room for another law: raise kSweepLaws");
  return out;
}

// A state with its precondition by name: what the same state is called in every tally.
using NamedState = std::pair<MemberState, std::string_view>;

std::map<NamedState, const StateCount*> named_states(const Tally& tally) {
  std::map<NamedState, const StateCount*> out;
  for (const auto& [state, count] : tally.states) {
    NamedState named{state, {}};
    if (state.removed != 0) named.second = tally.preconditions[state.removed - 1U];
    named.first.removed = state.removed != 0 ? 1 : 0;
    out.emplace(named, &count);
  }
  return out;
}

}  // namespace

std::span<const Law* const> sweep_laws() {
  static const std::vector<const Law*> all = laws_of_paths();
  return all;
}

std::uint32_t Tally::precondition(std::string_view text) {
  auto found = std::ranges::find(preconditions, text);
  if (found == preconditions.end()) {
    found = preconditions.emplace(preconditions.end(), text);
  }
  return static_cast<std::uint32_t>(found - preconditions.begin() + 1);
}

void Tally::count(const MemberState& state, std::uint64_t members, std::uint64_t first) {
  if (members == 0) return;
  const auto [at, is_new] = states.try_emplace(state, StateCount{members, first});
  if (is_new) return;
  at->second.members += members;
  at->second.first = std::min(at->second.first, first);
}

void Tally::add(const Tally& other) {
  std::vector<std::uint32_t> here;  // the places of the other's preconditions in this tally
  for (const std::string& text : other.preconditions) here.push_back(precondition(text));
  for (const auto& [state, counted] : other.states) {
    MemberState renamed = state;
    if (state.removed != 0) renamed.removed = here[state.removed - 1U];
    count(renamed, counted.members, counted.first);
  }
  if (paths.empty()) paths = other.paths;
  sums += other.sums;
  left_out += other.left_out;
  layouts.insert(other.layouts.begin(), other.layouts.end());
  triples.insert(other.triples.begin(), other.triples.end());
}

std::uint64_t Tally::members() const {
  std::uint64_t sum = 0;
  for (const auto& [state, counted] : states) sum += counted.members;
  return sum;
}

bool same(const Tally& a, const Tally& b) {
  const auto equal_counts = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second->members == y.second->members &&
           x.second->first == y.second->first;
  };
  return a.sums == b.sums && a.left_out == b.left_out && a.layouts == b.layouts &&
         a.triples == b.triples &&
         std::ranges::equal(named_states(a), named_states(b), equal_counts);
}

}  // namespace capsize
