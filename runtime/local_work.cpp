#include "runtime/local_work.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>

#include "runtime/row_work.hpp"

namespace capsize {
namespace {

using row_work::bits_at;
using row_work::put_bits;

// Sums of a sound run have magnitudes up to 2^8. What lies far beyond holds poison, and folding
// could bring it back among the sound ones: it stays strange, from layer to layer.
std::int32_t wrapped(std::int32_t value) {
  constexpr std::int32_t kFarthest = 512;
  const std::int32_t beyond = ((kFarthest - value) | (kFarthest + value)) >> 31;
  const std::int32_t folded = ((value + 128) & 255) - 128;
  return (folded & ~beyond) | (codec::kStrange & beyond);
}

// floor(sqrt(number)), for which a double has room: its root is rounded, but not up to an integer.
std::int64_t integer_root(std::int64_t number) {
  return static_cast<std::int64_t>(std::sqrt(static_cast<double>(number)));
}

// The smallest magnitudes that a norm makes 1, 2 and 3: 4 |r| >= q, 3q, 5q.
struct Thresholds {
  std::int32_t one = 0;
  std::int32_t two = 0;
  std::int32_t three = 0;
};

Thresholds thresholds(std::int64_t squares, std::int64_t columns) {
  const std::int64_t q = std::max<std::int64_t>(1, integer_root(squares / columns));
  const auto at_least = [q](std::int64_t odd) {
    return static_cast<std::int32_t>((odd * q + 3) / 4);
  };
  return {at_least(1), at_least(3), at_least(5)};
}

template <class Number>
Number normalized(Number value, Number one, Number two, Number three) {
  const auto sign = static_cast<Number>(value < 0 ? -1 : 0);
  const auto magnitude = static_cast<Number>((value ^ sign) - sign);
  const auto steps = static_cast<Number>((magnitude >= one ? 1 : 0) + (magnitude >= two ? 1 : 0) +
                                         (magnitude >= three ? 1 : 0));
  return static_cast<Number>((steps ^ sign) - sign);
}

// Rows of a residual stream: magnitudes up to 2^8 or strange, so that 16 bits hold an element and
// 32 the sum of the squares of `kNarrowColumns`.
using Narrow = std::int16_t;
constexpr std::int32_t kNarrowest = codec::kStrange;
constexpr std::int64_t kNarrowColumns = 64;

template <class Element, class Row>
void norm_narrow(Row& row, std::byte* out, std::int64_t columns) {
  std::int32_t squares = 0;
  for (std::int64_t j = 0; j < columns; ++j) {
    squares += std::int32_t{row[static_cast<std::size_t>(j)]} * row[static_cast<std::size_t>(j)];
  }
  const Thresholds at = thresholds(squares, columns);
  const auto one = static_cast<Narrow>(at.one);
  const auto two = static_cast<Narrow>(at.two);
  const auto three = static_cast<Narrow>(at.three);
  for (std::int64_t j = 0; j < columns; ++j) {
    Narrow& value = row[static_cast<std::size_t>(j)];
    value = normalized(value, one, two, three);
  }
  for (std::int64_t j = 0; j < columns; ++j) {
    put_bits<Element>(out, j, Element::of_integer(row[static_cast<std::size_t>(j)]));
  }
}

// The same for any integers that elements hold.
template <class Element, class Row>
void norm_wide(const Row& row, std::byte* out, std::int64_t columns) {
  std::int64_t squares = 0;
  for (std::int64_t j = 0; j < columns; ++j) {
    squares += std::int64_t{row[static_cast<std::size_t>(j)]} * row[static_cast<std::size_t>(j)];
  }
  const Thresholds at = thresholds(squares, columns);
  for (std::int64_t j = 0; j < columns; ++j) {
    const std::int32_t value =
        normalized<std::int32_t>(row[static_cast<std::size_t>(j)], at.one, at.two, at.three);
    put_bits<Element>(out, j, Element::of_integer(value));
  }
}

// out = combination(left, right), element by element: the rows of a matrix lie one behind the
// other. By blocks that are read before they are written, so that `out` may be one of the others.
template <class Element, class Combination>
void combine(ConstMatrix left, ConstMatrix right, Matrix out, Combination combination) {
  using Bits = typename Element::Bits;
  constexpr std::int64_t kBlock = 64;
  const std::byte* from_left = left.data;
  const std::byte* from_right = right.data;
  std::byte* to = out.data;
  const std::int64_t elements = out.rows * out.columns;
  std::int64_t at = 0;
  for (; at + kBlock <= elements; at += kBlock) {
    std::array<Bits, kBlock> sums;
    for (std::int64_t i = 0; i < kBlock; ++i) {
      sums[static_cast<std::size_t>(i)] =
          combination(bits_at<Element>(from_left, at + i), bits_at<Element>(from_right, at + i));
    }
    std::memcpy(to + static_cast<std::size_t>(at) * sizeof(Bits), sums.data(), sizeof sums);
  }
  for (; at < elements; ++at) {
    put_bits<Element>(
        to, at, combination(bits_at<Element>(from_left, at), bits_at<Element>(from_right, at)));
  }
}

}  // namespace

Share share_of(std::int64_t total, std::int64_t parts, std::int64_t position) {
  const std::int64_t each = total / parts;
  const std::int64_t longer = total % parts;
  return {.first = position * each + std::min(position, longer),
          .count = each + (position < longer ? 1 : 0)};
}

void norm(ConstMatrix in, Matrix out) {
  assert(in.rows == out.rows && in.columns == out.columns && in.type == out.type);
  row_work::with_rows(in.type, in.columns, [&]<class Element>(Element, auto width) {
    const std::int64_t columns = width.columns();
    auto row = width.template row<std::int32_t>();
    auto narrow = width.template row<Narrow>();
    for (std::int64_t at = 0; at < in.rows; ++at) {
      std::int32_t outside = columns > kNarrowColumns ? 1 : 0;
      for (std::size_t j = 0; j < row.size(); ++j) {
        row[j] =
            wrapped(Element::integer(bits_at<Element>(in.row(at), static_cast<std::int64_t>(j))));
        narrow[j] = static_cast<Narrow>(row[j]);
        outside |= static_cast<std::int32_t>(row[j] > kNarrowest || row[j] < -kNarrowest);
      }
      if (outside == 0) {
        norm_narrow<Element>(narrow, out.row(at), columns);
      } else {
        norm_wide<Element>(row, out.row(at), columns);
      }
    }
  });
}

void add_norm(ConstMatrix hidden, ConstMatrix residual, Matrix hidden_out, Matrix residual_out) {
  assert(hidden.rows == residual.rows && hidden.columns == residual.columns);
  assert(hidden_out.rows == hidden.rows && residual_out.rows == hidden.rows);
  row_work::with_rows(hidden.type, hidden.columns, [&]<class Element>(Element, auto width) {
    const std::int64_t columns = width.columns();
    auto row = width.template row<Narrow>();
    for (std::int64_t at = 0; at < hidden.rows; ++at) {
      const std::byte* left = hidden.row(at);
      const std::byte* right = residual.row(at);
      for (std::int64_t j = 0; j < columns; ++j) {
        row[static_cast<std::size_t>(j)] =
            static_cast<Narrow>(wrapped(Element::integer(bits_at<Element>(left, j)) +
                                        Element::integer(bits_at<Element>(right, j))));
      }
      std::byte* sum = residual_out.row(at);
      for (std::int64_t j = 0; j < columns; ++j) {
        put_bits<Element>(sum, j, Element::of_integer(row[static_cast<std::size_t>(j)]));
      }
      if (columns <= kNarrowColumns) {
        norm_narrow<Element>(row, hidden_out.row(at), columns);
      } else {
        norm_wide<Element>(row, hidden_out.row(at), columns);
      }
    }
  });
}

void add(ConstMatrix hidden, ConstMatrix residual, Matrix out, bool wrap) {
  assert(hidden.rows == residual.rows && hidden.rows == out.rows);
  assert(hidden.columns == residual.columns && hidden.columns == out.columns);
  codec::with_codec(hidden.type, [&]<class Element>(Element) {
    using Bits = typename Element::Bits;
    if (!wrap) {
      return combine<Element>(hidden, residual, out,
                              [](Bits left, Bits right) { return Element::sum(left, right); });
    }
    combine<Element>(hidden, residual, out, [](Bits left, Bits right) {
      return Element::of_integer(wrapped(Element::integer(left) + Element::integer(right)));
    });
  });
}

void sum_into(ConstMatrix from, Matrix to) { add(to, from, to, false); }

}  // namespace capsize
