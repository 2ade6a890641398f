// What is done to rows without computing: filling, poisoning, looking for what does not belong
// there, comparing.
#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

#include "runtime/rows/local_work.hpp"
#include "runtime/rows/row_work.hpp"
#include "sim/content_hash.hpp"

namespace capsize {
namespace {

using row_work::bits_at;
using row_work::put_bits;

}  // namespace

// Of uint32 whose sums wrap, poison must stay far from all small numbers when up to 64 ranks add
// theirs up: these are 2^32 times the golden ratio, the roots of 2 and of 3 (the parts behind the
// point), numbers whose multiples stay away from integers longest. The last byte is zero, so that a
// sum with a real number shows that number's neighbours as little as itself.
std::uint32_t poison_bits(ElementType type, Poison poison) {
  struct Patterns {
    std::uint32_t nan, infinity, huge;
  };
  const Patterns patterns = [type]() -> Patterns {
    switch (type) {
      case ElementType::bf16: return {0x7fc0U, 0x7f80U, 0x7f7fU};
      case ElementType::fp16: return {0x7e00U, 0x7c00U, 0x7bffU};
      case ElementType::fp32: return {0x7fc00000U, 0x7f800000U, 0x7f7fffffU};
      case ElementType::uint32: break;
    }
    return {0x9e377900U, 0x6a09e600U, 0xbb67ae00U};
  }();
  if (poison == Poison::nan) return patterns.nan;
  return poison == Poison::infinity ? patterns.infinity : patterns.huge;
}

void fill_bits(std::span<std::byte> bytes, std::uint32_t bits, std::size_t size) {
  if (bytes.empty()) return;
  if (bits == (bits & 0xffU) * 0x01010101U) {  // the processor has an instruction for equal bytes
    std::memset(bytes.data(), static_cast<int>(bits & 0xffU), bytes.size());
    return;
  }
  const std::size_t first = std::min(size, bytes.size());
  std::memcpy(bytes.data(), &bits, first);
  // What stands there already is copied behind itself, twice as much each time, up to a piece that
  // stays in the nearest cache: memory is written and not read.
  constexpr std::size_t kPiece = 4096;
  for (std::size_t done = first; done < bytes.size();) {
    const std::size_t more = std::min(std::min(done, kPiece), bytes.size() - done);
    std::memcpy(bytes.data() + done, bytes.data(), more);
    done += more;
  }
}

std::string_view name_of(Poison poison) {
  switch (poison) {
    case Poison::nan: return "nan";
    case Poison::infinity: return "infinity";
    case Poison::huge: return "huge";
    case Poison::stale: break;
  }
  return "stale";
}

ExactModel stale_model(std::int64_t columns, std::uint64_t salt) {
  ExactModel other;
  other.hidden = columns;
  other.seed = spread(salt + 1);
  return other;
}

void poison_rows(Matrix rows, Poison poison, std::uint64_t salt) {
  if (poison != Poison::stale) {
    fill_bits({rows.data, rows.bytes()}, poison_bits(rows.type, poison), bytes_of(rows.type));
    return;
  }
  const ExactModel other = stale_model(rows.columns, salt);
  codec::with_codec(rows.type, [&]<class Element>(Element) {
    std::vector<std::int32_t> entry(static_cast<std::size_t>(rows.columns));
    for (std::int64_t row = 0; row < rows.rows; ++row) {
      entry_row(other, static_cast<std::uint64_t>(row), salt, entry);
      for (std::int64_t j = 0; j < rows.columns; ++j) {
        put_bits<Element>(rows.row(row), j,
                          Element::of_integer(entry[static_cast<std::size_t>(j)]));
      }
    }
  });
}

// Signalling NaNs, which no arithmetic leaves behind; of uint32, what no data of a run reach.
std::uint32_t unwritten_bits(ElementType type) {
  switch (type) {
    case ElementType::bf16: return 0xffa5U;
    case ElementType::fp16: return 0xfda5U;
    case ElementType::fp32: return 0xffa5a5a5U;
    case ElementType::uint32: break;
  }
  return 0xa5a5a5a5U;
}

void fill_unwritten(std::span<std::byte> bytes, ElementType type) {
  fill_bits(bytes, unwritten_bits(type), bytes_of(type));
}

bool is_unwritten(std::span<const std::byte> bytes, ElementType type) {
  const std::uint32_t bits = unwritten_bits(type);
  const std::size_t first = std::min(bytes_of(type), bytes.size());
  if (first == 0) return true;
  if (std::memcmp(bytes.data(), &bits, first) != 0) return false;
  // The first element is right, and each is what the one before it is.
  return std::memcmp(bytes.data(), bytes.data() + first, bytes.size() - first) == 0;
}

namespace {

// Whether any element is the fill: one pass that compilers vectorise, as nearly always none is.
template <class Bits>
bool any_unwritten(ConstMatrix rows) {
  const auto wanted = static_cast<Bits>(unwritten_bits(rows.type));
  const std::size_t elements = rows.bytes() / sizeof(Bits);
  Bits found = 0;
  for (std::size_t i = 0; i < elements; ++i) {
    Bits bits;
    std::memcpy(&bits, rows.data + i * sizeof(Bits), sizeof(Bits));
    found = static_cast<Bits>(found | static_cast<Bits>(bits == wanted ? 1 : 0));
  }
  return found != 0;
}

}  // namespace

std::optional<std::int64_t> first_unwritten_row(ConstMatrix rows) {
  const bool any = bytes_of(rows.type) == 2 ? any_unwritten<std::uint16_t>(rows)
                                            : any_unwritten<std::uint32_t>(rows);
  if (!any) return std::nullopt;
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    if (is_unwritten({rows.row(row), rows.row_bytes()}, rows.type)) return row;
  }
  return std::nullopt;
}

std::optional<ElementPlace> first_inexact(ConstMatrix rows, std::int64_t bound) {
  const auto most = static_cast<std::int32_t>(
      std::clamp<std::int64_t>(bound, 0, std::int64_t{codec::kLargestExact}));
  return codec::with_codec(rows.type, [&]<class Element>(Element) -> std::optional<ElementPlace> {
    const auto beyond = [&](std::int64_t at) {
      return Element::beyond(bits_at<Element>(rows.data, at), most);
    };
    // All is well nearly always: whole blocks without a branch, then the place.
    constexpr std::int64_t kBlock = 256;
    const std::int64_t elements = rows.rows * rows.columns;
    for (std::int64_t begin = 0; begin < elements; begin += kBlock) {
      const std::int64_t end = std::min(elements, begin + kBlock);
      std::uint32_t wrong = 0;
      for (std::int64_t at = begin; at < end; ++at) wrong |= beyond(at);
      if (wrong == 0) continue;
      std::int64_t at = begin;
      while (beyond(at) == 0) ++at;
      return ElementPlace{.row = at / rows.columns, .column = at % rows.columns};
    }
    return std::nullopt;
  });
}

Difference compare(ConstMatrix found, ConstMatrix expected) {
  assert(found.rows == expected.rows && found.columns == expected.columns);
  assert(found.type == expected.type);
  Difference difference;
  if (found.bytes() == 0 || std::memcmp(found.data, expected.data, found.bytes()) == 0) {
    return difference;
  }
  const std::size_t size = bytes_of(found.type);
  const std::int64_t elements = found.rows * found.columns;
  for (std::int64_t at = 0; at < elements; ++at) {
    const std::size_t offset = static_cast<std::size_t>(at) * size;
    if (std::memcmp(found.data + offset, expected.data + offset, size) == 0) continue;
    if (difference.count++ == 0) {
      difference.first = {.row = at / found.columns, .column = at % found.columns};
    }
  }
  return difference;
}

}  // namespace capsize
