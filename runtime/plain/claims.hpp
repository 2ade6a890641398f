// Which ranks a plan says to hold the same rows, and whether they do. An operation that takes an
// axis out of a layout leaves equal rows along it; one that brings an axis in, or reads rows as if
// an axis were not there, needs equal rows along it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/binding.hpp"
#include "sim/timeline.hpp"

namespace capsize {

// All elements of some rows as one number.
[[nodiscard]] std::uint64_t hash_of(ConstMatrix rows);

class Claims {
 public:
  Claims(const Lifecycle& lifecycle, std::size_t ranks) : lifecycle_(&lifecycle), of_(ranks) {}

  void clear();
  // `place`: of the rank among those of this process.
  void before(std::size_t place, std::size_t instruction, const Bound& bound);
  void after(std::size_t place, std::size_t instruction, const Bound& bound);

  struct Broken {
    std::int64_t rank = 0;
    std::size_t instruction = 0;
    std::string text;
  };
  // The first in the order of the program; `ranks` are those of this process.
  [[nodiscard]] std::optional<Broken> first_broken(const std::vector<std::int64_t>& ranks) const;

 private:
  enum class Part : std::uint8_t { operand, output, place };
  struct Claim {
    std::size_t instruction = 0;
    const PlanOp* op = nullptr;
    Part part = Part::operand;
    std::size_t operand = 0;
    GroupId axis;
    std::uint64_t value = 0;
  };
  void add_axes(std::vector<Claim>& claims, Claim claim, const Layout& has, const Layout& lacks,
                ConstMatrix rows) const;
  [[nodiscard]] bool same_axis(GroupId a, GroupId b) const;

  const Lifecycle* lifecycle_;
  std::vector<std::vector<Claim>> of_;
};

}  // namespace capsize
