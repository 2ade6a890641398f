#include "sim/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace capsize {
namespace {

// Single changes (insert, delete, replace) that turn one word into the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string_view nearest_name(std::string_view word, std::span<const std::string_view> known) {
  constexpr std::size_t kLongest = 64;
  constexpr std::size_t kCompared = 1000;
  const std::size_t slips = word.size() < 4 ? 1 : 2;
  std::size_t best = slips + 1;
  std::string_view found;
  if (word.size() > kLongest) return found;
  for (std::size_t i = 0; i < known.size() && i < kCompared; ++i) {
    if (known[i].size() > word.size() + slips || word.size() > known[i].size() + slips) continue;
    const std::size_t far = distance(word, known[i]);
    if (far < best && far < known[i].size()) {
      best = far;
      found = known[i];
    }
  }
  return found;
}

std::string hint_of_known(std::string_view word, std::span<const std::string_view> known) {
  constexpr std::size_t kShown = 12;
  std::string hint;
  if (const std::string_view near = nearest_name(word, known); !near.empty()) {
    hint.append("did you mean ").append(near).append("? ");
  }
  hint += "known here:";
  for (std::size_t i = 0; i < known.size() && i < kShown; ++i) {
    hint.append(i == 0 ? " " : ", ").append(known[i]);
  }
  return known.size() > kShown ? hint + ", ..." : hint;
}

}  // namespace capsize
