// RapidCheck generators that the property runs share. Header only and no part of the library: only
// tests link RapidCheck.
//
// Axes of a configuration are drawn evenly from a list of values, simplest first, and shrink to the
// first that still fails: an index is drawn (gen::inRange, freed of RapidCheck's size) and mapped.
#pragma once

#include <rapidcheck.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/capture.hpp"

namespace capsize::generators {

// The same values, shrinking to the smallest from `low` on that still fails: RapidCheck's own
// halving steps over it where failures come in multiples.
inline rc::Gen<std::int64_t> shrinking_to(std::int64_t low, rc::Gen<std::int64_t> values) {
  constexpr std::int64_t kTried = 4096;
  return rc::gen::shrink(rc::gen::noShrink(std::move(values)), [low](std::int64_t value) {
    return rc::seq::range(low, std::min(value, low + kTried));
  });
}

// An integer from [low, high), evenly, whatever the size of the test case.
inline rc::Gen<std::int64_t> evenly(std::int64_t low, std::int64_t high) {
  return shrinking_to(low,
                      rc::gen::resize(rc::kNominalSize, rc::gen::inRange<std::int64_t>(low, high)));
}

// One of `values`; shrinks towards the first.
template <class T>
rc::Gen<T> one_of(std::vector<T> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return rc::gen::map(evenly(0, count), [values = std::move(values)](std::int64_t index) {
    return values[static_cast<std::size_t>(index)];
  });
}

inline rc::Gen<bool> coin() { return one_of<bool>({false, true}); }

// 1, 2, 4 ... up to `largest`.
inline rc::Gen<std::int64_t> power_of_two(std::int64_t largest) {
  std::vector<std::int64_t> values;
  for (std::int64_t value = 1; value <= largest; value *= 2) values.push_back(value);
  return one_of(std::move(values));
}

// A capture size as people write them: a small one, one of the engines' default steps, any up to
// `largest`. Never 0.
inline rc::Gen<std::int64_t> usual_size(std::int64_t largest) {
  return shrinking_to(
      1, rc::gen::oneOf(evenly(1, 33),
                        rc::gen::map(evenly(1, 65), [](std::int64_t k) { return 4 * k; }),
                        rc::gen::map(evenly(1, 33), [](std::int64_t k) { return 16 * k; }),
                        evenly(1, largest + 1)));
}

// A size that nobody should write: 0, or one past every pool.
inline rc::Gen<std::int64_t> odd_size() {
  const std::int64_t huge = std::int64_t{1} << 20;
  return shrinking_to(1, one_of<std::int64_t>({0, huge - 1, huge}));
}

// A list of capture sizes in any order, with repeats, now and then with an odd size. Never empty.
inline rc::Gen<SizeList> size_list(std::int64_t largest) {
  const auto size =
      rc::gen::weightedOneOf<std::int64_t>({{15, usual_size(largest)}, {1, odd_size()}});
  return rc::gen::resize(12, rc::gen::nonEmpty(rc::gen::container<SizeList>(size)));
}

// The same, ascending and without repeats, as the engines' own lists are.
inline rc::Gen<SizeList> ascending_list(std::int64_t largest) {
  return rc::gen::map(size_list(largest), [](SizeList sizes) {
    std::ranges::sort(sizes);
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    return sizes;
  });
}

}  // namespace capsize::generators
