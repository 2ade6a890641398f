#include "sim/universe.hpp"

#include <algorithm>
#include <cassert>

namespace capsize {
namespace {

// FNV-1a over texts that carry their lengths, so that no two different lists of texts are one.
class Digest {
 public:
  Digest& number(std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) put(static_cast<unsigned char>(value >> (8 * byte)));
    return *this;
  }
  Digest& text(std::string_view value) {
    number(value.size());
    for (const char c : value) put(static_cast<unsigned char>(c));
    return *this;
  }
  Digest& texts(const std::vector<std::string>& values) {
    number(values.size());
    for (const std::string& each : values) text(each);
    return *this;
  }
  // A condition without the blanks that mean nothing: those outside of quotes.
  Digest& condition(const Condition& value) {
    std::string dense;
    char quote = 0;
    for (const char c : value.text()) {
      if (quote == 0 && (c == ' ' || c == '\t')) continue;
      if (c == '"' || c == '\'') quote = quote == 0 ? c : quote == c ? '\0' : quote;
      dense += c;
    }
    return text(dense);
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  void put(unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001b3U; }

  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

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
  Digest out;
  out.text(universe.engine).texts(universe.launch).number(universe.axes.size());
  for (const Axis& axis : universe.axes) {
    out.text(axis.name).number(axis.values.size());
    for (const AxisValue& each : axis.values) out.text(each.name).texts(each.words);
  }
  out.number(universe.models.size());
  for (const UniverseModel& each : universe.models) out.text(each.name).text(each.config);
  out.number(universe.derived.size());
  for (const DerivedValue& each : universe.derived) out.text(each.name).condition(each.value);
  out.number(universe.constraints.size());
  for (const Constraint& each : universe.constraints) {
    const bool told = each.why != each.condition.text();
    out.text(told ? each.why : "").condition(each.condition);
  }
  return out.value();
}

}  // namespace capsize
