#include "sim/universe.hpp"

#include <algorithm>
#include <cassert>

#include "sim/content_hash.hpp"

namespace capsize {
namespace {

void add_words(ContentHash& hash, const std::vector<std::string>& words) {
  hash.add(words.size());
  for (const std::string& each : words) hash.add(each);
}

}  // namespace

std::optional<std::size_t> Universe::axis(std::string_view axis_name) const {
  const auto found = std::ranges::find(axes, axis_name, &Axis::name);
  if (found == axes.end()) return std::nullopt;
  return static_cast<std::size_t>(found - axes.begin());
}

void Universe::unrank(std::uint64_t number, std::span<std::int32_t> choices) const {
  assert(choices.size() == axes.size() && number < members);
  for (std::size_t i = axes.size(); i-- > 0;) {
    const std::uint64_t size = axes[i].values.size();
    choices[i] = static_cast<std::int32_t>(number % size);
    number /= size;
  }
}

std::uint64_t Universe::rank(std::span<const std::int32_t> choices) const {
  assert(choices.size() == axes.size());
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    number = number * axes[i].values.size() + static_cast<std::uint64_t>(choices[i]);
  }
  return number;
}

std::string Universe::text_of(std::span<const std::int32_t> choices) const {
  std::string out;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const AxisValue& value = axes[i].values[static_cast<std::size_t>(choices[i])];
    out.append(out.empty() ? "" : ", ").append(axes[i].name).append(" ").append(value.name);
  }
  return out;
}

std::vector<std::string> Universe::words_of(std::span<const std::int32_t> choices) const {
  std::vector<std::string> out = launch;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const AxisValue& value = axes[i].values[static_cast<std::size_t>(choices[i])];
    out.insert(out.end(), value.words.begin(), value.words.end());
  }
  return out;
}

std::uint64_t digest_of(const Universe& universe) {
  ContentHash hash;
  hash.add(universe.engine);
  add_words(hash, universe.launch);
  hash.add(universe.axes.size());
  for (const Axis& axis : universe.axes) {
    hash.add(axis.name).add(axis.values.size());
    for (const AxisValue& each : axis.values) {
      hash.add(each.name);
      add_words(hash, each.words);
    }
  }
  hash.add(universe.models.size());
  for (const UniverseModel& each : universe.models) hash.add(each.name).add(each.config);
  hash.add(universe.derived.size());
  for (const DerivedValue& each : universe.derived) {
    hash.add(each.name).add(each.value.digest());
  }
  hash.add(universe.constraints.size());
  for (const Constraint& each : universe.constraints) {
    hash.add(each.why).add(each.condition.digest());  // members are counted under `why`
  }
  return hash.value();
}

}  // namespace capsize
