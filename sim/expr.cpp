#include "sim/expr.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "sim/units.hpp"

namespace capsize {
namespace {

constexpr std::size_t kFirstTableSize = 256;

std::int64_t positive_mod(std::int64_t value, std::int64_t modulus) {
  const std::int64_t rest = value % modulus;
  return rest < 0 ? rest + modulus : rest;
}

// The step of `f` in the residue of n, scaled to the longer period `period`.
std::int64_t scaled_step(const Period& f, std::int64_t n, std::int64_t period) {
  return f.steps[static_cast<std::size_t>(n % f.period)] * (period / f.period);
}

}  // namespace

std::optional<std::int64_t> lcm_within(std::int64_t a, std::int64_t b, std::int64_t limit) {
  const std::int64_t quotient = a / std::gcd(a, b);
  if (b != 0 && quotient > limit / b) return std::nullopt;
  return quotient * b;
}

Exprs::Exprs() : table_(kFirstTableSize, -1) {
  nodes_.reserve(64);
  const Expr variable = intern(Node{.kind = Kind::variable});
  assert(variable == n());
  (void)variable;
}

Expr Exprs::intern(const Node& node) {
  if (2 * (nodes_.size() + 1) > table_.size()) {
    table_.assign(table_.size() * 2, -1);
    const std::vector<Node> old = std::move(nodes_);
    nodes_.clear();
    nodes_.reserve(old.size() * 2);
    for (const Node& each : old) (void)intern(each);
  }
  const auto mix = [](std::uint64_t seed, std::int64_t value) {
    return (seed ^ static_cast<std::uint64_t>(value)) * 0x9E3779B97F4A7C15ULL;
  };
  std::uint64_t hash = mix(static_cast<std::uint64_t>(node.kind) + 1, node.number);
  hash = mix(hash ^ (hash >> 29), (std::int64_t{node.a} << 20) ^ node.b);
  hash = mix(hash ^ (hash >> 29), node.c);
  for (std::size_t slot = (hash >> 32) % table_.size();; slot = (slot + 1) % table_.size()) {
    if (table_[slot] < 0) {
      table_[slot] = static_cast<std::int32_t>(nodes_.size());
      nodes_.push_back(node);
      return Expr{table_[slot]};
    }
    if (nodes_[static_cast<std::size_t>(table_[slot])] == node) return Expr{table_[slot]};
  }
}

Expr Exprs::constant(std::int64_t value) {
  return intern(Node{.kind = Kind::constant, .number = value});
}

Expr Exprs::add(Expr f, Expr g) {
  const Node& left = nodes_[static_cast<std::size_t>(f.index)];
  const Node& right = nodes_[static_cast<std::size_t>(g.index)];
  if (left.kind == Kind::constant && left.number == 0) return g;
  if (right.kind == Kind::constant && right.number == 0) return f;
  if (left.kind == Kind::constant && right.kind == Kind::constant) {
    return constant(left.number + right.number);
  }
  // One order for both operands, so that f + g and g + f are one expression.
  return intern(
      Node{.kind = Kind::sum, .a = std::min(f.index, g.index), .b = std::max(f.index, g.index)});
}

Expr Exprs::scale(std::int64_t factor, Expr f) {
  const Node node = nodes_[static_cast<std::size_t>(f.index)];
  if (factor == 0) return constant(0);
  if (factor == 1) return f;
  if (node.kind == Kind::constant) return constant(factor * node.number);
  if (node.kind == Kind::product) return scale(factor * node.number, Expr{node.a});
  return intern(Node{.kind = Kind::product, .a = f.index, .number = factor});
}

Expr Exprs::floor_div(Expr f, std::int64_t divisor) {
  assert(divisor > 0);
  const Node& node = nodes_[static_cast<std::size_t>(f.index)];
  if (divisor == 1) return f;
  if (node.kind == Kind::constant) return constant(div_floor(node.number, divisor));
  return intern(Node{.kind = Kind::quotient, .a = f.index, .number = divisor});
}

Expr Exprs::if_at_least(Expr f, std::int64_t bound, Expr then, Expr otherwise) {
  const Node& node = nodes_[static_cast<std::size_t>(f.index)];
  if (then == otherwise) return then;
  if (node.kind == Kind::constant) return node.number >= bound ? then : otherwise;
  return intern(Node{
      .kind = Kind::guard, .a = f.index, .b = then.index, .c = otherwise.index, .number = bound});
}

Expr Exprs::align_up(Expr f, std::int64_t multiple) {
  return scale(multiple, floor_div(add(f, constant(multiple - 1)), multiple));
}

Expr Exprs::split_part(Expr f, std::int64_t parts, std::int64_t j) {
  assert(0 <= j && j < parts);
  return floor_div(add(f, constant(parts - 1 - j)), parts);
}

Expr Exprs::zigzag_part(Expr f, std::int64_t ranks, std::int64_t i) {
  const std::int64_t blocks = 2 * ranks;
  return add(split_part(f, blocks, i), split_part(f, blocks, blocks - 1 - i));
}

std::int64_t Exprs::value_at(Expr f, std::int64_t n) const {
  std::vector<std::int64_t> values;
  values_at(n, values);
  return values[static_cast<std::size_t>(f.index)];
}

void Exprs::values_at(std::int64_t n, std::vector<std::int64_t>& values) const {
  values.resize(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const auto operand = [&values](std::int32_t index) {
      return values[static_cast<std::size_t>(index)];
    };
    switch (node.kind) {
      case Kind::variable: values[i] = n; break;
      case Kind::constant: values[i] = node.number; break;
      case Kind::sum: values[i] = operand(node.a) + operand(node.b); break;
      case Kind::product: values[i] = node.number * operand(node.a); break;
      case Kind::quotient: values[i] = div_floor(operand(node.a), node.number); break;
      case Kind::guard:
        values[i] = operand(node.a) >= node.number ? operand(node.b) : operand(node.c);
        break;
    }
  }
}

std::int64_t settled_from(const Period& f, std::span<const std::int64_t> first_values,
                          std::int64_t bound) {
  std::int64_t threshold = f.threshold;
  for (std::int64_t offset = 0; offset < f.period; ++offset) {
    const std::int64_t first_n = f.threshold + offset;
    const std::int64_t value = first_values[static_cast<std::size_t>(offset)];
    const std::int64_t step = f.steps[static_cast<std::size_t>(first_n % f.period)];
    std::int64_t periods = 0;
    // A growing residue settles once it has reached the bound, a falling one once it is below it.
    if (step > 0 && value < bound) periods = div_ceil(bound - value, step);
    if (step < 0 && value >= bound) periods = div_floor(value - bound, -step) + 1;
    if (periods > 0) threshold = std::max(threshold, first_n + periods * f.period);
  }
  return threshold;
}

std::optional<Period> Exprs::period_of(Expr f, std::int64_t period_limit) const {
  const Node& node = nodes_[static_cast<std::size_t>(f.index)];
  switch (node.kind) {
    case Kind::variable: return Period{.steps = {1}};
    case Kind::constant: return Period{};
    case Kind::sum: {
      const auto left = period_of(Expr{node.a}, period_limit);
      const auto right = period_of(Expr{node.b}, period_limit);
      if (!left || !right) return std::nullopt;
      const auto period = lcm_within(left->period, right->period, period_limit);
      if (!period) return std::nullopt;
      Period sum{.threshold = std::max(left->threshold, right->threshold), .period = *period};
      sum.steps.resize(static_cast<std::size_t>(*period));
      for (std::int64_t r = 0; r < *period; ++r) {
        sum.steps[static_cast<std::size_t>(r)] =
            scaled_step(*left, r, *period) + scaled_step(*right, r, *period);
      }
      return sum;
    }
    case Kind::product: {
      auto period = period_of(Expr{node.a}, period_limit);
      if (!period) return std::nullopt;
      for (std::int64_t& step : period->steps) step *= node.number;
      return period;
    }
    case Kind::quotient: {
      const auto inner = period_of(Expr{node.a}, period_limit);
      if (!inner) return std::nullopt;
      std::int64_t multiplier = 1;
      for (const std::int64_t step : inner->steps) {
        const auto next =
            lcm_within(multiplier, node.number / std::gcd(step, node.number), period_limit);
        if (!next) return std::nullopt;
        multiplier = *next;
      }
      if (multiplier > period_limit / inner->period) return std::nullopt;
      Period out{.threshold = inner->threshold, .period = inner->period * multiplier};
      out.steps.resize(static_cast<std::size_t>(out.period));
      for (std::int64_t r = 0; r < out.period; ++r) {
        out.steps[static_cast<std::size_t>(r)] =
            div_exact(scaled_step(*inner, r, out.period), node.number);
      }
      return out;
    }
    case Kind::guard: break;
  }

  const auto compared = period_of(Expr{node.a}, period_limit);
  const auto then = period_of(Expr{node.b}, period_limit);
  const auto otherwise = period_of(Expr{node.c}, period_limit);
  if (!compared || !then || !otherwise) return std::nullopt;
  const auto branches = lcm_within(then->period, otherwise->period, period_limit);
  const auto period =
      branches ? lcm_within(*branches, compared->period, period_limit) : std::nullopt;
  if (!period) return std::nullopt;

  std::vector<std::int64_t> values;
  std::vector<std::int64_t> first_values(static_cast<std::size_t>(compared->period));
  for (std::int64_t offset = 0; offset < compared->period; ++offset) {
    values_at(compared->threshold + offset, values);
    first_values[static_cast<std::size_t>(offset)] = values[static_cast<std::size_t>(node.a)];
  }
  Period out{.period = *period};
  out.threshold = std::max(
      {settled_from(*compared, first_values, node.number), then->threshold, otherwise->threshold});
  out.steps.resize(static_cast<std::size_t>(*period));
  for (std::int64_t n = out.threshold; n < out.threshold + *period; ++n) {
    values_at(n, values);
    const bool taken = values[static_cast<std::size_t>(node.a)] >= node.number;
    out.steps[static_cast<std::size_t>(positive_mod(n, *period))] =
        scaled_step(taken ? *then : *otherwise, n, *period);
  }
  return out;
}

}  // namespace capsize
