// What a generator really produced: counts per axis and value, part of the block that a run ends
// in (property_run.hpp). A value that was declared and never came fails the test: a generator that
// misses a part of its domain makes every property of that part empty.
#pragma once

#include <gtest/gtest.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>

#include "tests/property/property_run.hpp"

namespace capsize::property {

class Histogram {
 public:
  // The values of an axis that a run must hold.
  void declare(const std::string& axis, std::initializer_list<std::string> values) {
    for (const std::string& value : values) axes_[axis][value] += 0;
  }
  void count(const std::string& axis, const std::string& value) { ++axes_[axis][value]; }
  void count(const std::string& axis, std::int64_t value) { count(axis, std::to_string(value)); }
  // No plain bool: a string literal would become one.
  void count(const std::string& axis, std::same_as<bool> auto value) {
    count(axis, std::string(value ? "yes" : "no"));
  }

  // A line an axis in the block of the test; every declared value must have come.
  void print(const std::string& run) const {
    for (const auto& [axis, values] : axes_) {
      std::string line;
      for (const auto& [value, times] : values) {
        line.append(line.empty() ? "" : ", ").append(value + ": " + grouped(times));
        EXPECT_GT(times, 0) << run << ": " << axis << " was never " << value;
      }
      tell_axis(axis, line);
    }
  }

 private:
  std::map<std::string, std::map<std::string, std::int64_t>> axes_;
};

}  // namespace capsize::property
