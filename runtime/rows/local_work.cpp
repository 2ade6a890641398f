#include "runtime/rows/local_work.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>

#include "runtime/rows/norm_steps.hpp"
#include "runtime/rows/row_work.hpp"

namespace capsize {
namespace {

using row_work::bits_at;
using row_work::put_bits;

// The squares of all but very long rows have room in 32 bits.
constexpr std::int64_t kShortRow = 64;
static_assert(kShortRow * codec::kStrange * codec::kStrange < INT32_MAX);

// floor(sqrt(number)), for which a double has room: its root is rounded, but not up to an integer.
std::int64_t integer_root(std::int64_t number) {
  return static_cast<std::int64_t>(std::sqrt(static_cast<double>(number)));
}

template <class Sum, class Row>
Sum squares_of(const Row& row) {
  Sum squares = 0;
  for (const Narrow element : row) squares += Sum{element} * element;
  return squares;
}

// `row` is used up.
template <class Element, class Row>
void norm_row(Row& row, std::byte* out, std::int64_t columns) {
  const std::int64_t squares =
      columns <= kShortRow ? squares_of<std::int32_t>(row) : squares_of<std::int64_t>(row);
  const Thresholds at = thresholds_of(integer_root(squares / columns));
  for (Narrow& element : row) element = normalized(element, at);
  for (std::int64_t j = 0; j < columns; ++j) {
    put_bits<Element>(out, j, Element::of_integer(row[static_cast<std::size_t>(j)]));
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
    auto row = width.template row<Narrow>();
    for (std::int64_t at = 0; at < in.rows; ++at) {
      const std::byte* from = in.row(at);
      for (std::int64_t j = 0; j < width.columns(); ++j) {
        row[static_cast<std::size_t>(j)] =
            static_cast<Narrow>(wrapped(Element::integer(bits_at<Element>(from, j))));
      }
      norm_row<Element>(row, out.row(at), width.columns());
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
      norm_row<Element>(row, hidden_out.row(at), columns);
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
