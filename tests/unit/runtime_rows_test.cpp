// Elements and rows: what bits mean, how they add up, and what is done to rows without computing.
// Bits are read and rounded here by their definition, in double arithmetic.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "runtime/rows/local_work.hpp"
#include "tests/support/matrix.hpp"

namespace capsize::runtime_rows_test {
namespace {

using test::OwnedMatrix;
using Integers = std::vector<std::int32_t>;

constexpr std::array kTypes = {ElementType::bf16, ElementType::fp16, ElementType::fp32,
                               ElementType::uint32};
constexpr std::array kPoisonKinds = {Poison::nan, Poison::infinity, Poison::huge, Poison::stale};
constexpr std::int64_t kBound = 256;

// A type of 16 bits: sign, exponent, fraction.
struct Format {
  ElementType type;
  int fraction_bits;
  int bias;
  [[nodiscard]] int exponent_ones() const { return (1 << (15 - fraction_bits)) - 1; }

  [[nodiscard]] double value(std::uint32_t bits) const {
    const double sign = (bits >> 15) != 0 ? -1 : 1;
    const int exponent = static_cast<int>(bits >> fraction_bits) & exponent_ones();
    const double fraction = bits & ((1U << fraction_bits) - 1U);
    if (exponent == exponent_ones()) {
      return fraction == 0 ? sign * INFINITY : std::numeric_limits<double>::quiet_NaN();
    }
    const double significand = exponent == 0 ? fraction : fraction + std::exp2(fraction_bits);
    return sign * std::ldexp(significand, std::max(exponent, 1) - bias - fraction_bits);
  }

  // The nearest value that the format holds, ties to even, infinity beyond the largest.
  [[nodiscard]] double nearest(double exact) const {
    if (exact == 0 || !std::isfinite(exact)) return exact;
    const int exponent = std::max(std::ilogb(exact), 1 - bias);
    const double unit = std::ldexp(1, exponent - fraction_bits);
    const double rounded = std::nearbyint(exact / unit) * unit;
    const double too_large = std::ldexp(1, exponent_ones() - bias);
    return std::fabs(rounded) >= too_large ? std::copysign(INFINITY, rounded) : rounded;
  }
};

constexpr std::array kFormats = {Format{ElementType::bf16, 7, 127},
                                 Format{ElementType::fp16, 10, 15}};

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

// Would catch: a type that is read back as another.
TEST(Elements, NamesReadBack) {
  for (const ElementType type : kTypes) EXPECT_EQ(element_type_of(name_of(type)), type);
  EXPECT_EQ(element_type_of("bf8"), std::nullopt);
}

// Would catch: a pattern that is read as an integer that it does not hold, or is not written back;
// a fraction, NaN or infinity that passes for a number that a sound run could have there.
TEST(Elements, EveryPatternOfSixteenBits) {
  for (const Format& format : kFormats) {
    for (std::uint32_t bits = 0; bits <= 0xffffU; ++bits) {
      OwnedMatrix one(format.type, 1, 1);
      one.set_bits(0, 0, bits);
      const std::int32_t read = one.row(0)[0];
      const double value = format.value(bits);
      if (std::trunc(value) == value && std::fabs(value) <= 1 << 24) {
        ASSERT_EQ(read, static_cast<std::int32_t>(value)) << bits;
        one.set_row(0, Integers{read});
        ASSERT_EQ(one.bits(0, 0), value == 0 ? 0U : bits);
      } else {
        const double near = std::fabs(value) <= 1 << 24 ? std::trunc(value) : 0;
        for (const std::int32_t neighbour : {-1, 0, 1}) {
          const auto real = static_cast<std::int32_t>(near) + neighbour;
          ASSERT_NE((read - real) & 3, 0) << bits;
          ASSERT_GT(std::abs(read - real), kBound) << bits;
        }
      }
    }
  }
}

// Would catch: an integer that is cut off instead of rounded, ties that go up, and rounding twice
// on the way to 16 bits (2^24 + 2^16 + 1 lies just above a tie).
TEST(Elements, IntegersAreStoredAsTheNearest) {
  Integers values = {(1 << 24) + (1 << 16) + 1, (1 << 24) + (1 << 16),     INT32_MAX, INT32_MIN,
                     (1 << 30) + (1 << 22) + 1, -(1 << 30) - (1 << 22) - 1};
  for (std::int32_t value = -70000; value <= 70000; ++value) values.push_back(value);
  for (const Format& format : kFormats) {
    const double largest = format.type == ElementType::fp16 ? 65504 : INFINITY;
    for (const std::int32_t value : values) {
      const std::uint32_t stored = OwnedMatrix(format.type, {value}).bits(0, 0);
      const double nearest = std::clamp(format.nearest(value), -largest, largest);
      ASSERT_EQ(format.value(stored), nearest) << name_of(format.type) << " " << value;
    }
  }
  for (const std::int32_t value : {0, 1, -1, 1 << 24, -(1 << 24), 77}) {
    EXPECT_EQ(OwnedMatrix(ElementType::fp32, {value}).row(0)[0], value);
    EXPECT_EQ(OwnedMatrix(ElementType::uint32, {value}).bits(0, 0),
              static_cast<std::uint32_t>(value));
  }
}

// Every pattern plus some, as one long row.
void expect_sums(const Format& format, std::uint32_t other) {
  constexpr std::int64_t kPatterns = 1 << 16;
  OwnedMatrix left(format.type, 1, kPatterns);
  OwnedMatrix right(format.type, 1, kPatterns);
  for (std::int64_t at = 0; at < kPatterns; ++at) {
    left.set_bits(0, at, static_cast<std::uint32_t>(at));
    right.set_bits(0, at, other);
  }
  sum_into(right.all(), left.all());
  for (std::int64_t at = 0; at < kPatterns; ++at) {
    const double exact = format.value(static_cast<std::uint32_t>(at)) + format.value(other);
    const std::uint32_t found = left.bits(0, at);
    ASSERT_TRUE(same(format.value(found), format.nearest(exact)))
        << name_of(format.type) << " " << at << " + " << other << " = " << found;
    ASSERT_NE(found, unwritten_bits(format.type));
  }
}

// Would catch: a sum that is rounded otherwise than the type's own, a NaN that becomes a number, a
// lost sign or subnormal, and a sum that looks unwritten.
TEST(Rows, SumsOfSixteenBitsAreTheNearest) {
  for (const Format& format : kFormats) {
    const auto ones = static_cast<std::uint32_t>(format.exponent_ones()) << format.fraction_bits;
    const std::uint32_t one = OwnedMatrix(format.type, {1}).bits(0, 0);
    for (const std::uint32_t other :
         {0U, 0x8000U, 1U, 0x8001U, one, one + 1U, one | 0x8000U, ones - 1U, ones, ones | 0x8000U,
          ones + 1U, unwritten_bits(format.type), 0x3a5bU, 0xc37fU, 0x0413U, 0x5678U}) {
      expect_sums(format, other);
    }
  }
}

// Would catch: uint32 sums that stop at the largest number, fp32 sums by another road, elements
// behind the last whole block that are left out.
TEST(Rows, SumsOfEveryLength) {
  for (std::int64_t columns = 1; columns <= 130; ++columns) {
    OwnedMatrix wrapping(ElementType::uint32, 1, columns);
    OwnedMatrix floats(ElementType::fp32, 1, columns);
    for (std::int64_t at = 0; at < columns; ++at) {
      wrapping.set_bits(0, at, 0xffffff00U + static_cast<std::uint32_t>(7 * at));
      floats.set_row(0, Integers(static_cast<std::size_t>(columns), 100));
    }
    OwnedMatrix same_floats = floats;
    OwnedMatrix same_wrapping = wrapping;
    sum_into(same_wrapping.all(), wrapping.all());
    sum_into(same_floats.all(), floats.all());
    for (std::int64_t at = 0; at < columns; ++at) {
      ASSERT_EQ(wrapping.bits(0, at), 0xfffffe00U + static_cast<std::uint32_t>(14 * at));
      ASSERT_EQ(floats.row(0)[static_cast<std::size_t>(at)], 200);
    }
  }
}

// Would catch: folding at the wrong edge, and folding a sum that should stay whole.
TEST(Rows, AdditionsFoldOrNot) {
  for (const ElementType type : kTypes) {
    OwnedMatrix hidden(type, {127, -128, 100, -3, 128, 0});
    OwnedMatrix residual(type, {1, -1, 100, 3, 128, 0});
    OwnedMatrix out(type, 1, 6);
    add(hidden.all(), residual.all(), out.all(), true);
    EXPECT_EQ(out.row(0), (Integers{-128, 127, -56, 0, 0, 0}));
    EXPECT_EQ(out.bits(0, 3), 0U);  // +0
    add(hidden.all(), residual.all(), out.all(), false);
    EXPECT_EQ(out.row(0), (Integers{128, -129, 200, 0, 256, 0}));
  }
}

// By hand: the mean square of the first row is 25, so 4 |r| is held against 5, 15 and 25; the
// second has q = 1; the third is folded to (-128, 100, -56, 44) and has q = 88.
TEST(Rows, NormsByHand) {
  for (const ElementType type : kTypes) {
    OwnedMatrix out(type, 1, 4);
    OwnedMatrix row(type, {1, -7, 5, -5});
    norm(row.all(), out.all());
    EXPECT_EQ(out.row(0), (Integers{0, -3, 2, -2})) << name_of(type);
    row.set_row(0, Integers{0, 1, -1, 0});
    norm(row.all(), out.all());
    EXPECT_EQ(out.row(0), (Integers{0, 2, -2, 0}));
    row.set_row(0, Integers{128, 100, 200, -212});
    norm(row.all(), out.all());
    EXPECT_EQ(out.row(0), (Integers{-3, 2, -1, 1})) << name_of(type);
  }
}

// Would catch: a norm of the operands instead of their sum, and an output that is written before
// the row is read where it lies over an input.
TEST(Rows, AddNormMayWriteOverItsInputs) {
  for (const ElementType type : kTypes) {
    for (const std::int64_t columns : {4, 16, 40}) {
      OwnedMatrix hidden(type, 3, columns);
      OwnedMatrix residual(type, 3, columns);
      poison_rows(hidden.all(), Poison::stale, 1);
      poison_rows(residual.all(), Poison::stale, 2);
      OwnedMatrix sum(type, 3, columns);
      OwnedMatrix normed(type, 3, columns);
      add(hidden.all(), residual.all(), sum.all(), true);
      norm(sum.all(), normed.all());
      add_norm(hidden.all(), residual.all(), hidden.all(), residual.all());
      EXPECT_EQ(residual.bytes(), sum.bytes());
      EXPECT_EQ(hidden.bytes(), normed.bytes());
    }
  }
}

// Would catch: poison that looks unwritten or real, alone, under a real number, or after up to 64
// ranks added theirs up.
TEST(Rows, PoisonIsNeverReal) {
  for (const ElementType type : kTypes) {
    for (const Poison poison : kPoisonKinds) {
      if (poison == Poison::stale) continue;
      OwnedMatrix rows(type, 2, 3);
      poison_rows(rows.all(), poison, 0);
      const OwnedMatrix first = rows;
      for (int ranks = 1; ranks <= 64; ++ranks) {
        for (std::int64_t column = 0; column < 3; ++column) {
          ASSERT_NE(rows.bits(1, column), unwritten_bits(type));
        }
        OwnedMatrix shifted(type, {-127, 0, 127});
        Matrix last = rows.all();
        last.data = last.row(1);
        last.rows = 1;
        sum_into(last, shifted.all());
        const Integers read = shifted.row(0);
        for (std::int32_t real = -127; real <= 127; real += 127) {
          const std::int32_t distance = read[static_cast<std::size_t>(real / 127 + 1)] - real;
          ASSERT_NE(distance & 255, 0) << name_of(type) << " " << ranks << " ranks";
        }
        const auto place = first_inexact(shifted.all(), kBound);
        ASSERT_TRUE(place && place->row == 0 && place->column == 0) << name_of(type) << ranks;
        OwnedMatrix more = first;
        sum_into(more.all(), rows.all());
      }
    }
  }
}

// Would catch: stale rows that are the run's own, the same for every salt, or empty.
TEST(Rows, StalePoisonIsAnotherBatch) {
  ExactModel model;
  Integers entry(16);
  for (const ElementType type : kTypes) {
    OwnedMatrix rows(type, 4, 16);
    OwnedMatrix others(type, 4, 16);
    poison_rows(rows.all(), Poison::stale, 1);
    poison_rows(others.all(), Poison::stale, 2);
    EXPECT_FALSE(first_inexact(rows.all(), 127));
    for (std::int64_t row = 0; row < 4; ++row) {
      EXPECT_NE(rows.row(row), others.row(row));
      EXPECT_LE(std::ranges::count(rows.row(row), 0), 2);
      for (std::uint64_t step = 0; step < 3; ++step) {
        entry_row(model, static_cast<std::uint64_t>(row), step, entry);
        EXPECT_NE(rows.row(row), entry);
      }
    }
  }
}

// Would catch: a byte of a guard band that is not looked at, at any length.
TEST(Rows, GuardsShowEveryByte) {
  for (const ElementType type : kTypes) {
    for (std::size_t length = 0; length <= 67; ++length) {
      std::vector<std::byte> bytes(length);
      fill_unwritten(bytes, type);
      ASSERT_TRUE(is_unwritten(bytes, type));
      for (std::byte& byte : bytes) {
        byte ^= std::byte{0x10};
        ASSERT_FALSE(is_unwritten(bytes, type)) << name_of(type) << " " << length;
        byte ^= std::byte{0x10};
      }
    }
  }
}

// Would catch: an unwritten, fractional or too large element that is passed over, at any place, and
// a sound one that is not.
TEST(Rows, InexactElementsAreFound) {
  for (const ElementType type : kTypes) {
    constexpr std::int64_t kColumns = 16;
    constexpr std::int64_t kRows = 35;  // more than two blocks of 256
    OwnedMatrix rows(type, kRows, kColumns);
    for (std::int64_t row = 0; row < kRows; ++row) rows.set_row(row, Integers(kColumns, 256));
    rows.set_row(3, Integers(kColumns, -256));
    EXPECT_FALSE(first_inexact(rows.all(), kBound));
    OwnedMatrix wrong(type, {258, -258, 1 << 20});
    if (type != ElementType::uint32) wrong.set_bits(0, 2, OwnedMatrix(type, {1}).bits(0, 0) + 1U);
    for (std::int64_t at = 0; at < kRows * kColumns; ++at) {
      const std::int64_t row = at / kColumns;
      const std::int64_t column = at % kColumns;
      const std::uint32_t before = rows.bits(row, column);
      for (const std::uint32_t bits :
           {unwritten_bits(type), wrong.bits(0, 0), wrong.bits(0, 1), wrong.bits(0, 2)}) {
        rows.set_bits(row, column, bits);
        const auto place = first_inexact(rows.all(), kBound);
        ASSERT_TRUE(place) << name_of(type) << " " << bits;
        ASSERT_TRUE(place->row == row && place->column == column);
      }
      rows.set_bits(row, column, before);
    }
  }
}

// Would catch: a difference that is not counted or told at the wrong place; equal numbers whose
// bits differ.
TEST(Rows, ComparisonTellsCountAndPlace) {
  for (const ElementType type : kTypes) {
    OwnedMatrix expected(type, 5, 7);
    poison_rows(expected.all(), Poison::stale, 9);
    expected.set_row(4, Integers{1, 2, 3, 4, 5, 6, 0});
    EXPECT_EQ(compare(expected.all(), expected.all()).count, 0);
    OwnedMatrix found = expected;
    std::int64_t wrong = 0;
    for (std::int64_t at = 34; at >= 0; at -= 3) {
      const std::uint32_t flip = at == 34 ? (bytes_of(type) == 2 ? 0x8000U : 0x80000000U) : 1U;
      found.set_bits(at / 7, at % 7, found.bits(at / 7, at % 7) ^ flip);
      ++wrong;
      const Difference difference = compare(found.all(), expected.all());
      ASSERT_EQ(difference.count, wrong);
      ASSERT_EQ(difference.first.row, at / 7);
      ASSERT_EQ(difference.first.column, at % 7);
    }
  }
}

// Would catch: shares that overlap, leave a gap, or give the longer parts to the last ones.
TEST(Rows, SharesTile) {
  EXPECT_EQ(share_of(7, 3, 0), (Share{0, 3}));
  EXPECT_EQ(share_of(7, 3, 2), (Share{5, 2}));
  EXPECT_EQ(share_of(2, 3, 2), (Share{2, 0}));
  for (std::int64_t total = 0; total <= 70; ++total) {
    for (std::int64_t parts = 1; parts <= 70; ++parts) {
      std::int64_t next = 0;
      for (std::int64_t position = 0; position < parts; ++position) {
        const Share share = share_of(total, parts, position);
        ASSERT_EQ(share.first, next);
        next += share.count;
      }
      ASSERT_EQ(next, total);
    }
  }
}

}  // namespace
}  // namespace capsize::runtime_rows_test
